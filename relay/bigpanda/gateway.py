"""The one way in which relay calls BigPanda."""

import asyncio
from collections.abc import Callable

import aiohttp
import structlog

from relay.bigpanda.calls import RATE_LIMITS, BigPandaCall
from relay.bigpanda.client import BASE_URL, TIMEOUT, BigPandaClient, BigPandaRequest
from relay.bigpanda.outcomes import RejectionCause, TaskDone, TaskOutcome, TaskRejected, TaskRetryable
from relay.ratelimit.budgets import Budgets
from relay.ratelimit.throttle import Throttle
from relay.runtime.clock import Clock
from relay.runtime.logging import utc

log = structlog.get_logger("relay.bigpanda")

Observer = Callable[[BigPandaCall, TaskOutcome, float], None]
"""Gets the call, the outcome and the seconds of each call. It must not raise."""


class BigPandaGateway(BigPandaClient):
    """BigPanda's API by one key, with everything that bounds the calls.

    Each call waits for its rate limit, and reports its outcome to the throttle, the observer and the log. `problem`
    says what an operator has to do before BigPanda accepts relay's key; empty while it accepts it. `has_answered` is
    set once BigPanda has answered any call with success, so that the region of the address is right.
    """

    def __init__(  # noqa: PLR0913  each has a name
        self,
        session: aiohttp.ClientSession,
        key: str,
        clock: Clock,
        *,
        base_url: str = BASE_URL,
        timeout: float = TIMEOUT,
        observer: Observer | None = None,
    ) -> None:
        """Use a session that is closed after this gateway.

        Raises `SettingsError` where `base_url` is no http or https address, and where no header can hold the key.
        """
        super().__init__(session, key, base_url=base_url, timeout=timeout)
        self.throttle = Throttle(Budgets(limits=RATE_LIMITS, channel_limits={}), clock)
        self.problem = ""
        self.has_answered = False
        self._observer = observer or (lambda _call, _outcome, _seconds: None)

    async def _send(self, request: BigPandaRequest) -> TaskOutcome:
        await self.throttle.acquire(request.call)
        clock = asyncio.get_running_loop().time
        started = clock()
        outcome = await super()._send(request)
        self._observer(request.call, outcome, clock() - started)
        detail = f"BigPanda answered {request.call.value}: {outcome.outcome} ({outcome.reason})."
        log.debug(
            "bigpanda_called", call=request.call.value, outcome=outcome.outcome, reason=outcome.reason, detail=detail
        )
        match outcome:
            case TaskDone():
                self.has_answered, self.problem = True, ""
            case TaskRejected(cause=RejectionCause.CREDENTIALS, remedy=remedy):
                self.problem = remedy
            case TaskRetryable(pauses=True, retry_after=after):
                until = self.throttle.pause(request.call, after)
                detail = f"BigPanda rate-limits {request.call.value}; relay waits until {utc(until)}."
                log.warning(
                    "bigpanda_rate_limited",
                    call=request.call.value,
                    until=utc(until),
                    retry_after_seconds=after,
                    detail=detail,
                )
            case _:
                pass
        return outcome
