"""Finds the tag of a template that made a part of a message: its file and line, also in an included file or a macro.

The templates are rendered once more, with a mark behind each tag that opens a text. A part is then recognised by what
it says, and its mark names the tag.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

import orjson

_TEXT_TAGS: Final = ("header", "section", "field", "context", "quote", "pre", "button")
"""The tags whose text begins right behind them."""
_OPENS: Final = re.compile(r"\{%-?\s*(?:" + "|".join(_TEXT_TAGS) + r")\b[^%]*%\}")
_MARK: Final = re.compile(r"zq(\d+)q(\d+)qz")
_BLANK: Final = re.compile(r"(?:\\n|\s)+")
_RECOGNISED_BY: Final = 60
"""So many characters say which part it is, where the rest was cut differently because of the mark."""

Place = tuple[str, int]
Draw = Callable[[Mapping[str, str]], Iterable[Mapping[str, Any]]]


class Origins:
    """Where the parts of messages come from; the marked templates are rendered when the first place is asked for."""

    def __init__(self, sources: Mapping[str, str], draw: Draw) -> None:
        """`draw` makes all payloads that templates make; `sources` are the operator's, by their names."""
        self._sources, self._draw = sources, draw

    def place(self, file: str, part: Mapping[str, Any]) -> Place:
        """Return the file and line of the tag that made a part of a message whose template is `file`.

        Where no text says which tag it was: the first tag of the part's type in that file, else its first line.
        """
        whole = _fingerprint(part)
        found = self._by_text.get(whole) or self._by_text.get(whole[:_RECOGNISED_BY])
        return found or (file, _first_of_type(self._sources.get(file, ""), str(part.get("type", ""))))

    @cached_property
    def _by_text(self) -> Mapping[str, Place]:
        files = list(self._sources)
        marked = {file: _with_marks(self._sources[file], number) for number, file in enumerate(files)}
        places: dict[str, Place] = {}
        for part in (part for payload in self._draw(marked) for part in _parts(payload)):
            text = _fingerprint(part)
            if mark := _MARK.search(text):
                place = files[int(mark[1])], int(mark[2])
                said = _MARK.sub("", text)
                places.setdefault(said, place)
                places.setdefault(said[:_RECOGNISED_BY], place)
        return places


def innermost(payload: Any, pointer: str) -> Mapping[str, Any]:
    """Return the innermost part with a type on the way to a JSON pointer; nothing if there is none."""
    part: Mapping[str, Any] = {}
    for name in filter(None, pointer.split("/")):
        if isinstance(payload, Mapping):
            payload = payload.get(name)
        elif isinstance(payload, list) and name.isdigit() and int(name) < len(payload):
            payload = payload[int(name)]
        else:
            break
        if isinstance(payload, Mapping) and "type" in payload:
            part = payload
    return part


def _parts(value: Any) -> Iterator[Mapping[str, Any]]:
    """Everything with a type, whole parts before what is in them."""
    if isinstance(value, Mapping):
        if "type" in value:
            yield value
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for each in value:
        yield from _parts(each)


def _fingerprint(part: Mapping[str, Any]) -> str:
    return _BLANK.sub("", orjson.dumps(part, option=orjson.OPT_SORT_KEYS).decode())


def _with_marks(source: str, number: int) -> str:
    def marked(tag: re.Match[str]) -> str:
        line = source.count("\n", 0, tag.start()) + 1
        return f"{tag[0]}zq{number}q{line}qz "

    return _OPENS.sub(marked, source)


def _first_of_type(source: str, kind: str) -> int:
    for number, text in enumerate(source.splitlines(), start=1):
        if kind and re.search(rf"{{%-?\s*{re.escape(kind)}\b|\btype:\s*{re.escape(kind)}\b", text):
            return number
    return 1 if source else 0
