"""The log of calls: what came, when, what was answered, and whether it took effect."""

from http import HTTPStatus

from relay.sandbox import calls


class BigPandaCall(calls.ReceivedCall):
    """One call. `method` is its name here (`comment`, `resolve`, ...), or what was asked for where it has none.

    `arguments` are the ids of the path, the query and the body's fields, all by their names.
    """

    @property
    def ok(self) -> bool:
        """Whether the client was told that it worked."""
        return self.status is not None and self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def error(self) -> str | None:
        """What the client was told to be wrong."""
        told = self.answer if isinstance(self.answer, dict) else {}
        return "; ".join(told.get("errors", [])) or told.get("message")
