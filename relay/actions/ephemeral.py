"""Sends a message that one person in a channel sees."""

import structlog

from relay.slack.gateway import SlackGateway
from relay.slack.outcomes import Delivered, Read

log = structlog.get_logger("relay.interactions")


async def send_ephemeral(slack: SlackGateway, channel: str, user: str, text: str, thread_ts: str | None = None) -> None:
    """Send it; a message that Slack does not accept is only logged."""
    answer = await slack.post_ephemeral(channel, user, text, thread_ts=thread_ts)
    if not isinstance(answer, Read | Delivered):
        detail = "the person did not get relay's message about what they did"
        log.warning("ephemeral_failed", channel=channel, user=user, reason=answer.reason, detail=detail)
