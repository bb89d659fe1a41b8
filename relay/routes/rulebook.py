"""The rulebook: all of routes.yaml, checked, as one immutable value."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

from relay.model.tag_labels import TagDefinition, TagLabels, TagValueLabels
from relay.routes.channel_template import FixedChannel
from relay.routes.options import Options
from relay.routes.route import Route, RouteList


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Where goes what no route takes and what a channel refuses; `wait` (seconds) is also its options' `wait`."""

    channel: FixedChannel
    wait: float
    options: Options

    @property
    def ref(self) -> str:
        """The channel's reference."""
        return self.channel.ref


@dataclass(frozen=True, kw_only=True)
class Rulebook:
    """A routes.yaml without a fault.

    `channels` are the aliases; `tag_values` are `TagWords`; `users` is e-mail address (casefolded) to
    BigPanda's user id; `hash` is the SHA-256 of `text`, in hexadecimal digits. `definitions` are no part of the file:
    they are BigPanda's, by the tag's id (casefolded), where relay has asked for them.
    """

    text: str
    hash: str
    channels: Mapping[str, FixedChannel] = field(default_factory=dict)
    fallback: Fallback | None = None
    tag_values: TagValueLabels = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    defaults: Options = field(default_factory=Options)
    routes: RouteList = field(default_factory=RouteList)
    tag_definitions: Mapping[str, TagDefinition] = field(default_factory=dict)

    def with_tag_definitions(self, definitions: Mapping[str, TagDefinition]) -> Self:
        """The same rules, with BigPanda's definitions of tags (by id, casefolded) for what `tag_values` leaves open."""
        return replace(self, tag_definitions=definitions)

    @cached_property
    def tag_labels(self) -> TagLabels:
        """How tags are called, and what their raw values mean."""
        return TagLabels(values=self.tag_values, definitions=self.tag_definitions)

    def route(self, name: str) -> Route | None:
        """The route of that name, wherever it stands; None where it is gone from the file."""
        return self._by_name.get(name)

    def has_route(self, name: str) -> bool:
        """Whether there is still a route of that name."""
        return name in self._by_name

    def options_for(self, route: str, ref: str) -> Options:
        """What governs a card in the channel `ref` which that route made.

        A route that is gone leaves the card to `defaults`; one that no longer posts there, to what it sets itself.
        """
        found = self.route(route)
        if found is None:
            return self.defaults
        return next((post.options for post in found.posts if post.channel.can_resolve_to(ref)), found.options)

    def current_options(self, route: str, ref: str, stored: Options) -> Options:
        """What governs a card there by the rules of now, not of its last share; the fallback's is as it was kept."""
        return self.options_for(route, ref) if route else stored

    @cached_property
    def channel_refs(self) -> tuple[str, ...]:
        """Every channel that is known before an incident is: the fallback's first, then the routes' in their order."""
        fallback = (self.fallback.channel,) if self.fallback else ()
        posts = (post.channel for route in self.routes.flatten() for post in route.posts)
        fixed = (channel.ref for channel in (*fallback, *posts) if isinstance(channel, FixedChannel))
        return tuple(dict.fromkeys(fixed))

    @cached_property
    def templates(self) -> frozenset[str]:
        """Every template that anything here names."""
        posts = (post.options.template for route in self.routes.flatten() for post in route.posts)
        routes = (route.options.template for route in self.routes.flatten())
        return frozenset({self.defaults.template, *routes, *posts})

    @cached_property
    def _by_name(self) -> dict[str, Route]:
        return {route.name: route for route in self.routes.flatten()}
