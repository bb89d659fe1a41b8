"""Parse a whole share: what it says, how new it is, and the hash by which its repeats are known.

Only `incident.id` is required (https://docs.bigpanda.io/en/notifications-webhook.html documents the shape). A part that
is missing, in another place, spelled otherwise or of an unexpected type costs at most that part.
"""

import hashlib
from collections.abc import Mapping, Sequence

from relay.bigpanda.webhook import envelope as envelopes
from relay.bigpanda.webhook.blocks import CHANGED, UPDATED, read_blocks
from relay.bigpanda.webhook.headers import custom_headers
from relay.bigpanda.webhook.lenient_json import parse_json, to_json
from relay.bigpanda.webhook.share import RecordedShare, Share, ShareEvent
from relay.bigpanda.webhook.values import JsonObject, read_key, spellings, text_or_number, timestamp
from relay.model.json_types import JSON

_MAX_CLOCK_SKEW = 300
"""Seconds by which BigPanda's clock may be ahead of relay's."""
_HASH_DIGITS = 32

_RECEIVED = spellings("received")


def parse_share(body: bytes, headers: Mapping[str, str], received: float, *, key_header: str = "X-Relay-Key") -> Share:
    """Parse a webhook body that arrived with these headers at that time (Unix seconds).

    Shares with the same hash differ in `received` at most. Parsing the `body` of a share again gives the same share.

    Raises:
        NotJson: the body is not JSON.
        NoIncident: the body names no incident, or its id is too long.
    """
    envelope = envelopes.open_envelope(parse_json(body))
    normalised = to_json(envelope.body)
    kept = custom_headers(headers, key_header)
    events = envelopes.events(envelope)
    return Share(
        incident=envelopes.incident_id(envelope),
        received=received,
        as_of=_as_of(envelope.incident, events, received),
        hash=_hash(normalised, kept),
        body=normalised,
        headers=kept,
        blocks=read_blocks(envelope.incident, envelope.incident_or_body, envelope.anywhere),
        environment=envelopes.environment(envelope),
        sender=envelopes.sender(envelope),
        comment=envelopes.comment(envelope),
        events=events,
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
        headers={name: text for name, text in texts.items() if isinstance(text, str)},
        received=read_key(tree, _RECEIVED, timestamp, None),
    )


def _as_of(incident: JsonObject, events: Sequence[ShareEvent], received: float) -> float:
    """Return the latest time in the share. A time in relay's future is an error, and would hide all later shares."""
    changes: list[JSON] = [read_key(incident, keys, timestamp, None) for keys in (CHANGED, UPDATED)]
    times = (*changes, *(event.at for event in events))
    return max((time for time in times if time is not None and time <= received + _MAX_CLOCK_SKEW), default=received)


def _hash(body: bytes, headers: Mapping[str, str]) -> str:
    """Hash both. JSON holds no NUL, so a NUL separates them for sure."""
    return hashlib.sha256(body + b"\0" + to_json(headers)).hexdigest()[:_HASH_DIGITS]
