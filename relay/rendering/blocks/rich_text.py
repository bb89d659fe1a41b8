"""Running text: a row of atoms that becomes mrkdwn or plain text, escaped once, and never cut inside markup.

An atom is text between two pieces of markup, either of which may be empty. The text is always escaped, and may be cut
between any two whole characters. The markup is relay's own or the template's, and stays whole. So nothing in a text
formats words, links or pings, whatever a value holds.

Escaping: https://docs.slack.dev/messaging/formatting-message-text#escaping
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from relay.rendering.blocks.characters import safe_cut, sendable, utf16_length, without_formatting
from relay.rendering.blocks.marks import LIST_END, ItemMark
from relay.rendering.wording import LINK_TOO_LONG, and_more, more_characters

_NOTE_ROOM: Final = 90
"""Characters kept free for the note on what a cut left out, and for closing code that the cut left open."""

_SMALL_NOTE_ROOM: Final = 8
"""The same in a very small text."""

_WORD_NEAR: Final = 25


class Atom(NamedTuple):
    """Text between two pieces of markup. Plain text shows `shown` instead; each `quoted` line begins with `> `.

    With `item` it is only the mark of a list item, and has no text.
    """

    text: str
    before: str = ""
    after: str = ""
    shown: str | None = None
    quoted: bool = False
    item: ItemMark | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is only text."""
        return not self.before and not self.after and self.shown is None and self.item is None


Flow = Sequence[Atom]
"""Atoms in a row."""

_ESCAPES: Final = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
_COSTS: Final = {"&": 5, "<": 4, ">": 5, "*": 2, "_": 2, "~": 2, ":": 2}
"""The most characters that one character becomes."""

_CODE: Final = frozenset({"`", "```"})
_PAIRED: Final = frozenset({"*", "_", "~", *_CODE})
_QUOTED_COSTS: Final = {**_COSTS, "\n": 3}
_SPECIAL: Final = re.compile("[&<>]")
_GAPS: Final = re.compile(r"\n{3,}")
_BROADCASTS: Final = re.compile(r"(?i)@(?=(?:here|channel|everyone)\b)")


def escaped(text: str) -> str:
    """Escape the text, so that nothing in it is a link, a date or a ping."""
    return text.translate(_ESCAPES) if _SPECIAL.search(text) else text


def tidy(flow: Iterable[Atom]) -> list[Atom]:
    """Clean the flow for Slack: join neighbours, and remove blanks at its ends and line ends, and wide gaps."""
    tidied: list[Atom] = []
    for quoted, row in groupby(flow, lambda atom: atom.quoted if atom.is_plain else None):
        if quoted is None:
            tidied += map(_tidied, row)
        else:
            tidied.append(_tidied(Atom("".join(atom.text for atom in row), quoted=quoted)))
    _strip(tidied, last=False)
    _strip(tidied, last=True)
    return [atom for atom in tidied if atom.text or atom.before or atom.item]


def is_blank(flow: Flow) -> bool:
    """Whether a reader would see nothing."""
    return not any(atom.text.strip() or atom.before for atom in flow)


def mrkdwn(flow: Flow, limit: int) -> str:
    """Write the flow as mrkdwn of at most `limit` characters."""
    text = _written_within(flow, limit)
    return _written(_cut_to(flow, limit)) if text is None else text


def length(flow: Flow) -> int:
    """Return the length of the flow as mrkdwn."""
    return utf16_length(_written(flow))


def shortened(flow: Flow, limit: int) -> Flow:
    """Cut the flow so that its mrkdwn has at most `limit` characters, and end it with what was left out."""
    return _cut_to(flow, limit) if _written_within(flow, limit) is None else flow


def _written_within(flow: Flow, limit: int) -> str | None:
    """The flow as mrkdwn; None if that has more than `limit` characters, which a very long text has unread."""
    if sum(len(atom.text) for atom in flow) > limit:
        return None
    text = _written(flow)
    return text if utf16_length(text) <= limit else None


def _cut_to(flow: Flow, limit: int) -> Flow:
    """Cut a flow that is too long."""
    room = limit - _NOTE_ROOM if limit > 2 * _NOTE_ROOM else max(limit - _SMALL_NOTE_ROOM, 0)
    flow = [_without_long_markup(atom, room) for atom in flow]
    if _written_within(flow, limit) is not None:
        return flow
    kept, missing = _cut(flow, room)
    _strip(kept, last=True)
    closing = _closing(kept)
    note = _note(kept, missing, limit - length(kept) - len(closing))
    return [*kept, Atom(note, closing)]


def plain(flow: Flow, limit: int) -> str:
    """Write the flow as plain text, on one line of at most `limit` characters."""
    text = one_line(flow)
    if utf16_length(text) <= limit:
        return text
    return text[: safe_cut(text, _reach(text, limit - 1, {}))].rstrip() + "…"


def notification(flow: Flow, limit: int) -> str:
    """Write the flow as a message's `text`: one escaped line that pings nobody."""
    line = Atom(_BROADCASTS.sub("@\u200b", one_line(flow)))
    return mrkdwn([line], limit)


def one_line(flow: Flow) -> str:
    """Write the flow as plain text on one line."""
    text = "".join(shown_text(atom) for atom in flow)
    return " ".join(sendable(text).split())


def shown_text(atom: Atom) -> str:
    """What plain text shows of an atom."""
    return atom.text if atom.shown is None else atom.shown


def link_atom(url: str, label: str) -> Atom:
    """A link with a label; a bar would end the address."""
    return Atom(label.replace("|", "¦"), f"<{escaped(url)}|", ">")


def format_atom(mark: str) -> Atom:
    """Formatting that a template wrote: one of `marks.FORMATTING`, or three backticks. Plain text has no formatting."""
    return Atom("", escaped(mark), shown=None if mark in _PAIRED else mark)


def format_of(atom: Atom) -> str:
    """Return the pair of formatting of which the atom is one end; empty for any other atom."""
    return atom.before if atom.before in _PAIRED and not atom.text and not atom.after else ""


def _written(flow: Flow) -> str:
    written: list[str] = []
    code, last = "", "\n"
    for atom in flow:
        if (mark := format_of(atom)) in _CODE and code in {"", mark}:
            code = "" if code else mark
        text = atom.text
        if not (code or atom.after.strip("\n") in _CODE):
            text = without_formatting(text, begins_line=last.endswith("\n") and not atom.before)
        text = escaped(text)
        shown = text.replace("\n", "\n> ") if atom.quoted else text
        piece = f"{atom.before}{shown}{atom.after}"
        last = piece or last
        written.append(piece)
    return "".join(written)


def _tidied(atom: Atom) -> Atom:
    text = sendable(atom.text)
    if "\n" in text and atom.is_plain:
        *lines, last = text.split("\n")
        # A pattern for blanks at the ends of lines would read a long run of blanks once for each of them.
        text = _GAPS.sub("\n\n", "\n".join([*(line.rstrip(" \t") for line in lines), last]))
    return atom if text == atom.text else atom._replace(text=text)


def _strip(flow: list[Atom], *, last: bool) -> None:
    """Remove the blanks at one end, also when they span several atoms."""
    for index in range(len(flow) - 1, -1, -1) if last else range(len(flow)):
        atom = flow[index]
        if atom.item:
            continue
        if not atom.is_plain:
            return
        text = atom.text.rstrip() if last else atom.text.lstrip()
        if text != atom.text:
            flow[index] = atom._replace(text=text)
        if text:
            return


def _cut(flow: Flow, room: int) -> tuple[list[Atom], list[Atom]]:
    """Split the flow into what fits and what is missing. A list item stays whole, unless nothing comes before it."""
    kept: list[Atom] = []
    for index, atom in enumerate(flow):
        written = _written_within([atom], room)
        if written is None:
            if begin := _item_begin(kept):
                return kept[:begin], [*kept[begin:], *flow[index:]]
            head, rest = _split(atom, room)
            return [*kept, *([head] if head else [])], [rest, *flow[index + 1 :]]
        kept.append(atom)
        room -= utf16_length(written)
    return kept, []


def _without_long_markup(atom: Atom, room: int) -> Atom:
    """Make an atom plain if its markup leaves no space for text, so that only the link of a long address is lost."""
    if utf16_length(atom.before + atom.after) < room or not shown_text(atom):
        return atom
    return Atom(f"{atom.text} {LINK_TOO_LONG}" if atom.text else shown_text(atom), quoted=atom.quoted)


def _item_begin(kept: Flow) -> int:
    """The index of the list item that is being cut; 0 if it is not an item, or if nothing comes before it."""
    for index in range(len(kept) - 1, -1, -1):
        if item := kept[index].item:
            return 0 if item == LIST_END or is_blank(kept[:index]) else index
    return 0


def _split(atom: Atom, room: int) -> tuple[Atom | None, Atom]:
    """Split an atom so that the first piece fits, at the end of a word if one is near; None if nothing of it fits."""
    costs = _QUOTED_COSTS if atom.quoted else _COSTS
    reach = _reach(atom.text, room - utf16_length(atom.before + atom.after), costs)
    end = safe_cut(atom.text, reach)
    near = max(0, end - _WORD_NEAR)
    blank = max(atom.text.rfind(" ", near, end), atom.text.rfind("\n", near, end))
    end = blank if blank > 0 else end
    if end <= 0:
        return None, atom
    return atom._replace(text=atom.text[:end], shown=None), atom._replace(text=atom.text[end:], shown=None)


def _reach(text: str, room: int, costs: Mapping[str, int]) -> int:
    """How many code points of the text fit, if some cost more than their length."""
    for index, character in enumerate(text):
        room -= costs.get(character) or utf16_length(character)
        if room < 0:
            return index
    return len(text)


def _closing(kept: Flow) -> str:
    """The ends of the formatting that a cut left open."""
    still_open: list[str] = []
    for mark in filter(None, map(format_of, kept)):
        if mark in still_open:
            still_open.remove(mark)
        else:
            still_open.append(mark)
    return "".join(reversed(still_open))


def _note(kept: Flow, missing: Flow, room: int) -> str:
    """What is missing, in as many words as fit."""
    items: list[tuple[str, str]] = []
    characters, in_item = 0, False
    for atom in missing:
        if atom.item:
            in_item = atom.item != LIST_END
            items += [atom.item] if in_item else []
        elif not in_item:
            characters += len(shown_text(atom))
    words = [more_characters(characters)] if characters else []
    between_items = bool(missing) and missing[0].item is not None
    if items:
        words.insert(0 if between_items else 1, and_more(items))
    lead = "\n" if between_items and kept else " "
    return next((note for note in (lead + " ".join(words), "…") if utf16_length(note) <= room), "")
