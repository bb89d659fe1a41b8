"""Errors as RFC 9457 has them: `application/problem+json` with type, title, status and detail, and the reason's name.

Source: https://www.rfc-editor.org/rfc/rfc9457. `type` is always `about:blank` ("no more than the status says"), for
which the title has to be the status's own phrase; what a program may want to tell apart stands in `reason`.
"""

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from aiohttp import web

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER = 10
"""Seconds after which whoever got a 503 is asked to come again."""


class Problem(Exception):
    """A request that is answered with an error: `detail` is a sentence without secrets, `reason` its name.

    `close` gives up the connection too: where the rest of a body is not wanted, or the server is about to go.
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
        """Take what the answer will say."""
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = dict(headers or {})
        self.close = close

    def response(self) -> web.Response:
        """Make the answer, anew each time: a response is used up by sending it."""
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
    """Make the 503 that asks to come again. BigPanda's ServiceNow integration retries on 501 and above only."""
    headers = {"Retry-After": str(RETRY_AFTER)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, reason, detail, headers=headers, close=close)


def unexpected_error() -> Problem:
    """Make the answer to whatever nobody thought of. What it was is for the log, not for the caller."""
    return unavailable("unforeseen", "Something went wrong here and nothing was kept; please send it again.")


def from_aiohttp(error: web.HTTPClientError) -> Problem:
    """Say in our words what aiohttp refused by itself: a path or a method that is not there."""
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            detail = f"This address takes {allowed}, not {error.method}."
            return Problem(HTTPStatus.METHOD_NOT_ALLOWED, "method", detail, headers={"Allow": allowed})
        case web.HTTPNotFound():
            return Problem(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")
        case _:
            return Problem(HTTPStatus(error.status), "request", f"{error.reason}.")
