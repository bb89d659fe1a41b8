"""The filters that relay adds to Jinja's. Only these make anything in a message more than text.

A filter that makes markup returns a mark (`relay.rendering.blocks.marks`); what a value says is never markup by itself.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from jinja2 import Undefined

from relay.rendering import wording
from relay.rendering.blocks import marks
from relay.rendering.blocks.characters import whole
from relay.rendering.blocks.urls import address, addresses
from relay.rendering.context import AlertList, on_one_line, without_marks

# https://docs.slack.dev/messaging/formatting-message-text#date-formatting
FORMS: Final[Mapping[str, str]] = {
    "": "{date_short_pretty} at {time}",
    "time": "{time}",
    "date": "{date_short_pretty}",
    "ago": "{ago}",
}
"""The short names of Slack's patterns of dates."""

_COLOR_LENGTH: Final = len("#rrggbb")


def link(value: Any, label: Any = "") -> str:
    """A link to the value, where it is an http or https address; else the value itself."""
    text = _text(value).strip()
    url = address(text)
    return marks.link(url, on_one_line(_text(label))) if url else text


def linkify(value: Any) -> str:
    """The text with its http and https addresses as links."""
    text = _text(value)
    pieces = []
    end = 0
    for start, stop, url in addresses(text):
        pieces += [text[end:start], marks.link(url, text[start:stop])]
        end = stop
    return "".join([*pieces, text[end:]])


def code(value: Any) -> str:
    """The value as code, on one line."""
    text = on_one_line(_text(value))
    return marks.code(text) if text else ""


def slack_time(value: Any, form: str = "") -> str:
    """Unix seconds as a date in the reader's zone: `time`, `date`, `ago`, or a pattern of Slack's tokens in braces."""
    pattern = FORMS.get(form, form)
    at = _number(value)
    if at is None or not marks.is_moment(int(at)) or not marks.is_form(pattern):
        return ""
    return marks.date(int(at), pattern)


def emoji(value: Any) -> str:
    """The coloured dot of a state."""
    return wording.EMOJI.get(_text(value).casefold(), "")


def color(value: Any) -> str:
    """The bar's colour of a state; `#rrggbb` stays what it is."""
    text = _text(value).strip().casefold()
    if text.startswith("#") and len(text) == _COLOR_LENGTH:
        return text
    return wording.COLORS.get(text, wording.COLORS["unknown"])


def duration(value: Any) -> str:
    """Seconds as people say them: `1 h 12 min`."""
    seconds = _number(value)
    return "" if seconds is None else wording.duration(seconds)


def oneline(value: Any, limit: int = 0) -> str:
    """The text on one line, of at most so many characters."""
    text = on_one_line(_text(value))
    return _cut(text, limit) + "…" if 0 < limit < len(text) else text


def shorten(value: Any, limit: int, lines: int = 0) -> str:
    """The text with its line breaks, cut after so many characters or lines; the cut says how much is missing."""
    text = _text(value).strip()
    kept = _cut(text, limit) if len(text) > limit else text
    if lines:
        kept = "\n".join(kept.splitlines()[:lines])
    if len(kept) == len(text):
        return text
    return f"{kept} {wording.more_characters(len(text) - len(kept))}"


def more(values: Any, noun: str = "") -> str:
    """What of a list is not shown, counted: `and 17 more alerts, 3 critical`."""
    if isinstance(values, AlertList):
        items = values.kinds
    elif isinstance(values, Iterable) and not isinstance(values, Undefined | str):
        items = [(noun or getattr(value, "noun", "item"), _state(value)) for value in values]
    else:
        items = []
    return wording.and_more(items) if items else ""


def _state(value: Any) -> str:
    state = value.get("state", "") if isinstance(value, Mapping) else ""
    return state if state in marks.STATES else ""


def _text(value: Any) -> str:
    """What would be printed, without marks: nothing for what is absent."""
    return "" if value is None or isinstance(value, Undefined) else without_marks(str(value))


def _number(value: Any) -> float | None:
    try:
        return float(_text(value))
    except (ValueError, OverflowError):
        return None


def _cut(text: str, limit: int) -> str:
    """At most so many characters, up to a word's end where one is near."""
    kept = text[: whole(text, max(0, limit))]
    blank = kept.rfind(" ", max(0, len(kept) - 20))
    return kept[:blank].rstrip() if blank > 0 else kept


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    filter_.__name__: filter_
    for filter_ in (code, color, duration, emoji, link, linkify, more, oneline, shorten, slack_time)
}
"""The filters by the names that templates use."""
