"""Turns what stands in a line (texts, tokens, quotes and code) into the atoms of running text."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, assert_never

from relay.rendering.blocks.characters import TICK
from relay.rendering.blocks.marks import CodeSpan, Date, ItemMark, Link, Skeleton, Token
from relay.rendering.blocks.rich_text import Atom, Flow, escaped, one_line, shown_text, tidy
from relay.rendering.blocks.tags import NodeKind
from relay.rendering.blocks.tree import Child, Node

_TARGET: Final = re.compile(r"(?P<group>S[A-Z0-9]+)|(?P<user>[UW][A-Z0-9]+)|(?P<broadcast>here|channel)")
_NOT_TEXT: Final = frozenset({NodeKind.ARGUMENT, NodeKind.SUMMARY, NodeKind.ACCESSORY, NodeKind.SLOT})
"""Nodes that are never text of the node around them."""


def flow_of(children: Sequence[Child]) -> Flow:
    """Return the children as running text; blocks among them add only their text."""
    return tidy(_atoms(children))


def plain_words(children: Sequence[Child]) -> str:
    """Return the children as plain text on one line."""
    return one_line(list(_atoms(children)))


def mention_flow(targets: Sequence[str]) -> Flow:
    """Return the mentions of these targets; anything that is no id of Slack's is left out."""
    atoms = [atom for target in targets if (atom := _mention(target)) is not None]
    return [atom._replace(after=f"{atom.after} ") for atom in atoms[:-1]] + atoms[-1:]


def _atoms(children: Sequence[Child]) -> Iterator[Atom | ItemMark]:
    begins_line = True
    for child in children:
        for atom in _child_atoms(child, begins_line=begins_line):
            yield atom
            if isinstance(atom, Atom):
                begins_line = (atom.text or atom.before).endswith("\n")


def _child_atoms(child: Child, *, begins_line: bool) -> Iterator[Atom | ItemMark]:
    match child:
        case str():
            yield Atom(child)
        case ItemMark():
            yield child
        case Node(NodeKind.QUOTE):
            yield from _on_own_lines(_quote(child), begins_line=begins_line)
        case Node(NodeKind.PRE):
            yield from _on_own_lines(_code_block(child), begins_line=begins_line)
        case Node():
            if child.kind not in _NOT_TEXT:
                yield from _atoms(child.body())
        case _:
            yield from _token(child)


def _token(token: Token) -> Iterator[Atom]:
    match token:
        case CodeSpan(text):
            if line := " ".join(text.replace("`", TICK).split()):
                yield Atom(line, "`", "`")
        case Link(url, label):
            words = " ".join(label.replace("|", "¦").split()) or url
            yield Atom(words, f"<{escaped(url)}|", ">")
        case Date(at, pattern):
            shown = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
            yield Atom("", f"<!date^{at}^{pattern}|{shown}>", shown=shown)
        case Skeleton() | ItemMark():
            return
        case _:
            assert_never(token)


def _on_own_lines(atoms: Sequence[Atom | ItemMark], *, begins_line: bool) -> Iterator[Atom | ItemMark]:
    if atoms:
        if not begins_line:
            yield Atom("\n")
        yield from atoms
        yield Atom("\n")


def _quote(node: Node) -> list[Atom | ItemMark]:
    inner = [_quoted(atom) if isinstance(atom, Atom) else atom for atom in flow_of(node.body())]
    return [Atom("", "> ", shown="", quoted=True), *inner] if inner else []


def _quoted(atom: Atom) -> Atom:
    """The atom with a quote mark on each line, also on the lines of its markup."""
    before, after = (markup.replace("\n", "\n> ") for markup in (atom.before, atom.after))
    return atom._replace(before=before, after=after, quoted=True)


def _code_block(node: Node) -> list[Atom | ItemMark]:
    text = "".join(map(shown_text, _atoms(node.body()))).strip("\n").replace("```", TICK * 3)
    return [Atom(text, "```\n", "\n```")] if text.strip() else []


def _mention(target: str) -> Atom | None:
    match = _TARGET.fullmatch(target)
    if match is None:
        return None
    markup = {"group": f"<!subteam^{target}>", "user": f"<@{target}>", "broadcast": f"<!{target}>"}
    return Atom("", markup[match.lastgroup or ""])
