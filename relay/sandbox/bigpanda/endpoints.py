"""The table of calls: what each is named here, its verb and path, the permission it asks for, and what it does.

Paths and bodies: https://api-docs.bigpanda.io (Incidents), https://docs.bigpanda.io/reference/retrieve-all-users, and
for the callback https://docs.bigpanda.io/en/bigpanda-callback-service.html. A body has the fields that are listed and
no others.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from relay.sandbox.bigpanda.errors import ApiError
from relay.sandbox.bigpanda.incident import FakeIncident
from relay.sandbox.bigpanda.organisation import Organisation
from relay.sandbox.bigpanda.users import INCIDENT_ACTIONS, USER_MANAGEMENT, FakeApiKey, FakeBigPandaUser

Arguments = Mapping[str, Any]
Answer = tuple[HTTPStatus, Any]

MAX_SNOOZE: Final = 90 * 86400
"""Seconds; a snooze of 90 days was seen to fail, one of 89.99 to work."""
_PAGE, _LONGEST_PAGE = 20, 100
_FILTER: Final = re.compile(r'(userName|displayName|active) eq ("(?:[^"\\]|\\.)*"|true|false)')

_DONE: Final[Answer] = (HTTPStatus.NO_CONTENT, None)
_ACCEPTED: Final[Answer] = (HTTPStatus.ACCEPTED, {"status": 202, "data": {}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a body: of which type, and whether it may be left out. A text is never blank."""

    kind: type
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A call. `per_second` is BigPanda's limit (https://api-docs.bigpanda.io/rate-limits)."""

    name: str
    verb: str
    path: str
    run: Callable[[Organisation, FakeApiKey, Arguments], Answer]
    fields: Mapping[str, Field] | None = None
    permission: str | None = INCIDENT_ACTIONS
    per_second: int = 5


def parse_body(raw: bytes, content_type: str, fields: Mapping[str, Field] | None) -> Mapping[str, Any]:
    """Read the body of a call that has these fields; raises 400 with all that is wrong with it."""
    if fields is None:
        if raw.strip():
            raise ApiError(HTTPStatus.BAD_REQUEST, "this call has no body")
        return {}
    if content_type != "application/json":
        raise ApiError(HTTPStatus.BAD_REQUEST, f"Content-Type must be application/json, not {content_type}")
    try:
        told = json.loads(raw)
    except ValueError as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, "the body is not JSON") from error
    if not isinstance(told, dict):
        raise ApiError(HTTPStatus.BAD_REQUEST, "the body must be an object")
    wrong = [f"{name} is not a field of this call" for name in told if name not in fields]
    wrong += [fault for name, field in fields.items() if (fault := _fault(name, field, told))]
    if wrong:
        raise ApiError(HTTPStatus.BAD_REQUEST, *wrong)
    return told


def _fault(name: str, field: Field, told: Mapping[str, Any]) -> str:
    if name not in told:
        return "" if field.optional else f"{name} is required"
    value: Any = told[name]
    if type(value) is not field.kind:
        return f"{name} must be of type {field.kind.__name__}"
    return f"{name} may not be blank" if isinstance(value, str) and not value.strip() else ""


# -- The callback ------------------------------------------------------------------------------------------------------


def _callback(organisation: Organisation, _caller: FakeApiKey, arguments: Arguments) -> Answer:
    if arguments["event_type"] != "incident#new":
        raise ApiError(HTTPStatus.BAD_REQUEST, "event_type must be incident#new")
    if arguments["incident_id"] not in organisation.incidents:
        raise ApiError(HTTPStatus.NOT_FOUND, f"Incident {arguments['incident_id']} does not exist")
    if not organisation.sharing.release_updates(arguments["incident_id"], arguments["app_key"]):
        raise ApiError(HTTPStatus.BAD_REQUEST, "no integration has this app_key")
    return HTTPStatus.OK, {"status": 200, "data": {}}


# -- Incidents ---------------------------------------------------------------------------------------------------------


def _incident(organisation: Organisation, arguments: Arguments) -> FakeIncident:
    return organisation.incident_in(arguments["environment"], arguments["incident"])


def _get(organisation: Organisation, _caller: FakeApiKey, arguments: Arguments) -> Answer:
    found = _incident(organisation, arguments)
    return HTTPStatus.OK, found.as_api_object(expanded=arguments.get("expand") == "alerts")


def _resolve(organisation: Organisation, caller: FakeApiKey, arguments: Arguments) -> Answer:
    incident = _incident(organisation, arguments)
    if incident.resolved:
        raise ApiError(HTTPStatus.CONFLICT, f"Incident {incident.id} is already resolved")

    def resolve() -> None:
        if not incident.resolved:
            organisation.resolve(incident, caller.user, arguments["comments"])

    if organisation.resolve_delay:
        organisation.sharing.call_soon(organisation.resolve_delay, resolve)
    else:
        resolve()
    return _ACCEPTED


def _comment(organisation: Organisation, caller: FakeApiKey, arguments: Arguments) -> Answer:
    organisation.comment(_incident(organisation, arguments), arguments["comment"], caller.user)
    return _DONE


def _assign(organisation: Organisation, caller: FakeApiKey, arguments: Arguments) -> Answer:
    incident = _incident(organisation, arguments)
    user = organisation.users.get(arguments["assignee"])
    if user is None or not user.active:
        raise ApiError(HTTPStatus.NOT_FOUND, f"User {arguments['assignee']} does not exist")
    organisation.assign(incident, user, caller.user)
    return _DONE


def _unassign(organisation: Organisation, caller: FakeApiKey, arguments: Arguments) -> Answer:
    incident = _incident(organisation, arguments)
    if incident.assignee is not None:
        organisation.assign(incident, None, caller.user)
    return _DONE


def _snooze(organisation: Organisation, caller: FakeApiKey, arguments: Arguments) -> Answer:
    incident = _incident(organisation, arguments)
    ahead = arguments["end_time"] - organisation.now()
    if not 0 < ahead < MAX_SNOOZE:
        raise ApiError(HTTPStatus.BAD_REQUEST, "end_time must be in the next 90 days, in Unix seconds")
    organisation.snooze(
        incident,
        arguments["end_time"],
        caller.user,
        arguments.get("comment", ""),
        cancels=arguments.get("cancel_on_incident_updates", False),
    )
    return _DONE


def _unsnooze(organisation: Organisation, caller: FakeApiKey, arguments: Arguments) -> Answer:
    incident = _incident(organisation, arguments)
    if incident.snoozed_until is not None:
        organisation.wake(incident, caller.user)
    return _DONE


def _tag(organisation: Organisation, caller: FakeApiKey, arguments: Arguments) -> Answer:
    incident = _incident(organisation, arguments)
    definition = organisation.definitions.get(arguments["tag"])
    if definition is None:
        raise ApiError(HTTPStatus.NOT_FOUND, f"Tag ID {arguments['tag']} does not exist")
    if not definition.active:
        raise ApiError(HTTPStatus.BAD_REQUEST, f"{definition.id} is not active")
    organisation.tag(incident, definition, definition.stored_value(arguments["tag_value"]), caller.user)
    return _DONE


# -- What there is to read ---------------------------------------------------------------------------------------------


def _definitions(organisation: Organisation, _caller: FakeApiKey, arguments: Arguments) -> Answer:
    """`active` is true unless it is asked for otherwise, and then nothing is left out."""
    everything = arguments.get("active", "true") == "false"
    wanted = arguments.get("type")
    found = (tag for tag in organisation.definitions.values() if everything or tag.active)
    return HTTPStatus.OK, [tag.as_json() for tag in found if wanted in (None, tag.type)]


def _activities(organisation: Organisation, _caller: FakeApiKey, arguments: Arguments) -> Answer:
    """The newest first, in `items`, as a client was seen to read them."""
    incident = organisation.incidents.get(arguments["incident"])
    if incident is None:
        raise ApiError(HTTPStatus.NOT_FOUND, f"Incident {arguments['incident']} does not exist")
    types = frozenset(filter(None, arguments.get("types", "").split(",")))
    found = [each for each in reversed(incident.activities) if not types or each["type"] in types]
    size = min(_whole(arguments, "per_page", _PAGE), _LONGEST_PAGE)
    begin = (_whole(arguments, "page", 1) - 1) * size
    return HTTPStatus.OK, {"items": found[begin : begin + size]}


def _users(organisation: Organisation, _caller: FakeApiKey, arguments: Arguments) -> Answer:
    """Filters by one field, with `eq` alone of SCIM's operators."""
    found = [user for user in organisation.users.values() if _meant(user, arguments.get("filter"))]
    begin, size = _whole(arguments, "startIndex", 1) - 1, _whole(arguments, "count", 1000)
    return HTTPStatus.OK, {
        "schemas": ["urn:scim:schemas:core:1.0"],
        "totalResults": len(found),
        "Resources": [user.as_scim() for user in found[begin : begin + size]],
    }


def _meant(user: FakeBigPandaUser, written: str | None) -> bool:
    if written is None:
        return True
    said = _FILTER.fullmatch(written)
    if said is None:
        raise ApiError(HTTPStatus.BAD_REQUEST, f"the filter is not understood: {written}")
    has, wanted = user.as_scim()[said[1]], json.loads(said[2])
    return bool(has.lower() == wanted.lower() if isinstance(has, str) and isinstance(wanted, str) else has == wanted)


def _whole(arguments: Arguments, name: str, default: int) -> int:
    try:
        value = int(arguments.get(name, default))
    except ValueError as error:
        raise ApiError(HTTPStatus.BAD_REQUEST, f"{name} must be a number") from error
    if value < 1:
        raise ApiError(HTTPStatus.BAD_REQUEST, f"{name} must be at least 1")
    return value


# -- The table ---------------------------------------------------------------------------------------------------------

_OF: Final = "/resources/v2.0/environments/{environment}/incidents/{incident}"
_TEXT: Final = Field(kind=str)

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    Endpoint(
        name="callback",
        verb="POST",
        path="/resources/v2.1/outbound/callback",
        run=_callback,
        fields={"event_type": _TEXT, "incident_id": _TEXT, "app_key": _TEXT},
        permission=None,
    ),
    Endpoint(name="incident", verb="GET", path=_OF, run=_get, permission=None),
    Endpoint(name="resolve", verb="POST", path=f"{_OF}/resolve", run=_resolve, fields={"comments": _TEXT}),
    Endpoint(name="comment", verb="POST", path=f"{_OF}/comments", run=_comment, fields={"comment": _TEXT}),
    Endpoint(name="assign", verb="PUT", path=f"{_OF}/assignment", run=_assign, fields={"assignee": _TEXT}),
    Endpoint(name="unassign", verb="DELETE", path=f"{_OF}/assignment", run=_unassign),
    Endpoint(
        name="snooze",
        verb="PUT",
        path=f"{_OF}/snooze",
        run=_snooze,
        fields={
            "end_time": Field(kind=int),
            "comment": Field(kind=str, optional=True),
            "cancel_on_incident_updates": Field(kind=bool, optional=True),
        },
    ),
    Endpoint(name="unsnooze", verb="DELETE", path=f"{_OF}/snooze", run=_unsnooze),
    Endpoint(name="tag", verb="POST", path=f"{_OF}/tags/{{tag}}", run=_tag, fields={"tag_value": _TEXT}),
    Endpoint(
        name="definitions",
        verb="GET",
        path="/resources/v2.0/incidents/tags/definitions",
        run=_definitions,
        permission=None,
    ),
    Endpoint(
        name="activities",
        verb="GET",
        path="/resources/v2.0/incidents/{incident}/activities",
        run=_activities,
        permission=None,
    ),
    Endpoint(
        name="users",
        verb="GET",
        path="/resources/v2.0/scim/Users",
        run=_users,
        permission=USER_MANAGEMENT,
        per_second=2,
    ),
)
