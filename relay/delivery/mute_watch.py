"""Updates the notices of muted cards whenever a mute begins, ends or changes.

The transaction that would post or ping checks what a mute holds. This only updates the notices on posted cards,
and re-evaluates what is held when a mute is over.
"""

from functools import partial

import structlog

from relay.cards.holding import say_muted
from relay.cards.model import Card, IncidentState
from relay.cards.mutes import Mute
from relay.delivery.context import DeliveryContext
from relay.model.counting import counted

log = structlog.get_logger("relay.delivery")

CHECK_EVERY = 60.0
"""Seconds until relay looks at the mutes in any case: somebody may set the clock."""


class MuteWatch:
    """Updates the cards when mutes begin and end."""

    def __init__(self, shared: DeliveryContext) -> None:
        self._shared = shared

    async def apply_changed(self) -> float | None:
        """Apply the mutes if one has changed; return when the next one may. Making a mute wakes this."""
        now = self._shared.clock.now()
        mutes, changed = await self._shared.store.mutes_to_apply(now)
        if changed:
            await self._apply(mutes, now)
        moments = [moment for each in mutes for moment in (each.start, each.end, now + CHECK_EVERY) if moment > now]
        return min(moments, default=None)

    async def _apply(self, mutes: tuple[Mute, ...], now: float) -> None:
        """Go through all open incidents; interrupted, it begins again."""
        await self._shared.change_open_cards(partial(_decide, mutes, now))
        await self._shared.store.mark_applied(mutes, now, lease=self._shared.lease)
        active = sum(each.start <= now < each.end for each in mutes)
        log.info("mutes_applied", active=active, detail=f"{counted(active, 'mute')} in force now; cards say so.")
        self._shared.wake_all()


def _decide(mutes: tuple[Mute, ...], now: float, card: Card, state: IncidentState) -> Card:
    return say_muted(card, state.incident, mutes, now) if state.was_shared else card
