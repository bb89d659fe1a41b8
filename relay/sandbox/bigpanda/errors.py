"""How BigPanda says no: a status, and `{"status", "errors"}`; of some calls `{"statusCode", "error", "message"}`."""

from http import HTTPStatus
from typing import Any


class ApiError(Exception):
    """An answer that is no success (https://api-docs.bigpanda.io/errors-and-troubleshooting)."""

    def __init__(self, status: HTTPStatus, *errors: str) -> None:
        """Take the status and what is wrong."""
        super().__init__(f"{status}: {'; '.join(errors)}")
        self.status = status
        self.errors = errors

    @property
    def body(self) -> dict[str, Any]:
        """The body."""
        return {"status": int(self.status), "errors": list(self.errors)}


class ForbiddenError(ApiError):
    """The key's user may not do this, as the calls about users say it."""

    def __init__(self, message: str) -> None:
        """Take what is missing."""
        super().__init__(HTTPStatus.FORBIDDEN, message)

    @property
    def body(self) -> dict[str, Any]:
        """The body."""
        return {"statusCode": int(self.status), "error": self.status.phrase, "message": f"Forbidden - {self.errors[0]}"}
