"""Puts right what is not as it should be.

Cards of channels that take nothing go to the fallback, letters whose channel works again are redriven, and cards that
somebody deleted without anybody noticing are posted anew.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog

from relay.cards import failures
from relay.cards.failures import EXTERNAL, is_external
from relay.cards.model import CardState, Channel, ChannelState, DeadLetter
from relay.delivery.context import DeliveryContext, card_fields
from relay.runtime.clock import WakeEvent
from relay.slack.error_codes import CHANNEL_REASONS, REMEDIES
from relay.slack.methods import Method
from relay.slack.outcomes import Read
from relay.slack.responses import FoundMessage, cursor_of, messages_of
from relay.store.types import Lease, OpenDeadLetter

log = structlog.get_logger("relay.delivery")

SWEEP_EVERY = 120.0
"""Seconds between two looks of the sweep, each at one channel."""

SWEEP_MAX_PAGES = 2
"""The most pages that a look reads, 400 messages: in all one call in fifty of what history may be read."""

RETRY_PAUSE = 5.0
"""Seconds after which cards of channels that take nothing are looked for again, while there are such channels."""

HISTORY_LAG = 120.0
"""Seconds for which Slack's history may not show a message yet."""

MAX_PER_ROUND = 200
"""The most cards of one channel that are diverted in one go."""


class Repair:
    """Diverts, redrives and sweeps."""

    def __init__(self, kit: DeliveryContext) -> None:
        """Mend the cards of the kit's store; `troubled` says that there are channels that take nothing."""
        self.bell = WakeEvent()
        self.has_rejected_channels = False
        self._kit = kit
        self._next_sweep = kit.clock.now() + SWEEP_EVERY
        self._swept: list[str] = []
        self._reached: dict[str, str] = {}
        self._tried: dict[str, float | None] = {}

    async def run(self, lease: Lease | None, over: asyncio.Event) -> None:
        """Mend whenever something rings, and sweep now and then, until `over`."""
        while not over.is_set():
            if await self.repair(lease):
                self._kit.wake_all()
            if self._kit.clock.now() >= self._next_sweep and not self._kit.breaker.is_open:
                self._next_sweep = self._kit.clock.now() + SWEEP_EVERY
                await self._sweep(lease)
            soon = self._kit.clock.now() + (RETRY_PAUSE if self.has_rejected_channels else SWEEP_EVERY)
            await self._kit.wait(self.bell, min(soon, max(self._next_sweep, self._kit.clock.now() + RETRY_PAUSE)))

    async def repair(self, lease: Lease | None) -> bool:
        """Divert what waits for channels that refuse, and redrive what need wait no more; whether there was any."""
        channels = {channel.ref: channel for channel in await self._kit.store.channels()}
        self.has_rejected_channels = any(channel.state is ChannelState.REJECTED for channel in channels.values())
        waiting = await self._kit.store.stalled_channels(self._kit.clock.now())
        diverted = [await self._divert(channel, lease) for channel in waiting]
        aside, alone = self._kit.backoff.skipped_cards, self._kit.backoff.run_isolated
        redriven = [
            await alone(letter.card.id, partial(self._redrive, letter, channels, lease), card_fields(letter.card))
            for letter in await self._kit.store.dead_letters()
            if letter.card.id not in aside
        ]
        return any(diverted) or any(redriven)

    async def _divert(self, channel: Channel, lease: Lease | None) -> bool:
        if channel.state is not ChannelState.REJECTED:
            return False
        now, rules = self._kit.clock.now(), self._kit.rules()
        remedy = str(channel.facts.get("remedy") or REMEDIES.get(channel.reason, ""))
        letter = DeadLetter(reason=channel.reason, remedy=remedy, since=now)
        aside, alone = self._kit.backoff.skipped_cards, self._kit.backoff.run_isolated
        cards = [card for card in await self._kit.store.due_cards(channel.ref, now, MAX_PER_ROUND) if card not in aside]
        for card in cards:
            case = await alone(
                card,
                partial(
                    self._kit.store.update_card,
                    card,
                    lambda case: failures.divert_to_fallback(case, rules, letter),
                    lease=lease,
                ),
            )
            if case is None:
                continue
            to = rules.fallback.channel.ref if rules.fallback else ""
            log.error("diverted", **card_fields(case.card), to=to, reason=letter.reason, remedy=letter.remedy)
        return bool(cards)

    async def _redrive(self, letter: OpenDeadLetter, channels: dict[str, Channel], lease: Lease | None) -> bool:
        """A letter for its channel's sake is redriven by itself when the channel takes messages again."""
        if not letter.card.is_current:
            now, words = self._kit.clock.now(), self._kit.rules().tag_labels
            await self._kit.store.update_card(
                letter.card.id, lambda case: failures.retry_card(case, words, now), lease=lease
            )
            log.info("letter_closed", letter=letter.id, reason="followed_no_more", **card_fields(letter.card))
            return False
        channel = channels.get(letter.card.channel)
        if (
            channel is None
            or channel.state is not ChannelState.OPEN
            or letter.reason not in CHANNEL_REASONS | {EXTERNAL}
        ):
            return False
        if (
            letter.card.state is not CardState.REJECTED
            or is_external(letter.card, channel)
            or not self._may_try(channel)
        ):
            return False
        now, words = self._kit.clock.now(), self._kit.rules().tag_labels
        log.warning("redriven", **card_fields(letter.card), letter=letter.id, reason=letter.reason)
        case = await self._kit.store.update_card(
            letter.card.id, lambda case: failures.retry_card(case, words, now), lease=lease
        )
        if case.card.post is not None:
            self._tried[channel.ref] = channel.retry_at
        return True

    def _may_try(self, channel: Channel) -> bool:
        """Where a channel is there again but has not proved that it takes messages, one goes ahead of the others."""
        return not channel.reason or self._tried.get(channel.ref) != channel.retry_at

    async def _sweep(self, lease: Lease | None) -> None:
        """Read one channel back a little: an open card that is not where it should be is posted anew.

        Each look goes on where the one before stopped, back to the oldest open card, and then begins anew.
        """
        found = await self._next_channel()
        if found is None:
            return
        channel, cards = found
        oldest, latest = min(ts for _, ts in cards), self._reached.pop(channel.ref, None)
        read = await self._read(channel.slack_id or "", oldest, latest)
        if read is None:
            return
        seen, whole = read
        there = {message.ts for message in seen if not message.deleted}
        reached = oldest if whole else min((message.ts for message in seen), default=oldest)
        newest = min(latest or "9", f"{self._kit.clock.now() - HISTORY_LAG:.6f}")
        for card, ts in cards:
            if reached <= ts <= newest and ts not in there:
                await self._kit.backoff.run_isolated(card, partial(self._renew, card, ts, lease))
        if not whole:
            self._reached[channel.ref] = reached

    async def _renew(self, card: int, ts: str, lease: Lease | None) -> None:
        now, words = self._kit.clock.now(), self._kit.rules().tag_labels
        case = await self._kit.store.update_card(
            card, lambda case: failures.repost_lost_root(case, ts, words, "root_gone", now), lease=lease
        )
        log.warning("drifted", **card_fields(case.card), reason="root_gone", ts=ts)
        self._kit.wake_all()

    async def _next_channel(self) -> tuple[Channel, Sequence[tuple[int, str]]] | None:
        """Each open channel with open cards in its turn, and those cards."""
        channels = await self._kit.store.channels()
        opened = [
            each for each in channels if each.state is ChannelState.OPEN and each.slack_id and not each.canonical_ref
        ]
        self._swept = [ref for ref in self._swept if any(each.ref == ref for each in opened)]
        in_turn = sorted(opened, key=lambda each: self._swept.index(each.ref) if each.ref in self._swept else -1)
        for channel in in_turn:
            self._swept = [*(ref for ref in self._swept if ref != channel.ref), channel.ref]
            if cards := await self._kit.store.open_cards(channel.ref):
                return channel, cards
        return None

    async def _read(self, channel: str, oldest: str, latest: str | None) -> tuple[list[FoundMessage], bool] | None:
        """Messages, and whether they reach back to the oldest; None where Slack could not be asked."""
        seen: list[FoundMessage] = []
        cursor: str | None = None
        for _ in range(SWEEP_MAX_PAGES):
            now = self._kit.clock.now()
            if self._kit.budgets.ready_at(Method.HISTORY, "", now) > now:
                return None
            self._kit.budgets.spend(Method.HISTORY, "", now)
            answer = await self._kit.slack.history(channel, oldest, latest, cursor=cursor)
            self._kit.record_answer(Method.HISTORY, answer)
            if not isinstance(answer, Read):
                return None
            seen += messages_of(answer)
            if (cursor := cursor_of(answer)) is None:
                return seen, True
        return seen, False
