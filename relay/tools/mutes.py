"""`relay mute` and the board's page: makes, lists, extends and ends mutes; says first what one would cover."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from relay.cards.mutes import Mute, MuteState, check_mute
from relay.model.counting import counted
from relay.model.reading import read_episode
from relay.model.struct import replace
from relay.rendering.wording import duration
from relay.routes.match_keys import IncidentFacts
from relay.routes.rulebook import Rulebook
from relay.store.store import Store
from relay.store.types import IncidentFilter, ListPosition
from relay.tools.message_text import format_time

LOOK_BACK = 7 * 86400.0
"""Seconds: the preview counts the incidents that were shared since then."""

MANY = 50
"""Open incidents from which a person is asked whether so many are meant."""

MAX_EXAMPLES = 5
"""Titles that the preview shows."""

MAX_SCANNED = 50_000
"""Incidents that the preview looks at."""

KEPT = 7 * 86400.0
"""Seconds for which a mute that is over is still listed by `relay mute list --all`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MutePreview:
    """What a mute matches: open incidents now, and those of the last seven days (with them); `examples` are titles.

    `cut` says that not all incidents could be looked at.
    """

    open: int = 0
    recent: int = 0
    examples: tuple[str, ...] = field(default=())
    cut: bool = False

    @property
    def doubtful(self) -> bool:
        """Whether a person should be asked: it matches nothing, or very much."""
        return not self.open or self.open > MANY

    @property
    def sentence(self) -> str:
        """The preview in words."""
        at_least = "at least " if self.cut else ""
        now = counted(self.open, "open incident")
        return f"It matches {at_least}{now} now, and {at_least}{self.recent} of the last 7 days."


async def preview(store: Store, mute: Mute, rulebook: Rulebook, now: float) -> MutePreview:
    """Count what a mute matches, with the matcher that decides later.

    Raises:
        ConfigurationError: its match has faults.
        StoreError: the database failed.
    """
    found = open_now = scanned = 0
    examples: list[str] = []
    after: ListPosition | None = None
    while scanned < MAX_SCANNED:
        batch = await store.incident_batch(IncidentFilter(), after)
        for listed in batch.incidents:
            scanned += 1
            if listed.state.last_share_at < now - LOOK_BACK and listed.state.ended_at is not None:
                continue
            incident = read_episode(listed.state.record, listed.state.episode, rulebook.tag_labels)
            if mute.matches(IncidentFacts(incident)):
                found += listed.state.last_share_at >= now - LOOK_BACK
                if listed.state.ended_at is None:
                    open_now += 1
                    examples.append(incident.title or incident.id)
        after = batch.after
        if after is None:
            break
    return MutePreview(open=open_now, recent=found, examples=tuple(examples[:MAX_EXAMPLES]), cut=after is not None)


async def add(store: Store, mute: Mute, now: float) -> Mute:
    """Make a mute; return it with its number.

    Raises:
        InvalidMute: it cannot be made; the message says why.
        ConfigurationError: its match has faults.
        StoreError: the database failed.
    """
    check_mute(mute, now)
    made = replace(mute, created=now)
    return replace(made, id=await store.add_mute(made))


async def extend(store: Store, number: int, seconds: float, now: float) -> Mute | None:
    """Let a mute end so many seconds from now; return it as it is then, None if it is over or unknown.

    Raises:
        InvalidMute: it would last longer than a mute may.
        StoreError: the database failed.
    """
    mute = await store.mute(number)
    if mute is None or mute.state(now) is MuteState.OVER:
        return None
    changed = replace(mute, end=now + seconds)
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
