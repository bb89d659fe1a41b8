"""`relay routes`: the tree of routes, with channels, mentions, and the options that differ from the default."""

from collections.abc import Iterator
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from rich.text import Text
from rich.tree import Tree

from relay.routes.match import Comparison, Match
from relay.routes.mention import Mention
from relay.routes.options import OPTION_KEYS, Options
from relay.routes.route import Route
from relay.routes.rulebook import Rulebook
from relay.tools.hours import definition
from relay.tools.message_text import ChannelNames, alias_names, people_label

# --- as JSON ---


def as_json(rulebook: Rulebook) -> dict[str, Any]:
    """Convert to plain JSON. Options are those that differ: `defaults` from relay's own, others from `defaults`."""
    fallback = rulebook.fallback
    return {
        "defaults": differing(rulebook.defaults, Options()),
        "fallback": fallback
        and {
            "channel": fallback.ref,
            "source": fallback.channel.source,
            "mention": _mention(fallback.mention),
            "options": differing(fallback.options, rulebook.defaults),
        },
        "notices": rulebook.notices and {"channel": rulebook.notices.ref, "source": rulebook.notices.source},
        "people": dict(rulebook.people),
        "zone": rulebook.zone or None,
        "hours": {name: definition(rulebook, name) for name in rulebook.hours},
        "routes": [_route_as_json(route, rulebook) for route in rulebook.routes],
    }


def _route_as_json(route: Route, rulebook: Rulebook) -> dict[str, Any]:
    return {
        "name": route.name,
        "line": route.line,
        "enabled": route.enabled,
        "note": route.note or None,
        "match": list(conditions(route.match)),
        "continue": route.continue_,
        "drops": _drops(route),
        "post": [
            {
                "channel": post.channel.source,
                "ref": getattr(post.channel, "ref", None),
                "mention": _mention(post.mention),
                "options": differing(post.options, rulebook.defaults),
            }
            for post in route.posts
        ],
        "routes": [_route_as_json(child, rulebook) for child in route.routes],
    }


def differing(options: Options, default: Options, names: ChannelNames = MappingProxyType({})) -> dict[str, str]:
    """The options that differ from the default, each as routes.yaml writes it; people by these names."""
    values = ((each.name, getattr(options, each.name), getattr(default, each.name)) for each in fields(Options))
    return {name: _as_yaml(name, value, names) for name, value, usual in values if value != usual}


def _as_yaml(name: str, value: Any, names: ChannelNames) -> str:
    named = tuple(names.get(each, each) for each in value) if name == "actors" else value
    return OPTION_KEYS[name].type.as_yaml(named)


def conditions(match: Match) -> Iterator[str]:
    """The conditions of a match, each in one line."""
    for condition in match.conditions:
        if isinstance(condition, Comparison):
            yield f"{condition.subject.label}: {condition.expected}"
        else:
            parts = (", ".join(conditions(part)) or "every incident" for part in condition.parts)
            yield f"{condition.key}: " + "; ".join(f"({part})" for part in parts)


def _mention(mention: Mention) -> dict[str, list[str]]:
    return {key: list(targets) for part in mention.parts for key, targets in part.targets.items() if targets}


def _pings(mention: Mention, names: ChannelNames) -> str:
    pings = (f"{key} pings {people_label(targets, names)}" for key, targets in _mention(mention).items())
    return "; ".join(pings) or "pings nobody"


def _drops(route: Route) -> bool:
    return not route.posts and not route.groups_only


# --- as text ---


def on_terminal(rulebook: Rulebook) -> Iterator[Text | Tree]:
    """The fallback and the defaults, then one tree for each route at the top."""
    names = alias_names(rulebook)
    if fallback := rulebook.fallback:
        own = _options(differing(fallback.options, rulebook.defaults, names))
        channel = _channel(fallback.channel.source, fallback.ref)
        yield Text.assemble(("fallback", "bold"), f": {channel}: {_pings(fallback.mention, names)}{own}")
    else:
        yield Text("no fallback: incidents that no route matches are not posted", "yellow")
    if notices := rulebook.notices:
        yield Text.assemble(("notices", "bold"), f": {_channel(notices.source, notices.ref)}")
    for name in rulebook.hours:
        yield Text.assemble(("hours ", "bold"), (name, "bold"), f": {definition(rulebook, name)}")
    if defaults := differing(rulebook.defaults, Options(), names):
        yield Text.assemble(("defaults", "bold"), f": {_listed(defaults)}")
    for route in rulebook.routes:
        yield _tree(route, rulebook, names)


def _tree(route: Route, rulebook: Rulebook, names: ChannelNames) -> Tree:
    title = Text.assemble((route.name, "bold"), f" (line {route.line})")
    if not route.enabled:
        title.append(", disabled", "yellow")
    if route.continue_:
        title.append(", continues with the next route")
    tree = Tree(title)
    for condition in list(conditions(route.match)) or ["every incident"]:
        tree.add(Text(condition, "dim"))
    if _drops(route):
        tree.add(Text("→ drops the incident"))
    for post in route.posts:
        options = _options(differing(post.options, rulebook.defaults, names))
        channel = _channel(post.channel.source, getattr(post.channel, "ref", ""))
        tree.add(Text.assemble("→ ", (channel, "bold"), f": {_pings(post.mention, names)}{options}"))
    for child in route.routes:
        tree.children.append(_tree(child, rulebook, names))
    return tree


def _channel(source: str, ref: str) -> str:
    return f"{source} ({ref})" if ref not in ("", source) else source


def _options(options: dict[str, str]) -> str:
    return f"; {_listed(options)}" if options else ""


def _listed(options: dict[str, str]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in options.items())
