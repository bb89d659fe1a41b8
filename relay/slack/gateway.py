"""The one way in which relay calls Slack."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import structlog

from relay.ratelimit.budgets import Budgets
from relay.ratelimit.throttle import Throttle
from relay.runtime.clock import Clock
from relay.slack.circuit_breaker import CircuitBreaker
from relay.slack.client import BASE_URL, TIMEOUT, SlackClient
from relay.slack.methods import Method, slack_budgets
from relay.slack.outcomes import Ambiguous, Retryable, SlackOutcome

log = structlog.get_logger("relay.slack")

Observer = Callable[[Method, SlackOutcome, float], None]
"""Gets the method, the outcome and the seconds of each call. It must not raise."""


class SlackGateway(SlackClient):
    """Slack's Web API by one token, with everything that bounds the calls.

    Each call waits for its rate limit, is not made while the circuit breaker blocks it, and reports its outcome to the
    throttle, the circuit breaker, the observer and the log. `tests/test_gateways.py` checks that no call goes around.
    """

    def __init__(  # noqa: PLR0913  each has a name
        self,
        session: aiohttp.ClientSession,
        token: str,
        clock: Clock,
        *,
        base_url: str = BASE_URL,
        timeout: float = TIMEOUT,
        observer: Observer | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        """Take a session that outlives this; `budgets` are those of one workspace, unspent.

        Raises `SettingsError` where `base_url` is no http or https address.
        """
        super().__init__(session, token, base_url=base_url, timeout=timeout)
        self.throttle = Throttle(budgets or slack_budgets(), clock)
        self.breaker = CircuitBreaker(self.auth_test, self.throttle, clock)
        self._observer = observer or (lambda _method, _outcome, _seconds: None)

    async def _call(self, method: Method, arguments: Mapping[str, Any], how: dict[str, Any]) -> SlackOutcome:
        channel = str(arguments.get("channel") or "")
        await self.throttle.acquire(method, channel)
        if self.breaker.blocks(method):
            return Retryable(reason=self.breaker.reason, remedy=self.breaker.remedy)
        clock = asyncio.get_running_loop().time
        started = clock()
        outcome = await super()._call(method, arguments, how)
        if self.breaker.is_by_another_bot(outcome):
            outcome = Ambiguous(reason="another_bot")
        self._observer(method, outcome, clock() - started)
        log.debug("slack_called", method=method.value, outcome=outcome.outcome, reason=outcome.reason)
        if isinstance(outcome, Retryable) and outcome.pauses:
            until = self.throttle.pause(method, outcome.retry_after, channel)
            log.warning("slack_rate_limited", method=method.value, until=until, retry_after=outcome.retry_after)
        self.breaker.record(method, outcome)
        return outcome
