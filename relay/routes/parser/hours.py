"""The keys `zone` and `hours` of routes.yaml: windows in the time of a zone, and lists of other hours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from relay.routes import json_schema
from relay.routes.hour_types import DATES, HOURS_NAMES, TIME, WEEKDAYS, ZONE, zone_at
from relay.routes.hours import EVERY_DAY, MINUTES_OF_DAY, Hours, Window
from relay.routes.json_schema import Schema
from relay.routes.parts import Parts, known_parts, parts, parts_schema, read_parts
from relay.routes.yaml_reader.context import ParseContext, Position
from relay.routes.yaml_reader.nodes import ListNode, MappingNode, Node, ScalarNode, list_hint
from relay.routes.yaml_reader.scalars import describe, read_entries

WINDOW_PARTS: Final[Parts] = parts(
    ("days", WEEKDAYS, EVERY_DAY, "weekdays on which it begins: `[mon-fri]`; without `days` and `dates`, every day"),
    ("dates", DATES, None, "dates on which it begins: `[2026-12-24, 2026-12-25..2026-12-26]`"),
    ("from", TIME, None, "the time at which it begins; without `from` and `to` it is the whole day"),
    ("to", TIME, None, "the time at which it ends, at most `24:00`; if it is before `from`, on the next day"),
    ("zone", ZONE, "", "its time zone, if it is not the `zone` at the top"),
    ("any", HOURS_NAMES, (), "instead of a window: other hours, any of them. A list is short for this"),
    ("except", HOURS_NAMES, (), "other hours, which are left out"),
)
"""The keys of one item of `hours`."""

MAX_DEPTH: Final = 50
"""How deep lists of hours may contain other lists."""
_WINDOW_KEYS: Final = ("days", "dates", "from", "to", "zone")
_BOTH_TIMES: Final = {"dependentRequired": {"from": ["to"], "to": ["from"]}}
HOURS_SCHEMA: Final[Schema] = json_schema.mapping(
    {"anyOf": [HOURS_NAMES.schema, {**parts_schema(WINDOW_PARTS), **_BOTH_TIMES}]}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Definition:
    """One item as it is written: its windows, and the names of the hours that it adds and leaves out."""

    at: Position
    windows: tuple[Window, ...] = ()
    any: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()


def read_hours(node: Node, context: ParseContext) -> dict[str, Hours]:
    """Read `hours`: name to hours. A faulty item is kept, so that its uses are not faults too."""
    entries = read_entries(node, context, 'names to windows, such as night: {from: "22:00", to: "07:00"}')
    context.hours = [name.text for name, _ in entries]
    definitions = {name.text: _definition(name, value, context) for name, value in entries}
    resolver = _Resolver(definitions, context)
    return {name: resolver.resolve(name) for name in definitions}


def _definition(name: ScalarNode, node: Node, context: ParseContext) -> _Definition:
    if isinstance(node, ListNode):
        return _Definition(at=name, any=HOURS_NAMES.read(node, context) or ())
    if not isinstance(node, MappingNode):
        what = 'a window such as {from: "22:00", to: "07:00"}, or a list of hours'
        context.add_fault(node, f"expected {what}, found {describe(node)}{list_hint(node)}")
        return _Definition(at=name)
    node = known_parts(node, WINDOW_PARTS, "hours", context)
    values = read_parts(node, WINDOW_PARTS, context)
    written = [key for key in _WINDOW_KEYS if node.get(key) is not None]
    minus = values.get("except", ())
    if node.get("any") is not None:
        if written:
            context.add_fault(node, f"'any' names other hours, so remove {' and '.join(written)}")
        return _Definition(at=name, any=values.get("any", ()), minus=minus)
    if node.get("days") is not None and node.get("dates") is not None:
        context.add_fault(node, "a window has days or dates, not both; write two windows, and a list of both")
    windows = _windows(node, values, context)
    return _Definition(at=name, windows=windows, minus=minus)


def _windows(node: MappingNode, values: Mapping[str, Any], context: ParseContext) -> tuple[Window, ...]:
    """One window; none if it has a fault that leaves its times unknown."""
    zone = values.get("zone") or zone_at(node, context)
    start, end = values.get("from"), values.get("to")
    missing = [key for key, other in (("from", "to"), ("to", "from")) if node.get(key) is None and node.get(other)]
    if missing:
        context.add_fault(node, f"missing key '{missing[0]}'; write both from and to, or neither for the whole day")
    if start == MINUTES_OF_DAY:
        context.add_fault(node.get("from") or node, 'the day has no 24:00 to begin at; write "00:00", on the next day')
    elif start is not None and start == end:
        message = "from and to are the same; for the whole day remove both keys, for no time at all remove the window"
        context.add_fault(node.get("to") or node, message)
    if missing or (start is None) != (end is None):
        return ()
    days, dates = values.get("days", EVERY_DAY), values.get("dates")
    if start is None or end is None:
        return (Window(zone=zone, days=days, dates=dates),)
    next_day = MINUTES_OF_DAY if end < start else 0
    return (Window(zone=zone, days=days, dates=dates, start=start, end=end + next_day),)


class _Resolver:
    """Replaces names by the hours that they mean; a fault for each cycle, and for lists in lists without end."""

    def __init__(self, definitions: Mapping[str, _Definition], context: ParseContext) -> None:
        self._definitions = definitions
        self._context = context
        self._resolved: dict[str, Hours] = {}
        self._depths: dict[str, int] = {}

    def resolve(self, name: str, around: Sequence[str] = ()) -> Hours:
        """The hours of this name; `around` are the names whose hours are being resolved."""
        if name in self._resolved or name not in self._definitions:
            return self._resolved.get(name, _NOTHING)
        definition = self._definitions[name]
        if name in around:
            cycle = " → ".join((*around[around.index(name) :], name))
            message = f"hours '{name}' contain themselves: {cycle}; remove one of these names"
            self._context.add_fault(definition.at, message)
            return _NOTHING
        inside = (*around, name)
        if len(inside) > MAX_DEPTH:
            return self._too_deep(definition)
        hours = Hours(
            windows=definition.windows,
            parts=tuple(self.resolve(each, inside) for each in definition.any),
            minus=tuple(self.resolve(each, inside) for each in definition.minus),
        )
        depth = 1 + max((self._depths.get(each, 0) for each in (*definition.any, *definition.minus)), default=0)
        if depth > MAX_DEPTH:
            depth, hours = 0, self._too_deep(definition)
        self._depths[name], self._resolved[name] = depth, hours
        return hours

    def _too_deep(self, definition: _Definition) -> Hours:
        message = f"hours are nested more than {MAX_DEPTH} levels deep; name the windows themselves"
        self._context.add_fault(definition.at, message)
        return _NOTHING


_NOTHING: Final = Hours()
