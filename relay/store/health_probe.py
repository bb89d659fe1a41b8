"""Whether a share could be kept now: the database is written a little, and whoever asks does not wait for ever."""

import asyncio

from relay.model.errors import StoreError
from relay.store import Store

TIMEOUT = 3.0
"""Seconds within which the database has to answer whoever asks. A share itself is given longer."""


class HealthProbe:
    """Feels the database's pulse, once for all who ask at the same time: probes must not queue up behind a lock."""

    def __init__(self, store: Store, timeout: float = TIMEOUT) -> None:
        """Ask this store."""
        self._store = store
        self._patience = timeout
        self._beat: asyncio.Task[None] | None = None

    async def problem(self) -> str:
        """What is wrong with the database, in a sentence; empty where a share could be kept."""
        if self._beat is None or self._beat.done():
            self._beat = asyncio.create_task(self._store.check_writable(), name="pulse")
            self._beat.add_done_callback(_heard)
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.shield(self._beat)
        except TimeoutError:
            return str(self._store.unresponsive(self._patience))
        except StoreError as error:
            return str(error)
        return ""


def _heard(beat: asyncio.Task[None]) -> None:
    """Take note of what came of it, though nobody may be waiting any more."""
    if not beat.cancelled():
        beat.exception()
