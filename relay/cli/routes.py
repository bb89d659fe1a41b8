"""`relay routes`: the routes as a tree."""

from pathlib import Path

from relay.cli.options import AsJson, RoutesFile
from relay.cli.output import print_report


def routes(*, file: RoutesFile = Path("routes.yaml"), as_json: AsJson = False) -> None:
    """Print the routes as a tree: conditions, channels, mentions, and the options that differ from the default.

    Example: `relay routes --routes /etc/relay/routes.yaml`.

    The options of a channel are those that differ from `defaults` in the file, and those of `defaults` differ from
    relay's own. Uses neither the network nor the database. Exits with 2 if the file has a fault; `relay check` lists
    all faults.
    """
    from relay.tools import route_tree
    from relay.tools.check.command import read_rulebook

    rulebook = read_rulebook(file)
    print_report(lambda: route_tree.as_json(rulebook), route_tree.on_terminal(rulebook), as_json=as_json)
