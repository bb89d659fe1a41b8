"""How a call brings its arguments: as JSON, as a form, or in the query, and how each kind is read.

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
_NO: Final = frozenset({"", "0", "false"})
_TS: Final = re.compile(r"\d+(\.\d+)?")
_MICRO: Final = 1_000_000


async def read(request: web.Request) -> dict[str, Any]:
    """All arguments of a call; what the body says stands above what the query says. Nulls count as not given."""
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
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise MethodError("invalid_json") from error
    if not isinstance(body, dict):
        raise MethodError("json_not_object")
    return body


def token(request: web.Request, arguments: Arguments) -> str | None:
    """The token: a bearer's, or an argument."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else arguments.get("token")


def text(arguments: Arguments, key: str) -> str | None:
    """A string, if given."""
    value = arguments.get(key)
    if value is not None and not isinstance(value, str):
        raise _invalid(f"must provide a string: {key}")
    return value


def required(arguments: Arguments, key: str) -> str:
    """A string that has to be given."""
    value = text(arguments, key)
    if not value:
        raise _invalid(f"missing required field: {key}")
    return value


def flag(arguments: Arguments, key: str, *, default: bool = False) -> bool:
    """A boolean, in any of its spellings."""
    value = arguments.get(key, default)
    return value.lower() not in _NO if isinstance(value, str) else bool(value)


def whole(arguments: Arguments, key: str, default: int, at_most: int, code: str = "invalid_limit") -> int:
    """A number between 1 and a bound."""
    try:
        value = int(arguments.get(key, default))
    except (TypeError, ValueError) as error:
        raise MethodError(code) from error
    if not 1 <= value <= at_most:
        raise MethodError(code)
    return value


def moment(arguments: Arguments, key: str, default: int, code: str) -> int:
    """A time as history takes it, seconds with or without a fraction, in microseconds."""
    value = str(arguments.get(key, ""))
    if not value:
        return default
    if not _TS.fullmatch(value):
        raise MethodError(code)
    return microseconds(value)


def microseconds(ts: str) -> int:
    """A ts as a number that can be compared."""
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * _MICRO + int(fraction[:6].ljust(6, "0"))


def items(arguments: Arguments, key: str, code: str) -> tuple[Any, ...] | None:
    """A list, if given, as itself or as a string of JSON."""
    value = _parsed(arguments.get(key), code)
    if value is not None and not isinstance(value, list):
        raise MethodError(code)
    return None if value is None else tuple(value)


def record(arguments: Arguments, key: str, code: str) -> dict[str, Any] | None:
    """An object, if given, as itself or as a string of JSON."""
    value = _parsed(arguments.get(key), code)
    if value is not None and not isinstance(value, dict):
        raise MethodError(code)
    return value


def _parsed(value: Any, code: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise MethodError(code) from error


def _invalid(finding: str) -> MethodError:
    return MethodError("invalid_arguments", response_metadata={"messages": [f"[ERROR] {finding}"]})
