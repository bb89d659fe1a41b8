"""The parts of a message: each becomes one block, whose texts can be cut to a given length.

A part is drawn within a `cap`: no text in it is longer than that many characters, or than Slack allows. The parts of a
list item share a `Group`, so that whole items can be left out and counted.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.rendering.blocks.rich_text import Atom, Flow, mrkdwn, plain
from relay.rendering.wording import and_more, more_blocks
from relay.slack import limits

Block = dict[str, Any]
Element = Mapping[str, Any]

SMALLEST_CAP: Final = 40
"""No text is cut shorter than this."""


@dataclass(frozen=True, eq=False, slots=True)
class Group:
    """One item of a list: all its parts stay, or all go."""

    noun: str
    state: str


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Part(ABC):
    """Something that becomes one block. A `lasting` part stays while others go."""

    group: Group | None = None
    lasting: bool = False

    @abstractmethod
    def draw(self, cap: int) -> Block | None:
        """Return the block, with no text longer than `cap`; None if there is nothing to show."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Header(Part):
    """A headline."""

    flow: Flow
    lasting: bool = True

    def draw(self, cap: int) -> Block | None:
        """Return a header block."""
        text = plain(self.flow, min(cap, limits.HEADER))
        return {"type": "header", "text": plain_text(text)} if text else None


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Section(Part):
    """Running text, perhaps with a button or an image beside it; a `firm` one is never made smaller."""

    flow: Flow
    accessory: Element | None = None
    firm: bool = False

    def draw(self, cap: int) -> Block | None:
        """Return a section block."""
        text = mrkdwn(self.flow, limits.SECTION_TEXT if self.firm else min(cap, limits.SECTION_TEXT))
        if not text.strip():
            return None
        block: Block = {"type": "section", "text": mrkdwn_text(text)}
        return {**block, "accessory": dict(self.accessory)} if self.accessory else block


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Fields(Part):
    """At most ten short texts in two columns."""

    flows: Sequence[Flow]

    def draw(self, cap: int) -> Block | None:
        """Return a section block with fields."""
        texts = [mrkdwn(flow, min(cap, limits.SECTION_FIELD)) for flow in self.flows]
        fields = [mrkdwn_text(text) for text in texts if text.strip()]
        return {"type": "section", "fields": fields} if fields else None


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Context(Part):
    """Small print: at most ten texts and small images; a `firm` one is never made smaller."""

    elements: Sequence[Flow | Element]
    firm: bool = False

    def draw(self, cap: int) -> Block | None:
        """Return a context block."""
        limit = limits.TEXT_OBJECT if self.firm else min(cap, limits.TEXT_OBJECT)
        elements = []
        for element in self.elements:
            if isinstance(element, Mapping):
                elements.append(dict(element))
            elif (text := mrkdwn(element, limit)).strip():
                elements.append(mrkdwn_text(text))
        return {"type": "context", "elements": elements} if elements else None


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Fixed(Part):
    """A block with little text, which is drawn as it is: buttons, a divider, an image."""

    block: Block

    def draw(self, cap: int) -> Block | None:  # noqa: ARG002  nothing in it can be cut
        """Return the block."""
        return self.block


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Omission(Part):
    """Replaces omitted parts and says what is missing: (noun, state) of those that have a name, and other blocks."""

    items: tuple[tuple[str, str], ...] = ()
    blocks: int = 0
    lasting: bool = True

    def draw(self, cap: int) -> Block | None:  # noqa: ARG002  it is short
        """Return a context block."""
        words = [and_more(self.items)] if self.items else []
        words += [more_blocks(self.blocks)] if self.blocks else []
        return {"type": "context", "elements": [mrkdwn_text(" · ".join(words))]}


def link_line(links: Sequence[Flow], group: Group | None) -> Section:
    """Links in a line of text, which replace buttons that nobody acknowledges."""
    flow = [atom for link in links for atom in (Atom(" · "), *link)][1:]
    return Section(flow=flow, group=group, lasting=True, firm=True)


def plain_text(text: str) -> Block:
    """Make a text object that Slack shows as it is."""
    return {"type": "plain_text", "text": text, "emoji": False}


def mrkdwn_text(text: str) -> Block:
    """Make a text object with markup, in which Slack itself looks for no names or addresses."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
