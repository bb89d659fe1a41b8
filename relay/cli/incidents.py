"""`relay incidents`: the incidents in the database."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.environment import read_settings
from relay.cli.loop import run_on_live_store
from relay.cli.options import AsJson
from relay.cli.output import fail, print_report, say
from relay.model.errors import QueryError

if TYPE_CHECKING:
    from relay.cards.draw import PermalinkBuilder
    from relay.model.tag_labels import TagLabels
    from relay.store.store import Store
    from relay.tools.incidents import IncidentPage, IncidentQuery


def incidents(  # noqa: PLR0913  each is an option of its own
    *,
    only_open: Annotated[bool, typer.Option("--open", help="List open incidents only.")] = False,
    channel: Annotated[
        str, typer.Option(metavar="CHANNEL", help="With a card in this channel: an alias, an id, or a name.")
    ] = "",
    route: Annotated[str, typer.Option(metavar="ROUTE", help="Matched by this route.")] = "",
    search: Annotated[
        str, typer.Option(metavar="WORDS", help="With all of these words in title, id, owner, tags or alerts.")
    ] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=0, help="List at most N incidents; 0 lists all.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List incidents with their state, age, owner and cards; those with the newest share first.

    Example: `relay incidents --open --channel noc --search "checkout p1"`.

    Reads the database (RELAY_DATABASE_URL) of a running relay. With --json, prints the same as `GET /incidents`. Exits
    with 0 also if there are none, and with 1 if the channel or the route is unknown.
    """
    from relay.tools import incidents as tool

    query = tool.IncidentQuery(
        open_only=only_open, channel=channel.strip(), route=route.strip(), search=search, limit=limit or float("inf")
    )
    try:
        page, labels, link, now = run_on_live_store(lambda store: _load(store, query, with_links=as_json))
    except QueryError as error:
        fail(str(error))
    lines = tool.tables(page, labels, now) if page.incidents else ["No incidents."]
    print_report(lambda: tool.as_json(page, link, labels, now), lines, as_json=as_json)
    if page.after:
        say(f"Only the newest {limit} are listed; --limit 0 lists all.", err=True)


async def _load(
    store: "Store", query: "IncidentQuery", *, with_links: bool
) -> "tuple[IncidentPage, TagLabels, PermalinkBuilder, float]":
    from relay.cards.draw import permalink
    from relay.tools.incident import workspace_url
    from relay.tools.incidents import find_incidents
    from relay.tools.live_store import stored_rulebook

    rulebook = await stored_rulebook(store)
    page = await find_incidents(store, query, rulebook, most_scanned=float("inf"))
    workspace = await workspace_url(read_settings()) if with_links and page.incidents else ""
    return page, rulebook.tag_labels, partial(permalink, workspace), await store.now()
