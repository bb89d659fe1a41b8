"""Raw Block Kit of `{% blocks %}`: what of it Slack would take is drawn, string by string; the rest is left out.

A template's YAML is parsed before Jinja sees it, so its shape is fixed when it is loaded. Here each shape is a table of
its keys. A string is drawn by where it stands: as mrkdwn (escaped), as plain text, or as an address. What could ping
somebody (a user, a user group, a broadcast inside `rich_text`) is in no table, and so are blocks that Slack does not
take in every message.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.model.json_types import JSON
from relay.rendering.blocks.characters import clean
from relay.rendering.blocks.inline import flow_of
from relay.rendering.blocks.marks import NodeKind, Skeleton
from relay.rendering.blocks.parts import Block, Group, Header, Omission, Part, mrkdwn_text, plain_text
from relay.rendering.blocks.rich_text import Atom, Flow, mrkdwn, one_line, plain
from relay.rendering.blocks.tree import Node
from relay.rendering.blocks.urls import address, is_too_long
from relay.slack import limits

SLOT: Final = "$slot"
"""The key that stands for a string with Jinja in it; its value is the string's number."""

Draw = Callable[[JSON, int], Any]
"""Draws a value within a cap; None where Slack would not take it."""

_STYLES: Final = ("bold", "italic", "strike", "code", "underline")
_LIST_STYLES: Final = ("bullet", "ordered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One raw block, its strings being flows."""

    shape: JSON
    group: Group | None = None
    lasting: bool = False

    def draw(self, cap: int) -> Block | None:
        """The block, where it is one."""
        drawn = _typed(BLOCKS)(self.shape, cap)
        return drawn if isinstance(drawn, dict) else None


def raw_parts(node: Node, group: Group | None) -> list[Part]:
    """The blocks that stand in a `{% blocks %}`."""
    slots = [flow_of(part.body()) for part in node.parts(NodeKind.SLOT)]
    shapes = [child.blocks for child in node.children if isinstance(child, Skeleton)]
    found = [block for shape in shapes for block in (shape if isinstance(shape, list) else [shape])]
    filled = [_filled(block, slots, 0) for block in found]
    raws = [Raw(shape=each, group=group) for shape in filled for each in _several(shape)]
    drawn: list[Part] = [_headline(raw) or raw for raw in raws if raw.draw(limits.TEXT_OBJECT) is not None]
    lost = tuple((noun, "") for noun in _too_long(filled))
    return [*drawn, Omission(items=lost)] if lost else drawn


def _several(shape: JSON) -> Iterator[JSON]:
    """The block, or as many as have room for what it lists."""
    key, most = _ROOM.get(_word(shape.get("type")), ("", 0)) if isinstance(shape, dict) else ("", 0)
    listed = shape.get(key) if isinstance(shape, dict) else None
    if not isinstance(shape, dict) or not isinstance(listed, list):
        yield shape
        return
    for start in range(0, max(1, len(listed)), most):
        yield {**(shape if start == 0 else {"type": shape["type"]}), key: listed[start : start + most]}


def _too_long(shape: JSON) -> Iterator[str]:
    """What of it has an address that is too long, by its nouns."""
    match shape:
        case {"image_url": tuple(flow)} if is_too_long(one_line(flow)):
            yield "image"
        case {"url": tuple(flow)} if is_too_long(one_line(flow)):
            yield "button" if _word(shape.get("type")) == "button" else "link"
        case dict() | list():
            for part in shape.values() if isinstance(shape, dict) else shape:
                yield from _too_long(part)


def _headline(raw: Raw) -> Header | None:
    """A headline is one, whoever writes it."""
    match raw.shape:
        case {"type": kind, "text": {"text": tuple(flow)}} if _word(kind) == "header":
            return Header(flow=flow, group=raw.group)
        case _:
            return None


def _filled(shape: JSON, slots: Sequence[Flow], depth: int) -> JSON:
    """Every string as a flow."""
    match shape:
        case {**slot} if set(slot) == {SLOT}:
            number = slot[SLOT]
            return tuple(slots[number]) if isinstance(number, int) and 0 <= number < len(slots) else ()
        case str():
            return (Atom(clean(shape)),)
        case dict() if depth < _DEPTH:
            return {key: _filled(part, slots, depth + 1) for key, part in shape.items()}
        case list() if depth < _DEPTH:
            return [_filled(part, slots, depth + 1) for part in shape]
        case bool() | int():
            return shape
        case _:
            return None


_DEPTH: Final = 16
_ROOM: Final[Mapping[str, tuple[str, int]]] = {
    "actions": ("elements", limits.ACTIONS_ELEMENTS),
    "context": ("elements", limits.CONTEXT_ELEMENTS),
    "section": ("fields", limits.SECTION_FIELDS),
}
"""Where a block lists something, and how many of it."""


def _record(required: Mapping[str, Draw], optional: Mapping[str, Draw] | None = None) -> Draw:
    """An object with these keys; without one of the required it is nothing."""
    known = {**required, **(optional or {})}

    def draw(shape: JSON, cap: int) -> Block | None:
        if not isinstance(shape, dict):
            return None
        drawn = {key: known[key](part, cap) for key, part in shape.items() if key in known}
        kept = {key: part for key, part in drawn.items() if part is not None}
        return kept if required.keys() <= kept.keys() else None

    return draw


def _typed(kinds: Mapping[str, Draw]) -> Draw:
    """An object whose `type` says how it is drawn."""

    def draw(shape: JSON, cap: int) -> Block | None:
        kind = _word(shape.get("type")) if isinstance(shape, dict) else ""
        drawn = kinds[kind](shape, cap) if kind in kinds else None
        return None if drawn is None else {"type": kind, **drawn}

    return draw


def _list(of: Draw) -> Draw:
    """An array, without what is nothing; an empty one is nothing itself."""

    def draw(shape: JSON, cap: int) -> list[Any] | None:
        if not isinstance(shape, list):
            return None
        drawn = [part for item in shape if (part := of(item, cap)) is not None]
        return drawn or None

    return draw


def _plain(at_most: int) -> Draw:
    return lambda shape, cap: (plain(shape, min(cap, at_most)) if isinstance(shape, tuple) else "") or None


def _lines(at_most: int) -> Draw:
    """Text of `rich_text`, where nothing is markup and blanks at its ends matter."""

    def draw(shape: JSON, cap: int) -> str | None:
        text = "".join(atom.text for atom in shape if isinstance(atom, Atom)) if isinstance(shape, tuple) else ""
        return text if 0 < len(text) <= min(cap, at_most) else plain(shape, min(cap, at_most)) if text else None

    return draw


def _url(shape: JSON, _: int) -> str | None:
    return address(one_line(shape)) if isinstance(shape, tuple) else None


def _is(kind: type) -> Draw:
    return lambda shape, _: shape if type(shape) is kind else None


def _one_of(*words: str) -> Draw:
    return lambda shape, _: _word(shape) if _word(shape) in words else None


def _word(shape: JSON) -> str:
    return one_line(shape) if isinstance(shape, tuple) else ""


def _plain_object(at_most: int) -> Draw:
    inner = _typed({"plain_text": _record({"text": _plain(at_most)})})

    def draw(shape: JSON, cap: int) -> Block | None:
        drawn = inner(shape, cap)
        return plain_text(drawn["text"]) if isinstance(drawn, dict) else None

    return draw


def _text_object(at_most: int) -> Draw:
    simple = _plain_object(at_most)

    def draw(shape: JSON, cap: int) -> Any:
        if not isinstance(shape, dict) or _word(shape.get("type")) != "mrkdwn":
            return simple(shape, cap)
        flow = shape.get("text")
        text = mrkdwn(flow, min(cap, at_most)) if isinstance(flow, tuple) else ""
        return mrkdwn_text(text) if text.strip() else None

    return draw


def _or(first: Draw, second: Draw) -> Draw:
    def draw(shape: JSON, cap: int) -> Any:
        drawn = first(shape, cap)
        return second(shape, cap) if drawn is None else drawn

    return draw


_STYLE: Final = _record({}, dict.fromkeys(_STYLES, _is(bool)))
_RICH_TEXT: Final = _typed(
    {
        "text": _record({"text": _lines(limits.TEXT_OBJECT)}, {"style": _STYLE}),
        "link": _record({"url": _url}, {"text": _plain(limits.TEXT_OBJECT), "style": _STYLE}),
        "emoji": _record({"name": _plain(limits.PLACEHOLDER)}),
    }
)
_RICH_LINE: Final = {"elements": _list(_RICH_TEXT)}
_RICH: Final = {
    "rich_text_section": _record(_RICH_LINE),
    "rich_text_preformatted": _record(_RICH_LINE),
    "rich_text_quote": _record(_RICH_LINE),
    "rich_text_list": _record(
        {
            "elements": _list(_typed({"rich_text_section": _record(_RICH_LINE)})),
            "style": _one_of(*_LIST_STYLES),
        },
        {"indent": _is(int)},
    ),
}

_IMAGE: Final = _record({"image_url": _url, "alt_text": _plain(limits.ALT_TEXT)})
_BUTTON: Final = _record(
    {"text": _plain_object(limits.BUTTON_TEXT), "url": _url},
    {"style": _one_of(*limits.BUTTON_STYLES), "accessibility_label": _plain(limits.ACCESSIBILITY_LABEL)},
)
_ACCESSORY: Final = _typed({"button": _BUTTON, "image": _IMAGE})
_TEXT: Final = _text_object(limits.SECTION_TEXT)
_FIELDS: Final = _list(_text_object(limits.SECTION_FIELD))


_SECTION: Final = _record({}, {"text": _TEXT, "fields": _FIELDS, "accessory": _ACCESSORY})


def _section(shape: JSON, cap: int) -> Any:
    drawn = _SECTION(shape, cap)
    return drawn if drawn and drawn.keys() & {"text", "fields"} else None


BLOCKS: Final[Mapping[str, Draw]] = {
    "actions": _record({"elements": _list(_typed({"button": _BUTTON}))}),
    "context": _record({"elements": _list(_or(_typed({"image": _IMAGE}), _text_object(limits.TEXT_OBJECT)))}),
    "divider": _record({}),
    "header": _record({"text": _plain_object(limits.HEADER)}),
    "image": _record(
        {"image_url": _url, "alt_text": _plain(limits.ALT_TEXT)}, {"title": _plain_object(limits.IMAGE_TITLE)}
    ),
    "rich_text": _record({"elements": _list(_typed(_RICH))}),
    "section": _section,
}
"""The blocks that a template may write out: https://docs.slack.dev/reference/block-kit/blocks."""
