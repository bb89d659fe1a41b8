"""`mine`: the open incidents that the person has, as BigPanda last said, and those that they are about to get."""

import asyncio
from collections.abc import Iterable, Iterator

from relay.actions.ownership import owner_in
from relay.actions.people import People
from relay.cards.model import TaskKind
from relay.commands.open_list import CUT, open_incidents, shown_card
from relay.commands.question import SlackQuestion
from relay.commands.texts import bold, incident_name, mrkdwn_list
from relay.model.counting import counted
from relay.model.record import Record
from relay.rendering.engine.filters import slack_time
from relay.slack.responses import SlackUser
from relay.store.types import ListedIncident

_NO_PERSON = "relay could not look you up in Slack. Try again in a minute."
_NO_EMAIL = (
    "relay cannot read your e-mail address in Slack, by which it knows you in BigPanda. Ask relay's operator to give "
    "its Slack app the scope users:read.email."
)


async def answer_mine(question: SlackQuestion, people: People) -> str:
    """Return the answer, in mrkdwn."""
    person = question.viewer.person
    if person is None:
        return _NO_PERSON
    if not person.email:
        return _NO_EMAIL
    user_id = people.known_bigpanda_id(person.email)
    found: dict[str, ListedIncident] = {}
    is_all = True
    for word in filter(None, (person.email.casefold(), user_id.casefold(), person.id.casefold())):
        listed, is_cut = await open_incidents(question, (word,))
        found |= {each.state.record.incident: each for each in listed}
        is_all = is_all and not is_cut
    own = [each for each in found.values() if has(each.state.record, person, user_id)]
    answer = await asyncio.to_thread(_answer, question, own)
    return answer if is_all else f"{answer}\n{CUT}"


def has(record: Record, person: SlackUser, user_id: str) -> bool:
    """Whether the person has the incident, or has pressed the button that assigns it; `user_id` is BigPanda's."""
    owner = owner_in(record)
    if owner is not None:
        known = owner.person
        if known.email.casefold() == person.email.casefold() or (user_id and known.id == user_id):
            return True
    return any(each.kind == TaskKind.ASSIGN and each.user == person.id for each in record.pending_actions)


def _answer(question: SlackQuestion, own: Iterable[ListedIncident]) -> str:
    incidents = sorted(own, key=lambda each: (-each.state.incident.state.rank, each.state.incident.started or 0))
    if not incidents:
        return "You have no open incident."
    head = bold(f"You have {counted(len(incidents), 'open incident')}")
    return mrkdwn_list([head], list(_lines(question, incidents)))


def _lines(question: SlackQuestion, incidents: Iterable[ListedIncident]) -> Iterator[str]:
    for each in incidents:
        incident, card = each.state.incident, shown_card(each.cards, question.viewer)
        since = f" · {slack_time(incident.started, 'ago')}" if incident.started is not None else ""
        until = f" until {slack_time(incident.snooze.wake)}" if incident.snooze.wake is not None else ""
        snoozed = f" · 💤{until}" if incident.snooze.snoozed else ""
        address = question.link(card.slack_channel or "", card.ts or "") if card else ""
        yield f"{incident_name(incident, address)}{since}{snoozed}"
