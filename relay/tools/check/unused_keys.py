"""Warn of `actors` without buttons, and of `users` if no card has the button `assign`: these keys have no effect."""

from collections.abc import Iterator, Sequence

from relay.routes.options import Options
from relay.routes.route import Route
from relay.routes.rulebook import Rulebook
from relay.routes.yaml_reader.nodes import MappingNode
from relay.tools.check.sources import LintFinding, RouteSource


def unused_keys(routes: Sequence[RouteSource], rulebook: Rulebook, top: MappingNode) -> Iterator[LintFinding]:
    """Find each `actors` that applies to no card with `actions`, and `users` if no card has `assign`."""
    all_cards = [*_fallback_options(rulebook), *(each for route in rulebook.routes for each in _card_options(route))]
    defaults = top.get("defaults")
    if isinstance(defaults, MappingNode):
        yield from _unused_actors(defaults, all_cards)
    for source in routes:
        yield from _unused_actors(source.node, list(_card_options(source.route)))
        for post, item in zip(source.route.posts, source.posts, strict=True):
            if isinstance(item, MappingNode):
                yield from _unused_actors(item, [post.options])
    users, mapping = top.key("users"), top.get("users")
    has_users = isinstance(mapping, MappingNode) and mapping.entries
    if users and has_users and not any("assign" in options.actions for options in all_cards):
        yield LintFinding(at=users, message="users has no effect: no card has the button assign")


def _unused_actors(mapping: MappingNode, cards: Sequence[Options]) -> Iterator[LintFinding]:
    key = mapping.key("actors")
    if key and not any(options.actions for options in cards):
        yield LintFinding(at=key, message="actors has no effect: none of these cards has actions")


def _card_options(route: Route) -> Iterator[Options]:
    """The options of every card that a route, or a route inside it, makes."""
    yield from (post.options for post in route.posts)
    for child in route.routes:
        yield from _card_options(child)


def _fallback_options(rulebook: Rulebook) -> Iterator[Options]:
    if rulebook.fallback is not None:
        yield rulebook.fallback.options
