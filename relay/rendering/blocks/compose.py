"""Turns the tree of a template's output into the parts of a message: on top, and beside the coloured bar."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from relay.model.buttons import ButtonPlace
from relay.model.struct import replace
from relay.rendering.blocks.inline import flow_of, mention_flow, plain_words
from relay.rendering.blocks.marks import ItemMark, Link
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
    link_line,
    plain_text,
)
from relay.rendering.blocks.raw_blocks import raw_parts
from relay.rendering.blocks.rich_text import Atom, Flow, format_atom, is_blank, link_atom, plain, shortened, tidy
from relay.rendering.blocks.tags import NodeKind
from relay.rendering.blocks.tree import Child, Node, parse
from relay.rendering.blocks.urls import is_too_long, valid_url
from relay.rendering.request import Button, RenderRequest
from relay.rendering.wording import EMOJI
from relay.slack import limits
from relay.slack.interactions import MENU_ACTION, menu_value

_LINK_ACTION: Final = "open_link"
"""Begins the action_id of every button that only opens an address; a click on it needs only an acknowledgement."""

_INLINE: Final = frozenset({NodeKind.QUOTE, NodeKind.PRE, NodeKind.ARGUMENT, NodeKind.ACCESSORY, NodeKind.SLOT})
_BUTTONS: Final = frozenset({NodeKind.BUTTON, NodeKind.RELAY_ACTIONS})
_ACCESSORIES: Final = _BUTTONS | {NodeKind.IMAGE}
_DIVERTED: Final = "↪️"
_LONGEST_NOTICES: Final = 600
"""Characters of all first lines, or of all notices. They are never cut, so they must be short."""

_LONGEST_LABEL: Final = 150
"""Characters of a field's label, so that its value has room."""

_LONGEST_ALT_TEXT: Final = 300

T = TypeVar("T")


@dataclass(slots=True)
class Draft:
    """A message that may not fit yet: parts on top, parts beside the bar, its colour, and the notification's text."""

    top: list[Part] = field(default_factory=list)
    bar: list[Part] = field(default_factory=list)
    color: str = ""
    summary: Flow = ()


def compose(children: Sequence[Child], request: RenderRequest) -> Draft:
    """Make the draft of a template's output, without mentions and notices (`completed` adds them)."""
    composer = _Composer(request)
    composer.walk(children)
    return composer.draft


def completed(draft: Draft, request: RenderRequest) -> Draft:
    """Add what relay itself decides: colour, the headline's sign, mentions, and its own first and last lines."""
    draft.color = request.color or draft.color
    if request.emoji:
        draft.top = [_with_sign(part, request.emoji) if isinstance(part, Header) else part for part in draft.top]
    if flow := mention_flow(request.mentions):
        headers = [index for index, part in enumerate(draft.top) if isinstance(part, Header)]
        draft.top.insert(headers[0] + 1 if headers else 0, Section(flow=flow, lasting=True, firm=True))
    if request.diversions:
        diversions = _in_one_line(request.diversions)
        draft.top.insert(0, Section(flow=[Atom(f"{_DIVERTED} "), *diversions], lasting=True, firm=True))
        draft.summary = [*draft.summary, Atom(" · "), *diversions] if draft.summary else draft.summary
    if request.notices:
        (draft.bar or draft.top).append(Context(elements=[_in_one_line(request.notices)], lasting=True, firm=True))
    return draft


def _in_one_line(lines: Sequence[str]) -> Flow:
    return shortened(flow_of(parse(" · ".join(lines))), _LONGEST_NOTICES)


def _is_headline(part: Part) -> bool:
    """Whether it is the message's own headline, and not that of a list item."""
    return isinstance(part, Header) and part.group is None


def _with_sign(header: Header, emoji: str) -> Header:
    """The headline with another sign before it; its words stay, so that a reader finds the card again."""
    first, *rest = header.flow
    if first.text[:1] not in EMOJI.values():
        return header
    return replace(header, flow=[first._replace(text=emoji + first.text[1:]), *rest])


class _Composer:
    """Walks the tree once, in reading order."""

    def __init__(self, request: RenderRequest) -> None:
        self.draft = Draft()
        self._relay_elements = list(_relay_elements(request.buttons))
        self._last = frozenset(each.action_id for each in request.buttons if each.place is not ButtonPlace.FIRST)
        self._clickable = request.clickable
        self._out = self.draft.top
        self._group: Group | None = None
        self._accessory: Element | None = None
        self._omitted: list[tuple[str, str]] = []
        self._links: list[Flow] = []
        self._handlers: Mapping[NodeKind, Callable[[Node], None]] = {
            NodeKind.SUMMARY: self._summary,
            NodeKind.HEADER: self._header,
            NodeKind.SECTION: self._section,
            NodeKind.FIELDS: self._fields,
            NodeKind.FIELD: lambda node: self._fields(Node(NodeKind.FIELDS, [node])),
            NodeKind.CONTEXT: self._context,
            NodeKind.DIVIDER: self._divider,
            NodeKind.IMAGE: self._lone_element,
            NodeKind.ACTIONS: self._actions,
            NodeKind.BUTTON: self._lone_element,
            NodeKind.RELAY_ACTIONS: lambda node: self._actions(Node(NodeKind.ACTIONS, [node])),
            NodeKind.MENTIONS: lambda _: None,  # `completed` puts them below the headline
            NodeKind.BAR: self._bar,
            NodeKind.BLOCKS: lambda node: self._put(*raw_parts(node, self._group, clickable=self._clickable)),
        }

    def walk(self, children: Iterable[Child]) -> None:
        """Add the parts of these children; text outside of any tag is a section."""
        loose: list[Child] = []
        for child in children:
            if isinstance(child, Node) and child.kind not in _INLINE:
                self._text(loose)
                loose = []
                self._handlers[child.kind](child)
                if self._links:
                    self._out.append(link_line(self._links, self._group))
                    self._links.clear()
                if self._omitted:  # Slack would not accept these: say so where they would have stood
                    self._out.append(Omission(items=tuple(self._omitted)))
                    self._omitted.clear()
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
        holds_items = len(marks) > 1 or (marks and not flow[0].item)
        self._out.append(Section(flow=flow, accessory=self._accessory, group=None if holds_items else self._group))
        self._accessory = None

    def _summary(self, node: Node) -> None:
        self.draft.summary = flow_of(node.body())

    def _header(self, node: Node) -> None:
        if not is_blank(flow := flow_of(node.body())):
            self._put(Header(flow=flow, group=self._group))

    def _put(self, *parts: Part) -> None:
        """Add parts. The first headline is the message's, and is on top wherever the template has it."""
        for part in parts:
            leads = _is_headline(part) and not any(map(_is_headline, self.draft.top))
            (self.draft.top if leads else self._out).append(part)

    def _section(self, node: Node) -> None:
        if self._group and len(self._out) >= limits.BLOCKS:
            self._divider(node)  # a placeholder: more blocks than a message can have, so that it is only counted
            return
        accessories = list(node.nodes(NodeKind.ACCESSORY))
        elements = [element for part in accessories for element in self._elements(part, _ACCESSORIES)]
        self._accessory = elements[0] if elements else None
        group = self._group
        self.walk(node.children)
        self._group = group
        for element in elements[0 if self._accessory else 1 :]:
            self._add_alone(element)
        self._accessory = None
        for part in accessories:
            self._walk_without(part, _ACCESSORIES)

    def _fields(self, node: Node) -> None:
        flows: list[Flow] = []
        for part in node.nodes(NodeKind.FIELD):
            value = flow_of(part.body())
            label = plain(flow_of(part.argument()), _LONGEST_LABEL)
            if not is_blank(value):
                flows.append(
                    tidy([format_atom("*"), Atom(label), format_atom("*"), Atom("\n"), *value]) if label else value
                )
        self._out += [Fields(flows=batch, group=self._group) for batch in _batches(flows, limits.SECTION_FIELDS)]
        self._walk_without(node, {NodeKind.FIELD})

    def _context(self, node: Node) -> None:
        elements: list[Flow | Element] = []
        loose: list[Child] = []
        for child in node.body():
            if isinstance(child, Node) and child.kind is NodeKind.IMAGE:
                elements += [flow_of(loose), *self._element(child)]
                loose = []
            else:
                loose.append(child)
        elements.append(flow_of(loose))
        shown = [each for each in elements if not (isinstance(each, Sequence) and is_blank(each))]
        self._out += [Context(elements=batch, group=self._group) for batch in _batches(shown, limits.CONTEXT_ELEMENTS)]

    def _divider(self, _: Node) -> None:
        self._out.append(Fixed(block={"type": "divider"}, group=self._group))

    def _actions(self, node: Node) -> None:
        by_id = {element["action_id"]: dict(element) for element in self._elements(node, _BUTTONS)}
        last = self._last | {MENU_ACTION}
        row = sorted(by_id.values(), key=lambda element: element["action_id"] in last)
        for batch in _batches(row, limits.ACTIONS_ELEMENTS):
            block = {"type": "actions", "elements": batch}
            self._out.append(Fixed(block=block, group=self._group, lasting=True))
        self._walk_without(node, _BUTTONS)

    def _bar(self, node: Node) -> None:
        """Everything after a bar is beside it too, because Slack shows all top-level blocks above it."""
        self.draft.color = self.draft.color or plain_words(node.argument())
        self._out = self.draft.bar
        self.walk(node.body())

    def _lone_element(self, node: Node) -> None:
        """An image or a button outside of `actions` is a block of its own."""
        for element in self._element(node):
            self._add_alone(element)

    def _add_alone(self, element: Element) -> None:
        block = dict(element) if element["type"] == "image" else {"type": "actions", "elements": [dict(element)]}
        self._out.append(Fixed(block=block, group=self._group))

    def _walk_without(self, node: Node, kinds: Collection[NodeKind]) -> None:
        others = [child for child in node.body() if not (isinstance(child, Node) and child.kind in kinds)]
        self.walk(child for child in others if not isinstance(child, ItemMark))

    def _elements(self, node: Node, kinds: Collection[NodeKind]) -> Iterator[Element]:
        """The buttons and images of these kinds in a node; each link button has its own action_id."""
        links = 0
        for child in node.body():
            if isinstance(child, Node) and child.kind in kinds:
                yield from self._element(child, links)
                links += child.kind is NodeKind.BUTTON

    def _element(self, node: Node, number: int = 0) -> Iterator[Element]:
        """The button or image, if its address is valid; one whose address is too long is counted as omitted."""
        if node.kind is NodeKind.RELAY_ACTIONS:
            yield from self._relay_elements
            return
        arguments = [part.children for part in node.nodes(NodeKind.ARGUMENT)]
        links = [child.url for child in node.argument() if isinstance(child, Link)]  # the filter `link` made it
        words = links[0] if links else plain_words(node.argument())
        url = valid_url(words)
        if url is None:
            self._omitted += [(node.kind.value.name, "")] if is_too_long(words) else []
        elif node.kind is NodeKind.IMAGE:
            alt_text = plain(flow_of(arguments[1]), _LONGEST_ALT_TEXT) if len(arguments) > 1 else ""
            yield {"type": "image", "image_url": url, "alt_text": alt_text or "image"}
        elif text := plain(flow_of(node.body()), limits.BUTTON_TEXT) or "Open":
            if not self._clickable:
                self._links.append([link_atom(url, text)])
                return
            yield {"type": "button", "text": plain_text(text), "url": url, "action_id": f"{_LINK_ACTION}_{number}"}


def _batches(row: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (row[start : start + size] for start in range(0, len(row), size))


def _relay_elements(buttons: Sequence[Button]) -> Iterator[Element]:
    """Relay's own buttons in their row: the first ones, the menu, the last ones.

    If Slack would accept no menu of these buttons, they are buttons of the row.
    """
    first = [button for button in buttons if button.place is ButtonPlace.FIRST]
    menu = [button for button in buttons if button.place is ButtonPlace.MENU]
    values = {button.action_id: menu_value(button.action_id, button.value) for button in menu}
    fits = len(menu) >= limits.FEWEST_OVERFLOW_OPTIONS and all(
        len(value) <= limits.OPTION_VALUE for value in values.values()
    )
    yield from map(_relay_button, first)
    if fits:
        options = [{"text": _label(button, limits.OPTION_TEXT), "value": values[button.action_id]} for button in menu]
        yield {"type": "overflow", "action_id": MENU_ACTION, "options": options[: limits.OVERFLOW_OPTIONS]}
    else:
        yield from map(_relay_button, menu)
    yield from (_relay_button(button) for button in buttons if button.place is ButtonPlace.LAST)


def _label(button: Button, limit: int) -> Element:
    return plain_text(plain([Atom(button.text)], limit))


def _relay_button(button: Button) -> Element:
    text = _label(button, limits.BUTTON_TEXT)
    optional = {"value": button.value, "style": button.style}
    present = {name: value for name, value in optional.items() if value}
    return {"type": "button", "text": text, "action_id": button.action_id, **present}
