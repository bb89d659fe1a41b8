"""Running text: a row of atoms that becomes mrkdwn or plain text, escaped once, never cut in the middle of anything.

An atom is text between two fixed pieces of markup, either of which may be empty. The text is always escaped and may be
cut anywhere between two whole characters; the markup is relay's own and stays whole. So `<...>` stands in a message
only where relay's markup put it, whatever was printed.

Escaping: https://docs.slack.dev/messaging/formatting-message-text#escaping
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from relay.rendering.blocks.characters import clean, size, whole
from relay.rendering.blocks.marks import LIST_ENDS, ItemMark
from relay.rendering.wording import LINK_IS_TOO_LONG, and_more, more_characters

TAIL: Final = 90
"""Characters kept free for the words that say what a cut left out, and for closing what it cut open."""

_BRIEF_TAIL: Final = 8
"""The same, where there is hardly room for any text."""


class Atom(NamedTuple):
    """A text between two pieces of markup; `shown` is what plain text shows instead. Quoted lines begin with `> `."""

    text: str
    before: str = ""
    after: str = ""
    shown: str | None = None
    quoted: bool = False

    @property
    def is_run(self) -> bool:
        """Whether it is text and nothing else."""
        return not self.before and not self.after and self.shown is None


Flow = Sequence[Atom | ItemMark]
"""Atoms in a row, with the marks of the items of lists."""

_ESCAPES: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
_QUOTED_ESCAPES: Final = {**_ESCAPES, ord("\n"): "\n> "}
_COSTS: Final = {"&": 5, "<": 4, ">": 4}
_QUOTED_COSTS: Final = {**_COSTS, "\n": 3}
_SPECIAL: Final = re.compile("[&<>]")
_LINE_ENDS: Final = re.compile(r"[ \t]+(?=\n)")
_GAPS: Final = re.compile(r"\n{3,}")
_CALLS: Final = re.compile(r"(?i)@(?=(?:here|channel|everyone)\b)")


def escaped(text: str) -> str:
    """The text as it must stand in mrkdwn to be shown as it is."""
    return text.translate(_ESCAPES) if _SPECIAL.search(text) else text


def tidy(flow: Iterable[Atom | ItemMark]) -> list[Atom | ItemMark]:
    """The flow cleaned for Slack: neighbours joined, no blanks around it or at a line's end, no wide gaps."""
    tidied = [_tidied(atom) for atom in _joined(flow)]
    _strip(tidied, last=False)
    _strip(tidied, last=True)
    return [atom for atom in tidied if isinstance(atom, ItemMark) or atom.text or atom.before]


def is_blank(flow: Flow) -> bool:
    """Whether a reader would see nothing."""
    return all(isinstance(atom, ItemMark) or not (atom.text.strip() or atom.before) for atom in flow)


def mrkdwn(flow: Flow, limit: int) -> str:
    """The flow as mrkdwn of at most so many characters."""
    text = "".join(map(_drawn, flow))
    return text if size(text) <= limit else "".join(map(_drawn, shortened(flow, limit)))


def length(flow: Flow) -> int:
    """How long the flow is as mrkdwn."""
    return size("".join(map(_drawn, flow)))


def shortened(flow: Flow, limit: int) -> Flow:
    """The flow, cut so that it is mrkdwn of at most so many characters, and closed with what the cut left out."""
    if length(flow) <= limit:
        return flow
    room = limit - TAIL if limit > 2 * TAIL else max(limit - _BRIEF_TAIL, 0)
    flow = [_bare(atom, room) for atom in flow]
    if length(flow) <= limit:
        return flow
    kept, missing = _cut(flow, room)
    _strip(kept, last=True)
    closing = _closing("".join(map(_drawn, kept)))
    tail = _tail(kept, missing, limit - length(kept) - len(closing))
    return [*kept, Atom(closing + tail)]


def plain(flow: Flow, limit: int) -> str:
    """The flow as plain text on one line of at most so many characters."""
    text = one_line(flow)
    if size(text) <= limit:
        return text
    return text[: whole(text, _reach(text, limit - 1, {}))].rstrip() + "…"


def notification(flow: Flow, limit: int) -> str:
    """The flow on one line as a message's `text`: escaped, and calling nobody by any spelling."""
    line = Atom(_CALLS.sub("@\u200b", one_line(flow)))
    return mrkdwn([line], limit)


def one_line(flow: Flow) -> str:
    """What plain text shows of the flow, on one line."""
    text = "".join(_shown(atom) for atom in flow if isinstance(atom, Atom))
    return " ".join(clean(text).split())


def _shown(atom: Atom) -> str:
    return atom.text if atom.shown is None else atom.shown


def _drawn(atom: Atom | ItemMark) -> str:
    if isinstance(atom, ItemMark):
        return ""
    text = atom.text.translate(_QUOTED_ESCAPES) if atom.quoted else escaped(atom.text)
    return f"{atom.before}{text}{atom.after}"


def _joined(flow: Iterable[Atom | ItemMark]) -> Iterator[Atom | ItemMark]:
    """Runs of text that touch one another as one."""
    for quoted, row in groupby(flow, _joins):
        if quoted is None:
            yield from row
        else:
            yield Atom("".join(atom.text for atom in row if isinstance(atom, Atom)), quoted=quoted)


def _joins(atom: Atom | ItemMark) -> bool | None:
    """Alike for what joins with its neighbour; None for what joins with nothing."""
    return atom.quoted if isinstance(atom, Atom) and atom.is_run else None


def _tidied(atom: Atom | ItemMark) -> Atom | ItemMark:
    if isinstance(atom, ItemMark):
        return atom
    text = clean(atom.text)
    if "\n" in text and atom.is_run:
        text = _GAPS.sub("\n\n", _LINE_ENDS.sub("", text))
    return atom if text == atom.text else atom._replace(text=text)


def _strip(flow: list[Atom | ItemMark], *, last: bool) -> None:
    """Take the blanks off one end, however many atoms hold them."""
    for index in range(len(flow) - 1, -1, -1) if last else range(len(flow)):
        atom = flow[index]
        if isinstance(atom, ItemMark):
            continue
        if not atom.is_run:
            return
        text = atom.text.rstrip() if last else atom.text.lstrip()
        if text != atom.text:
            flow[index] = atom._replace(text=text)
        if text:
            return


def _cut(flow: Flow, room: int) -> tuple[list[Atom | ItemMark], list[Atom | ItemMark]]:
    """What has room, and what has not. An item of a list is kept as a whole, unless it is the first thing there is."""
    kept: list[Atom | ItemMark] = []
    for index, atom in enumerate(flow):
        drawn = size(_drawn(atom))
        if drawn > room:
            begins = _item_begins(kept)
            if begins:
                return kept[:begins], [*kept[begins:], *flow[index:]]
            head, rest = _split(atom, room) if isinstance(atom, Atom) else (None, atom)
            return [*kept, *([head] if head else [])], [rest, *flow[index + 1 :]]
        kept.append(atom)
        room -= drawn
    return kept, []


def _bare(atom: Atom | ItemMark, room: int) -> Atom | ItemMark:
    """The atom; as text alone where its markup leaves no room for any, so that a long address costs itself alone."""
    if isinstance(atom, ItemMark) or size(atom.before) + size(atom.after) < room or not _shown(atom):
        return atom
    return Atom(f"{atom.text} {LINK_IS_TOO_LONG}" if atom.text else _shown(atom), quoted=atom.quoted)


def _item_begins(kept: Flow) -> int:
    """Where the item begins that is being cut; 0 where that is no item, or nothing would be left before it."""
    for index in range(len(kept) - 1, -1, -1):
        if kept[index] == LIST_ENDS:
            return 0
        if isinstance(kept[index], ItemMark):
            return 0 if is_blank(kept[:index]) else index
    return 0


def _split(atom: Atom, room: int) -> tuple[Atom | None, Atom]:
    """The atom in two, the first drawn in at most so many characters; None where there is no room for a bit of it."""
    reach = _reach(atom.text, room - size(atom.before) - size(atom.after), _QUOTED_COSTS if atom.quoted else _COSTS)
    end = _at_a_word(atom.text, whole(atom.text, reach))
    if end <= 0:
        return None, atom
    return atom._replace(text=atom.text[:end], shown=None), atom._replace(text=atom.text[end:], shown=None)


def _reach(text: str, room: int, costs: Mapping[str, int]) -> int:
    """How many code points of the text there is room for, some of which cost more than they are long."""
    for index, character in enumerate(text):
        room -= costs.get(character) or size(character)
        if room < 0:
            return index
    return len(text)


def _at_a_word(text: str, end: int) -> int:
    """The end of a word shortly before, where there is one."""
    blank = max(text.rfind(" ", max(0, end - 25), end), text.rfind("\n", max(0, end - 25), end))
    return blank if blank > 0 else end


def _closing(text: str) -> str:
    """What closes the code that the end of this text stands in."""
    if text.count("```") % 2:
        return "```"
    last_line = text.rpartition("```")[2].rpartition("\n")[2]
    return "`" if last_line.count("`") % 2 else ""


def _tail(kept: Flow, missing: Flow, room: int) -> str:
    """What is missing, in as many words as there is room for."""
    items = [(atom.noun, atom.state) for atom in missing if isinstance(atom, ItemMark) and atom.noun]
    lost = _lost(missing)
    words = [more_characters(lost)] if lost else []
    between_items = bool(missing) and isinstance(missing[0], ItemMark)
    if items:
        words.insert(0 if between_items else 1, and_more(items))
    lead = "\n" if between_items and kept else " "
    return next((tail for tail in (lead + " ".join(words), "…") if size(tail) <= room), "")


def _lost(missing: Flow) -> int:
    """The characters that are missing outside of items."""
    lost, inside = 0, False
    for atom in missing:
        if isinstance(atom, ItemMark):
            inside = bool(atom.noun)
        elif not inside:
            lost += len(_shown(atom))
    return lost
