"""What comes with an incident: which object of a body is which, and what the metadata and the events say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relay.bigpanda.webhook.blocks import Place, person
from relay.bigpanda.webhook.share import ShareEvent
from relay.bigpanda.webhook.values import ABSENT, Absent, empty, filled, label, names, seconds, told, told_in, word
from relay.model.errors import NoIncident
from relay.model.incident import Environment, Person
from relay.model.json_types import JSON

_LONGEST_ID = 255

_INCIDENT = names("incident")
_ID = names("id", "incidentId")
_INCIDENT_ID = names("incidentId")
_METADATA = names("metadata")
_EVENTS = names("eventTypes", "eventType")
_EVENT_NAME = names("event", "eventType", "type", "name")
_EVENT_TIME = names("time", "timestamp", "at")
_SENDER = names("sender")
_ENVIRONMENT = names("environment", "environmentName")
_ENVIRONMENT_ID = names("environmentId")
_PART_NAME, _PART_ID = names("name"), names("id")
_COMMENT = names("comment")
_COMMENT_TEXT = names("comment", "text", "body", "message")

_KEYS_SHOWN = 8
_KEY_SHOWN = 40
_KINDS = {Absent: "nothing", type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The objects of a body that may hold something. Lists stand in the order in which they are asked.

    `whole` is the body. `incident` holds the id; it is `whole` where BigPanda's wrapper is missing. Its optional blocks
    stand `beside` it or inside it; what is said of the share itself, in the metadata or there too (`around`); the
    events, beside it or in the metadata.
    """

    whole: Place
    incident: Place
    beside: Sequence[Place]
    metadata: Sequence[Place]
    around: Sequence[Place]


def places(tree: JSON) -> Places:
    """Tell a body's objects apart; an array of one item counts as that item.

    Raises:
        NoIncident: the body is no object.
    """
    whole = _object(tree)
    if whole is ABSENT:
        raise NoIncident(f"The body has no incident.id: expected a JSON object, found {_described(tree)}.")
    incident = told(whole, _INCIDENT, _object, whole)
    beside = (whole,) if incident is whole else (whole, incident)
    found = (told(place, _METADATA, _object) for place in beside)
    metadata = tuple(place for place in found if place is not ABSENT)
    return Places(whole=whole, incident=incident, beside=beside, metadata=metadata, around=(*metadata, *beside))


def incident_id(among: Places) -> str:
    """The incident's id, a non-empty string or an integer's digits.

    An envelope's own `id` may be anything (a delivery's, say), but its `incident_id` can only be the incident's.

    Raises:
        NoIncident: there is none, or it is too long to be one.
    """
    found = told(among.incident, _ID, filled, told(among.whole, _INCIDENT_ID, filled))
    if found is ABSENT:
        there = _described(told(among.incident, _ID, _anything))
        raise NoIncident(
            f"The body has no incident.id: expected a non-empty string, found {there} in {_described(among.incident)}."
        )
    if len(found) > _LONGEST_ID:
        raise NoIncident(f"The body's incident.id has {len(found)} characters; relay takes at most {_LONGEST_ID}.")
    return str(found)


def events(among: Places) -> tuple[ShareEvent, ...]:
    """What happened, in the order given and with repetitions; names that nobody knows pass."""
    found: tuple[ShareEvent, ...] = told_in((*among.beside, *among.metadata), _EVENTS, _events, ())
    return found


def environment(among: Places) -> Environment | None:
    """Where it was shared from: name and id, each from where it is told; `environment` may also hold both."""
    both = told_in(among.around, _ENVIRONMENT, _object, {})
    name = told_in(among.around, _ENVIRONMENT, label, None) or told(both, _PART_NAME, label, None) or ""
    known_by = told_in(among.around, _ENVIRONMENT_ID, filled, None) or told(both, _PART_ID, filled, None) or ""
    return Environment(name=name, id=known_by) if name or known_by else None


def sender(among: Places) -> Person | None:
    """Who shared it."""
    found = told_in(among.around, _SENDER, person, None)
    return Person(**found) if found else None


def comment(among: Places) -> str | None:
    """The comment that this share is about."""
    found: str | None = told_in(among.around, _COMMENT, _comment, None)
    return found


def _object(value: JSON) -> Mapping[str, JSON] | Absent:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else ABSENT


def _anything(value: JSON) -> JSON:
    return value


def _events(value: JSON) -> tuple[ShareEvent, ...] | Absent:
    """Items {event, time} or bare names; a single one needs no list."""
    if empty(value):
        return ()
    items = value if isinstance(value, list) else [value]
    return tuple(event for item in items if (event := _event(item))) or ABSENT


def _event(value: JSON) -> ShareEvent | None:
    place = value if isinstance(value, dict) else {"event": value}
    name = told(place, _EVENT_NAME, word, None)
    return ShareEvent(name=name, at=told(place, _EVENT_TIME, seconds, None)) if name else None


def _comment(value: JSON) -> str | Absent | None:
    """`{"comment": text}`, or the bare text."""
    if isinstance(value, dict) and value:
        value = told(value, _COMMENT_TEXT, word)
    return None if empty(value) else word(value)


def _described(found: JSON) -> str:
    """What stands there, for a sentence; of an object its keys, never its values."""
    if isinstance(found, dict):
        shown = ", ".join(key[:_KEY_SHOWN] for key in sorted(found)[:_KEYS_SHOWN])
        more = ", ..." if len(found) > _KEYS_SHOWN else ""
        return f"an object with the keys {shown}{more}" if found else "an empty object"
    if isinstance(found, list):
        return f"an array of {len(found)} items"
    return "an empty string" if found == "" else _KINDS[type(found)]
