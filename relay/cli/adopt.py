"""`relay adopt`: takes over relay's cards in Slack that the database does not know."""

from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.environment import read_settings
from relay.cli.loop import run_on_live_store
from relay.cli.options import AsJson, parse_duration
from relay.cli.output import FAILED, print_report

if TYPE_CHECKING:
    from relay.store.store import Store
    from relay.tools.adopt import AdoptionReport


def adopt(
    *,
    since: Annotated[
        str, typer.Option(metavar="DURATION", help="How far back to read the channels, such as 12h or 30d.")
    ] = "7d",
    as_json: AsJson = False,
) -> None:
    """Take over the cards that a lost database has left in Slack.

    Example: `relay adopt --since 30d`.

    `relay serve` does this by itself for a new database, 7 days back. Run it for older cards, or once relay may read a
    channel that it could not read. relay may run meanwhile. The next share of an incident then edits its card.
    Nothing is posted, nobody is pinged, and a second run changes nothing. Cards of another bot or of a relay with
    another RELAY_NAME are left alone. Exits with 1 if a channel could not be read.
    """
    seconds = parse_duration(since, option="--since")

    async def work(store: "Store") -> "AdoptionReport":
        from relay.tools.adopt import adopt as adopt_cards

        return await adopt_cards(read_settings(), store, seconds)

    report = run_on_live_store(work)
    print_report(report.as_json, report.lines(), as_json=as_json)
    if report.unread:
        raise typer.Exit(FAILED)
