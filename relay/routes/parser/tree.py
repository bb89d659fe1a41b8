"""The tree of routes: each route with the options that it inherits, each post item with its options resolved."""

from relay.routes.key_types import Place
from relay.routes.mention import NO_MENTION
from relay.routes.options import Options, OptionValues, read_options
from relay.routes.parser.keys import CONTINUE, ENABLED, MATCH, MENTION, NOTE, check_keys
from relay.routes.parser.targets import Aliases, read_channel
from relay.routes.route import Post, Route, RouteList
from relay.routes.yaml_reader.context import ParseContext
from relay.routes.yaml_reader.nodes import MappingNode, Node
from relay.routes.yaml_reader.scalars import read_items, read_mapping, read_word


class RouteParser:
    """Parses routes and the routes inside them."""

    def __init__(self, aliases: Aliases, context: ParseContext) -> None:
        self._aliases = aliases
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
        check_keys(mapping, Place.ROUTE, self._context)
        options = {**inherited, **read_options(mapping, self._context)}
        post = mapping.get("post")
        route = Route(
            name=self._name(mapping),
            enabled=ENABLED.read(mapping, self._context),
            match=MATCH.read(mapping, self._context),
            continue_=CONTINUE.read(mapping, self._context),
            posts=() if post is None else self._posts(post, options),
            groups_only=post is None,
            routes=self.routes(mapping, options),
            options=Options(**options),
            note=NOTE.read(mapping, self._context),
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

    def _posts(self, node: Node, inherited: OptionValues) -> tuple[Post, ...]:
        items = read_items(node, self._context, "a list of channels (post: [] drops incidents)")
        posts = (self._post(item, inherited) for item in items or ())
        return tuple(post for post in posts if post is not None)

    def _post(self, node: Node, inherited: OptionValues) -> Post | None:
        """Parse a post item. A bare channel is short for `{channel: ...}`."""
        options = inherited
        mention = NO_MENTION
        where: Node | None = node
        if isinstance(node, MappingNode):
            check_keys(node, Place.POST, self._context)
            options = {**inherited, **read_options(node, self._context)}
            mention = MENTION.read(node, self._context)
            where = node.get("channel")
        if where is None:
            self._context.add_fault(node, "missing key 'channel' in post item; write {channel: noc}")
            return None
        channel = read_channel(where, self._aliases, self._context)
        if channel is None:
            return None
        return Post(channel=channel, options=Options(**options), mention=mention)
