"""What looks wrong in a routes.yaml that can be loaded: warnings, and comparisons that cannot be meant.

Loading refuses what it cannot carry out. What is only foolish, or takes a proof to be seen, is told here and nowhere
else, so that a relay that has learned to see more never refuses a file that an older one took.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from relay.model.errors import Fault
from relay.model.tag_labels import TagValueLabels, readable_tag_name
from relay.rendering.context import VARIABLE_NAMES
from relay.routes.channel_template import ExpressionChannel, FixedChannel, unknown_names
from relay.routes.match import Comparison
from relay.routes.operators import Exactly
from relay.routes.options import Options
from relay.routes.parser.context import Position, suggestion
from relay.routes.parser.yaml_nodes import MappingNode, Node, ScalarNode
from relay.routes.rulebook import Rulebook
from relay.routes.subjects import ValueType
from relay.tools.check.lookalikes import lookalikes
from relay.tools.check.positions import (
    ConditionSource,
    RouteSource,
    entries,
    inner,
    matches,
    readable_conditions,
    standing,
)
from relay.tools.check.prover import claims, meaning
from relay.tools.check.reachability import (
    LintFinding,
    comparisons,
    contradictions,
    idle,
    idle_mentions,
    idle_posts,
    unreachable,
)
from relay.tools.check.shadowing import Blocking
from relay.tools.check.unused_actors import pressing

_TAG: Final = "tags."


def lint(rulebook: Rulebook, top: MappingNode, file: str) -> list[Fault]:
    """Everything that looks wrong, from the top of the file to its end; `top` is the tree that the rulebook is of."""
    routes = tuple(standing(rulebook.routes, top))
    blocking = Blocking()
    found = chain(
        _nowhere_to_fall(rulebook),
        _no_routes(rulebook, top),
        _unused_aliases(rulebook, top),
        *(_of_route(each, rulebook.tag_values, blocking) for each in routes),
        _channels_without_a_way(routes, rulebook, top, blocking),
        pressing(routes, rulebook, top),
    )
    return sorted({_fault(each, file) for each in found})


def never_holding(top: MappingNode, file: str) -> list[Fault]:
    """Comparisons that can never hold, in a file that has other faults: whatever can be read of its conditions."""
    found = (finding for match in matches(top) for finding in comparisons(readable_conditions(match)))
    return [_fault(each, file) for each in found if not each.warning]


def _of_route(each: RouteSource, words: TagValueLabels, blocking: Blocking) -> Iterator[LintFinding]:
    yield from comparisons(each.conditions)
    yield from contradictions(each)
    yield from unreachable(each, blocking)
    yield from idle_posts(each)
    yield from idle_mentions(each)
    yield from _never_a_channel(each)
    yield from _posted_twice(each)
    yield from _capitals(each)
    for condition in each.conditions:
        yield from _of_condition(condition, words)
        yield from chain.from_iterable(_of_condition(one, words) for match in inner(condition) for one in match)


def _fault(each: LintFinding, file: str) -> Fault:
    return Fault(file=file, line=each.at.line, column=each.at.column, message=each.message, warning=each.warning)


# --- the whole file ---


def _nowhere_to_fall(rulebook: Rulebook) -> Iterator[LintFinding]:
    if rulebook.fallback is None:
        message = (
            "there is no fallback: what no route takes, or a channel refuses, is kept and counted, but nobody sees it"
        )
        yield LintFinding(at=Position(line=1, column=1), message=message)


def _no_routes(rulebook: Rulebook, top: MappingNode) -> Iterator[LintFinding]:
    if not any(route.enabled for route in rulebook.routes):
        at = next((word for word, _ in top.entries if word.text == "routes"), Position(line=1, column=1))
        yield LintFinding(at=at, message="no route is in force, so that everything goes to the fallback")


def _unused_aliases(rulebook: Rulebook, top: MappingNode) -> Iterator[LintFinding]:
    fallback = (rulebook.fallback.channel,) if rulebook.fallback else ()
    channels = chain(fallback, (post.channel for route in rulebook.routes.flatten() for post in route.posts))
    used = {channel.source for channel in channels if isinstance(channel, FixedChannel)}
    for alias, at in entries(top, "channels").items():
        if alias not in used:
            yield LintFinding(at=at, message=f"nothing posts to '{alias}'")


def _channels_without_a_way(
    routes: Sequence[RouteSource], rulebook: Rulebook, top: MappingNode, blocking: Blocking
) -> Iterator[LintFinding]:
    """Channels to which only such routes post that never get an incident; what is disabled is meant to be."""
    aliases, fallback = entries(top, "channels"), rulebook.fallback and rulebook.fallback.channel.ref
    posts: dict[str, list[tuple[RouteSource, Node, FixedChannel]]] = {}
    for each in routes:
        for post, item in zip(each.route.posts, each.posts(), strict=True):
            if isinstance(post.channel, FixedChannel) and post.channel.ref != fallback:
                posts.setdefault(post.channel.ref, []).append((each, item, post.channel))
    for there in posts.values():
        if all(idle(each, blocking) for each, _, _ in there):
            _, item, channel = there[0]
            lines = " and ".join(dict.fromkeys(str(each.route.line) for each, _, _ in there))
            message = f"nothing can post to '{channel.source}': what posts there (line {lines}) never gets an incident"
            yield LintFinding(at=aliases.get(channel.source, item), message=message)


def unused_folders(rulebook: Rulebook, sources: Mapping[str, str]) -> Iterator[str]:
    """The folders of templates that no route names, and no template outside of them mentions."""
    folders = {name.partition("/")[0] for name in sources if "/" in name}
    for folder in sorted(folders - rulebook.templates - {Options().template}):
        others = (source for name, source in sources.items() if not name.startswith(f"{folder}/"))
        if not any(f"{folder}/" in source for source in others):
            yield folder


# --- one route ---


def _never_a_channel(each: RouteSource) -> Iterator[LintFinding]:
    """A channel made of what no incident has: everything of it would go to the fallback."""
    for post, item in zip(each.route.posts, each.posts(), strict=True):
        where = item.get("channel") if isinstance(item, MappingNode) else item
        for name in unknown_names(post.channel.source) if isinstance(post.channel, ExpressionChannel) else ():
            variable, _, attribute = name.partition(".")
            hint = suggestion(attribute, sorted(VARIABLE_NAMES[variable]), most=99)
            message = f"'{variable}' has no '{attribute}', so this never is a channel{hint}"
            yield LintFinding(at=where or item, message=message, warning=False)


def _posted_twice(each: RouteSource) -> Iterator[LintFinding]:
    """Two items for one channel make one card: the second's options count for nothing."""
    first: dict[str, Node] = {}
    for post, item in zip(each.route.posts, each.posts(), strict=True):
        channel = post.channel
        ref = channel.ref if isinstance(channel, FixedChannel) else channel.source
        before = first.setdefault(ref, item)
        if before is not item:
            message = f"this is the channel of line {before.line} again: one card, by the options given there"
            yield LintFinding(at=item, message=message)


def _capitals(each: RouteSource) -> Iterator[LintFinding]:
    for item in each.posts():
        channel = item.get("channel") if isinstance(item, MappingNode) else item
        if isinstance(channel, ScalarNode) and channel.text.startswith("#") and "{" not in channel.text:
            lowered = channel.text.lower()
            if lowered != channel.text:
                yield LintFinding(at=channel, message=f"Slack has no capitals in names: this is {lowered}")


# --- one condition ---


def _of_condition(each: ConditionSource, words: TagValueLabels) -> Iterator[LintFinding]:
    yield from _raw_values(each, words)
    if isinstance(each.condition, Comparison) and each.condition.subject.kind is ValueType.TEXT:
        yield from lookalikes(each.value)


def _raw_values(each: ConditionSource, words: TagValueLabels) -> Iterator[LintFinding]:
    """BigPanda's own value of a tag that `tag_values` gives another word for: no incident shows it."""
    if not isinstance(each.condition, Comparison) or not each.condition.subject.key.startswith(_TAG):
        return
    name = each.condition.subject.key.removeprefix(_TAG)
    known = [by_raw for tag, by_raw in words.items() if name in (tag, readable_tag_name(tag).casefold())]
    for claim in claims(meaning(each.condition)):
        for by_raw in known:
            word = by_raw.get(claim.wanted.text) if isinstance(claim.wanted, Exactly) else None
            shown = {value.casefold() for value in by_raw.values()}
            if word is not None and isinstance(claim.wanted, Exactly) and claim.wanted.text not in shown:
                message = f"by tag_values '{claim.wanted.text}' is shown and matched as '{word}'; write '{word}'"
                yield LintFinding(at=each.at, message=message)
