"""Parse a body's bytes to a clean tree of JSON values, and write a tree as the bytes that are stored and compared.

Accepted against RFC 8259, where the meaning is clear: a byte-order mark, UTF-16 and UTF-32, bytes that are not UTF-8,
half of a surrogate pair, control characters, raw line breaks and stray backslashes in strings, NaN and Infinity.
"""

import codecs
import json
import math
import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

import orjson

from relay.model.errors import NotJson
from relay.model.json_types import JSON
from relay.model.outside_text import clean_text

_NOT_A_NUMBER: Final[Any] = object()
"""Stands for NaN, Infinity and the like, until it is removed from the tree."""

_UNCLEAN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\U000f0000-\U000ffffd]")
_MAY_NEED_CLEANING = re.compile(
    rb"\\(?:u00[0189]|u007[fF]|[bfr]|u[dD][bB][89abAB])|\xf3[\xb0-\xbf]|\xc2[\x80-\x9f]|\x7f"
)
"""Without these bytes in valid JSON, no string needs cleaning. With them, one may."""
_FIRST_BYTES = (b"\\", b"\xf3", b"\xc2", b"\x7f")
_BACKSLASH = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\\')
_CHARSET = re.compile(
    r"(?:iso[-_]?8859[-_]?\d{1,2}|latin[-_]?\d|(?:us-)?ascii|windows[-_]?\d{3,4}|cp\d{3,4}|koi8[-_][rtu]|shift[-_]jis|euc[-_](?:jp|kr)"
    r"|big5|gb(?:2312|k|18030)|mac[-_]roman|utf[-_]?(?:16|32)(?:[lb]e)?)",
    re.IGNORECASE,
)
"""The encodings that a sender may name: only those that are quick to decode."""
_64_BITS = range(-(2**63), 2**64)
_MAX_DIGITS = 20
_TOO_DEEP = "The body cannot be read: its objects and arrays are nested more than 250 levels deep."


def parse_json(body: bytes, charset: str = "") -> JSON:
    """Parse a body. Every string in the tree is clean (`relay.model.outside_text`).

    `charset` is the encoding that its sender names. It counts only where the bytes are not UTF-8, as JSON is
    (https://www.rfc-editor.org/rfc/rfc8259#section-8.1).

    Raises:
        NotJson: it is not JSON, or too deeply nested to be read.
    """
    try:
        tree = orjson.loads(body)
        return _clean(tree) if _may_need_cleaning(body) else tree
    except orjson.JSONDecodeError:
        return _parse_leniently(body, charset)
    except RecursionError as error:
        raise NotJson(_TOO_DEEP) from error


def parse_strict_json(body: bytes) -> JSON:
    """Parse JSON of a program, not of a person's template: half of a surrogate pair and bytes that are not UTF-8 pass.

    It takes time in proportion to the body, where `parse_json` may take ten times as long for a hostile one. Every
    string is clean, as after `parse_json`, but U+FFFD marks what was there. An id with a control character must not
    become another, proper id.

    Raises:
        NotJson: it is not JSON, or too deeply nested to be read.
    """
    try:
        tree = orjson.loads(body)
        return _clean(tree, _marked_text) if _may_need_cleaning(body) else tree
    except orjson.JSONDecodeError:
        pass
    except RecursionError as error:
        raise NotJson(_TOO_DEEP) from error
    try:
        return _clean(_STRICT.decode(body.decode(errors="replace")), _marked_text)
    except (ValueError, RecursionError) as error:
        raise NotJson("It is not JSON.") from error


def to_json(tree: JSON) -> bytes:
    """Write a tree. Trees that differ only in the order of keys give the same bytes.

    Raises:
        NotJson: it is too deeply nested to be written (about 250 levels).
    """
    try:
        return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise NotJson(_TOO_DEEP) from error


def _may_need_cleaning(body: bytes) -> bool:
    # Single bytes first: to search for them costs next to nothing, and most bodies have none of them.
    return any(byte in body for byte in _FIRST_BYTES) and _MAY_NEED_CLEANING.search(body) is not None


def _marked_text(text: str) -> str:
    """Return the text with U+FFFD in place of each character that `clean_text` removes."""
    return text if text.isascii() and text.isprintable() else _UNCLEAN.sub("\ufffd", text.replace("\r\n", "\n"))


def _parse_leniently(body: bytes, charset: str) -> JSON:
    """Parse what orjson rejects, slowly."""
    if not body.strip():
        raise NotJson("The body is empty: expected a JSON object with incident.id.")
    text = _decoded(body, charset)
    try:
        return _clean(_decode(text))
    except json.JSONDecodeError as error:
        where = f"{error.msg} (line {error.lineno}, column {error.colno})"
        raise NotJson(f"The body is not JSON: {where}. Expected a JSON object with incident.id.") from error
    except RecursionError as error:
        raise NotJson(_TOO_DEEP) from error


def _decoded(body: bytes, charset: str) -> str:
    detected = json.detect_encoding(body)
    try:
        return body.decode(detected)
    except UnicodeDecodeError:
        return body.decode(charset if _CHARSET.fullmatch(charset) and _is_known(charset) else detected, "replace")


def _is_known(charset: str) -> bool:
    try:
        codecs.lookup(charset)
    except LookupError:
        return False
    return True


def _decode(text: str) -> JSON:
    """Decode; a backslash that escapes nothing (a Windows path in a templated body) stands for itself."""
    try:
        return _LENIENT.decode(text)
    except json.JSONDecodeError:
        return _LENIENT.decode(_BACKSLASH.sub(lambda match: match[0] if len(match[0]) > 1 else r"\\", text))


def _integer(digits: str) -> Any:
    """Parse an integer as orjson does: one that does not fit into 64 bits is a float."""
    if len(digits) <= _MAX_DIGITS and (number := int(digits)) in _64_BITS:
        return number
    return _float(digits)


def _float(digits: str) -> Any:
    number = float(digits)
    return number if math.isfinite(number) else _NOT_A_NUMBER


_STRICT, _LENIENT = (
    json.JSONDecoder(strict=strict, parse_int=_integer, parse_float=_float, parse_constant=lambda _: _NOT_A_NUMBER)
    for strict in (True, False)
)


def _clean(tree: JSON, clean: Callable[[str], str] = clean_text) -> JSON:
    if isinstance(tree, str):
        return clean(tree)
    if isinstance(tree, dict):
        # Sorted: where cleaning makes two keys equal, the same one wins in any order.
        items = sorted(tree.items(), key=itemgetter(0))
        return {clean(key): _clean(value, clean) for key, value in items if value is not _NOT_A_NUMBER}
    if isinstance(tree, list):
        return [_clean(value, clean) for value in tree if value is not _NOT_A_NUMBER]
    return None if tree is _NOT_A_NUMBER else tree
