"""Running text: a row of atoms that becomes mrkdwn or plain text, escaped once, and never cut inside markup.

An atom is text between two pieces of markup, either of which may be empty. The text is always escaped, and may be cut
between any two whole characters. The markup is relay's own and stays whole. So `<...>` appears in a message only where
relay's markup put it, whatever a template prints.

Escaping: https://docs.slack.dev/messaging/formatting-message-text#escaping
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from relay.rendering.blocks.characters import safe_cut, sendable, utf16_length
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
_QUOTED_ESCAPES: Final = {**_ESCAPES, ord("\n"): "\n> "}
_COSTS: Final = {"&": 5, "<": 4, ">": 4}
_QUOTED_COSTS: Final = {**_COSTS, "\n": 3}
_SPECIAL: Final = re.compile("[&<>]")
_LINE_ENDS: Final = re.compile(r"[ \t]+(?=\n)")
_GAPS: Final = re.compile(r"\n{3,}")
_BROADCASTS: Final = re.compile(r"(?i)@(?=(?:here|channel|everyone)\b)")


def escaped(text: str) -> str:
    """Escape the text, so that mrkdwn shows it as it is."""
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
    text = _written(flow)
    return text if utf16_length(text) <= limit else _written(shortened(flow, limit))


def length(flow: Flow) -> int:
    """Return the length of the flow as mrkdwn."""
    return utf16_length(_written(flow))


def shortened(flow: Flow, limit: int) -> Flow:
    """Cut the flow so that its mrkdwn has at most `limit` characters, and end it with what was left out."""
    if length(flow) <= limit:
        return flow
    room = limit - _NOTE_ROOM if limit > 2 * _NOTE_ROOM else max(limit - _SMALL_NOTE_ROOM, 0)
    flow = [_without_long_markup(atom, room) for atom in flow]
    if length(flow) <= limit:
        return flow
    kept, missing = _cut(flow, room)
    _strip(kept, last=True)
    closing = _closing(_written(kept))
    note = _note(kept, missing, limit - length(kept) - len(closing))
    return [*kept, Atom(closing + note)]


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


def _written(flow: Flow) -> str:
    return "".join(
        f"{atom.before}{atom.text.translate(_QUOTED_ESCAPES) if atom.quoted else escaped(atom.text)}{atom.after}"
        for atom in flow
    )


def _tidied(atom: Atom) -> Atom:
    text = sendable(atom.text)
    if "\n" in text and atom.is_plain:
        text = _GAPS.sub("\n\n", _LINE_ENDS.sub("", text))
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
        needed = length([atom])
        if needed > room:
            if begin := _item_begin(kept):
                return kept[:begin], [*kept[begin:], *flow[index:]]
            head, rest = _split(atom, room)
            return [*kept, *([head] if head else [])], [rest, *flow[index + 1 :]]
        kept.append(atom)
        room -= needed
    return kept, []


def _without_long_markup(atom: Atom, room: int) -> Atom:
    """Make an atom plain if its markup leaves no room for text, so that a long address costs only its link."""
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


def _closing(text: str) -> str:
    if text.count("```") % 2:
        return "```"
    last_line = text.rpartition("```")[2].rpartition("\n")[2]
    return "`" if last_line.count("`") % 2 else ""


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
