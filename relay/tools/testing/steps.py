"""Turns the shares of a test file into real shares: each is a document, or the share before it, with changes."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import orjson

from relay.bigpanda.webhook.parsing import parse_recorded_share, parse_share
from relay.bigpanda.webhook.share import Share
from relay.http.json_fields import as_object
from relay.http.lenient_json import parse_json
from relay.model.errors import ShareError
from relay.model.incident import State, parse_state
from relay.model.json_types import JSON
from relay.model.tag_labels import readable_tag_name
from relay.routes.yaml_reader.context import Position
from relay.tools.share_files import STEP, parse_share_file
from relay.tools.testing.model import ShareSpec

Body = dict[str, Any]

_EVENTS = ("event_types", "eventTypes", "event_type", "eventType")
_TAGS = ("incidentTags", "incident_tags")


class StepError(Exception):
    """A share of a test that cannot be built; the message says why."""

    def __init__(self, position: Position, message: str) -> None:
        super().__init__(message)
        self.position = position


def build_shares(specs: Sequence[ShareSpec], zone: str = "UTC") -> Iterator[Share]:
    """Build the shares of a test, in sequence; `zone` is that of moments that name a time of the day.

    Raises StepError if one is not a share, or its time is before that of the share before it.
    """
    body: Body = {}
    headers: Mapping[str, str] = {}
    shares: list[Share] = []
    for spec in specs:
        try:
            body, headers, time = _build(spec, body, headers, shares, zone)
            share = parse_share(orjson.dumps(body), headers, time)
        except ShareError as error:
            raise StepError(spec.position, str(error)) from error
        if shares and share.received < shares[-1].received:
            message = "`at` is before the time of the share before it; to send an old state late, set its changedOn"
            raise StepError(spec.position, message)
        shares.append(share)
        yield share


def copies_of(share: Share, number: int) -> Iterator[Share]:
    """The shares of so many incidents like this one, itself with them: one each second."""
    yield share
    for index in range(1, number):
        body: Body = dict(as_object(parse_json(share.body)))
        _incident(body)["id"] = f"{share.incident}-{index + 1}"
        yield parse_share(orjson.dumps(body), share.headers, share.received + index)


def _build(
    spec: ShareSpec, previous: Body, headers: Mapping[str, str], shares: Sequence[Share], zone: str
) -> tuple[Body, Mapping[str, str], float]:
    if spec.document is not None:
        share = parse_share_file(spec.document, {}, after=shares)
        body, time = dict(as_object(parse_json(share.body))), share.received
        headers = parse_recorded_share(spec.document).headers
    else:
        body, time = _without_events(previous), shares[-1].received + STEP
    if spec.at is not None:
        first, previous_time = (shares[0].received, shares[-1].received) if shares else (time, time)
        time = spec.at.resolve(first, previous_time, zone)
    if spec.at is not None or spec.document is None:
        _incident(body).update(changedOn=int(time), updatedOn=int(time))
    return _apply_changes(body, spec, time), {**headers, **spec.headers}, time


def _without_events(body: Body) -> Body:
    body = deepcopy(body)
    for place in (body, _incident(body), body.get("metadata")):
        if isinstance(place, dict):
            for name in (*_EVENTS, "comment"):
                place.pop(name, None)
    return body


def _apply_changes(body: Body, spec: ShareSpec, time: float) -> Body:
    if spec.state == State.RESOLVED:  # a resolved incident keeps its status
        _incident(body).update(resolved=True, active=False, endedOn=int(time))
    elif spec.state is not None:
        _incident(body).update(status=spec.state.capitalize(), resolved=False, active=True, endedOn=None)
        _limit_alerts(body, State(spec.state))
    if spec.environment is not None:
        _metadata(body).update(environment=spec.environment)
        _metadata(body).pop("environment_id", None)
    if spec.tags:
        _set_tags(body, spec.tags)
    if spec.comment is not None:
        _metadata(body)["comment"] = {"comment": spec.comment}
        body["event_types"] = [{"event": "incident#commented", "time": int(time)}]
    body = _merge(body, spec.overrides)
    for path in spec.without:
        _remove(body, *path.split("."))
    return body


def _limit_alerts(body: Body, state: State) -> None:
    """No alert is worse than the incident: BigPanda gives an incident the state of its worst alert."""
    alerts = _incident(body).get("alerts")
    for alert in alerts if isinstance(alerts, list) else ():
        status = alert.get("status") if isinstance(alert, dict) else None
        if isinstance(status, str) and parse_state(status).rank > state.rank:
            alert["status"] = state.capitalize()


def _remove(body: JSON, name: str, *inside: str) -> None:
    if isinstance(body, dict) and inside:
        _remove(body.get(name), *inside)
    elif isinstance(body, dict):
        body.pop(name, None)


def _set_tags(body: Body, tags: Mapping[str, JSON]) -> None:
    """Set tags by id or readable name; null removes a tag."""
    place, name = next(
        ((place, name) for place in (body, _incident(body)) for name in _TAGS if isinstance(place.get(name), list)),
        (body, _TAGS[0]),
    )
    present = place.get(name, ())
    ids = {readable_tag_name(tag["id"]).casefold(): tag["id"] for tag in present if isinstance(tag, dict)}
    changed = {key.casefold() for key in tags}
    kept = [
        tag
        for tag in present
        if not (isinstance(tag, dict) and changed & {tag["id"].casefold(), readable_tag_name(tag["id"]).casefold()})
    ]
    new = [{"id": ids.get(key.casefold(), key), "value": value} for key, value in tags.items() if value is not None]
    place[name] = [*kept, *new]


def _incident(body: Body) -> Body:
    """The object with the incident: the body itself if BigPanda's wrapper is missing."""
    incident = body.get("incident")
    return incident if isinstance(incident, dict) else body


def _metadata(body: Body) -> Body:
    metadata = body["metadata"] = body["metadata"] if isinstance(body.get("metadata"), dict) else {}
    return metadata


def _merge(value: JSON, overrides: JSON) -> JSON:
    """Merge mappings; replace everything else."""
    if not (isinstance(value, dict) and isinstance(overrides, Mapping)):
        return overrides
    return {**value, **{name: _merge(value.get(name), part) for name, part in overrides.items()}}
