"""Which blocks Slack accepts in a message or a modal, as a table of their keys, and what it reports otherwise.

The table follows https://docs.slack.dev/reference/block-kit/blocks, the sizes are those of `relay.slack.limits`.
"""

from collections.abc import Mapping
from typing import Any

from relay.sandbox.slack.block_kit import elements
from relay.sandbox.slack.block_kit.elements import any_text, plain_text
from relay.sandbox.slack.block_kit.rich_text import RICH_TEXT_ELEMENTS
from relay.sandbox.slack.block_kit.schema import (
    NOTHING,
    Check,
    Report,
    array,
    boolean,
    link,
    non_empty,
    number,
    one_or_other,
    record,
    string,
    tagged,
    typed,
    word,
)
from relay.slack import limits


def _block(required: Mapping[str, Check], optional: Mapping[str, Check] = NOTHING) -> Check:
    return typed(required, {"block_id": string(limits.BLOCK_ID), **optional})


_SECTION = _block(
    {},
    {
        "text": any_text(limits.SECTION_TEXT),
        "fields": array(any_text(limits.SECTION_FIELD), at_most=limits.SECTION_FIELDS),
        "accessory": elements.IN_SECTION,
        "expand": boolean,
    },
)
_IMAGE = _block({"alt_text": elements.ALT_TEXT}, {**elements.IMAGE_SOURCE, "title": plain_text(limits.IMAGE_TITLE)})
_INPUT = _block(
    {"label": plain_text(limits.INPUT_LABEL), "element": elements.IN_INPUT},
    {"hint": plain_text(limits.INPUT_HINT), "optional": boolean, "dispatch_action": boolean},
)
_VIDEO = _block(
    {
        "alt_text": elements.ALT_TEXT,
        "title": plain_text(limits.VIDEO_TITLE),
        "thumbnail_url": link(limits.IMAGE_URL),
        "video_url": link(limits.IMAGE_URL),
    },
    {
        "author_name": string(limits.VIDEO_AUTHOR),
        "description": plain_text(limits.VIDEO_TITLE),
        "provider_icon_url": link(limits.IMAGE_URL),
        "provider_name": string(limits.VIDEO_AUTHOR),
        "title_url": link(limits.IMAGE_URL),
    },
)
_RICH_TEXT = _block({"elements": RICH_TEXT_ELEMENTS})
_CELL = tagged(
    {
        "raw_text": typed({"text": string(limits.TABLE_CHARACTERS)}),
        "raw_number": typed({"value": number}, {"text": string(limits.TABLE_CHARACTERS)}),
        "rich_text": _RICH_TEXT,
    }
)
_COLUMN = record({}, {"align": word("left", "center", "right"), "is_wrapped": boolean})
_TABLE = _block(
    {"rows": array(array(_CELL, at_most=limits.TABLE_CELLS), at_most=limits.TABLE_ROWS)},
    {"column_settings": array(_COLUMN, at_most=limits.TABLE_COLUMN_SETTINGS)},
)

# Newer blocks, which are only checked for empty values: https://docs.slack.dev/reference/block-kit/blocks
_NEWER = ("card", "carousel", "container", "context_actions", "data_table", "data_visualization", "plan", "task_card")

# `alert` (modals only) and `file` (never sent by an app) are left out: https://docs.slack.dev/blocks.json
BLOCK_CHECKS: Mapping[str, Check] = {
    "actions": _block({"elements": array(elements.IN_ACTIONS, at_most=limits.ACTIONS_ELEMENTS)}),
    "context": _block({"elements": array(elements.in_context, at_most=limits.CONTEXT_ELEMENTS)}),
    "divider": _block({}),
    "header": _block({"text": plain_text(limits.HEADER)}),
    "image": one_or_other(_IMAGE, "image_url", "slack_file"),
    "input": _INPUT,
    "markdown": _block({"text": string(limits.MARKDOWN)}),
    "rich_text": _RICH_TEXT,
    "section": one_or_other(_SECTION, "text", "fields", both=True),
    "table": _TABLE,
    "video": _VIDEO,
    **dict.fromkeys(_NEWER, non_empty),
}

# Each block's page says where it is allowed: https://docs.slack.dev/reference/block-kit/blocks
_MODAL_BLOCKS = ("actions", "context", "divider", "header", "image", "input", "rich_text", "section", "video")

IN_MESSAGES = tagged(BLOCK_CHECKS)
IN_MODALS = tagged({kind: BLOCK_CHECKS[kind] for kind in _MODAL_BLOCKS})


def check_blocks(  # noqa: PLR0913  the place of the blocks, and what is allowed there
    blocks: list[Any],
    at: str,
    report: Report,
    *,
    at_most: int = limits.BLOCKS,
    block_ids: set[str] | None = None,
    of: Check = IN_MESSAGES,
) -> None:
    """Report whatever Slack would reject in these blocks, which are at this JSON pointer.

    `block_ids` are those that the same message uses elsewhere; the ids found here are added. `of` checks one block.
    """
    array(of, at_most=at_most, at_least=0)(blocks, at, report)
    _check_unique(blocks, "block_id", at, report, set() if block_ids is None else block_ids)
    for index, block in enumerate(blocks):
        inner = block.get("elements") if isinstance(block, dict) else None
        if isinstance(inner, list):
            _check_unique(inner, "action_id", f"{at}/{index}/elements", report, set())
    texts = [block.get("text") for block in of_type(blocks, "markdown")]
    if sum(len(text) for text in texts if isinstance(text, str)) > limits.MARKDOWN:
        report(f"must be less than {limits.MARKDOWN + 1} characters", at)


def of_type(blocks: list[Any], *kinds: str) -> list[dict[str, Any]]:
    """The blocks of these types."""
    return [block for block in blocks if isinstance(block, dict) and block.get("type") in kinds]


def _check_unique(items: list[Any], key: str, at: str, report: Report, used: set[str]) -> None:
    for index, item in enumerate(items):
        name = item.get(key) if isinstance(item, dict) else None
        if not isinstance(name, str):
            continue
        if name in used:
            report(f'`{key}` "{name}" already exists', f"{at}/{index}/{key}")
        used.add(name)
