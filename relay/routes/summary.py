"""Summaries: at which moments a channel gets one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from relay.model.zones import find_zone
from relay.routes import json_schema
from relay.routes.channel_template import FixedChannel
from relay.routes.hour_types import HOURS_NAMES, TIME, WEEKDAYS, ZONE, zone_at
from relay.routes.hours import EVERY_DAY, MINUTES_OF_DAY, Hours, moment
from relay.routes.key_types import FLAG, WORD, KeyType
from relay.routes.parts import Parts, parts, parts_schema, read_required
from relay.routes.targets import FIXED_CHANNEL
from relay.routes.yaml_reader.context import ParseContext
from relay.routes.yaml_reader.nodes import MappingNode, Node
from relay.routes.yaml_reader.scalars import describe, read_items, read_word


class Slot(NamedTuple):
    """A moment of a summary (Unix seconds), and its day in the summary's zone."""

    at: float
    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A message at the time `at` (minutes after midnight) of these weekdays, except in the hours that `minus` names.

    Without `always` there is none if there is nothing to say.
    """

    title: str
    channel: FixedChannel
    at: int
    zone: str
    days: tuple[int, ...] = EVERY_DAY
    minus: tuple[str, ...] = ()
    always: bool = False

    def slots(self, after: float, until: float, hours: Mapping[str, Hours]) -> Iterator[Slot]:
        """Its slots after a moment, up to and with another. A time that is repeated is one slot, its first occurrence.

        A time that is skipped is the moment of the jump.
        """
        zone = find_zone(self.zone) or UTC
        day = datetime.fromtimestamp(after, zone).date() - timedelta(days=1)
        last = datetime.fromtimestamp(until, zone).date()
        left_out = [hours[name] for name in self.minus if name in hours]
        while day <= last:
            at = moment(day, self.at, zone)
            if day.weekday() in self.days and after < at <= until and not any(each.is_on(at) for each in left_out):
                yield Slot(at, day)
            day += timedelta(days=1)


MAX_TITLE: Final = 60
"""Characters of a title: it is in the headline, and in the marker of the message."""


def _read_title(node: Node, context: ParseContext) -> str | None:
    title = read_word(node, context)
    if title is not None and len(title) > MAX_TITLE:
        context.add_fault(node, f"expected a title of at most {MAX_TITLE} characters, found {len(title)}")
        return None
    return title


_TITLE: Final = KeyType("text", _read_title, {**WORD.schema, "maxLength": MAX_TITLE})

SUMMARY_PARTS: Final[Parts] = parts(
    ("title", _TITLE, "", "its title; with the channel it is unique"),
    ("channel", FIXED_CHANNEL, None, "where it is posted"),
    ("at", TIME, None, "the time of the day"),
    ("days", WEEKDAYS, EVERY_DAY, "the weekdays, such as `[mon-fri]`; without it, every day"),
    ("except", HOURS_NAMES, (), "hours without a summary"),
    ("zone", ZONE, "", "its time zone, if it is not the `zone` at the top"),
    ("always", FLAG, False, "`true`: it is posted if there is nothing to say, too"),
)
_REQUIRED: Final = ("title", "channel", "at")
_EXAMPLE: Final = '{title: Morning, channel: noc, at: "09:00"}'
SUMMARIES_SCHEMA: Final = json_schema.array(parts_schema(SUMMARY_PARTS, *_REQUIRED))


def _read_summary(node: Node, context: ParseContext) -> Summary | None:
    if not isinstance(node, MappingNode):
        context.add_fault(node, f"expected a summary such as {_EXAMPLE}, found {describe(node)}")
        return None
    values = read_required(node, SUMMARY_PARTS, "summary", context, required=_REQUIRED, example=_EXAMPLE)
    zone = values.pop("zone", "") or zone_at(node, context)
    if values.get("at") == MINUTES_OF_DAY:
        context.add_fault(node.get("at") or node, 'a day has no moment 24:00; write "00:00", on the next day')
    if not values.keys() >= set(_REQUIRED):
        return None
    return Summary(zone=zone, minus=values.pop("except", ()), **values)


def read_summaries(node: Node, context: ParseContext) -> tuple[Summary, ...] | None:
    """Read `summaries`; a title is unique in its channel."""
    items = read_items(node, context, "a list of summaries")
    summaries: dict[tuple[str, str], Summary] = {}
    for item in items or ():
        summary = _read_summary(item, context)
        if summary and summaries.setdefault((summary.title, summary.channel.ref), summary) is not summary:
            message = f"there is a summary '{summary.title}' for this channel already; give it another title"
            context.add_fault(item, message)
    return None if items is None else tuple(summaries.values())


SUMMARIES: Final[KeyType[tuple[Summary, ...]]] = KeyType("list of summaries", read_summaries, SUMMARIES_SCHEMA)
