"""Addresses of the board's pages, as pages link to each other and as messages in Slack link to them."""

from typing import Final
from urllib.parse import quote

BOARD: Final = "/board"
LETTERS: Final = "/letters"
CHANNELS: Final = "/channels"

_NO_PATH: Final = frozenset({".", ".."})


def incident_path(incident: str) -> str:
    """Return the address of an incident's page under the board's, for any id.

    Browsers resolve `.` and `..` in a path, also in their percent-encoded form, so such an id stands in the query
    (https://url.spec.whatwg.org/#double-dot-path-segment).
    """
    written = quote(incident, safe="")
    return f"/incidents?id={written}" if incident in _NO_PATH else f"/incidents/{written}"
