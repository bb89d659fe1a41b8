"""What follows from what: proofs about conditions, whatever the incident.

A proof is a refutation. To show that one condition implies another, the first is taken together with the opposite of
the second, and each way in which both could hold is followed until it contradicts itself (a tableau). A tag has any
number of values, and everything else has exactly one. Subjects are taken as independent of one another, but for one
thing: what is active is not resolved. (The reverse is not so: `status` of what arrives resolved is its severity.)

It is sound and not complete: "yes" is proven, "no" says only that no proof was found, be it that steps ran out or that
regular expressions are not looked into.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from relay.model.incident import State
from relay.routes.match import AllMatches, AnyMatch, Comparison, Condition, Match, NotMatch
from relay.routes.operators import AllOf, AnyOf, Between, Exactly, Exists, Glob, Opposite, Regex, Wanted
from relay.routes.route import Route
from relay.routes.subjects import PLAIN, Subject, ValueType
from relay.tools.check.patterns import no_text, no_value

STEPS: Final = 3_000
"""How many ways are followed before no proof counts as found."""
DEPTH: Final = 200
"""How many choices deep; the way there is a recursion."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is said of one subject: that it is what is wanted, or that it is not."""

    subject: Subject
    wanted: Wanted
    positive: bool = True


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold; without parts it is always so."""

    parts: "tuple[Formula, ...]" = ()


@dataclass(frozen=True, slots=True)
class Some:
    """One of the parts holds; without parts it is never so."""

    parts: "tuple[Formula, ...]" = ()


Formula = Claim | Every | Some


# --- what is asked ---


def possible(*formulas: Formula) -> bool:
    """Whether one incident may fulfil all of them; `False` is proven."""
    return _Search().open(formulas, {}, 0)


def implies(premise: Formula, conclusion: Formula) -> bool:
    """Whether whatever fulfils the premise fulfils the conclusion; `True` is proven."""
    return not possible(premise, opposite(conclusion))


def always(formula: Formula) -> bool:
    """Whether every incident fulfils it; `True` is proven."""
    return not possible(opposite(formula))


# --- what it is asked about ---


def meaning(condition: Condition | Match) -> Formula:
    """What a condition, or a whole match, says."""
    match condition:
        case Comparison(subject=subject, wanted=wanted):
            return _said(subject, wanted) if subject.kind is ValueType.TEXT else Claim(subject, wanted)
        case Match(conditions=parts) | AllMatches(matches=parts):
            return Every(tuple(map(meaning, parts)))
        case AnyMatch(matches=parts):
            return Some(tuple(map(meaning, parts)))
        case NotMatch(match=inner):
            return opposite(meaning(inner))
        case _:
            assert_never(condition)


def taking(route: Route) -> Formula:
    """When a route that is asked takes the incident, itself or by its children."""
    if not route.enabled:
        return Some()
    if not route.groups_only:
        return meaning(route.match)
    return Every((meaning(route.match), Some(tuple(map(taking, route.routes)))))


def opposite(formula: Formula) -> Formula:
    """The exact opposite."""
    match formula:
        case Claim(subject=subject, wanted=wanted, positive=positive):
            return Claim(subject, wanted, not positive)
        case Every(parts=parts):
            return Some(tuple(map(opposite, parts)))
        case Some(parts=parts):
            return Every(tuple(map(opposite, parts)))
        case _:
            assert_never(formula)


def claims(formula: Formula) -> Iterator[Claim]:
    """Every claim in it."""
    if isinstance(formula, Claim):
        yield formula
        return
    for part in formula.parts:
        yield from claims(part)


def _said(subject: Subject, wanted: Wanted) -> Formula:
    """A look at texts, down to what is said of single ones."""
    match wanted:
        case AnyOf(these=these):
            return Some(tuple(_said(subject, each) for each in these))
        case AllOf(these=these):
            return Every(tuple(_said(subject, each) for each in these))
        case Opposite(of=of):
            return opposite(_said(subject, of))
        case Exists(wanted=False):
            return Claim(subject, Exists(wanted=True), positive=False)
        case Exactly() | Glob() | Regex() | Between() | Exists():
            return Claim(subject, wanted)
        case _:
            assert_never(wanted)


# --- the search ---

_Known = Mapping[str, tuple[Claim, ...]]


class _Search:
    """One proof, with the steps that it has left."""

    def __init__(self) -> None:
        self._left = STEPS

    def open(self, formulas: Iterable[Formula], known: _Known, depth: int) -> bool:
        """Whether a way is left in which all of them hold, beside the claims that are known already."""
        found, choices = _sorted_out(formulas)
        together = {**known}
        for claim in found:
            together[claim.subject.key] = (*together.get(claim.subject.key, ()), claim)
        if any(_contradictory(together[key]) for key in {claim.subject.key for claim in found}):
            return False
        if _resolved_and_active(together.get(_ACTIVE.key, ()), together.get(_STATUS.key, ())):
            return False
        if not choices:
            return True
        first, *others = sorted(choices, key=lambda choice: len(choice.parts))
        return any(self._may(part, others, together, depth) for part in first.parts)

    def _may(self, part: Formula, others: Sequence[Formula], known: _Known, depth: int) -> bool:
        self._left -= 1
        if self._left < 0 or depth >= DEPTH:
            return True
        return self.open((part, *others), known, depth + 1)


def _sorted_out(formulas: Iterable[Formula]) -> tuple[list[Claim], list[Some]]:
    """What is certain, and what leaves a choice."""
    found: list[Claim] = []
    choices: list[Some] = []
    todo = list(formulas)
    while todo:
        match todo.pop():
            case Claim() as claim:
                found.append(claim)
            case Every(parts=parts) | Some(parts=(_,) as parts):
                todo += parts
            case Some() as choice:
                choices.append(choice)
    return found, choices


_ACTIVE, _STATUS = PLAIN["active"], PLAIN["status"]
_OVER: Final = Claim(_ACTIVE, Exactly(text="false"))
_UNRESOLVED: Final = Claim(_STATUS, Exactly(text=State.RESOLVED.value), positive=False)


def _resolved_and_active(active: Sequence[Claim], status: Sequence[Claim]) -> bool:
    """Whether it has to be active, and resolved all the same."""
    return bool(active and status) and _contradictory((*active, _OVER)) and _contradictory((*status, _UNRESOLVED))


def _contradictory(known: Sequence[Claim]) -> bool:
    """Whether no incident is like this in one of its subjects."""
    kind = known[0].subject.kind
    if kind is not ValueType.TEXT:
        return no_value(kind, [(claim.wanted, claim.positive) for claim in known])
    banned = [claim.wanted for claim in known if not claim.positive]
    return any(no_text(claim.wanted, banned) for claim in known if claim.positive)
