"""Makes up for held pings when they are due, and closes the lists of held cards.

What an edit of the configuration may have freed is looked at at once.
"""

import asyncio
from collections.abc import Callable, Sequence
from math import inf

import structlog

from relay.cards.attention import Surroundings
from relay.cards.holding import CatchUp, catch_up
from relay.cards.model import Card, IncidentState
from relay.cards.mutes import Mute
from relay.config.configuration import Configuration
from relay.delivery.context import DeliveryContext, card_fields
from relay.delivery.storms import Storms
from relay.model.counting import counted
from relay.model.struct import replace
from relay.runtime.clock import WakeEvent
from relay.runtime.logging import REPORT_IT, utc

log = structlog.get_logger("relay.delivery")

LOOK_AGAIN_AFTER = 10.0
"""Seconds after which is looked again at what is due and has to wait: for shares, or for a reply on its way."""

LISTS_EVERY = 60.0
"""Seconds between two looks at the held lists, unless one of them ends."""


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
        self._lists_looked_at = -inf
        self._list_ends: float | None = None
        self._storms = Storms(shared)

    async def run(self, stopping: asyncio.Event) -> None:
        """Make up for what is free, until `stopping` is set."""
        clock = self._shared.clock
        while not stopping.is_set():
            await self._look_at_held()
            moments = (await self._make_up(), await self._close_lists(), await self._storms.turn())
            await clock.wait_idle(self.wakeup, min((each for each in moments if each is not None), default=None))

    async def _look_at_held(self) -> None:
        """Where the rules have changed, ask again what holds each card and ping."""
        live = self._live()
        if live.hash == self._configuration:
            return
        held = await self._shared.store.look_at_held(self._shared.clock.now(), lease=self._shared.lease)
        self._configuration = live.hash
        if held:
            self._shared.wake_all()

    async def _make_up(self) -> float | None:
        """Make up for everything that is due; return when to look again (None: when woken)."""
        store, clock = self._shared.store, self._shared.clock
        while (due := await store.next_catch_up_due()) is not None and due <= clock.now():
            now, surroundings = clock.now(), self._surroundings()

            def decide(channel: str, cards: Sequence[tuple[Card, IncidentState]], mutes: tuple[Mute, ...]) -> CatchUp:
                around = replace(surroundings, mutes=mutes)  # noqa: B023  it is called before the next turn
                return catch_up(channel, cards, around, now)  # noqa: B023

            made = await store.catch_up_next(now, decide, lease=self._shared.lease)
            if made is None or not made.cards:
                return now + LOOK_AGAIN_AFTER
            for card in made.failed:
                detail = f"Unexpected error while relay made up for a ping; it tries again later. {REPORT_IT}"
                log.error("catch_up_failed", **card_fields(card), detail=detail)
            if made.lines:
                _log_made(made)
        return due

    async def _close_lists(self) -> float | None:
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
