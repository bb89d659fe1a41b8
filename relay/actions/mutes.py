"""Mutes made and ended in Slack, by the button of a card or by a command: one place checks permissions and does it.

    planned = await mutes.planned(MuteRequest(user="U1", match="{tags: {service: checkout}}", end=..., reason="deploy"))
    mute = await mutes.make(planned, key)
    await mutes.end(mute.id, "U1")

When a call returns, the change is stored, and relay can answer Slack. If Slack sends a request twice, there is one
mute.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from relay.actions.people import LookupFailed, People
from relay.actions.permission import Denied, Permissions
from relay.cards.model import Card
from relay.cards.mutes import MAX_AUTHOR, InvalidMute, Mute, MuteState, check_mute
from relay.model.incident import State
from relay.routes.rulebook import Rulebook
from relay.runtime.clock import Clock
from relay.store.store import Store

log = structlog.get_logger("relay.interactions")


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteRequest:
    """What a person asks for: to mute the incident of a `card`, or all that a `match` (as in routes.yaml) matches.

    `start` (by default now) and `end` are Unix seconds. `user` is the person's Slack id. A state at or above `unless`
    is not muted. A match is limited to the routes in `among`, if it is set; the fallback's name is empty.
    """

    user: str
    end: float
    reason: str
    card: Card | None = None
    match: str = ""
    start: float | None = None
    unless: State | None = None
    among: frozenset[str] | None = None


class SlackMutes:
    """Makes and ends mutes for people in Slack."""

    def __init__(
        self, store: Store, people: People, permissions: Permissions, rulebook: Callable[[], Rulebook], clock: Clock
    ) -> None:
        """`rulebook` returns the live routes."""
        self._store = store
        self._people = people
        self._permissions = permissions
        self._rulebook = rulebook
        self._clock = clock

    async def made(self, key: str) -> Mute | None:
        """Return the mute that has been made with this key, if there is one, as it is now."""
        return await self._store.mute_with_key(key)

    async def planned(self, request: MuteRequest) -> Mute:
        """Return the mute that the person asks for and may make; nothing is stored.

        A mute by a match covers the cards of those routes where the person may mute.

        Raises:
            InvalidMute: the person may not, or it cannot be made; the message says why, in plain text.
            ConfigurationError: its match has faults.
            StoreError: the database failed.
        """
        routes = await self._routes(request)
        now = self._clock.now()
        wanted = Mute(
            match="" if request.card is not None else request.match,
            incident=request.card.incident if request.card is not None else "",
            routes=routes,
            start=now if request.start is None else request.start,
            end=request.end,
            reason=" ".join(request.reason.split()),
            author=await self._author(request.user),
            origin=f"slack:{request.user}",
            unless=request.unless,
            created=now,
        )
        check_mute(wanted, now, longest=self._rulebook().mutes.max)
        return wanted

    async def make(self, planned: Mute, key: str) -> Mute:
        """Make a planned mute; return it with its number. If this key has made one already, return that.

        `key` is what Slack repeats unchanged, and with nothing else that a person does.

        Raises StoreError: the database failed; nothing was made.
        """
        made = await self._store.add_mute(planned, key)
        scope = {"incident": made.incident} if made.incident else {"match": made.match, "routes": list(made.routes)}
        user = made.origin.removeprefix("slack:")
        log.info("mute_made", mute=made.id, user=user, **scope, detail="Somebody made a mute in Slack.")
        return made

    async def end(self, number: int, user: str) -> Mute:
        """End a mute now; return it as it was before. Only a person who may mute all that it covers may end it.

        Raises:
            InvalidMute: the person may not, or it is over; the message says why, in plain text.
            StoreError: the database failed.
        """
        mute, now = await self._store.mute(number), self._clock.now()
        if mute is None or mute.state(now) is MuteState.OVER:
            raise InvalidMute("This mute has already ended.")
        await self.check_may_end(mute, user)
        if not await self._store.end_mute(number, now, await self._author(user)):
            raise InvalidMute("This mute has already ended.")
        log.info("mute_ended", mute=number, user=user, detail="Somebody ended a mute in Slack.")
        return mute

    async def routes(self, user: str) -> tuple[str, ...]:
        """The routes whose cards this person may mute by a tag; see `Permissions.routes_to_mute`.

        Raises InvalidMute: there is none.
        """
        found = await self._permissions.routes_to_mute(user)
        if isinstance(found, Denied) and found.reason == "not_offered":
            raise InvalidMute("No route lets people mute from Slack: routes.yaml has mute in no actions.")
        if not isinstance(found, tuple):
            raise InvalidMute(_refused(found))
        return found

    async def _routes(self, request: MuteRequest) -> tuple[str, ...]:
        """The routes to which a mute is limited; none of one incident, if the person may mute it."""
        if request.card is None:
            among, routes = request.among, await self.routes(request.user)
            limited = tuple(route for route in routes if among is None or route in among)
            if not limited:
                raise InvalidMute("You can see no channel of a route in which you may mute.")
            return limited
        refused = await self._permissions.check(request.card, "mute", request.user)
        if refused is not None:
            raise InvalidMute(_refused(refused))
        return ()

    async def check_may_end(self, mute: Mute, user: str) -> None:
        """Check whether this person may end the mute.

        Raises:
            InvalidMute: they may not; the message says why, in plain text.
            StoreError: the database failed.
        """
        if mute.incident:
            cards = await self._store.current_cards(mute.incident)
            results = [await self._permissions.check(card, "end_mute", user) for card in cards]
            refused = [result for result in results if result is not None]
            if refused and len(refused) == len(cards):
                raise InvalidMute(_refused(refused[0]))
            return
        live = set(self._permissions.live_routes)
        covered = live.intersection(mute.routes) if mute.routes else live
        if beyond := sorted(covered - set(await self.routes(user))):
            names = ", ".join(name or "the fallback" for name in beyond)
            raise InvalidMute(
                f"It also covers {names}, where you may not mute. Ask somebody who may, "
                f"or relay's operator: relay mute end {mute.id}"
            )

    async def _author(self, user: str) -> str:
        """How cards call the person; their id, if Slack does not say."""
        found = await self._people.person(user)
        name = "" if isinstance(found, LookupFailed) else found.name
        return " ".join((name or user).split())[:MAX_AUTHOR]


def _refused(result: Denied | LookupFailed) -> str:
    """Why a person may not, in plain text: Slack shows it beside the input of a modal."""
    if isinstance(result, LookupFailed):
        return f"Slack did not say who may do this ({result.reason.replace('_', ' ')}). Try again."
    if result.reason == "not_offered":
        return "No card of yours offers this any more."
    return "Only members of the user groups that routes.yaml names for this may do it."
