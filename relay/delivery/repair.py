"""Repairs what is not as it should be.

Cards of rejected channels go to the fallback channel. Dead letters are retried once their channel takes messages again.
Cards that somebody deleted in Slack are posted again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import structlog

from relay.cards import failures
from relay.cards.failures import EXTERNAL, is_external
from relay.cards.model import Card, CardState, Channel, ChannelState, DeadLetter
from relay.delivery.channels import remedy_for
from relay.delivery.context import DeliveryContext, card_fields
from relay.delivery.history import MessageHistory, read_messages
from relay.runtime.clock import WakeEvent
from relay.slack.error_codes import CHANNEL_REASONS
from relay.slack.methods import Method
from relay.slack.outcomes import NotFound, Read, Retryable, SlackOutcome
from relay.slack.responses import messages_of
from relay.store.types import OpenDeadLetter

log = structlog.get_logger("relay.delivery")

SWEEP_EVERY = 120.0
"""Seconds between two sweeps, each of one channel."""

SWEEP_MAX_PAGES = 2
"""The most pages of a sweep, 400 messages: sweeps use one call in fifty of the limit of conversations.history."""

RETRY_PAUSE = 5.0
"""Seconds between two checks while a channel is rejected."""

HISTORY_LAG = 120.0
"""Seconds for which Slack's history may not show a message yet."""

MAX_PER_ROUND = 200
"""The most cards of one channel that are diverted in one round."""


class Repair:
    """Diverts, retries and sweeps. `has_rejected_channels` says that there are channels that take no messages."""

    def __init__(self, shared: DeliveryContext) -> None:
        self.wakeup = WakeEvent()
        self.has_rejected_channels = False
        self._shared = shared
        self._next_sweep = shared.clock.monotonic() + SWEEP_EVERY
        self._sweep_order: list[str] = []
        self._swept_back_to: dict[str, str] = {}
        self._tried: dict[str, float | None] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Repair when woken, and sweep now and then, until `stopping` is set."""
        clock = self._shared.clock
        while not stopping.is_set():
            if await self.repair():
                self._shared.wake_all()
            if clock.monotonic() >= self._next_sweep and not self._shared.slack.breaker.is_open:
                self._next_sweep = clock.monotonic() + SWEEP_EVERY
                await self._sweep()
            pause = RETRY_PAUSE if self.has_rejected_channels else SWEEP_EVERY
            pause = min(pause, max(self._next_sweep - clock.monotonic(), RETRY_PAUSE))
            await clock.wait_idle(self.wakeup, clock.now() + pause)

    async def repair(self) -> bool:
        """Divert the cards of rejected channels, and retry dead letters; return whether anything changed."""
        store, backoff = self._shared.store, self._shared.backoff
        channels = {channel.ref: channel for channel in await store.channels()}
        self.has_rejected_channels = any(channel.state is ChannelState.REJECTED for channel in channels.values())
        stalled = await store.stalled_channels(self._shared.clock.now())
        diverted = [await self._divert(channel) for channel in stalled]
        skipped = backoff.skipped_cards
        retried = [
            await backoff.run_isolated(letter.card.id, partial(self._retry, letter, channels), card_fields(letter.card))
            for letter in await store.dead_letters()
            if letter.card.id not in skipped
        ]
        return any(diverted) or any(retried)

    async def _divert(self, channel: Channel) -> bool:
        """Move the due cards of a rejected channel to the fallback channel."""
        if channel.state is not ChannelState.REJECTED:
            return False
        now, rules, store = self._shared.clock.now(), self._shared.rules(), self._shared.store
        remedy = remedy_for(channel)
        letter = DeadLetter(reason=channel.reason, remedy=remedy, since=now)
        to = rules.fallback.ref if rules.fallback else ""
        to = rules.canonical_refs.get(to, to)
        skipped = self._shared.backoff.skipped_cards
        cards = [card for card in await store.due_cards(channel.ref, now, MAX_PER_ROUND) if card not in skipped]
        for card in cards:
            divert = partial(
                self._shared.update_card, card, lambda current: failures.divert_to_fallback(current, rules, letter)
            )
            context = await self._shared.backoff.run_isolated(card, divert)
            if context is not None:
                _log_rejected(context.card, to, letter)
        return bool(cards)

    async def _retry(self, letter: OpenDeadLetter, channels: Mapping[str, Channel]) -> bool:
        """Retry a dead letter whose channel takes messages again; close one that is no longer needed."""
        now, card = self._shared.clock.now(), letter.card.id
        retry = partial(self._shared.update_card, card, lambda current: failures.retry_card(current, now))
        if not failures.is_needed(letter.card):
            await retry()
            _log_closed(letter, "card_cancelled" if letter.card.is_current else "card_not_current")
            return False
        if letter.ended_at is not None and not self._shared.names_channel(_references(letter.card.channel, channels)):
            await self._shared.update_card(card, lambda current: failures.close_if_ended(current, now))
            _log_closed(letter, "channel_not_in_routes")
            return False
        channel = channels.get(letter.card.channel)
        if channel is None or not self._can_retry(letter, channel):
            return False
        fields = {**card_fields(letter.card), "dead_letter": letter.id, "reason": letter.reason}
        log.info(
            "dead_letter_retried", **fields, detail="The channel accepts messages again; relay posts the card there."
        )
        context = await retry()
        if context.card.post is not None:
            self._tried[channel.ref] = channel.retry_at
        return True

    def _can_retry(self, letter: OpenDeadLetter, channel: Channel) -> bool:
        """Whether the reason of a dead letter may be gone.

        Where a channel exists again but has not accepted a message yet, one card goes first.
        """
        return (
            channel.state is ChannelState.OPEN
            and letter.reason in CHANNEL_REASONS | {EXTERNAL}
            and letter.card.state is CardState.REJECTED
            and not is_external(letter.card, channel)
            and (not channel.reason or self._tried.get(channel.ref) != channel.retry_at)
        )

    async def _sweep(self) -> None:
        """Read one channel back a little, and repost each open card that is missing.

        Each sweep of a channel goes on where the one before stopped, back to the oldest open card; then it begins anew.
        """
        found = await self._next_channel()
        if found is None:
            return
        channel, cards = found
        oldest, latest = min(ts for _, ts in cards), self._swept_back_to.pop(channel.ref, None)
        history = await read_messages(partial(self._read_page, channel.slack_id or "", oldest, latest), SWEEP_MAX_PAGES)
        if not isinstance(history, MessageHistory):
            return
        present = {message.ts for message in history.messages if not message.deleted}
        reached = oldest if history.complete else min((message.ts for message in history.messages), default=oldest)
        newest = min(latest or "9", f"{self._shared.clock.now() - HISTORY_LAG:.6f}")
        for card, ts in cards:
            if reached <= ts <= newest and ts not in present and await self._is_gone(channel.slack_id or "", ts):
                await self._shared.backoff.run_isolated(card, partial(self._repost, card, ts))
        if not history.complete:
            self._swept_back_to[channel.ref] = reached

    async def _is_gone(self, channel: str, ts: str) -> bool:
        """Ask for the card itself: a page that leaves messages out must not make relay post every card again."""
        slack = self._shared.slack
        if slack.throttle.blocked_until(Method.REPLIES) is not None:
            return False  # a later sweep finds it
        match await slack.replies(channel, ts, limit=1):
            case NotFound():
                return True
            case Read() as answer:
                return any(message.ts == ts and message.deleted for message in messages_of(answer))
            case _:
                return False

    async def _repost(self, card: int, ts: str) -> None:
        now = self._shared.clock.now()
        context = await self._shared.update_card(
            card, lambda context: failures.repost_lost_root(context, ts, "root_gone", now)
        )
        detail = "Somebody deleted the card in Slack; relay posts it again."
        log.info("card_reposted", **card_fields(context.card), reason="root_gone", ts=ts, detail=detail)
        self._shared.wake_all()

    async def _next_channel(self) -> tuple[Channel, Sequence[tuple[int, str]]] | None:
        """Return the open channel whose turn it is, with its open cards and their ts."""
        channels = {
            channel.ref: channel
            for channel in await self._shared.store.channels()
            if channel.state is ChannelState.OPEN and channel.slack_id and not channel.canonical_ref
        }
        swept = [ref for ref in self._sweep_order if ref in channels]
        self._sweep_order = [*(ref for ref in channels if ref not in swept), *swept]
        for ref in tuple(self._sweep_order):
            self._sweep_order.remove(ref)
            self._sweep_order.append(ref)
            if cards := await self._shared.store.open_cards(ref):
                return channels[ref], cards
        return None

    async def _read_page(self, channel: str, oldest: str, latest: str | None, cursor: str | None) -> SlackOutcome:
        """Read one page of a channel. A sweep never waits for the rate limit, and leaves it to more urgent calls."""
        if self._shared.slack.throttle.blocked_until(Method.HISTORY) is not None:
            return Retryable(reason="rate_limited")
        return await self._shared.slack.history(channel, oldest, latest, cursor=cursor)


def _log_rejected(card: Card, fallback: str, letter: DeadLetter) -> None:
    fields = {**card_fields(card), "reason": letter.reason, "remedy": letter.remedy}
    if fallback and fallback != card.channel:
        detail = f"The card goes to the fallback channel {fallback}, because its own channel accepts no messages."
        log.warning("card_diverted", to=fallback, **fields, detail=detail)
    else:
        detail = "Nobody sees this incident in Slack: its channel accepts no messages, and no other fallback is set."
        log.error("card_not_posted", **fields, detail=detail)


def _log_closed(letter: OpenDeadLetter, reason: str) -> None:
    detail = "Nobody needs this dead letter any more."
    log.info("dead_letter_closed", dead_letter=letter.id, reason=reason, **card_fields(letter.card), detail=detail)


def _references(ref: str, channels: Mapping[str, Channel]) -> set[str]:
    """All references under which a route may name a channel, with its name in Slack."""
    same = [each for each in channels.values() if ref in (each.ref, each.canonical_ref)]
    return {ref}.union(*(each.references for each in same))
