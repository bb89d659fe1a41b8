"""Sends reminders of incidents that nobody has; `relay.cards.reminding` decides about them."""

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from relay.cards.model import Channel
from relay.cards.mutes import Mute
from relay.cards.reminding import REMEDIES, Blocked, DueReminder, Reminding, SentReminder, remind
from relay.delivery.context import DeliveryContext, card_fields
from relay.delivery.parts import do_due
from relay.model.counting import counted
from relay.model.struct import replace
from relay.runtime.logging import REPORT_IT

log = structlog.get_logger("relay.delivery")

REPORT_EVERY: Final = 3600.0
"""Seconds after which the log says again that reminders are blocked."""


class Reminders:
    """Decides the reminders that are due, one channel after the other."""

    def __init__(self, shared: DeliveryContext, can_ask: Callable[[], bool]) -> None:
        """`can_ask` says whether relay has access to BigPanda's API, and it works."""
        self._shared = shared
        self._can_ask = can_ask
        self._reported: dict[Blocked, float] = {}

    async def remind_due(self) -> float | None:
        """Remind people of everything that is due; return when to look again."""
        return await do_due(self._shared.store.next_reminder_due, self._remind_next, self._shared.clock)

    async def _remind_next(self, now: float) -> bool:
        surroundings, can_ask = self._shared.surroundings(), self._can_ask()

        def decide(channel: Channel, reminders: Sequence[DueReminder], mutes: tuple[Mute, ...]) -> Reminding:
            return remind(channel, reminders, replace(surroundings, mutes=mutes), now, can_ask=can_ask)

        made = await self._shared.store.remind_next(now, decide, lease=self._shared.lease)
        if made is None or not made.cards:
            return False
        self._report(made, now)
        return True

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


def _described(sent: SentReminder) -> str:
    if sent.number:
        return f"Nobody has the incident: reminder {sent.number} of {sent.of}."
    return "Nobody has taken the incident after the last reminder: another channel gets a card."
