"""The tree of a template's output becomes the parts of a message: those on top, and those beside the coloured bar."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from relay import blockkit
from relay.rendering.address import address
from relay.rendering.flow import Atom, Flow, is_blank, plain, shortened, tidy
from relay.rendering.inline import flow_of, mentions, words_of
from relay.rendering.marks import ItemMark, Kind, Link
from relay.rendering.parts import Context, Element, Fields, Fixed, Group, Header, Part, Section, Skipped, plain_text
from relay.rendering.rawblocks import raw_parts
from relay.rendering.scene import Button, Scene
from relay.rendering.tree import Child, Node, parse
from relay.rendering.wording import EMOJI

LINK_ACTION: Final = "open_link"
"""Begins the action_id of every button that only opens an address; a click on it needs an answer, and nothing else."""

_INLINE: Final = frozenset({Kind.QUOTE, Kind.PRE, Kind.ARGUMENT, Kind.ACCESSORY, Kind.SLOT})
_NOTICES: Final = 600
"""Characters of all notices together: they are never cut for want of room, so they must not want much."""

_BATCH: Final = blockkit.SECTION_FIELDS


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
        return bool(self.top or self.bar)


def compose(children: Sequence[Child], scene: Scene) -> Draft:
    """The draft of what a template printed, without notices and mentions (see `completed`)."""
    composer = _Composer(scene)
    composer.walk(children)
    return composer.draft


def completed(draft: Draft, scene: Scene) -> Draft:
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

    def __init__(self, scene: Scene) -> None:
        self.draft = Draft()
        self._scene = scene
        self._out = self.draft.top
        self._group: Group | None = None
        self._accessory: Element | None = None
        self._blocks = {
            Kind.SUMMARY: self._summary,
            Kind.HEADER: self._header,
            Kind.SECTION: self._section,
            Kind.FIELDS: self._fields,
            Kind.FIELD: self._field,
            Kind.CONTEXT: self._context,
            Kind.DIVIDER: self._divider,
            Kind.IMAGE: self._image,
            Kind.ACTIONS: self._actions,
            Kind.BUTTON: self._button,
            Kind.RELAY_ACTIONS: self._actions,
            Kind.MENTIONS: self._mentions,
            Kind.BAR: self._bar,
            Kind.BLOCKS: self._raw,
        }

    def walk(self, children: Iterable[Child]) -> None:
        """Text outside of any tag is a section of its own."""
        loose: list[Child] = []
        for child in children:
            if isinstance(child, Node) and child.kind not in _INLINE:
                self._text(loose)
                loose = []
                self._blocks[child.kind](child)
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
        if self._group and len(self._out) >= blockkit.BLOCKS:
            self._out.append(Skipped(group=self._group))
            return
        self._accessory = next(
            (element for part in node.parts(Kind.ACCESSORY) for element in self._elements(part)), None
        )
        group = self._group
        self.walk(node.children)
        self._group = group
        if self._accessory:
            self._alone(self._accessory)
            self._accessory = None

    def _fields(self, node: Node) -> None:
        group = self._group
        flows = [flow for part in node.parts(Kind.FIELD) if (flow := _field_flow(part))]
        for start in range(0, len(flows), _BATCH):
            self._out.append(Fields(flows=flows[start : start + _BATCH], group=group))
        others = [child for child in node.body() if not (isinstance(child, Node) and child.kind is Kind.FIELD)]
        self.walk(child for child in others if not isinstance(child, ItemMark))

    def _field(self, node: Node) -> None:
        if flow := _field_flow(node):
            self._out.append(Fields(flows=[flow], group=self._group))

    def _context(self, node: Node) -> None:
        elements: list[Flow | Element] = []
        loose: list[Child] = []
        for child in node.body():
            if isinstance(child, Node) and child.kind is Kind.IMAGE:
                elements += [flow_of(loose), *_images(child)]
                loose = []
            else:
                loose.append(child)
        elements.append(flow_of(loose))
        told = [each for each in elements if not (isinstance(each, Sequence) and is_blank(each))]
        if told:
            self._out.append(Context(elements=told[: blockkit.CONTEXT_ELEMENTS], group=self._group))

    def _divider(self, _: Node) -> None:
        self._out.append(Fixed(block={"type": "divider"}, group=self._group))

    def _image(self, node: Node) -> None:
        for element in _images(node):
            self._alone(element)

    def _button(self, node: Node) -> None:
        for element in _link_buttons([node]):
            self._alone(element)

    def _actions(self, node: Node) -> None:
        by_id = {element["action_id"]: dict(element) for element in self._elements(node)}
        if by_id:
            block = {"type": "actions", "elements": list(by_id.values())[: blockkit.ACTIONS_ELEMENTS]}
            self._out.append(Fixed(block=block, group=self._group, lasting=True))
        self.walk(child for child in node.body() if not (isinstance(child, Node) and child.kind in _IN_ACTIONS))

    def _elements(self, node: Node) -> Iterator[Element]:
        """The buttons and pictures that stand in a part, no two buttons under one action_id."""
        if node.kind is Kind.RELAY_ACTIONS:
            yield from _relay_buttons(self._scene.buttons)
            return
        links = 0
        for child in node.body():
            match child:
                case Node(Kind.BUTTON):
                    yield from _link_buttons([child], start=links)
                    links += 1
                case Node(Kind.IMAGE):
                    yield from _images(child) if node.kind is Kind.ACCESSORY else ()
                case Node(Kind.RELAY_ACTIONS):
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


_IN_ACTIONS: Final = frozenset({Kind.BUTTON, Kind.RELAY_ACTIONS})


def _field_flow(node: Node) -> Flow:
    """A field without a value is left out."""
    value = flow_of(node.body())
    if is_blank(value):
        return []
    label = words_of(node.argument()).replace("*", "")
    return tidy([Atom(f"*{label}*\n"), *value]) if label else value


def _images(node: Node) -> Iterator[Element]:
    """The picture, where its address is one; the tag's second argument is what is read out for it."""
    url, alt = _image_arguments(node)
    if url is not None:
        yield {"type": "image", "image_url": url, "alt_text": alt}


def _image_arguments(node: Node) -> tuple[str | None, str]:
    arguments = [part.children for part in node.parts(Kind.ARGUMENT)]
    url = _url(arguments[0]) if arguments else None
    alt = plain(flow_of(arguments[1]), 300) if len(arguments) > 1 else ""
    return url, alt or "image"


def _url(argument: Sequence[Child]) -> str | None:
    """The address in an argument, also where it went through the filter `link`."""
    links = [child.url for child in argument if isinstance(child, Link)]
    return links[0] if links else address(words_of(argument))


def _link_buttons(nodes: Sequence[Node], start: int = 0) -> Iterator[Element]:
    for number, node in enumerate(nodes, start):
        if url := _url(node.argument()):
            text = plain(flow_of(node.body()), blockkit.BUTTON_TEXT) or "Open"
            yield {"type": "button", "text": plain_text(text), "url": url, "action_id": f"{LINK_ACTION}_{number}"}


def _relay_buttons(buttons: Sequence[Button]) -> Iterator[Element]:
    for button in buttons:
        text = plain([Atom(button.text)], blockkit.BUTTON_TEXT)
        element = {"type": "button", "text": plain_text(text), "action_id": button.action_id}
        more = {"value": button.value, "style": button.style}
        yield {**element, **{name: value for name, value in more.items() if value}}
