"""`relay mute` and the board's page: makes, lists, extends and ends mutes; says first what one would cover."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from relay.cards.mutes import InvalidMute, Mute, MuteState, check_mute
from relay.model.counting import counted
from relay.model.reading import read_episode
from relay.model.struct import replace
from relay.rendering.wording import duration
from relay.routes.match_keys import IncidentFacts
from relay.routes.rulebook import Rulebook
from relay.routes.yaml_reader.scalars import parse_duration
from relay.store.board import OpenFilter, OpenPosition
from relay.store.incident_list import BATCH_SIZE
from relay.store.store import Store
from relay.store.types import IncidentFilter, ListedIncident, ListPosition
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

    `open_cut` and `recent_cut` say that not all of these could be looked at.
    """

    open: int = 0
    recent: int = 0
    examples: tuple[str, ...] = field(default=())
    open_cut: bool = False
    recent_cut: bool = False

    @property
    def doubtful(self) -> bool:
        """Whether a person should be asked: it matches nothing, or very much."""
        return not self.open or self.open > MANY

    @property
    def sentence(self) -> str:
        """The preview in words."""
        now, recent = (
            f"at least {count}" if cut else count
            for count, cut in (
                (counted(self.open, "open incident"), self.open_cut),
                (f"{self.recent}", self.recent_cut),
            )
        )
        return f"It matches {now} now, and {recent} of the last 7 days."


def _at_least(is_cut: bool) -> str:  # noqa: FBT001  the one fact
    return "at least " if is_cut else ""


def read_duration(text: str) -> float:
    """Return how long a mute lasts, in seconds. Raises InvalidMute, with what is expected."""
    seconds = parse_duration(text)
    if not seconds:
        raise InvalidMute(f"{text!r} is not a duration; expected one such as 90m, 2h or 1d.")
    return seconds


async def preview(store: Store, mute: Mute, rulebook: Rulebook, now: float, *, most: int = MAX_SCANNED) -> MutePreview:
    """Count what a mute matches, with the matcher that decides later: open incidents first, then those that ended.

    At most so many are looked at, in threads: a match may cost much to evaluate.

    Raises:
        ConfigurationError: its match has faults.
        StoreError: the database failed.
    """
    found = MutePreview()
    place: OpenPosition | None = None
    while most > 0:
        opened = await store.open_incidents(OpenFilter(), place, min(BATCH_SIZE, most), min(BATCH_SIZE, most))
        found = await asyncio.to_thread(_count, found, opened.incidents, mute, rulebook, now)
        most -= len(opened.incidents)
        place = opened.after
        if place is None:
            break
    after: ListPosition | None = None
    is_cut = True
    while most > 0 and is_cut:
        batch = await store.incident_batch(IncidentFilter(), after, min(BATCH_SIZE, most))
        recent = [each for each in batch.incidents if each.state.last_share_at >= now - LOOK_BACK]
        ended = [each for each in recent if each.state.ended_at is not None]
        found = await asyncio.to_thread(_count, found, ended, mute, rulebook, now)
        most -= len(batch.incidents)
        after = batch.after
        is_cut = after is not None and len(recent) == len(batch.incidents)
    return replace(found, open_cut=place is not None, recent_cut=is_cut)


def _count(
    found: MutePreview, listed: Iterable[ListedIncident], mute: Mute, rulebook: Rulebook, now: float
) -> MutePreview:
    """Add the incidents that a mute matches to what is found."""
    opened, recent, examples = found.open, found.recent, list(found.examples)
    for each in listed:
        incident = read_episode(each.state.record, each.state.episode, rulebook.tag_labels)
        if mute.matches(IncidentFacts(incident)):
            recent += each.state.last_share_at >= now - LOOK_BACK
            if each.state.ended_at is None:
                opened += 1
                examples.append(incident.title or incident.id)
    return MutePreview(open=opened, recent=recent, examples=tuple(examples[:MAX_EXAMPLES]))


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
