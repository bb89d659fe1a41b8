"""Routes that stand in others' way: those that end the walk among their siblings when they take an incident."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from relay.routes.match import Comparison
from relay.routes.operators import Exactly, words_of
from relay.tools.check.positions import RouteSource
from relay.tools.check.prover import Formula, always, claims, meaning, opposite, taking

_TIED = frozenset({"active", "status"})
"""Subjects of which one says something about the other."""


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """A route that ends the walk among its siblings when it takes an incident."""

    standing: RouteSource

    @cached_property
    def takes(self) -> Formula:
        """When it does."""
        return taking(self.standing.route)

    @cached_property
    def fails(self) -> Formula:
        """When it does not."""
        return opposite(self.takes)

    @cached_property
    def subjects(self) -> frozenset[str]:
        """What its own match looks at, and so what a proof must know of."""
        looks = [each for each in self.standing.route.match.conditions if isinstance(each, Comparison)]
        return frozenset(look.subject.key for look in looks if not always(meaning(look)))

    def may_follow(self, subjects: Collection[str]) -> bool:
        """Whether what is known of these subjects may say anything about it."""
        return self._always or not self._mentioned.isdisjoint(subjects)

    @cached_property
    def _always(self) -> bool:
        return always(self.takes)

    @cached_property
    def _mentioned(self) -> frozenset[str]:
        return frozenset(claim.subject.key for claim in claims(self.takes))

    @cached_property
    def demand(self) -> frozenset[tuple[str, str]] | None:
        """Words of which one must be seen for it to hold; None where nothing so plain can be said."""
        looks = [each for each in self.standing.route.match.conditions if isinstance(each, Comparison)]
        demands = [(look.subject.key, words) for look in looks if (words := words_of(look.wanted)) is not None]
        key, words = min(demands, key=lambda each: len(each[1]), default=("", None))
        return None if words is None else frozenset((key, word) for word in words)


@dataclass(slots=True)
class Blocking:
    """The routes that stand in others' way, filed by what they demand: a thousand of them are not asked one by one."""

    closed: set[int] = field(default_factory=set)
    """Routes that are known to be never reached (by identity), and with them whatever is inside."""
    _levels: "dict[int, _Level]" = field(default_factory=dict)

    def all_before(self, each: RouteSource) -> list[Blocker]:
        """Those before a route, or before one of those around it."""
        return [blocker for step in each.lineage for blocker in self._level(step).everyone(len(step.before))]

    def before(self, each: RouteSource, formula: Formula) -> list[Blocker]:
        """Those of them that may, alone, be implied by what surely holds there."""
        known = list(claims(formula))
        subjects = {claim.subject.key for claim in known}
        subjects |= subjects & _TIED and _TIED
        words = {
            (claim.subject.key, claim.wanted.text)
            for claim in known
            if isinstance(claim.wanted, Exactly) and claim.positive
        }
        found = [blocker for step in each.lineage for blocker in self._level(step).relevant(len(step.before), words)]
        known_of = (blocker for blocker in found if blocker.subjects <= subjects and blocker.may_follow(subjects))
        return sorted(known_of, key=lambda blocker: len(blocker.subjects))

    def _level(self, each: RouteSource) -> "_Level":
        """Of the siblings up to this one; they are filed as they come."""
        level = self._levels.setdefault(id(each.inside), _Level())
        level.grow(each.before)
        return level


@dataclass(slots=True)
class _Level:
    """Siblings that can end the walk, by place."""

    _grown: int = 0
    _all: list[tuple[int, Blocker]] = field(default_factory=list)
    _anything: list[tuple[int, Blocker]] = field(default_factory=list)
    _by_word: dict[tuple[str, str], list[tuple[int, Blocker]]] = field(default_factory=dict)

    def grow(self, before: Sequence[RouteSource]) -> None:
        """File those that are not filed yet."""
        for place in range(self._grown, len(before)):
            each = before[place]
            if each.route.enabled and not each.route.continue_:
                self._file(place, Blocker(standing=each))
        self._grown = max(self._grown, len(before))

    def relevant(self, place: int, words: Iterable[tuple[str, str]]) -> list[Blocker]:
        """Those before that place that may hold where these words are seen, in their order."""
        found = dict(self._anything)
        for word in words:
            found.update(self._by_word.get(word, ()))
        return [found[at] for at in sorted(found) if at < place]

    def everyone(self, place: int) -> list[Blocker]:
        """Those before that place, in their order."""
        return [blocker for at, blocker in self._all if at < place]

    def _file(self, place: int, blocker: Blocker) -> None:
        self._all.append((place, blocker))
        if blocker.demand is None:
            self._anything.append((place, blocker))
        for word in blocker.demand or ():
            self._by_word.setdefault(word, []).append((place, blocker))
