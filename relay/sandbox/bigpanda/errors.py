"""Errors of BigPanda's API."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


class ApiError(Exception):
    """An unsuccessful answer (https://api-docs.bigpanda.io/errors-and-troubleshooting).

    `body` is `{"status", "errors"}`, or the given one.
    """

    def __init__(self, status: HTTPStatus, *errors: str, body: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{status}: {'; '.join(errors)}")
        self.status = status
        self.body = body or {"status": int(status), "errors": list(errors)}


def bad_request(*errors: str) -> ApiError:
    """HTTP 400 with what is wrong."""
    return ApiError(HTTPStatus.BAD_REQUEST, *errors)


def not_found(thing: str) -> ApiError:
    """HTTP 404 for a thing that does not exist."""
    return ApiError(HTTPStatus.NOT_FOUND, f"{thing} does not exist")
