"""What stands in a line: texts, tokens, quotes and code become atoms of running text."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, assert_never

from relay.rendering.blocks.characters import TICK
from relay.rendering.blocks.marks import CodeSpan, Date, ItemMark, Link, NodeKind, Skeleton, Token
from relay.rendering.blocks.rich_text import Atom, Flow, escaped, one_line, tidy
from relay.rendering.blocks.tree import Child, Node

_TARGET: Final = re.compile(r"(?P<group>S[A-Z0-9]+)|(?P<user>[UW][A-Z0-9]+)|(?P<all>here|channel)")
_SEPARATE: Final = frozenset({NodeKind.ARGUMENT, NodeKind.SUMMARY, NodeKind.ACCESSORY, NodeKind.SLOT})
"""Parts that are never text of what surrounds them."""


def flow_of(children: Sequence[Child]) -> Flow:
    """The children as running text; of parts that are blocks, only what they say."""
    return tidy(_atoms(children))


def words_of(children: Sequence[Child]) -> str:
    """The children as plain text on one line."""
    return one_line([atom for atom in _atoms(children) if isinstance(atom, Atom)])


def mentions(targets: Sequence[str]) -> Flow:
    """Those who are pinged; what is no id of Slack's is left out."""
    found = [atom for target in targets if (atom := _mention(target)) is not None]
    return [atom._replace(after=f"{atom.after} ") for atom in found[:-1]] + found[-1:]


def _atoms(children: Sequence[Child]) -> Iterator[Atom | ItemMark]:
    ends_line = True
    for child in children:
        for atom in _of(child, begins_line=ends_line):
            yield atom
            if isinstance(atom, Atom):
                ends_line = (atom.text or atom.before).endswith("\n")


def _of(child: Child, *, begins_line: bool) -> Iterator[Atom | ItemMark]:
    match child:
        case str():
            yield Atom(child)
        case ItemMark():
            yield child
        case Node(NodeKind.QUOTE):
            yield from _apart(_quote(child), begins_line=begins_line)
        case Node(NodeKind.PRE):
            yield from _apart(_fenced(child), begins_line=begins_line)
        case Node():
            if child.kind not in _SEPARATE:
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
        case Date(at, form):
            read = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
            yield Atom("", f"<!date^{at}^{form}|{read}>", shown=read)
        case Skeleton():
            return
        case _:
            assert_never(token)


def _apart(atoms: Sequence[Atom | ItemMark], *, begins_line: bool) -> Iterator[Atom | ItemMark]:
    """On lines of its own."""
    if atoms:
        if not begins_line:
            yield Atom("\n")
        yield from atoms
        yield Atom("\n")


def _quote(node: Node) -> list[Atom | ItemMark]:
    inner = [_quoted(atom) if isinstance(atom, Atom) else atom for atom in flow_of(node.body())]
    return [Atom("", "> ", shown="", quoted=True), *inner] if inner else []


def _quoted(atom: Atom) -> Atom:
    """The atom with every line of it marked, also those that its markup makes."""
    before, after = (markup.replace("\n", "\n> ") for markup in (atom.before, atom.after))
    return atom._replace(before=before, after=after, quoted=True)


def _fenced(node: Node) -> list[Atom | ItemMark]:
    text = "".join(_shown(atom) for atom in _atoms(node.body())).strip("\n").replace("```", TICK * 3)
    return [Atom(text, "```\n", "\n```")] if text.strip() else []


def _shown(atom: Atom | ItemMark) -> str:
    if isinstance(atom, ItemMark):
        return ""
    return atom.text if atom.shown is None else atom.shown


def _mention(target: str) -> Atom | None:
    match = _TARGET.fullmatch(target)
    if match is None:
        return None
    written = {"group": f"<!subteam^{target}>", "user": f"<@{target}>", "all": f"<!{target}>"}
    return Atom("", written[match.lastgroup or ""])
