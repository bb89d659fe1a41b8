"""Warn of what looks wrong in a valid routes.yaml, such as comparisons that never match.

The parser rejects only what relay cannot do. Only this module reports what is merely odd or needs a proof. So a newer
relay that notices more never rejects a file that an older one accepted.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from relay.model.errors import Fault
from relay.model.struct import replace
from relay.model.tag_labels import TagValueLabels, readable_tag_name
from relay.rendering.context import VARIABLE_NAMES
from relay.rendering.library import BULLETIN_FOLDER
from relay.routes.channel_template import ExpressionChannel, FixedChannel, globs_meet, unknown_names
from relay.routes.match import Comparison
from relay.routes.match_keys import ValueType
from relay.routes.operators import Exactly
from relay.routes.options import Options
from relay.routes.route import RouteList
from relay.routes.rulebook import Rulebook
from relay.routes.yaml_reader.context import Position, suggestion
from relay.routes.yaml_reader.nodes import MappingNode, Node, ScalarNode
from relay.tools.check import reachability, sources
from relay.tools.check.hours import lint_hours
from relay.tools.check.lookalikes import lookalikes
from relay.tools.check.prover import claims, formula_of
from relay.tools.check.shadowing import Blockers
from relay.tools.check.sources import ConditionSource, RouteSource, finding

_TAG: Final = "tags."
_TOP: Final = Position(line=1, column=1)


def lint(rulebook: Rulebook, top: MappingNode, file: str) -> list[Fault]:
    """Find everything that looks wrong, from the top of the file to its end; the rulebook was parsed from `top`."""
    routes = tuple(sources.route_sources(rulebook.routes, top))
    blockers = Blockers()
    findings = chain(
        _of_file(rulebook, top),
        _unused_names(rulebook, top),
        *(_of_route(source, rulebook.tag_values, blockers) for source in routes),
        _unused_channels(routes, rulebook, top, blockers),
        _unused_keys(routes, rulebook, top),
        lint_hours(rulebook, top, routes),
    )
    return sorted({replace(each, file=file) for each in findings})


def impossible_comparisons(top: MappingNode, file: str) -> list[Fault]:
    """Find comparisons that never match, or always do, in a file with faults, as far as its conditions can be read."""
    findings = (
        each for match in sources.match_nodes(top) for each in reachability.comparisons(sources.valid_conditions(match))
    )
    return [replace(each, file=file) for each in findings]


def _of_route(source: RouteSource, labels: TagValueLabels, blockers: Blockers) -> Iterator[Fault]:
    yield from reachability.comparisons(source.conditions)
    yield from reachability.contradictions(source)
    yield from reachability.unreachable(source, blockers)
    yield from reachability.unused_posts(source)
    yield from reachability.unused_mentions(source)
    yield from _then_at_home(source)
    yield from _impossible_channels(source)
    yield from _duplicate_channels(source)
    yield from _upper_case_names(source)
    for condition in source.conditions:
        for one in (condition, *chain.from_iterable(sources.inner_matches(condition))):
            yield from _raw_values(one, labels)
            yield from reachability.costly_patterns(one)
            if isinstance(one.condition, Comparison) and one.condition.subject.type is ValueType.TEXT:
                yield from lookalikes(one.value)


def _then_at_home(source: RouteSource) -> Iterator[Fault]:
    """Find `then` that names the channel in which the card is already."""
    for post, node in zip(source.route.posts, source.posts, strict=False):
        then = post.options.remind.then
        if then is not None and isinstance(post.channel, FixedChannel) and then.channel.ref == post.channel.ref:
            own = node.key("remind") if isinstance(node, MappingNode) else None
            message = (
                f"`then` of `remind` names the channel of the card itself ({then.channel.source}): it gets no other "
                "card, its thread pings the people of `then`"
            )
            yield finding(own or source.node.key("remind") or source.node, message)


# --- the whole file ---


def _of_file(rulebook: Rulebook, top: MappingNode) -> Iterator[Fault]:
    if rulebook.fallback is None:
        message = (
            "there is no fallback: relay keeps incidents that no route matches and messages that a channel rejects, "
            "but nobody sees them"
        )
        yield finding(_TOP, message)
    elif not _sets_mention(top.get("fallback")):
        message = (
            "the fallback pings nobody, also for incidents whose own channel rejects messages; write fallback: "
            f"{{channel: {rulebook.fallback.channel.source}, mention: {{critical: [S0123456789]}}}}, or mention: {{}}"
        )
        yield finding(top.key("fallback") or _TOP, message)
    if not any(route.enabled for route in rulebook.routes):
        message = "no route is enabled: every incident goes to the fallback"
        yield finding(top.key("routes") or _TOP, message)


def _unused_names(rulebook: Rulebook, top: MappingNode) -> Iterator[Fault]:
    """Find aliases of channels and people, and globs of channels, without any effect."""
    posted = tuple(post.channel for route in rulebook.routes.flatten() for post in route.posts)
    places = (rulebook.fallback.channel if rulebook.fallback else None, rulebook.notices)
    others = [summary.channel for summary in rulebook.summaries]
    others += [each.remind.then.channel for each in _card_options(rulebook.routes) if each.remind.then]
    used = {channel.source for channel in (*places, *posted, *others) if isinstance(channel, FixedChannel)}
    for alias, at in sources.entries(top, "channels").items():
        if alias not in used:
            yield finding(at, f"unused alias '{alias}': nothing posts to it")
    people = frozenset(sources.words_under(top, "mention", "actors"))
    for alias, at in sources.entries(top, "people").items():
        if alias not in people:
            yield finding(at, f"unused alias '{alias}': no mention and no actors use it")
    shapes = {channel.shape for channel in posted if isinstance(channel, ExpressionChannel)}
    for item in sources.items(top, "channels_allowed"):
        if isinstance(item, ScalarNode) and not any(globs_meet(item.text.lower(), shape) for shape in shapes):
            yield finding(item, f"'{item.text}' has no effect: no route makes such a name from an incident")


def _sets_mention(fallback: Node | None) -> bool:
    """Whether the file says whom the fallback pings, if only that it pings nobody."""
    return isinstance(fallback, MappingNode) and fallback.get("mention") is not None


def _unused_channels(
    routes: Sequence[RouteSource], rulebook: Rulebook, top: MappingNode, blockers: Blockers
) -> Iterator[Fault]:
    """Find channels of routes that never get an incident. Disabled routes are intended to get none."""
    aliases, fallback = sources.entries(top, "channels"), rulebook.fallback and rulebook.fallback.channel.ref
    posts: dict[str, list[tuple[RouteSource, Node, FixedChannel]]] = {}
    for source in routes:
        for post, item in zip(source.route.posts, source.posts, strict=True):
            if isinstance(post.channel, FixedChannel) and post.channel.ref != fallback:
                posts.setdefault(post.channel.ref, []).append((source, item, post.channel))
    for users in posts.values():
        if all(reachability.never_posts(source, blockers) for source, _, _ in users):
            _, item, channel = users[0]
            lines = " and ".join(dict.fromkeys(str(source.route.line) for source, _, _ in users))
            message = f"nothing is ever posted to '{channel.source}': its route (line {lines}) never gets an incident"
            yield finding(aliases.get(channel.source, item), message)


def unused_templates(rulebook: Rulebook, templates: Mapping[str, str]) -> Iterator[Fault]:
    """Find template folders that no route names and no template outside of them mentions."""
    folders = {name.partition("/")[0] for name in templates if "/" in name}
    for folder in sorted(folders - rulebook.templates - {Options().template, BULLETIN_FOLDER}):
        others = (source for name, source in templates.items() if not name.startswith(f"{folder}/"))
        if not any(f"{folder}/" in source for source in others):
            message = "unused template: no route and no other template uses it"
            yield Fault(file=folder, message=message, warning=True)


# --- keys without effect ---


def _unused_keys(routes: Sequence[RouteSource], rulebook: Rulebook, top: MappingNode) -> Iterator[Fault]:
    """Find each `actors` that applies to no card with `actions`, and `users` if no card has `assign`."""
    all_cards = [rulebook.fallback.options] if rulebook.fallback else []
    all_cards += _card_options(rulebook.routes)
    defaults = top.get("defaults")
    if isinstance(defaults, MappingNode):
        yield from _unused_actors(defaults, all_cards)
    for source in routes:
        yield from _unused_actors(source.node, _card_options(RouteList([source.route])))
        for post, item in zip(source.route.posts, source.posts, strict=True):
            if isinstance(item, MappingNode):
                yield from _unused_actors(item, [post.options])
    users, mapping = top.key("users"), top.get("users")
    has_users = isinstance(mapping, MappingNode) and mapping.entries
    if users and has_users and not any("assign" in options.actions for options in all_cards):
        yield finding(users, "users has no effect: no card has the button assign")


def _unused_actors(mapping: MappingNode, cards: Sequence[Options]) -> Iterator[Fault]:
    key = mapping.key("actors")
    if key and not any(options.actions for options in cards):
        yield finding(key, "actors has no effect: none of these cards has actions")


def _card_options(routes: RouteList) -> list[Options]:
    """The options of every card that these routes, or routes inside them, make."""
    return [post.options for route in routes.flatten() for post in route.posts]


# --- one route ---


def _channel_node(item: Node) -> Node:
    return (item.get("channel") or item) if isinstance(item, MappingNode) else item


def _impossible_channels(source: RouteSource) -> Iterator[Fault]:
    """Find channels made from values that no incident has: all their incidents would go to the fallback."""
    for post, item in zip(source.route.posts, source.posts, strict=True):
        for name in unknown_names(post.channel.source) if isinstance(post.channel, ExpressionChannel) else ():
            variable, _, attribute = name.partition(".")
            hint = suggestion(attribute, sorted(VARIABLE_NAMES[variable]), most=99)
            message = f"unknown attribute '{attribute}' of '{variable}': no incident gives this channel a name{hint}"
            yield finding(_channel_node(item), message)


def _duplicate_channels(source: RouteSource) -> Iterator[Fault]:
    """Find two items for one channel. They make one card, and the second item's options are ignored."""
    first: dict[str, Node] = {}
    for post, item in zip(source.route.posts, source.posts, strict=True):
        channel = post.channel
        ref = channel.ref if isinstance(channel, FixedChannel) else channel.source
        before = first.setdefault(ref, item)
        if before is not item:
            message = f"duplicate channel: there is one card, with the options in line {before.line}"
            yield finding(item, message)


def _upper_case_names(source: RouteSource) -> Iterator[Fault]:
    for item in source.posts:
        channel = _channel_node(item)
        if isinstance(channel, ScalarNode) and channel.text.startswith("#") and "{" not in channel.text:
            lowered = channel.text.lower()
            if lowered != channel.text:
                message = f"Slack has no upper case in channel names; relay reads this as {lowered}"
                yield finding(channel, message)


# --- one condition ---


def _raw_values(source: ConditionSource, labels: TagValueLabels) -> Iterator[Fault]:
    """Find BigPanda's raw value of a tag for which `tag_values` has a word: no incident shows the raw value."""
    if not isinstance(source.condition, Comparison) or not source.condition.subject.id.startswith(_TAG):
        return
    name = source.condition.subject.id.removeprefix(_TAG)
    known = [by_raw for tag, by_raw in labels.items() if name in (tag, readable_tag_name(tag).casefold())]
    for claim in claims(formula_of(source.condition)):
        for by_raw in known:
            raw = claim.wanted.text if isinstance(claim.wanted, Exactly) else ""
            word = by_raw.get(raw)
            if word is not None and raw not in {value.casefold() for value in by_raw.values()}:
                message = f"tag_values shows and matches '{raw}' as '{word}'; write '{word}'"
                yield finding(source.at, message)
