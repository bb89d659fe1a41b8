"""The tree of routes: each route with all that it inherits, each post item with its options resolved."""

from relay.routes.match import EVERYTHING
from relay.routes.options import NOBODY, Options
from relay.routes.parser import targets
from relay.routes.parser.faults import Reading
from relay.routes.parser.keys import Place, check_keys
from relay.routes.parser.matches import match
from relay.routes.parser.options import Settings, settings
from relay.routes.parser.scalars import found, standing, table, text, truth
from relay.routes.parser.yaml_nodes import Items, Node, Table, as_list
from relay.routes.route import Post, Route, Siblings


class Tree:
    """Reads routes, each with what it inherits."""

    def __init__(self, aliases: targets.Aliases, reading: Reading) -> None:
        """Take what the rest of the file gives to routes."""
        self._aliases = aliases
        self._reading = reading
        self._names: dict[str, int] = {}

    def siblings(self, inside: Table, inherited: Settings) -> Siblings:
        """What stands under `routes`."""
        node = inside.get("routes")
        items = () if node is None else self._items(node, "routes")
        made = (self._route(item, inherited) for item in items)
        return Siblings(route for route in made if route is not None)

    def _items(self, node: Node, what: str) -> tuple[Node, ...]:
        if isinstance(node, Items):
            return node.items
        self._reading.fault(node, f"expected a list of {what}, found {found(node)}{as_list(node)}")
        return ()

    def _route(self, node: Node, inherited: Settings) -> Route | None:
        made = table(node, self._reading, "a route's keys, such as name, match and post")
        if made is None:
            return None
        check_keys(made, Place.ROUTE, self._reading)
        own = {**inherited, **settings(made, self._reading)}
        post = made.get("post")
        route = Route(
            name=self._name(made),
            enabled=standing(made, "enabled", truth, self._reading, default=True),
            match=standing(made, "match", match, self._reading, EVERYTHING),
            continue_=standing(made, "continue", truth, self._reading, default=False),
            posts=() if post is None else self._posts(post, own),
            groups_only=post is None,
            routes=self.siblings(made, own),
            options=Options(**own),
            note=standing(made, "note", text, self._reading, ""),
            line=made.line,
        )
        if route.groups_only and not route.routes:
            self._reading.fault(
                made, "the route has neither post nor routes; post: [] takes what it matches and drops it"
            )
        return route

    def _name(self, route: Table) -> str:
        node = route.get("name")
        if node is None:
            self._reading.fault(route, "the route has no name")
            return ""
        name = text(node, self._reading) or ""
        if name in self._names:
            self._reading.fault(
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
        mention = NOBODY
        where: Node | None = node
        if isinstance(node, Table):
            check_keys(node, Place.POST, self._reading)
            own = {**inherited, **settings(node, self._reading)}
            mention = standing(node, "mention", targets.mention, self._reading, NOBODY)
            where = node.get("channel")
        if where is None:
            self._reading.fault(node, "the post item has no channel")
            return None
        channel = targets.channel(where, self._aliases, self._reading)
        if channel is None:
            return None
        return Post(channel=channel, options=Options(**own), mention=mention)
