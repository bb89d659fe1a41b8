"""Who may press buttons where there are none, and who somebody is where nobody asks: keys that do nothing."""

from collections.abc import Iterator, Sequence

from relay.routes.options import Options
from relay.routes.parser.context import HasPosition
from relay.routes.parser.yaml_nodes import MappingNode
from relay.routes.route import Route
from relay.routes.rulebook import Rulebook
from relay.tools.check.positions import RouteSource, entries
from relay.tools.check.reachability import LintFinding

_ACTORS = "actors"
_NOTHING_TO_PRESS = "there is nothing to press here: no card that this is about has actions"


def pressing(routes: Sequence[RouteSource], rulebook: Rulebook, top: MappingNode) -> Iterator[LintFinding]:
    """Each `actors` that governs no card with `actions`, and `users` where no card offers `assign`."""
    everywhere = [*_of_fallback(rulebook), *(each for route in rulebook.routes for each in _of_cards(route))]
    defaults = top.get("defaults")
    if isinstance(defaults, MappingNode):
        yield from _for_nothing(defaults, everywhere)
    for each in routes:
        yield from _for_nothing(each.table, list(_of_cards(each.route)))
        for post, item in zip(each.route.posts, each.posts(), strict=True):
            if isinstance(item, MappingNode):
                yield from _for_nothing(item, [post.options])
    if entries(top, "users") and not any("assign" in options.actions for options in everywhere):
        message = "nobody is looked up here: no card has assign among its actions"
        yield LintFinding(at=_key(top, "users"), message=message)


def _for_nothing(table: MappingNode, cards: Sequence[Options]) -> Iterator[LintFinding]:
    if table.get(_ACTORS) is not None and not any(options.actions for options in cards):
        yield LintFinding(at=_key(table, _ACTORS), message=_NOTHING_TO_PRESS)


def _of_cards(route: Route) -> Iterator[Options]:
    """The options of every card that a route, or one inside it, makes."""
    yield from (post.options for post in route.posts)
    for child in route.routes:
        yield from _of_cards(child)


def _of_fallback(rulebook: Rulebook) -> Iterator[Options]:
    if rulebook.fallback is not None:
        yield rulebook.fallback.options


def _key(table: MappingNode, key: str) -> HasPosition:
    return next(name for name, _ in table.entries if name.text == key)
