"""Parse a whole share: what it says, how new it is, and the hash by which its repeats are known.

Only `incident.id` is required (https://docs.bigpanda.io/en/notifications-webhook.html documents the shape). A part that
is missing, in another place, spelled otherwise or of an unexpected type costs at most that part. Accepted: the body in
an array of one item, an incident without BigPanda's wrapper, and fields beside the incident, inside it or in the
metadata.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from relay.bigpanda.webhook.blocks import CHANGED, UPDATED, person, read_blocks
from relay.bigpanda.webhook.headers import custom_headers
from relay.bigpanda.webhook.share import ReceivedShare, RecordedShare, Share, ShareEvent
from relay.bigpanda.webhook.values import (
    ABSENT,
    Absent,
    JsonObject,
    is_empty,
    read_items,
    read_key,
    read_key_in,
    required_id,
    spellings,
    text,
    text_or_number,
    timestamp,
    written,
)
from relay.http.lenient_json import parse_json, to_json
from relay.model.bounds import (
    LONGEST_COMMENT,
    LONGEST_WORD,
    MAX_EVENTS,
    MAX_ID_LENGTH,
    bound_blocks,
    bound_text,
    bound_texts,
)
from relay.model.errors import NoIncident
from relay.model.incident import Environment, Person
from relay.model.json_types import JSON

_ID = spellings("id", "incidentId")
_INCIDENT_ID = spellings("incidentId")
_EVENTS = spellings("eventTypes", "eventType")
_EVENT_NAME = spellings("event", "eventType", "type", "name")
_EVENT_TIME = spellings("time", "timestamp", "at")
_ENVIRONMENT = spellings("environment", "environmentName")
_ENVIRONMENT_ID = spellings("environmentId")
_COMMENT_TEXT = spellings("comment", "text", "body", "message")

MAX_BIGPANDA_SKEW = 300
"""Seconds by which BigPanda's clock may be ahead of relay's."""
_HASH_DIGITS = 32
_IDENTITY = ReceivedShare.__struct_fields__
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([\w-]+)", re.IGNORECASE)
_MAX_ENVIRONMENTS = 50
_MAX_KEYS_SHOWN, _MAX_KEY_SHOWN = 8, 40
_TYPES = {Absent: "nothing", type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string"}


def identify_share(
    body: bytes, headers: Mapping[str, str], received: float, *, key_header: str = "X-Relay-Key"
) -> ReceivedShare:
    """Read as much of a webhook body as is needed to store it: whose incident it is, and its hash.

    `headers` are those with which it arrived at that time (Unix seconds). Shares with the same hash differ in
    `received` at most.

    Raises:
        NotJson: the body is not JSON.
        NoIncident: the body names no incident, or its id is too long.
    """
    return ReceivedShare(**_identity(*_objects(body, headers), headers, received, key_header))


def parse_share(body: bytes, headers: Mapping[str, str], received: float, *, key_header: str = "X-Relay-Key") -> Share:
    """Parse a webhook body that arrived with these headers at that time (Unix seconds).

    The values of the share are within the bounds of `relay.model.bounds`; its `body` is complete. Parsing the `body` of
    a share again gives the same share.

    Raises:
        NotJson, NoIncident: as `identify_share`.
    """
    share, incident = _objects(body, headers)
    return _parsed(share, incident, received, _identity(share, incident, headers, received, key_header))


def parse_identified(share: ReceivedShare) -> Share:
    """Parse a share that `identify_share` returned: the same as `parse_share` of what arrived, in less time.

    Raises:
        NotJson, NoIncident: its body is not one that `identify_share` makes.
    """
    tree, incident = _objects(share.body, {})
    return _parsed(tree, incident, share.received, {name: getattr(share, name) for name in _IDENTITY})


def _parsed(share: JsonObject, incident: JsonObject, received: float, identity: Mapping[str, Any]) -> Share:
    """Parse what the share says; `identity` is the fields of `ReceivedShare`."""
    incident_or_body = (share,) if incident is share else (share, incident)
    found = (read_key(source, ("metadata",), _object) for source in incident_or_body)
    metadata = tuple(source for source in found if source is not ABSENT)
    anywhere = (*metadata, *incident_or_body)  # each is in the order to try

    blocks, omitted = bound_blocks(read_blocks(incident, incident_or_body, anywhere))
    events = read_key_in((*incident_or_body, *metadata), _EVENTS, lambda value: read_items(value, _event), [])
    newest = sorted(events, key=lambda event: -(event.at or 0))[:MAX_EVENTS] if len(events) > MAX_EVENTS else events
    sender = read_key_in(anywhere, ("sender",), person, None)
    comment = read_key_in(anywhere, ("comment",), _comment, None)
    return Share(
        **identity,
        as_of=_as_of(incident, events, received),
        blocks=blocks,
        omitted=omitted | ({"events": {"events": len(events) - len(newest)}} if newest is not events else {}),
        environments=_environments(anywhere),
        sender=Person(**bound_texts(sender, MAX_ID_LENGTH)) if sender else None,
        comment=comment and bound_text(comment, LONGEST_COMMENT),
        events=tuple(newest),
    )


def parse_recorded_share(document: bytes) -> RecordedShare:
    """Parse a SHARE.json: a webhook body, or a recorded share `{"received": ..., "headers": {...}, "body": {...}}`.

    A `body` that is a string is that text. Whether the body is a share is for `parse_share` to decide.

    Raises:
        NotJson: the document is not JSON.
    """
    tree = parse_json(document)
    if not isinstance(tree, dict) or "body" not in tree or "incident" in tree:
        return RecordedShare(body=document)
    body, headers = tree["body"], tree.get("headers")
    texts = {name: text_or_number(value) for name, value in headers.items()} if isinstance(headers, dict) else {}
    return RecordedShare(
        body=body.encode() if isinstance(body, str) else to_json(body),
        headers={name: value for name, value in texts.items() if isinstance(value, str)},
        received=read_key(tree, ("received",), timestamp, None),
    )


def _objects(body: bytes, headers: Mapping[str, str]) -> tuple[JsonObject, JsonObject]:
    """The body as an object, and the incident in it, which may be the same object."""
    tree = parse_json(body, _charset(headers))
    share = _object(tree)
    if isinstance(share, Absent):
        raise NoIncident(f"The body has no incident.id: expected a JSON object, found {_described(tree)}.")
    return share, read_key(share, ("incident",), _object, share)


def _identity(
    share: JsonObject, incident: JsonObject, headers: Mapping[str, str], received: float, key_header: str
) -> dict[str, Any]:
    """The fields of `ReceivedShare`."""
    normalised = to_json(share)
    kept = custom_headers(headers, key_header)
    return {
        "incident": _incident_id(share, incident),
        "received": received,
        # JSON holds no NUL, so a NUL separates body and headers for sure.
        "hash": _hash(normalised, b"\0", to_json(kept)),
        "body": normalised,
        "headers": kept,
    }


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:_HASH_DIGITS]


def _charset(headers: Mapping[str, str]) -> str:
    """The encoding of the body, where its Content-Type names one."""
    content_type = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    found = _CHARSET.search(content_type)
    return found[1] if found else ""


def _incident_id(share: JsonObject, incident: JsonObject) -> str:
    """Return the incident's id, a non-empty string or an integer's digits.

    The body's own `id` may be anything (a delivery's, for example), but its `incident_id` can only be the incident's.
    """
    found = read_key(incident, _ID, required_id, read_key(share, _INCIDENT_ID, required_id))
    if found is ABSENT:
        value = _described(read_key(incident, _ID, lambda value: value))
        raise NoIncident(
            f"The body has no incident.id: expected a non-empty string, found {value} in {_described(incident)}."
        )
    if len(found) > MAX_ID_LENGTH:
        raise NoIncident(f"The body's incident.id has {len(found)} characters; relay takes at most {MAX_ID_LENGTH}.")
    return str(found)


def _as_of(incident: JsonObject, events: Sequence[ShareEvent], received: float) -> float:
    """Return the latest time in the share. A time in relay's future is an error, and would hide all later shares."""
    changes: list[JSON] = [read_key(incident, keys, timestamp, None) for keys in (CHANGED, UPDATED)]
    times = (*changes, *(event.at for event in events))
    return max((time for time in times if time is not None and time <= received + MAX_BIGPANDA_SKEW), default=received)


def _environments(anywhere: Sequence[JsonObject]) -> tuple[Environment, ...]:
    """Return where the share comes from: one environment, or a list of them.

    Names and ids may be in different objects; an environment may also be an object that holds both.
    """
    listed = read_key_in(anywhere, _ENVIRONMENT, _one_or_many, [])
    names = listed if isinstance(listed, list) else [listed]
    ids = read_key_in(anywhere, _ENVIRONMENT_ID, _one_or_many, [])
    pairs = zip_longest(names[:_MAX_ENVIRONMENTS], (ids if isinstance(ids, list) else [ids])[:_MAX_ENVIRONMENTS])
    return tuple(dict.fromkeys(filter(None, (_environment(name, found_id) for name, found_id in pairs))))


def _one_or_many(value: JSON) -> JSON:
    return value if value and value is not True else ABSENT


def _environment(value: JSON, found_id: JSON) -> Environment | None:
    both = value if isinstance(value, dict) else {"name": value}
    name = read_key(both, ("name",), text_or_number, None) or ""
    environment_id = read_key({"given": found_id, **both}, ("given", "id"), _environment_id, "")
    return Environment(name=bound_text(name, MAX_ID_LENGTH), id=environment_id) if name or environment_id else None


def _environment_id(value: JSON) -> str | Absent:
    found = ABSENT if isinstance(value, float) else text_or_number(value)
    return found if isinstance(found, str) and len(found) <= MAX_ID_LENGTH else ABSENT


def _object(value: JSON) -> JsonObject | Absent:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else ABSENT


def _event(value: JSON) -> ShareEvent | Absent:
    """Read {event, time}, or a bare name."""
    source = value if isinstance(value, dict) else {"event": value}
    name = read_key(source, _EVENT_NAME, text, None)
    return (
        ShareEvent(name=bound_text(name, LONGEST_WORD), at=read_key(source, _EVENT_TIME, timestamp, None))
        if name
        else ABSENT
    )


def _comment(value: JSON) -> str | Absent | None:
    """Read `{"comment": text}`, or the bare text."""
    if isinstance(value, dict) and value:
        value = read_key(value, _COMMENT_TEXT, written)
    return None if is_empty(value) else written(value)


def _described(value: JSON) -> str:
    """Describe a value for a sentence: of an object its keys, never its values."""
    if isinstance(value, dict):
        keys = ", ".join(key[:_MAX_KEY_SHOWN] for key in sorted(value)[:_MAX_KEYS_SHOWN])
        more = ", ..." if len(value) > _MAX_KEYS_SHOWN else ""
        return f"an object with the keys {keys}{more}" if value else "an empty object"
    if isinstance(value, list):
        return f"an array of {len(value)} items"
    return "an empty string" if value == "" else _TYPES[type(value)]
