"""Warn of hours that are probably not intended: missing minutes, hours that never begin or never end."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from relay.model.errors import Fault
from relay.model.zones import current_name, find_zone
from relay.routes.hour_types import SILENT_HOURS, clock
from relay.routes.hours import MINUTES_OF_DAY, Hours, Period, Window
from relay.routes.options import HOURS_OPTIONS
from relay.routes.rulebook import Rulebook
from relay.routes.yaml_reader.context import ParseContext, Position
from relay.routes.yaml_reader.nodes import MappingNode, Node, ScalarNode
from relay.tools.check import sources
from relay.tools.check.sources import RouteSource, finding

_MINUTE: Final = 60.0
_LAST_MINUTE: Final = clock(MINUTES_OF_DAY - 1)
_USUAL_YEAR: Final = 2027
"""Hours that name weekdays are checked in this year, so that the check says the same whenever it runs."""
_Setting = tuple[ScalarNode, Node]
"""The key of an option that names hours, and its value."""
NEVER_ENDS: Final = {
    "quiet": "quiet never ends, so nobody is ever pinged for what it holds; name hours that end, or remove mention",
    "hold": "hold never ends, so cards that it holds are never posted; name hours that end, or write post: []",
}
"""The options that hold something back in hours, and what is wrong if these never end."""


def lint_hours(rulebook: Rulebook, top: MappingNode, routes: Sequence[RouteSource]) -> Iterator[Fault]:
    """Find probable mistakes in `zone` and `hours`, and in the options that name hours."""
    settings = tuple(_settings(top, routes))
    yield from _names(rulebook, top, settings)
    for node in (top, *_mappings(top, "hours"), *_mappings(top, "summaries")):
        yield from _old_zone(node.get("zone"))
        yield from _last_minute(node.get("to"))
    reported: set[Period] = set()
    for name, at in sources.entries(top, "hours").items():
        yield from _missing_minutes(at, rulebook.hours[name], reported)
    for key, value in settings:
        silent = SILENT_HOURS.read(value, ParseContext(file="", hours=rulebook.hours))
        hours = silent.combined(rulebook.hours) if silent else Hours()
        if hours.is_on(_START) and hours.next_change(_START) is None:
            yield finding(key, NEVER_ENDS[key.text])
        yield from _missing_minutes(key, hours, reported)


def _names(rulebook: Rulebook, top: MappingNode, settings: Sequence[_Setting]) -> Iterator[Fault]:
    used = {word for _, value in settings for word in sources.words(value)} | set(_names_in_hours(top))
    for name, at in sources.entries(top, "hours").items():
        if name not in used:
            yield finding(at, f"unused hours '{name}': nothing uses them")
        if not any(rulebook.hours[name].between(*year) for year in _years(rulebook.hours[name])):
            yield finding(at, f"hours '{name}' never begin: no time is left in them")


def _settings(top: MappingNode, routes: Sequence[RouteSource]) -> Iterator[_Setting]:
    """Every option of the file that holds something back in hours, with its value."""
    parts: Iterator[Node] = (each for source in routes for each in (source.node, *source.posts))
    for part in (top.get("defaults"), *parts):
        entries = part.entries if isinstance(part, MappingNode) else ()
        yield from ((key, value) for key, value in entries if key.text in HOURS_OPTIONS)


def _names_in_hours(top: MappingNode) -> Iterator[str]:
    """The names that other hours and summaries name."""
    for name in ("hours", "summaries"):
        for mapping in _mappings(top, name):
            yield from sources.words_under(mapping, "any", "except")
    for item in sources.values(top, "hours"):
        if not isinstance(item, MappingNode):
            yield from sources.words(item)


def _mappings(top: MappingNode, part: str) -> Iterator[MappingNode]:
    """The items of a part of the file that are mappings."""
    yield from (each for each in sources.values(top, part) if isinstance(each, MappingNode))


def _old_zone(node: Node | None) -> Iterator[Fault]:
    """Old names are of no place, and easily taken for another zone: `EST` has no summer time."""
    if isinstance(node, ScalarNode) and (current := current_name(node.text)) != node.text:
        reverse = ", and Etc/GMT+2 is two hours behind UTC" if node.text.startswith("Etc/GMT") else ""
        cure = current or f"a place, such as Europe/Berlin: this is none{reverse}"
        yield finding(node, f"'{node.text}' is an old name of a time zone; write {cure}")


def _last_minute(end: Node | None) -> Iterator[Fault]:
    if isinstance(end, ScalarNode) and end.text == _LAST_MINUTE:
        yield finding(end, 'the last minute of the day is not in this window; write to: "24:00"')


def _missing_minutes(at: Position, hours: Hours, reported: set[Period]) -> Iterator[Fault]:
    """Find minutes between two windows that are in neither; once for all hours in which they are missing."""
    gaps = [
        (end, start)
        for year in _years(hours)
        for (_, end), (start, _) in pairwise(hours.between(*year))
        if start - end == _MINUTE
    ]
    if gaps and reported.isdisjoint(gaps):
        zone = find_zone(next(_windows(hours)).zone)
        start, end = (f"{datetime.fromtimestamp(each, zone):%H:%M}" for each in gaps[0])
        message = f"the minute from {start} to {end} is missing: 'to' is not in the window; write to: \"{end}\""
        yield finding(at, message)
    reported.update(gaps)


def _windows(hours: Hours) -> Iterator[Window]:
    """Every window of these hours, each once however many lists contain it."""
    found, todo = {hours}, [hours]
    while todo:
        each = todo.pop()
        yield from each.windows
        todo += set(each.parts) - found
        found.update(each.parts)


def _years(hours: Hours) -> Iterator[Period]:
    """A usual year, and the years of all dates."""
    dates = (day for window in _windows(hours) for each in window.dates or () for day in each)
    for year in sorted({_USUAL_YEAR, *(day.year for day in dates)}):
        yield _new_year(year), _new_year(year + 1)


def _new_year(year: int) -> float:
    return datetime(year, 1, 1, tzinfo=UTC).timestamp()


_START: Final = _new_year(_USUAL_YEAR)
