"""Handles open storms: releases waiting cards, pings people, and closes storms that are over."""

from math import inf

import structlog

from relay.cards.storms import StormTurn
from relay.delivery.context import DeliveryContext
from relay.model.counting import counted

log = structlog.get_logger("relay.delivery")


LOOK_AFTER, LOOK_EVERY = 1.0, 10.0
"""Seconds after which an open storm is looked at again: at the earliest, and in any case."""


class Storms:
    """Looks at all open storms in one transaction."""

    def __init__(self, shared: DeliveryContext) -> None:
        self._shared = shared
        self._looked_at = -inf
        self._counted_at = -inf

    async def tend(self) -> float | None:
        """Do what is due; return when to look again (Unix seconds; None: when woken, since there is no storm)."""
        now = self._shared.clock.now()
        if self._looked_at <= now < self._looked_at + LOOK_AFTER:  # each card that is held wakes this
            return self._looked_at + LOOK_AFTER
        self._looked_at = now
        turns = await self._shared.store.tend_storms(now, self._shared.storm_in, lease=self._shared.lease)
        for turn in turns:
            _log_turn(turn)
        self._log_held(now)
        moments = [max(turn.look_at, now + LOOK_AFTER) for turn in turns]
        return min([*moments, now + LOOK_EVERY]) if turns else None

    def _log_held(self, now: float) -> None:
        """Count what storms have held since the log counted last, every ten seconds."""
        held = self._shared.held_in_storms
        if not held or self._counted_at <= now < self._counted_at + LOOK_EVERY:
            return
        self._counted_at = now
        for channel, cards in held.items():
            detail = f"{counted(cards, 'card')} more must wait; the storm card of the channel names each incident."
            log.info("storm_held", channel=channel, cards=cards, detail=detail)
        held.clear()


def _log_turn(turn: StormTurn) -> None:
    if turn.targets:
        targets = counted(len(turn.targets), "target")
        detail = f"The storm card's thread pings {targets} for incidents that wait."
        log.info("storm_pinged", channel=turn.channel, targets=len(turn.targets), detail=detail)
    if turn.release:
        cards = counted(len(turn.release), "waiting card")
        detail = f"The channel takes new cards again; {cards} may be posted."
        log.info("storm_released", channel=turn.channel, cards=len(turn.release), detail=detail)
    if turn.is_over:
        detail = "No new card was held for a while, and few were posted; the storm card stays, and says so."
        log.info("storm_over", channel=turn.channel, detail=detail)
