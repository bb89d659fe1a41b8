"""Calls wait until the rate limits allow them, and a rate-limited answer pauses its method."""

import asyncio
from collections import Counter

from relay.ratelimit.budgets import Budgets
from relay.runtime.clock import Clock


class Throttle:
    """Makes calls wait for their budget. `waiting` are the tasks that wait: only time moves them on.

    The budgets count by the monotonic clock, so that a clock that is set blocks no call, and allows none too early.
    """

    def __init__(self, budgets: Budgets, clock: Clock) -> None:
        """Apply these budgets. All users of one throttle share them."""
        self.waiting: set[asyncio.Task[object] | None] = set()
        self._budgets = budgets
        self._clock = clock
        self._reserved: Counter[tuple[str, str]] = Counter()

    def blocked_until(self, method: str, channel: str = "") -> float | None:
        """Return the earliest moment at which a call may be made; None if it may be made now."""
        now = self._clock.monotonic()
        ready_at = self._budgets.ready_at(method, channel, now)
        return self._clock.now() + (ready_at - now) if ready_at > now else None

    def is_strained(self, method: str) -> bool:
        """Return whether half of the calls that may be made at once are spent, so that what can wait should wait."""
        return self._budgets.is_strained(method, self._clock.monotonic())

    def reserve(self, method: str, channel: str = "") -> None:
        """Spend the budget of a call that is made soon: its `acquire` then does not wait."""
        self._budgets.spend(method, channel, self._clock.monotonic())
        self._reserved[method, channel] += 1

    async def reserve_when_ready(self, method: str) -> None:
        """Wait until the budget allows a call, and reserve it."""
        await self._wait(method, "")
        self.reserve(method)

    async def acquire(self, method: str, channel: str = "") -> None:
        """Use a reservation, or wait until the budget allows a call, and spend it."""
        if self._reserved[method, channel]:
            self._reserved[method, channel] -= 1
        else:
            await self._wait(method, channel)
            self._budgets.spend(method, channel, self._clock.monotonic())
        self._reserved += Counter()  # drops the zeros

    def pause(self, method: str, retry_after: float | None, channel: str = "") -> float:
        """Stop a rate-limited method for so many seconds (None: the answer did not say); return the end."""
        now = self._clock.monotonic()
        until = self._budgets.pause(method, None if retry_after is None else now + retry_after, now, channel)
        return self._clock.now() + (until - now)

    def pauses(self) -> dict[str, float]:
        """Return the methods that a rate-limited answer has paused, and for how many more seconds."""
        now = self._clock.monotonic()
        return {method: until - now for method, until in self._budgets.paused_until(now).items()}

    async def _wait(self, method: str, channel: str) -> None:
        task = asyncio.current_task()
        self.waiting.add(task)
        try:
            while (until := self.blocked_until(method, channel)) is not None:
                await self._clock.sleep(until - self._clock.now())
        finally:
            self.waiting.discard(task)
