"""The parts of a message that can be drawn as blocks, larger or smaller.

Every part is drawn within a `cap`: no text of it is longer than that many characters, and never longer than Slack
allows. What a template lists is marked by a `Group`, so that whole items can be left out and counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from relay.rendering.blocks.rich_text import Flow, mrkdwn, plain
from relay.rendering.wording import and_more, more_blocks
from relay.slack import limits

Block = dict[str, Any]
Element = Mapping[str, Any]

SMALLEST: Final = 40
"""No text is cut below this."""


@dataclass(frozen=True, eq=False, slots=True)
class Group:
    """One item of a list: what belongs to it stays or goes together."""

    noun: str
    state: str


class Part(Protocol):
    """Something that becomes one block."""

    @property
    def group(self) -> Group | None:
        """The item of a list that it belongs to."""

    @property
    def lasting(self) -> bool:
        """Whether it stays where others have to go."""

    def draw(self, cap: int) -> Block | None:
        """The block, no text of it longer than `cap`; None where there is nothing to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A headline."""

    flow: Flow
    group: Group | None = None
    lasting: bool = True

    def draw(self, cap: int) -> Block | None:
        """A header block."""
        text = plain(self.flow, min(cap, limits.HEADER))
        return {"type": "header", "text": plain_text(text)} if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Running text, perhaps with a button or a picture beside it; a firm one is not made smaller."""

    flow: Flow
    accessory: Element | None = None
    group: Group | None = None
    lasting: bool = False
    firm: bool = False

    def draw(self, cap: int) -> Block | None:
        """A section block."""
        text = mrkdwn(self.flow, limits.SECTION_TEXT if self.firm else min(cap, limits.SECTION_TEXT))
        if not text.strip():
            return None
        block: Block = {"type": "section", "text": mrkdwn_text(text)}
        return {**block, "accessory": dict(self.accessory)} if self.accessory else block


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """At most ten short texts in two columns."""

    flows: Sequence[Flow]
    group: Group | None = None
    lasting: bool = False

    def draw(self, cap: int) -> Block | None:
        """A section block with fields."""
        texts = [mrkdwn(flow, min(cap, limits.SECTION_FIELD)) for flow in self.flows]
        fields = [mrkdwn_text(text) for text in texts if text.strip()]
        return {"type": "section", "fields": fields} if fields else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Small print: texts and little pictures, at most ten; firm ones are not made smaller."""

    elements: Sequence[Flow | Element]
    group: Group | None = None
    lasting: bool = False
    firm: bool = False

    def draw(self, cap: int) -> Block | None:
        """A context block."""
        drawn = [element for element in self._drawn(cap) if element]
        return {"type": "context", "elements": drawn} if drawn else None

    def _drawn(self, cap: int) -> Iterator[Block | None]:
        for element in self.elements:
            if isinstance(element, Mapping):
                yield dict(element)
            else:
                text = mrkdwn(element, limits.TEXT_OBJECT if self.firm else min(cap, limits.TEXT_OBJECT))
                yield mrkdwn_text(text) if text.strip() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A block that holds little text and is drawn as it is: buttons, a divider, a picture."""

    block: Block
    group: Group | None = None
    lasting: bool = False

    def draw(self, cap: int) -> Block | None:  # noqa: ARG002  nothing in it can be cut
        """The block."""
        return self.block


@dataclass(frozen=True, slots=True, kw_only=True)
class Omission:
    """Stands where something was left out, and says what: (noun, state) of what has a name, and other blocks."""

    items: tuple[tuple[str, str], ...] = ()
    blocks: int = 0
    group: Group | None = None
    lasting: bool = True

    def draw(self, cap: int) -> Block | None:  # noqa: ARG002  it is short
        """A context block."""
        told = [and_more(self.items)] if self.items else []
        told += [more_blocks(self.blocks)] if self.blocks else []
        return {"type": "context", "elements": [mrkdwn_text(" · ".join(told))]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """An item of a list that comes after more blocks than a message has: it is counted, and never seen."""

    group: Group | None
    lasting: bool = False

    def draw(self, cap: int) -> Block | None:  # noqa: ARG002  nobody sees it
        """Something, since it has to be left out."""
        return {"type": "divider"}


def plain_text(text: str) -> Block:
    """A text object that is shown as it is."""
    return {"type": "plain_text", "text": text, "emoji": True}


def mrkdwn_text(text: str) -> Block:
    """A text object with markup, in which Slack looks for no names or addresses of its own accord."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
