"""Single values, in every shape that senders give them.

A *reader* takes a JSON value and gives what it means: `None` where it says "empty" (null, a blank string), `ABSENT`
where it says nothing (another type than expected, a variable of a webhook template that was never filled in).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Final

import orjson

from relay.model.json_types import JSON


class Absent(Enum):
    """The type of `ABSENT`, apart from every JSON value."""

    ABSENT = auto()


ABSENT: Final = Absent.ABSENT
"""Not told: there is no such key, or what stands there is ill-typed."""

Reader = Callable[[JSON], JSON]
Names = tuple[str, ...]

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_UNSET = re.compile(r"\{\{[\w\s.\-\[\]#'\"]+\}\}")
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_FLAGS = {"true": True, "false": False, "1": True, "0": False}
_SECONDS_BELOW = 1e11
_SCALES = ((1e17, 1e9), (1e14, 1e6), (_SECONDS_BELOW, 1e3))
"""From which number on a time is one of nanoseconds, microseconds, milliseconds: 1e11 seconds is the year 5138."""
_END_OF_YEAR_9999 = 253_402_300_799
_EXACT = 2.0**53


def snake(name: str) -> str:
    """`landingPage` is `landing_page`."""
    return _HUMP.sub("_", name).lower()


def names(*camels: str) -> Names:
    """The spellings of a key, in the order in which they are looked for: each as it is, and in snake_case."""
    return tuple(dict.fromkeys(spelling for camel in camels for spelling in (camel, snake(camel))))


def told(place: Mapping[str, JSON], spellings: Names, read: Reader, otherwise: JSON = ABSENT) -> JSON:
    """What the first well-typed of these keys says, or `otherwise`."""
    for name in spellings:
        if name in place and (value := read(place[name])) is not ABSENT:
            return value
    return otherwise


def told_in(places: Iterable[Mapping[str, JSON]], spellings: Names, read: Reader, otherwise: JSON = ABSENT) -> JSON:
    """The same over several objects, the first that says something."""
    for place in places:
        if (value := told(place, spellings, read)) is not ABSENT:
            return value
    return otherwise


def empty(value: JSON) -> bool:
    """Whether it says "nothing there": null, a blank string, an empty array or object."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or value in ([], {})


def word(value: JSON) -> str | Absent | None:
    """A string, stripped."""
    if not isinstance(value, str):
        return None if value is None else ABSENT
    stripped = value.strip()
    return ABSENT if stripped[:2] == "{{" and _UNSET.fullmatch(stripped) else stripped or None


def label(value: JSON) -> str | Absent | None:
    """A string or a number: a name, a sentence."""
    return number(value) if is_number(value) else word(value)


def identifier(value: JSON) -> str | Absent | None:
    """A string or an integer."""
    return ABSENT if isinstance(value, float) else label(value)


def filled(value: JSON) -> str | Absent:
    """A string or an integer by which something is known: a blank one says nothing."""
    return identifier(value) or ABSENT


def flag(value: JSON) -> bool | Absent | None:
    """A boolean, in whatever clothes."""
    if value is True or value is False:
        return value
    if empty(value):
        return None
    text = label(value)
    return _FLAGS.get(text.lower(), ABSENT) if isinstance(text, str) else ABSENT


def seconds(value: JSON) -> float | Absent | None:
    """A time, as Unix seconds: a number of seconds, milliseconds, ... (or a string of it), or ISO 8601."""
    if type(value) is int and 0 < value < _SECONDS_BELOW:
        return float(value)  # nearly every time is one of these
    if is_number(value):
        return _counted_time(value)
    text = word(value)
    return _written_time(text) if isinstance(text, str) else text


def moment(value: JSON) -> int | Absent | None:
    """A time, as whole Unix seconds."""
    time = seconds(value)
    return int(time) if isinstance(time, float) else time


def is_number(value: JSON) -> bool:
    """Whether it is a number to JSON too, where a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number(value: float) -> str:
    """A number as people write it: 1000.0 is 1000."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    return str(value)


def compact(value: JSON) -> str:
    """A value as JSON text, equal for equal values."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _written_time(text: str) -> float | Absent | None:
    """Digits, or ISO 8601; that is UTC where it gives no offset."""
    if _NUMBER.fullmatch(text):
        return _counted_time(float(text))
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return ABSENT
    return _counted_time((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp(), scales=())


def _counted_time(count: float, scales: Iterable[tuple[float, float]] = _SCALES) -> float | Absent | None:
    """Nothing that BigPanda tells happened in 1970's first second: a zero is how some say "none"."""
    for least, scale in scales:
        if count > least:
            count /= scale
            break
    return (float(count) or None) if 0 <= count <= _END_OF_YEAR_9999 else ABSENT
