"""The arguments of a call: as JSON, as a form, or in the query, and how each type is read.

https://docs.slack.dev/apis/web-api/#basics; the official SDK for Python uses all three.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from relay.sandbox.slack.errors import MethodError

Arguments = Mapping[str, Any]

_FORMS: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
_FALSE: Final = frozenset({"", "0", "false"})
_TS: Final = re.compile(r"\d+(\.\d+)?")
MICROSECONDS: Final = 1_000_000
"""In one second."""


async def read(request: web.Request) -> dict[str, Any]:
    """All arguments of a call; the body overrides the query. Nulls count as not given."""
    arguments: dict[str, Any] = dict(request.query)
    if request.method == "POST" and request.can_read_body:
        arguments |= await _read_body(request)
    return {key: value for key, value in arguments.items() if value is not None}


async def _read_body(request: web.Request) -> dict[str, Any]:
    if "Content-Type" not in request.headers:
        raise MethodError("missing_post_type")
    if request.content_type in _FORMS:
        return {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
    if request.content_type != "application/json":
        raise MethodError("invalid_post_type")
    body = _from_json(await request.read(), "invalid_json")
    if not isinstance(body, dict):
        raise MethodError("json_not_object")
    return body


def text(arguments: Arguments, key: str) -> str | None:
    """A string, if given."""
    value = arguments.get(key)
    if value is not None and not isinstance(value, str):
        raise _invalid(f"must provide a string: {key}")
    return value


def required(arguments: Arguments, key: str) -> str:
    """A string that must be given."""
    value = text(arguments, key)
    if not value:
        raise _invalid(f"missing required field: {key}")
    return value


def flag(arguments: Arguments, key: str) -> bool:
    """A boolean in any of its spellings; false by default."""
    value = arguments.get(key, False)
    return value.lower() not in _FALSE if isinstance(value, str) else bool(value)


def integer(arguments: Arguments, key: str, default: int, at_most: int) -> int:
    """A limit between 1 and `at_most`."""
    try:
        value = int(arguments.get(key, default))
    except (TypeError, ValueError) as error:
        raise MethodError("invalid_limit") from error
    if not 1 <= value <= at_most:
        raise MethodError("invalid_limit")
    return value


def timestamp(arguments: Arguments, key: str, default: int, code: str) -> int:
    """A time, in seconds with or without a fraction, as microseconds."""
    value = str(arguments.get(key, ""))
    if not value:
        return default
    if not _TS.fullmatch(value):
        raise MethodError(code)
    return microseconds(value)


def microseconds(ts: str) -> int:
    """A ts as a number that can be compared."""
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * MICROSECONDS + int(fraction[:6].ljust(6, "0"))


def array(arguments: Arguments, key: str, code: str) -> tuple[Any, ...] | None:
    """A list, if given, as itself or as a string of JSON."""
    value = _parsed(arguments.get(key), list, code)
    return None if value is None else tuple(value)


def record(arguments: Arguments, key: str, code: str) -> dict[str, Any] | None:
    """An object, if given, as itself or as a string of JSON."""
    value: dict[str, Any] | None = _parsed(arguments.get(key), dict, code)
    return value


def _parsed(value: Any, kind: type, code: str) -> Any:
    parsed = _from_json(value, code) if isinstance(value, str) else value
    if parsed is not None and not isinstance(parsed, kind):
        raise MethodError(code)
    return parsed


def _from_json(raw: str | bytes, code: str) -> Any:
    try:
        return json.loads(raw)
    except ValueError as error:
        raise MethodError(code) from error


def _invalid(message: str) -> MethodError:
    return MethodError("invalid_arguments", response_metadata={"messages": [f"[ERROR] {message}"]})
