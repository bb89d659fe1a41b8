"""`match`, compiled: conditions that hold for an incident or don't, and can show what they saw.

There is one judgement of a condition, `holds`; `judge` puts it down beside what was looked at.
"""

from dataclasses import dataclass

from relay.routes.operators import Wanted
from relay.routes.subjects import IncidentFacts, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionResult:
    """One condition on one incident.

    `key` names it as the file does, `expected` is the value as written, `seen` are the incident's values (none where it
    is absent). `any`, `all` and `not` over whole matches have neither, but what they are made of `within` them.
    """

    key: str
    matched: bool
    expected: str = ""
    actual: tuple[str, ...] = ()
    parts: "tuple[ConditionResult, ...]" = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One look at one thing. `expected` is what is wanted, as written."""

    subject: Subject
    wanted: Wanted
    expected: str

    def holds(self, facts: IncidentFacts) -> bool:
        """Whether what is seen is what is wanted."""
        return self.wanted.holds(facts.seen(self.subject))

    def judge(self, facts: IncidentFacts) -> ConditionResult:
        """The same, shown."""
        seen = facts.seen(self.subject).values
        return ConditionResult(key=self.subject.label, matched=self.holds(facts), expected=self.expected, actual=seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A whole match: every condition holds. Without conditions it holds for everything."""

    conditions: "tuple[Condition, ...]" = ()

    def holds(self, facts: IncidentFacts) -> bool:
        """Whether they all hold."""
        for condition in self.conditions:  # noqa: SIM110  a generator costs more than the judgement
            if not condition.holds(facts):
                return False
        return True

    def judge(self, facts: IncidentFacts) -> ConditionResult:
        """The same, shown."""
        return ConditionResult(key="match", matched=self.holds(facts), parts=self.judged(facts))

    def judged(self, facts: IncidentFacts) -> tuple[ConditionResult, ...]:
        """Each condition, shown."""
        return tuple(condition.judge(facts) for condition in self.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyMatch:
    """`any`: one of the matches holds."""

    matches: tuple[Match, ...]

    def holds(self, facts: IncidentFacts) -> bool:
        """Whether one of them holds."""
        return any(match.holds(facts) for match in self.matches)

    def judge(self, facts: IncidentFacts) -> ConditionResult:
        """The same, shown."""
        return ConditionResult(
            key="any", matched=self.holds(facts), parts=tuple(match.judge(facts) for match in self.matches)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AllMatches:
    """`all`: each of the matches holds."""

    matches: tuple[Match, ...]

    def holds(self, facts: IncidentFacts) -> bool:
        """Whether they all hold."""
        return all(match.holds(facts) for match in self.matches)

    def judge(self, facts: IncidentFacts) -> ConditionResult:
        """The same, shown."""
        return ConditionResult(
            key="all", matched=self.holds(facts), parts=tuple(match.judge(facts) for match in self.matches)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMatch:
    """`not`: the match does not hold."""

    match: Match

    def holds(self, facts: IncidentFacts) -> bool:
        """Whether it fails."""
        return not self.match.holds(facts)

    def judge(self, facts: IncidentFacts) -> ConditionResult:
        """The same, shown."""
        return ConditionResult(key="not", matched=self.holds(facts), parts=self.match.judged(facts))


MATCH_ALL = Match()
Condition = Comparison | AnyMatch | AllMatches | NotMatch
