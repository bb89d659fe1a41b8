"""Whether a share could be saved now, answered in time even if the database hangs."""

import asyncio

from relay.model.errors import StoreError
from relay.runtime.shared_call import SharedCall
from relay.store.store import Store

TIMEOUT = 3.0
"""Seconds within which the database has to answer. A share itself may take longer."""


class HealthProbe:
    """Writes to the database once for all who ask at the same time: probes must not queue up behind a lock."""

    def __init__(self, store: Store, timeout: float) -> None:
        self._store = store
        self._timeout = timeout
        self._check = SharedCall(store.check_writable)

    async def problem(self) -> str:
        """Return what is wrong with the database, in a sentence; empty if a share could be saved."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._check()
        except TimeoutError:
            return str(self._store.unresponsive(self._timeout))
        except StoreError as error:
            return str(error)
        return ""
