"""BigPanda's calls within their budgets, and what all of their answers together say of it."""

from collections.abc import Awaitable, Callable

from relay.bigpanda.calls import RATE_LIMITS, BigPandaCall
from relay.bigpanda.client import BigPandaClient
from relay.bigpanda.outcomes import RejectionCause, TaskDone, TaskOutcome, TaskRejected, TaskRetryable
from relay.ratelimit.budgets import Budgets
from relay.ratelimit.throttle import Throttle
from relay.runtime.clock import Clock


class BigPandaGateway:
    """Everything that is asked of BigPanda goes over it, whoever asks.

    `trouble` says why BigPanda takes nothing from relay, where that is for somebody to mend (empty: it does);
    `answers` whether it has ever answered what it was asked, so that the region is the right one.
    """

    def __init__(self, panda: BigPandaClient, clock: Clock) -> None:
        """Lead to BigPanda."""
        self.client = panda
        self.problem = ""
        self.has_answered = False
        self._turns = Throttle(Budgets(limits=RATE_LIMITS), clock)

    @property
    def waiting(self) -> int:
        """How many calls wait for their budget."""
        return self._turns.waiting

    async def call(self, call: BigPandaCall, verb: Callable[[], Awaitable[TaskOutcome]]) -> TaskOutcome:
        """Make a call once its budget allows."""
        await self.acquire(call)
        return self.record_answer(call, await verb())

    async def acquire(self, call: BigPandaCall) -> None:
        """Wait until a call's budget allows it, and spend it."""
        await self._turns.acquire(call)

    def record_answer(self, call: BigPandaCall, ruling: TaskOutcome) -> TaskOutcome:
        """Learn from an answer: whether BigPanda knows relay's key, and how fast it may be asked."""
        match ruling:
            case TaskDone():
                self.has_answered, self.problem = True, ""
            case TaskRejected(cause=RejectionCause.CREDENTIALS, remedy=remedy):
                self.problem = remedy
            case TaskRetryable(pauses=True, retry_after=after):
                self._turns.pause(call, after)
            case _:
                pass
        return ruling
