"""Prove what cannot happen: conditions that never match, routes that are never reached, posts and pings without effect.

Only what is proven is reported.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, combinations
from typing import Final

from relay.model.bounds import LONGEST_VALUE
from relay.model.errors import Fault
from relay.model.incident import State
from relay.routes.match import Comparison
from relay.routes.match_keys import MATCH_KEYS, ValueType
from relay.routes.operators import Combined, Exactly, Exists, Glob, Regex, Wanted, longest_read
from relay.routes.yaml_reader.nodes import MappingNode
from relay.tools.check.prover import Claim, Every, Formula, Some, always, formula_of, implies, possible, route_formula
from relay.tools.check.shadowing import Blocker, Blockers
from relay.tools.check.sources import ConditionSource, RouteSource, finding, inner_matches

MAX_SINGLE: Final = 60
"""How many blockers are tried on their own, the most general ones first."""
MAX_TOGETHER: Final = 40
"""How many blockers are tried together, if no single one blocks the route."""


# --- conditions ---


def comparisons(conditions: Iterable[ConditionSource]) -> Iterator[Fault]:
    """Find comparisons that never match, or always do."""
    every = (one for each in conditions for one in (each, *chain.from_iterable(inner_matches(each))))
    for source in every:
        if not isinstance(source.condition, Comparison):
            continue
        formula = formula_of(source.condition)
        if not possible(formula):
            message = f"'{source.text}' never matches{_never_hint(source.condition)}"
            yield finding(source.at, message)
        elif always(formula):
            yield finding(source.at, f"'{source.text}' matches every incident; remove it")


def costly_patterns(source: ConditionSource) -> Iterator[Fault]:
    """Find patterns that are too large to be compared with every value."""
    parts = _parts(source.condition.wanted) if isinstance(source.condition, Comparison) else ()
    limits = [longest_read(part) for part in parts if isinstance(part, Glob | Regex)]
    longest = min((limit for limit in limits if limit is not None), default=LONGEST_VALUE)
    if longest < LONGEST_VALUE:
        message = (
            f"'{source.text}' has a large pattern: relay cannot compare it with values of more than {longest:,} bytes, "
            "and then the route does not match; write .* for long gaps, or fewer and shorter repeats"
        )
        yield finding(source.at, message)


def _never_hint(comparison: Comparison) -> str:
    value_type, parts = comparison.subject.type, list(_parts(comparison.wanted))
    if Exists(wanted=False) in parts and value_type is not ValueType.TEXT:
        return f"; every incident has '{comparison.subject.label}'"
    if value_type is ValueType.STATE and any(isinstance(part, Glob | Regex) for part in parts):
        states = ", ".join(str(state) for state in sorted(State, key=lambda each: each.rank))
        return f"; expected one of: {states}"
    return ""


def _parts(wanted: Wanted) -> Iterator[Wanted]:
    yield wanted
    for each in wanted.these if isinstance(wanted, Combined) and wanted.key != "not" else ():
        yield from _parts(each)


def contradictions(source: RouteSource) -> Iterator[Fault]:
    """Find conditions that never match together: in one match, or in a route and the routes around it."""
    for condition in source.conditions:
        for together in inner_matches(condition):
            yield from _contradictions([(None, one) for one in together], together)
    if source.parent is None or possible(premise(source.parent)):
        around = [(each, one) for each in source.lineage for one in each.conditions]
        yield from _contradictions([(None if each is source else each, one) for each, one in around], source.conditions)


def _contradictions(
    together: Sequence[tuple[RouteSource | None, ConditionSource]], own: Sequence[ConditionSource]
) -> Iterator[Fault]:
    """Report the first two that contradict each other, else all together. `comparisons` reports single ones."""
    formulas = [formula_of(one.condition) for _, one in together]
    if possible(*formulas) or not all(map(possible, formulas)):
        return
    for (first, second), (one, other) in zip(combinations(together, 2), combinations(formulas, 2), strict=True):
        if not possible(one, other):
            place = f"in line {first[1].at.line}" + (f" of the route '{first[0].route.name}'" if first[0] else "")
            message = f"'{second[1].text}' contradicts '{first[1].text}' {place}: no incident matches both"
            yield finding(second[1].at, message)
            return
    at = own[-1].at if own else together[-1][1].at
    yield finding(at, "this and the conditions before it contradict each other: no incident matches all of them")


# --- routes ---


def premise(source: RouteSource) -> Formula:
    """What is true for every incident that a route matches: its match, and those of the routes around it."""
    return Every(tuple(formula_of(each.route.match) for each in source.lineage))


def unreachable(source: RouteSource, blockers: Blockers) -> Iterator[Fault]:
    """Find a route that the routes before it leave no incident; record it in `blockers`."""
    before = premise(source)
    if id(source.parent) in blockers.unreachable:
        blockers.unreachable.add(id(source))
    elif source.enabled and possible(before) and (needed := _blockers(source, before, blockers)):
        blockers.unreachable.add(id(source))
        yield _unreachable(source, needed)


def _blockers(source: RouteSource, before: Formula, blockers: Blockers) -> list[Blocker]:
    """The blocker that leaves the route nothing, else the few that do so together; empty if nothing is proven."""
    for blocker in blockers.candidates(source, before)[:MAX_SINGLE]:
        if not possible(before, blocker.fails):
            return [blocker]
    together = blockers.all_before(source)
    if 1 < len(together) <= MAX_TOGETHER and implies(before, Some(tuple(one.matches for one in together))):
        return _needed(before, together)
    return []


def _needed(before: Formula, together: Sequence[Blocker]) -> list[Blocker]:
    """The blockers without which the proof fails."""
    needed = list(together)
    for one in together:
        rest = [each for each in needed if each is not one]
        if rest and implies(before, Some(tuple(each.matches for each in rest))):
            needed = rest
    return needed


def _unreachable(source: RouteSource, blockers: Sequence[Blocker]) -> Fault:
    names = " and ".join(f"'{one.source.route.name}' (line {one.source.route.line})" for one in blockers)
    first = blockers[0].source.route
    single = len(blockers) == 1
    verb = ("drops" if not first.posts and not first.groups_only else "matches") if single else "match"
    message = (
        f"route '{source.route.name}' is never reached: {names} {verb} every incident that it matches; "
        f"move it up, or add continue: true to the {'route' if single else 'routes'} before it"
    )
    return finding(source.node, message)


def unused_posts(source: RouteSource) -> Iterator[Fault]:
    """Find a route whose children leave it nothing, and one that silently drops every incident."""
    route, before = source.route, premise(source)
    if not source.enabled or route.groups_only or not possible(before):
        return
    at = source.node.key("post") or source.node
    if _children_match_all(source):
        message = f"this is never used: the routes inside '{route.name}' match every incident that it matches"
        yield finding(at, message)
    elif not route.posts and not route.is_shadow and always(before):
        message = f"'{route.name}' matches and drops every incident that reaches it; none goes to the fallback"
        yield finding(at, message)


def never_posts(source: RouteSource, blockers: Blockers) -> bool:
    """Whether an enabled route never posts. `unreachable` must have seen the routes before it."""
    if not source.enabled:
        return False
    return id(source) in blockers.unreachable or not possible(premise(source)) or _children_match_all(source)


def _children_match_all(source: RouteSource) -> bool:
    return bool(source.route.routes) and implies(premise(source), Some(tuple(map(route_formula, source.route.routes))))


def unused_mentions(source: RouteSource) -> Iterator[Fault]:
    """Find mentions for a state that no incident of the route has."""
    before = premise(source)
    if not possible(before):
        return
    for item in source.posts:
        mention = item.get("mention") if isinstance(item, MappingNode) else None
        for key, _ in mention.entries if isinstance(mention, MappingNode) else ():
            has_state = Claim(MATCH_KEYS["status"].subject(), Exactly(text=key.text))
            if key.text in set(State) and not possible(before, has_state):
                yield finding(key, f"this pings nobody: the route matches no {key.text} incident")
