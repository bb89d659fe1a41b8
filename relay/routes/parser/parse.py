"""Parse routes.yaml into a `Rulebook`, or report every fault in it at once.

The parser adds faults to a context, leaves the faulty part out, and reads on. A rulebook with a fault is never
returned.
"""

from collections.abc import Collection
from dataclasses import dataclass

from relay.model.errors import ConfigurationError, Fault
from relay.model.struct import replace
from relay.routes.hour_types import ANY_ZONE
from relay.routes.key_types import Place
from relay.routes.mention import NO_MENTION
from relay.routes.options import Options, OptionValues, read_options
from relay.routes.parser import keys
from relay.routes.route import Post, Route, RouteList
from relay.routes.rulebook import Fallback, Rulebook
from relay.routes.targets import read_channel, read_channel_storms, read_fixed_channel
from relay.routes.yaml_reader.context import ParseContext
from relay.routes.yaml_reader.nodes import MappingNode, Node, ScalarNode
from relay.routes.yaml_reader.parse import parse_yaml
from relay.routes.yaml_reader.scalars import describe, read_items, read_mapping, read_word

VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRoutes:
    """What was read: the rulebook, or its faults; and the tree of YAML, if there is one."""

    rulebook: Rulebook | None = None
    top: MappingNode | None = None
    faults: tuple[Fault, ...] = ()


def parse_rulebook(text: str, *, file: str = "routes.yaml", templates: Collection[str] | None = None) -> Rulebook:
    """Parse and check a routes.yaml.

    Faults name `file`. If `templates`, the known template folders, are given, any other template is a fault.

    Raises ConfigurationError: every fault, with its place.
    """
    parsed = parse_routes(text, file=file, templates=templates)
    if parsed.rulebook is None:
        raise ConfigurationError(parsed.faults)
    return parsed.rulebook


def parse_routes(text: str, *, file: str = "routes.yaml", templates: Collection[str] | None = None) -> ParsedRoutes:
    """Parse and check a routes.yaml as `parse_rulebook` does, and return its faults instead of raising them."""
    context = ParseContext(file=file, templates=templates)
    root = parse_yaml(text, context)
    top = None if root is None else read_mapping(root, context, "keys, beginning with version: 1")
    rulebook = _rulebook(top, text, context) if top else None
    return ParsedRoutes(rulebook=None if context.faults else rulebook, top=top, faults=tuple(context.faults))


def _rulebook(top: MappingNode, text: str, context: ParseContext) -> Rulebook:
    top = keys.known_keys(top, Place.TOP, context)
    version = top.get("version")
    if version is None:
        context.add_fault(top, "missing key 'version'; write version: 1")
    elif not isinstance(version, ScalarNode) or version.text != VERSION:
        context.add_fault(version, f"expected version {VERSION}, found {describe(version)}")
    channels = context.channels = keys.CHANNELS.read(top, context)
    context.channels_allowed = keys.CHANNELS_ALLOWED.read(top, context)
    people = context.people = keys.PEOPLE.read(top, context)
    zone = keys.ZONE.read(top, context)
    context.zone = zone or (ANY_ZONE if top.get("zone") else "")
    hours = keys.HOURS.read(top, context)
    defaults = keys.DEFAULTS.read(top, context)
    options = Options(**defaults)
    fallback = _fixed_place(top, Place.FALLBACK, options, context)
    notices = _fixed_place(top, Place.NOTICES, options, context)
    return Rulebook(
        text=text,
        channels=channels,
        fallback=fallback,
        notices=notices.channel if notices else None,
        people=people,
        channel_storms=read_channel_storms(top.get("channels"), context),
        storm=keys.STORM.read(top, context),
        summaries=keys.SUMMARIES.read(top, context),
        mutes=keys.MUTES.read(top, context),
        zone=zone,
        hours=hours,
        tag_values=keys.TAG_VALUES.read(top, context),
        users=keys.USERS.read(top, context),
        defaults=options,
        routes=_RouteParser(context).routes(top, defaults),
    )


def _fixed_place(top: MappingNode, place: Place, options: Options, context: ParseContext) -> Fallback | None:
    """Read `fallback` or `notices`: a channel, or a mapping with one. It does not depend on an incident."""
    node = top.get(place)
    if node is None:
        return None
    mention = NO_MENTION
    channel: Node | None = node
    if isinstance(node, MappingNode):
        node = keys.known_keys(node, place, context)
        options = replace(options, **read_options(node, context, place))
        mention = keys.MENTION.read(node, context)
        channel = node.get("channel")
    if channel is None:
        context.add_fault(node, f"missing key 'channel' in {place}; write {{channel: noc}}")
        return None
    fixed = read_fixed_channel(channel, context)
    return Fallback(channel=fixed, options=options, mention=mention) if fixed else None


class _RouteParser:
    """Parses routes and the routes inside them, each with the options that it inherits."""

    def __init__(self, context: ParseContext) -> None:
        self._context = context
        self._lines: dict[str, int] = {}

    def routes(self, parent: MappingNode, inherited: OptionValues) -> RouteList:
        """Parse the key `routes` of the file or of a route."""
        node = parent.get("routes")
        items = read_items(node, self._context, "a list of routes") if node is not None else ()
        routes = (self._route(item, inherited) for item in items or ())
        return RouteList(route for route in routes if route is not None)

    def _route(self, node: Node, inherited: OptionValues) -> Route | None:
        mapping = read_mapping(node, self._context, "a route's keys, such as name, match and post")
        if mapping is None:
            return None
        mapping = keys.known_keys(mapping, Place.ROUTE, self._context)
        options = {**inherited, **read_options(mapping, self._context, Place.ROUTE)}
        post = mapping.get("post")
        what = "a list of channels (post: [] drops incidents)"
        items = read_items(post, self._context, what) if post is not None else ()
        name = self._name(mapping)
        posts = [self._post(item, name, options) for item in items or ()]
        route = Route(
            name=name,
            enabled=keys.ENABLED.read(mapping, self._context),
            match=keys.MATCH.read(mapping, self._context),
            continue_=keys.CONTINUE.read(mapping, self._context),
            posts=tuple(each for each in posts if each is not None),
            groups_only=post is None,
            routes=self.routes(mapping, options),
            options=Options(**options),
            note=keys.NOTE.read(mapping, self._context),
            line=mapping.line,
        )
        if route.groups_only and not route.routes:
            self._context.add_fault(
                mapping, "expected 'post' or 'routes' in the route, found neither; write post: [] to drop incidents"
            )
        return route

    def _name(self, route: MappingNode) -> str:
        node = route.get("name")
        if node is None:
            self._context.add_fault(route, "missing key 'name' in route; give it a name that is unique in the file")
            return ""
        name = read_word(node, self._context) or ""
        if name in self._lines:
            self._context.add_fault(node, f"duplicate route name '{name}', first used in line {self._lines[name]}")
        elif name:
            self._lines[name] = node.line
        return name

    def _post(self, node: Node, route: str, inherited: OptionValues) -> Post | None:
        """Parse a post item. A bare channel is short for `{channel: ...}`."""
        options = inherited
        mention = NO_MENTION
        where: Node | None = node
        if isinstance(node, MappingNode):
            node = keys.known_keys(node, Place.POST, self._context)
            options = {**inherited, **read_options(node, self._context, Place.POST)}
            mention = keys.MENTION.read(node, self._context).by_route(route)
            where = node.get("channel")
        if where is None:
            self._context.add_fault(node, "missing key 'channel' in post item; write {channel: noc}")
            return None
        channel = read_channel(where, self._context)
        return Post(channel=channel, options=Options(**options), mention=mention) if channel else None
