"""`relay mute` and the board's page: makes, lists, extends and ends mutes."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from relay.cards.mutes import InvalidMute, Mute, MuteState, check_mute
from relay.model.struct import replace
from relay.rendering.wording import duration
from relay.routes.yaml_reader.scalars import parse_duration
from relay.store.store import Store
from relay.tools.message_text import format_time

KEPT = 7 * 86400.0
"""Seconds for which a mute that is over is still listed by `relay mute list --all`."""


def read_duration(text: str) -> float:
    """Return how long a mute lasts, in seconds. Raises InvalidMute, with what is expected."""
    seconds = parse_duration(text)
    if not seconds:
        raise InvalidMute(f"{text!r} is not a duration; expected one such as 90m, 2h or 1d.")
    return seconds


async def add(store: Store, mute: Mute, now: float) -> Mute:
    """Make a mute; return it with its number.

    Raises:
        InvalidMute: it cannot be made; the message says why.
        ConfigurationError: its match has faults.
        StoreError: the database failed.
    """
    check_mute(mute, now)
    return await store.add_mute(replace(mute, created=now))


async def extend(store: Store, number: int, seconds: float, now: float) -> Mute | None:
    """Let a mute last so many seconds longer; return it as it is then, None if it is over or unknown.

    It counts from the end of the mute: to extend never makes a mute shorter.

    Raises:
        InvalidMute: it would last longer than a mute may.
        StoreError: the database failed.
    """
    mute = await store.mute(number)
    if mute is None or mute.state(now) is MuteState.OVER:
        return None
    changed = replace(mute, end=mute.end + seconds)
    check_mute(replace(changed, start=max(mute.start, now)), now)
    return changed if await store.extend_mute(number, changed.end, now) else None


async def listed(store: Store, now: float, *, with_past: bool = False) -> tuple[Mute, ...]:
    """Return the mutes that are active or will be; `with_past` those of the last week too."""
    return await store.mutes_after(now - KEPT if with_past else now)


def as_json(mute: Mute, now: float) -> dict[str, Any]:
    """A mute as JSON, with its state now."""
    return {**asdict(mute), "routes": list(mute.routes), "state": str(mute.state(now))}


def tables(mutes: Sequence[Mute], now: float) -> Iterator[Table]:
    """One table; none for no mute."""
    if not mutes:
        return
    table = Table("id", "state", "until", "covers", "by", "reason", box=None)
    for mute in mutes:
        table.add_row(
            str(mute.id), state_words(mute, now), format_time(mute.end), covers_words(mute), mute.author, mute.reason
        )
    yield table


def state_words(mute: Mute, now: float) -> str:
    """Its state, and for how long."""
    match mute.state(now):
        case MuteState.PENDING:
            return f"begins in {duration(mute.start - now)}"
        case MuteState.ACTIVE:
            return f"active, {duration(mute.end - now)} left"
        case MuteState.OVER:
            return f"ended by {mute.ended_by}" if mute.ended_by else "over"


def covers_words(mute: Mute) -> str:
    """What it covers."""
    what = f"incident {mute.incident}" if mute.incident else mute.match
    routes = f" on {', '.join(mute.routes)}" if mute.routes else ""
    unless = f", unless {mute.unless} or worse" if mute.unless is not None else ""
    return f"{what}{routes}{unless}"
