"""The content of a message, and whether Slack accepts it: text, blocks, attachments and metadata together.

The codes are those of https://docs.slack.dev/reference/methods/chat.postMessage and .../chat.update.
"""

import json
import re
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from relay.sandbox.slack.block_kit.blocks import check_blocks, of_type
from relay.sandbox.slack.block_kit.schema import ErrorMessages
from relay.sandbox.slack.errors import MethodError, validation_error
from relay.slack import limits

NO_PREVIEW: Final = "This content can't be displayed."
"""The text that Slack adds to a message with blocks and without text: the notification shows it."""

_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}")

# Beside blocks, only these: https://github.com/slackapi/node-slack-sdk/pull/832 shows `invalid_keys` for others.
_KEYS_WITH_BLOCKS: Final = frozenset({"blocks", "color", "fallback"})

# https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments
_LEGACY_KEYS: Final = frozenset(
    (
        *("actions", "attachment_type", "author_icon", "author_link", "author_name", "callback_id", "color"),
        *("fallback", "fields", "footer", "footer_icon", "image_url", "mrkdwn_in", "pretext", "text", "thumb_url"),
        *("title", "title_link", "ts"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageContent:
    """One version of a message, as it was sent."""

    text: str = ""
    blocks: tuple[dict[str, Any], ...] = ()
    attachments: tuple[dict[str, Any], ...] = ()
    metadata: dict[str, Any] | None = None


def validate_content(content: MessageContent) -> None:
    """Raise `MethodError` for whatever Slack would reject."""
    if not (content.text.strip() or content.blocks or content.attachments):
        raise MethodError("no_text")
    block_ids: set[str] = set()
    errors = ErrorMessages()
    check_blocks(list(content.blocks), "/blocks", errors, block_ids=block_ids)
    if errors.messages:
        raise validation_error("invalid_blocks", errors.messages)
    _validate_attachments(list(content.attachments), block_ids)
    _validate_totals(content)
    if content.metadata is not None:
        _validate_metadata(content.metadata)


def _validate_attachments(attachments: list[Any], block_ids: set[str]) -> None:
    if len(attachments) > limits.ATTACHMENTS:
        raise MethodError("too_many_attachments")
    errors = ErrorMessages()
    for index, attachment in enumerate(attachments):
        _check_attachment(attachment, f"/attachments/{index}", errors, block_ids)
    if errors.messages:
        raise validation_error("invalid_attachments", errors.messages)


def _check_attachment(attachment: Any, at: str, report: ErrorMessages, block_ids: set[str]) -> None:
    if not isinstance(attachment, dict) or not attachment:
        report("must provide an object", at)
        return
    allowed = _KEYS_WITH_BLOCKS if "blocks" in attachment else _LEGACY_KEYS
    if unknown := sorted(attachment.keys() - allowed):
        report(f"invalid_keys: {', '.join(unknown)}", at)
    color = attachment.get("color", "good")
    if not isinstance(color, str) or not (color in limits.ATTACHMENT_COLORS or _COLOR.fullmatch(color)):
        report("invalid color", f"{at}/color")
    footer = attachment.get("footer", "")
    if not isinstance(footer, str) or len(footer) > limits.ATTACHMENT_FOOTER:
        report(f"must be less than {limits.ATTACHMENT_FOOTER + 1} characters", f"{at}/footer")
    match attachment:
        case {"blocks": [_, *_] as blocks}:
            check_blocks(blocks, f"{at}/blocks", report, at_most=limits.ATTACHMENT_BLOCKS, block_ids=block_ids)
        case {"blocks": _}:
            report("must provide a non-empty array", f"{at}/blocks")


def _validate_totals(content: MessageContent) -> None:
    """Limits over the whole message, wherever its blocks are."""
    inner = [attachment.get("blocks", []) for attachment in content.attachments]
    blocks = list(chain(content.blocks, *inner))
    if len(of_type(blocks, "table", "data_table")) > limits.TABLES:
        raise validation_error("invalid_attachments", ["only_one_table_allowed"])
    if limits.visible_characters(of_type(blocks, "table")) > limits.TABLE_CHARACTERS:
        raise validation_error("invalid_blocks", [f"must be less than {limits.TABLE_CHARACTERS + 1} characters"])
    if limits.visible_characters(blocks) > limits.ALL_BLOCKS_REJECTED:
        raise MethodError("msg_blocks_too_long")


def _validate_metadata(metadata: Any) -> None:
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
