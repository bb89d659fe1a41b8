"""Turns what is in a line (texts, tokens, quotes and code) into the atoms of running text."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, assert_never

from relay.rendering.blocks.characters import TICK
from relay.rendering.blocks.marks import CodeSpan, Date, ItemMark, Link, Skeleton, Token, split_formats
from relay.rendering.blocks.rich_text import (
    Atom,
    Flow,
    format_atom,
    format_of,
    link_atom,
    one_line,
    shown_text,
    tidy,
)
from relay.rendering.blocks.tags import NodeKind
from relay.rendering.blocks.tree import Child, Node

_TARGET: Final = re.compile(r"(?P<group>S[A-Z0-9]+)|(?P<user>[UW][A-Z0-9]+)|(?P<broadcast>here|channel)")
_NOT_TEXT: Final = frozenset({NodeKind.ARGUMENT, NodeKind.SUMMARY, NodeKind.ACCESSORY, NodeKind.SLOT})
"""Nodes that are never text of the node around them."""

_FENCE: Final = "```"
_ON_OWN_LINES: Final = frozenset({NodeKind.QUOTE, NodeKind.PRE})


def flow_of(children: Sequence[Child]) -> Flow:
    """Return the children as running text; blocks among them add only their text."""
    return tidy(_paired(list(_atoms(children))))


def plain_words(children: Sequence[Child]) -> str:
    """Return the children as plain text on one line."""
    return one_line(_paired(list(_atoms(children))))


def unformatted_text(atom: Atom) -> str:
    """The display of a text without any formatting."""
    return format_of(atom) or shown_text(atom)


def mention_flow(targets: Sequence[str]) -> Flow:
    """Return the mentions of these targets; anything that is no id of Slack's is left out."""
    atoms = []
    for match in filter(None, map(_TARGET.fullmatch, targets)):
        prefix = {"group": "!subteam^", "user": "@", "broadcast": "!"}[match.lastgroup or ""]
        atoms.append(Atom("", f"<{prefix}{match.group()}>"))
    return [atom._replace(after=" ") for atom in atoms[:-1]] + atoms[-1:]


def _atoms(children: Sequence[Child]) -> Iterator[Atom]:
    begins_line = True
    for child in children:
        atoms = list(_child_atoms(child))
        if atoms and isinstance(child, Node) and child.kind in _ON_OWN_LINES:
            atoms = [*([] if begins_line else [Atom("\n")]), *atoms, Atom("\n")]
        yield from atoms
        for atom in atoms:
            if atom.text or atom.before:
                begins_line = (atom.text or atom.before).endswith("\n")


def _child_atoms(child: Child) -> Iterator[Atom]:
    match child:
        case str():
            parts = enumerate(split_formats(child))
            yield from (format_atom(part) if index % 2 else Atom(part) for index, part in parts)
        case ItemMark():
            yield Atom("", item=child)
        case Node(NodeKind.QUOTE):
            yield from _quote(child)
        case Node(NodeKind.PRE):
            text = "".join(map(unformatted_text, _atoms(child.body()))).strip("\n").replace("```", TICK * 3)
            if text.strip():
                yield Atom(text, "```\n", "\n```")
        case Node():
            if child.kind not in _NOT_TEXT:
                yield from _atoms(child.body())
        case _:
            yield from _token(child)


def date_atom(at: int, pattern: str) -> Atom:
    """A moment (Unix seconds), shown in the reader's zone by one of Slack's date patterns.

    https://docs.slack.dev/messaging/formatting-message-text#date-formatting
    """
    shown = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
    return Atom("", f"<!date^{at}^{pattern}|{shown}>", shown=shown)


def _token(token: Token) -> Iterator[Atom]:
    match token:
        case CodeSpan(text):
            if line := " ".join(text.replace("`", TICK).split()):
                yield Atom(line, "`", "`")
        case Link(url, label):
            yield link_atom(url, " ".join(label.split()) or url)
        case Date(at, pattern):
            yield date_atom(at, pattern)
        case Skeleton() | ItemMark():
            return
        case _:
            assert_never(token)


_QUOTE_MARK: Final = Atom("", "> ", shown="", quoted=True)


def _quote(node: Node) -> list[Atom]:
    """A quote mark on each line, also on the lines of markup. Slack has no quotes in quotes: the inner one joins in."""
    quoted = [_QUOTE_MARK]
    for atom in flow_of(node.body()):
        if atom.quoted:
            quoted.extend([] if atom == _QUOTE_MARK else [atom])
            continue
        before, after = (markup.replace("\n", "\n> ") for markup in (atom.before, atom.after))
        quoted.append(atom._replace(before=before, after=after, quoted=True))
    return quoted if len(quoted) > 1 else []


def _paired(atoms: list[Atom]) -> list[Atom]:
    """The atoms, where formatting without its other end on the same line is a text like any other.

    Slack formats whole words only, and a block of code may have many lines:
    https://docs.slack.dev/messaging/formatting-message-text#basic-formatting
    """
    paired = list(atoms)
    begun: dict[str, int] = {}
    for index, atom in enumerate(atoms):
        mark = format_of(atom)
        if not mark:
            if "\n" in atom.text + atom.after:
                begun = {kind: place for kind, place in begun.items() if kind == _FENCE}
            continue
        paired[index] = Atom(mark, quoted=atom.quoted)
        code = begun.keys() & {"`", _FENCE}
        if mark in begun and _may_end(atoms, index, mark):
            start = begun.pop(mark)
            if any(shown_text(each).strip() for each in atoms[start + 1 : index]):
                paired[start], paired[index] = atoms[start], atom
            else:
                paired[start] = paired[index] = Atom("")
        elif not code and _may_begin(atoms, index, mark):
            begun[mark] = index
    return paired


def _may_begin(atoms: Sequence[Atom], index: int, mark: str) -> bool:
    before, after = _beside(atoms, index)
    return mark == _FENCE or (not before.isalnum() and (mark == "`" or not after.isspace()))


def _may_end(atoms: Sequence[Atom], index: int, mark: str) -> bool:
    before, after = _beside(atoms, index)
    return mark == _FENCE or (not after.isalnum() and (mark == "`" or not before.isspace()))


def _beside(atoms: Sequence[Atom], index: int) -> tuple[str, str]:
    """The characters beside an atom; a blank at the ends."""
    before = next((text for atom in reversed(atoms[:index]) if (text := shown_text(atom))), " ")
    after = next((text for atom in atoms[index + 1 :] if (text := shown_text(atom))), " ")
    return before[-1], after[0]
