"""Read single JSON values in every shape that senders give them.

A *reader* takes a JSON value and returns what it means: `None` if it is empty (null, a blank string), and `ABSENT` if
it says nothing (an unexpected type, or a template variable of the webhook that was never filled in).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Final

from relay.model.json_types import JSON
from relay.model.outside_text import is_unfilled, says_nothing


class Absent(Enum):
    """The type of `ABSENT`, which is no JSON value."""

    ABSENT = auto()


ABSENT: Final = Absent.ABSENT
"""The key is missing, or its value has an unexpected type."""

JsonObject = Mapping[str, JSON]
Reader = Callable[[JSON], JSON]
Spellings = tuple[str, ...]
Fields = Mapping[str, tuple[Spellings, Reader]]
"""Name -> its keys in a share, and how to read it."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_YEAR_FIRST = re.compile(r"^(\d{4})/(\d\d)/(\d\d)", re.ASCII)
_ZONE_HOURS = {
    **dict.fromkeys(("UTC", "GMT", "UT", "Z"), 0),
    "EDT": -4,
    "EST": -5,
    "CDT": -5,
    "CST": -6,
    "MDT": -6,
    "MST": -7,
    "PDT": -7,
    "PST": -8,
}
"""The zones of RFC 2822 (section 4.3). Other names are ambiguous, so a date with one of them alone is not read."""
_ZONE = re.compile(
    rf"\s*(?:(?:UTC|GMT|UT)?(?P<sign>[+-])(?P<hours>\d\d?)(?::?(?P<minutes>\d\d))?\s*[A-Z]{{0,5}}|(?P<name>{'|'.join(_ZONE_HOURS)}))"
    r"(?:\[[\w/+-]+\]|\s*\([^()]*\)|\s+m=[+-][\d.]+)?$",
    re.ASCII | re.IGNORECASE,
)
"""What may follow a time, as Go, Ruby, Java and JavaScript write it: `+0100 CET`, `+01:00[Europe/Berlin]`, `GMT+1`."""
_TIME_OF_DAY = re.compile(r"\d:\d|\dT\d", re.ASCII | re.IGNORECASE)
_TWELVE_HOURS = re.compile(
    r"\b(?P<hour>0?[1-9]|1[0-2])(?P<rest>(?::\d\d){1,2}(?:\.\d+)?)\s*(?P<half>[AP])\.?M\b\.?", re.IGNORECASE
)
_UNKNOWN_ZONE = re.compile(r"[A-Za-z\])]$")
_MAX_DATE = 100
"""Characters; no date is longer, and a pattern may read a long run of blanks once for each of them."""
_CTIME_ZONE = re.compile(r"\s+(UTC|GMT)\s+(\d{4})$", re.ASCII)
"""The zone is before the year in what `date` prints: `Tue Nov 14 22:13:20 UTC 2023`."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_SECONDS_BELOW = 1e11
_SCALES = ((1e17, 1e9), (1e14, 1e6), (_SECONDS_BELOW, 1e3))
"""Above these, a time is in nanoseconds, microseconds, milliseconds: 1e11 seconds is the year 5138."""
_END_OF_YEAR_9999 = 253_402_300_799
_EXACT = 2.0**53


def snake_case(name: str) -> str:
    """Turn `landingPage` into `landing_page`."""
    return _HUMP.sub("_", name).lower()


def spellings(*camels: str) -> Spellings:
    """Return the spellings of a key in the order to try: each name as it is, then in snake_case."""
    return tuple(dict.fromkeys(spelling for camel in camels for spelling in (camel, snake_case(camel))))


def read_key(source: JsonObject, keys: Spellings, read: Reader, default: JSON = ABSENT) -> JSON:
    """Return what the first of these keys with a usable value says, or `default`."""
    for key in keys:
        if key in source and (value := read(source[key])) is not ABSENT:
            return value
    return default


def read_key_in(sources: Iterable[JsonObject], keys: Spellings, read: Reader, default: JSON = ABSENT) -> JSON:
    """Return what the first of several objects with a usable value says, or `default`."""
    for source in sources:
        if (value := read_key(source, keys, read)) is not ABSENT:
            return value
    return default


def read_items(value: JSON, read: Reader) -> list[JSON] | Absent:
    """Read a list, or a single item without its list. Unusable items are left out; if all are, the list is absent."""
    if is_empty(value):
        return []
    items = value if isinstance(value, list) else [value]
    return [item for each in items if (item := read(each)) is not ABSENT] or ABSENT


def is_empty(value: JSON) -> bool:
    """Return whether it says "nothing there": null, a blank string, an empty array or object."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or value in ([], {})


def written(value: JSON) -> str | Absent | None:
    """Read a string as it is written, and strip it."""
    if not isinstance(value, str):
        return None if value is None else ABSENT
    stripped = value.strip()
    return ABSENT if is_unfilled(stripped) else stripped or None


def text(value: JSON) -> str | Absent | None:
    """Read a string, and strip it; one that stands for no value (`null`, `N/A`) is empty."""
    found = written(value)
    return None if isinstance(found, str) and says_nothing(found) else found


def text_or_number(value: JSON) -> str | Absent | None:
    """Read a string or a number as text."""
    return number_text(value) if is_number(value) else text(value)


def text_or_lines(value: JSON) -> str | Absent | None:
    """Read a string or a number as text, and a list of them as lines."""
    if not isinstance(value, list):
        return text_or_number(value)
    lines = [line for line in map(text_or_number, value) if isinstance(line, str)]
    return "\n".join(lines) or (ABSENT if value else None)


def optional_id(value: JSON) -> str | Absent | None:
    """Read a string or an integer as text."""
    if isinstance(value, float):
        return ABSENT
    return number_text(value) if is_number(value) else written(value)


def required_id(value: JSON) -> str | Absent:
    """Read a string or an integer as text; a blank one is absent."""
    return optional_id(value) or ABSENT


def boolean(value: JSON) -> bool | Absent | None:
    """Read a boolean, or a string or number that stands for one."""
    if value is True or value is False:
        return value
    if is_empty(value):
        return None
    word = text_or_number(value)
    return _BOOLEANS.get(word.lower(), ABSENT) if isinstance(word, str) else ABSENT


def timestamp(value: JSON) -> float | Absent | None:
    """Read a time as Unix seconds: a number of seconds, milliseconds, ... (or its digits as a string), or a date.

    A date is one of ISO 8601 or RFC 2822, also with what programs add to it (`UTC`, `PM`, `[Europe/Berlin]`). Without a
    zone it is in UTC.
    """
    if type(value) is int and 0 < value < _SECONDS_BELOW:
        return float(value)  # the usual case
    found = text(value)
    if is_number(value) or (isinstance(found, str) and _NUMBER.fullmatch(found)):
        return _scaled_time(float(value))
    if not isinstance(found, str):
        return found
    if (time := _date(found)) is None:
        return ABSENT
    return _scaled_time((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp(), scales=())


def whole_timestamp(value: JSON) -> int | Absent | None:
    """Read a time as whole Unix seconds."""
    time = timestamp(value)
    return int(time) if isinstance(time, float) else time


def _date(written: str) -> datetime | None:
    """Read a date; None if it is none, or where its zone is not known."""
    if len(written) > _MAX_DATE:
        return None
    text = _CTIME_ZONE.sub(r" \2 GMT", _TWELVE_HOURS.sub(_of_24_hours, _YEAR_FIRST.sub(r"\1-\2-\3", written)))
    if _TIME_OF_DAY.search(text):
        text = _ZONE.sub(_offset, text)
    if _UNKNOWN_ZONE.search(text):
        return None
    try:
        return datetime.fromisoformat(text.upper().replace(" +", "+").replace(" -", "-"))
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _offset(zone: re.Match[str]) -> str:
    if zone["name"]:
        return f" {_ZONE_HOURS[zone['name'].upper()]:+03}00"
    return f" {zone['sign']}{int(zone['hours']):02}{zone['minutes'] or '00'}"


def _of_24_hours(time: re.Match[str]) -> str:
    """`10:13 PM` as 22:13; 12 AM is 0 and 12 PM is 12."""
    return f"{int(time['hour']) % 12 + 12 * (time['half'] in 'Pp'):02}{time['rest']}"


def is_number(value: JSON) -> bool:
    """Return whether it is a number in JSON, where a boolean is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number_text(value: float) -> str:
    """Write a number as people do: 1000.0 is 1000."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        value = int(value)
    return str(value)


def _scaled_time(count: float, scales: Iterable[tuple[float, float]] = _SCALES) -> float | Absent | None:
    """Turn a count into seconds. Zero is empty: some senders write it for "none"."""
    for least, scale in scales:
        if count > least:
            count /= scale
            break
    return (float(count) or None) if 0 <= count <= _END_OF_YEAR_9999 else ABSENT
