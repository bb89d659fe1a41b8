"""BigPanda's calls within their budgets, and what all of their answers together say of it."""

from collections.abc import Awaitable, Callable

from relay.bigpanda import BigPanda
from relay.clock import Clock
from relay.pacing import BIGPANDA_LIMITS, Budgets
from relay.ruling import Call, Done, Kind, Later, Refused, Ruling


class Line:
    """Everything that is asked of BigPanda goes over it, whoever asks.

    `trouble` says why BigPanda takes nothing from relay, where that is for somebody to mend (empty: it does);
    `answers` whether it has ever answered what it was asked, so that the region is the right one; `waiting` how many
    calls wait for their budget.
    """

    def __init__(self, panda: BigPanda, clock: Clock) -> None:
        """Lead to BigPanda."""
        self.panda = panda
        self.trouble = ""
        self.answers = False
        self.waiting = 0
        self._clock = clock
        self._budgets = Budgets(limits=BIGPANDA_LIMITS, channel_limits={})

    async def call(self, call: Call, verb: Callable[[], Awaitable[Ruling]]) -> Ruling:
        """Make a call once its budget allows."""
        await self.afford(call)
        return self.heard(call, await verb())

    async def afford(self, call: Call) -> None:
        """Wait until a call's budget allows it, and spend it."""
        self.waiting += 1
        try:
            while (ready := self._budgets.ready_at(call, "", self._clock.now())) > self._clock.now():
                await self._clock.sleep(ready - self._clock.now())
        finally:
            self.waiting -= 1
        self._budgets.spend(call, "", self._clock.now())

    def heard(self, call: Call, ruling: Ruling) -> Ruling:
        """Learn from an answer: whether BigPanda knows relay's key, and how fast it may be asked."""
        match ruling:
            case Done():
                self.answers, self.trouble = True, ""
            case Refused(kind=Kind.CREDENTIALS, remedy=remedy):
                self.trouble = remedy
            case Later(pauses=True, retry_after=after):
                now = self._clock.now()
                self._budgets.pause(call, None if after is None else now + after, now)
            case _:
                pass
        return ruling
