"""Makes a draft fit: the blocks and characters that Slack allows, and words for what was left out.

First, list items are left out and counted, until the number of blocks fits. Then all texts are shortened to a few lines
each, and more items are left out. Then all texts are shortened to a few words. At last blocks are left out, from the
end. The headline, the mention and relay's notices stay. Buttons and other headers stay as long as possible.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from relay.rendering.blocks.compose import Draft
from relay.rendering.blocks.parts import SMALLEST_CAP, Block, Fixed, Group, Header, Omission, Part, Section
from relay.rendering.blocks.rich_text import Atom, is_blank, notification, one_line
from relay.slack import limits
from relay.slack.message import Message

BUDGET: Final = limits.ALL_BLOCKS - 300
"""Characters of all blocks; the rest is for the words that say what was left out."""

_LONGEST_NOTIFICATION: Final = 1_000
"""Much less than Slack allows: a lock screen shows a line or two."""

_TOP_BLOCKS: Final = limits.BLOCKS - limits.ATTACHMENT_BLOCKS
_LONG_CAPS: Final = (limits.TEXT_OBJECT, 1_500, 800, 400)
_SHORT_CAPS: Final = (200, 100, SMALLEST_CAP)
_COLOR: Final = re.compile(r"#[0-9A-Fa-f]{6}")
_KEPT_ITEMS: Final = 3
_PLACEHOLDER: Final = Section(flow=(Atom("…"),))

Choose = Callable[[Sequence[Part]], list[list[Part]]]
"""Lists what may go, in the order in which it goes; the parts of one inner list go together."""


def fitted(draft: Draft, title: str) -> Message:
    """Return the message; `title` is its notification if the draft has nothing better."""
    headlines = [part.flow for part in (*draft.top, *draft.bar) if isinstance(part, Header)]
    flows = (flow for flow in (draft.summary, *headlines) if not is_blank(flow) and one_line(flow))
    text = notification(next(flows, (Atom(title),)), _LONGEST_NOTIFICATION) or "…"
    canvas = _Canvas(draft)
    canvas.shrink()
    top, bar = canvas.blocks(canvas.top), canvas.blocks(canvas.bar)
    color = {"color": draft.color} if _COLOR.fullmatch(draft.color) else {}
    return Message(text=text, blocks=tuple(top), attachments=({**color, "blocks": bar},) if bar else ())


class _Canvas:
    """The parts that are left, and the cap within which they are drawn."""

    def __init__(self, draft: Draft) -> None:
        self._cap = limits.TEXT_OBJECT
        self._drawn: dict[Part, Block | None] = {}
        self.top = self._visible(draft.top)
        self.bar = self._visible(draft.bar) or ([] if self.top else [_PLACEHOLDER])
        if not self.top:
            # Without blocks on top Slack would show the notification's text above the bar.
            self.top.append(self.bar.pop(0))

    def blocks(self, parts: Iterable[Part]) -> list[Block]:
        """Draw the parts."""
        return [block for part in parts if (block := self._draw(part)) is not None]

    def shrink(self) -> None:
        """Remove and shorten parts until all fit."""
        self.top = _at_most(self.top, _TOP_BLOCKS)
        self.bar = _at_most(self.bar, limits.ATTACHMENT_BLOCKS)
        if self._fits_within(_LONG_CAPS):
            return
        self._leave_out(partial(_items, keep=_KEPT_ITEMS))
        if self._fits_within(_SHORT_CAPS):
            return
        for choose in _IN_ORDER:
            self._leave_out(choose)

    def _visible(self, parts: Sequence[Part]) -> list[Part]:
        return _one_omission([part for part in parts if self._draw(part) is not None])

    def _fits_within(self, caps: Sequence[int]) -> bool:
        """Try these caps in turn; whether all parts fit within one."""
        for cap in caps:
            if cap != self._cap:
                self._cap = cap
                self._drawn.clear()
            if self._excess() <= 0:
                return True
        return False

    def _leave_out(self, choose: Choose) -> None:
        self.bar = _without(self.bar, choose(self.bar), self._excess(), self._weight)
        self.top = _without(self.top, choose(self.top), self._excess(), self._weight)

    def _excess(self) -> int:
        return sum(map(self._weight, (*self.top, *self.bar))) - BUDGET

    def _weight(self, part: Part) -> int:
        return 0 if isinstance(part, Omission) else limits.visible_characters(self._draw(part))

    def _draw(self, part: Part) -> Block | None:
        if part not in self._drawn:
            self._drawn[part] = part.draw(self._cap)
        return self._drawn[part]


def _items(parts: Sequence[Part], keep: int = 0) -> list[list[Part]]:
    """List items, from the last; the first `keep` stay."""
    groups: dict[Group, list[Part]] = {}
    for part in parts:
        if part.group is not None:
            groups.setdefault(part.group, []).append(part)
    return list(groups.values())[keep:][::-1]


_IN_ORDER: Final[tuple[Choose, ...]] = (
    _items,
    lambda parts: [[part] for part in reversed(parts) if not part.lasting],
    lambda parts: [[part] for part in reversed(parts) if isinstance(part, Fixed)],
    lambda parts: [[part] for part in [part for part in parts if isinstance(part, Header)][:0:-1]],
)
"""List items, parts that need not last, parts that cannot be made smaller, and headlines except the first."""


def _at_most(parts: list[Part], limit: int) -> list[Part]:
    """At most `limit` parts; one of them may have to say what is missing."""
    for choose in _IN_ORDER:
        excess = len(parts) - limit
        if excess > 0:
            needs_omission = not any(isinstance(part, Omission) for part in parts)
            parts = _without(parts, choose(parts), excess + needs_omission, lambda _: 1)
    return parts


def _without(parts: list[Part], candidates: list[list[Part]], excess: int, weight: Callable[[Part], int]) -> list[Part]:
    """Remove candidates until they outweigh the excess; the first gap says what is missing."""
    gone: dict[Part, Omission] = {}
    for candidate in candidates:
        if excess <= 0:
            break
        excess -= sum(map(weight, candidate))
        first, *rest = candidate
        gone |= {first: _omission(first)}
        gone |= {part: Omission() if first.group else _omission(part) for part in rest}
    return _one_omission([gone.get(part, part) for part in parts])


def _omission(part: Part) -> Omission:
    if part.group:
        return Omission(items=((part.group.noun, part.group.state),))
    match part:
        case Fixed(block={"type": "actions", "elements": elements}):
            return Omission(items=(("button", ""),) * len(elements))
        case Fixed(block={"type": "image"}):
            return Omission(items=(("image", ""),))
        case _:
            return Omission(blocks=1)


def _one_omission(parts: list[Part]) -> list[Part]:
    """Merge all omissions into one, at the place of the first."""
    gaps = [part for part in parts if isinstance(part, Omission)]
    if not gaps:
        return parts
    items = tuple(item for gap in gaps for item in gap.items)
    merged = Omission(items=items, blocks=sum(gap.blocks for gap in gaps))
    return [merged if part is gaps[0] else part for part in parts if part is gaps[0] or not isinstance(part, Omission)]
