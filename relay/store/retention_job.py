"""What is done now and then so that the house does not fill up: old shares and ended incidents go."""

from collections.abc import Callable

import structlog

from relay.cards.merge import stub_record
from relay.model.errors import StoreError
from relay.runtime.clock import Clock
from relay.store import Store

log = structlog.get_logger("relay.upkeep")

EVERY = 3600.0
"""Seconds between two runs; each deletes a day's worth at the most, whatever the clock says."""

FIRST = 600.0
"""Seconds from the start to the first run.

The clock of a machine that has just started may be wrong, and a relay that is started again and again must not delete a
day's worth each time.
"""


async def run_retention(store: Store, days: int, clock: Clock, is_leader: Callable[[], bool]) -> None:
    """Retire what is older than so many days, every hour, until cancelled.

    `ours` says whether it is this relay's business: of several on one database one does it, lest each take its day.
    """
    await clock.sleep(FIRST)
    while True:
        if is_leader():
            await _retire(store, days, clock)
        await clock.sleep(EVERY)


async def _retire(store: Store, days: int, clock: Clock) -> None:
    try:
        retired = await store.apply_retention(clock.now(), days, stub_record)
    except StoreError as error:
        log.error("retention_failed", detail=str(error))  # noqa: TRY400  the sentence says it
    else:
        log.info("retired", shares=retired.shares, incidents=retired.incidents)
