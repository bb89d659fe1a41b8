"""How a method says no: `{"ok": false, "error": CODE}`, with whatever Slack adds to it."""

from collections.abc import Sequence
from typing import Any


class MethodError(Exception):
    """Slack's "ok: false": a code of the method's error table, and what stands beside it in the answer."""

    def __init__(self, code: str, **beside: Any) -> None:
        """Take the code and further keys of the answer (`needed="chat:write"`)."""
        super().__init__(code)
        self.code = code
        self.answer: dict[str, Any] = {"ok": False, "error": code, **beside}


def validation_error(code: str, findings: Sequence[str]) -> MethodError:
    """A refusal that lists what is wrong, twice, as Slack does: bare in `errors`, marked in `response_metadata`."""
    marked = [f"[ERROR] {finding}" for finding in findings]
    return MethodError(code, errors=list(findings), response_metadata={"messages": marked})
