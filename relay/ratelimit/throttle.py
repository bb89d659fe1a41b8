"""Calls take their turn: each waits until the budgets allow it, and what its answer says of haste goes back to them."""

from relay.ratelimit.budgets import Budgets
from relay.runtime.clock import Clock


class Throttle:
    """The turns in these budgets; `waiting` is how many calls wait for theirs, which nothing but time moves on."""

    def __init__(self, budgets: Budgets, clock: Clock) -> None:
        """Whoever else has these budgets lives by what is spent here, too."""
        self.waiting = 0
        self._budgets = budgets
        self._clock = clock

    async def acquire(self, method: str) -> None:
        """Wait until a method's budget allows a call, and spend it."""
        self.waiting += 1
        try:
            while (ready := self._budgets.ready_at(method, "", self._clock.now())) > self._clock.now():
                await self._clock.sleep(ready - self._clock.now())
        finally:
            self.waiting -= 1
        self._budgets.spend(method, "", self._clock.now())

    def pause(self, method: str, retry_after: float | None, lane: str = "") -> None:
        """A call was refused for haste: its method goes on after so many seconds (None: none were named)."""
        now = self._clock.now()
        self._budgets.pause(method, None if retry_after is None else now + retry_after, now, lane)
