"""The rulebook: a whole routes.yaml, checked, as one immutable value."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from relay.model.struct import replace
from relay.model.tag_labels import TagDefinition, TagLabels, TagValueLabels
from relay.routes.channel_template import FixedChannel, RouteChannel
from relay.routes.hours import Hours
from relay.routes.mention import NO_MENTION, Mention
from relay.routes.mutes import MutePolicy
from relay.routes.options import Options
from relay.routes.route import Route, RouteList
from relay.routes.storm import Storm
from relay.routes.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """The channel for incidents that no route matches and for messages that another channel rejects.

    Cards there ping its own `mention`, never those of routes to other channels.
    """

    channel: FixedChannel
    options: Options
    mention: Mention = NO_MENTION

    @property
    def ref(self) -> str:
        """The channel's ref."""
        return self.channel.ref


@dataclass(frozen=True, kw_only=True)
class Rulebook:
    """A routes.yaml without a fault.

    `notices` is where relay reports what is wrong with itself. `channels` and `people` are the aliases of channels and
    of people (alias to Slack's id). `hours` are hours by name, `zone` is the time zone of those that name none. `storm`
    says what a storm is, and `channel_storms` says it for single channels, by ref. `users` maps e-mail
    addresses (casefolded) to BigPanda user ids.
    `tag_definitions` are not part of the file: they are BigPanda's, by tag id (casefolded), if relay has fetched them.
    """

    text: str
    channels: Mapping[str, FixedChannel] = field(default_factory=dict)
    fallback: Fallback | None = None
    notices: FixedChannel | None = None
    people: Mapping[str, str] = field(default_factory=dict)
    zone: str = ""
    hours: Mapping[str, Hours] = field(default_factory=dict)
    storm: Storm = field(default_factory=Storm)
    channel_storms: Mapping[str, Storm] = field(default_factory=dict)
    summaries: tuple[Summary, ...] = ()
    mutes: MutePolicy = field(default_factory=MutePolicy)
    tag_values: TagValueLabels = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    defaults: Options = field(default_factory=Options)
    routes: RouteList = field(default_factory=RouteList)
    tag_definitions: Mapping[str, TagDefinition] = field(default_factory=dict)

    def with_tag_definitions(self, definitions: Mapping[str, TagDefinition]) -> Self:
        """Return the same rules with BigPanda's tag definitions, for tags that `tag_values` does not name."""
        return replace(self, tag_definitions=definitions)

    def with_shadow_live(self) -> Self:
        """Return the same rules with everything live that is in shadow."""
        fallback = self.fallback and replace(self.fallback, options=replace(self.fallback.options, shadow=False))
        defaults = replace(self.defaults, shadow=False)
        return replace(self, defaults=defaults, fallback=fallback, routes=self.routes.with_shadow_live())

    @cached_property
    def tag_labels(self) -> TagLabels:
        """The readable names of tags and of their values."""
        return TagLabels(values=self.tag_values, definitions=self.tag_definitions)

    def route(self, name: str) -> Route | None:
        """The route with this name at any depth, or None."""
        return self._by_name.get(name)

    def options_for(self, route: str, *refs: str) -> Options:
        """The options of a card that a route made in the channel with these references.

        If the route no longer exists, `defaults` apply; if it no longer posts there, its own options.
        """
        current = self.route(route)
        if current is None:
            return self.defaults
        posts = (*current.live_posts, *current.shadow_posts)
        there = (post.options for ref in refs for post in posts if post.channel.can_resolve_to(ref))
        return next(there, current.options)

    def options_of(self, route: str, refs: Iterable[str]) -> Options:
        """The same by the name of a card's route, which is empty for a card of the fallback."""
        if route:
            return self.options_for(route, *refs)
        return self.fallback.options if self.fallback else self.defaults

    def current_options(self, route: str, ref: str, stored: Options) -> Options:
        """The options of a card by the current rules; a card of the fallback keeps its stored options."""
        return self.options_for(route, ref) if route else stored

    def actions_in(self, ref: str) -> frozenset[str]:
        """The actions that some route offers on its cards in the channel with that reference."""
        posts = (post for route in self.routes.flatten() for post in route.live_posts)
        offered = [post.options.actions for post in posts if post.channel.can_resolve_to(ref)]
        if self.fallback and self.fallback.channel.can_resolve_to(ref):
            offered.append(self.fallback.options.actions)
        return frozenset(action for actions in offered for action in actions)

    def storm_in(self, *refs: str) -> Storm:
        """The storm limits of the channel that has these references."""
        return next((self.channel_storms[ref] for ref in refs if ref in self.channel_storms), self.storm)

    @cached_property
    def channel_refs(self) -> tuple[str, ...]:
        """Every fixed channel that gets messages: the fallback's first, then that for notices, then the routes'."""
        live = self._channels(shadow=False)
        return tuple(dict.fromkeys(each.ref for each in live if isinstance(each, FixedChannel)))

    @property
    def notice_channels(self) -> tuple[tuple[str, bool], ...]:
        """Where notices may go, in order: the channel's ref, and whether other organisations may read them."""
        notices = ((self.notices.ref, self.defaults.allow_external),) if self.notices else ()
        fallback = ((self.fallback.ref, self.fallback.options.allow_external),) if self.fallback else ()
        return (*notices, *fallback)

    def names_channel(self, refs: Collection[str]) -> bool:
        """Whether the file names a channel by one of these references, also in a disabled route."""
        return any(channel.can_resolve_to(ref) for channel in self._channels() for ref in refs)

    def _channels(self, *, shadow: bool = True) -> Iterator[RouteChannel]:
        """Every channel that the file names for messages, perhaps without those that are in shadow only."""
        if self.fallback:
            yield self.fallback.channel
        if self.notices:
            yield self.notices
        yield from (summary.channel for summary in self.summaries)
        for route in self.routes.flatten():
            posts = route.posts if shadow else route.live_posts
            yield from (post.channel for post in posts)
            yield from (post.options.remind.then.channel for post in posts if post.options.remind.then)

    @cached_property
    def templates(self) -> frozenset[str]:
        """Every template that the file names."""
        posts = (post.options.template for route in self.routes.flatten() for post in route.posts)
        routes = (route.options.template for route in self.routes.flatten())
        return frozenset({self.defaults.template, *routes, *posts})

    @cached_property
    def _by_name(self) -> dict[str, Route]:
        return {route.name: route for route in self.routes.flatten()}
