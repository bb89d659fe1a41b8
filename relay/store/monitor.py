"""Watches what may go wrong with the database while nobody writes: its files, and the clock of its server."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from relay.model.errors import StoreError
from relay.runtime.clock import Clock
from relay.store.store import Store

log = structlog.get_logger("relay.store")

CHECK_EVERY = 2.0
"""Seconds between two checks, of real time, whatever clock relay has."""

MAX_SKEW = 5.0
"""Seconds by which the clocks of relay and PostgreSQL may differ before relay reports it."""

MAX_STEP = 2.0
"""Seconds by which a clock may be set back before what is stored moves back too."""

REMEMBERED_FOR = 30.0
"""Seconds for which a relay that does not deliver remembers a step of the clock: it may deliver next."""


class StoreMonitor:
    """Checks the database every few seconds. `skew` says how far the machine's clock is ahead of PostgreSQL's."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        is_leader: Callable[[], bool],
        on_problem: Callable[[Sequence[str]], None],
        on_change: Callable[[], None],
    ) -> None:
        """Make `clock` follow PostgreSQL's.

        `is_leader` says whether this relay moves what is due: of several, one does. `on_problem` gets each new problem,
        in a sentence, and nothing once there is none. `on_change` is called when due moments have changed.
        """
        self.skew = 0.0
        self._store = store
        self._clock = clock
        self._is_leader = is_leader
        self._on_problem = on_problem
        self._on_change = on_change
        self._last = clock.now(), clock.monotonic()
        self._set_back, self._set_back_at = 0.0, 0.0
        self._was_leader = False
        self._problem: str | None = None
        self._reported_skew = False

    @property
    def skew_problem(self) -> str:
        """What is wrong with the machine's clock, and what to do; empty if it agrees with PostgreSQL's."""
        if abs(self.skew) <= MAX_SKEW:
            return ""
        direction = "ahead of" if self.skew > 0 else "behind"
        return (
            f"This machine's clock is {abs(self.skew):.0f} s {direction} PostgreSQL's. Relay uses PostgreSQL's: "
            "set the wrong one (both with NTP)."
        )

    async def start(self) -> None:
        """Check for the first time, before relay does anything with a time."""
        await self.check()
        self._set_back = 0.0  # PostgreSQL's clock may be behind the machine's; nothing was planned by that one

    async def run(self) -> None:
        """Check again and again, until cancelled."""
        while True:
            await self.check()
            await asyncio.sleep(CHECK_EVERY)

    async def check(self) -> None:
        """Check once."""
        try:
            await self._store.check_files()
        except StoreError as error:
            self._report(str(error))
            return
        self._report("")
        try:
            self._follow(await self._store.clock_offset())
            self._notice_step()
            if self._is_leader() or not self._store.shared:
                await self._move_back()
            else:  # another relay may use what this one would move
                self._was_leader = False
        except StoreError:
            return  # /readyz and everything that writes says so

    def _report(self, problem: str) -> None:
        if problem == self._problem:
            return
        if problem:
            log.error("database_unusable", detail=problem)
        elif self._problem:
            log.info("database_usable", detail="The files that relay has open are at their paths again.")
        self._on_problem([problem] if problem else [])
        self._problem = problem

    def _notice_step(self) -> None:
        """Remember by how much the clock was set back since the last call, against the time that has passed."""
        (before, began), self._last = self._last, (self._clock.now(), self._clock.monotonic())
        now, ended = self._last
        if (seconds := (ended - began) - (now - before)) > MAX_STEP:
            self._set_back, self._set_back_at = self._set_back + seconds, ended
        elif ended - self._set_back_at > REMEMBERED_FOR:
            self._set_back = 0.0

    async def _move_back(self) -> None:
        """Move back what is stored, until that has succeeded. At first, what is stored says by how much."""
        seconds = self._set_back
        if not self._was_leader:
            seconds = max(seconds, await self._store.seconds_ahead(self._clock.now()))
        if seconds > MAX_STEP:
            await self._store.move_back(self._clock.now(), seconds)
            log.warning("clock_set_back", seconds=round(seconds), detail="What is due moves back with the clock.")
            self._on_change()
        self._set_back, self._was_leader = 0.0, True

    def _follow(self, offset: float) -> None:
        self.skew = -offset
        if self._store.shared:
            self._clock.follow(offset)
        if bool(self.skew_problem) != self._reported_skew:
            self._reported_skew = not self._reported_skew
            log.warning("clock_skewed", skew=round(self.skew, 1), detail=self.skew_problem or "the clocks agree again")
