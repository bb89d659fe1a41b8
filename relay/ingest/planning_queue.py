"""Shares of the inbox that wait for planning in this process, and which of them are planned together.

Shares that have just arrived come first, in their order. They are planned in slices, when no more arrive or the oldest
has waited long enough, so that a flood is accepted quickly. Shares that were found in the database come behind them.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from relay.runtime.fair_queue import FairQueue
from relay.store.types import UnplannedShare

SLICE, SLICE_WHEN_QUIET = 30, 120
"""The most shares of one transaction while others arrive, and while none does.

Accepting waits for it: for 30 about a hundredth of a second. Planning many at a time takes less processor time.
"""

QUIET, LONGEST_WAIT = 0.03, 1.0
"""Seconds without another share after which planning begins, and seconds after which it begins in any case."""

SLICE_BYTES = 256 * 1024
"""The most bytes of bodies in one slice; its first share may have more."""


@dataclass(frozen=True, slots=True)
class WaitingShare:
    """A share of the inbox, and since when it waits.

    One that was `found` in the database comes behind those that were received a moment ago. `counted`: should this
    process end now, nothing more has to be saved for the share to be due again.
    """

    share: UnplannedShare
    since: float
    sender: int
    found: bool
    counted: bool = True


class PlanningQueue:
    """Shares that wait to be planned, `size` of them together while others arrive."""

    def __init__(self, size: int) -> None:
        self.arrived = asyncio.Event()
        self.received: FairQueue[WaitingShare] = FairQueue()
        self._found: FairQueue[WaitingShare] = FairQueue()
        self._size = size
        self._last_arrival = 0.0

    def add(self, waiting: WaitingShare) -> None:
        """Add a share behind the others of its sender."""
        self._queue_of(waiting).put(waiting.sender, waiting)
        if not waiting.found:
            self._last_arrival = waiting.since
        self.arrived.set()

    def put_back(self, waiting: Sequence[WaitingShare]) -> None:
        """Add shares that could not be planned before all others, in their order."""
        for each in reversed(waiting):
            self._queue_of(each).put_back(each.sender, each)

    def next_slice(self) -> list[WaitingShare]:
        """Take the shares that are planned together; none if none waits.

        A share over which a process may have ended is a slice by itself, so that no other share is suspected.
        """
        queue = self.received or self._found
        if not queue:
            return []
        chosen = [queue.take()]
        room = SLICE_BYTES - chosen[0].share.size
        most = SLICE_WHEN_QUIET if self._size > 1 and self._quiet else self._size
        while queue and len(chosen) < most and not (chosen[0].share.starts or queue.next.share.starts):
            room -= queue.next.share.size
            if room < 0:
                break
            chosen.append(queue.take())
        return chosen

    def _queue_of(self, waiting: WaitingShare) -> FairQueue[WaitingShare]:
        return self._found if waiting.found else self.received

    @property
    def _quiet(self) -> bool:
        """Whether no share has arrived for a moment."""
        return asyncio.get_running_loop().time() >= self._last_arrival + QUIET

    async def wait_for_quiet(self) -> None:
        """Return when no more shares arrive, or when the oldest has waited long enough."""
        now = asyncio.get_running_loop().time
        while self.received:
            oldest = min(each.since for each in self.received.heads)
            if now() >= min(self._last_arrival + QUIET, oldest + LONGEST_WAIT):
                return
            await asyncio.sleep(QUIET)
