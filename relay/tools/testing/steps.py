"""The steps of a test become shares: each a document, or the share before it, with changes on top."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import orjson

from relay.bigpanda.webhook.parsing import parse_recorded_share, parse_share
from relay.bigpanda.webhook.share import Share
from relay.model.errors import ShareError
from relay.model.incident import State
from relay.model.json_types import JSON
from relay.model.tag_labels import readable_tag_name
from relay.routes.parser.context import Position
from relay.tools.share_files import STEP, parse_share_file
from relay.tools.testing.model import ShareStep

Body = dict[str, Any]

_EVENTS = ("event_types", "eventTypes", "event_type", "eventType")
_TAGS = ("incidentTags", "incident_tags")


class StepError(Exception):
    """A step that cannot be made into a share, and why."""

    def __init__(self, spot: Position, message: str) -> None:
        """Take the place of the step."""
        super().__init__(message)
        self.spot = spot


def build_shares(steps: Sequence[ShareStep]) -> Iterator[Share]:
    """The shares of the steps, in sequence.

    Raises:
        NotStaged: a step that gives no share, or comes before the one before it.
    """
    body: Body = {}
    headers: Mapping[str, str] = {}
    shares: list[Share] = []
    for step in steps:
        try:
            body, headers, moment = _staged(step, body, headers, shares)
            share = parse_share(orjson.dumps(body), headers, moment)
        except ShareError as error:
            raise StepError(step.spot, str(error)) from error
        if shares and share.received < shares[-1].received:
            raise StepError(step.spot, "`at` is before the share before it; to tell old news late, set its changedOn")
        shares.append(share)
        yield share


def _staged(
    step: ShareStep, before: Body, headers: Mapping[str, str], shares: Sequence[Share]
) -> tuple[Body, Mapping[str, str], float]:
    if step.document is not None:
        body, headers, moment = _opened(step.document, shares)
    else:
        body, moment = _continued(before), shares[-1].received + STEP
    if step.at is not None:
        moment = (shares[0].received if shares else moment) + step.at
    if step.at is not None or step.document is None:
        _incident(body).update(changedOn=int(moment), updatedOn=int(moment))
    return _changed(body, step, moment), {**headers, **step.headers}, moment


def _opened(document: bytes, shares: Sequence[Share]) -> tuple[Body, Mapping[str, str], float]:
    """A document's body and headers, and when it comes by itself."""
    found = parse_recorded_share(document)
    share = parse_share_file(document, {}, after=shares)
    return orjson.loads(share.body), found.headers, share.received


def _continued(body: Body) -> Body:
    """The share before, without what happened just then."""
    body = deepcopy(body)
    for place in (body, _incident(body), body.get("metadata")):
        if isinstance(place, dict):
            for name in (*_EVENTS, "comment"):
                place.pop(name, None)
    return body


def _changed(body: Body, step: ShareStep, moment: float) -> Body:
    incident = _incident(body)
    if step.state is not None:
        incident.update(_told_state(step.state, moment))
    if step.environment is not None:
        _metadata(body).update(environment=step.environment)
        _metadata(body).pop("environment_id", None)
    if step.tags:
        _set_tags(body, step.tags)
    if step.comment is not None:
        _metadata(body)["comment"] = {"comment": step.comment}
        body["event_types"] = [{"event": "incident#commented", "time": int(moment)}]
    body = _laid_over(body, step.over)
    for path in step.without:
        _left_out(body, path.split("."))
    return body


def _told_state(state: str, moment: float) -> Body:
    """A state as BigPanda tells it: an end leaves the status as it was."""
    if state == State.RESOLVED:
        return {"resolved": True, "active": False, "endedOn": int(moment)}
    return {"status": state.capitalize(), "resolved": False, "active": True, "endedOn": None}


def _set_tags(body: Body, tags: Mapping[str, JSON]) -> None:
    """Each tag is known by its id or its readable name; null takes it away."""
    place, name = next(
        ((place, name) for place in (body, _incident(body)) for name in _TAGS if isinstance(place.get(name), list)),
        (body, _TAGS[0]),
    )
    kept = [tag for tag in place.get(name, ()) if not (isinstance(tag, dict) and _named(tag, tags))]
    ids = {readable_tag_name(tag["id"]).casefold(): tag["id"] for tag in place.get(name, ()) if isinstance(tag, dict)}
    new = [{"id": ids.get(key.casefold(), key), "value": value} for key, value in tags.items() if value is not None]
    place[name] = [*kept, *new]


def _named(tag: Mapping[str, JSON], tags: Mapping[str, JSON]) -> bool:
    names = {str(tag.get("id", "")).casefold(), readable_tag_name(str(tag.get("id", ""))).casefold()}
    return any(key.casefold() in names for key in tags)


def _incident(body: Body) -> Body:
    """The object that holds the incident: the body itself where BigPanda's wrapper is missing."""
    found = body.get("incident")
    return found if isinstance(found, dict) else body


def _metadata(body: Body) -> Body:
    if not isinstance(body.get("metadata"), dict):
        body["metadata"] = {}
    found: Body = body["metadata"]
    return found


def _laid_over(value: JSON, over: JSON) -> JSON:
    """Mappings are merged; everything else is replaced."""
    if not (isinstance(value, dict) and isinstance(over, Mapping)):
        return over
    return {**value, **{name: _laid_over(value.get(name), part) for name, part in over.items()}}


def _left_out(body: JSON, path: Sequence[str]) -> None:
    for name in path[:-1]:
        body = body.get(name) if isinstance(body, dict) else None
    if isinstance(body, dict):
        body.pop(path[-1], None)
