"""Which channels and which user groups a rulebook uses, and where: what there is to be looked after in Slack."""

from collections.abc import Iterator
from dataclasses import dataclass

from relay.routes.channel_template import FixedChannel
from relay.routes.route import Post, Route, RouteList
from relay.routes.rulebook import Rulebook

FALLBACK = "fallback"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelUse:
    """A channel as one place uses it; `where` is the route's name, or `fallback`."""

    ref: str
    written: str
    where: str
    allow_external: bool


def channels(rulebook: Rulebook) -> Iterator[ChannelUse]:
    """Every use of a channel that does not depend on the incident, the fallback's first. Disabled routes use none."""
    if (fallback := rulebook.fallback) is not None:
        known, external = fallback.channel, fallback.options.allow_external
        yield ChannelUse(ref=known.ref, written=known.source, where=FALLBACK, allow_external=external)
    for route, post in _posts(rulebook):
        if isinstance(post.channel, FixedChannel):
            yield ChannelUse(
                ref=post.channel.ref,
                written=post.channel.source,
                where=route.name,
                allow_external=post.options.allow_external,
            )


def expressions(rulebook: Rulebook) -> dict[str, list[str]]:
    """The channels that depend on the incident, as written, and the routes that use them."""
    found: dict[str, list[str]] = {}
    for route, post in _posts(rulebook):
        if not isinstance(post.channel, FixedChannel):
            found.setdefault(post.channel.source, []).append(route.name)
    return found


def user_groups(rulebook: Rulebook) -> dict[str, list[str]]:
    """The user groups that are mentioned or may press buttons, by id, and the routes that name them."""
    found: dict[str, list[str]] = {}
    for route, post in _posts(rulebook):
        mentioned = (target for part in post.mention.parts for targets in part.values() for target in targets)
        for group in (*mentioned, *post.options.actors):
            if group.startswith("S"):
                found.setdefault(group, []).append(route.name)
    return found


def accepts_actions(rulebook: Rulebook) -> bool:
    """Whether a route sends what people do in Slack to BigPanda."""
    return any(post.options.actions or post.options.sync_replies for _, post in _posts(rulebook))


def _posts(rulebook: Rulebook) -> Iterator[tuple[Route, Post]]:
    return ((route, post) for route in _enabled(rulebook.routes) for post in route.posts)


def _enabled(routes: RouteList) -> Iterator[Route]:
    for route in routes:
        if route.enabled:
            yield route
            yield from _enabled(route.routes)
