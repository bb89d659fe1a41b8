"""A Slack message as relay makes it."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Literal

import orjson

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What relay recognises its message by, in Slack's message metadata (https://docs.slack.dev/messaging/message-metadata).

    Every app and member of the workspace can read it, so it holds no secret. `key` is the same for every attempt at
    this message. Nobody who does not know the database can compute the key of a message of delivery (`marker_key`).
    """

    event_type: Literal["relay_card", "relay_entry", "relay_notice"]
    incident: str
    key: str

    def metadata(self) -> dict[str, Any]:
        """Return the argument `metadata` of chat.postMessage."""
        return {"event_type": self.event_type, "event_payload": {"incident": self.incident, "key": self.key}}
