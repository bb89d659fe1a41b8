"""A Slack message as relay makes it."""

import hashlib
from dataclasses import dataclass
from typing import Any

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
