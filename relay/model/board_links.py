"""Addresses of the board's pages, as pages link to each other and as messages in Slack link to them."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

BOARD: Final = "/board"
CHANNELS: Final = "/channels"
LETTERS: Final = "/letters"
MUTES: Final = "/mutes"
ROUTES: Final = "/routes"

PAGE_NAMES: Final[Mapping[str, str]] = {
    "": "Now",
    CHANNELS: "Channels",
    LETTERS: "Letters",
    MUTES: "Mutes and hours",
    ROUTES: "Routes",
}
"""The board's pages by their addresses under the board's, in the order in which they are listed."""

_NO_PATH: Final = frozenset({".", ".."})


def incident_path(incident: str) -> str:
    """Return the address of an incident's page under the board's, for any id.

    Browsers resolve `.` and `..` in a path, also in their percent-encoded form, so such an id goes into the query
    (https://url.spec.whatwg.org/#double-dot-path-segment).
    """
    written = quote(incident, safe="")
    return f"/incidents?id={written}" if incident in _NO_PATH else f"/incidents/{written}"
