"""Finds secrets in text, and replaces them where text leaves: in the log, on the terminal, in responses over HTTP.

Messages contain no secret in the first place. This is the last defence, against what a library may put into an error's
text. It is applied where all text leaves relay, so that it covers every new message.
"""

import html
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final, TextIO
from urllib.parse import quote, quote_plus

REDACTED: Final = "[hidden]"
"""What is shown instead of a secret."""

SETTING_PREFIXES: Final = ("RELAY_", "SLACK_", "BIGPANDA_")
"""What the names of relay's settings begin with: environment variables, of which some are secrets."""

Hide = Callable[[str], str]
"""Return a text without the secrets."""

_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"(?P<is_name>\s*:)?')
_SHOWN: Final = re.compile(r'(?:>|(?<=\s)(?P<name>data-[a-z]+|value|title)=")(?P<shown>(?(name)[^"]+|[^<]+))')
"""Text between tags, and the values of attributes that people read: `name` is the attribute."""


def secret_pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """Make a pattern that finds each secret: as it is, in a URL, in JSON and in a repr; None if there is no secret."""
    spellings = {spelling for secret in filter(None, secrets) for spelling in _spellings(secret)}
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if spellings else None


def has_one_spelling(secret: str) -> bool:
    """Return whether a secret looks the same wherever it is, as tokens and most keys do."""
    return set(_spellings(secret)) == {secret}


def _spellings(secret: str) -> Iterator[str]:
    yield secret
    yield from (quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield from (text[1:-1] for text in (repr(secret), json.dumps(secret), json.dumps(secret, ensure_ascii=False)))


def hiding(secrets: Iterable[str]) -> Hide:
    """Return a function that replaces each secret, however it is spelled."""
    pattern = secret_pattern(secrets)
    return (lambda text: text) if pattern is None else partial(pattern.sub, REDACTED)


def hide_in_values(hide: Hide, text: str) -> str:
    """Replace secrets in the values of a JSON document or of Prometheus's labels, and in no name of a field or metric.

    A program reads these names, and a weak password may be part of one.
    """
    return text if hide(text) == text else _QUOTED.sub(partial(_hide_in_value, hide), text)


def hide_in_html(hide: Hide, text: str) -> str:
    """Replace secrets in what a page of HTML shows: between its tags, in what is typed, and in the JSON of `data-`.

    The tags themselves stay: a weak password may be part of an address.
    """
    return _SHOWN.sub(partial(_hide_in_shown, hide), text)


def _hide_in_shown(hide: Hide, part: re.Match[str]) -> str:
    before, shown = html.unescape(part["shown"]), part["shown"]
    after = hide_in_values(hide, before) if part["name"] and part["name"].startswith("data-") else hide(before)
    return part[0] if after == before else part[0].removesuffix(shown) + html.escape(after)


def _hide_in_value(hide: Hide, quoted: re.Match[str]) -> str:
    if quoted["is_name"]:
        return quoted[0]
    value = json.loads(quoted[0], strict=False)
    hidden = hide(value)
    return quoted[0] if hidden == value else json.dumps(hidden, ensure_ascii=False)


def hide_in_output(hide: Hide) -> None:
    """From now on, write nothing with a secret to stdout or stderr, tracebacks included."""
    sys.stdout, sys.stderr = (stream and _HidingStream(stream, hide) for stream in (sys.stdout, sys.stderr))


class _HidingStream(io.TextIOBase):
    """A text stream that passes everything on to another, without the secrets."""

    def __init__(self, stream: TextIO, hide: Hide) -> None:
        self._stream = stream
        self._hide = hide

    # By typeshed, these can be set. Python rejects that.

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors

    def write(self, text: str, /) -> int:
        self._stream.write(self._hide(text))
        return len(text)

    def flush(self) -> None:
        if not self._stream.closed:  # when Python ends, it may be; Python 3.14 would report that
            self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def writable(self) -> bool:
        return True
