"""Parses shares where they block nothing: a small one in the event loop, a larger one in a worker process.

Parsing 1 MB takes up to 0.3 seconds, and holds Python's interpreter lock for up to 50 ms, so a thread would not do.
Bodies of medium size do not wait for the largest ones: each of the two sizes has its worker, and parses one at a time.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.model.errors import TooCostly
from relay.runtime.worker_process import WorkerFailed, WorkerProcess

SMALL_BODY = 64 * 1024
"""Bytes up to which a body is parsed in the event loop, in at most 20 ms."""

MEDIUM_BODY = 1024**2
"""Bytes up to which a body does not wait for larger ones."""

PARSE_TIMEOUT = 30.0
"""Seconds within which a share is parsed. The largest takes about 5."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """A worker and its queue; only the first in the queue uses a thread."""

    worker: WorkerProcess = field(default_factory=WorkerProcess)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ShareParser:
    """Parses the bodies of shares. `key_header` is the header that carries the webhook key."""

    def __init__(self, key_header: str) -> None:
        self._key_header = key_header
        self._medium, self._large = _Lane(), _Lane()

    async def parse(self, body: bytes, headers: Mapping[str, str], received: float) -> Share:
        """Parse a body that arrived with these headers at that time (Unix seconds).

        Raises:
            ShareError: it is not a share, or it takes too long or too much memory to find out.
        """
        if len(body) <= SMALL_BODY:
            return parse_share(body, headers, received, key_header=self._key_header)
        lane = self._medium if len(body) <= MEDIUM_BODY else self._large
        async with lane.lock:
            return await asyncio.to_thread(self._parse, lane.worker, body, dict(headers), received)

    def close(self) -> None:
        """End the workers."""
        for lane in (self._medium, self._large):
            lane.worker.close()

    def _parse(self, worker: WorkerProcess, body: bytes, headers: dict[str, str], received: float) -> Share:
        try:
            try:
                return self._call(worker, body, headers, received)
            except WorkerFailed as failed:
                if not failed.in_time:
                    raise
                return self._call(worker, body, headers, received)  # something else may have ended it
        except (WorkerFailed, MemoryError) as error:
            reason = "took too much memory" if isinstance(error, MemoryError) else str(error)
            raise TooCostly(
                f"The body of {len(body)} bytes could not be parsed: {reason}. Send a smaller one."
            ) from error

    def _call(self, worker: WorkerProcess, body: bytes, headers: dict[str, str], received: float) -> Share:
        return worker.call(PARSE_TIMEOUT, parse_share, body, headers, received, key_header=self._key_header)
