"""Decides who may act on a card, by the options that its route has now."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from relay.actions.people import LookupFailed, People
from relay.cards.model import Card
from relay.model.buttons import BUTTONS, MUTE_WORD
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
        """Return why this person may not do this on the card (None: they may), or that relay cannot check it now."""
        return await self._check(() if card is None else (self._options(card),), BUTTONS[action].word, user)

    async def routes_to_mute(self, user: str) -> tuple[str, ...] | Denied | LookupFailed:
        """Return the live routes whose cards this person may mute by a tag, by name; the fallback's name is empty.

        A route counts if one of its post items offers it, and each that does allows it to this person.
        """
        failed: Denied | LookupFailed = Denied(reason="not_offered")
        found: list[str] = []
        live = list(self._live())
        offering = (options for _, every in live for options in every if MUTE_WORD in options.actions)
        await self._people.look_up_groups({group for each in offering for group in self._groups(each, MUTE_WORD)})
        for name, offered in live:
            match await self._check(offered, MUTE_WORD, user):
                case None:
                    found.append(name)
                case Denied(reason="not_offered"):
                    pass
                case Denied() | LookupFailed() as result if not isinstance(failed, LookupFailed):
                    failed = result
        return tuple(found) or failed

    @property
    def live_routes(self) -> tuple[str, ...]:
        """The names of all live routes that post cards; the fallback's is empty."""
        return tuple(name for name, _ in self._live())

    async def _check(self, offered: Sequence[Options], word: str, user: str) -> Denied | LookupFailed | None:
        """Whether one of these options offers a word of `actions`, and each that does allows it to a person."""
        offering = [options for options in offered if word in options.actions]
        if not offering:
            return Denied(reason="not_offered")
        for groups in dict.fromkeys(self._groups(options, word) for options in offering):
            allowed = await self._people.is_in_any(user, groups)
            if isinstance(allowed, LookupFailed):
                return allowed
            if not allowed:
                return Denied(reason="not_allowed", groups=groups)
        return None

    def _groups(self, options: Options, word: str) -> tuple[str, ...]:
        """The user groups that may do it; if there are none, everyone may."""
        mutes = self._rulebook().mutes
        return mutes.actors if word == MUTE_WORD and mutes.actors else options.actors

    def _live(self) -> Iterator[tuple[str, tuple[Options, ...]]]:
        """The live routes and the fallback, each with the options of its cards."""
        rulebook = self._rulebook()
        for route in rulebook.routes.flatten_enabled():
            if posts := route.live_posts:
                yield route.name, tuple(post.options for post in posts)
        if rulebook.fallback is not None:
            yield "", (rulebook.fallback.options,)

    def syncs_replies(self, card: Card) -> bool:
        """Whether replies in the card's thread become comments in BigPanda."""
        return self._options(card).sync_replies

    def actors(self, card: Card) -> tuple[str, ...]:
        """Return the user groups that may act on the card."""
        return self._options(card).actors

    def _options(self, card: Card) -> Options:
        return self._rulebook().current_options(card.route, card.channel, card.options)
