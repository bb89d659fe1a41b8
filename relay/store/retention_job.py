"""Deletes old data once an hour, so that the database does not grow for ever."""

from collections.abc import Callable

import structlog

from relay.cards.merge import stub_record
from relay.model.errors import StoreError
from relay.runtime.clock import Clock
from relay.store.store import Store

log = structlog.get_logger("relay.retention")

RUN_EVERY = 3600.0
"""Seconds between two runs; each deletes the data of one day at most, even if the clock is wrong."""
FIRST_RUN_AFTER = 600.0
"""Seconds from the start to the first run.

The clock of a machine that has just started may be wrong, and a relay that restarts repeatedly must not delete the data
of a day each time.
"""


async def run_retention(store: Store, days: int, clock: Clock, is_leader: Callable[[], bool]) -> None:
    """Delete what is older than so many days, every hour, until cancelled.

    `is_leader` says whether this relay does it: if several share one database, only one may delete the data of a day.
    """
    await clock.sleep(FIRST_RUN_AFTER)
    while True:
        if is_leader():
            try:
                result = await store.apply_retention(clock.now(), days, stub_record)
            except StoreError as error:
                log.warning("retention_failed", detail=str(error))
            else:
                if result.failed:
                    detail = (
                        f"relay deleted the {result.failed} oldest shares that it could not plan: they took too much."
                    )
                    log.error("failed_shares_deleted", shares=result.failed, detail=detail)
                detail = f"relay deleted {result.shares} old shares, and reduced {result.incidents} ended incidents."
                log.info("retention_applied", shares=result.shares, incidents=result.incidents, detail=detail)
        await clock.sleep(RUN_EVERY)
