"""What a message says, and whether Slack takes it: text, blocks, attachments and metadata together.

Codes are those of https://docs.slack.dev/reference/methods/chat.postMessage and .../chat.update.
"""

import json
import re
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from relay.sandbox.slack.block_kit import blocks as kit
from relay.sandbox.slack.block_kit.schema import Findings
from relay.sandbox.slack.errors import MethodError, validation_error
from relay.slack import limits

NO_PREVIEW: Final = "This content can't be displayed."
"""What Slack writes where a message with blocks was given no text: the notification says it."""

_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}")

# Beside blocks, only these: https://github.com/slackapi/node-slack-sdk/pull/832 shows `invalid_keys` for others.
_WITH_BLOCKS: Final = frozenset({"blocks", "color", "fallback"})

# https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments
_LEGACY: Final = frozenset(
    [
        "actions",
        "attachment_type",
        "author_icon",
        "author_link",
        "author_name",
        "callback_id",
        "color",
        "fallback",
        "fields",
        "footer",
        "footer_icon",
        "image_url",
        "mrkdwn_in",
        "pretext",
        "text",
        "thumb_url",
        "title",
        "title_link",
        "ts",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageContent:
    """What a message says at one moment, as it was sent."""

    text: str = ""
    blocks: tuple[dict[str, Any], ...] = ()
    attachments: tuple[dict[str, Any], ...] = ()
    metadata: dict[str, Any] | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return not (self.text.strip() or self.blocks or self.attachments)


def validate_content(content: MessageContent) -> None:
    """Raise `Refused` for whatever Slack would not take."""
    if content.empty:
        raise MethodError("no_text")
    block_ids: set[str] = set()
    _examine_blocks(list(content.blocks), block_ids)
    _examine_attachments(list(content.attachments), block_ids)
    _examine_sums(content)
    if content.metadata is not None:
        _examine_metadata(content.metadata)


def _examine_blocks(blocks: list[Any], block_ids: set[str]) -> None:
    findings = Findings()
    kit.check_blocks(blocks, "/blocks", findings, block_ids=block_ids)
    if findings.messages:
        raise validation_error("invalid_blocks", findings.messages)


def _examine_attachments(attachments: list[Any], block_ids: set[str]) -> None:
    if len(attachments) > limits.ATTACHMENTS:
        raise MethodError("too_many_attachments")
    findings = Findings()
    for index, attachment in enumerate(attachments):
        _examine_attachment(attachment, f"/attachments/{index}", findings, block_ids)
    if findings.messages:
        raise validation_error("invalid_attachments", findings.messages)


def _examine_attachment(attachment: Any, at: str, report: Findings, block_ids: set[str]) -> None:
    if not isinstance(attachment, dict) or not attachment:
        report("must provide an object", at)
        return
    allowed = _WITH_BLOCKS if "blocks" in attachment else _LEGACY
    if unknown := sorted(attachment.keys() - allowed):
        report(f"invalid_keys: {', '.join(unknown)}", at)
    if "color" in attachment and not _is_color(attachment["color"]):
        report("invalid color", f"{at}/color")
    _examine_footer(attachment.get("footer", ""), at, report)
    if "blocks" in attachment:
        _examine_inner(attachment["blocks"], f"{at}/blocks", report, block_ids)


def _examine_inner(blocks: Any, at: str, report: Findings, block_ids: set[str]) -> None:
    if isinstance(blocks, list) and blocks:
        kit.check_blocks(blocks, at, report, at_most=limits.ATTACHMENT_BLOCKS, block_ids=block_ids)
    else:
        report("must provide a non-empty array", at)


def _examine_footer(footer: Any, at: str, report: Findings) -> None:
    if not isinstance(footer, str) or len(footer) > limits.ATTACHMENT_FOOTER:
        report(f"must be less than {limits.ATTACHMENT_FOOTER + 1} characters", f"{at}/footer")


def _is_color(color: Any) -> bool:
    return isinstance(color, str) and (color in limits.ATTACHMENT_COLORS or bool(_COLOR.fullmatch(color)))


def _examine_sums(content: MessageContent) -> None:
    """What is counted over the whole message, wherever its blocks stand."""
    inner = [attachment.get("blocks", []) for attachment in content.attachments]
    every = list(chain(content.blocks, *inner))
    if kit.count(every, "table") + kit.count(every, "data_table") > limits.TABLES:
        raise validation_error("invalid_attachments", ["only_one_table_allowed"])
    if kit.cells(every) > limits.TABLE_CHARACTERS:
        raise validation_error("invalid_blocks", [f"must be less than {limits.TABLE_CHARACTERS + 1} characters"])
    if limits.visible_characters(every) > limits.ALL_BLOCKS_REJECTED:
        raise MethodError("msg_blocks_too_long")


def _examine_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict):
        raise MethodError("invalid_metadata_format")
    event_type, payload = metadata.get("event_type"), metadata.get("event_payload")
    named = isinstance(event_type, str) and bool(event_type.strip())
    if not named or not isinstance(payload, dict) or metadata.keys() - {"event_type", "event_payload", "entities"}:
        raise MethodError("invalid_metadata_format")
    if not all(_is_metadata_value(value) for value in payload.values()):
        raise MethodError("invalid_metadata_format")
    if len(json.dumps(metadata, ensure_ascii=False).encode(errors="surrogatepass")) > limits.METADATA_BYTES:
        raise MethodError("metadata_too_large")


def _is_metadata_value(value: Any) -> bool:
    """A string, a number, a boolean, an object of those, or a list of such objects."""
    match value:
        case str() | bool() | int() | float():
            return True
        case dict():
            return _is_flat(value)
        case list():
            return all(isinstance(part, dict) and _is_flat(part) for part in value)
        case _:
            return False


def _is_flat(value: dict[str, Any]) -> bool:
    return all(isinstance(part, str | bool | int | float) for part in value.values())
