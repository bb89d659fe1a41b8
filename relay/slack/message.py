"""A Slack message as relay makes it."""

import hashlib
import hmac
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, cast, get_args

import orjson

from relay.http.json_fields import JsonObject, object_field, text_field

Blocks = tuple[dict[str, Any], ...]
"""Block Kit blocks in the shape of Slack's API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, within every limit of `relay.slack.limits`.

    `text` is the notification: one line, at most 4,000 characters. `blocks` are on top. `attachments` has at most one
    coloured attachment. Relay always sends all three, since an edit keeps what it does not name
    (https://docs.slack.dev/reference/methods/chat.update).
    """

    text: str
    blocks: Blocks = ()
    attachments: Blocks = ()

    def payload(self) -> dict[str, Any]:
        """Return the arguments of chat.postMessage and chat.update."""
        return {
            "text": self.text,
            "blocks": list(self.blocks),
            "attachments": list(self.attachments),
            "unfurl_links": False,
            "unfurl_media": False,
        }

    @property
    def fingerprint(self) -> str:
        """The same for the same message. Compare this, since Slack's echo of a message differs from what was sent."""
        return hashlib.sha256(orjson.dumps(self.payload(), option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def marker_key(secret: str, key: str) -> str:
    """Return the key in the marker of an attempt: its own key, which others can compute, under a stored secret."""
    return hmac.digest(secret.encode(), key.encode(), "sha256").hex()[:32]


DEFAULT_INSTANCE = "relay"
"""The name of a relay that has no name of its own (the setting RELAY_NAME)."""

EventType = Literal[
    "relay_card",
    "relay_entry",
    "relay_notice",
    "relay_held",
    "relay_storm",
    "relay_catch_up",
    "relay_reminders",
    "relay_summary",
]
_EVENT_TYPES = get_args(EventType)
OVER = "over"
"""The `state` of a message that is not changed any more: what it says has ended."""

_LONGEST = 200
"""Characters of a text in a marker; `entries` may be longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What relay recognises its message by, in Slack's message metadata (https://docs.slack.dev/messaging/message-metadata).

    Every app and member of the workspace can read it, so it holds no secret. `key` is the same for every attempt at
    this message. Nobody who does not know the database can compute the key of a message of delivery (`marker_key`).

    The rest is for a database that does not know the message: `instance` is the name of the relay, and `episode` and
    `generation` number the card. `state` is the incident's, as of `as_of` by BigPanda's clock. `ended` is when it ended
    (Unix seconds; 0: not set). `worst` is the worst state that the thread has pinged for. BigPanda finds the
    incident in the environment with the id `environment`. `series` is the key of a bulletin.

    Of a reply, `entries` says what it reports, and `digest` stands for all of that.
    """

    event_type: EventType
    incident: str
    key: str
    instance: str = DEFAULT_INSTANCE
    episode: int = 0
    generation: int = 0
    route: str = ""
    series: str = ""
    environment: str = ""
    state: str = ""
    worst: str = ""
    as_of: int = 0
    ended: int = 0
    digest: str = ""
    entries: str = ""

    @property
    def kind(self) -> str:
        """What it is on: `card`, `entry` (a reply), `notice`, or the kind of a bulletin."""
        return self.event_type.removeprefix("relay_")

    def metadata(self) -> dict[str, Any]:
        """Return the argument `metadata` of chat.postMessage and chat.update."""
        values = {name: getattr(self, name) for name in _FIELDS}
        rest = {name: value for name, value in values.items() if value}
        payload = {"incident": self.incident, "key": self.key, "kind": self.kind, **rest}
        return {"event_type": self.event_type, "event_payload": payload}

    @classmethod
    def from_metadata(cls, metadata: JsonObject) -> Self | None:
        """Read the metadata of a message; None if it is none of relay's. Anybody may have written it."""
        payload, event_type = object_field(metadata, "event_payload"), text_field(metadata, "event_type")
        if event_type not in _EVENT_TYPES or not text_field(payload, "key"):
            return None
        texts: dict[str, Any] = {name: text_field(payload, name)[:_LONGEST] for name in _TEXTS}
        numbers: dict[str, Any] = {name: _number(payload.get(name)) for name in _NUMBERS}
        return cls(
            event_type=cast("EventType", event_type),
            incident=text_field(payload, "incident"),
            key=text_field(payload, "key"),
            entries=text_field(payload, "entries")[:MAX_ENTRIES],
            **texts,
            **numbers,
        )


_FIELDS = tuple(field.name for field in fields(Marker) if field.name not in {"event_type", "incident", "key"})
_TEXTS = ("instance", "route", "series", "environment", "state", "worst", "digest")
_NUMBERS = ("episode", "generation", "as_of", "ended")
MAX_ENTRIES = 1000
"""Characters of `entries`. Slack does not publish how large metadata may be, and was seen to take a few kilobytes."""

_LARGEST = 2**40


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value <= _LARGEST else 0
