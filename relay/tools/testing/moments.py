"""Moments as test files write them: counted from the first share, the next time of a day, or a date with a time."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self

from relay.model.zones import find_zone
from relay.routes import json_schema
from relay.routes.hours import moment
from relay.routes.key_types import DURATION
from relay.routes.yaml_reader.context import ParseContext
from relay.routes.yaml_reader.nodes import Node, ScalarNode
from relay.routes.yaml_reader.scalars import describe, parse_duration

_CLOCK: Final = re.compile(
    r"(?:(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[ T])?(?P<hour>[01]?[0-9]|2[0-3]):(?P<minute>[0-5][0-9])"
)
_DAY: Final = timedelta(days=1)

MOMENT_SCHEMA: Final = {
    "anyOf": [
        *DURATION.schema["anyOf"],
        json_schema.pattern("^([0-9]{4}-[0-9]{2}-[0-9]{2}[ T])?([01]?[0-9]|2[0-3]):[0-5][0-9]$"),
    ]
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenMoment:
    """A moment of a test: `after` are seconds after the first share; else it is `minutes` after midnight of `day`.

    Without a day it is the next time at which a clock shows that.
    """

    source: str
    after: float | None = None
    minutes: int = 0
    day: date | None = None

    @classmethod
    def after_first(cls, seconds: float) -> Self:
        """The moment so many seconds after the first share."""
        return cls(source=f"{seconds:g}s", after=seconds)

    def resolve(self, first: float, previous: float, zone: str) -> float:
        """The moment in Unix seconds, given the first share, the moment from which on it counts, and the zone."""
        if self.after is not None:
            return first + self.after
        place = find_zone(zone) or UTC
        if self.day is not None:
            return moment(self.day, self.minutes, place)
        today = datetime.fromtimestamp(previous, place).date()
        days = (today + number * _DAY for number in range(3))
        return next(at for day in days if (at := moment(day, self.minutes, place)) > previous)


def read_moment(node: Node, context: ParseContext) -> WrittenMoment | None:
    """Read `3m`, `"07:00"` or `2026-11-30 07:00`."""
    text = node.text.strip() if isinstance(node, ScalarNode) else ""
    if text == "0" or parse_duration(text) is not None:
        return WrittenMoment(source=text, after=parse_duration(text) or 0.0)
    if found := _CLOCK.fullmatch(text):
        try:
            day = date.fromisoformat(found["date"]) if found["date"] else None
        except ValueError:
            context.add_fault(node, f"{found['date']} is not a day of the calendar")
            return None
        return WrittenMoment(source=text, day=day, minutes=int(found["hour"]) * 60 + int(found["minute"]))
    message = 'expected a time after the first share such as 3m, a time of the day such as "07:00", or 2026-11-30 07:00'
    context.add_fault(node, f"{message}; found {describe(node)}")
    return None
