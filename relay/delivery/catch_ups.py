"""Makes up for held pings when they are due, and closes the lists of held cards.

What an edit of the configuration may have freed is looked at at once.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from relay.cards.attention import Surroundings
from relay.cards.holding import CatchUp, catch_up
from relay.cards.model import Card, IncidentState
from relay.cards.mutes import Mute
from relay.config.configuration import Configuration
from relay.delivery.context import DeliveryContext
from relay.model.counting import counted
from relay.model.struct import replace
from relay.runtime.clock import WakeEvent
from relay.runtime.logging import utc

log = structlog.get_logger("relay.delivery")

CHECK_EVERY = 10.0
"""Seconds after which is checked in any case: what an incident says can free pings at any time."""

DRAIN_PAUSE = 0.2
"""Seconds to wait for shares that came before and are not planned yet."""


class CatchUps:
    """Makes up for held pings, one channel after the other."""

    def __init__(
        self, shared: DeliveryContext, live: Callable[[], Configuration], surroundings: Callable[[], Surroundings]
    ) -> None:
        """`live` returns the live configuration, `surroundings` what else decides when relay speaks."""
        self._live = live
        self._surroundings = surroundings
        self.wakeup = WakeEvent()
        self._shared = shared
        self._configuration = ""

    async def run(self, stopping: asyncio.Event) -> None:
        """Make up for what is free, until `stopping` is set."""
        clock = self._shared.clock
        while not stopping.is_set():
            await self._look_at_held()
            until = await self._turn()
            await self._shared.store.close_held_lists(clock.now(), lease=self._shared.lease)
            await clock.wait_idle(self.wakeup, until)

    async def _look_at_held(self) -> None:
        """Where the rules have changed, ask again what holds each card and ping."""
        live = self._live()
        if live.hash == self._configuration:
            return
        held = await self._shared.store.look_at_held(self._shared.clock.now(), lease=self._shared.lease)
        self._configuration = live.hash
        if held:
            self._shared.wake_all()

    async def _turn(self) -> float:
        """Make up for everything that is due; return when to look again."""
        store, clock = self._shared.store, self._shared.clock
        while True:
            now, surroundings = clock.now(), self._surroundings()

            def decide(channel: str, cards: Sequence[tuple[Card, IncidentState]], mutes: tuple[Mute, ...]) -> CatchUp:
                around = replace(surroundings, mutes=mutes)  # noqa: B023  it is called before the next turn
                return catch_up(channel, cards, around, now)  # noqa: B023

            made = await store.catch_up_next(now, decide, lease=self._shared.lease)
            if not isinstance(made, CatchUp):
                return now + DRAIN_PAUSE if made == now else min(made or now + CHECK_EVERY, now + CHECK_EVERY)
            if not made.cards:
                return now + CHECK_EVERY
            if made.lines:
                _log_made(made)


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
