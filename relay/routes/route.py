"""Routes, and lists of routes with an index: it finds the routes that may match without evaluating each of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from relay.model.struct import replace
from relay.routes.channel_template import RouteChannel
from relay.routes.match import MATCH_ALL, Match
from relay.routes.match_keys import IncidentFacts, Subject
from relay.routes.mention import NO_MENTION, Mention
from relay.routes.options import Options

_MIN_INDEXED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One channel of a route; `options` are fully resolved."""

    channel: RouteChannel
    options: Options
    mention: Mention = NO_MENTION


class RouteList(tuple["Route", ...]):  # noqa: SLOT001  the index is made once, when it is first needed
    """Sibling routes, in order."""

    @cached_property
    def _index(self) -> "_Index":
        return _Index(self)

    def candidates(self, facts: IncidentFacts) -> "Sequence[Route]":
        """The routes that may match, in order; all others cannot."""
        return self if len(self) < _MIN_INDEXED else self._index.candidates(facts)

    def with_shadow_live(self) -> "RouteList":
        """The same routes with everything live."""
        return RouteList(route.with_shadow_live() for route in self)

    def flatten(self) -> "Iterator[Route]":
        """All routes and the routes inside them, each before its children."""
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
    """A rule of routes.yaml. `name` is unique in the file; the route begins in `line`.

    `options` are those of a post item that sets none. A route that only groups its children (`groups_only`) has no
    `post`; one with an empty `post` drops the incident.
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

    @property
    def live_posts(self) -> tuple[Post, ...]:
        """The post items that are sent."""
        return tuple(post for post in self.posts if not post.options.shadow)

    @property
    def shadow_posts(self) -> tuple[Post, ...]:
        """The post items that are decided and recorded only."""
        return tuple(post for post in self.posts if post.options.shadow)

    @property
    def is_shadow(self) -> bool:
        """Whether nothing of it is live: then it matches no incident, and drops none."""
        return not self.live_posts if self.posts else self.options.shadow and not self.groups_only

    @property
    def is_wholly_shadow(self) -> bool:
        """Whether nothing of it and of the routes inside it is live."""
        return (self.groups_only or self.is_shadow) and all(each.is_wholly_shadow for each in self.routes)

    def with_shadow_live(self) -> "Route":
        """The same route, and those inside it, with everything live."""
        return replace(
            self,
            options=replace(self.options, shadow=False),
            posts=tuple(replace(post, options=replace(post.options, shadow=False)) for post in self.posts),
            routes=self.routes.with_shadow_live(),
        )


class _Index:
    """Routes by one comparison of each with fixed values: the one whose values the fewest other routes need.

    A thousand routes for a thousand teams then cost about as much as a dozen.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes
        self._always: list[int] = []
        self._by_word: dict[str, tuple[Subject, dict[str, list[int]]]] = {}
        requirements = [route.match.required_words() for route in routes]
        uses = Counter((subject.id, word) for each in requirements for subject, words in each for word in words)
        for position, each in enumerate(requirements):
            if not each:
                self._always.append(position)
                continue
            subject, words = min(each, key=lambda one: sum(uses[one[0].id, word] for word in one[1]))
            _, by_word = self._by_word.setdefault(subject.id, (subject, {}))
            for word in words:
                by_word.setdefault(word, []).append(position)

    def candidates(self, facts: IncidentFacts) -> list[Route]:
        """The routes under the incident's values, and those without such a comparison."""
        positions = set(self._always)
        for subject, by_word in self._by_word.values():
            for word in facts.values(subject).folded:
                positions.update(by_word.get(word, ()))
        return [self._routes[position] for position in sorted(positions)]
