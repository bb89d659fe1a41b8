"""Reads shares where they block nothing: a small one in the event loop, a larger one in a worker process.

Reading 1 MB takes up to 0.3 seconds, and holds Python's interpreter lock for up to 50 ms, so a thread would not do.
Bodies of medium size do not wait for the largest ones, because each of the two sizes has its worker. A worker parses
one body at a time, of each sender, and of the inbox, in turn.
"""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any, TypeVar

from relay.bigpanda.webhook.parsing import identify_share, parse_identified
from relay.bigpanda.webhook.share import ReceivedShare, Share
from relay.model.errors import TooCostly
from relay.model.struct import replace
from relay.runtime.fair_queue import FairTurn
from relay.runtime.worker_process import WorkerFailed, WorkerProcess

T = TypeVar("T")

SMALL_BODY = 64 * 1024
"""Bytes up to which a body is read in the event loop, in at most 20 ms."""

MEDIUM_BODY = 1024**2
"""Bytes up to which a body does not wait for larger ones."""

_PLANNER = "planner"
"""Whose turn it is when a share of the inbox is parsed."""

PARSE_SECONDS = 30.0
"""Processor time in which a share is read. The largest takes about 5 seconds."""


def _parse_large(share: ReceivedShare) -> Share:
    """A large body is not sent back from the worker."""
    return replace(parse_identified(share), body=b"")


def _parse_each(shares: Mapping[int, ReceivedShare]) -> dict[int, Share | Exception]:
    parsed: dict[int, Share | Exception] = {}
    for key, share in shares.items():
        try:
            parsed[key] = parse_identified(share)
        except Exception as error:  # noqa: BLE001  it stays with the share
            parsed[key] = error
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
        if len(body) <= SMALL_BODY:
            return identify_share(body, headers, received, key_header=self._key_header)
        identify = partial(identify_share, key_header=self._key_header)
        return await self._in_worker(len(body), sender, identify, body, dict(headers), received)

    async def parse_all(self, shares: Mapping[int, ReceivedShare]) -> dict[int, Share | Exception]:
        """Parse shares of the inbox; return for each, by its id, the share or why it cannot be parsed.

        The small ones are parsed together in a thread. A larger one is returned without its body; shares of the inbox
        have a turn of their own. Raises OSError: no process can be started to read a larger one.
        """
        small = {key: share for key, share in shares.items() if len(share.body) <= SMALL_BODY}
        parsed = await asyncio.to_thread(_parse_each, small) if small else {}
        for key, share in shares.items():
            if key in parsed:
                continue
            try:
                parsed[key] = await self._in_worker(len(share.body), _PLANNER, _parse_large, share)
            except OSError:
                raise
            except Exception as error:  # noqa: BLE001  it stays with the share
                parsed[key] = error
        return parsed

    async def close(self) -> None:
        """End the workers."""
        for worker, _ in (self._medium, self._large):
            await worker.close()

    async def _in_worker(self, size: int, sender: Hashable, read: Callable[..., T], *args: Any) -> T:
        """Read a body of so many bytes in the worker for its size, when it is the sender's turn."""
        worker, turn = self._medium if size <= MEDIUM_BODY else self._large
        try:
            async with turn.hold(sender):
                return await worker.call(PARSE_SECONDS, read, *args)
        except WorkerFailed as error:
            raise TooCostly(f"The body of {size} bytes could not be parsed: {error}. Send a smaller one.") from error
