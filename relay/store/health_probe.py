"""Whether a share could be saved now, answered in time even if the database hangs."""

import asyncio

from relay.model.errors import StoreError
from relay.store.store import Store

TIMEOUT = 3.0
"""Seconds within which the database has to answer. A share itself may take longer."""


class HealthProbe:
    """Writes to the database once for all who ask at the same time: probes must not queue up behind a lock."""

    def __init__(self, store: Store, timeout: float = TIMEOUT) -> None:
        self._store = store
        self._timeout = timeout
        self._check: asyncio.Task[None] | None = None

    async def problem(self) -> str:
        """Return what is wrong with the database, in a sentence; empty if a share could be saved."""
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._store.check_writable(), name="health probe")
            # Read the error even if nobody waits any more: asyncio would log it as never retrieved.
            self._check.add_done_callback(lambda check: check.cancelled() or check.exception())
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.shield(self._check)
        except TimeoutError:
            return str(self._store.unresponsive(self._timeout))
        except StoreError as error:
            return str(error)
        return ""
