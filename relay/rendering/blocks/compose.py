"""The tree of a template's output becomes the parts of a message: those on top, and those beside the coloured bar."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from relay.rendering.blocks.inline import flow_of, mentions, words_of
from relay.rendering.blocks.marks import ItemMark, Link, NodeKind
from relay.rendering.blocks.parts import (
    Context,
    Element,
    Fields,
    Fixed,
    Group,
    Header,
    Omission,
    Part,
    Section,
    Skipped,
    plain_text,
)
from relay.rendering.blocks.rawblocks import raw_parts
from relay.rendering.blocks.rich_text import Atom, Flow, is_blank, plain, shortened, tidy
from relay.rendering.blocks.tree import Child, Node, parse
from relay.rendering.blocks.urls import address, is_too_long
from relay.rendering.request import Button, RenderRequest
from relay.rendering.wording import EMOJI
from relay.slack import limits

LINK_ACTION: Final = "open_link"
"""Begins the action_id of every button that only opens an address; a click on it needs an answer, and nothing else."""

_INLINE: Final = frozenset({NodeKind.QUOTE, NodeKind.PRE, NodeKind.ARGUMENT, NodeKind.ACCESSORY, NodeKind.SLOT})
_NOTICES: Final = 600
"""Characters of all notices together: they are never cut for want of room, so they must not want much."""

_LABEL: Final = 150
"""Characters of a field's label, so that it leaves room for the value."""

T = TypeVar("T")


@dataclass(slots=True)
class Draft:
    """A message that need not fit yet: parts on top, parts beside the bar and its colour, the notification's text."""

    top: list[Part] = field(default_factory=list)
    bar: list[Part] = field(default_factory=list)
    color: str = ""
    summary: Flow = ()

    @property
    def says_something(self) -> bool:
        """Whether a reader would see anything."""
        return not all(isinstance(part, Omission) for part in (*self.top, *self.bar))


def compose(children: Sequence[Child], scene: RenderRequest) -> Draft:
    """The draft of what a template printed, without notices and mentions (see `completed`)."""
    composer = _Composer(scene)
    composer.walk(children)
    return composer.draft


def completed(draft: Draft, scene: RenderRequest) -> Draft:
    """The draft with what relay sees to itself: whoever is to be pinged, and the notices."""
    draft.color = scene.color or draft.color
    if scene.emoji:
        draft.top[:] = [_marked(part, scene.emoji) if isinstance(part, Header) else part for part in draft.top]
    if pinged := mentions(scene.mentions):
        headers = [index for index, part in enumerate(draft.top) if isinstance(part, Header)]
        draft.top.insert(headers[0] + 1 if headers else 0, Section(flow=pinged, lasting=True, firm=True))
    if scene.notices:
        told = shortened(flow_of(parse(" · ".join(scene.notices))), _NOTICES)
        notice = Context(elements=[told], lasting=True, firm=True)
        (draft.bar or draft.top).append(notice)
    return draft


def _is_headline(part: Part) -> bool:
    """Whether it is one of the message, and not of an item of a list."""
    return isinstance(part, Header) and part.group is None


def _marked(header: Header, emoji: str) -> Header:
    """The headline with another dot before it; its words stay, so that an eye finds the card again."""
    first, *rest = header.flow
    dot = first.text[:1] if isinstance(first, Atom) else ""
    if not isinstance(first, Atom) or dot not in EMOJI.values():
        return header
    return replace(header, flow=[first._replace(text=emoji + first.text[1:]), *rest])


class _Composer:
    """Walks the tree once, in the order in which it is read."""

    def __init__(self, scene: RenderRequest) -> None:
        self.draft = Draft()
        self._scene = scene
        self._out = self.draft.top
        self._group: Group | None = None
        self._accessory: Element | None = None
        self._lost: list[tuple[str, str]] = []
        self._blocks = {
            NodeKind.SUMMARY: self._summary,
            NodeKind.HEADER: self._header,
            NodeKind.SECTION: self._section,
            NodeKind.FIELDS: self._fields,
            NodeKind.FIELD: self._field,
            NodeKind.CONTEXT: self._context,
            NodeKind.DIVIDER: self._divider,
            NodeKind.IMAGE: self._image,
            NodeKind.ACTIONS: self._actions,
            NodeKind.BUTTON: self._button,
            NodeKind.RELAY_ACTIONS: self._actions,
            NodeKind.MENTIONS: self._mentions,
            NodeKind.BAR: self._bar,
            NodeKind.BLOCKS: self._raw,
        }

    def walk(self, children: Iterable[Child]) -> None:
        """Text outside of any tag is a section of its own."""
        loose: list[Child] = []
        for child in children:
            if isinstance(child, Node) and child.kind not in _INLINE:
                self._text(loose)
                loose = []
                self._blocks[child.kind](child)
                self._tell_lost()
            else:
                loose.append(child)
        self._text(loose)

    def _text(self, loose: Sequence[Child]) -> None:
        marks = [child for child in loose if isinstance(child, ItemMark)]
        if marks:
            self._group = Group(marks[-1].noun, marks[-1].state) if marks[-1].noun else None
        if all(isinstance(child, ItemMark) or (isinstance(child, str) and not child.strip()) for child in loose):
            return
        flow = flow_of(loose)
        if is_blank(flow):
            return
        listed = len(marks) > 1 or (marks and not isinstance(flow[0], ItemMark))
        self._out.append(Section(flow=flow, accessory=self._accessory, group=None if listed else self._group))
        self._accessory = None

    def _summary(self, node: Node) -> None:
        self.draft.summary = flow_of(node.body())

    def _header(self, node: Node) -> None:
        if not is_blank(flow := flow_of(node.body())):
            self._put(Header(flow=flow, group=self._group))

    def _put(self, part: Part) -> None:
        """In its place; but the first headline is the message's, and stands on top wherever the template has it."""
        leads = _is_headline(part) and not any(map(_is_headline, self.draft.top))
        (self.draft.top if leads else self._out).append(part)

    def _section(self, node: Node) -> None:
        if self._group and len(self._out) >= limits.BLOCKS:
            self._out.append(Skipped(group=self._group))
            return
        beside = [element for part in node.parts(NodeKind.ACCESSORY) for element in self._elements(part)]
        self._accessory = beside[0] if beside else None
        group = self._group
        self.walk(node.children)
        self._group = group
        for element in beside[0 if self._accessory else 1 :]:
            self._alone(element)
        self._accessory = None
        for part in node.parts(NodeKind.ACCESSORY):
            self._walk_without(part, _BESIDE)

    def _fields(self, node: Node) -> None:
        group = self._group
        flows = [flow for part in node.parts(NodeKind.FIELD) if (flow := _field_flow(part))]
        self._out += [Fields(flows=batch, group=group) for batch in _batches(flows, limits.SECTION_FIELDS)]
        self._walk_without(node, {NodeKind.FIELD})

    def _field(self, node: Node) -> None:
        if flow := _field_flow(node):
            self._out.append(Fields(flows=[flow], group=self._group))

    def _context(self, node: Node) -> None:
        elements: list[Flow | Element] = []
        loose: list[Child] = []
        for child in node.body():
            if isinstance(child, Node) and child.kind is NodeKind.IMAGE:
                elements += [flow_of(loose), *self._images(child)]
                loose = []
            else:
                loose.append(child)
        elements.append(flow_of(loose))
        told = [each for each in elements if not (isinstance(each, Sequence) and is_blank(each))]
        self._out += [Context(elements=batch, group=self._group) for batch in _batches(told, limits.CONTEXT_ELEMENTS)]

    def _divider(self, _: Node) -> None:
        self._out.append(Fixed(block={"type": "divider"}, group=self._group))

    def _image(self, node: Node) -> None:
        for element in self._images(node):
            self._alone(element)

    def _button(self, node: Node) -> None:
        for element in self._link_button(node, 0):
            self._alone(element)

    def _actions(self, node: Node) -> None:
        by_id = {element["action_id"]: dict(element) for element in self._elements(node)}
        for batch in _batches(list(by_id.values()), limits.ACTIONS_ELEMENTS):
            block = {"type": "actions", "elements": batch}
            self._out.append(Fixed(block=block, group=self._group, lasting=True))
        self._walk_without(node, _IN_ACTIONS)

    def _walk_without(self, node: Node, kinds: Collection[NodeKind]) -> None:
        """What else stands in a part of certain others."""
        others = [child for child in node.body() if not (isinstance(child, Node) and child.kind in kinds)]
        self.walk(child for child in others if not isinstance(child, ItemMark))

    def _elements(self, node: Node) -> Iterator[Element]:
        """The buttons and pictures that stand in a part, no two buttons under one action_id."""
        if node.kind is NodeKind.RELAY_ACTIONS:
            yield from _relay_buttons(self._scene.buttons)
            return
        links = 0
        for child in node.body():
            match child:
                case Node(NodeKind.BUTTON):
                    yield from self._link_button(child, links)
                    links += 1
                case Node(NodeKind.IMAGE):
                    yield from self._images(child) if node.kind is NodeKind.ACCESSORY else ()
                case Node(NodeKind.RELAY_ACTIONS):
                    yield from _relay_buttons(self._scene.buttons)

    def _mentions(self, _: Node) -> None:
        """They are put in their place when all is there (`completed`): on top, under the headline."""

    def _bar(self, node: Node) -> None:
        """What follows a bar stands beside it too: Slack shows all top-level blocks above it."""
        self.draft.color = self.draft.color or words_of(node.argument())
        self._out = self.draft.bar
        self.walk(node.body())

    def _raw(self, node: Node) -> None:
        for part in raw_parts(node, self._group):
            self._put(part)

    def _alone(self, element: Element) -> None:
        """An element that has to be a block of its own."""
        if element["type"] == "image":
            self._out.append(Fixed(block=dict(element), group=self._group))
        else:
            self._out.append(Fixed(block={"type": "actions", "elements": [dict(element)]}, group=self._group))

    def _images(self, node: Node) -> Iterator[Element]:
        """The picture, where its address is one; the tag's second argument is what is read out for it."""
        arguments = [part.children for part in node.parts(NodeKind.ARGUMENT)]
        alt = plain(flow_of(arguments[1]), 300) if len(arguments) > 1 else ""
        if url := self._url(arguments[0], "image") if arguments else None:
            yield {"type": "image", "image_url": url, "alt_text": alt or "image"}

    def _link_button(self, node: Node, number: int) -> Iterator[Element]:
        if url := self._url(node.argument(), "button"):
            text = plain(flow_of(node.body()), limits.BUTTON_TEXT) or "Open"
            yield {"type": "button", "text": plain_text(text), "url": url, "action_id": f"{LINK_ACTION}_{number}"}

    def _url(self, argument: Sequence[Child], noun: str) -> str | None:
        """The address in an argument, also where it went through the filter `link`; one that is too long is lost."""
        links = [child.url for child in argument if isinstance(child, Link)]
        words = links[0] if links else words_of(argument)
        url = address(words)
        if url is None and is_too_long(words):
            self._lost.append((noun, ""))
        return url

    def _tell_lost(self) -> None:
        """Say what there is that Slack would not take, where it would have stood."""
        if self._lost:
            self._out.append(Omission(items=tuple(self._lost)))
            self._lost.clear()


_IN_ACTIONS: Final = frozenset({NodeKind.BUTTON, NodeKind.RELAY_ACTIONS})
_BESIDE: Final = _IN_ACTIONS | {NodeKind.IMAGE}


def _batches(row: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The row in pieces that a block has room for."""
    return (row[start : start + size] for start in range(0, len(row), size))


def _field_flow(node: Node) -> Flow:
    """A field without a value is left out."""
    value = flow_of(node.body())
    if is_blank(value):
        return []
    label = plain(flow_of(node.argument()), _LABEL).replace("*", "")
    return tidy([Atom(f"*{label}*\n"), *value]) if label else value


def _relay_buttons(buttons: Sequence[Button]) -> Iterator[Element]:
    for button in buttons:
        text = plain([Atom(button.text)], limits.BUTTON_TEXT)
        element = {"type": "button", "text": plain_text(text), "action_id": button.action_id}
        more = {"value": button.value, "style": button.style}
        yield {**element, **{name: value for name, value in more.items() if value}}
