"""What routes can never do: hold, be reached, post, ping. Nothing is told but what is proven."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from relay.model.incident import State
from relay.routes.match import Comparison
from relay.routes.operators import AllOf, AnyOf, Exactly, Exists, Glob, Regex, Wanted
from relay.routes.parser.context import HasPosition
from relay.routes.parser.yaml_nodes import MappingNode
from relay.routes.subjects import PLAIN, ValueType
from relay.tools.check.positions import ConditionSource, RouteSource, inner
from relay.tools.check.prover import Claim, Every, Formula, Some, always, implies, meaning, possible, taking
from relay.tools.check.shadowing import Blocker, Blocking

MOST_ALONE: Final = 60
"""Of how many routes before one it is asked whether they take all that comes its way, the most general first."""
MOST_TOGETHER: Final = 40
"""How many routes may stand before one for them to be looked at together, where no single one of them takes all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """What is wrong, where. `warning`: it works, but hardly as somebody meant it."""

    at: HasPosition
    message: str
    warning: bool = True


# --- conditions ---


def comparisons(conditions: Iterable[ConditionSource]) -> Iterator[LintFinding]:
    """Comparisons that never hold, or always do."""
    for condition in _everywhere(conditions):
        if not isinstance(condition.condition, Comparison):
            continue
        said = meaning(condition.condition)
        if not possible(said):
            message = f"'{condition.words}' can never hold{_choice(condition.condition)}"
            yield LintFinding(at=condition.at, message=message, warning=False)
        elif always(said):
            message = f"'{condition.words}' holds for every incident, so it says nothing"
            yield LintFinding(at=condition.at, message=message)


def _choice(look: Comparison) -> str:
    """What there is to choose from, as the end of a sentence."""
    kind, parts = look.subject.kind, list(_parts(look.wanted))
    if Exists(wanted=False) in parts and kind is not ValueType.TEXT:
        return f"; '{look.subject.label}' is never absent"
    if kind is ValueType.STATE and any(isinstance(part, Glob | Regex) for part in parts):
        return f"; there are: {', '.join(str(state) for state in sorted(State, key=lambda each: each.rank))}"
    return ""


def _parts(wanted: Wanted) -> Iterator[Wanted]:
    yield wanted
    for each in wanted.these if isinstance(wanted, AllOf | AnyOf) else ():
        yield from _parts(each)


def contradictions(each: RouteSource) -> Iterator[LintFinding]:
    """Conditions that never hold together: in a match inside the route's, in its own, or with the routes around it."""
    for condition in each.conditions:
        for together in inner(condition):
            yield from _clashes([(None, one) for one in together], together)
    if each.inside is None or possible(premise(each.inside)):
        around = [(step, one) for step in each.lineage for one in step.conditions]
        yield from _clashes([(None if step is each else step, one) for step, one in around], each.conditions)


def _clashes(
    together: Sequence[tuple[RouteSource | None, ConditionSource]], own: Sequence[ConditionSource]
) -> Iterator[LintFinding]:
    """The first two that contradict each other, else all of them; single ones that never hold are told elsewhere."""
    said = [meaning(one.condition) for _, one in together]
    if possible(*said) or not all(map(possible, said)):
        return
    for (first, second), (one, other) in zip(combinations(together, 2), combinations(said, 2), strict=True):
        if not possible(one, other):
            place = f"in line {first[1].at.line}" + (f", of the route '{first[0].route.name}'" if first[0] else "")
            message = f"'{second[1].words}' contradicts '{first[1].words}' {place}: no incident has both"
            yield LintFinding(at=second[1].at, message=message)
            return
    at = own[-1].at if own else together[-1][1].at
    yield LintFinding(
        at=at, message="with the conditions before it this never holds: together they contradict each other"
    )


def _everywhere(conditions: Iterable[ConditionSource]) -> Iterator[ConditionSource]:
    for condition in conditions:
        yield condition
        for match in inner(condition):
            yield from match


# --- routes ---


def premise(each: RouteSource) -> Formula:
    """What surely is so where the route holds: its match, and those of the routes around it."""
    return Every(tuple(meaning(step.route.match) for step in each.lineage))


def unreachable(each: RouteSource, blocking: Blocking) -> Iterator[LintFinding]:
    """A route that others, which stand before it and do not continue, leave nothing."""
    before = premise(each)
    if id(each.inside) in blocking.closed:
        blocking.closed.add(id(each))
    elif _alive(each) and possible(before) and (blockers := _blockers(each, before, blocking)):
        blocking.closed.add(id(each))
        yield _unreached(each, blockers)


def _blockers(each: RouteSource, before: Formula, blocking: Blocking) -> list[Blocker]:
    """The one that leaves it nothing, else the few that do so together; none where nothing is proven."""
    for blocker in blocking.before(each, before)[:MOST_ALONE]:
        if not possible(before, blocker.fails):
            return [blocker]
    together = blocking.all_before(each)
    if 1 < len(together) <= MOST_TOGETHER and implies(before, Some(tuple(one.takes for one in together))):
        return _needed(before, together)
    return []


def idle_posts(each: RouteSource) -> Iterator[LintFinding]:
    """A route whose children leave it nothing, and one that silently drops all that comes its way."""
    route, before = each.route, premise(each)
    if not _alive(each) or route.groups_only or not possible(before):
        return
    if _all_goes_inside(each):
        message = f"this never happens: the routes inside '{route.name}' take whatever it matches"
        yield LintFinding(at=each.at("post"), message=message)
    elif not route.posts and always(before):
        message = f"'{route.name}' matches everything and drops what gets this far; the fallback never hears of it"
        yield LintFinding(at=each.at("post"), message=message)


def idle(each: RouteSource, blocking: Blocking) -> bool:
    """Whether a route that is in force never posts anything; of those before it `unreachable` was asked already."""
    return _alive(each) and (id(each) in blocking.closed or not possible(premise(each)) or _all_goes_inside(each))


def _all_goes_inside(each: RouteSource) -> bool:
    return bool(each.route.routes) and implies(premise(each), Some(tuple(map(taking, each.route.routes))))


def idle_mentions(each: RouteSource) -> Iterator[LintFinding]:
    """People who are to be pinged in a state in which the route takes nothing."""
    before = premise(each)
    if not possible(before):
        return
    for item in each.posts():
        mention = item.get("mention") if isinstance(item, MappingNode) else None
        for word, _ in mention.entries if isinstance(mention, MappingNode) else ():
            if word.text in set(State) and not possible(before, _is(State(word.text))):
                message = f"this pings nobody: the route takes no incident that is {word.text}"
                yield LintFinding(at=word, message=message)


def _is(state: State) -> Formula:
    return Claim(PLAIN["status"], Exactly(text=state.value))


def _alive(each: RouteSource) -> bool:
    return all(step.route.enabled for step in each.lineage)


def _needed(before: Formula, together: Sequence[Blocker]) -> list[Blocker]:
    """Those of them without which the proof fails."""
    needed = list(together)
    for one in together:
        rest = [each for each in needed if each is not one]
        if rest and implies(before, Some(tuple(each.takes for each in rest))):
            needed = rest
    return needed


def _unreached(each: RouteSource, blockers: Sequence[Blocker]) -> LintFinding:
    named = " and ".join(f"'{one.standing.route.name}' (line {one.standing.route.line})" for one in blockers)
    verb = "takes" if len(blockers) == 1 else "take"
    route = blockers[0].standing.route
    dropped = " and drops it" if len(blockers) == 1 and not route.posts and not route.groups_only else ""
    message = (
        f"the route '{each.route.name}' is never reached: {named} {verb} whatever it matches{dropped}; "
        "move it up, or let what stands before it say continue: true"
    )
    return LintFinding(at=each.table, message=message)
