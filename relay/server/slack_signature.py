"""Slack's signature under a request: https://docs.slack.dev/authentication/verifying-requests-from-slack."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

TIMESTAMP: Final = "X-Slack-Request-Timestamp"
SIGNATURE: Final = "X-Slack-Signature"
MAX_AGE: Final = 300.0
"""Seconds for which a signature is good, either way: older requests may be somebody's copies."""

_SECONDS: Final = re.compile(r"[0-9]{1,12}")


class SignatureVerifier:
    """Tells Slack's own requests from all others, by the signing secret of relay's app."""

    def __init__(self, secret: str) -> None:
        """Take the secret in clear. `ValueError` for an empty one, with which anybody could sign."""
        if not secret:
            raise ValueError("an empty signing secret keeps nobody out")
        self._secret = secret.encode()

    def is_recent(self, headers: Mapping[str, str], now: float) -> bool:
        """Whether the request says that it was made about now (Unix seconds)."""
        said = headers.get(TIMESTAMP, "")
        return _SECONDS.fullmatch(said) is not None and abs(now - int(said)) <= MAX_AGE

    def matches(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the body, as it came, was signed with the secret; compared in constant time, whatever was sent."""
        said = headers.get(TIMESTAMP, "").encode("utf-8", "surrogateescape")
        digest = hmac.new(self._secret, b"v0:" + said + b":" + body, hashlib.sha256).hexdigest()
        shown = headers.get(SIGNATURE, "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(b"v0=" + digest.encode(), shown)
