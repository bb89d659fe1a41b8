"""The share as a whole: what it tells, how new it is, and by what its repeats are known."""

import hashlib
from collections.abc import Mapping, Sequence

from relay.bigpanda.webhook import envelope
from relay.bigpanda.webhook.blocks import CHANGED, UPDATED, Place, read_blocks
from relay.bigpanda.webhook.headers import custom_headers
from relay.bigpanda.webhook.lenient_json import parse_json, to_json
from relay.bigpanda.webhook.share import RecordedShare, Share, ShareEvent
from relay.bigpanda.webhook.values import label, names, seconds, told
from relay.model.json_types import JSON

_FUTURE_ALLOWED = 300
"""Seconds by which BigPanda's clock may be ahead of ours."""
_HASH_DIGITS = 32

_RECEIVED = names("received")


def parse_share(body: bytes, headers: Mapping[str, str], received: float, *, key_header: str = "X-Relay-Key") -> Share:
    """Read a webhook body that arrived with these headers at that moment (Unix seconds).

    Only `incident.id` is required: https://docs.bigpanda.io/en/notifications-webhook.html documents a shape, and what
    is absent, misplaced, spelled otherwise or of the wrong type costs at most that part. Shares of equal hash are equal
    but for `received`, and parsing the `body` of a share again gives that share.

    Raises:
        NotJson: the body is not JSON.
        NoIncident: nothing in it names an incident, or its name is too long to be one.
    """
    places = envelope.places(parse_json(body))
    normal = to_json(places.whole)
    kept = custom_headers(headers, key_header)
    events = envelope.events(places)
    return Share(
        incident=envelope.incident_id(places),
        received=received,
        as_of=_news(places.incident, events, received),
        hash=_hash(normal, kept),
        body=normal,
        headers=kept,
        blocks=read_blocks(places.incident, places.beside, places.around),
        environment=envelope.environment(places),
        sender=envelope.sender(places),
        comment=envelope.comment(places),
        events=events,
    )


def parse_recorded_share(document: bytes) -> RecordedShare:
    """Read a SHARE.json: a webhook body, or a recorded share `{"received": ..., "headers": {...}, "body": {...}}`.

    A body that was recorded as text is taken as that text. Whether it is a share at all is for `parse` to say.

    Raises:
        NotJson: the document is not JSON.
    """
    tree = parse_json(document)
    if not isinstance(tree, dict) or "body" not in tree or "incident" in tree:
        return RecordedShare(body=document)
    body = tree["body"]
    return RecordedShare(
        body=body.encode() if isinstance(body, str) else to_json(body),
        headers=_recorded_headers(tree.get("headers")),
        received=told(tree, _RECEIVED, seconds, None),
    )


def _recorded_headers(value: JSON) -> dict[str, str]:
    headers = value if isinstance(value, dict) else {}
    return {name: text for name, written in headers.items() if isinstance(text := label(written), str)}


def _news(incident: Place, events: Sequence[ShareEvent], received: float) -> float:
    """The latest moment told; one ahead of our own clock is an error that would shut out what comes after it."""
    changes: list[float | None] = [told(incident, spellings, seconds, None) for spellings in (CHANGED, UPDATED)]
    times = (*changes, *(event.at for event in events))
    return max((time for time in times if time is not None and time <= received + _FUTURE_ALLOWED), default=received)


def _hash(body: bytes, headers: Mapping[str, str]) -> str:
    """JSON holds no NUL, so body and headers cannot run into one another."""
    return hashlib.sha256(body + b"\0" + to_json(headers)).hexdigest()[:_HASH_DIGITS]
