"""The types of values about hours in routes.yaml: zones, times, weekdays, dates, and that of `quiet` and `hold`."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from relay.model.incident import State
from relay.model.json_types import JSON
from relay.model.zones import find_zone, zone_names
from relay.routes import json_schema
from relay.routes.hours import MINUTES_OF_DAY, SilentHours
from relay.routes.json_schema import Schema
from relay.routes.key_types import KeyType, list_of
from relay.routes.parts import Parts, known_parts, parts, parts_schema, read_parts
from relay.routes.yaml_reader.context import ParseContext, suggestion
from relay.routes.yaml_reader.nodes import ListNode, MappingNode, Node, ScalarNode, list_hint
from relay.routes.yaml_reader.scalars import choice_of, describe, read_word

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NEVER: Final = "never"
ANY_ZONE: Final = "UTC"
"""Stands for a zone that is missing or faulty, so that what depends on it is read too."""
_PAIR: Final = 2

_TIME: Final = re.compile(r"(?P<hours>[01]?[0-9]|2[0-3]):(?P<minutes>[0-5][0-9])|24:00")
_TIME_SCHEMA: Final = json_schema.pattern(f"^({_TIME.pattern.replace('?P<hours>', '').replace('?P<minutes>', '')})$")
_HOUR: Final = r"(?P<hours>[01]?[0-9]|2[0-3])"
_OTHER_TIME: Final = re.compile(
    _HOUR + r"(?:[.h:]?(?P<minutes>[0-5][0-9]))?(?::[0-9]{2})?\s*(?P<half>[ap]\.?m\.?)?", re.IGNORECASE
)
"""How else people write a time: `9`, `22.00`, `2200`, `22h00`, `22:00:00`, `10 pm`."""
_NOON: Final = 12
_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"


# --- zones ---


def _read_zone(node: Node, context: ParseContext) -> str | None:
    name = read_word(node, context)
    if name is None or find_zone(name):
        return name
    context.add_fault(node, f"unknown time zone {describe(node)}{_zone_hint(name)}")
    return None


def _zone_hint(name: str) -> str:
    """Python's `zoneinfo` would take `localtime` and `right/...` for zones: each machine has others."""
    place = name.strip("/").rpartition("/")[2].replace(" ", "_").casefold()
    exact = sorted(each for each in zone_names() if place and each.rpartition("/")[2].casefold() == place)
    if exact:
        return f"; did you mean '{exact[0]}'?"
    return (
        suggestion(name, sorted(zone_names()), most=0)
        or "; write a name of the IANA time zone database, such as Europe/Berlin"
    )


ZONE: Final = KeyType("time zone", _read_zone, json_schema.pattern("^[A-Za-z0-9_+/-]+$"))


def zone_at(node: MappingNode, context: ParseContext) -> str:
    """The zone of a mapping that names none that can be read: the file's. The file gets one fault if it has none."""
    if not context.zone and node.get("zone") is None:
        context.add_fault(node, "in which time zone? write zone: Europe/Berlin at the top of the file, or here")
        context.zone = ANY_ZONE
    return context.zone or ANY_ZONE


# --- times and days ---


def _read_time(node: Node, context: ParseContext) -> int | None:
    """Read `HH:MM` as minutes after midnight, at most 24:00. Whatever YAML makes of it, its text counts."""
    text = node.text if isinstance(node, ScalarNode) else ""
    if match := _TIME.fullmatch(text):
        return int(match["hours"]) * 60 + int(match["minutes"]) if match["hours"] else MINUTES_OF_DAY
    context.add_fault(node, f'expected a time such as "22:00", found {describe(node)}{_time_hint(text)}')
    return None


def _time_hint(text: str) -> str:
    other = _OTHER_TIME.fullmatch(text.strip())
    if not other:
        return ""
    hour = int(other["hours"])
    if other["half"] and hour <= _NOON:
        hour = hour % _NOON + _NOON * other["half"].lower().startswith("p")
    return f'; write "{hour:02}:{other["minutes"] or "00"}"'


def clock(minutes: int) -> str:
    """Minutes after midnight as `HH:MM`; of the next day too."""
    within = minutes if minutes <= MINUTES_OF_DAY else minutes - MINUTES_OF_DAY
    return f"{within // 60:02}:{within % 60:02}"


TIME: Final = KeyType("time", _read_time, _TIME_SCHEMA, as_yaml=lambda minutes: f'"{clock(minutes)}"')


def _read_days(node: Node, context: ParseContext) -> tuple[int, ...] | None:
    """Read weekdays and ranges of them as numbers, from Monday (0)."""
    ranges = list_of(_DAY_RANGE).read(node, context)
    if isinstance(node, ListNode) and not node.items:
        context.add_fault(
            node, "expected weekdays such as [mon-fri], found an empty list; for every day remove the key"
        )
    return tuple(sorted({day for each in ranges for day in each})) if ranges else None


def _read_day_range(node: Node, context: ParseContext) -> tuple[int, ...] | None:
    text = node.text if isinstance(node, ScalarNode) else ""
    first, dash, last = text.partition("-")
    if first in DAYS and (not dash or last in DAYS):
        start = DAYS.index(first)
        length = (DAYS.index(last) - start) % 7 if dash else 0
        return tuple((start + each) % 7 for each in range(length + 1))
    short = "-".join(each.strip().lower()[:3] for each in text.split("-"))
    hint = f"; write {short}" if re.fullmatch(rf"({'|'.join(DAYS)})(-({'|'.join(DAYS)}))?", short) else ""
    context.add_fault(node, f"expected a weekday or a range such as mon-fri, found {describe(node)}{hint}")
    return None


_ONE_DAY: Final = "|".join(DAYS)
_DAY_RANGE: Final = KeyType("weekdays", _read_day_range, json_schema.pattern(f"^({_ONE_DAY})(-({_ONE_DAY}))?$"))


def days_text(days: tuple[int, ...]) -> str:
    """Weekdays as the file writes them: `[mon-fri]`, `[sat, sun]`."""
    runs = _runs(days)
    words = (
        f"{DAYS[run[0]]}-{DAYS[run[-1]]}" if len(run) > _PAIR else ", ".join(DAYS[day] for day in run) for run in runs
    )
    return f"[{', '.join(words)}]"


def _runs(days: tuple[int, ...]) -> list[list[int]]:
    """Weekdays in a row, over the end of the week too."""
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    if len(runs) > 1 and (runs[0][0], runs[-1][-1]) == (0, len(DAYS) - 1):
        return [*runs[1:-1], runs[-1] + runs[0]]
    return runs


WEEKDAYS: Final = KeyType(
    "list of weekdays", _read_days, json_schema.array(_DAY_RANGE.schema, min_items=1), as_yaml=days_text
)


def _read_dates(node: Node, context: ParseContext) -> tuple[tuple[date, date], ...] | None:
    dates = list_of(_DATE_RANGE).read(node, context)
    if isinstance(node, ListNode) and not node.items:
        context.add_fault(node, "expected dates such as [2026-12-24], found an empty list")
    return dates or None


def _read_date_range(node: Node, context: ParseContext) -> tuple[date, date] | None:
    text = node.text if isinstance(node, ScalarNode) else ""
    first, dots, last = (each.strip() for each in text.partition(".."))
    try:
        if not re.fullmatch(_DATE, first) or (dots and not re.fullmatch(_DATE, last)):
            raise ValueError  # noqa: TRY301  fromisoformat takes more
        begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        context.add_fault(
            node, f"expected a date such as 2026-12-24, or 2026-12-24..2026-12-26, found {describe(node)}"
        )
        return None
    if end < begin:
        context.add_fault(node, f"the range ends before it begins; write {last}..{first}")
        return None
    return begin, end


_DATE_RANGE: Final = KeyType("dates", _read_date_range, json_schema.pattern(rf"^{_DATE}(\s*\.\.\s*{_DATE})?$"))
DATES: Final = KeyType("list of dates", _read_dates, json_schema.array(_DATE_RANGE.schema, min_items=1))


# --- names of hours, and the value of quiet and hold ---


def _read_hours_name(node: Node, context: ParseContext) -> str | None:
    name = read_word(node, context)
    if name is None or name in context.hours:
        return name
    hint = suggestion(name, context.hours) or "; define it under hours: at the top"
    context.add_fault(node, f"unknown hours {describe(node)}{hint}")
    return None


HOURS_NAMES: Final = list_of(KeyType("hours", _read_hours_name, json_schema.WORD))

_STATES: Final = {state.value: state for state in (State.CRITICAL, State.WARNING, State.ACKNOWLEDGED)}
UNLESS: Final[KeyType[str]] = KeyType(
    "state or `never`", choice_of(*_STATES, NEVER), json_schema.enum((*_STATES, NEVER))
)
SILENT_PARTS: Final[Parts] = parts(
    ("during", HOURS_NAMES, (), "in these hours, any of them"),
    ("outside", HOURS_NAMES, (), "whenever none of these hours is on"),
    ("unless", UNLESS, State.CRITICAL.value, "incidents in this state or a worse one are excepted; `never`: none"),
)
"""The keys of the long form of `quiet` and `hold`."""


def _read_silent_hours(node: Node, context: ParseContext) -> SilentHours | None:
    if not isinstance(node, MappingNode):
        if not isinstance(node, ListNode):
            what = "a list of hours such as [night], or {during: [night], unless: critical}"
            context.add_fault(node, f"expected {what}, found {describe(node)}{list_hint(node)}")
            return None
        return SilentHours(during=HOURS_NAMES.read(node, context) or ())
    node = known_parts(node, SILENT_PARTS, "these hours", context)
    if node.get("during") is None and node.get("outside") is None:
        context.add_fault(node, "expected 'during' or 'outside', found neither; write {during: [night]}")
        return None
    return _silent_hours(read_parts(node, SILENT_PARTS, context))


def _silent_hours(values: Mapping[str, Any]) -> SilentHours:
    return SilentHours(
        during=tuple(values.get("during", ())),
        outside=tuple(values.get("outside", ())),
        unless=_STATES.get(values.get("unless", State.CRITICAL.value)),
    )


def _as_yaml(value: SilentHours) -> str:
    during, outside = (HOURS_NAMES.as_yaml(names) for names in (value.during, value.outside))
    if not value.outside and value.unless is State.CRITICAL:
        return during
    unless = "" if value.unless is State.CRITICAL else value.unless or NEVER
    written = {"during": value.during and during, "outside": value.outside and outside, "unless": unless}
    return "{" + ", ".join(f"{key}: {text}" for key, text in written.items() if text) + "}"


def _as_json(value: SilentHours) -> JSON:
    return {"during": list(value.during), "outside": list(value.outside), "unless": value.unless or NEVER}


_LONG_FORM: Final[Schema] = {
    **parts_schema(SILENT_PARTS),
    "anyOf": [{"required": ["during"]}, {"required": ["outside"]}],
}
SILENT_HOURS_SCHEMA: Final[Schema] = {"anyOf": [HOURS_NAMES.schema, _LONG_FORM]}
SILENT_HOURS: Final = KeyType(
    "hours",
    _read_silent_hours,
    json_schema.ref("silent_hours"),
    as_yaml=_as_yaml,
    from_json=_silent_hours,
    as_json=_as_json,
)
