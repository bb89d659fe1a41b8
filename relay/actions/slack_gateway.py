"""Slack's methods for people, each within its budget; and a private word to one of them."""

from collections.abc import Awaitable, Callable

import structlog

from relay.ratelimit.throttle import Throttle
from relay.slack.client import SlackClient
from relay.slack.methods import Method
from relay.slack.outcomes import Delivered, Read, Retryable, SlackOutcome

log = structlog.get_logger("relay.desk")


class SlackGateway:
    """Calls that somebody waits for: they take their turn in the budgets that delivery lives by, too."""

    def __init__(self, slack: SlackClient, turns: Throttle) -> None:
        """Take turns in the budgets of whoever else calls this workspace."""
        self.client = slack
        self._turns = turns

    @property
    def waiting(self) -> int:
        """How many calls wait for their budget."""
        return self._turns.waiting

    async def call(self, method: Method, verb: Callable[[], Awaitable[SlackOutcome]]) -> SlackOutcome:
        """Make a call once its budget allows; a refusal for haste pauses the method."""
        await self._turns.acquire(method)
        answer = await verb()
        if isinstance(answer, Retryable) and answer.pauses:
            self._turns.pause(method, answer.retry_after)
        return answer

    async def post_ephemeral(self, channel: str, user: str, text: str, thread_ts: str = "") -> None:
        """Tell one person something. What is lost of it costs nobody anything but the word itself."""
        answer = await self.call(
            Method.EPHEMERAL, lambda: self.client.post_ephemeral(channel, user, text, thread_ts=thread_ts or None)
        )
        if not isinstance(answer, Read | Delivered):
            log.warning("whisper_lost", channel=channel, user=user, reason=answer.reason)
