"""The table of calls: each one's name, its verb and path, the permission that it needs, and its function.

Paths and bodies: https://api-docs.bigpanda.io (Incidents), https://docs.bigpanda.io/reference/retrieve-all-users, and
for the callback https://docs.bigpanda.io/en/bigpanda-callback-service.html.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from relay.sandbox.bigpanda.errors import ApiError, bad_request, not_found
from relay.sandbox.bigpanda.incident import FakeIncident
from relay.sandbox.bigpanda.organisation import Organisation
from relay.sandbox.bigpanda.users import INCIDENT_ACTIONS, USER_MANAGEMENT, FakeApiKey, FakeBigPandaUser

Arguments = Mapping[str, Any]
Answer = tuple[HTTPStatus, Any]

MAX_SNOOZE: Final = 90 * 86400
"""Seconds; a snooze of 90 days was seen to fail, one of 89.99 to work."""
_PAGE, _MAX_PAGE = 20, 100
_FILTER: Final = re.compile(r'(userName|displayName|active) eq ("(?:[^"\\]|\\.)*"|true|false)')

_DONE: Final[Answer] = (HTTPStatus.NO_CONTENT, None)
_ACCEPTED: Final[Answer] = (HTTPStatus.ACCEPTED, {"status": 202, "data": {}})


Run = Callable[[Organisation, FakeApiKey, Arguments], Answer]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A call. Its body has these `fields` and perhaps the `optional` ones, by their types; a text is never blank.

    `per_second` is BigPanda's limit (https://api-docs.bigpanda.io/rate-limits).
    """

    name: str
    verb: str
    path: str
    run: Run
    fields: Mapping[str, type]
    optional: Mapping[str, type]
    permission: str | None
    per_second: int


ENDPOINTS: Final[list[Endpoint]] = []
_INCIDENT: Final = "/resources/v2.0/environments/{environment}/incidents/{incident}"


def _endpoint(  # noqa: PLR0913  the columns of the table
    name: str,
    verb: str,
    path: str,
    *,
    fields: Mapping[str, type] = MappingProxyType({}),
    optional: Mapping[str, type] = MappingProxyType({}),
    permission: str | None = INCIDENT_ACTIONS,
    per_second: int = 5,
) -> Callable[[Run], Run]:

    def add(run: Run) -> Run:
        ENDPOINTS.append(Endpoint(name, verb, path, run, fields, optional, permission, per_second))
        return run

    return add


def parse_body(raw: bytes, content_type: str, endpoint: Endpoint) -> Mapping[str, Any]:
    """Parse the body of a call; raises 400 with everything that is wrong."""
    fields = {**endpoint.fields, **endpoint.optional}
    if not fields:
        if raw.strip():
            raise bad_request("this call has no body")
        return {}
    if content_type != "application/json":
        raise bad_request(f"Content-Type must be application/json, not {content_type}")
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise bad_request("the body is not JSON") from error
    if not isinstance(body, dict):
        raise bad_request("the body must be an object")
    errors = [f"{name} is not a field of this call" for name in body if name not in fields]
    errors += [f"{name} is required" for name in endpoint.fields if name not in body]
    errors += filter(None, (_value_error(name, body[name], kind) for name, kind in fields.items() if name in body))
    if errors:
        raise bad_request(*errors)
    return body


def _value_error(name: str, value: Any, kind: type) -> str:
    if type(value) is not kind:
        return f"{name} must be of type {kind.__name__}"
    return f"{name} may not be blank" if isinstance(value, str) and not value.strip() else ""


# -- The callback ------------------------------------------------------------------------------------------------------


@_endpoint(
    "callback",
    "POST",
    "/resources/v2.1/outbound/callback",
    fields={"event_type": str, "incident_id": str, "app_key": str},
    permission=None,
)
def _callback(organisation: Organisation, _caller: FakeApiKey, arguments: Arguments) -> Answer:
    if arguments["event_type"] != "incident#new":
        raise bad_request("event_type must be incident#new")
    if arguments["incident_id"] not in organisation.incidents:
        raise not_found(f"Incident {arguments['incident_id']}")
    if not organisation.release_updates(arguments["incident_id"], arguments["app_key"]):
        raise bad_request("no integration has this app_key")
    return HTTPStatus.OK, {"status": 200, "data": {}}


# -- Incidents ---------------------------------------------------------------------------------------------------------


def _incident(organisation: Organisation, arguments: Arguments) -> FakeIncident:
    return organisation.incident_in(arguments["environment"], arguments["incident"])


@_endpoint("incident", "GET", _INCIDENT, permission=None)
def _get(organisation: Organisation, _caller: FakeApiKey, arguments: Arguments) -> Answer:
    incident = _incident(organisation, arguments)
    return HTTPStatus.OK, incident.as_api_object(expanded=arguments.get("expand") == "alerts")


@_endpoint("resolve", "POST", f"{_INCIDENT}/resolve", fields={"comments": str})
def _resolve(organisation: Organisation, caller: FakeApiKey, arguments: Arguments) -> Answer:
    incident = _incident(organisation, arguments)
    if incident.resolved:
        raise ApiError(HTTPStatus.CONFLICT, f"Incident {incident.id} is already resolved")

    def resolve() -> None:
        if not incident.resolved:
            organisation.resolve(incident, caller.user, arguments["comments"])

    if organisation.resolve_delay:
        organisation.call_soon(organisation.resolve_delay, resolve)
    else:
        resolve()
    return _ACCEPTED


@_endpoint("comment", "POST", f"{_INCIDENT}/comments", fields={"comment": str})
def _comment(organisation: Organisation, caller: FakeApiKey, arguments: Arguments) -> Answer:
    organisation.comment(_incident(organisation, arguments), arguments["comment"], caller.user)
    return _DONE


@_endpoint("assign", "PUT", f"{_INCIDENT}/assignment", fields={"assignee": str})
def _assign(organisation: Organisation, caller: FakeApiKey, arguments: Arguments) -> Answer:
    incident = _incident(organisation, arguments)
    user = organisation.users.get(arguments["assignee"])
    if user is None or not user.active:
        raise not_found(f"User {arguments['assignee']}")
    organisation.assign(incident, user, caller.user)
    return _DONE


@_endpoint("unassign", "DELETE", f"{_INCIDENT}/assignment")
def _unassign(organisation: Organisation, caller: FakeApiKey, arguments: Arguments) -> Answer:
    incident = _incident(organisation, arguments)
    if incident.assignee is None:
        raise bad_request("the incident is not assigned")
    organisation.assign(incident, None, caller.user)
    return _DONE


@_endpoint(
    "snooze",
    "PUT",
    f"{_INCIDENT}/snooze",
    fields={"end_time": int},
    optional={"comment": str, "cancel_on_incident_updates": bool},
)
def _snooze(organisation: Organisation, caller: FakeApiKey, arguments: Arguments) -> Answer:
    incident = _incident(organisation, arguments)
    until, comment = arguments["end_time"], arguments.get("comment", "")
    if not 0 < until - organisation.now() < MAX_SNOOZE:
        raise bad_request("end_time must be in the next 90 days, in Unix seconds")
    auto_cancel = arguments.get("cancel_on_incident_updates", False)
    organisation.snooze(incident, until, caller.user, comment, auto_cancel=auto_cancel)
    return _DONE


@_endpoint("end_snooze", "DELETE", f"{_INCIDENT}/snooze")
def _end_snooze(organisation: Organisation, caller: FakeApiKey, arguments: Arguments) -> Answer:
    organisation.unsnooze(_incident(organisation, arguments), caller.user)
    return _DONE


# -- Lists -------------------------------------------------------------------------------------------------------------


@_endpoint("definitions", "GET", "/resources/v2.0/incidents/tags/definitions", permission=None)
def _definitions(organisation: Organisation, _caller: FakeApiKey, arguments: Arguments) -> Answer:
    """Active tags; with `active=false`, all tags."""
    with_inactive = arguments.get("active", "true") == "false"
    kind = arguments.get("type")
    tags = (tag for tag in organisation.definitions.values() if with_inactive or tag.active)
    return HTTPStatus.OK, [tag.as_json() for tag in tags if kind in (None, tag.type)]


@_endpoint("activities", "GET", "/resources/v2.0/incidents/{incident}/activities", permission=None)
def _activities(organisation: Organisation, _caller: FakeApiKey, arguments: Arguments) -> Answer:
    """The newest first, in `items`, as a client was seen to read them."""
    incident = organisation.incidents.get(arguments["incident"])
    if incident is None:
        raise not_found(f"Incident {arguments['incident']}")
    types = frozenset(filter(None, arguments.get("types", "").split(",")))
    activities = [each for each in reversed(incident.activities) if not types or each["type"] in types]
    size = min(_positive(arguments, "per_page", _PAGE), _MAX_PAGE)
    start = (_positive(arguments, "page", 1) - 1) * size
    return HTTPStatus.OK, {"items": activities[start : start + size]}


@_endpoint("users", "GET", "/resources/v2.0/scim/Users", permission=USER_MANAGEMENT, per_second=2)
def _users(organisation: Organisation, _caller: FakeApiKey, arguments: Arguments) -> Answer:
    """Filters by one field, with `eq` as the only operator of SCIM."""
    users = [user for user in organisation.users.values() if _passes(user, arguments.get("filter"))]
    start, size = _positive(arguments, "startIndex", 1) - 1, _positive(arguments, "count", 1000)
    return HTTPStatus.OK, {
        "schemas": ["urn:scim:schemas:core:1.0"],
        "totalResults": len(users),
        "Resources": [user.as_scim() for user in users[start : start + size]],
    }


def _passes(user: FakeBigPandaUser, expression: str | None) -> bool:
    if expression is None:
        return True
    parts = _FILTER.fullmatch(expression)
    if parts is None:
        raise bad_request(f"the filter is not understood: {expression}")
    value, expected = user.as_scim()[parts[1]], json.loads(parts[2])
    if isinstance(value, str) and isinstance(expected, str):
        return value.lower() == expected.lower()
    return bool(value == expected)


def _positive(arguments: Arguments, name: str, default: int) -> int:
    try:
        value = int(arguments.get(name, default))
    except ValueError as error:
        raise bad_request(f"{name} must be a number") from error
    if value < 1:
        raise bad_request(f"{name} must be at least 1")
    return value
