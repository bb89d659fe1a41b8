"""The open notices. They are in the database; only a notice about the database itself is in memory."""

from math import inf

from relay.reload.messages import ROWS, NoticeTopic
from relay.store.store import Store
from relay.store.types import StoredNotice

UNKNOWN = "unknown"
"""The digest of a notice of which relay does not know what it says."""

_MAY_BE_OPEN = StoredNotice(digest=UNKNOWN, opened_at=-inf)


class OpenNotices:
    """At most one open notice of each kind. Every method raises StoreError if it needs the database, and that fails."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._in_memory: dict[NoticeTopic, StoredNotice | None] = {}

    async def get(self, kind: NoticeTopic) -> StoredNotice | None:
        """Return the open notice; after a restart, one that is not in the database may be open."""
        if ROWS[kind].in_store:
            return await self._store.notice(kind)
        # Several relays share PostgreSQL only, for which relay reports no missing files.
        return self._in_memory.setdefault(kind, None if self._store.shared else _MAY_BE_OPEN)

    async def claim(self, kind: NoticeTopic, digest: str, now: float) -> bool:
        """Open a notice that is not posted yet; return False if another relay has opened it."""
        if ROWS[kind].in_store:
            return await self._store.claim_notice(kind, digest, now)
        self._in_memory[kind] = StoredNotice(digest=digest, opened_at=now)
        return True

    async def update(self, kind: NoticeTopic, shown: StoredNotice) -> None:
        """Remember what an open notice says, and where it is."""
        if ROWS[kind].in_store:
            await self._store.update_notice(kind, shown)
        else:
            self._in_memory[kind] = shown

    async def close(self, kind: NoticeTopic) -> None:
        """Forget a notice."""
        if ROWS[kind].in_store:
            await self._store.close_notice(kind)
        else:
            self._in_memory[kind] = None
