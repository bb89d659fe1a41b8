"""Repairs one fault of a YAML text as well as a line can show it, so that the parser finds the faults after it.

A repair is only for reading on: its text is never used as a configuration. No repair adds or removes a line.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from relay.routes.yaml_reader.context import Position
from relay.routes.yaml_reader.hints import QUOTED, STRANGE_BLANK

_DASHES: Final = re.compile(r"^[ \t]*(?:-[ \t]+)*")
_NO_COLON: Final = re.compile(
    r"(?P<before>[ \t]*(?:-[ \t]+)*)(?P<key>[A-Za-z_]\w*)(?P<after>[ \t]+[^\s#:][^#:]*|[ \t]*)$"
)
_GLUED_DASH: Final = re.compile(r"(?P<before>[ \t]*-)(?P<after>[A-Za-z_\[{].*)")
_GLUED_COLON: Final = re.compile(r"(?P<before>[ \t]*(?:-[ \t]+)*[A-Za-z_]\w*:)(?P<after>[^\s:/].*)")
_VALUE: Final = re.compile(r"(?P<before>[ \t]*(?:-[ \t]+)*(?:[\w.-]+:[ \t]+)?)(?P<value>\S.*)")
_QUOTE_BEGINS: Final = re.compile(r"(?:(?<=[\[{:,-])|(?<=[\[{:,-] ))[\"'](?=[^\"']*$)")
_REMARK: Final = re.compile(r"(?:^|(?<=\s))#.*")
_STEP: Final = 2
CERTAIN, LAST_RESORT = 1_000_000, -1_000_000
_CLOSERS: Final = {"[": "]", "{": "}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRepair:
    """A line that replaces line `number` (from 1), with the place and the words of the fault.

    `shift` is how far the line's text moved to the right. `with_children` moves the deeper lines below by it too.
    If two repairs have the same effect, the one with the higher `likelihood` is right.
    """

    number: int
    line: str
    column: int
    message: str
    shift: int = 0
    with_children: bool = False
    only_indentation: bool = False
    likelihood: int = CERTAIN

    @property
    def at(self) -> Position:
        """The place of the fault."""
        return Position(line=self.number, column=self.column)

    @property
    def key(self) -> Position:
        """The place of the line's first key in the file."""
        return Position(line=self.number, column=_key_column(self.line) - self.shift + 1)

    def applied(self, lines: Sequence[str]) -> tuple[list[str], dict[int, int]]:
        """The lines after the repair, and by line how far its text moved."""
        repaired, shifts = list(lines), {self.number: self.shift}
        depth = _depth(repaired[self.number - 1])
        repaired[self.number - 1] = self.line
        for number in _below(lines, self.number, depth) if self.with_children else ():
            line = lines[number - 1]
            repaired[number - 1] = " " * max(0, _depth(line) + self.shift) + line.lstrip()
            shifts[number] = self.shift
        return repaired, shifts


def repairs(lines: Sequence[str], number: int) -> Iterator[LineRepair]:
    """The repairs that line `number` (from 1) suggests, the likeliest first."""
    line = lines[number - 1]
    if not _holds_text(line):
        return
    yield from _missing_signs(number, line)
    yield from closed_quotes(number, line)
    yield from _brackets(number, line)
    yield from _indentations(lines, number)
    if value := _VALUE.fullmatch(line):
        yield LineRepair(
            number=number,
            line=value["before"] + "x" * len(value["value"]),
            column=value.start("value") + 1,
            message="this value is not valid YAML",
            likelihood=LAST_RESORT,
        )


def without_block(lines: Sequence[str], number: int) -> list[str]:
    """The lines without line `number` and the deeper ones below it."""
    gone = {number, *_below(lines, number, _depth(lines[number - 1]))}
    return ["" if each in gone else line for each, line in enumerate(lines, 1)]


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def _below(lines: Sequence[str], number: int, depth: int) -> Iterator[int]:
    """The lines after a line that are deeper than it."""
    for below in range(number + 1, len(lines) + 1):
        line = lines[below - 1]
        if line.strip() and _depth(line) <= depth:
            return
        yield below


def _missing_signs(number: int, line: str) -> Iterator[LineRepair]:
    """A plain blank, a blank after `-` or `:`, and a colon after a key."""
    if blanks := STRANGE_BLANK.search(line):
        plain = STRANGE_BLANK.sub(" ", line)
        message = "found a special space character (probably copied); write a plain space"
        yield LineRepair(number=number, line=plain, column=blanks.start() + 1, message=message)
    for pattern, sign in ((_GLUED_DASH, "-"), (_GLUED_COLON, ":")):
        if found := pattern.fullmatch(line):
            for with_children in (False, True):
                yield LineRepair(
                    number=number,
                    line=f"{found['before']} {found['after']}",
                    column=found.end("before"),
                    message=f"missing space after '{sign}'",
                    shift=int(sign == "-"),
                    with_children=with_children,
                )
    if found := _NO_COLON.fullmatch(line):
        yield LineRepair(
            number=number,
            line=f"{found['before']}{found['key']}:{found['after']}",
            column=found.start("key") + 1,
            message=f"missing colon after '{found['key']}'; write {found['key']}: {found['after'].strip()}".rstrip(),
        )


def closed_quotes(number: int, line: str) -> Iterator[LineRepair]:
    """A word in place of quotes that this line does not close: up to a comma or bracket, or to the end."""
    plain = QUOTED.sub(lambda quoted: "x" * len(quoted[0]), line)
    if begins := _QUOTE_BEGINS.search(plain):
        start = begins.start()
        ends = re.search(r"[,\]}]|$", line[start:])
        for end in dict.fromkeys((start + (ends.start() if ends else 0), len(line))):
            yield LineRepair(
                number=number,
                line=line[:start] + "x" * (end - start) + line[end:],
                column=start + 1,
                message="these quotes are never closed",
            )


def _brackets(number: int, line: str) -> Iterator[LineRepair]:
    """The line with every bracket closed, and none closed that is not open."""
    masked = QUOTED.sub(lambda quoted: "x" * len(quoted[0]), line)
    masked = _REMARK.sub("", masked)
    balanced, stack = "", list[tuple[str, int]]()
    column = 0
    for at, character in enumerate(masked):
        if character in _CLOSERS:
            stack.append((_CLOSERS[character], at + 1))
        elif character in "]}":
            while any(closer == character for closer, _ in stack) and stack[-1][0] != character:
                closer, opened = stack.pop()
                balanced, column = balanced + closer, column or opened
            if not stack:
                balanced, column = balanced + " ", column or at + 1
                continue
            stack.pop()
        balanced += line[at]
    column = column or (stack[0][1] if stack else 0)
    balanced = balanced.rstrip() + "".join(closer for closer, _ in reversed(stack))
    if column:
        opens = line[column - 1] in _CLOSERS
        message = "this bracket is not closed" if opens else "this bracket closes nothing; remove it"
        yield LineRepair(number=number, line=balanced, column=column, message=message)


def _indentations(lines: Sequence[str], number: int) -> Iterator[LineRepair]:
    """The line at each depth that is possible. A near depth is likely, and one that many lines have."""
    line = lines[number - 1]
    depth, text = _depth(line), line.lstrip()
    common = Counter(_depth(each) for each in lines if _holds_text(each))
    before = next(filter(_holds_text, reversed(lines[: number - 1])), "")
    inner = _key_column(before)
    guess = inner if "\t" in line[:depth] else depth
    for each in _depths_around(lines, number):
        fits = each > inner or text.startswith("-") if before.rstrip().endswith(":") else each <= inner
        for with_children in (False, True) if fits and (each != depth or "\t" in line[:depth]) else ():
            yield LineRepair(
                number=number,
                line=" " * each + text,
                column=depth + 1,
                message=f"wrong indentation; expected {each} spaces, found {depth}",
                only_indentation=True,
                shift=each - depth,
                with_children=with_children,
                likelihood=common[each] - common[depth] - len(lines) * abs(each - guess),
            )


def _key_column(line: str) -> int:
    """How many blanks and dashes stand before the first key."""
    return len(line) - len(_DASHES.sub("", line, count=1))


def _holds_text(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _depths_around(lines: Sequence[str], number: int) -> set[int]:
    """The depths of the keys and items that are open before a line, one deeper, and that of the next line."""
    depths: set[int] = set()
    least = 1_000
    for line in reversed(lines[: number - 1]):
        depth = _depth(line)
        if _holds_text(line) and depth < least:
            inner = _key_column(line)
            depths |= {depth, inner} if depths else {depth, inner, inner + _STEP}
            least = depth
        if not least:
            break
    below = next(filter(_holds_text, lines[number:]), None)
    return depths if below is None else depths | {_depth(below)}
