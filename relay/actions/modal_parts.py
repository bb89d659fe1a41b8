"""The parts of which modals are made, and the lengths of time that they offer.

https://docs.slack.dev/reference/block-kit/blocks/input-block
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.rendering.blocks.rich_text import Atom, mrkdwn, plain
from relay.slack import limits

Block = dict[str, Any]

LENGTHS: Final[Mapping[str, str]] = {"1h": "1 hour", "4h": "4 hours", "morning": "until the next 09:00"}
"""Value of a choice -> its label. The next 09:00 is in the person's own time zone: today's, before nine."""


def input_block(name: str, label: str, element: Block, hint: str = "", *, optional: bool = False) -> Block:
    """An input; `name` is the id of the block and of its element."""
    element = {**element, "action_id": name}
    block = {"type": "input", "block_id": name, "label": plain_text(label), "element": element, "optional": optional}
    return block | {"hint": plain_text(hint)} if hint else block


def radio_buttons(options: Sequence[Block]) -> Block:
    """A choice of one of these; the first is chosen."""
    return {"type": "radio_buttons", "options": list(options), "initial_option": options[0]}


def option(value: str, text: str, description: str = "") -> Block:
    """One option of a choice, with texts of any length; where nothing of a text can be seen, its value is shown."""
    shown, below = shortened(text, limits.OPTION_TEXT), shortened(description, limits.OPTION_DESCRIPTION)
    made = {"text": shown if shown["text"] else plain_text(value), "value": value}
    return made | {"description": below} if below["text"] else made


def context_block(*parts: str | Atom) -> Block:
    """Small print."""
    text = mrkdwn([Atom(part) if isinstance(part, str) else part for part in parts], limits.TEXT_OBJECT)
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def shortened(text: str, limit: int) -> Block:
    """Plain text of at most so many characters, on one line."""
    return plain_text(plain([Atom(text)], limit))


def plain_text(text: str) -> Block:
    """Plain text as it is."""
    return {"type": "plain_text", "text": text, "emoji": False}
