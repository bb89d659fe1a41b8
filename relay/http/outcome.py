"""How an outgoing HTTP request ended: a response, or a failure that says whether the request may have been sent."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Failure(StrEnum):
    """Why a request got no response."""

    NAME_NOT_RESOLVED = "name_not_resolved"
    NOT_CONNECTED = "not_connected"
    CONNECT_TIMED_OUT = "connect_timed_out"
    TLS_FAILED = "tls_failed"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
    CERTIFICATE_SELF_SIGNED = "certificate_self_signed"
    CERTIFICATE_OF_UNKNOWN_AUTHORITY = "certificate_of_unknown_authority"
    CERTIFICATE_OF_ANOTHER_HOST = "certificate_of_another_host"
    CERTIFICATE_REJECTED = "certificate_rejected"
    PROXY_REJECTED = "proxy_rejected"
    UNSENDABLE = "unsendable"
    TIMED_OUT = "timed_out"
    CONNECTION_CUT = "connection_cut"
    UNREADABLE = "unreadable"
    REDIRECTED = "redirected"
    ANSWER_TOO_LARGE = "answer_too_large"

    @property
    def is_surely_not_done(self) -> bool:
        """Whether the call had no effect: it failed before there was a connection, or was sent elsewhere."""
        return self not in _MAY_BE_DONE


_MAY_BE_DONE = frozenset({Failure.TIMED_OUT, Failure.CONNECTION_CUT, Failure.UNREADABLE, Failure.ANSWER_TOO_LARGE})

_AUTHORITY = "Set SSL_CERT_FILE to a file with the certificates of your authorities, such as that of a TLS proxy."
CERTIFICATE_REMEDIES: Mapping[Failure, str] = {
    Failure.CERTIFICATE_EXPIRED: "The server's certificate has expired, or the clock of this machine is ahead.",
    Failure.CERTIFICATE_NOT_YET_VALID: "The server's certificate is not valid yet: this machine's clock is behind.",
    Failure.CERTIFICATE_SELF_SIGNED: f"The server's certificate is self-signed. {_AUTHORITY}",
    Failure.CERTIFICATE_OF_UNKNOWN_AUTHORITY: f"The authority of the server's certificate is unknown. {_AUTHORITY}",
    Failure.CERTIFICATE_OF_ANOTHER_HOST: (
        "The server's certificate is for another host: check the address, DNS and the proxy."
    ),
    Failure.CERTIFICATE_REJECTED: (
        "The server's certificate cannot be verified: `openssl verify -x509_strict` says why. Python 3.13 and newer "
        f"are as strict. {_AUTHORITY}"
    ),
}
"""What is wrong with a certificate, and what to do."""

LONGEST_WAIT = 600.0
"""Seconds. Whatever a header says, a retry every ten minutes harms nobody, and a garbled header must not stop relay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A response. `body` is the parsed JSON, or else the text or bytes; None if nothing could be read."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None

    def header(self, name: str) -> str:
        """Return a header's value, whatever the case of its name; empty if it is missing."""
        return next((value for key, value in self.headers.items() if key.casefold() == name.casefold()), "")

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, at most `LONGEST_WAIT`.

        They come from the header `Retry-After`, else from the body, where Slack's webhooks have it.
        """
        in_body = self.body.get("retry_after") if isinstance(self.body, Mapping) else None
        for value in (self.header("Retry-After"), in_body):
            try:
                seconds = float(value)  # type: ignore[arg-type]  # any value may be there; `except` is for that
            except (TypeError, ValueError, OverflowError):
                continue
            if math.isfinite(seconds) and seconds >= 0:
                return min(seconds, LONGEST_WAIT)
        return None
