"""Finds the channels that routes name: the id and the facts of each, and joins each before the first post there.

Nothing is sent to a channel that is not found. Every few minutes, relay looks up channels again that are missing or
take no messages. So it notices when an operator has fixed one.

The text of an alert may make up names (`"#inc-{{ tags.team }}"`), as many as it likes. So names cost no call of their
own. One reading of the workspace's list answers all that wait, and finds those that were not there before. A new name
waits for no other. The longer a name is missing, the less often the list is read for it.
"""

import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict

import structlog

from relay.cards.model import Channel, ChannelState
from relay.delivery.context import DeliveryContext
from relay.model.struct import replace
from relay.ratelimit.budgets import backoff
from relay.slack.error_codes import REMEDIES
from relay.slack.outcomes import NotFound, Read, Rejected, RejectionScope, SlackOutcome
from relay.slack.pages import read_channels
from relay.slack.responses import ChannelInfo, channel_of

log = structlog.get_logger("relay.channels")

PROBE_EVERY = 300.0
"""Seconds after which a channel that takes no messages is looked up again."""

RECHECK_EVERY = 3600.0
"""Seconds after which a channel that takes messages is looked up again: it may have been archived, or shared with
another organisation."""

MAX_PER_ROUND = 20
"""The most channels that one round looks up or joins, each by a call: half a minute at Slack's rate limit. Then names
that are new have their turn."""

LONGEST_PROBE = 12 * PROBE_EVERY
"""Seconds after which a name that was never found is looked up again at the latest: the pause doubles up to here.

Any reading of the list finds it sooner, such as for a new name, or for one that is missing for less time."""

_NAME_NOT_FOUND = Rejected(
    code="channel_not_found",
    scope=RejectionScope.CHANNEL,
    reason="channel_not_found",
    remedy="Correct the channel's name in routes.yaml, or create the channel; if it is private, invite relay to it: "
    "/invite @relay.",
)


class ChannelResolver:
    """Looks up channels, one at a time: there are few of them, and Slack limits the list of channels strictly."""

    def __init__(self, shared: DeliveryContext) -> None:
        self._shared = shared
        self._tries: dict[str, int] = {}
        self._fixed: frozenset[str] = frozenset()

    async def load_references(self) -> None:
        """Learn which references of a channel are the same channel's."""
        self._shared.canonical_refs = await self._shared.store.canonical_refs()

    async def resolve_due(self) -> float | None:
        """Look up every channel that is due; return when the next one is.

        Every share wakes this, and hardly any names a new channel: channels are read only where one is due.
        """
        now, store = self._shared.clock.now(), self._shared.store
        due_at = await store.next_channel_lookup_at()
        if due_at is None or due_at > now:
            return due_at
        self._fixed = frozenset(self._shared.fixed_channels())
        found = await self._find_names(now)
        asked: set[str] = set()
        while len(asked) < MAX_PER_ROUND and (channel := await self._most_urgent(found, asked, now)) is not None:
            asked.add(channel.ref)
            info = found.get(channel.ref) or await self._info(channel)
            await self._save(channel, await self._joined(info) if isinstance(info, ChannelInfo) else info)
        await self.load_references()
        self._shared.wake_all()
        return await store.next_channel_lookup_at()

    async def _most_urgent(
        self, found: Mapping[str, ChannelInfo], asked: AbstractSet[str], now: float
    ) -> Channel | None:
        """The next channel to look up, chosen each time: first one for which a card waits, open ones last."""
        store = self._shared.store
        waiting = await store.waiting_channels()
        names = [channel for channel in await store.unresolved_names() if channel.ref in found] if found else []
        due = [*names, *await store.channels_due_by_id(now, MAX_PER_ROUND)]
        return min(
            (channel for channel in due if channel.ref not in asked),
            key=lambda channel: (channel.state is ChannelState.OPEN, channel.ref not in waiting),
            default=None,
        )

    async def _info(self, channel: Channel) -> ChannelInfo | SlackOutcome:
        answer = await self._shared.slack.channel(channel.slack_id or channel.ref)
        return (channel_of(answer) if isinstance(answer, Read) else None) or answer

    async def _find_names(self, now: float) -> Mapping[str, ChannelInfo]:
        """Read the workspace's list if a name is due; return the channels that relay still has to join, by name.

        One reading decides about all names, also about those that came while it was read.
        """
        store = self._shared.store
        if not any(name.retry_at is None or name.retry_at <= now for name in await store.unresolved_names()):
            return {}
        by_name = await self._list()
        to_join: dict[str, ChannelInfo] = {}
        missing: list[tuple[Channel, Channel]] = []
        for channel in await store.unresolved_names():
            found = by_name.get(channel.ref, _NAME_NOT_FOUND) if isinstance(by_name, Mapping) else by_name
            if isinstance(found, ChannelInfo):
                if _must_join(found):
                    to_join[channel.ref] = found
                else:
                    await self._save(channel, found)
            elif channel.retry_at is None or channel.retry_at <= now:
                missing.append((channel, self._updated(channel, found, self._shared.clock.now())))
        await store.update_names([updated for _, updated in missing])
        for channel, updated in missing:
            if channel.reason != updated.reason:
                self._report(channel, updated)
        return to_join

    async def _list(self) -> dict[str, ChannelInfo] | SlackOutcome:
        channels = await read_channels(self._shared.slack.channels)
        if not isinstance(channels, tuple):
            return channels
        # An archived channel may have the same name as an active one, which counts.
        archived_first = sorted(channels, key=lambda info: not info.archived)
        return {f"#{info.name}": info for info in archived_first}

    async def _joined(self, info: ChannelInfo) -> ChannelInfo | SlackOutcome:
        """Join a public channel, since relay has to read what it posts; return its new facts."""
        if not _must_join(info):
            return info
        answer = await self._shared.slack.join(info.id)
        return replace(info, member=True) if isinstance(answer, Read) else answer

    async def _save(self, channel: Channel, found: ChannelInfo | SlackOutcome) -> None:
        updated = self._updated(channel, found, self._shared.clock.now())
        await self._shared.store.update_channel(updated)
        if updated.state is ChannelState.OPEN and channel.state is not ChannelState.OPEN:
            await self.load_references()  # the options of the cards that are posted now are found by all references
            self._shared.wake_all()
        self._report(channel, updated)

    def _report(self, channel: Channel, updated: Channel) -> None:
        """Log a lookup. What changes about a channel that routes.yaml names is reported to people too."""
        state, reason = str(updated.state), updated.reason
        accepts_again = updated.state is ChannelState.OPEN and channel.state is ChannelState.REJECTED
        says = "accepts messages" if updated.state is ChannelState.OPEN else f"accepts no messages ({reason or state})"
        write = log.info if accepts_again else log.debug
        write(
            "channel_checked",
            channel=channel.ref,
            id=updated.slack_id,
            state=state,
            reason=reason,
            detail=f"Slack's channel {channel.ref} {says}.",
        )
        if channel.state is ChannelState.NEW and updated.state is ChannelState.REJECTED:
            remedy = remedy_for(updated)
            detail = f"The channel {channel.ref} of the routes accepts no messages."
            log.warning("channel_rejected", channel=channel.ref, reason=reason, remedy=remedy, detail=detail)
        if channel.ref in self._fixed and (channel.state, channel.reason) != (updated.state, reason):
            self._shared.on_channel_changed()  # not for others: an alert can make up any number of them

    def _updated(self, channel: Channel, found: ChannelInfo | SlackOutcome, now: float) -> Channel:
        match found:
            case ChannelInfo(archived=True):
                return rejecting(channel, "channel_archived", now, found)
            case ChannelInfo():
                self._tries.pop(channel.ref, None)
                return replace(
                    channel,
                    slack_id=found.id,
                    facts=asdict(found),
                    state=ChannelState.OPEN,
                    # kept until the channel takes a message: that it exists proves nothing
                    reason=channel.reason if channel.state in {ChannelState.REJECTED, ChannelState.OPEN} else "",
                    retry_at=now + RECHECK_EVERY,
                )
            case Rejected(scope=RejectionScope.APP) if not _is_name(channel):
                # An id needs no lookup: posting shows whether it works.
                retry_at = now + PROBE_EVERY
                return replace(
                    channel, slack_id=channel.ref, state=ChannelState.OPEN, reason=found.reason, retry_at=retry_at
                )
            case NotFound() | Rejected() if _is_about_channel(found, channel):
                if isinstance(found, Rejected) and _is_unresolved_name(channel):
                    return self._missing(channel, found, now)
                return rejecting(channel, found.reason, now)
            case _:
                tries = self._tries[channel.ref] = self._tries.get(channel.ref, 0) + 1
                return replace(channel, reason=found.reason, retry_at=now + backoff(tries, channel.ref))

    def _missing(self, name: Channel, why: Rejected, now: float) -> Channel:
        """Reject a name that is not in the list, with the remedy for a name, and ever longer pauses.

        The pause of a name that routes.yaml has does not grow: its operator will create the channel. The next lookups
        of all names fall together, so that one reading of the list does for them.
        """
        since = name.facts.get("missing_since")
        since = since if isinstance(since, float) and since <= now else now
        pause = PROBE_EVERY if name.ref in self._fixed else min(max(PROBE_EVERY, now - since), LONGEST_PROBE)
        missing = rejecting(replace(name, facts={"remedy": why.remedy, "missing_since": since}), why.reason, now)
        return replace(missing, retry_at=math.ceil((now + pause) / PROBE_EVERY) * PROBE_EVERY)


def _must_join(info: ChannelInfo) -> bool:
    return not (info.member or info.private or info.archived)


def remedy_for(channel: Channel) -> str:
    """What an operator has to do about a channel that rejects messages."""
    return str(channel.facts.get("remedy") or REMEDIES.get(channel.reason, ""))


def _is_name(channel: Channel) -> bool:
    return channel.ref.startswith("#")


def _is_unresolved_name(channel: Channel) -> bool:
    return _is_name(channel) and not channel.slack_id


def _is_about_channel(answer: Rejected | NotFound, channel: Channel) -> bool:
    """Whether the answer says something about the channel, and not only about relay's token or scopes."""
    match answer:
        case Rejected(scope=RejectionScope.CREDENTIALS):
            return False
        case Rejected(scope=RejectionScope.APP):
            return not channel.slack_id  # without the scope, relay cannot resolve a new name
        case _:
            return True


def rejecting(channel: Channel, reason: str, now: float, info: ChannelInfo | None = None) -> Channel:
    """Return a channel that takes no messages for now; an id that was once found is kept."""
    return replace(
        channel,
        slack_id=info.id if info else channel.slack_id,
        facts=asdict(info) if info else channel.facts,
        state=ChannelState.REJECTED,
        reason=reason,
        retry_at=now + PROBE_EVERY,
    )
