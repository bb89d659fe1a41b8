"""JSON responses; an error is one as in RFC 9457: `application/problem+json` with type, title, status, detail, reason.

Source: https://www.rfc-editor.org/rfc/rfc9457. `type` is always `about:blank`, so `title` must be the phrase of the
status. A program can tell problems apart by `reason`.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = 10
"""Seconds after which the sender of a request that was answered 503 should retry."""


class Problem(Exception):
    """A request that is answered with an error. `detail` is a sentence without secrets, `reason` is a short name.

    `close` also closes the connection: if relay does not read the rest of the body.
    """

    def __init__(
        self,
        status: HTTPStatus,
        reason: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = dict(headers or {})
        self.close = close

    def response(self) -> web.Response:
        """Create the response, a new one each time: it can be sent only once."""
        body = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "reason": self.reason,
        }
        response = web.Response(
            status=self.status, body=orjson.dumps(body), content_type=CONTENT_TYPE, headers=self.headers
        )
        if self.close:
            response.force_close()
        return response


def unavailable(reason: str, detail: str, *, close: bool = False) -> Problem:
    """Return a 503 that asks for a retry. BigPanda's ServiceNow integration retries on 501 and above only."""
    headers = {"Retry-After": str(RETRY_AFTER)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, reason, detail, headers=headers, close=close)


def unexpected_error() -> Problem:
    """Return the response to an unexpected error. The log says what it was, the response does not."""
    return unavailable("unexpected_error", "An unexpected error occurred and nothing was stored; please send it again.")


def from_aiohttp(error: web.HTTPClientError) -> Problem:
    """Convert an error that aiohttp raises itself, such as an unknown path or method."""
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            detail = f"This path allows {allowed}, not {error.method}."
            return Problem(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", detail, headers={"Allow": allowed})
        case web.HTTPNotFound():
            return Problem(HTTPStatus.NOT_FOUND, "not_found", "This path does not exist.")
        case _:
            return Problem(HTTPStatus(error.status), "bad_request", f"{error.reason}.")


def at_wrong_address(problem: Problem) -> Problem:
    """Return the response to a request with a valid key for shares that found no endpoint: 404 or 405."""
    detail = f"{problem.detail} Shares go to POST /shares."
    return Problem(problem.status, "wrong_address", detail, headers=problem.headers)


def json_response(value: Any, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """Return a response with a value as JSON; an empty one for None. Keys may be enums, such as Slack's methods."""
    if value is None:
        return web.Response()
    body = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    return web.Response(status=status, body=body, content_type="application/json")
