"""Raw Block Kit of `{% blocks %}`: draws what Slack accepts of it, string by string, and leaves out the rest.

The YAML is parsed before Jinja runs, so that its structure is fixed. Here a table of keys describes each object. Where
a string is found decides how it is drawn: as mrkdwn (escaped), as plain text, or as an address. Nothing that can ping
(a user, a user group, a broadcast inside `rich_text`) is in a table, and neither are blocks that Slack does not accept
in every message.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.model.json_types import JSON
from relay.rendering.blocks.characters import sendable
from relay.rendering.blocks.inline import flow_of, unformatted_text
from relay.rendering.blocks.marks import Skeleton, formatted
from relay.rendering.blocks.parts import Block, Group, Header, Omission, Part, link_line, mrkdwn_text, plain_text
from relay.rendering.blocks.rich_text import Flow, link_atom, mrkdwn, one_line, plain
from relay.rendering.blocks.tags import NodeKind
from relay.rendering.blocks.tree import Node
from relay.rendering.blocks.urls import is_too_long, valid_url
from relay.slack import limits

SLOT: Final = "$slot"
"""The key of an object that stands for a string with Jinja in it; its value is the string's number."""

Draw = Callable[[JSON, int], Any]
"""Draws a value within a cap; None if Slack would not accept it."""

_MOST_LEVELS: Final = 16


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RawBlock(Part):
    """One raw block whose strings are flows."""

    shape: JSON

    def draw(self, cap: int) -> Block | None:
        """Return the block, if it is one."""
        drawn: Block | None = _typed(BLOCKS)(self.shape, cap)
        return drawn


def raw_parts(node: Node, group: Group | None, *, clickable: bool = True) -> list[Part]:
    """Return the blocks of a `{% blocks %}` tag; without `clickable`, their buttons are links below them."""
    slots = [flow_of(part.body()) for part in node.nodes(NodeKind.SLOT)]
    skeletons = [child.blocks for child in node.children if isinstance(child, Skeleton)]
    blocks = [block for each in skeletons for block in (each if isinstance(each, list) else [each])]
    filled = [_filled(block, slots, 0) for block in blocks]
    links = [] if clickable else [link for block in filled for link in _links_of(block)]
    shown = filled if clickable else [_without_buttons(block) for block in filled]
    raw = [RawBlock(shape=shape, group=group) for block in shown for shape in _split(block)]
    parts = [_headline_or_block(each) for each in raw if each.draw(limits.TEXT_OBJECT) is not None]
    parts += [link_line(links, group)] if links else []
    too_long = tuple((noun, "") for noun in _with_long_address(filled))
    return [*parts, Omission(items=too_long)] if too_long else parts


def _links_of(shape: JSON) -> Iterator[Flow]:
    """The buttons in a block, as links."""
    match shape:
        case {"type": kind, "url": tuple(address), "text": {"text": tuple(text)}} if _word(kind) == "button":
            if url := valid_url(one_line(address)):
                yield [link_atom(url, plain(text, limits.BUTTON_TEXT) or "Open")]
        case dict() | list():
            for part in shape.values() if isinstance(shape, dict) else shape:
                yield from _links_of(part)


def _without_buttons(shape: JSON) -> JSON:
    match shape:
        case {"type": kind} if _word(kind) == "button":
            return None
        case dict():
            return {key: _without_buttons(part) for key, part in shape.items()}
        case list():
            return [_without_buttons(part) for part in shape]
        case _:
            return shape


def _split(shape: JSON) -> list[JSON]:
    if not isinstance(shape, dict):
        return [shape]
    key, most = _LISTS.get(_word(shape.get("type")), ("", 0))
    elements = shape.get(key)
    if not isinstance(elements, list):
        return [shape]
    batches = [elements[start : start + most] for start in range(0, len(elements), most)] or [[]]
    return [{**shape, key: batches[0]}, *({"type": shape["type"], key: batch} for batch in batches[1:])]


def _with_long_address(shape: JSON) -> Iterator[str]:
    """The nouns of the elements whose address is too long."""
    match shape:
        case {"image_url": tuple(flow)} if is_too_long(one_line(flow)):
            yield "image"
        case {"url": tuple(flow)} if is_too_long(one_line(flow)):
            yield "button" if _word(shape.get("type")) == "button" else "link"
        case dict() | list():
            for part in shape.values() if isinstance(shape, dict) else shape:
                yield from _with_long_address(part)


def _headline_or_block(raw: RawBlock) -> Part:
    """A raw header is a headline like that of the tag."""
    match raw.shape:
        case {"type": kind, "text": {"text": tuple(flow)}} if _word(kind) == "header":
            return Header(flow=flow, group=raw.group)
        case _:
            return raw


def _filled(shape: JSON, slots: Sequence[Flow], depth: int) -> JSON:
    """The shape with a flow for each string."""
    match shape:
        case {**slot} if set(slot) == {SLOT}:
            number = slot[SLOT]
            return tuple(slots[number]) if isinstance(number, int) and 0 <= number < len(slots) else ()
        case str():
            return tuple(flow_of([formatted(sendable(shape))]))
        case dict() if depth < _MOST_LEVELS:
            return {key: _filled(part, slots, depth + 1) for key, part in shape.items()}
        case list() if depth < _MOST_LEVELS:
            return [_filled(part, slots, depth + 1) for part in shape]
        case bool() | int():
            return shape
        case _:
            return None


def _object(
    required: Mapping[str, Draw], optional: Mapping[str, Draw] | None = None, any_of: Collection[str] = ()
) -> Draw:
    """An object with these keys; None without one of the required, or without any of `any_of`."""
    known = {**required, **(optional or {})}

    def draw(shape: JSON, cap: int) -> Block | None:
        if not isinstance(shape, dict):
            return None
        drawn = {key: known[key](part, cap) for key, part in shape.items() if key in known}
        kept = {key: part for key, part in drawn.items() if part is not None}
        return kept if required.keys() <= kept.keys() and (not any_of or kept.keys() & any_of) else None

    return draw


def _typed(kinds: Mapping[str, Draw]) -> Draw:
    """An object whose `type` says how it is drawn."""

    def draw(shape: JSON, cap: int) -> Block | None:
        kind = _word(shape.get("type")) if isinstance(shape, dict) else ""
        drawn = kinds[kind](shape, cap) if kind in kinds else None
        return None if drawn is None else {"type": kind, **drawn}

    return draw


def _list(of: Draw) -> Draw:
    """A list of what can be drawn; None if that is nothing."""

    def draw(shape: JSON, cap: int) -> list[Any] | None:
        if not isinstance(shape, list):
            return None
        return [part for item in shape if (part := of(item, cap)) is not None] or None

    return draw


def _plain(limit: int) -> Draw:
    return lambda shape, cap: (plain(shape, min(cap, limit)) if isinstance(shape, tuple) else "") or None


def _lines(limit: int) -> Draw:
    """Text of `rich_text`, in which nothing is markup and blanks at the ends count."""

    def draw(shape: JSON, cap: int) -> str | None:
        text = "".join(map(unformatted_text, shape)) if isinstance(shape, tuple) else ""
        return text if 0 < len(text) <= min(cap, limit) else plain(shape, min(cap, limit)) if text else None

    return draw


def _url(shape: JSON, _: int) -> str | None:
    return valid_url(one_line(shape)) if isinstance(shape, tuple) else None


def _is(kind: type) -> Draw:
    return lambda shape, _: shape if type(shape) is kind else None


def _one_of(*words: str) -> Draw:
    return lambda shape, _: _word(shape) if _word(shape) in words else None


def _word(shape: JSON) -> str:
    return one_line(shape) if isinstance(shape, tuple) else ""


def _text_object(write: Callable[[Flow, int], str], wrap: Callable[[str], Block], limit: int) -> Draw:
    def draw(shape: JSON, cap: int) -> Block | None:
        flow = shape.get("text") if isinstance(shape, dict) else None
        text = write(flow, min(cap, limit)) if isinstance(flow, tuple) else ""
        return wrap(text) if text.strip() else None

    return draw


def _plain_object(limit: int) -> Draw:
    return _typed({"plain_text": _text_object(plain, plain_text, limit)})


def _texts(limit: int) -> Mapping[str, Draw]:
    return {
        "plain_text": _text_object(plain, plain_text, limit),
        "mrkdwn": _text_object(mrkdwn, mrkdwn_text, limit),
    }


_STYLE: Final = _object({}, dict.fromkeys(("bold", "italic", "strike", "code", "underline"), _is(bool)))
_RICH_ELEMENTS: Final = {
    "text": _object({"text": _lines(limits.TEXT_OBJECT)}, {"style": _STYLE}),
    "link": _object({"url": _url}, {"text": _plain(limits.TEXT_OBJECT), "style": _STYLE}),
    "emoji": _object({"name": _plain(limits.PLACEHOLDER)}),
}
_RICH_LINE: Final = _object({"elements": _list(_typed(_RICH_ELEMENTS))})
_RICH_TEXT: Final = _typed(
    {
        "rich_text_section": _RICH_LINE,
        "rich_text_preformatted": _RICH_LINE,
        "rich_text_quote": _RICH_LINE,
        "rich_text_list": _object(
            {"elements": _list(_typed({"rich_text_section": _RICH_LINE})), "style": _one_of("bullet", "ordered")},
            {"indent": _is(int)},
        ),
    }
)

_IMAGE: Final = {"image_url": _url, "alt_text": _plain(limits.ALT_TEXT)}
_BUTTON: Final = _object(
    {"text": _plain_object(limits.BUTTON_TEXT), "url": _url},
    {"style": _one_of(*limits.BUTTON_STYLES), "accessibility_label": _plain(limits.ACCESSIBILITY_LABEL)},
)
_SECTION: Final = {
    "text": _typed(_texts(limits.SECTION_TEXT)),
    "fields": _list(_typed(_texts(limits.SECTION_FIELD))),
    "accessory": _typed({"button": _BUTTON, "image": _object(_IMAGE)}),
}

BLOCKS: Final[Mapping[str, Draw]] = {
    "actions": _object({"elements": _list(_typed({"button": _BUTTON}))}),
    "context": _object({"elements": _list(_typed({"image": _object(_IMAGE), **_texts(limits.TEXT_OBJECT)}))}),
    "divider": _object({}),
    "header": _object({"text": _plain_object(limits.HEADER)}),
    "image": _object(_IMAGE, {"title": _plain_object(limits.IMAGE_TITLE)}),
    "rich_text": _object({"elements": _list(_RICH_TEXT)}),
    "section": _object({}, _SECTION, any_of={"text", "fields"}),
}
"""The blocks that a template may write in full: https://docs.slack.dev/reference/block-kit/blocks."""

_LISTS: Final[Mapping[str, tuple[str, int]]] = {
    "actions": ("elements", limits.ACTIONS_ELEMENTS),
    "context": ("elements", limits.CONTEXT_ELEMENTS),
    "section": ("fields", limits.SECTION_FIELDS),
}
"""The key under which a block lists elements, and how many it may have."""
