"""A compiled `match`: conditions that an incident meets or does not, and that can explain the result.

`matches` evaluates a condition. `explain` evaluates it and adds the values that were compared.
"""

from dataclasses import dataclass
from typing import Literal

from relay.routes.match_budget import Unread, combined
from relay.routes.match_keys import IncidentFacts, Subject
from relay.routes.operators import Wanted, required_words


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionResult:
    """One condition on one incident.

    `key` is the key in the file, `expected` the value there, and `actual` are the incident's values (none if absent).
    `any`, `all` and `not` over whole matches have `parts` instead of values. `unread`: the values are too long to be
    compared, so nobody knows whether it is met.
    """

    key: str
    matched: bool
    unread: bool = False
    expected: str = ""
    actual: tuple[str, ...] = ()
    parts: "tuple[ConditionResult, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A comparison of one subject with the wanted value; `expected` is that value as written."""

    subject: Subject
    wanted: Wanted
    expected: str

    def matches(self, facts: IncidentFacts) -> bool:
        """Whether the incident's values match."""
        return self.wanted.matches(facts.values(self.subject))

    def explain(self, facts: IncidentFacts) -> ConditionResult:
        """Evaluate and explain."""
        actual, (matched, unread) = facts.values(self.subject).values, _result(self, facts)
        return ConditionResult(
            key=self.subject.label, matched=matched, unread=unread, expected=self.expected, actual=actual
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A whole match: all conditions must match. Without conditions it matches every incident."""

    conditions: "tuple[Condition, ...]" = ()

    def matches(self, facts: IncidentFacts) -> bool:
        """Whether all conditions match."""
        return combined("all", self.conditions, facts)

    def explain(self, facts: IncidentFacts) -> ConditionResult:
        """Evaluate and explain."""
        parts = tuple(condition.explain(facts) for condition in self.conditions)
        matched, unread = _result(self, facts)
        return ConditionResult(key="match", matched=matched, unread=unread, parts=parts)

    def required_words(self) -> list[tuple[Subject, frozenset[str]]]:
        """Subjects with the casefolded values of which each must have one, if this is to match."""
        comparisons = [condition for condition in self.conditions if isinstance(condition, Comparison)]
        return [(each.subject, words) for each in comparisons if (words := required_words(each.wanted)) is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """Whole matches, of which one (`any`), each (`all`) or none (`not`, which has a single part) must match."""

    key: Literal["any", "all", "not"]
    parts: tuple[Match, ...]

    def matches(self, facts: IncidentFacts) -> bool:
        """Whether the parts match as the key says."""
        return combined(self.key, self.parts, facts)

    def explain(self, facts: IncidentFacts) -> ConditionResult:
        """Evaluate and explain."""
        parts = tuple(match.explain(facts) for match in self.parts)
        parts = parts[0].parts if self.key == "not" else parts
        matched, unread = _result(self, facts)
        return ConditionResult(key=self.key, matched=matched, unread=unread, parts=parts)


def _result(condition: "Condition | Match", facts: IncidentFacts) -> tuple[bool, bool]:
    """Whether it matches, and whether that is unknown."""
    try:
        return condition.matches(facts), False
    except Unread:
        return False, True


MATCH_ALL = Match()
Condition = Comparison | Combination
