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

_ON_OWN_LINES: Final = frozenset({NodeKind.QUOTE, NodeKind.PRE})


def flow_of(children: Sequence[Child]) -> Flow:
    """Return the children as running text; blocks among them add only their text."""
    return tidy(_atoms(children))


def plain_words(children: Sequence[Child]) -> str:
    """Return the children as plain text on one line."""
    return one_line(list(_atoms(children)))


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
            if not atom.item:
                begins_line = (atom.text or atom.before).endswith("\n")


def _child_atoms(child: Child) -> Iterator[Atom]:
    match child:
        case str():
            yield Atom(child)
        case ItemMark():
            yield Atom("", item=child)
        case Node(NodeKind.QUOTE):
            yield from _quote(child)
        case Node(NodeKind.PRE):
            text = "".join(map(shown_text, _atoms(child.body()))).strip("\n").replace("```", TICK * 3)
            if text.strip():
                yield Atom(text, "```\n", "\n```")
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


def _quote(node: Node) -> list[Atom]:
    """A quote mark on each line, also on the lines of markup."""
    quoted = [Atom("", "> ", shown="", quoted=True)]
    for atom in flow_of(node.body()):
        before, after = (markup.replace("\n", "\n> ") for markup in (atom.before, atom.after))
        quoted.append(atom._replace(before=before, after=after, quoted=True))
    return quoted if len(quoted) > 1 else []
