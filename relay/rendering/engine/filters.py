"""The filters that relay adds to Jinja's: only these turn anything in a message into more than text.

A filter that makes markup returns a mark (`relay.rendering.blocks.marks`); no value becomes markup by itself.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from jinja2 import Undefined

from relay.rendering import wording
from relay.rendering.blocks import marks
from relay.rendering.blocks.characters import safe_cut
from relay.rendering.blocks.marks import CodeSpan, Date, Link
from relay.rendering.blocks.urls import address_begin, split_urls, valid_url
from relay.rendering.context import AlertList, on_one_line, without_marks

# https://docs.slack.dev/messaging/formatting-message-text#date-formatting
DATE_FORMATS: Final[Mapping[str, str]] = {
    "": "{date_short_pretty} at {time}",
    "time": "{time}",
    "date": "{date_short_pretty}",
    "ago": "{ago}",
}
"""Short names of Slack's date patterns."""

_COLOR_LENGTH: Final = len("#rrggbb")
_NEAR: Final = 20
_LONGEST_LABEL: Final = 40


def link(value: Any, label: Any = "") -> str:
    """Make a link, if the value is an http or https address; else print its text."""
    text = _text(value).strip()
    url = valid_url(text)
    return marks.token(Link(url, on_one_line(_text(label)))) if url else text


def linkify(value: Any, length: int = 0) -> str:
    """Turn the addresses in the text into links. With a length, cut it to one line, in which addresses are short."""
    if length <= 0:
        pieces = split_urls(_text(value))
        return "".join(found if url is None else marks.token(Link(url, found)) for found, url in pieces)
    parts: list[str] = []
    room = length
    for found, url in split_urls(on_one_line(_text(value))):
        text = _label(found) if url else found
        if len(text) > room:
            kept = f"{_cut(text, room)}…" if room > _NEAR or not parts else "…"
            parts.append(marks.token(Link(url, kept)) if url and kept != "…" else kept)
            break
        parts.append(marks.token(Link(url, text)) if url else text)
        room -= len(text)
    return "".join(parts)


def code(value: Any) -> str:
    """Show the value as code, on one line."""
    text = on_one_line(_text(value))
    return marks.token(CodeSpan(text)) if text else ""


def slack_time(value: Any, form: str = "") -> str:
    """Show Unix seconds as a date in the reader's time zone: `"time"`, `"date"`, `"ago"`, or Slack's own pattern."""
    pattern = DATE_FORMATS.get(form, form)
    at = _number(value)
    return "" if at is None or not marks.is_date(int(at), pattern) else marks.token(Date(int(at), pattern))


def emoji(value: Any) -> str:
    """Print the coloured sign of a state."""
    return wording.EMOJI.get(_text(value).casefold(), "")


def color(value: Any) -> str:
    """Print the colour of a state, for `bar`; `#rrggbb` stays as it is."""
    text = _text(value).strip().casefold()
    if text.startswith("#") and len(text) == _COLOR_LENGTH:
        return text
    return wording.COLORS.get(text, wording.COLORS["unknown"])


def duration(value: Any) -> str:
    """Write seconds as `1 h 12 min`; from ten minutes on without seconds."""
    seconds = _number(value)
    return "" if seconds is None else wording.duration(seconds)


def oneline(value: Any, length: int = 0) -> str:
    """Put the text on one line of at most `length` characters."""
    text = on_one_line(_text(value))
    return _cut(text, length) + "…" if 0 < length < len(text) else text


def shorten(value: Any, length: int, lines: int = 0) -> str:
    """Keep the line breaks, cut the text to so many characters and lines, and say how much is missing."""
    text = _text(value).strip()
    kept = _cut(text, length) if len(text) > length else text
    if lines:
        kept = "\n".join(kept.splitlines()[:lines])
    cut = len(text) - len(kept)
    if cut and "://" in kept[kept.rfind(" ") + 1 :] and not text[len(kept)].isspace():
        kept += "…"  # so that nobody takes half an address for a whole one
    return f"{kept} {wording.more_characters(cut)}" if cut else text


def more(values: Any, noun: str = "") -> str:
    """Count the rest of a list: `and 17 more alerts, 3 critical`."""
    if isinstance(values, AlertList):
        return wording.and_more(values.tally)
    if not isinstance(values, Iterable) or isinstance(values, Undefined | str):
        return ""
    return wording.and_more([(noun or getattr(value, "noun", "item"), _state(value)) for value in values])


def _state(value: Any) -> str:
    state = value.get("state", "") if isinstance(value, Mapping) else ""
    return state if state in marks.STATES else ""


def _label(address: str) -> str:
    """An address as a short text: nobody reads the end of a long one."""
    words = address.partition("://")[2]
    return f"{_cut(words, _LONGEST_LABEL - 1)}…" if len(words) > _LONGEST_LABEL else words


def _text(value: Any) -> str:
    """What the value prints, without marks."""
    return "" if value is None or isinstance(value, Undefined) else without_marks(str(value))


def _number(value: Any) -> float | None:
    try:
        return float(_text(value))
    except (ValueError, OverflowError):
        return None


def _cut(text: str, limit: int) -> str:
    """At most so many characters, up to the end of a word if one is near; half an address is left out."""
    end = safe_cut(text, max(0, limit))
    kept = text[: address_begin(text, end) or end]
    blank = kept.rfind(" ", max(0, len(kept) - _NEAR))
    return kept[:blank].rstrip() if blank > 0 else kept


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    filter_.__name__: filter_
    for filter_ in (link, linkify, code, slack_time, duration, emoji, color, oneline, shorten, more)
}
"""The filters by the names that templates use. Their docstrings are the table in docs/templates.md."""
