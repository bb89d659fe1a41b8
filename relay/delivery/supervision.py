"""Restarts a component that failed, without interrupting the others."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from relay.model.errors import LeaseLost, StoreError
from relay.ratelimit.budgets import backoff
from relay.runtime.clock import Clock, WakeEvent

log = structlog.get_logger("relay")

STORE_RETRY_PAUSE = 3.0
"""Seconds until a component begins again after the store failed."""

FORGET_CRASH_AFTER = 600.0
"""Seconds after which the next crash of a component counts as its first."""

_CLOCK_RESOLUTION = 1e-6


async def supervise(
    name: str, work: Callable[[], Awaitable[None]], wakeup: WakeEvent, stopping: asyncio.Event, clock: Clock
) -> None:
    """Run a component until `stopping` is set; begin again, after a pause, when it fails.

    Raises:
        LeaseLost: another relay is the leader now.
    """
    tries = 0
    while not stopping.is_set():
        began = clock.monotonic()
        try:
            await work()
        except LeaseLost:
            raise
        except StoreError as error:
            log.error("component_interrupted", component=name, detail=str(error))  # noqa: TRY400  the message says it all
            pause = STORE_RETRY_PAUSE
        except Exception as error:
            if isinstance(error, ExceptionGroup) and error.subgroup(LeaseLost):
                raise
            tries = 1 if clock.monotonic() - began > FORGET_CRASH_AFTER else tries + 1
            pause = backoff(tries, name)
            log.exception("component_crashed", component=name, detail=repr(error), retry_in=round(pause))
        else:
            continue
        await _pause(wakeup, pause, stopping, clock)


async def _pause(wakeup: WakeEvent, seconds: float, stopping: asyncio.Event, clock: Clock) -> None:
    """Wait this long, or until `stopping` is set. What sets `wakeup` does not end it: the crash itself may set it."""
    ends_at = clock.monotonic() + seconds
    while not stopping.is_set() and (left := ends_at - clock.monotonic()) > 0:
        await clock.wait_idle(wakeup, clock.now() + left + _CLOCK_RESOLUTION)
