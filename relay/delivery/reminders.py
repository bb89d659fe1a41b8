"""Reminds people of incidents that nobody has, when it is time; what is decided stands in `relay.cards.reminding`."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog

from relay.cards.attention import Surroundings
from relay.cards.model import Card, Channel, IncidentState
from relay.cards.mutes import Mute
from relay.cards.reminding import (
    REMEDIES,
    Blocked,
    DueReminder,
    Reminding,
    SentReminder,
    begin_by_live_rules,
    has_reminders,
    remind,
)
from relay.config.configuration import Configuration
from relay.delivery.context import DeliveryContext, card_fields
from relay.model.counting import counted
from relay.model.struct import replace
from relay.runtime.clock import WakeEvent
from relay.runtime.logging import REPORT_IT
from relay.store.reminders import DecideReminders

log = structlog.get_logger("relay.delivery")

BATCH: Final = 100
"""Incidents of one transaction that follow changed rules."""

LOOK_AGAIN_AFTER: Final = 10.0
"""Seconds after which is looked again, where what was due is not any more."""

REPORT_EVERY: Final = 3600.0
"""Seconds after which the log says again that reminders are blocked."""


class Reminders:
    """Decides the reminders that are due, one channel after the other."""

    def __init__(
        self,
        shared: DeliveryContext,
        live: Callable[[], Configuration],
        surroundings: Callable[[], Surroundings],
        can_ask: Callable[[], bool],
    ) -> None:
        """`live` returns the live configuration, `surroundings` what else decides when relay speaks.

        `can_ask` says whether relay has access to BigPanda's API, and it works.
        """
        self.wakeup = WakeEvent()
        self._shared = shared
        self._live = live
        self._surroundings = surroundings
        self._can_ask = can_ask
        self._configuration = ""
        self._reported: dict[Blocked, float] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Remind people of what is due, until `stopping` is set."""
        self._configuration = ""
        while not stopping.is_set():
            until = None if self._shared.slack.breaker.is_open else await self._turn()
            await self._shared.clock.wait_idle(self.wakeup, until)

    async def _turn(self) -> float | None:
        """Do everything that is due; return when the next reminder is (None: when something wakes this)."""
        store, clock = self._shared.store, self._shared.clock
        await self._follow_rules()
        while (due := await store.next_reminder_due()) is not None and due <= clock.now():
            now = clock.now()
            made = await store.remind_next(now, self._decide_at(now), lease=self._shared.lease)
            if made is None or not made.cards:
                return now + LOOK_AGAIN_AFTER
            self._report(made, now)
        return due

    def _decide_at(self, now: float) -> DecideReminders:
        surroundings, can_ask = self._surroundings(), self._can_ask()

        def decide(channel: Channel, reminders: Sequence[DueReminder], mutes: tuple[Mute, ...]) -> Reminding:
            return remind(channel, reminders, replace(surroundings, mutes=mutes), now, can_ask=can_ask)

        return decide

    async def _follow_rules(self) -> None:
        """Where the rules have changed, every open card follows them; interrupted, this begins again."""
        live = self._live()
        if live.hash == self._configuration:
            return
        store = self._shared.store
        if has_reminders(live.rulebook) or await store.has_reminders():
            decide = partial(_follow, self._surroundings(), self._shared.clock.now())
            after: str | None = ""
            while after is not None:
                after = await store.follow_rules(after, BATCH, decide, lease=self._shared.lease)
        self._configuration = live.hash

    def _report(self, made: Reminding, now: float) -> None:
        for sent in made.sent:
            self._shared.metrics.record_reminder(sent.card.route, "reminder" if sent.number else "then")
            log.info("reminder", **card_fields(sent.card), number=sent.number, of=sent.of, detail=_described(sent))
        for card in made.failed:
            detail = f"Unexpected error while relay decided about a reminder; it tries again an hour later. {REPORT_IT}"
            log.error("reminder_failed", **card_fields(card), detail=detail)
        for why, cards in made.blocked.items():
            self._shared.metrics.record_blocked_reminders(why, cards)
            if now - self._reported.get(why, -REPORT_EVERY) >= REPORT_EVERY:
                self._reported[why] = now
                detail = f"{counted(cards, 'reminder')} cannot be sent. {REMEDIES[why]}"
                log.error("reminders_blocked", channel=made.channel, reason=str(why), detail=detail)
        if made.sent or made.tasks:
            self._shared.wake_all()


def _follow(surroundings: Surroundings, now: float, card: Card, state: IncidentState) -> Card:
    return begin_by_live_rules(card, state, surroundings, now)


def _described(sent: SentReminder) -> str:
    if sent.number:
        return f"Nobody has the incident: reminder {sent.number} of {sent.of}."
    return "Nobody has taken the incident after the last reminder: another channel is told."
