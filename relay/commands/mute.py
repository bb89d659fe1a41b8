"""`mute` and `unmute`: the same mutes as `relay mute` and the buttons make, within what the person may mute.

A mute of values of tags, or of a `match`, covers the cards of those routes where the person may mute and of which they
see a channel. A person outside a private channel mutes nothing in it.
"""

from dataclasses import dataclass
from typing import Final

from relay.actions.mute_preview import MutePreview, preview
from relay.actions.mutes import MuteRequest, SlackMutes
from relay.cards.model import Card
from relay.cards.mutes import InvalidMute, Mute, MuteState
from relay.commands.question import SlackQuestion, channels_of_routes, visible_routes
from relay.commands.requests import EndMute, MakeMute
from relay.commands.texts import written
from relay.model.errors import ConfigurationError
from relay.model.incident import State
from relay.rendering.engine.filters import code, oneline, slack_time
from relay.routes.mute_match import literal_match
from relay.slack import limits
from relay.slack.interactions import CONFIRM_ACTION, Command, confirm_value
from relay.slack.message import Message
from relay.tools.mutes import read_duration
from relay.tools.permalink import is_link, root_message
from relay.tools.share_source import parse_moment

_LONGEST_MATCH: Final = 200
_STATES: Final = {str(state): state for state in (State.CRITICAL, State.WARNING)}


@dataclass(frozen=True, slots=True)
class Doubtful:
    """The mute matches nothing, or very much: the person has to confirm it. `text` says what it matches, in mrkdwn."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMute:
    """A mute that the person may make, and what it matches; None for one incident."""

    mute: Mute
    preview: MutePreview | None


async def plan_mute(question: SlackQuestion, mutes: SlackMutes, wanted: MakeMute) -> PlannedMute | Doubtful | str:
    """Return the mute that is to be made, or the question whether it is meant, or why there is none, in mrkdwn.

    Raises StoreError: the database failed.
    """
    try:
        planned = await mutes.planned(await _request(question, wanted))
        found = None if planned.incident else await _preview(question, planned)
    except InvalidMute as error:
        return _not_done("Not muted", str(error))
    except ConfigurationError as error:
        return _not_done("Not muted", "; ".join(fault.message for fault in error.faults) + ".")
    if found is not None and found.doubtful and not wanted.sure:
        return Doubtful(f"Nothing is muted yet. {found.sentence} Is that what you mean?")
    return PlannedMute(mute=planned, preview=found)


def confirmation(doubtful: Doubtful, command: Command) -> Message:
    """Ask whether the mute is meant; the button gives the same command again, and the mute is made once."""
    again = f"{command.text} --yes"
    hint = f"{doubtful.text} If so, add `--yes` to the command."
    value = confirm_value(command, again)
    if len(value) > limits.BUTTON_VALUE:
        return Message(text=hint)
    button = {
        "type": "button",
        "action_id": CONFIRM_ACTION,
        "text": {"type": "plain_text", "text": "Mute it"},
        "value": value,
    }
    asks = {"type": "section", "text": {"type": "mrkdwn", "text": doubtful.text}}
    return Message(text=hint, blocks=(asks, {"type": "actions", "elements": [button]}))


async def why_not_end(question: SlackQuestion, mutes: SlackMutes, wanted: EndMute) -> str:
    """Return why the person may not end the mute, or that it is over, in mrkdwn; empty if they may.

    Raises StoreError: the database failed.
    """
    mute = await question.store.mute(wanted.number)
    if mute is not None and mute.state(question.now) is MuteState.OVER:  # perhaps since Slack sends the command again
        return f"Mute {wanted.number} is over."
    if mute is None or not await _is_visible(question, mute):
        return _not_done("Not ended", f"there is no mute {wanted.number} of anything that you can see.")
    try:
        await mutes.check_may_end(mute, question.viewer.user)
    except InvalidMute as error:
        return _not_done("Not ended", str(error))
    return ""


async def _is_visible(question: SlackQuestion, mute: Mute) -> bool:
    """Whether the person sees what the mute covers: a card of its incident, or a channel of each of its routes."""
    if mute.incident:
        return bool(question.viewer.visible(await question.store.current_cards(mute.incident)))
    every = frozenset(name for name, _ in channels_of_routes(question))
    covered = every & frozenset(mute.routes) if mute.routes else every
    return covered <= visible_routes(question)


async def end_mute(mutes: SlackMutes, wanted: EndMute, user: str) -> str:
    """End the mute and say so, in mrkdwn; or say why not.

    Raises StoreError: the database failed.
    """
    try:
        await mutes.end(wanted.number, user)
    except InvalidMute as error:
        return _not_done("Not ended", str(error))
    return f"Mute {wanted.number} is over. One message names what is still open, and pings those who were not pinged."


async def _request(question: SlackQuestion, wanted: MakeMute) -> MuteRequest:
    start = question.now
    if wanted.start:
        try:
            start = parse_moment(wanted.start)
        except ValueError as error:
            raise InvalidMute(f"{error}.") from None
    return MuteRequest(
        user=question.viewer.user,
        start=start,
        end=start + read_duration(wanted.how_long),
        reason=wanted.reason,
        card=await _card(question, wanted.target) if wanted.target else None,
        match=wanted.match or _match(wanted.tags),
        among=visible_routes(question),
        unless=_unless(wanted),
    )


async def _card(question: SlackQuestion, target: str) -> Card:
    """The card of the incident that is meant: that message, or a card that the person sees."""
    if not is_link(target):
        cards = question.viewer.visible(await question.store.current_cards(target))
        card = next(iter(cards), None)
    else:
        message = root_message(target)
        card = message and await question.store.card_at(message.channel, message.ts)
    if card is None or not card.incident or not question.viewer.visible([card]):
        raise InvalidMute("relay knows no such incident that you can see. Give its id in BigPanda, or its card's link.")
    return card


def _match(tags: tuple[tuple[str, str], ...]) -> str:
    """The match for these values of tags, all of them, taken literally."""
    each = [literal_match(name, value) for name, value in tags]
    return each[0] if len(each) == 1 else f"{{all: [{', '.join(each)}]}}" if each else ""


def _unless(wanted: MakeMute) -> State | None:
    """From which state on nothing is muted: critical, unless the person says otherwise or means one incident."""
    if not wanted.unless:
        return None if wanted.target else State.CRITICAL
    if wanted.unless.casefold() not in {*_STATES, "never"}:
        raise InvalidMute(f"{wanted.unless!r} is no state; expected critical, warning or never.")
    return _STATES.get(wanted.unless.casefold())


async def _preview(question: SlackQuestion, planned: Mute) -> MutePreview:
    [found] = await preview(question.store, [planned], question.live.rulebook, question.now, at_once=True)
    return found


def made_text(mute: Mute, wanted: MakeMute, command: str, found: MutePreview | None, now: float) -> str:
    """Say what is muted until when, and what that matches, if it is known; in mrkdwn. `command` is how it is called."""
    begins = f" from {slack_time(int(mute.start))}" if mute.start > now else ""
    typed = " ".join(f"{name}={value}" for name, value in wanted.tags) or mute.match
    what = f"Incident {code(mute.incident)}" if mute.incident else code(oneline(typed, _LONGEST_MATCH))
    routes = ", ".join(code(name) if name else "the fallback" for name in mute.routes)
    parts = [
        f"🔇 {what} is muted{begins} until {slack_time(int(mute.end))}: {oneline(mute.reason).rstrip('.')}.",
        f"On the cards of {routes}." if routes else "",
        f"Not muted: {mute.unless} incidents, and worse ones." if mute.unless is State.WARNING else "",
        "Critical incidents are not muted." if mute.unless is State.CRITICAL else "",
        found.sentence if found is not None else "",
    ]
    text = written(" ".join(filter(None, parts)), 3_000)
    return f"{text}\nEnd it with {written(code(f'{command} unmute {mute.id}'))}."


def _not_done(what: str, why: str) -> str:
    return f"{what}: {written(oneline(why, 500))}"
