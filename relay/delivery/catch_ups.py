"""Posts catch-ups when held pings are due, and closes the lists of held cards."""

from collections.abc import Sequence
from math import inf

import structlog

from relay.cards.holding import CatchUp, catch_up
from relay.cards.model import Card, IncidentState
from relay.cards.mutes import Mute
from relay.delivery.context import DeliveryContext, card_fields
from relay.delivery.parts import do_due
from relay.model.counting import counted
from relay.model.struct import replace
from relay.runtime.logging import REPORT_IT, utc

log = structlog.get_logger("relay.delivery")

LISTS_EVERY = 60.0
"""Seconds between two looks at the held lists, unless one of them ends."""


class CatchUps:
    """Posts catch-ups, one channel after the other."""

    def __init__(self, shared: DeliveryContext) -> None:
        self._shared = shared
        self._lists_looked_at = -inf
        self._list_ends: float | None = None

    async def catch_up_due(self) -> float | None:
        """Post all catch-ups that are due; return when to look again."""
        return await do_due(self._shared.store.next_catch_up_due, self._catch_up_next, self._shared.clock)

    async def _catch_up_next(self, now: float) -> bool:
        surroundings = self._shared.surroundings()

        def decide(channel: str, cards: Sequence[tuple[Card, IncidentState]], mutes: tuple[Mute, ...]) -> CatchUp:
            return catch_up(channel, cards, replace(surroundings, mutes=mutes), now)

        made = await self._shared.store.catch_up_next(now, decide, lease=self._shared.lease)
        if made is None or not made.cards:
            return False
        for card in made.failed:
            detail = f"Unexpected error while relay prepared a catch-up; it tries again later. {REPORT_IT}"
            log.error("catch_up_failed", **card_fields(card), detail=detail)
        if made.lines:
            _log_made(made)
        return True

    async def close_lists(self) -> float | None:
        """Close the held lists that are over, if it is time; return when the next one may be."""
        now, again = self._shared.clock.now(), self._lists_looked_at + LISTS_EVERY
        if now < again and (self._list_ends is None or now < self._list_ends):
            return min(again, again if self._list_ends is None else self._list_ends)
        self._list_ends = await self._shared.store.close_held_lists(now, lease=self._shared.lease)
        self._lists_looked_at = now
        return self._list_ends


def _log_made(made: CatchUp) -> None:
    incidents = counted(len(made.lines), "open incident")
    late = " It is late." if made.late else ""
    log.info(
        "catch_up",
        channel=made.channel,
        incidents=len(made.lines),
        reasons=sorted({str(hold.reason) for hold in made.holds}),
        moment=utc(made.moment),
        detail=f"Pings were held until {utc(made.moment)}; one message names {incidents}.{late}",
    )
