"""What every answer needs: who asks, the live configuration, the database, the time."""

from collections.abc import Iterator
from dataclasses import dataclass

from relay.cards.draw import PermalinkBuilder
from relay.commands.viewer import Viewer
from relay.config.configuration import Configuration
from relay.routes.channel_template import RouteChannel
from relay.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackQuestion:
    """Somebody asks at a moment (`now`, Unix seconds). `link` makes the address of a message."""

    viewer: Viewer
    store: Store
    live: Configuration
    link: PermalinkBuilder
    now: float


def visible_routes(question: SlackQuestion) -> frozenset[str]:
    """The routes of which the person sees a channel, perhaps one that an incident may choose; `""` is the fallback."""
    seen = [ref for ref in question.viewer.channels if question.viewer.sees(ref)]
    return frozenset(name for name, channel in channels_of_routes(question) if any(map(channel.can_resolve_to, seen)))


def channels_of_routes(question: SlackQuestion) -> Iterator[tuple[str, RouteChannel]]:
    """The channels of each route, by its name, and of the fallback."""
    rulebook = question.live.rulebook
    for route in rulebook.routes.flatten():
        yield from ((route.name, post.channel) for post in route.posts)
    if rulebook.fallback is not None:
        yield "", rulebook.fallback.channel
