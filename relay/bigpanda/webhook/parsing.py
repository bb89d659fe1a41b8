"""The share as a whole: what it tells, how new it is, and by what its repeats are known."""

import hashlib
from collections.abc import Mapping, Sequence

from relay.bigpanda.webhook import envelope
from relay.bigpanda.webhook.blocks import CHANGED, UPDATED, Place, read_blocks
from relay.bigpanda.webhook.headers import custom
from relay.bigpanda.webhook.share import Event, Recorded, Share
from relay.bigpanda.webhook.strict_json import dump, load
from relay.bigpanda.webhook.values import label, names, seconds, told
from relay.model.incident import JSON

_FUTURE_ALLOWED = 300
"""Seconds by which BigPanda's clock may be ahead of ours."""
_HASH_DIGITS = 32

_RECEIVED = names("received")


def parse(body: bytes, headers: Mapping[str, str], received: float, *, key_header: str = "X-Relay-Key") -> Share:
    """Read a webhook body that arrived with these headers at that moment (Unix seconds).

    Only `incident.id` is required: https://docs.bigpanda.io/en/notifications-webhook.html documents a shape, and what
    is absent, misplaced, spelled otherwise or of the wrong type costs at most that part. Shares of equal hash are equal
    but for `received`, and parsing the `body` of a share again gives that share.

    Raises:
        NotJson: the body is not JSON.
        NoIncident: nothing in it names an incident, or its name is too long to be one.
    """
    places = envelope.places(load(body))
    normal = dump(places.whole)
    kept = custom(headers, key_header)
    events = envelope.events(places)
    return Share(
        incident=envelope.incident_id(places),
        received=received,
        news=_news(places.incident, events, received),
        hash=_hash(normal, kept),
        body=normal,
        headers=kept,
        blocks=read_blocks(places.incident, places.beside, places.around),
        environment=envelope.environment(places),
        sender=envelope.sender(places),
        comment=envelope.comment(places),
        events=events,
    )


def recorded(document: bytes) -> Recorded:
    """Read a SHARE.json: a webhook body, or a recorded share `{"received": ..., "headers": {...}, "body": {...}}`.

    A body that was recorded as text is taken as that text. Whether it is a share at all is for `parse` to say.

    Raises:
        NotJson: the document is not JSON.
    """
    tree = load(document)
    if not isinstance(tree, dict) or "body" not in tree or "incident" in tree:
        return Recorded(body=document)
    body = tree["body"]
    return Recorded(
        body=body.encode() if isinstance(body, str) else dump(body),
        headers=_recorded_headers(tree.get("headers")),
        received=told(tree, _RECEIVED, seconds, None),
    )


def _recorded_headers(value: JSON) -> dict[str, str]:
    headers = value if isinstance(value, dict) else {}
    return {name: text for name, written in headers.items() if isinstance(text := label(written), str)}


def _news(incident: Place, events: Sequence[Event], received: float) -> float:
    """The latest moment told; one ahead of our own clock is an error that would shut out what comes after it."""
    changes: list[float | None] = [told(incident, spellings, seconds, None) for spellings in (CHANGED, UPDATED)]
    times = (*changes, *(event.at for event in events))
    return max((time for time in times if time is not None and time <= received + _FUTURE_ALLOWED), default=received)


def _hash(body: bytes, headers: Mapping[str, str]) -> str:
    """JSON holds no NUL, so body and headers cannot run into one another."""
    return hashlib.sha256(body + b"\0" + dump(headers)).hexdigest()[:_HASH_DIGITS]
