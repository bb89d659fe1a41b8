"""`relay restored`: tells relay that its database is an older copy."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.loop import run_on_live_store
from relay.cli.output import say

if TYPE_CHECKING:
    from relay.store.store import Store


def restored(
    *,
    at: Annotated[str, typer.Option(metavar="TIME", help="When the copy was made, with a zone: 2026-11-26T03:00Z.")],
) -> None:
    """Tell relay that the PostgreSQL database was restored from an older copy.

    Example: `relay restored --at 2026-11-26T03:00Z`.

    Run it after `pg_restore`, if possible before relay starts; a running relay notices within seconds. relay then
    searches Slack before it posts, for 24 hours, and reads each thread before it reports there. If you are not sure of
    the time, give an earlier one. A copy made by `relay backup` contains its time.
    """
    moment = _parse_time(at)

    async def mark(store: "Store") -> None:
        if moment > await store.now():
            raise typer.BadParameter(f"{at!r} is in the future.", param_hint="--at")
        await store.mark_restored(moment)

    run_on_live_store(mark)
    when = datetime.fromtimestamp(moment).astimezone().isoformat(sep=" ", timespec="minutes")
    say(f"The database counts as a copy of {when}. For 24 hours, relay searches Slack before it posts.")


def _parse_time(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        message = f"{text!r} is not a time; expected one with a zone, such as 2026-11-26T03:00Z."
        raise typer.BadParameter(message, param_hint="--at") from None
    if moment.tzinfo is None:
        message = f"{text!r} has no zone; write {text.strip()}Z for UTC, or an offset such as +01:00."
        raise typer.BadParameter(message, param_hint="--at")
    if moment.timestamp() < 1:
        raise typer.BadParameter(f"{text!r} is too early.", param_hint="--at")
    return moment.timestamp()
