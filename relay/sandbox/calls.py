"""The log of calls: what came, when, what was answered, and whether it took effect."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


@dataclass(slots=True, kw_only=True, eq=False)
class ReceivedCall:
    """A call of a method of Slack. `at` is when it arrived (Unix seconds); `channel` is the id of the channel it names.

    `answer` is the JSON that was sent, or the text where it was not JSON; None before the answer, and where the
    connection was cut. `took_effect` says whether the call was carried out, whatever was answered.
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
        """Whether the answer reported success."""
        return isinstance(self.answer, dict) and self.answer.get("ok") is True

    @property
    def error(self) -> str | None:
        """The error code in the answer."""
        return self.answer.get("error") if isinstance(self.answer, dict) else None


class ReceivedBigPandaCall(ReceivedCall):
    """A call of BigPanda's API. `method` is its name in `ENDPOINTS`, or verb and path where it has none.

    `arguments` are the ids of the path, the query and the body's fields, all by their names.
    """

    @property
    def ok(self) -> bool:
        """Whether the answer reported success."""
        return self.status is not None and self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def error(self) -> str | None:
        """The error messages in the answer."""
        answer = self.answer if isinstance(self.answer, dict) else {}
        return "; ".join(answer.get("errors", [])) or answer.get("message")
