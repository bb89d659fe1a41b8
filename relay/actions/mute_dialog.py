"""From the button of a card to a mute: the questions of the modal, and the effect of its answer."""

from collections.abc import Callable, Mapping
from typing import Any

from relay.actions import messages
from relay.actions.modal_parts import Block
from relay.actions.modals import input_error
from relay.actions.mute_modal import MuteChoice, chosen, end_mute_inputs, lets_through, mute_choices, mute_inputs
from relay.actions.mute_preview import MutePreview, preview
from relay.actions.mutes import MuteRequest, SlackMutes
from relay.actions.people import LookupFailed, People
from relay.actions.preflight import chosen_moment
from relay.cards.model import Card, IncidentState
from relay.cards.mutes import InvalidMute, MutePart, covering_mutes
from relay.model.errors import ConfigurationError
from relay.model.incident import Incident, State
from relay.model.reading import read_incident
from relay.routes.mute_match import literal_match
from relay.routes.rulebook import Rulebook
from relay.runtime.clock import Clock
from relay.slack import limits
from relay.slack.interactions import MOMENT_INPUT, TEXT_INPUT, UNTIL_INPUT, WHAT_INPUT, Submission
from relay.slack.responses import SlackUser
from relay.store.store import Store

Errors = dict[str, Any]
"""The answer that makes Slack show what is wrong."""

_BLOCKS: Mapping[MutePart, str] = {MutePart.WHAT: WHAT_INPUT, MutePart.TIME: UNTIL_INPUT, MutePart.REASON: TEXT_INPUT}


class MuteDialog:
    """Asks what to mute or which mute to end, and does it."""

    def __init__(
        self, store: Store, people: People, mutes: SlackMutes, rulebook: Callable[[], Rulebook], clock: Clock
    ) -> None:
        """`rulebook` returns the live routes."""
        self._store = store
        self._people = people
        self._mutes = mutes
        self._rulebook = rulebook
        self._clock = clock

    async def inputs(self, action: str, card: Card, state: IncidentState, user: str) -> list[Block]:
        """What the modal of `mute` or `end_mute` asks this person. Raises StoreError: the database failed."""
        incident, now = self._incident(state), self._clock.now()
        if action == "end_mute":
            mutes = await self._store.mutes_after(now)
            return end_mute_inputs(covering_mutes(mutes, incident, card.route, now))
        choices = mute_choices(incident, card.options.show_tags)
        try:
            routes = await self._mutes.routes(user)
        except InvalidMute:  # nothing but this incident
            choices, routes = choices[:1], ()
        return mute_inputs(
            choices,
            await self._previews(choices, routes, now),
            critical=incident.state is State.CRITICAL,
            routes=routes,
            longest=self._rulebook().mutes.max,
        )

    async def submit(self, submission: Submission, card: Card | None) -> Errors | None:
        """Do what a modal says; return what Slack shows where it cannot be done.

        Raises StoreError: the database failed, and nothing was done.
        """
        if card is None:
            return input_error(WHAT_INPUT, messages.UNKNOWN_CARD)
        try:
            if submission.action == "mute":
                planned = await self._mutes.planned(await self._request(submission, card))
                await self._mutes.make(planned, f"modal:{submission.view_id}")
            elif which := submission.values.get(WHAT_INPUT, ""):
                await self._mutes.end(int(which), submission.user)
        except InvalidMute as error:
            block = MOMENT_INPUT if error.part is MutePart.TIME and MOMENT_INPUT in submission.values else ""
            return input_error(block or _BLOCKS[error.part], str(error))
        except ConfigurationError:
            return input_error(WHAT_INPUT, "This value is too long for a mute. Mute another tag.")
        return None

    async def _request(self, submission: Submission, card: Card) -> MuteRequest:
        state, values = await self._store.incident_state(card.incident), submission.values
        incident = self._incident(state) if state is not None else None
        choice = chosen(incident, values.get(WHAT_INPUT, "")) if incident is not None else None
        if incident is None or choice is None:
            raise InvalidMute("The incident does not have this value any more. Press the button again.")
        return MuteRequest(
            user=submission.user,
            end=await self._end(submission),
            reason=values.get(TEXT_INPUT, ""),
            card=None if choice.tag else card,
            match=literal_match(choice.tag, choice.value) if choice.tag else "",
            unless=lets_through(choice, incident.state, values),
        )

    async def _end(self, submission: Submission) -> float:
        found = await self._people.person(submission.user)
        if isinstance(found, LookupFailed):
            if MOMENT_INPUT not in submission.values and submission.values.get(UNTIL_INPUT) == "morning":
                raise InvalidMute(
                    "Slack did not say in which time zone you are. Choose a date and time.", MutePart.TIME
                )
            found = SlackUser(id=submission.user)
        return chosen_moment(submission.values, self._clock.now(), found)

    async def _previews(
        self, choices: tuple[MuteChoice, ...], routes: tuple[str, ...], now: float
    ) -> dict[MuteChoice, MutePreview]:
        tags = [choice for choice in choices[: limits.CHOICES] if choice.tag]
        mutes = [choice.as_mute(routes, now) for choice in tags]
        if not mutes:
            return {}
        found = await preview(self._store, mutes, self._rulebook(), now, at_once=True)
        return dict(zip(tags, found, strict=True))

    def _incident(self, state: IncidentState) -> Incident:
        return read_incident(state.record, self._rulebook().tag_labels)
