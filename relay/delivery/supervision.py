"""Restarts a component that failed, without interrupting the others; and waits for a store that fails."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import structlog

from relay.model.errors import LeaseLost, StoreError, StoreUnusable
from relay.ratelimit.budgets import backoff
from relay.runtime.clock import Clock, WakeEvent
from relay.runtime.logging import LastingProblem

log = structlog.get_logger("relay")

T = TypeVar("T")

RESTART_PAUSE = 3.0
"""Seconds until a component begins again after the store failed."""

STORE_RETRY_PAUSE = 1.0
"""Seconds until the store is asked again after it failed, for work or to save a result."""

FORGET_CRASH_AFTER = 600.0
"""Seconds after which the next crash of a component counts as its first."""


async def supervise(  # noqa: PLR0913  each has a name
    name: str,
    work: Callable[[asyncio.Event], Awaitable[None]],
    wakeup: WakeEvent,
    stopping: asyncio.Event,
    clock: Clock,
    *,
    before_restart: Callable[[], None] = lambda: None,
) -> None:
    """Run a component until `stopping` is set; when it fails, begin again after a pause and a call of `before_restart`.

    Raises LeaseLost: another relay is the leader now.
    """
    tries = 0
    while not stopping.is_set():
        began = clock.monotonic()
        try:
            await work(stopping)
        except LeaseLost:
            raise
        except StoreError as error:
            log.warning("component_interrupted", component=name, detail=str(error))
            pause = RESTART_PAUSE
        except Exception as error:
            if isinstance(error, ExceptionGroup) and error.subgroup(LeaseLost):
                raise
            tries = 1 if clock.monotonic() - began > FORGET_CRASH_AFTER else tries + 1
            pause = backoff(tries, name)
            log.exception("component_crashed", component=name, detail=repr(error), retry_in=round(pause))
        else:
            continue
        await _pause(wakeup, pause, stopping, clock)
        before_restart()


async def _pause(wakeup: WakeEvent, seconds: float, stopping: asyncio.Event, clock: Clock) -> None:
    """Wait this long, or until `stopping` is set. Setting `wakeup` does not end it: the crash may set it."""
    ends_at = clock.monotonic() + seconds
    while not stopping.is_set() and clock.monotonic() < ends_at:
        await clock.wait_idle(wakeup, clock.time_at(ends_at))


async def save_result(save: Callable[[], Awaitable[T]], clock: Clock, fields: Mapping[str, str]) -> T:
    """Save the result of a call, with retries while the store is unusable: a lost result is in doubt."""
    problem = LastingProblem(log)
    while True:
        try:
            return await save()
        except StoreUnusable as error:
            problem.report("error", "result_not_saved", **fields, detail=str(error))
            await clock.sleep(STORE_RETRY_PAUSE)
