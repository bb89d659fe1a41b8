"""Posts cards again that somebody deleted in Slack: a sweep reads one channel after the other, a little at a time."""

from collections.abc import Sequence
from functools import partial

import structlog

from relay.cards import failures
from relay.cards.model import Channel, ChannelState
from relay.delivery.context import DeliveryContext, card_fields
from relay.delivery.history import MessageHistory, read_messages
from relay.slack.methods import Method
from relay.slack.outcomes import NotFound, Read, Retryable, SlackOutcome
from relay.slack.responses import messages_of

log = structlog.get_logger("relay.delivery")

SWEEP_EVERY = 120.0
"""Seconds between two sweeps, each of one channel."""

SWEEP_MAX_PAGES = 2
"""The most pages of a sweep, 400 messages: sweeps use one call in fifty of the limit of conversations.history."""

HISTORY_LAG = 120.0
"""Seconds for which Slack's history may not show a message yet."""


class Sweep:
    """Looks for open cards that are not in their channel any more."""

    def __init__(self, shared: DeliveryContext) -> None:
        self._shared = shared
        self._next_sweep = shared.clock.monotonic() + SWEEP_EVERY
        self._sweep_order: list[str] = []
        self._swept_back_to: dict[str, str] = {}

    async def sweep_due(self) -> float:
        """Sweep one channel, if it is time; return when to sweep the next one."""
        clock = self._shared.clock
        if clock.monotonic() >= self._next_sweep:
            self._next_sweep = clock.monotonic() + SWEEP_EVERY
            await self._sweep()
        return clock.time_at(self._next_sweep)

    async def _sweep(self) -> None:
        """Read one channel back a little, and repost each open card that is missing.

        Each sweep of a channel continues where the previous one stopped, back to the oldest open card; then it starts
        again.
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
