"""Reports what is wrong with relay itself in the channel of `notices`: once for each kind, edited until it is over.

The notifier knows what each notice should say and what it says, and makes the second equal to the first. The
database knows the open notices, so that one of several relays posts a notice and any of them edits it, also after a
restart. Where its message is not known (the answer was lost, or the database was), relay searches for it first.

The relay that delivers sends notices. Another relay, which may be the only one whose disk has an invalid edit, waits
for a while, and then sends it if nobody has.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import assert_never

import structlog

from relay.cards.model import Channel, ChannelState
from relay.config.configuration import Configuration
from relay.delivery.history import MessageHistory, read_messages
from relay.model.errors import StoreError
from relay.model.struct import replace
from relay.ratelimit.budgets import backoff
from relay.reload.messages import ROWS, NoticeTopic, open_message, over_message
from relay.reload.open_notices import UNKNOWN, OpenNotices
from relay.reload.unusable_channels import unusable_channels
from relay.runtime.clock import Clock
from relay.runtime.logging import REPORT_IT, LastingProblem
from relay.slack.gateway import SlackGateway
from relay.slack.message import DEFAULT_INSTANCE, OVER, Marker, Message
from relay.slack.methods import Method
from relay.slack.outcomes import Ambiguous, Delivered, NotFound, Read, Rejected, RejectionScope, Retryable, SlackOutcome
from relay.slack.responses import FoundMessage, identity_of
from relay.store.store import Store
from relay.store.types import StoredNotice

log = structlog.get_logger("relay.reload")

STORE_PAUSE = 30.0
"""Seconds until a notice is tried again after the database has failed."""

LEADER_PAUSE = 5.0
"""Seconds until a relay that does not deliver looks whether it does now."""

SHARES_AFTER, SHARES_EVERY = 15.0, 60.0
"""Seconds after a failure at which relay reports the shares that still fail, and seconds until it looks again."""

SEARCH_AFTER = 30.0
"""Seconds after a lost answer at which relay searches for the message: Slack may not show it at once."""

SEARCH_WINDOW = 3 * 86_400.0
MAX_SEARCH_PAGES = 5
"""How far back relay searches for a notice: so many seconds, and so many pages of 200 messages."""


@dataclass(slots=True)
class _Desired:
    """The problems that a notice should report since a moment (monotonic clock); without any, nothing is wrong."""

    problems: tuple[str, ...]
    since: float
    tries: int = 0
    try_again_at: float | None = 0.0
    """None: not before a channel or the routes change."""

    @property
    def digest(self) -> str:
        """The same for the same problems; empty without any."""
        return hashlib.sha256("\n".join(self.problems).encode()).hexdigest()[:32] if self.problems else ""


class Notifier:
    """Keeps the notices about relay itself as they should be."""

    def __init__(  # noqa: PLR0913  each has a name
        self,
        store: Store,
        slack: SlackGateway,
        *,
        live: Callable[[], Configuration],
        delivering: Callable[[], bool],
        clock: Clock,
        instance: str = DEFAULT_INSTANCE,
    ) -> None:
        """`live` returns the live configuration, `delivering` whether this relay is the leader."""
        self._store = store
        self._slack = slack
        self._live = live
        self._delivering = delivering
        self._clock = clock
        self._instance = instance
        self._wakeup = asyncio.Event()
        self._waits = LastingProblem(log)
        self._desired: dict[NoticeTopic, _Desired] = {}
        self._channels_changed = False
        self._look_at_shares_at: float | None = None
        self._open = OpenNotices(store)

    def report(self, kind: NoticeTopic, problems: Sequence[str]) -> None:
        """Say what is wrong now; nothing without problems. The same problems again change nothing."""
        before = self._desired.get(kind)
        if before is None or before.problems != tuple(problems):
            self._desired[kind] = _Desired(tuple(problems), self._clock.monotonic())
            self._wakeup.set()

    def check_channels(self) -> None:
        """Look which channels of the live routes take no messages: the routes or the channels have changed."""
        self._channels_changed = True
        self.check_shares()  # a valid edit retries them; a former process may have reported some
        for desired in self._desired.values():
            desired.try_again_at = 0.0  # the channel for notices may be there now
        self._wakeup.set()

    def check_shares(self) -> None:
        """Look which shares are in no card, a moment from now: one has failed."""
        if self._look_at_shares_at is None:
            self._look_at_shares_at = self._clock.monotonic() + SHARES_AFTER
            self._wakeup.set()

    async def run(self) -> None:
        """Send notices, until cancelled. Nothing waits for it."""
        while True:
            self._wakeup.clear()
            try:
                looks = await self._look()
                waits = [looks, *[await self._settle(kind) for kind in tuple(self._desired)]]
                self._waits.over()
            except StoreError as error:
                self._waits.report("warning", "notice_waits", reason="store", detail=str(error))
                waits = [STORE_PAUSE]
            except Exception:
                log.exception("notice_crashed", detail=f"Unexpected error while sending a notice. {REPORT_IT}")
                waits = [STORE_PAUSE]
            until = min((wait for wait in waits if wait is not None), default=None)
            await self._clock.wait(self._wakeup, None if until is None else self._clock.now() + until)

    async def _look(self) -> float | None:
        """Look channels and failed shares up, in the relay that delivers. Return the seconds until the next look."""
        if not self._delivering():
            return LEADER_PAUSE if self._channels_changed or self._look_at_shares_at is not None else None
        if self._channels_changed:
            self._channels_changed = False
            rulebook = self._live().rulebook
            self.report(NoticeTopic.CHANNELS, unusable_channels(rulebook, await self._store.channels()))
        if self._look_at_shares_at is None:
            return None
        if (wait := self._look_at_shares_at - self._clock.monotonic()) > 0:
            return wait
        failed = await self._store.failed_shares()
        self.report(NoticeTopic.SHARES, [f"incident {each.incident}: {each.error}" for each in failed])
        self._look_at_shares_at = self._clock.monotonic() + SHARES_EVERY if failed else None
        return SHARES_EVERY if failed else None

    async def _settle(self, kind: NoticeTopic) -> float | None:
        """Take the next steps for a notice; return the seconds until another one is due, or None.

        A step calls Slack. Several follow each other if the message was deleted, or if relay searches for it.
        """
        while True:
            desired, now = self._desired[kind], self._clock.monotonic()
            shown = await self._open.get(kind)
            if shown is None and not desired.problems:
                return None
            if shown is not None and shown.ts and shown.digest == desired.digest:
                return None
            if desired.try_again_at is None:
                return None
            if (wait := self._pause(kind, desired, shown, now)) > 0:
                return wait
            pause = await self._step(kind, desired, shown)
            if pause is None or pause > 0:
                desired.try_again_at = None if pause is None else self._clock.monotonic() + pause
                return pause

    def _pause(self, kind: NoticeTopic, desired: _Desired, shown: StoredNotice | None, now: float) -> float:
        """The seconds from `now` (monotonic) for which nothing may be sent; the leader may change meanwhile."""
        row = ROWS[kind]
        begin = max(desired.since + row.gathers, desired.try_again_at or 0.0)
        if shown is not None and not shown.ts:
            age = self._clock.now() - shown.opened_at
            begin = max(begin, now + SEARCH_AFTER - age)  # another relay may be posting it
        if self._delivering() or (grace := desired.since + row.leader_first - now) <= 0:
            return begin - now
        return max(begin - now, min(grace, 1.0))

    async def _step(self, kind: NoticeTopic, desired: _Desired, shown: StoredNotice | None) -> float | None:
        """Edit, search or post. Return the seconds until the next step; None after one that is not repeated."""
        desired.tries += 1
        pause = backoff(desired.tries, kind)
        if shown is not None and shown.ts:
            return await self._edit(kind, desired, shown, pause)
        channel = await self._channel()
        if not isinstance(channel, Channel):
            return pause if channel else None
        if shown is not None:
            return await self._search(kind, channel.slack_id or "", pause)
        if (until := self._slack.throttle.blocked_until(Method.POST, channel.slack_id or "")) is not None:
            return until - self._clock.now()
        return await self._post(kind, desired, channel.slack_id or "", pause)

    async def _edit(self, kind: NoticeTopic, desired: _Desired, shown: StoredNotice, pause: float) -> float | None:
        message = self._open_message(kind, desired) if desired.problems else over_message(kind)
        marker = self._marker(kind, desired.digest)
        answer = await self._slack.edit(shown.channel, shown.ts, message, marker=marker)
        match answer:
            case Delivered():
                _log_sent(kind, shown.channel, desired)
                if desired.problems:
                    await self._open.update(kind, replace(shown, digest=desired.digest))
                else:
                    await self._open.close(kind)
                return 0.0
            case NotFound() | Rejected() if not _is_credentials(answer):
                detail = "Slack does not let relay edit its notice; relay posts a new one if it is still true."
                log.warning(
                    "notice_not_edited", kind=str(kind), reason=answer.reason, channel=shown.channel, detail=detail
                )
                await self._open.close(
                    kind
                )  # it was deleted, or its channel is closed: post a new one, if it is still true
                return 0.0
            case _:
                return _retry_after(answer, pause)

    def _open_message(self, kind: NoticeTopic, desired: _Desired) -> Message:
        return open_message(kind, desired.problems, self._live().board)

    async def _post(self, kind: NoticeTopic, desired: _Desired, channel: str, pause: float) -> float | None:
        """Claim it, and post it. It stays claimed if nobody knows whether it was posted."""
        if not await self._open.claim(kind, desired.digest, self._clock.now()):
            return 1.0  # another relay is posting it
        marker = self._marker(kind, desired.digest)
        answer = await self._slack.post(channel, self._open_message(kind, desired), marker=marker)
        match answer:
            case Delivered():
                _log_sent(kind, channel, desired)
                await self._open.update(kind, StoredNotice(digest=desired.digest, channel=answer.channel, ts=answer.ts))
                return 0.0
            case Ambiguous():
                return SEARCH_AFTER
            case Retryable() | Rejected() | NotFound() | Read():
                await self._open.close(kind)
                if isinstance(answer, Retryable) or _is_credentials(answer):
                    return _retry_after(answer, pause)
                detail = "Slack did not accept relay's notice about itself."
                log.warning("notice_not_sent", kind=str(kind), reason=answer.reason, channel=channel, detail=detail)
                return None
            case _:
                assert_never(answer)

    async def _search(self, kind: NoticeTopic, channel: str, pause: float) -> float | None:
        """Search the channel for a notice whose message is not known; forget it if it is not there."""
        oldest = f"{max(0.0, self._clock.now() - SEARCH_WINDOW):.6f}"
        identity = await self._slack.auth_test()
        if not isinstance(identity, Read):
            return _retry_after(identity, pause)
        found = await read_messages(partial(self._read_page, channel, oldest), MAX_SEARCH_PAGES)
        if not isinstance(found, MessageHistory):
            if isinstance(found, Rejected | NotFound):
                detail = "relay may not search the channel for its notice, so it does not post it again."
                log.warning("notice_not_found", kind=str(kind), reason=found.reason, channel=channel, detail=detail)
                return None  # relay may not read the channel: it does not post the notice twice
            return _retry_after(found, pause)
        bot = identity_of(identity).bot_id
        own = next((each for each in found.messages if self._is_open(each, kind, bot)), None)
        if own is None:
            await self._open.close(kind)
        else:
            digest = own.marker.digest if own.marker else ""
            await self._open.update(kind, StoredNotice(digest=digest or UNKNOWN, channel=channel, ts=own.ts))
        return 0.0

    async def _read_page(self, channel: str, oldest: str, cursor: str | None) -> SlackOutcome:
        return await self._slack.history(channel, oldest, cursor=cursor)

    def _is_open(self, message: FoundMessage, kind: NoticeTopic, bot: str) -> bool:
        """Whether this is an open notice of this kind, which relay's own bot posted."""
        marker = message.marker
        return (
            marker is not None
            and (marker.event_type, marker.key, marker.instance) == ("relay_notice", kind, self._instance)
            and marker.state != OVER
            and bot in {"", message.bot_id}
            and not message.deleted
        )

    def _marker(self, kind: NoticeTopic, digest: str) -> Marker:
        state = "" if digest else OVER
        return Marker(
            event_type="relay_notice", incident="", key=kind, instance=self._instance, state=state, digest=digest
        )

    async def _channel(self) -> Channel | bool:
        """The first channel for notices that takes messages. True: one may, once it is found; False: none may."""
        known = {channel.ref: channel for channel in await self._store.channels()}
        may_open = False
        for ref, allow_external in self._live().rulebook.notice_channels:
            channel = known.get(ref)
            if channel is not None and channel.canonical_ref is not None:
                channel = known.get(channel.canonical_ref)
            if channel is None or channel.state is ChannelState.NEW:
                return True
            if channel.facts.get("external") and not allow_external:
                detail = "The channel is shared with another organisation, so relay reports no problems there."
                log.warning("notice_not_sent", reason="external_channel", channel=channel.ref, detail=detail)
                continue
            if channel.state is ChannelState.OPEN and channel.slack_id:
                return channel
            may_open = True
        return may_open


def _log_sent(kind: NoticeTopic, channel: str, desired: _Desired) -> None:
    detail = "relay posted or edited a notice about itself in Slack."
    log.info("notice_sent", kind=str(kind), channel=channel, problems=len(desired.problems), detail=detail)


def _is_credentials(answer: SlackOutcome) -> bool:
    return isinstance(answer, Rejected) and answer.scope is RejectionScope.CREDENTIALS


def _retry_after(answer: SlackOutcome, pause: float) -> float:
    """The seconds until the same call is made again."""
    known = answer.retry_after if isinstance(answer, Retryable) else None
    return pause if known is None else known
