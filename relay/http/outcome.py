"""How an outgoing HTTP request ended: with a response, or with a failure, which says whether it may have been sent."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Failure(StrEnum):
    """How a call ended without an answer. `is_sure` tells whether nothing can have reached Slack."""

    NAME_NOT_RESOLVED = "name_not_resolved"
    NOT_CONNECTED = "not_connected"
    CONNECT_TIMED_OUT = "connect_timed_out"
    TLS_FAILED = "tls_failed"
    PROXY_REFUSED = "proxy_refused"
    UNSENDABLE = "unsendable"
    TIMED_OUT = "timed_out"
    CONNECTION_CUT = "connection_cut"
    UNREADABLE = "unreadable"

    @property
    def is_surely_unsent(self) -> bool:
        """Whether the request surely never left: it failed before there was a connection to send it on."""
        return self not in _AFTER_SENDING


_LONGEST_WAIT = 3600.0
"""Seconds. Whatever a header says, asking again once an hour harms nobody, and a garbled one must not stop a lane."""

_AFTER_SENDING = frozenset({Failure.TIMED_OUT, Failure.CONNECTION_CUT, Failure.UNREADABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """An HTTP answer. `body` is what its JSON says, or whatever else it was; None where nothing could be read of it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None

    def header(self, name: str) -> str:
        """A header's value, whatever the case of its name; empty where it is missing."""
        return next((value for key, value in self.headers.items() if key.casefold() == name.casefold()), "")

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, from the header `Retry-After`, else from the body, where Slack's webhooks say it."""
        told = self.body.get("retry_after") if isinstance(self.body, Mapping) else None
        for value in (self.header("Retry-After"), told):
            try:
                seconds = float(value)  # type: ignore[arg-type]  # anything may stand there: that is what `except` is for
            except (TypeError, ValueError, OverflowError):
                continue
            if math.isfinite(seconds) and seconds >= 0:
                return min(seconds, _LONGEST_WAIT)
        return None
