"""Waiting work of several senders: one item of each in turn, so that nobody's many items delay another's few.

The items of one sender keep their order.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable, Iterable
from contextlib import asynccontextmanager, suppress
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items by their senders. The sender whose item was taken is the last to have its turn again."""

    def __init__(self) -> None:
        self._by_sender: dict[Hashable, deque[T]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_sender)

    @property
    def items(self) -> Iterable[T]:
        """All items, sender by sender."""
        return chain.from_iterable(self._by_sender.values())

    @property
    def next(self) -> T:
        """The item that `take` returns."""
        return next(iter(self._by_sender.values()))[0]

    @property
    def heads(self) -> Iterable[T]:
        """The oldest item of each sender."""
        return (items[0] for items in self._by_sender.values())

    def put(self, sender: Hashable, item: T) -> None:
        """Add an item behind the others of its sender."""
        self._by_sender.setdefault(sender, deque()).append(item)

    def put_back(self, sender: Hashable, item: T) -> None:
        """Add an item that was taken: it is the next one. Several keep their order if the last is put back first."""
        items = self._by_sender.pop(sender, deque())
        items.appendleft(item)
        self._by_sender = {sender: items, **self._by_sender}

    def take(self) -> T:
        """Remove the next item and return it; raises StopIteration where there is none."""
        sender, items = next(iter(self._by_sender.items()))
        item = items.popleft()
        del self._by_sender[sender]
        if items:
            self._by_sender[sender] = items
        return item

    def discard(self, sender: Hashable, item: T) -> None:
        """Remove an item, if it still waits."""
        items = self._by_sender.get(sender, deque())
        with suppress(ValueError):
            items.remove(item)
        if not items:
            self._by_sender.pop(sender, None)


class FairTurn:
    """A lock that its senders hold in turn."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    @asynccontextmanager
    async def hold(self, sender: Hashable) -> AsyncIterator[None]:
        """Wait for the turn, and keep it until the block ends."""
        if self._held:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.put(sender, turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._waiting.discard(sender, turn)
                if turn.done() and not turn.cancelled():
                    self._pass_on()  # its turn had come, and it will not use it
                raise
        self._held = True
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        """Give the turn to the next that still waits. It stays held meanwhile, so that nobody comes in between."""
        while self._waiting:
            if not (turn := self._waiting.take()).done():
                turn.set_result(None)
                return
        self._held = False
