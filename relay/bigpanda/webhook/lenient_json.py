"""A body's bytes become a clean tree of JSON values, and a tree becomes the bytes that are kept and compared.

What RFC 8259 forbids but senders do is mended where the meaning is plain: a byte-order mark, UTF-16 and UTF-32, a byte
that is no UTF-8, half of a surrogate pair, raw line breaks and stray backslashes in strings, NaN and Infinity.
"""

import json
import math
import re
from enum import Enum, auto
from operator import itemgetter

import orjson

from relay.model.errors import NotJson
from relay.model.json_types import JSON


class _Nothing(Enum):
    """What is written down as a number but is none; it is taken out of the tree."""

    NOTHING = auto()


_NOTHING = _Nothing.NOTHING

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_OWN_TOKENS = re.compile(r"[\U000f0000-\U000ffffd]")
"""Plane 15, private use: the template engine writes its own tokens with it, so no share may bring any."""
_SUSPECT = re.compile(rb"\\(?:u00[01]|[bfr]|u[dD][bB][89abAB])|\xf3[\xb0-\xbf]")
"""What the bytes of valid JSON hold when one of its strings needs cleaning; that it holds it proves nothing."""
_BACKSLASH = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\\')
_SIXTY_FOUR_BITS = range(-(2**63), 2**64)
_DIGITS_OF_64_BITS = 20


def parse_json(body: bytes) -> JSON:
    """Read a body. Every string in the tree is clean: no surrogates, no control characters but tab and line feed.

    Raises:
        NotJson: it is not JSON, or so deeply nested that it cannot be read.
    """
    try:
        tree = orjson.loads(body)
        return _clean(tree) if _suspect(body) else tree
    except orjson.JSONDecodeError:
        return _load_leniently(body)
    except RecursionError as error:
        raise _too_deep() from error


def to_json(tree: JSON) -> bytes:
    """Write a tree so that trees that differ in the order of keys alone come out the same.

    Raises:
        NotJson: it is too deeply nested to be written (about 250 levels).
    """
    try:
        return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise _too_deep() from error


def clean_text(text: str) -> str:
    """Take from a string what nothing later should have to think of."""
    if text.isascii() and text.isprintable():
        return text
    text = _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _OWN_TOKENS.sub("", _SURROGATES.sub("\ufffd", text))


def _suspect(body: bytes) -> bool:
    """Two scans for one byte cost next to nothing, and most bodies hold neither."""
    return (b"\\" in body or b"\xf3" in body) and _SUSPECT.search(body) is not None


def _load_leniently(body: bytes) -> JSON:
    """The slow way in, for what orjson refuses."""
    if not body.strip():
        raise NotJson("The body is empty: expected a JSON object with incident.id.")
    text = body.decode(json.detect_encoding(body), errors="replace")
    try:
        return _clean(_decode(text))
    except json.JSONDecodeError as error:
        where = f"{error.msg} (line {error.lineno}, column {error.colno})"
        raise NotJson(f"The body is not JSON: {where}. Expected a JSON object with incident.id.") from error
    except RecursionError as error:
        raise _too_deep() from error


def _decode(text: str) -> JSON:
    """A backslash that escapes nothing (a Windows path in a body put together by a template) stands for itself."""
    try:
        return _LENIENT.decode(text)
    except json.JSONDecodeError:
        mended = _BACKSLASH.sub(lambda found: found[0] if len(found[0]) > 1 else r"\\", text)
        if mended == text:
            raise
        return _LENIENT.decode(mended)


def _integer(digits: str) -> int | float | _Nothing:
    """As orjson has it: what does not fit into 64 bits is a float."""
    if len(digits) <= _DIGITS_OF_64_BITS and (number := int(digits)) in _SIXTY_FOUR_BITS:
        return number
    return _float(digits)


def _float(digits: str) -> float | _Nothing:
    number = float(digits)
    return number if math.isfinite(number) else _NOTHING


_LENIENT = json.JSONDecoder(
    strict=False,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=lambda _: _NOTHING,
)


def _clean(tree: JSON) -> JSON:
    if isinstance(tree, str):
        return clean_text(tree)
    if isinstance(tree, dict):
        # Sorted, so that of two keys that become one by cleaning the same stays in whatever order they came.
        items = sorted(tree.items(), key=itemgetter(0))
        return {clean_text(key): _clean(value) for key, value in items if value is not _NOTHING}
    if isinstance(tree, list):
        return [_clean(value) for value in tree if value is not _NOTHING]
    return None if tree is _NOTHING else tree


def _too_deep() -> NotJson:
    return NotJson("The body cannot be read: its objects and arrays are nested more than 250 levels deep.")
