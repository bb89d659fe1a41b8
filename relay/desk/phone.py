"""Slack's methods for people, each within its budget; and a private word to one of them."""

from collections.abc import Awaitable, Callable

import structlog

from relay.clock import Clock
from relay.pacing import Budgets
from relay.slack import Slack
from relay.verdict import Answer, Deferred, Delivered, Method, Read

log = structlog.get_logger("relay.desk")


class Phone:
    """Calls that somebody waits for: they take their turn in the budgets that delivery lives by, too.

    `waiting` is how many of them wait for their budget.
    """

    def __init__(self, slack: Slack, budgets: Budgets, clock: Clock) -> None:
        """Share the budgets with whoever else calls this workspace."""
        self.slack = slack
        self.waiting = 0
        self._budgets = budgets
        self._clock = clock

    async def call(self, method: Method, verb: Callable[[], Awaitable[Answer]]) -> Answer:
        """Make a call once its budget allows; a refusal for haste pauses the method."""
        self.waiting += 1
        try:
            while (ready := self._budgets.ready_at(method, "", self._clock.now())) > self._clock.now():
                await self._clock.sleep(ready - self._clock.now())
        finally:
            self.waiting -= 1
        self._budgets.spend(method, "", self._clock.now())
        answer = await verb()
        if isinstance(answer, Deferred) and answer.pauses:
            now = self._clock.now()
            self._budgets.pause(method, None if answer.retry_after is None else now + answer.retry_after, now)
        return answer

    async def whisper(self, channel: str, user: str, text: str, thread_ts: str = "") -> None:
        """Tell one person something. What is lost of it costs nobody anything but the word itself."""
        answer = await self.call(
            Method.EPHEMERAL, lambda: self.slack.whisper(channel, user, text, thread_ts=thread_ts or None)
        )
        if not isinstance(answer, Read | Delivered):
            log.warning("whisper_lost", channel=channel, user=user, reason=answer.reason)
