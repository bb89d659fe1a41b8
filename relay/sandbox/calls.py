"""The log of calls: what came, when, and what was answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, kw_only=True, eq=False)
class ReceivedCall:
    """One call. `at` is its arrival (Unix seconds); `channel` is the id of the channel it names, by id or by name.

    `answer` is the JSON that was sent, or the text where it was no JSON object; None while there is none, and for ever
    where the connection was cut. `took_effect` says whether the method did what was asked, whatever was answered.
    """

    method: str
    at: float
    arguments: Mapping[str, Any]
    channel: str | None = None
    status: int | None = None
    answer: Any = None
    took_effect: bool = False

    @property
    def ok(self) -> bool:
        """Whether the client was told that it worked."""
        return isinstance(self.answer, dict) and self.answer.get("ok") is True

    @property
    def error(self) -> str | None:
        """The code that the client was told."""
        return self.answer.get("error") if isinstance(self.answer, dict) else None
