"""Applies changed live rules to stored cards and reminders.

It re-evaluates held cards and pings at once, and then the reminders of posted cards.
"""

from functools import partial

from relay.cards.attention import Surroundings
from relay.cards.model import Card, IncidentState
from relay.cards.reminding import begin_by_live_rules, has_reminders
from relay.delivery.context import DeliveryContext


class RulesWatch:
    """Notices that the rules have changed; interrupted, it begins again."""

    def __init__(self, shared: DeliveryContext) -> None:
        self._shared = shared
        self._followed = ""

    async def begin(self) -> None:
        """Apply the live rules again: another relay may have delivered with other rules."""
        self._followed = ""

    async def follow(self) -> None:
        """Apply the live rules, if they have changed."""
        live, shared = self._shared.live(), self._shared
        if live.hash == self._followed:
            return
        self._followed = ""
        now = shared.clock.now()
        await shared.store.look_at_held(now, lease=shared.lease)
        if has_reminders(live.rulebook) or await shared.store.has_reminders():
            await shared.change_open_cards(partial(_follow, shared.surroundings(), now))
        if shared.live() is live:  # else an edit came meanwhile, perhaps back to these rules: others have used it
            self._followed = live.hash


def _follow(surroundings: Surroundings, now: float, card: Card, state: IncidentState) -> Card:
    return begin_by_live_rules(card, state, surroundings, now)
