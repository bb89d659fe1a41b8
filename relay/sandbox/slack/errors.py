"""Errors of Web API methods: `{"ok": false, "error": CODE}`, with what Slack adds to it."""

from collections.abc import Sequence
from typing import Any


class MethodError(Exception):
    """An "ok: false" answer: a code of the method's error table, and further keys (`needed="chat:write"`)."""

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.answer: dict[str, Any] = {"ok": False, "error": code, **details}


def validation_error(code: str, messages: Sequence[str]) -> MethodError:
    """An error that lists what is wrong, twice, as Slack does: bare in `errors`, marked in `response_metadata`."""
    marked = [f"[ERROR] {message}" for message in messages]
    return MethodError(code, errors=list(messages), response_metadata={"messages": marked})
