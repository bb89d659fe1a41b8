"""What a new mute would match, with the matcher that decides later: shown before it is made."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from time import monotonic

from relay.cards.mutes import Mute
from relay.model.counting import counted
from relay.model.reading import read_incident
from relay.routes.match_keys import IncidentFacts
from relay.routes.rulebook import Rulebook
from relay.store.mute_preview import ComparedIncident, PreviewPlace
from relay.store.store import Store

LOOK_BACK = 7 * 86400.0
"""Seconds: the preview counts the incidents that were shared since then."""

MANY = 50
"""Open incidents from which a person is asked whether so many are meant."""

MAX_EXAMPLES = 5
"""Titles that the preview shows."""

MAX_SCANNED = 50_000
"""Incidents that the preview looks at."""

SCANNED_AT_ONCE, SECONDS_AT_ONCE = 1_000, 0.12
"""Incidents that a page or a modal looks at, which has to be there at once; and how long, on a busy machine."""

_BATCH = 250
"""Incidents that are looked at in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MutePreview:
    """What a mute matches: open incidents now, and those of the last seven days (with them); `examples` are titles.

    `open_cut` and `recent_cut` say that not all of these could be looked at.
    """

    open: int = 0
    recent: int = 0
    examples: tuple[str, ...] = ()
    open_cut: bool = False
    recent_cut: bool = False

    @property
    def doubtful(self) -> bool:
        """Whether a person should be asked: it matches nothing, or very much."""
        return not self.open or self.open > MANY

    @property
    def sentence(self) -> str:
        """The preview in words."""
        now = f"{_at_least(self.open_cut)}{counted(self.open, 'open incident')}"
        return f"It matches {now} now, and {_at_least(self.recent_cut)}{self.recent} of the last 7 days."


def _at_least(is_cut: bool) -> str:  # noqa: FBT001  the one fact
    return "at least " if is_cut else ""


class _Tally:
    """Which of the incidents seen so far the mutes match."""

    def __init__(self, mutes: Sequence[Mute], rulebook: Rulebook, since: float) -> None:
        self._mutes = mutes
        self._labels = rulebook.tag_labels
        self._since = since
        self._open: Counter[int] = Counter()
        self._recent: Counter[int] = Counter()
        self._examples: list[list[str]] = [[] for _ in mutes]

    def add(self, incidents: Iterable[ComparedIncident]) -> None:
        for each in incidents:
            incident = read_incident(each.record, self._labels)
            facts = IncidentFacts(incident)
            for number, mute in enumerate(self._mutes):
                if not mute.matches(facts):
                    continue
                self._recent[number] += each.last_share_at >= self._since
                if each.is_open:
                    self._open[number] += 1
                    if len(self._examples[number]) < MAX_EXAMPLES:
                        self._examples[number].append(incident.title or incident.id)

    def previews(self, after: PreviewPlace | None) -> tuple[MutePreview, ...]:
        """The counts; `after` is the place of the last incident, if there are more."""
        return tuple(
            MutePreview(
                open=self._open[number],
                recent=self._recent[number],
                examples=tuple(self._examples[number]),
                open_cut=after is not None and after.state is not None,
                recent_cut=after is not None,
            )
            for number in range(len(self._mutes))
        )


async def preview(
    store: Store, mutes: Sequence[Mute], rulebook: Rulebook, now: float, *, at_once: bool = False
) -> tuple[MutePreview, ...]:
    """Count what each of the mutes matches, in one pass: open incidents first, then those that ended lately.

    All are limited to the same routes. Not all incidents are looked at if there are very many; `at_once`, because
    somebody waits, far fewer. They are looked at in threads: a match may cost much.

    Raises:
        ConfigurationError: a match has faults.
        StoreError: the database failed.
    """
    since = now - LOOK_BACK
    routes = frozenset(route for mute in mutes for route in mute.routes)
    tally, after = _Tally(mutes, rulebook, since), None
    most, until = (SCANNED_AT_ONCE, monotonic() + SECONDS_AT_ONCE) if at_once else (MAX_SCANNED, inf)
    while most > 0:
        part = await store.incidents_to_compare(since, after, min(_BATCH, most), routes)
        await asyncio.to_thread(tally.add, part.incidents)
        most, after = most - len(part.incidents), part.after
        if after is None or monotonic() > until:
            break
    return tally.previews(after)
