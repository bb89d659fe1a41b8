"""The one way in which relay calls Slack."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import structlog

from relay.model.struct import replace
from relay.ratelimit.budgets import Budgets
from relay.ratelimit.throttle import Throttle
from relay.runtime.clock import Clock
from relay.runtime.logging import utc
from relay.slack.circuit_breaker import CircuitBreaker
from relay.slack.client import BASE_URL, TIMEOUT, SlackClient
from relay.slack.methods import Method, slack_budgets
from relay.slack.outcomes import Ambiguous, Delivered, Read, Rejected, Retryable, SlackOutcome
from relay.slack.responses import teams_of

log = structlog.get_logger("relay.slack")

_SET_TEAM = "The token is org-wide: set SLACK_TEAM_ID to the workspace whose channels and user groups relay uses"
_MAX_TEAMS = 10
"""How many workspaces a remedy names."""

_MAX_POSTED = 10_000
"""How many messages that relay has posted are remembered."""

Observer = Callable[[Method, SlackOutcome, float], None]
"""Gets the method, the outcome and the seconds of each call. It must not raise."""


class SlackGateway(SlackClient):
    """Slack's Web API by one token, with everything that bounds the calls.

    Each call waits for its rate limit, and is not made while the circuit breaker blocks it. It reports its outcome to
    the throttle, the circuit breaker, the observer and the log. `tests/docs/test_import_contracts.py` checks that no
    call goes around.
    `is_known_message` says whether an earlier post got a `ts` in a channel. No other post can have it, so such an
    answer is not about this post.
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
        team_id: str = "",
    ) -> None:
        """Use a session that is closed after this gateway; `budgets` are those of one workspace, unspent.

        Raises `SettingsError` where `base_url` is no http or https address.
        """
        super().__init__(session, token, base_url=base_url, timeout=timeout, team_id=team_id)
        self.throttle = Throttle(budgets or slack_budgets(), clock)
        self.breaker = CircuitBreaker(self.auth_test, self.throttle, clock)
        self.is_known_message: Callable[[str, str], Awaitable[bool]] = _never
        self._posted: dict[tuple[str, str], None] = {}
        self._observer = observer or (lambda _method, _outcome, _seconds: None)

    async def _list(self, method: Method, arguments: dict[str, Any]) -> SlackOutcome:
        """Call a method that lists something of one workspace; for an org-wide token, find out first which one."""
        answer = await super()._list(method, arguments)
        if self.team_id or not (isinstance(answer, Rejected) and answer.code == "missing_argument"):
            return answer
        found = await self.teams()
        teams = teams_of(found) if isinstance(found, Read) else {}
        if len(teams) != 1:
            names = ", ".join(f"{each} ({name})" if name else each for each, name in list(teams.items())[:_MAX_TEAMS])
            remedy = f"{_SET_TEAM}: {names}." if names else f"{_SET_TEAM} (T..., in the address of Slack in a browser)."
            return replace(answer, reason="workspace_unknown", remedy=remedy)
        self.team_id = next(iter(teams))
        log.info("slack_workspace_found", team_id=self.team_id, detail="The org-wide token is for one workspace.")
        return await super()._list(method, arguments)

    async def _call(self, method: Method, arguments: Mapping[str, Any], how: dict[str, Any]) -> SlackOutcome:
        channel = str(arguments.get("channel") or "")
        await self.throttle.acquire(method, channel)
        if self.breaker.blocks(method):
            return Retryable(reason=self.breaker.reason, remedy=self.breaker.remedy)
        clock = asyncio.get_running_loop().time
        started = clock()
        outcome = await super()._call(method, arguments, how)
        if self.breaker.probe_if_by_another_bot(outcome):
            outcome = Ambiguous(reason="another_bot")
        elif method is Method.POST and isinstance(outcome, Delivered) and await self._is_repeated(outcome):
            outcome = Ambiguous(reason="repeated_ts")
        self._observer(method, outcome, clock() - started)
        detail = f"Slack answered {method.value}: {outcome.outcome} ({outcome.reason})."
        log.debug("slack_called", method=method.value, outcome=outcome.outcome, reason=outcome.reason, detail=detail)
        if isinstance(outcome, Retryable) and outcome.pauses:
            until = self.throttle.pause(method, outcome.retry_after, channel)
            log.warning(
                "slack_rate_limited",
                method=method.value,
                until=utc(until),
                retry_after_seconds=outcome.retry_after,
                detail=f"Slack rate-limits {method.value}; relay waits until {utc(until)}.",
            )
        self.breaker.record(method, outcome)
        return outcome

    async def _is_repeated(self, posted: Delivered) -> bool:
        """Whether an earlier post had the same place. Its own answer counts before another one can."""
        place = posted.channel, posted.ts
        repeated = place in self._posted
        self._posted[place] = None
        if len(self._posted) > _MAX_POSTED:
            del self._posted[next(iter(self._posted))]
        return repeated or await self.is_known_message(*place)


async def _never(_channel: str, _ts: str) -> bool:
    return False
