"""What is done now and then so that the house does not fill up: old shares and ended incidents go."""

import structlog

from relay.clock import Clock
from relay.errors import StoreError
from relay.planning.fold import stub
from relay.store import Store

log = structlog.get_logger("relay.upkeep")

EVERY = 3600.0
"""Seconds between two runs; each deletes a day's worth at the most, whatever the clock says."""


async def upkeep(store: Store, days: int, clock: Clock) -> None:
    """Retire what is older than so many days, every hour, until cancelled."""
    while True:
        try:
            retired = await store.retire(clock.now(), days, stub)
        except StoreError as error:
            log.error("retention_failed", detail=str(error))  # noqa: TRY400  the sentence says it
        else:
            log.info("retired", shares=retired.shares, incidents=retired.incidents)
        await clock.sleep(EVERY)
