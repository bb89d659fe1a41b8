"""Prove statements about conditions that hold for every incident: "impossible", "always", "implies".

A proof is by contradiction. To show that one condition implies another, the prover combines the first with the negation
of the second. It follows each way in which both could be true, until there is a contradiction (an analytic tableau). A
tag has any number of values; every other subject has exactly one. Subjects are independent, with one exception: an
active incident is not resolved. (The reverse is false: `status` of an incident that arrives resolved is its severity.)

The prover is sound but not complete. "Yes" is proven; "no" means that it found no proof, because the steps ran out or
because it does not look into regular expressions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, assert_never

from relay.model.incident import State
from relay.model.struct import Struct
from relay.routes.match import Combination, Comparison, Condition, Match
from relay.routes.match_keys import MATCH_KEYS, Subject, ValueType
from relay.routes.operators import Between, Combined, Exactly, Exists, Glob, Regex, Wanted
from relay.routes.route import Route
from relay.tools.check.patterns import no_text, no_value

MAX_STEPS: Final = 3_000
"""How many branches a proof follows before it gives up."""
MAX_DEPTH: Final = 200
"""How many choices deep a proof goes; it is recursive."""


class Claim(Struct, frozen=True):
    """A statement about one subject: it matches `wanted`, or (if not `positive`) it does not."""

    subject: Subject
    wanted: Wanted
    positive: bool = True


class Every(Struct, frozen=True):
    """All parts are true; without parts, always true."""

    parts: "tuple[Formula, ...]" = ()


class Some(Struct, frozen=True):
    """One of the parts is true; without parts, never true."""

    parts: "tuple[Formula, ...]" = ()


Formula = Claim | Every | Some


# --- questions ---


def possible(*formulas: Formula) -> bool:
    """Whether one incident may satisfy all formulas; `False` is proven."""
    return _Search().is_open(formulas, {}, 0)


def implies(premise: Formula, conclusion: Formula) -> bool:
    """Whether every incident that satisfies the premise satisfies the conclusion; `True` is proven."""
    return not possible(premise, opposite(conclusion))


def always(formula: Formula) -> bool:
    """Whether every incident satisfies the formula; `True` is proven."""
    return not possible(opposite(formula))


# --- formulas ---


def formula_of(condition: Condition | Match) -> Formula:
    """The formula of a condition or of a whole match."""
    match condition:
        case Comparison(subject=subject, wanted=wanted):
            return _text_formula(subject, wanted) if subject.type is ValueType.TEXT else Claim(subject, wanted)
        case Match(conditions=parts) | Combination(key="all", parts=parts):
            return Every(tuple(map(formula_of, parts)))
        case Combination(key=key, parts=parts):
            one = Some(tuple(map(formula_of, parts)))
            return one if key == "any" else opposite(one)
        case _:
            assert_never(condition)


def route_formula(route: Route) -> Formula:
    """When a route that is reached matches, itself or by its children; in shadow it does not match itself."""
    if not route.enabled:
        return Some()
    if not route.groups_only and not route.is_shadow:
        return formula_of(route.match)
    return Every((formula_of(route.match), Some(tuple(map(route_formula, route.routes)))))


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
    """Every claim in a formula."""
    if isinstance(formula, Claim):
        return iter((formula,))
    return chain.from_iterable(map(claims, formula.parts))


def _text_formula(subject: Subject, wanted: Wanted) -> Formula:
    """Break a comparison of texts down to claims about single values."""
    match wanted:
        case Combined(key="all", these=these):
            return Every(tuple(_text_formula(subject, each) for each in these))
        case Combined(key=key, these=these):
            one = Some(tuple(_text_formula(subject, each) for each in these))
            return one if key == "any" else opposite(one)
        case Exists(wanted=False):
            return Claim(subject, Exists(wanted=True), positive=False)
        case Exactly() | Glob() | Regex() | Between() | Exists():
            return Claim(subject, wanted)
        case _:
            assert_never(wanted)


# --- search ---

_Known = Mapping[str, tuple[Claim, ...]]


class _Search:
    """One proof, with its remaining steps."""

    def __init__(self) -> None:
        self._left = MAX_STEPS

    def is_open(self, formulas: Iterable[Formula], known: _Known, depth: int) -> bool:
        """Whether all formulas may be true, together with the claims that are already known."""
        new, choices = _sorted_out(formulas)
        together = {**known}
        for claim in new:
            together[claim.subject.id] = (*together.get(claim.subject.id, ()), claim)
        if any(_contradictory(together[subject]) for subject in {claim.subject.id for claim in new}):
            return False
        active, status = together.get(_ACTIVE.id, ()), together.get(_STATUS.id, ())
        if active and status and _contradictory((*active, _INACTIVE)) and _contradictory((*status, _UNRESOLVED)):
            return False  # the claims require an incident that is active and resolved
        if not choices:
            return True
        first, *others = sorted(choices, key=lambda choice: len(choice.parts))
        for part in first.parts:
            self._left -= 1
            if self._left < 0 or depth >= MAX_DEPTH or self.is_open((part, *others), together, depth + 1):
                return True
        return False


def _sorted_out(formulas: Iterable[Formula]) -> tuple[list[Claim], list[Some]]:
    """Split formulas into certain claims and open choices."""
    certain: list[Claim] = []
    choices: list[Some] = []
    todo = list(formulas)
    while todo:
        match todo.pop():
            case Claim() as claim:
                certain.append(claim)
            case Every(parts=parts) | Some(parts=(_,) as parts):
                todo += parts
            case Some() as choice:
                choices.append(choice)
    return certain, choices


_ACTIVE, _STATUS = MATCH_KEYS["active"].subject(), MATCH_KEYS["status"].subject()
_INACTIVE: Final = Claim(_ACTIVE, Exactly(text="false"))
_UNRESOLVED: Final = Claim(_STATUS, Exactly(text=State.RESOLVED.value), positive=False)


def _contradictory(known: Sequence[Claim]) -> bool:
    """Whether no incident satisfies all claims about one subject."""
    value_type = known[0].subject.type
    if value_type is not ValueType.TEXT:
        return no_value(value_type, [(claim.wanted, claim.positive) for claim in known])
    excluded = [claim.wanted for claim in known if not claim.positive]
    return any(no_text(claim.wanted, excluded) for claim in known if claim.positive)
