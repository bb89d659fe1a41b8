"""Reads a channel or a thread of Slack to its end, page by page, within the budgets."""

from dataclasses import dataclass

from relay.delivery.context import DeliveryContext
from relay.slack.methods import Method
from relay.slack.outcomes import Read, Rejected, SlackOutcome
from relay.slack.responses import FoundMessage, cursor_of, messages_of

MAX_PAGES = 25
"""The most pages of one reading: 5,000 messages."""

MAX_CLOCK_SKEW = 3600.0
"""Seconds by which relay's clock may differ from Slack's, to judge whether a reading reached back far enough."""


@dataclass(frozen=True, slots=True)
class MessageHistory:
    """What was read of a channel or a thread; `whole` says whether that is all that there is."""

    messages: tuple[FoundMessage, ...]
    complete: bool

    def covers(self, moment: float) -> bool:
        """Whether a message of that moment (Unix seconds) would be among these."""
        return self.complete or any(float(message.ts) < moment - MAX_CLOCK_SKEW for message in self.messages)


class HistoryReader:
    """Reads; a public channel that relay was removed from it joins again, in order to."""

    def __init__(self, kit: DeliveryContext) -> None:
        """Read by the kit's door to Slack."""
        self._kit = kit

    async def channel(self, channel: str, oldest: str) -> SlackOutcome | MessageHistory:
        """A channel's own messages from `oldest` (a ts) on; else the answer that stood in the way."""
        return await self._read(Method.HISTORY, channel, oldest)

    async def thread(self, channel: str, root: str) -> SlackOutcome | MessageHistory:
        """A thread, by the ts of its root; else the answer that stood in the way."""
        return await self._read(Method.REPLIES, channel, root)

    async def _read(self, method: Method, channel: str, oldest: str) -> SlackOutcome | MessageHistory:
        seen: list[FoundMessage] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            answer = await self._page(method, channel, oldest, cursor)
            if isinstance(answer, Rejected) and answer.reason == "not_in_channel" and await self._joined(channel):
                answer = await self._page(method, channel, oldest, cursor)
            if not isinstance(answer, Read):
                return answer
            seen += messages_of(answer)
            if (cursor := cursor_of(answer)) is None:
                break
        return MessageHistory(tuple(seen), complete=cursor is None)

    async def _page(self, method: Method, channel: str, oldest: str, cursor: str | None) -> SlackOutcome:
        await self._kit.throttle.acquire(method)
        if method is Method.REPLIES:
            answer = await self._kit.slack.replies(channel, oldest, oldest, cursor=cursor)
        else:
            answer = await self._kit.slack.history(channel, oldest, cursor=cursor)
        self._kit.record_answer(method, answer)
        return answer

    async def _joined(self, channel: str) -> bool:
        await self._kit.throttle.acquire(Method.JOIN)
        answer = await self._kit.slack.join(channel)
        self._kit.record_answer(Method.JOIN, answer)
        return isinstance(answer, Read)
