"""Lets what is stored follow the live rules, whenever they have changed.

What the change may have freed is looked at at once, and the reminders of posted cards follow.
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
        """Follow the live rules anew: another relay may have delivered by others."""
        self._followed = ""

    async def follow(self) -> None:
        """Follow the live rules, if they are others than before."""
        live, shared = self._shared.live(), self._shared
        if live.hash == self._followed:
            return
        now = shared.clock.now()
        held = await shared.store.look_at_held(now, lease=shared.lease)
        if has_reminders(live.rulebook) or await shared.store.has_reminders():
            await shared.change_open_cards(partial(_follow, shared.surroundings(), now))
        self._followed = live.hash
        if held:
            shared.wake_all()


def _follow(surroundings: Surroundings, now: float, card: Card, state: IncidentState) -> Card:
    return begin_by_live_rules(card, state, surroundings, now)
