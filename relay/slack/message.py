"""A Slack message as relay makes it: what is sent, and by what it is known."""

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

Blocks = tuple[dict[str, Any], ...]
"""Block Kit blocks, as Slack's API takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, within every limit of `blockkit`.

    `text` is the notification (one line, never over 4,000 characters). `blocks` stand on top; `attachments` hold at
    most one coloured attachment. All three are always sent, since an edit keeps what it is not given
    (https://docs.slack.dev/reference/methods/chat.update).
    """

    text: str
    blocks: Blocks = ()
    attachments: Blocks = ()

    def payload(self) -> dict[str, Any]:
        """The arguments of chat.postMessage and chat.update that this message fills."""
        return {
            "text": self.text,
            "blocks": list(self.blocks),
            "attachments": list(self.attachments),
            "unfurl_links": False,
            "unfurl_media": False,
        }

    @property
    def fingerprint(self) -> str:
        """Equal for equal messages: what is compared, since Slack's echo of a message differs from what was sent."""
        return hashlib.sha256(orjson.dumps(self.payload(), option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
