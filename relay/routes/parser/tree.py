"""The tree of routes: each route with all that it inherits, each post item with its options resolved."""

from relay.routes.match import MATCH_ALL
from relay.routes.options import NO_MENTION, Options
from relay.routes.parser import targets
from relay.routes.parser.context import ParseContext
from relay.routes.parser.keys import Place, check_keys
from relay.routes.parser.matches import match
from relay.routes.parser.options import Settings, settings
from relay.routes.parser.scalars import describe, read_bool, read_key, read_mapping, read_word
from relay.routes.parser.yaml_nodes import ListNode, MappingNode, Node, list_hint
from relay.routes.route import Post, Route, RouteList


class Tree:
    """Reads routes, each with what it inherits."""

    def __init__(self, aliases: targets.Aliases, reading: ParseContext) -> None:
        """Take what the rest of the file gives to routes."""
        self._aliases = aliases
        self._reading = reading
        self._names: dict[str, int] = {}

    def siblings(self, inside: MappingNode, inherited: Settings) -> RouteList:
        """What stands under `routes`."""
        node = inside.get("routes")
        items = () if node is None else self._items(node, "routes")
        made = (self._route(item, inherited) for item in items)
        return RouteList(route for route in made if route is not None)

    def _items(self, node: Node, what: str) -> tuple[Node, ...]:
        if isinstance(node, ListNode):
            return node.items
        self._reading.add_fault(node, f"expected a list of {what}, found {describe(node)}{list_hint(node)}")
        return ()

    def _route(self, node: Node, inherited: Settings) -> Route | None:
        made = read_mapping(node, self._reading, "a route's keys, such as name, match and post")
        if made is None:
            return None
        check_keys(made, Place.ROUTE, self._reading)
        own = {**inherited, **settings(made, self._reading)}
        post = made.get("post")
        route = Route(
            name=self._name(made),
            enabled=read_key(made, "enabled", read_bool, self._reading, default=True),
            match=read_key(made, "match", match, self._reading, MATCH_ALL),
            continue_=read_key(made, "continue", read_bool, self._reading, default=False),
            posts=() if post is None else self._posts(post, own),
            groups_only=post is None,
            routes=self.siblings(made, own),
            options=Options(**own),
            note=read_key(made, "note", read_word, self._reading, ""),
            line=made.line,
        )
        if route.groups_only and not route.routes:
            self._reading.add_fault(
                made, "the route has neither post nor routes; post: [] takes what it matches and drops it"
            )
        return route

    def _name(self, route: MappingNode) -> str:
        node = route.get("name")
        if node is None:
            self._reading.add_fault(route, "the route has no name")
            return ""
        name = read_word(node, self._reading) or ""
        if name in self._names:
            self._reading.add_fault(
                node, f"there is a route '{name}' in line {self._names[name]} already; names are unique"
            )
        elif name:
            self._names[name] = node.line
        return name

    def _posts(self, node: Node, inherited: Settings) -> tuple[Post, ...]:
        made = (self._post(item, inherited) for item in self._items(node, "channels (post: [] drops what it takes)"))
        return tuple(post for post in made if post is not None)

    def _post(self, node: Node, inherited: Settings) -> Post | None:
        """A bare channel is short for `{channel: ...}`."""
        own: Settings = inherited
        mention = NO_MENTION
        where: Node | None = node
        if isinstance(node, MappingNode):
            check_keys(node, Place.POST, self._reading)
            own = {**inherited, **settings(node, self._reading)}
            mention = read_key(node, "mention", targets.mention, self._reading, NO_MENTION)
            where = node.get("channel")
        if where is None:
            self._reading.add_fault(node, "the post item has no channel")
            return None
        channel = targets.channel(where, self._aliases, self._reading)
        if channel is None:
            return None
        return Post(channel=channel, options=Options(**own), mention=mention)
