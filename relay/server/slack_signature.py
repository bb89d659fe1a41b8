"""Verifies Slack's request signatures: https://docs.slack.dev/authentication/verifying-requests-from-slack."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

TIMESTAMP: Final = "X-Slack-Request-Timestamp"
SIGNATURE: Final = "X-Slack-Signature"
MAX_AGE: Final = 300.0
"""Seconds by which a request's timestamp may differ from now. Older requests may be replayed."""

_SECONDS: Final = re.compile(r"[0-9]{1,12}")


class SignatureVerifier:
    """Recognises Slack's own requests by the signing secret of relay's app."""

    def __init__(self, secret: str) -> None:
        """Keep the secret. Raises ValueError if it is empty, since everybody could sign with it."""
        if not secret:
            raise ValueError("the signing secret is empty")
        self._secret = secret.encode()

    def is_recent(self, headers: Mapping[str, str], now: float) -> bool:
        """Return whether the request's timestamp is close to `now` (Unix seconds)."""
        timestamp = headers.get(TIMESTAMP, "")
        return _SECONDS.fullmatch(timestamp) is not None and abs(now - int(timestamp)) <= MAX_AGE

    def matches(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Return whether the raw body was signed with the secret. The comparison takes constant time."""
        timestamp = headers.get(TIMESTAMP, "").encode("utf-8", "surrogateescape")
        digest = hmac.new(self._secret, b"v0:" + timestamp + b":" + body, hashlib.sha256).hexdigest()
        signature = headers.get(SIGNATURE, "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(b"v0=" + digest.encode(), signature)
