"""The channels and user groups that a rulebook uses, and which routes use them."""

from collections.abc import Iterator
from dataclasses import dataclass

from relay.routes.channel_template import ExpressionChannel, FixedChannel
from relay.routes.mention import NO_MENTION, Mention
from relay.routes.route import Post, Route
from relay.routes.rulebook import Rulebook


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelUse:
    """One use of a channel: its reference, what routes.yaml says, and who uses it (a route's name, or `fallback`)."""

    ref: str
    source: str
    used_by: str
    allow_external: bool


def channels(rulebook: Rulebook) -> Iterator[ChannelUse]:
    """Every use of a fixed channel, those of the fallback and for notices first. Disabled routes do not count."""
    if (fallback := rulebook.fallback) is not None:
        yield _use(fallback.channel, "fallback", allow_external=fallback.options.allow_external)
    if rulebook.notices is not None:
        yield _use(rulebook.notices, "notices", allow_external=rulebook.defaults.allow_external)
    for route, post in _posts(rulebook):
        if isinstance(post.channel, FixedChannel):
            yield _use(post.channel, route.name, allow_external=post.options.allow_external)


def _use(channel: FixedChannel, used_by: str, *, allow_external: bool) -> ChannelUse:
    return ChannelUse(ref=channel.ref, source=channel.source, used_by=used_by, allow_external=allow_external)


def channel_templates(rulebook: Rulebook) -> dict[ExpressionChannel, list[str]]:
    """The channels that depend on the incident, and the routes that use them."""
    templates: dict[ExpressionChannel, list[str]] = {}
    for route, post in _posts(rulebook):
        if isinstance(post.channel, ExpressionChannel):
            templates.setdefault(post.channel, []).append(route.name)
    return templates


def people(rulebook: Rulebook) -> dict[str, list[str]]:
    """The ids of user groups (`S...`) and users (`U...`, `W...`) in `mention`, `actors` and `people`.

    Each comes with its uses: names of routes, `fallback`, `mutes`, and aliases.
    """
    found: dict[str, list[str]] = {}
    for used_by, mention, actors in _uses_of_people(rulebook):
        for target in (*mention.all_targets, *actors):
            if target[:1] in "SUW":
                found.setdefault(target, []).append(used_by)
    for alias, person in rulebook.people.items():
        found.setdefault(person, []).append(f"the alias {alias}")
    return found


def _uses_of_people(rulebook: Rulebook) -> Iterator[tuple[str, Mention, tuple[str, ...]]]:
    if (fallback := rulebook.fallback) is not None:
        yield "fallback", fallback.mention, fallback.options.actors
    yield "mutes", NO_MENTION, rulebook.mutes.actors
    for route, post in _posts(rulebook):
        yield route.name, post.mention, post.options.actors


def accepts_actions(rulebook: Rulebook) -> bool:
    """Whether a route sends clicks or replies from Slack to BigPanda."""
    return any(post.options.actions or post.options.sync_replies for _, post in _posts(rulebook))


def _posts(rulebook: Rulebook) -> Iterator[tuple[Route, Post]]:
    return ((route, post) for route in rulebook.routes.flatten_enabled() for post in route.posts)
