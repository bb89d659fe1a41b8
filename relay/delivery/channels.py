"""Finds the channels that routes name: an id and its facts for each, and relay a member before it first posts there.

Nothing is sent to a channel that is not found. One that is not there, or takes no messages, is asked about again every
few minutes, so that an operator's mend is noticed by itself.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace

import structlog

from relay.cards.model import Channel, ChannelState
from relay.delivery.context import DeliveryContext
from relay.ratelimit.budgets import backoff
from relay.runtime.clock import WakeEvent
from relay.slack.methods import Method
from relay.slack.outcomes import NotFound, Read, Rejected, RejectionScope, SlackOutcome
from relay.slack.responses import ChannelInfo as Found
from relay.slack.responses import channel_of, channels_of, cursor_of

log = structlog.get_logger("relay.directory")

PROBE_EVERY = 300.0
"""Seconds after which a channel that takes no messages is asked about again."""

RECHECK_EVERY = 3600.0
"""Seconds after which a channel that takes messages is asked about again."""

MAX_PER_ROUND = 20
"""The most channels that are asked about in one go; new ones come first."""

_NOT_THERE = Rejected(
    code="channel_not_found",
    scope=RejectionScope.CHANNEL,
    reason="channel_not_found",
    remedy="Correct the channel's name in routes.yaml, or make the channel; if it is private, invite relay to it: "
    "/invite @relay.",
)


class ChannelResolver:
    """Looks after the channels, one at a time: there are few of them, and Slack's list is dear."""

    def __init__(self, kit: DeliveryContext) -> None:
        """Look after the channels of the kit's store; `same` are the spellings that are another one's."""
        self.bell = WakeEvent()
        self._kit = kit
        self._tries: dict[str, int] = {}
        self.same: Mapping[str, str] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Find what is new, and ask again for what was not to be had, until told to stop."""
        self.same = await self._kit.store.canonical_refs()
        while not stopping.is_set():
            until = None if self._kit.breaker.is_open else await self.resolve_due()
            await self._kit.wait(self.bell, until)

    async def resolve_due(self) -> float | None:
        """Find every channel whose time has come; returns when the next one's comes.

        Every share that comes in rings, and nearly none names a new channel: all are read only where one is due.
        """
        now = self._kit.clock.now()
        due_at = await self._kit.store.next_channel_lookup_at()
        if due_at is None or due_at > now:
            return due_at
        channels = await self._kit.store.channels()
        wanted = [channel for channel in channels if _wanted(channel)]
        due = [channel for channel in wanted if channel.retry_at is None or channel.retry_at <= now]
        due = sorted(due, key=lambda channel: channel.state is ChannelState.OPEN)[:MAX_PER_ROUND]
        for channel in due:
            if not _is_name(channel.ref) or channel.slack_id:
                await self._settle(channel, await self._by_id(channel.slack_id or channel.ref))
        if names := [channel for channel in due if _is_name(channel.ref) and not channel.slack_id]:
            await self._find_names(names)
        self.same = await self._kit.store.canonical_refs()
        self._kit.wake_all()
        return await self._kit.store.next_channel_lookup_at()

    async def _by_id(self, slack_id: str) -> Found | SlackOutcome:
        answer = await self._ask(Method.CHANNEL, slack_id)
        found = channel_of(answer) if isinstance(answer, Read) else None
        return await self._joined(found) if found else answer

    async def _find_names(self, channels: Iterable[Channel]) -> None:
        """One reading of the workspace's list settles all names."""
        listed = await self._listed()
        for channel in channels:
            found: Found | SlackOutcome | None = listed.get(channel.ref) if isinstance(listed, Mapping) else listed
            if isinstance(found, Found):
                found = await self._joined(found)
            await self._settle(channel, found or _NOT_THERE)

    async def _listed(self) -> dict[str, Found] | SlackOutcome:
        listed: dict[str, Found] = {}
        cursor: str | None = None
        while True:
            answer = await self._ask(Method.CHANNELS, cursor)
            if not isinstance(answer, Read):
                return answer
            for found in channels_of(answer):
                # an archived channel may share its name with a living one
                if not (found.archived and f"#{found.name}" in listed):
                    listed[f"#{found.name}"] = found
            if (cursor := cursor_of(answer)) is None:
                return listed

    async def _joined(self, found: Found) -> Found | SlackOutcome:
        """Relay reads what it posts, so it is a member of every public channel that it posts to."""
        if found.member or found.private or found.archived:
            return found
        answer = await self._ask(Method.JOIN, found.id)
        return replace(found, member=True) if isinstance(answer, Read) else answer

    async def _ask(self, method: Method, argument: str | None) -> SlackOutcome:
        await self._kit.throttle.acquire(method)
        match method:
            case Method.CHANNEL:
                answer = await self._kit.slack.channel(argument or "")
            case Method.JOIN:
                answer = await self._kit.slack.join(argument or "")
            case _:
                answer = await self._kit.slack.channels(argument)
        self._kit.record_answer(method, answer)
        return answer

    async def _settle(self, channel: Channel, found: Found | SlackOutcome) -> None:
        now = self._kit.clock.now()
        after = self._after(channel, found, now)
        log.info("channel", channel=channel.ref, id=after.slack_id, state=str(after.state), reason=after.reason)
        await self._kit.store.update_channel(after)

    def _after(self, channel: Channel, found: Found | SlackOutcome, now: float) -> Channel:
        """What is known of a channel after Slack was asked about it."""
        match found:
            case Found(archived=True):
                return _refused(channel, "channel_archived", now, found)
            case Found():
                self._tries.pop(channel.ref, None)
                return replace(
                    channel,
                    slack_id=found.id,
                    facts=asdict(found),
                    state=ChannelState.OPEN,
                    reason=_on_probation(channel),
                    retry_at=now + RECHECK_EVERY,
                )
            case Rejected(scope=RejectionScope.APP) if not (_is_name(channel.ref) and channel.slack_id):
                return _unasked(channel, found, now)
            case Rejected(scope=RejectionScope.CREDENTIALS | RejectionScope.APP):
                # It is relay that may not ask: that says nothing of the channel.
                return self._later(channel, found, now)
            case Rejected() | NotFound():
                return _not_had(channel, found, now)
            case _:
                return self._later(channel, found, now)

    def _later(self, channel: Channel, answer: SlackOutcome, now: float) -> Channel:
        """Nothing was learnt of it: it is asked about again."""
        tries = self._tries[channel.ref] = self._tries.get(channel.ref, 0) + 1
        return replace(channel, reason=answer.reason, retry_at=now + backoff(tries, channel.ref))


def _wanted(channel: Channel) -> bool:
    """An open channel is asked about again too: it may have been archived, or shared with another organisation."""
    return channel.canonical_ref is None


def _is_name(ref: str) -> bool:
    return ref.startswith("#")


def _unasked(channel: Channel, answer: Rejected, now: float) -> Channel:
    """A channel that relay may not ask about.

    An id needs no looking up: posting shows whether it works. A name is as good as none until relay may look it up.
    """
    if _is_name(channel.ref):
        return _not_had(channel, answer, now)
    again = now + PROBE_EVERY
    return replace(channel, slack_id=channel.ref, state=ChannelState.OPEN, reason=answer.reason, retry_at=again)


def _not_had(channel: Channel, answer: Rejected | NotFound, now: float) -> Channel:
    """What to do about a name that leads nowhere is not what is to be done about an id."""
    if isinstance(answer, Rejected) and _is_name(channel.ref) and not channel.slack_id:
        channel = replace(channel, facts={"remedy": answer.remedy})
    return _refused(channel, answer.reason, now)


def _on_probation(channel: Channel) -> str:
    """The reason for which a channel took no message stays until one has gone there: that it exists is no proof."""
    return channel.reason if channel.state in {ChannelState.REJECTED, ChannelState.OPEN} else ""


def _refused(channel: Channel, reason: str, now: float, found: Found | None = None) -> Channel:
    """A channel that takes no messages for now; an id that was found once is kept."""
    return replace(
        channel,
        slack_id=found.id if found else channel.slack_id,
        facts=asdict(found) if found else channel.facts,
        state=ChannelState.REJECTED,
        reason=reason,
        retry_at=now + PROBE_EVERY,
    )
