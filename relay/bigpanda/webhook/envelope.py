"""Open the envelope of an incident: which object of the body is which, and what the metadata and the events say.

Accepted: the body in an array of one item, an incident without BigPanda's wrapper, and fields beside the incident,
inside it or in the metadata.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.bigpanda.webhook.blocks import person
from relay.bigpanda.webhook.share import ShareEvent
from relay.bigpanda.webhook.values import (
    ABSENT,
    MAX_ID_LENGTH,
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
)
from relay.model.errors import NoIncident
from relay.model.incident import Environment, Person
from relay.model.json_types import JSON

_INCIDENT = spellings("incident")
_ID = spellings("id", "incidentId")
_INCIDENT_ID = spellings("incidentId")
_METADATA = spellings("metadata")
_EVENTS = spellings("eventTypes", "eventType")
_EVENT_NAME = spellings("event", "eventType", "type", "name")
_EVENT_TIME = spellings("time", "timestamp", "at")
_SENDER = spellings("sender")
_ENVIRONMENT = spellings("environment", "environmentName")
_ENVIRONMENT_ID = spellings("environmentId")
_PART_NAME, _PART_ID = spellings("name"), spellings("id")
_COMMENT = spellings("comment")
_COMMENT_TEXT = spellings("comment", "text", "body", "message")

_MAX_KEYS_SHOWN, _MAX_KEY_SHOWN = 8, 40
_TYPES = {Absent: "nothing", type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The objects of a body. `incident` has the id; it is `body` itself where BigPanda's wrapper is missing.

    The sequences are in the order to try. The incident's optional blocks are in the body or in the incident
    (`incident_or_body`). Facts about the share itself are in the metadata or there too (`anywhere`).
    """

    body: JsonObject
    incident: JsonObject
    incident_or_body: Sequence[JsonObject]
    metadata: Sequence[JsonObject]
    anywhere: Sequence[JsonObject]


def open_envelope(tree: JSON) -> Envelope:
    """Tell a body's objects apart.

    Raises:
        NoIncident: the body is no object.
    """
    body = _object(tree)
    if body is ABSENT:
        raise NoIncident(f"The body has no incident.id: expected a JSON object, found {_described(tree)}.")
    incident = read_key(body, _INCIDENT, _object, body)
    incident_or_body = (body,) if incident is body else (body, incident)
    found = (read_key(source, _METADATA, _object) for source in incident_or_body)
    metadata = tuple(source for source in found if source is not ABSENT)
    return Envelope(
        body=body,
        incident=incident,
        incident_or_body=incident_or_body,
        metadata=metadata,
        anywhere=(*metadata, *incident_or_body),
    )


def incident_id(envelope: Envelope) -> str:
    """Return the incident's id, a non-empty string or an integer's digits.

    The body's own `id` may be anything (a delivery's, for example), but its `incident_id` can only be the incident's.

    Raises:
        NoIncident: there is no id, or it is too long.
    """
    found = read_key(envelope.incident, _ID, required_id, read_key(envelope.body, _INCIDENT_ID, required_id))
    if found is ABSENT:
        value = _described(read_key(envelope.incident, _ID, lambda value: value))
        raise NoIncident(
            f"The body has no incident.id: expected a non-empty string, found {value} in "
            f"{_described(envelope.incident)}."
        )
    if len(found) > MAX_ID_LENGTH:
        raise NoIncident(f"The body's incident.id has {len(found)} characters; relay takes at most {MAX_ID_LENGTH}.")
    return str(found)


def events(envelope: Envelope) -> tuple[ShareEvent, ...]:
    """Return the events in their order, with repetitions and with unknown names."""
    return tuple(read_key_in((*envelope.incident_or_body, *envelope.metadata), _EVENTS, _events, ()))


def environment(envelope: Envelope) -> Environment | None:
    """Return where the share comes from. Name and id may be in different objects; `environment` may hold both."""
    both = read_key_in(envelope.anywhere, _ENVIRONMENT, _object, {})
    name = read_key_in(envelope.anywhere, _ENVIRONMENT, text_or_number, None)
    name = name or read_key(both, _PART_NAME, text_or_number, None) or ""
    found_id = read_key_in(envelope.anywhere, _ENVIRONMENT_ID, required_id, None)
    found_id = found_id or read_key(both, _PART_ID, required_id, None) or ""
    return Environment(name=name, id=found_id) if name or found_id else None


def sender(envelope: Envelope) -> Person | None:
    """Return who shared the incident."""
    found = read_key_in(envelope.anywhere, _SENDER, person, None)
    return Person(**found) if found else None


def comment(envelope: Envelope) -> str | None:
    """Return the comment that the share reports."""
    found: str | None = read_key_in(envelope.anywhere, _COMMENT, _comment, None)
    return found


def _object(value: JSON) -> JsonObject | Absent:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else ABSENT


def _events(value: JSON) -> list[JSON] | Absent:
    """Read items {event, time}, or bare names."""
    return read_items(value, _event)


def _event(value: JSON) -> ShareEvent | Absent:
    source = value if isinstance(value, dict) else {"event": value}
    name = read_key(source, _EVENT_NAME, text, None)
    return ShareEvent(name=name, at=read_key(source, _EVENT_TIME, timestamp, None)) if name else ABSENT


def _comment(value: JSON) -> str | Absent | None:
    """Read `{"comment": text}`, or the bare text."""
    if isinstance(value, dict) and value:
        value = read_key(value, _COMMENT_TEXT, text)
    return None if is_empty(value) else text(value)


def _described(value: JSON) -> str:
    """Describe a value for a sentence: of an object its keys, never its values."""
    if isinstance(value, dict):
        keys = ", ".join(key[:_MAX_KEY_SHOWN] for key in sorted(value)[:_MAX_KEYS_SHOWN])
        more = ", ..." if len(value) > _MAX_KEYS_SHOWN else ""
        return f"an object with the keys {keys}{more}" if value else "an empty object"
    if isinstance(value, list):
        return f"an array of {len(value)} items"
    return "an empty string" if value == "" else _TYPES[type(value)]
