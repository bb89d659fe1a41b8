"""Tells the fallback channel once that an edit is invalid, once that it is fixed, and which channels take no messages.

A notice is not a card: only that it was sent is stored. It is claimed in the store before it is sent, so that one of
several relays sends it, and sends it once. A notice that Slack certainly did not accept is retried as long as it is
true. One whose answer was lost is not, since logs, metrics and `/readyz` say the same.

The leader sends it. Another relay, which may be the only one whose disk has the edit, waits for a while, and then sends
it if nobody has.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

import structlog

from relay.cards.model import Channel, ChannelState
from relay.config.configuration import Configuration
from relay.model.errors import Fault, StoreError
from relay.ratelimit.budgets import backoff
from relay.reload import messages
from relay.runtime.clock import Clock
from relay.runtime.logging import REPORT_IT, LastingProblem
from relay.slack.gateway import SlackGateway
from relay.slack.message import Marker
from relay.slack.methods import Method
from relay.slack.outcomes import Ambiguous, Delivered, NotFound, Read, Rejected, RejectionScope, Retryable, SlackOutcome
from relay.store.store import Store

log = structlog.get_logger("relay.reload")

LEADER_GRACE = 30.0
"""Seconds that the leader has to send a notice before another relay does."""

GATHER_SECONDS = 2.0
"""Seconds in which channels that take no messages are gathered into one notice."""

MARKER_PREFIX = "configuration:"
"""Begins the key of a notice's marker; the digest of the invalid edit follows."""

_DATABASE_MARKER = Marker(event_type="relay_notice", incident="", key="database")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationNotice:
    """The faults of the edit with that digest; without faults: the configuration with that hash is valid.

    With a `problem`, it says instead that relay cannot use its database any more; with `channels` (reference, and why),
    that the routes name channels that take no messages.
    """

    digest: str = ""
    faults: tuple[Fault, ...] = ()
    problem: str = ""
    channels: tuple[tuple[str, str], ...] = ()


class Notifier:
    """Sends the newest notice; one that is replaced before it was sent is never sent."""

    def __init__(
        self,
        store: Store,
        slack: SlackGateway,
        *,
        live: Callable[[], Configuration],
        delivering: Callable[[], bool],
        clock: Clock,
    ) -> None:
        """`live` returns the live configuration, `delivering` whether this relay is the leader."""
        self._store = store
        self._slack = slack
        self._live = live
        self._delivering = delivering
        self._clock = clock
        self._wakeup = asyncio.Event()
        self._pending: ConfigurationNotice | None = None
        self._shown: Delivered | None = None
        self._claimed_but_unsent = False
        self._rejected: dict[str, str] = {}
        self._waits = LastingProblem(log)

    def report_faults(self, digest: str, faults: Sequence[Fault]) -> None:
        """Report that an edit has these faults."""
        self._set_pending(ConfigurationNotice(digest=digest, faults=tuple(faults)))

    def report_fixed(self, digest: str) -> None:
        """Report that the configuration on disk, with this hash, is valid."""
        self._set_pending(ConfigurationNotice(digest=digest))

    def report_problem(self, problem: str) -> None:
        """Report that relay cannot use its database. It cannot claim the notice there, and needs a restart anyway."""
        self._set_pending(ConfigurationNotice(problem=problem))

    def report_channel(self, ref: str, why: str) -> None:
        """Report that the routes name a channel that takes no messages. Several are reported together."""
        self._rejected[ref] = why
        self._wakeup.set()

    async def run(self) -> None:
        """Send notices, until cancelled. Nothing waits for it."""
        while True:
            if self._pending is None and self._rejected:
                await self._clock.sleep(GATHER_SECONDS)  # an edit may name several, which are looked up one by one
                if self._pending is None:
                    self._pending = ConfigurationNotice(channels=tuple(self._rejected.items()))
            if (notice := self._pending) is None:
                await self._clock.wait(self._wakeup, None)
                self._wakeup.clear()
                continue
            self._wakeup.clear()  # from now on, it says that there is a newer notice
            try:
                await self._wait_for_leader(notice)
                if self._pending is notice and await self._claim(notice):
                    await self._send(notice)
                self._drop(notice)
                self._waits.over()
            except StoreError as error:
                self._waits.report("warning", "notice_waits", reason="store", detail=str(error))
                await self._clock.wait(self._wakeup, self._clock.now() + LEADER_GRACE)
            except Exception:
                log.exception("notice_crashed", detail=f"Unexpected error while sending a notice. {REPORT_IT}")
                self._drop(notice)

    def _set_pending(self, notice: ConfigurationNotice) -> None:
        if notice != self._pending:  # the same notice goes on: begun again, it would seem to have been sent already
            self._pending = notice
            self._wakeup.set()

    def _drop(self, notice: ConfigurationNotice) -> None:
        if self._pending is notice:  # one that is replaced meanwhile has channels that are reported later
            self._pending = None
            for ref, _ in notice.channels:
                self._rejected.pop(ref, None)

    async def _wait_for_leader(self, notice: ConfigurationNotice) -> None:
        until = self._clock.now() + (0.0 if notice.problem or notice.channels else LEADER_GRACE)
        while self._pending is notice and not self._delivering() and (now := self._clock.now()) < until:
            await self._clock.wait(self._wakeup, min(until, now + 1.0))

    async def _claim(self, notice: ConfigurationNotice) -> bool:
        """Claim a notice; return whether this relay has to send it. Nobody needs the fix of what nobody read about."""
        if notice.problem or notice.channels:
            return True
        if notice.faults:
            return await self._store.claim_fault_report(notice.digest, self._clock.now())
        was_reported = await self._store.clear_fault_reports()
        unsent, self._claimed_but_unsent = self._claimed_but_unsent, False
        return was_reported and not unsent

    async def _send(self, notice: ConfigurationNotice) -> None:
        """Send a notice, with retries while Slack certainly has not accepted it and there is no newer one."""
        tries = 0
        self._claimed_but_unsent = bool(notice.faults)
        while self._pending is notice:
            tries += 1
            wait = await self._try(notice, backoff(tries, notice.digest))
            if wait is None:
                return
            await self._clock.wait(self._wakeup, self._clock.now() + wait)

    async def _try(self, notice: ConfigurationNotice, pause: float) -> float | None:
        """Try once. Return the seconds until the next try; None where there is none."""
        fallback = self._live().rulebook.fallback
        if fallback is None:
            return None
        if fallback.ref in dict(notice.channels):
            return None  # the log says it
        channel = await self._open_channel(fallback.ref)
        if channel is None:
            return pause
        if channel.facts.get("external") and not fallback.options.allow_external:
            detail = "The fallback channel is shared with another organisation, so relay reports no faults there."
            log.warning("notice_not_sent", reason="external_channel", channel=channel.ref, detail=detail)
            return None
        if (until := self._slack.throttle.blocked_until(Method.POST, channel.slack_id or "")) is not None:
            return until - self._clock.now()
        return self._next_try(notice, channel, await self._call(notice, channel.slack_id or ""), pause)

    async def _open_channel(self, ref: str) -> Channel | None:
        """Return the channel of that reference, once it is found and takes messages."""
        known = {channel.ref: channel for channel in await self._store.channels()}
        channel = known.get(ref)
        if channel is not None and channel.canonical_ref is not None:
            channel = known.get(channel.canonical_ref)
        return channel if channel is not None and channel.state is ChannelState.OPEN and channel.slack_id else None

    async def _call(self, notice: ConfigurationNotice, slack_id: str) -> SlackOutcome:
        """Replace the faults that are shown; reply to them, and in the channel, when they are fixed."""
        if notice.problem:
            return await self._slack.post(slack_id, messages.database_message(notice.problem), marker=_DATABASE_MARKER)
        if notice.channels:
            marker = Marker(event_type="relay_notice", incident="", key=f"channels:{notice.channels[0][0]}")
            return await self._slack.post(slack_id, messages.channels_message(dict(notice.channels)), marker=marker)
        shown = self._shown if self._shown is not None and self._shown.channel == slack_id else None
        message = messages.faults_message(notice.faults) if notice.faults else messages.fixed_message()
        if notice.faults and shown is not None:
            return await self._slack.edit(slack_id, shown.ts, message)
        marker = Marker(event_type="relay_notice", incident="", key=MARKER_PREFIX + notice.digest)
        thread = shown.ts if shown is not None else None
        return await self._slack.post(slack_id, message, marker=marker, thread_ts=thread, broadcast=thread is not None)

    def _next_try(
        self, notice: ConfigurationNotice, channel: Channel, answer: SlackOutcome, pause: float
    ) -> float | None:
        """Decide what follows from the answer, as `_try` returns it."""
        match answer:
            case Delivered():
                detail = "relay posted a notice about itself in Slack."
                log.info("notice_sent", channel=channel.ref, faults=len(notice.faults), detail=detail)
                if not notice.channels:
                    self._shown, self._claimed_but_unsent = (answer if notice.faults else None), False
                return None
            case Retryable():
                return pause if answer.retry_after is None else answer.retry_after
            case Rejected(scope=RejectionScope.CREDENTIALS):
                return pause
            case NotFound() | Rejected() if self._shown is not None and not notice.channels:
                self._shown = None  # it cannot be edited or replied to: post a new message
                return 0.0
            case Rejected() | NotFound() | Ambiguous() | Read():
                detail = "Slack did not accept relay's notice about itself."
                log.warning("notice_not_sent", reason=answer.reason, channel=channel.ref, detail=detail)
                self._claimed_but_unsent = self._claimed_but_unsent and not isinstance(answer, Ambiguous)
                return None
            case _:
                assert_never(answer)
