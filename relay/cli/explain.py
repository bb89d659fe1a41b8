"""`relay explain`: which routes take a share, and why."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from relay.cli.options import RoutesFile
from relay.cli.render import headers_of

if TYPE_CHECKING:
    from relay.routes.evaluate import RouteTrace
    from relay.tools.explain import Destination, Explanation

_ENDLESS = 100_000
_TOOK = {"took", "dropped", "children_took"}


def explain(
    share: Annotated[
        Path, typer.Argument(metavar="SHARE.json", help="The body of a webhook, or a recorded share.", dir_okay=False)
    ],
    *,
    routes: RoutesFile = Path("routes.yaml"),
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A header that the share came with. Repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show which routes take a share and why: every condition of every route, with the value that it saw.

    The share is judged as the first of its incident. Nothing is sent, and neither the network nor the database is
    touched.
    """
    from relay.tools import explain as explaining  # noqa: PLC0415  nothing of this is needed for `relay --help`
    from relay.tools.as_read import channel_names  # noqa: PLC0415  the same
    from relay.tools.check.command import read_rulebook  # noqa: PLC0415  the same
    from relay.tools.share_files import read_shares  # noqa: PLC0415  the same

    rulebook = read_rulebook(routes)
    (read,) = read_shares([share], headers_of(header or []))
    explanation = explaining.explain(rulebook, read)
    if as_json:
        typer.echo(json.dumps(explaining.as_json(explanation), indent=2, ensure_ascii=False))
        return
    # Where no terminal limits it, a line is as long as what it says.
    console = Console(highlight=False, emoji=False, markup=False, width=None if sys.stdout.isatty() else _ENDLESS)
    for part in _told(explanation, channel_names(rulebook)):
        console.print(part)


def _told(explanation: "Explanation", names: Mapping[str, str]) -> Iterator[Text | Tree]:
    incident = explanation.incident
    yield Text(f"{incident.title} (incident {incident.id})", style="bold")
    yield Text(f"state {incident.state}, severity {incident.severity}; outcome: {explanation.plan.outcome}")
    yield Text()
    yield from _tree(explanation.decision.trace)
    yield Text()
    yield from _destinations(explanation, names)


def _tree(trace: "tuple[RouteTrace, ...]") -> Iterator[Tree]:
    """One tree for each route at the top, with its conditions and then its children as branches."""
    from relay.tools.explain import condition_lines  # noqa: PLC0415  as above

    open_above: list[Tree] = []
    tops: list[Tree] = []
    for each in trace:
        del open_above[each.depth :]
        title = Text.assemble(
            (each.route, "bold"), f" (line {each.line}): ", (str(each.outcome), _style(each.outcome in _TOOK))
        )
        branch = open_above[-1].add(title) if open_above else Tree(title)
        if not open_above:
            tops.append(branch)
        open_above.append(branch)
        for condition in each.conditions:
            for held, line in condition_lines(condition):
                branch.add(Text(line, style=_style(held)))
    yield from tops


def _style(good: bool) -> str:  # noqa: FBT001  a choice of two
    return "green" if good else "dim"


def _destinations(explanation: "Explanation", names: Mapping[str, str]) -> Iterator[Text]:
    for each in explanation.failures:
        yield Text(f"{each.description}: route {each.route}", style="yellow")
    for name in explanation.decision.dropped:
        yield Text(f"dropped by {name}, which has post: []")
    for destination in explanation.destinations:
        yield Text.assemble("→ ", (_where(destination, names), "bold"), f": {_how(destination)}")
    if not explanation.destinations:
        yield Text("nothing is posted")


def _where(destination: "Destination", names: Mapping[str, str]) -> str:
    from relay.tools.as_read import channel_label  # noqa: PLC0415  as above

    return channel_label(destination.channel, names)


def _how(destination: "Destination") -> str:
    pings = ", ".join(destination.pings)
    parts = [
        destination.why,
        f"template {destination.template}",
        f"pings {pings}" if pings else "pings nobody",
        *([f"waits {destination.wait:g} s, and is posted only if still open and taken there"] * bool(destination.wait)),
        *([f"as it is now it will not be: {destination.unless}"] if destination.unless else []),
    ]
    return "; ".join(parts)
