"""Reads shares where they block nothing: a small one in the event loop, a larger one in a worker process.

Reading 1 MB takes up to 0.3 seconds, and holds Python's interpreter lock for up to 50 ms, so a thread would not do.
Bodies of medium size do not wait for the largest ones: each of the two sizes has its worker, and reads one at a time,
of each sender, and of the inbox, in turn.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from relay.bigpanda.webhook.parsing import identify_share, parse_share
from relay.bigpanda.webhook.share import ReceivedShare, Share
from relay.model.errors import TooCostly
from relay.model.struct import replace
from relay.runtime.fair_queue import FairTurn
from relay.runtime.worker_process import WorkerFailed, WorkerProcess
from relay.store.types import ShareBody

T = TypeVar("T")

SMALL_BODY = 64 * 1024
"""Bytes up to which a body is read in the event loop, in at most 20 ms."""

MEDIUM_BODY = 1024**2
"""Bytes up to which a body does not wait for larger ones."""

_PLANNER = "planner"
"""Whose turn it is when a share of the inbox is parsed."""

PARSE_SECONDS = 30.0
"""Processor time in which a share is read. The largest takes about 5 seconds."""


def _parse_stored(body: bytes, headers: Mapping[str, str], received: float, *, key_header: str) -> Share:
    """A large body is not sent back from the worker."""
    return replace(parse_share(body, headers, received, key_header=key_header), body=b"")


def _parse_each(bodies: Iterable[ShareBody]) -> dict[int, Share | Exception]:
    parsed: dict[int, Share | Exception] = {}
    for each in bodies:
        try:
            parsed[each.id] = parse_share(each.body, each.headers, each.received)
        except Exception as error:  # noqa: BLE001  it stays with the share
            parsed[each.id] = error
    return parsed


class ShareParser:
    """Reads the bodies of shares. `key_header` is the header that carries the webhook key."""

    def __init__(self, key_header: str) -> None:
        self._key_header = key_header
        self._medium, self._large = (WorkerProcess(), FairTurn()), (WorkerProcess(), FairTurn())

    async def identify(
        self, body: bytes, headers: Mapping[str, str], received: float, sender: int = 0
    ) -> ReceivedShare:
        """Find out whose incident a body is that arrived with these headers at that time (Unix seconds).

        `sender` is the number of the key that it came with.

        Raises:
            ShareError: it is not a share, or it takes too long or too much memory to find out.
            OSError: no process can be started to read it.
        """
        return await self._read(identify_share, body, headers, received, sender)

    async def parse(self, body: bytes, headers: Mapping[str, str], received: float) -> Share:
        """Parse such a body, which is stored: that of the share is empty. Raises as `identify` does.

        Shares of the inbox have a turn of their own.
        """
        return await self._read(_parse_stored, body, headers, received, _PLANNER)

    async def parse_all(self, bodies: Sequence[ShareBody]) -> dict[int, Share | Exception]:
        """Parse bodies of the inbox; return for each, by its id, the share or why it cannot be parsed.

        The small ones are parsed together in a thread. Raises OSError: no process can be started to read a larger one.
        """
        small = [each for each in bodies if len(each.body) <= SMALL_BODY]
        parsed = await asyncio.to_thread(_parse_each, small) if small else {}
        for each in bodies:
            if each.id in parsed:
                continue
            try:
                parsed[each.id] = await self.parse(each.body, each.headers, each.received)
            except OSError:
                raise
            except Exception as error:  # noqa: BLE001  it stays with the share
                parsed[each.id] = error
        return parsed

    async def close(self) -> None:
        """End the workers."""
        for worker, _ in (self._medium, self._large):
            await worker.close()

    async def _read(
        self, read: Callable[..., T], body: bytes, headers: Mapping[str, str], received: float, sender: Hashable
    ) -> T:
        if len(body) <= SMALL_BODY:
            return read(body, headers, received, key_header=self._key_header)
        worker, turn = self._medium if len(body) <= MEDIUM_BODY else self._large
        try:
            async with turn.hold(sender):
                return await worker.call(
                    PARSE_SECONDS, read, body, dict(headers), received, key_header=self._key_header
                )
        except WorkerFailed as error:
            raise TooCostly(
                f"The body of {len(body)} bytes could not be parsed: {error}. Send a smaller one."
            ) from error
