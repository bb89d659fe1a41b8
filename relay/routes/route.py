"""Routes: which incidents, to which channels, how; and siblings that can be searched without asking each of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from relay.routes.channel_template import RouteChannel
from relay.routes.match import MATCH_ALL, Comparison, Match
from relay.routes.operators import words_of
from relay.routes.options import NO_MENTION, Mention, Options
from relay.routes.subjects import IncidentFacts, Subject

_WORTH_AN_INDEX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One channel of a route; `options` are fully resolved."""

    channel: RouteChannel
    options: Options
    mention: Mention = NO_MENTION


class RouteList(tuple["Route", ...]):  # noqa: SLOT001  the index is made once, when it is first needed
    """Routes in their order."""

    @cached_property
    def _index(self) -> "_Index":
        return _Index(self)

    def candidates(self, facts: IncidentFacts) -> "Sequence[Route]":
        """Those whose match may hold, in order; the match of any other surely fails."""
        return self if len(self) < _WORTH_AN_INDEX else self._index.candidates(facts)

    def flatten(self) -> "Iterator[Route]":
        """All of them with all that is inside them, each route before its children."""
        for route in self:
            yield route
            yield from route.routes.flatten()

    def flatten_enabled(self) -> "Iterator[Route]":
        """Like `flatten`, without the disabled routes and those inside them."""
        for route in self:
            if route.enabled:
                yield route
                yield from route.routes.flatten_enabled()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A rule of routes.yaml. `name` is unique in the file; `line` is where it stands.

    `options` are those of a post that sets nothing itself. A route that only groups (`groups_only`) has no `post`; one
    with an empty `post` takes an incident and drops it.
    """

    name: str
    enabled: bool = True
    match: Match = MATCH_ALL
    continue_: bool = False
    posts: tuple[Post, ...] = ()
    groups_only: bool = False
    routes: RouteList = field(default_factory=RouteList)
    options: Options = field(default_factory=Options)
    note: str = ""
    line: int = 0


class _Index:
    """Routes by one thing that their match demands: of its looks for fixed values, the one that fewest others share.

    A thousand routes for a thousand teams then cost about what a dozen cost.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes
        self._always: list[int] = []
        self._by_word: dict[str, tuple[Subject, dict[str, list[int]]]] = {}
        demands = [_demands(route) for route in routes]
        shared = Counter((subject.key, word) for each in demands for subject, words in each for word in words)
        for place, each in enumerate(demands):
            chosen = min(each, key=lambda one: sum(shared[one[0].key, word] for word in one[1]), default=None)
            self._file(place, chosen)

    def _file(self, place: int, demand: tuple[Subject, frozenset[str]] | None) -> None:
        if demand is None:
            self._always.append(place)
            return
        subject, words = demand
        _, by_word = self._by_word.setdefault(subject.key, (subject, {}))
        for word in words:
            by_word.setdefault(word, []).append(place)

    def candidates(self, facts: IncidentFacts) -> list[Route]:
        """Those filed under what is seen, and those that could not be filed."""
        found = set(self._always)
        for subject, by_word in self._by_word.values():
            for word in facts.seen(subject).folded:
                found.update(by_word.get(word, ()))
        return [self._routes[place] for place in sorted(found)]


def _demands(route: Route) -> list[tuple[Subject, frozenset[str]]]:
    looks = [condition for condition in route.match.conditions if isinstance(condition, Comparison)]
    return [(look.subject, words) for look in looks if (words := words_of(look.wanted)) is not None]
