"""Tells the fallback channel that an edit is faulty, once, and that it is corrected, once.

Such a notice is no card: nothing is kept of it but that it was told, and it goes out as well as it can beside the
cards. It is claimed in the store before it is sent, so that of several relays, and after a restart, one tells it. A
notice that Slack surely did not take is tried again for as long as it is true; one of which nobody knows what became
is let be, since logs, metrics and `/readyz` say the same.

The relay that delivers tells it. Another one, which may be the only one whose disk has the edit, waits for a while, and
tells it then if nobody has.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

import structlog

from relay.cards.model import Channel, ChannelState
from relay.config.configuration import Configuration
from relay.model.errors import Fault, StoreError
from relay.ratelimit.budgets import Budgets, backoff
from relay.reload import messages
from relay.runtime.clock import Clock
from relay.slack.client import Marker, SlackClient
from relay.slack.message import Message
from relay.slack.methods import Method
from relay.slack.outcomes import Ambiguous, Delivered, NotFound, Read, Rejected, RejectionScope, Retryable, SlackOutcome
from relay.store.store import Store

log = structlog.get_logger("relay.reload")

LEADER_GRACE = 30.0
"""Seconds that the relay which delivers has to tell a notice before another one does."""

MARKER_PREFIX = "configuration:"
"""Begins the key of a notice's marker; what follows names the faulty edit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is to be told: the faults of the edit with that digest, or (without any) that they are over."""

    digest: str
    faults: tuple[Fault, ...] = ()


class Notifier:
    """Tells the newest notice; one that is overtaken before it was told is not told at all."""

    def __init__(  # noqa: PLR0913  the shell is wired here
        self,
        store: Store,
        slack: SlackClient,
        *,
        budgets: Budgets,
        live: Callable[[], Configuration],
        delivering: Callable[[], bool],
        clock: Clock,
    ) -> None:
        """`live` gives the configuration of the moment, `delivering` whether this relay is the one that delivers."""
        self._store = store
        self._slack = slack
        self._budgets = budgets
        self._live = live
        self._delivering = delivering
        self._clock = clock
        self._bell = asyncio.Event()
        self._pending: Notice | None = None
        self._shown: Delivered | None = None
        self._unsaid = False

    def report_faults(self, digest: str, faults: Sequence[Fault]) -> None:
        """An edit has these faults."""
        self._tell(Notice(digest=digest, faults=tuple(faults)))

    def report_fixed(self, digest: str) -> None:
        """What is on disk works: that of the configuration with this hash."""
        self._tell(Notice(digest=digest))

    async def run(self) -> None:
        """Tell what there is to tell, until cancelled. Nothing ever waits for it."""
        while True:
            if (notice := self._pending) is None:
                await self._clock.wait(self._bell, None)
                continue
            self._bell.clear()  # it has been heard; what rings from now on is something newer
            try:
                await self._told(notice)
            except StoreError as error:
                log.warning("notice_waits", reason="store", detail=str(error))
                await self._clock.wait(self._bell, self._clock.now() + LEADER_GRACE)
            except Exception:
                log.exception("notice_broke")
                self._done(notice)

    def _tell(self, notice: Notice) -> None:
        if notice != self._pending:  # what is on its way goes on: told anew, it would look as if it had been told
            self._pending = notice
            self._bell.set()

    def _done(self, notice: Notice) -> None:
        if self._pending is notice:
            self._pending = None

    async def _told(self, notice: Notice) -> None:
        await self._waited_for_whoever_delivers(notice)
        if self._pending is notice and await self._claimed(notice):
            await self._sent(notice)
        self._done(notice)

    async def _waited_for_whoever_delivers(self, notice: Notice) -> None:
        until = self._clock.now() + LEADER_GRACE
        while self._pending is notice and not self._delivering() and (now := self._clock.now()) < until:
            await self._clock.wait(self._bell, min(until, now + 1.0))

    async def _claimed(self, notice: Notice) -> bool:
        """Whether it is ours to tell: it is new, and there is something to be said."""
        if notice.faults:
            return await self._store.claim_fault_report(notice.digest, self._clock.now())
        over, unsaid, self._unsaid = await self._store.clear_fault_reports(), self._unsaid, False
        return over and not unsaid  # nobody has to hear of the end of what nobody heard of

    async def _sent(self, notice: Notice) -> None:
        """Send it, again and again while Slack surely did not take it and nothing newer is to be told."""
        tries = 0
        self._unsaid = bool(notice.faults)
        while self._pending is notice:
            tries += 1
            wait = await self._tried(notice, backoff(tries, notice.digest))
            if wait is None:
                return
            await self._clock.wait(self._bell, self._clock.now() + wait)

    async def _tried(self, notice: Notice, wait: float) -> float | None:
        """One try. Returns the seconds after which to try again; None where nothing is left to do."""
        fallback = self._live().rulebook.fallback
        if fallback is None:
            return None
        channel = await self._channel(fallback.ref)
        if channel is None:
            return wait
        if channel.facts.get("external") and not fallback.options.allow_external:
            log.warning("notice_not_told", reason="external_channel", channel=channel.ref)
            return None
        if (ready := self._budgets.ready_at(Method.POST, channel.ref, self._clock.now())) > self._clock.now():
            return ready - self._clock.now()
        return self._follow(notice, channel, await self._call(notice, channel), wait)

    async def _channel(self, ref: str) -> Channel | None:
        """The channel of that reference, once it is found and takes messages."""
        known = {channel.ref: channel for channel in await self._store.channels()}
        channel = known.get(ref)
        if channel is not None and channel.canonical_ref is not None:
            channel = known.get(channel.canonical_ref)
        return channel if channel is not None and channel.state is ChannelState.OPEN and channel.slack_id else None

    async def _call(self, notice: Notice, channel: Channel) -> SlackOutcome:
        """Another fault takes the place of the one that is shown; the end is said below it, and in the channel."""
        slack_id = channel.slack_id or ""
        shown = self._shown if self._shown is not None and self._shown.channel == slack_id else None
        message = _message(notice)
        if notice.faults and shown is not None:
            self._budgets.spend(Method.EDIT, channel.ref, self._clock.now())
            return await self._slack.edit(slack_id, shown.ts, message)
        self._budgets.spend(Method.POST, channel.ref, self._clock.now())
        marker = Marker(event_type="relay_notice", incident="", key=MARKER_PREFIX + notice.digest)
        thread = shown.ts if shown is not None else None
        return await self._slack.post(slack_id, message, marker=marker, thread_ts=thread, broadcast=thread is not None)

    def _follow(self, notice: Notice, channel: Channel, answer: SlackOutcome, wait: float) -> float | None:
        """What follows from the answer; see `_tried`."""
        match answer:
            case Delivered():
                log.info("notice_told", channel=channel.ref, faults=len(notice.faults))
                self._shown, self._unsaid = (answer if notice.faults else None), False
                return None
            case Retryable():
                return wait if answer.retry_after is None else answer.retry_after
            case Rejected(scope=RejectionScope.CREDENTIALS):
                return wait
            case NotFound() | Rejected() if self._shown is not None:
                self._shown = None  # it cannot be edited or replied to: the next try stands by itself
                return 0.0
            case Rejected() | NotFound() | Ambiguous() | Read():
                log.warning("notice_not_told", reason=answer.reason, channel=channel.ref)
                self._unsaid = self._unsaid and not isinstance(answer, Ambiguous)
                return None
            case _:
                assert_never(answer)


def _message(notice: Notice) -> Message:
    return messages.faults_message(notice.faults) if notice.faults else messages.fixed_message()
