"""Reads a channel or a thread of Slack to its end, page by page."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from relay.slack.gateway import SlackGateway
from relay.slack.outcomes import Read, Rejected, SlackOutcome
from relay.slack.pages import Pages, ReadPage, read_pages
from relay.slack.responses import FoundMessage, messages_of

MAX_PAGES = 25
"""The most pages of one reading: 5,000 messages."""

MAX_SLACK_SKEW = 3600.0
"""Seconds by which relay's clock may differ from Slack's, where a reading is checked for how far back it reaches."""


@dataclass(frozen=True, slots=True)
class MessageHistory:
    """What was read of a channel or a thread. `complete` says that there is no more."""

    messages: tuple[FoundMessage, ...]
    complete: bool

    def covers(self, moment: float) -> bool:
        """Whether a message of that moment (Unix seconds) would be among these."""
        return self.complete or any(float(message.ts) < moment - MAX_SLACK_SKEW for message in self.messages)


async def read_channel(
    slack: SlackGateway, channel: str, oldest: str, *, max_pages: int | None = None
) -> SlackOutcome | MessageHistory:
    """Read the messages of a channel from `oldest` (a ts) on; the answer of Slack where it could not be read."""
    return await _read(slack, channel, partial(slack.history, channel, oldest), max_pages or MAX_PAGES)


async def read_thread(slack: SlackGateway, channel: str, root: str) -> SlackOutcome | MessageHistory:
    """Read a thread by the ts of its root; the answer of Slack where it could not be read."""
    return await _read(slack, channel, partial(slack.replies, channel, root, root), MAX_PAGES)


async def _read(
    slack: SlackGateway, channel: str, read_page: Callable[..., Awaitable[SlackOutcome]], max_pages: int
) -> SlackOutcome | MessageHistory:
    """Read all pages. A public channel that relay was removed from is joined again."""

    async def read_joined(cursor: str | None) -> SlackOutcome:
        answer = await read_page(cursor=cursor)
        left = isinstance(answer, Rejected) and answer.reason == "not_in_channel"
        if left and isinstance(await slack.join(channel), Read):
            answer = await read_page(cursor=cursor)
        return answer

    return await read_messages(read_joined, max_pages)


async def read_messages(read_page: ReadPage, max_pages: int) -> SlackOutcome | MessageHistory:
    """Read all messages by a function for one page of them; the answer of Slack where a page could not be read."""
    pages = await read_pages(read_page, messages_of, max_pages)
    return MessageHistory(pages.items, complete=pages.complete) if isinstance(pages, Pages) else pages
