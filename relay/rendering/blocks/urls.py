"""What may become a link: http and https addresses, cleaned so that Slack takes them and nothing can end them early."""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from relay.slack.limits import BUTTON_URL, is_link

_IGNORED: Final = re.compile("[\t\n\r\x00]+")
"""Browsers leave these out of an address, wherever they stand."""

_UNSAFE: Final = re.compile(r"""[\x01-\x20"<>\\^`{|}\x7f-\xa0\u2028-\u202e\u2066-\u2069\ud800-\udfff]""")
_HOST: Final = re.compile(r"(?:[\w\-.~%]+|\[[0-9A-Fa-f:.]+\])", re.ASCII)
_FOUND: Final = re.compile(r"https?://[^\s<>|`\"]+", re.IGNORECASE)
_TRAILING: Final = ".,;:!?'*_~"


def address(text: str) -> str | None:
    """The address that this text is, in a form that Slack takes; None where it is none."""
    return _checked(text) if len(text) <= BUTTON_URL else None


def is_too_long(text: str) -> bool:
    """Whether the text would be an address, if it were not for its length."""
    return len(_cleaned(text) or "") > BUTTON_URL


@lru_cache(maxsize=1024)
def _checked(text: str) -> str | None:
    """Cached, because most addresses of a card are looked at several times, and again at its next edit."""
    cleaned = _cleaned(text)
    return cleaned if cleaned and len(cleaned) <= BUTTON_URL else None


def _cleaned(text: str) -> str | None:
    cleaned = _UNSAFE.sub(_encoded, _IGNORED.sub("", text.strip()))
    return cleaned if is_link(cleaned) and _has_host(cleaned) else None


def addresses(text: str) -> list[tuple[int, int, str]]:
    """Every address that stands in the text: from where, to where, and the address itself."""
    found = []
    for match in _FOUND.finditer(text):
        end = match.start() + len(_without_trailing(match.group()))
        if url := address(text[match.start() : end]):
            found.append((match.start(), end, url))
    return found


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:  # a broken IPv6 host, or a port that is no number
        return False
    host = parts.netloc.rpartition("@")[2]
    bare = host if host.endswith("]") else host.rpartition(":")[0] or host
    return port_is_fine and bool(_HOST.fullmatch(_ascii(bare)))


def _ascii(host: str) -> str:
    """International names pass: their letters count as letters."""
    return "".join("x" if character.isalnum() else character for character in host)


def _encoded(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode("utf-8", "replace"))


def _without_trailing(url: str) -> str:
    """A full stop or a closing bracket after an address belongs to the sentence."""
    url = url.rstrip(_TRAILING)
    while url.endswith(")") and url.count(")") > url.count("("):
        url = url[:-1].rstrip(_TRAILING)
    return url
