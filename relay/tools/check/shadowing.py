"""Index the routes that shadow others: enabled routes without `continue: true` end the evaluation when they match."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

from relay.routes.match import Comparison
from relay.routes.operators import Exactly
from relay.tools.check.prover import Formula, always, claims, formula_of, opposite, route_formula
from relay.tools.check.sources import RouteSource

_DEPENDENT = frozenset({"active", "status"})
"""Two subjects that depend on each other."""


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """A route that keeps the incidents it matches from the routes after it."""

    source: RouteSource

    @cached_property
    def matches(self) -> Formula:
        """When it matches."""
        return route_formula(self.source.route)

    @cached_property
    def fails(self) -> Formula:
        """When it does not match."""
        return opposite(self.matches)

    @cached_property
    def subjects(self) -> frozenset[str]:
        """The subjects of its own match; a proof must know something about all of them."""
        comparisons = [each for each in self.source.route.match.conditions if isinstance(each, Comparison)]
        return frozenset(each.subject.id for each in comparisons if not always(formula_of(each)))

    @cached_property
    def mentioned(self) -> frozenset[str] | None:
        """The subjects of which a claim may imply that it matches; None if it always matches."""
        return None if always(self.matches) else frozenset(claim.subject.id for claim in claims(self.matches))

    @cached_property
    def required(self) -> frozenset[tuple[str, str]] | None:
        """Pairs of subject and word, of which an incident must have one; None if there is no such set."""
        fewest = min(self.source.route.match.required_words(), key=lambda each: len(each[1]), default=None)
        return fewest and frozenset((fewest[0].id, word) for word in fewest[1])


@dataclass(slots=True)
class Blockers:
    """All blockers, indexed by required words, so that a thousand of them are not tried one by one."""

    unreachable: set[int] = field(default_factory=set)
    """The routes that are never reached (by identity). The routes inside them are not reached either."""
    _levels: "dict[int, _Level]" = field(default_factory=dict)

    def all_before(self, source: RouteSource) -> list[Blocker]:
        """The blockers before a route, or before a route around it."""
        return [blocker for each in source.lineage for blocker in self._level(each).all_before(len(each.before))]

    def candidates(self, source: RouteSource, formula: Formula) -> list[Blocker]:
        """The blockers before a route that the formula, which holds there, may imply on its own."""
        known = list(claims(formula))
        subjects = {claim.subject.id for claim in known}
        subjects |= subjects & _DEPENDENT and _DEPENDENT
        words = {
            (claim.subject.id, claim.wanted.text)
            for claim in known
            if isinstance(claim.wanted, Exactly) and claim.positive
        }
        near = [blocker for each in source.lineage for blocker in self._level(each).with_words(len(each.before), words)]
        relevant = [
            blocker
            for blocker in near
            if blocker.subjects <= subjects and (blocker.mentioned is None or blocker.mentioned & subjects)
        ]
        return sorted(relevant, key=lambda blocker: len(blocker.subjects))

    def _level(self, source: RouteSource) -> "_Level":
        level = self._levels.setdefault(id(source.parent), _Level())
        level.add(source.before)
        return level


@dataclass(slots=True)
class _Level:
    """The blockers among siblings, by position; those without required words stand under None."""

    _added: int = 0
    _all: list[tuple[int, Blocker]] = field(default_factory=list)
    _by_word: dict[tuple[str, str] | None, list[tuple[int, Blocker]]] = field(default_factory=dict)

    def add(self, before: Sequence[RouteSource]) -> None:
        """Add the siblings that are not indexed yet."""
        for position in range(self._added, len(before)):
            blocker = Blocker(source=before[position])
            if not blocker.source.route.enabled or blocker.source.route.continue_:
                continue
            self._all.append((position, blocker))
            for word in blocker.required or (None,):
                self._by_word.setdefault(word, []).append((position, blocker))
        self._added = max(self._added, len(before))

    def with_words(self, end: int, words: Iterable[tuple[str, str]]) -> list[Blocker]:
        """The blockers before a position that may match an incident with these words, in order."""
        blockers = dict(chain.from_iterable(self._by_word.get(word, ()) for word in (None, *words)))
        return [blockers[position] for position in sorted(blockers) if position < end]

    def all_before(self, end: int) -> list[Blocker]:
        """The blockers before a position, in order."""
        return [blocker for position, blocker in self._all if position < end]
