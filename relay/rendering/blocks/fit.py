"""A draft becomes a message that Slack takes: so many blocks, so many characters, and words for what had no room.

In this order: whole items of lists are left out and counted, until the number of blocks is right; every text gives way
alike, down to a few lines each; more items go; every text gives way down to a few words; then blocks go, from the end.
The headline, the mention, relay's notices and (as long as there is any other way) buttons and other headers stay.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from relay.rendering.blocks.compose import Draft
from relay.rendering.blocks.parts import SMALLEST, Block, Fixed, Group, Header, Omission, Part, Section
from relay.rendering.blocks.rich_text import Atom, Flow, is_blank, notification, one_line
from relay.slack import limits
from relay.slack.message import Message

NOTIFICATION: Final = 1_000
"""Far below what Slack takes: a lock screen shows a line or two of it."""

ON_TOP: Final = limits.BLOCKS - limits.ATTACHMENT_BLOCKS
BUDGET: Final = limits.ALL_BLOCKS - 300
"""The rest is for the words that say what was left out."""

_COMFORTABLE: Final = (limits.TEXT_OBJECT, 1_500, 800, 400)
_TIGHT: Final = (200, 100, SMALLEST)
_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}")
_KEPT_ITEMS: Final = 3
_NOTHING: Final = Section(flow=(Atom("…"),))


def fitted(draft: Draft, title: str) -> Message:
    """The message. `title` is what the notification says where the draft has nothing better."""
    text = _text(draft, title)
    canvas = _Canvas(draft)
    canvas.shrink()
    top, bar = canvas.blocks(canvas.top), canvas.blocks(canvas.bar)
    color = {"color": draft.color} if _COLOR.fullmatch(draft.color) else {}
    return Message(text=text, blocks=tuple(top), attachments=({**color, "blocks": bar},) if bar else ())


def _text(draft: Draft, title: str) -> str:
    flows: list[Flow] = [draft.summary]
    flows += [part.flow for part in (*draft.top, *draft.bar) if isinstance(part, Header)]
    told = next((flow for flow in flows if not is_blank(flow) and one_line(flow)), (Atom(title),))
    return notification(told, NOTIFICATION) or "…"


class _Canvas:
    """The parts that are left, and the cap under which they are drawn."""

    def __init__(self, draft: Draft) -> None:
        self._cap = limits.TEXT_OBJECT
        self._drawn: dict[int, Block | None] = {}
        self.top = self._visible(draft.top)
        self.bar = self._visible(draft.bar) or ([] if self.top else [_NOTHING])
        if not self.top:
            # Without blocks on top Slack would show the notification's text above the bar.
            self.top.append(self.bar.pop(0))

    def blocks(self, parts: Iterable[Part]) -> list[Block]:
        """The parts as blocks."""
        return [block for part in parts if (block := self._draw(part)) is not None]

    def shrink(self) -> None:
        """Take away what has no room."""
        self.top = _fewer(self.top, ON_TOP)
        self.bar = _fewer(self.bar, limits.ATTACHMENT_BLOCKS)
        if self._lowered(_COMFORTABLE):
            return
        self._leave_out(_items(_KEPT_ITEMS))
        if self._lowered(_TIGHT):
            return
        self._leave_out(_items(0))
        self._leave_out(_passing)
        self._leave_out(_fixed)
        self._leave_out(_headers)

    def _visible(self, parts: Sequence[Part]) -> list[Part]:
        return _one_note([part for part in parts if self._draw(part) is not None])

    def _lowered(self, caps: Sequence[int]) -> bool:
        """Whether all fits under one of these caps, tried in turn."""
        for cap in caps:
            if cap != self._cap:
                self._cap = cap
                self._drawn.clear()
            if self._excess() <= 0:
                return True
        return False

    def _leave_out(self, choose: "Choose") -> None:
        self.bar = _without(self.bar, choose(self.bar), self._excess(), self._weight)
        self.top = _without(self.top, choose(self.top), self._excess(), self._weight)

    def _excess(self) -> int:
        return sum(map(self._weight, (*self.top, *self.bar))) - BUDGET

    def _weight(self, part: Part) -> int:
        return 0 if isinstance(part, Omission) else limits.visible_characters(self._draw(part))

    def _draw(self, part: Part) -> Block | None:
        if isinstance(part, Omission):  # not from the draft, so its id may be that of one before
            return part.draw(self._cap)
        if id(part) not in self._drawn:
            self._drawn[id(part)] = part.draw(self._cap)
        return self._drawn[id(part)]


Choose = Callable[[Sequence[Part]], list[list[Part]]]
"""Names what may go, in the order in which it goes; what stands in one list goes together."""


def _items(keep: int) -> Choose:
    """Items of lists, from the last; the first few stay."""

    def choose(parts: Sequence[Part]) -> list[list[Part]]:
        groups: dict[Group, list[Part]] = {}
        for part in parts:
            if part.group is not None:
                groups.setdefault(part.group, []).append(part)
        return list(groups.values())[keep:][::-1]

    return choose


def _passing(parts: Sequence[Part]) -> list[list[Part]]:
    """Blocks that need not stay, from the last."""
    return [[part] for part in reversed(parts) if not part.lasting]


def _fixed(parts: Sequence[Part]) -> list[list[Part]]:
    """Blocks that cannot be made smaller, from the last."""
    return [[part] for part in reversed(parts) if isinstance(part, Fixed)]


def _headers(parts: Sequence[Part]) -> list[list[Part]]:
    """Headlines but the first, from the last."""
    headers = [index for index, part in enumerate(parts) if isinstance(part, Header)]
    return [[parts[index]] for index in headers[:0:-1]]


def _fewer(parts: list[Part], limit: int) -> list[Part]:
    """At most so many parts, one of which may have to say what is missing."""
    for choose in (_items(0), _passing, _fixed, _headers):
        excess = len(parts) - limit
        if excess > 0:
            note = not any(isinstance(part, Omission) for part in parts)
            parts = _without(parts, choose(parts), excess + note, lambda _: 1)
    return parts


def _without(parts: list[Part], candidates: list[list[Part]], excess: int, weight: Callable[[Part], int]) -> list[Part]:
    """The parts without as many of the candidates as outweigh the excess; the first gap says what is missing."""
    gone: dict[int, Omission] = {}
    for candidate in candidates:
        if excess <= 0:
            break
        excess -= sum(map(weight, candidate))
        first, *rest = candidate
        gone |= {id(first): _lost(first)} | {id(part): Omission() if first.group else _lost(part) for part in rest}
    return _one_note([gone.get(id(part), part) for part in parts])


def _lost(part: Part) -> Omission:
    """What stands for a part that is left out."""
    if part.group:
        return Omission(items=((part.group.noun, part.group.state),))
    match part:
        case Fixed(block={"type": "actions", "elements": elements}):
            return Omission(items=(("button", ""),) * len(elements))
        case Fixed(block={"type": "image"}):
            return Omission(items=(("image", ""),))
        case _:
            return Omission(blocks=1)


def _one_note(parts: list[Part]) -> list[Part]:
    """The parts with everything that is missing told in one place, which is that of the first gap."""
    gaps = [part for part in parts if isinstance(part, Omission)]
    if not gaps:
        return parts
    items = tuple(item for gap in gaps for item in gap.items)
    note = Omission(items=items, blocks=sum(gap.blocks for gap in gaps))
    return [note if part is gaps[0] else part for part in parts if part is gaps[0] or not isinstance(part, Omission)]
