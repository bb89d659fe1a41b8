"""Decides who may act on a card, by the options that its route has now."""

from collections.abc import Callable
from dataclasses import dataclass

from relay.actions.people import LookupFailed, People
from relay.cards.model import Card
from relay.model.buttons import BUTTONS
from relay.routes.options import Options
from relay.routes.rulebook import Rulebook


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The person may not act: `not_offered`, or `not_allowed` since they are in none of the `groups`."""

    reason: str
    groups: tuple[str, ...] = ()


class Permissions:
    """Decides by the live routes: a change of the routes counts at once, also for older cards."""

    def __init__(self, people: People, rulebook: Callable[[], Rulebook]) -> None:
        """`rulebook` returns the live routes."""
        self._people = people
        self._rulebook = rulebook

    async def check(self, card: Card | None, action: str, user: str) -> Denied | LookupFailed | None:
        """Return why this person may not do this on the card (None: they may), or that it cannot be found out now."""
        options = self._options(card) if card is not None else Options()
        if BUTTONS[action].word not in options.actions:
            return Denied(reason="not_offered")
        allowed = await self._people.is_in_any(user, options.actors)
        if isinstance(allowed, LookupFailed):
            return allowed
        return None if allowed else Denied(reason="not_allowed", groups=options.actors)

    def syncs_replies(self, card: Card) -> bool:
        """Whether replies in the card's thread become comments in BigPanda."""
        return self._options(card).sync_replies

    def actors(self, card: Card) -> tuple[str, ...]:
        """Return the user groups that may act on the card."""
        return self._options(card).actors

    def _options(self, card: Card) -> Options:
        return self._rulebook().current_options(card.route, card.channel, card.options)
