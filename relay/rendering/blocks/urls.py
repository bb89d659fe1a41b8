"""Checks and cleans http and https addresses, so that Slack accepts them and nothing in them can end a link early."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from relay.slack.limits import BUTTON_URL, is_link

_IGNORED: Final = re.compile("[\t\n\r\x00]+")
"""Browsers ignore these anywhere in an address."""

_UNSAFE: Final = re.compile(r"""[\x01-\x20"<>\\^`{|}\x7f-\xa0\u2028-\u202e\u2066-\u2069\ud800-\udfff]""")
_HOST: Final = re.compile(r"(?:[\w\-.~%]+|\[[0-9A-Fa-f:.]+\])", re.ASCII)
_FOUND: Final = re.compile(r"https?://[^\s<>|`\"]+", re.IGNORECASE)
_TRAILING: Final = ".,;:!?'*_~"


def valid_url(text: str) -> str | None:
    """Return the text as an address that Slack accepts; None if it is not an address, or is too long."""
    return _cleaned_url(text) if len(text) <= BUTTON_URL else None


def is_too_long(text: str) -> bool:
    """Whether the text is an address that is too long for Slack."""
    return len(_cleaned(text)) > BUTTON_URL


@lru_cache(maxsize=1024)
def _cleaned_url(text: str) -> str | None:
    """Cached, because most addresses of a card are checked several times, and again at its next edit."""
    cleaned = _cleaned(text)
    return cleaned if 0 < len(cleaned) <= BUTTON_URL else None


def _cleaned(text: str) -> str:
    """The address that the text is, or nothing."""

    def encoded(unsafe: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in unsafe.group().encode("utf-8", "replace"))

    cleaned = _UNSAFE.sub(encoded, _IGNORED.sub("", text.strip()))
    return cleaned if is_link(cleaned) and _has_host(cleaned) else ""


def split_urls(text: str) -> Iterator[tuple[str, str | None]]:
    """Split the text into pieces, each with the cleaned address that it is, or None. An address that is cut is none."""
    after = 0
    for match in _FOUND.finditer(text):
        found = _without_trailing(match.group())
        if match.group().endswith("…") or (url := valid_url(found)) is None:
            continue
        if after < match.start():
            yield text[after : match.start()], None
        yield found, url
        after = match.start() + len(found)
    if after < len(text):
        yield text[after:], None


def address_begin(text: str, place: int) -> int:
    """Return where an address begins that a cut at this place would halve; 0 if there is none, or nothing before it."""
    start = max(text.rfind(" ", 0, place), text.rfind("\n", 0, place)) + 1
    found = _FOUND.search(text, start)
    return found.start() if found and found.start() < place < found.end() else 0


def _without_trailing(found: str) -> str:
    """A full stop or closing bracket after an address belongs to the sentence around it."""
    found = found.rstrip(_TRAILING)
    while found.endswith(")") and found.count(")") > found.count("("):
        found = found[:-1].rstrip(_TRAILING)
    return found


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:  # an invalid IPv6 host, or a port that is not a number
        return False
    host = parts.netloc.rpartition("@")[2]
    bare = host if host.endswith("]") else host.rpartition(":")[0] or host
    # International names are allowed: each letter counts as an ASCII letter.
    return port_is_fine and bool(_HOST.fullmatch("".join("x" if each.isalnum() else each for each in bare)))
