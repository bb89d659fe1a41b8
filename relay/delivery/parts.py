"""The parts of delivery: each looks for its own kind of work when that is due, or when something wakes it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import Final

from relay.cards.eligibility import Work
from relay.runtime.clock import Clock, WakeEvent

LOOK_AGAIN_AFTER: Final = 10.0
"""Seconds until relay looks again at due work that has to wait, such as for a share or a reply on its way."""


async def _nothing() -> None:
    """Begin where there is nothing to prepare."""


@dataclass(frozen=True, slots=True)
class DeliveryPart:
    """One kind of work. `relay/delivery/service.py` has the table of all parts.

    `turn` does everything that is due, and returns when to look again (Unix seconds; None: once something wakes it). It
    may be called at any time. `begin` comes first, also when the part begins again after a failure. A part that
    `calls_slack` waits while Slack accepts no calls. `work` is what wakes it; whatever wakes everything wakes it too.
    """

    name: str
    turn: Callable[[], Awaitable[float | None]]
    _: KW_ONLY
    begin: Callable[[], Awaitable[None]] = _nothing
    calls_slack: bool = False
    work: Work | None = None
    wakeup: WakeEvent = field(default_factory=WakeEvent)

    async def run(self, may_call: Callable[[], bool], clock: Clock, stopping: asyncio.Event) -> None:
        """Look for work until `stopping` is set. `may_call` says whether Slack accepts calls.

        Raises Exception: whatever `turn` raises; the supervision lets the part begin again.
        """
        await self.begin()
        while not stopping.is_set():
            until = await self.turn() if may_call() or not self.calls_slack else None
            await clock.wait_idle(self.wakeup, until)


async def do_due(
    next_due: Callable[[], Awaitable[float | None]], do_next: Callable[[float], Awaitable[bool]], clock: Clock
) -> float | None:
    """Do what is due, one after the other; return when to look again (Unix seconds; None: once something wakes it).

    `next_due` returns when the next is due. `do_next` does the first that is due at that moment, and returns False if
    it has to wait.
    """
    while (due := await next_due()) is not None and due <= clock.now():
        now = clock.now()
        if not await do_next(now):
            return now + LOOK_AGAIN_AFTER
    return due
