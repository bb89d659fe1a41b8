"""The heartbeat: relay calls an address every minute. If the calls stop, another service raises an alarm.

Only the relay that delivers calls it, and only while it can store shares and Slack takes messages. So the people who
watch the address learn when incidents reach nobody, for any reason. The address is a secret: anybody who knows it can
fake a heartbeat.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import aiohttp
import structlog

from relay.cards.eligibility import EVERY_WORK, Work
from relay.http.session import proxy_for
from relay.model.errors import LeaseLost
from relay.runtime.clock import Clock, WakeEvent
from relay.runtime.logging import LastingProblem
from relay.store.types import Lease

EVERY: Final = 60.0
"""Seconds between two calls."""

TIMEOUT: Final = aiohttp.ClientTimeout(total=5.0)

_SUCCESSFUL: Final = range(200, 300)

log = structlog.get_logger("relay.heartbeat")


class Heartbeat:
    """Calls the address. It is a job of its own, so a slow call delays nothing else."""

    def __init__(
        self, url: str, session: aiohttp.ClientSession, clock: Clock, problem: Callable[[], Awaitable[str]]
    ) -> None:
        """`problem` returns why incidents do not reach people now; empty if they do."""
        self._url = url
        self._session = session
        self._clock = clock
        self._problem = problem
        self._stopped = WakeEvent()
        self._failing, self._withheld = LastingProblem(log), LastingProblem(log)

    def wake(self, work: Collection[Work] = EVERY_WORK, *, everything: bool = False) -> None:  # noqa: ARG002  of all jobs
        """Notice a stop at once; no call is made sooner."""
        if everything:
            self._stopped.set()

    async def run(self, _lease: Lease | None, stopping: asyncio.Event) -> None:
        """Call the address until `stopping` is set. Raises LeaseLost: another relay delivers now."""
        due = self._clock.now()
        while not stopping.is_set():
            if self._clock.now() >= due:
                due = self._clock.now() + EVERY
                await self._beat()
            await self._clock.wait_idle(self._stopped, due)

    async def _beat(self) -> None:
        if problem := await self._problem():
            self._withheld.report("warning", "heartbeat_withheld", detail=problem)
            return
        self._withheld.over()
        try:
            async with self._session.get(self._url, timeout=TIMEOUT, proxy=proxy_for(self._url)) as answer:
                failure = "" if answer.status in _SUCCESSFUL else f"its status is {answer.status}"
        except LeaseLost:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = type(error).__name__  # its text may contain the address
        if failure:
            detail = f"The call to RELAY_HEARTBEAT_URL failed ({failure}). Relay itself continues."
            self._failing.report("warning", "heartbeat_failed", detail=detail)
        else:
            self._failing.over()
