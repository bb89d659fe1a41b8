"""Repairs what a rejected channel has stopped.

Its cards go to the fallback channel. Dead letters are retried once their channel takes messages again.
"""

from collections.abc import Mapping
from functools import partial

import structlog

from relay.cards import failures
from relay.cards.failures import EXTERNAL, is_external
from relay.cards.model import Card, CardState, Channel, ChannelState, DeadLetter
from relay.delivery.channels import remedy_for
from relay.delivery.context import DeliveryContext, card_fields
from relay.slack.error_codes import CHANNEL_REASONS
from relay.store.types import OpenDeadLetter

log = structlog.get_logger("relay.delivery")

REPAIR_EVERY = 120.0
"""Seconds between two checks, unless something wakes relay."""

RETRY_PAUSE = 5.0
"""Seconds between two checks while a channel is rejected."""

MAX_PER_ROUND = 200
"""The most cards of one channel that are diverted in one round."""


class Repair:
    """Diverts and retries. `has_rejected_channels` says that there are channels that take no messages."""

    def __init__(self, shared: DeliveryContext) -> None:
        self.has_rejected_channels = False
        self._shared = shared
        self._tried: dict[str, float | None] = {}

    async def repair(self) -> float:
        """Divert the cards of rejected channels, and retry dead letters; return when to look again."""
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
        if any(diverted) or any(retried):
            self._shared.wake_all()
        return self._shared.clock.now() + (RETRY_PAUSE if self.has_rejected_channels else REPAIR_EVERY)

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
