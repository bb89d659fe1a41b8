"""What has to be known before an errand goes to BigPanda, and the call that it makes.

`Carrier.prepared` asks whatever has to be asked (who is this, may they, how does the incident stand) and gives a call
that is ready to be made, or says that none will be, or that it is not known yet. It writes nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import SecretStr

from relay.actions.bigpanda_gateway import BigPandaGateway
from relay.actions.people import LookupFailed, People
from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.outcomes import TaskOutcome
from relay.cards.merge import comment_hash
from relay.cards.model import AttemptState, Card, IncidentState, TaskKind
from relay.cards.tasks import CONFIRMATION_WAIT, TaskContext, checked_task_key, may_have_taken_effect
from relay.model.reading import read_incident
from relay.model.record import PendingAction
from relay.model.tag_labels import TagLabels
from relay.slack.interactions import mentioned_users, to_plain_text
from relay.slack.responses import SlackUser

MORNING_HOUR = 9
"""The hour until which "tomorrow" snoozes."""

CONFIRMATION_WINDOW = CONFIRMATION_WAIT + 30.0
"""Seconds for which the same action is not done by another press: BigPanda is asked in them how the incident stands."""

_HOURS = {"1h": 1, "4h": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyCall:
    """A call that may be made; `deed` is what somebody will have done by it, `sent` the comment that it carries."""

    call: BigPandaCall
    send: Callable[[], Awaitable[TaskOutcome]]
    pending: PendingAction | None = None
    sent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCall:
    """No call will be made: how the errand ends, and why. `quiet`: nobody needs to hear of it."""

    state: AttemptState
    reason: str
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """It is not known yet whether a call may be made."""

    reason: str


Prepared = ReadyCall | NoCall | NotYet


class _Ends(Exception):
    """The preparation ends before there is a call."""

    def __init__(self, end: NoCall | NotYet) -> None:
        super().__init__(end)
        self.end = end


class Preflight:
    """Knows what each kind of errand needs."""

    def __init__(
        self,
        line: BigPandaGateway,
        people: People,
        words: Callable[[], TagLabels],
        app_key: Callable[[str], SecretStr | None],
        *,
        governed: Callable[[Card], Card],
    ) -> None:
        """`words` are those of the live configuration, `app_key` gives an integration's.

        `governed` gives a card with the options that its route gives it now.
        """
        self.with_current_options = governed
        self.bigpanda = line
        self._panda = line.client
        self._people = people
        self._words = words
        self._app_key = app_key

    async def prepare(self, matter: TaskContext) -> Prepared:
        """The call of an errand, if there is to be one."""
        try:
            match matter.task.kind:
                case TaskKind.CALLBACK:
                    return self._callback(matter)
                case TaskKind.CHECK:
                    return self._check(matter)
                case TaskKind.REPLY:
                    return await self._reply(matter)
                case _:
                    return await self._action(matter)
        except _Ends as ends:
            return ends.end

    def _callback(self, matter: TaskContext) -> Prepared:
        key = self._app_key(str(matter.task.payload.get("integration", "")))
        if key is None:
            return NoCall(state=AttemptState.DROPPED, reason="no_app_key", quiet=True)
        incident, secret = matter.task.incident, key.get_secret_value()
        return ReadyCall(call=BigPandaCall.CALLBACK, send=lambda: self._panda.callback(incident, secret))

    def _check(self, matter: TaskContext) -> Prepared:
        after = checked_task_key(matter.task)
        if after and after not in {deed.key for deed in matter.incident_state.record.pending_actions}:
            return NoCall(state=AttemptState.DONE, reason="confirmed", quiet=True)
        environment, incident = _environment(matter.incident_state), matter.task.incident
        return ReadyCall(call=BigPandaCall.INCIDENT, send=lambda: self._panda.incident(environment, incident))

    async def _reply(self, matter: TaskContext) -> Prepared:
        errand = matter.task
        card = matter.card
        if card is not None and not self.with_current_options(card).options.sync_replies:
            raise _Ends(NoCall(state=AttemptState.DROPPED, reason="not_synced", quiet=True))
        environment = _environment(matter.incident_state)
        person = await self._person(matter)
        written = str(errand.payload.get("text", ""))
        text = to_plain_text(written, await self._people.names(mentioned_users(written))).strip()
        if not text:
            raise _Ends(NoCall(state=AttemptState.DROPPED, reason="empty", quiet=True))
        return self._comment(matter, environment, person, text)

    async def _action(self, matter: TaskContext) -> Prepared:
        if matter.card is None:
            raise _Ends(NoCall(state=AttemptState.REJECTED, reason="not_offered"))
        card = self.with_current_options(matter.card)
        if matter.task.kind not in card.options.actions:
            raise _Ends(NoCall(state=AttemptState.REJECTED, reason="not_offered"))
        environment = _environment(matter.incident_state)
        await self._permitted(matter, card)
        person = await self._person(matter)
        if matter.task.kind is TaskKind.COMMENT:
            return self._comment(matter, environment, person, str(matter.task.payload.get("text", "")).strip())
        if not read_incident(matter.incident_state.record, self._words()).active:
            raise _Ends(_already(matter, "already_resolved"))
        match matter.task.kind:
            case TaskKind.ASSIGN:
                return await self._assign(matter, environment, person)
            case TaskKind.SNOOZE:
                return self._snooze(matter, environment, person)
            case _:
                return self._resolve(matter, environment, person)

    def _comment(self, matter: TaskContext, environment: str, person: SlackUser, text: str) -> ReadyCall:
        errand = matter.task
        sent = f"{person.name or errand.payload.get('name') or person.id} (Slack): {text}"
        deed = _deed(matter, person, text=text, sent=comment_hash(sent), channel=str(errand.payload.get("card", "")))
        return ReadyCall(
            call=BigPandaCall.COMMENT,
            send=lambda: self._panda.comment(environment, errand.incident, sent),
            pending=deed,
            sent=sent,
        )

    async def _assign(self, matter: TaskContext, environment: str, person: SlackUser) -> ReadyCall:
        if not person.email:
            raise _Ends(NoCall(state=AttemptState.REJECTED, reason="no_email"))
        found = await self._people.bigpanda_id(person.email)
        if isinstance(found, LookupFailed):
            raise _Ends(_cannot(found))
        if not found:
            raise _Ends(NoCall(state=AttemptState.REJECTED, reason="unknown_user"))
        assignee = read_incident(matter.incident_state.record, self._words()).assignee
        if assignee is not None and found == assignee.id:
            raise _Ends(_already(matter, "already_assigned"))
        _once(matter, person=found)
        incident = matter.task.incident
        return ReadyCall(
            call=BigPandaCall.ASSIGN,
            send=lambda: self._panda.assign(environment, incident, found),
            pending=_deed(matter, person, assigned=found),
        )

    def _snooze(self, matter: TaskContext, environment: str, person: SlackUser) -> ReadyCall:
        until = snoozed_until(str(matter.task.payload.get("until", "")), matter.task.created, person)
        incident = matter.task.incident
        return ReadyCall(
            call=BigPandaCall.SNOOZE,
            send=lambda: self._panda.snooze(environment, incident, until),
            pending=_deed(matter, person, until=until),
        )

    def _resolve(self, matter: TaskContext, environment: str, person: SlackUser) -> ReadyCall:
        _once(matter)
        note = str(matter.task.payload.get("text", "")).strip()
        name = person.name or person.id
        sent = f"{name} (Slack): {note}" if note else f"Resolved by {name} from Slack"
        incident = matter.task.incident
        return ReadyCall(
            call=BigPandaCall.RESOLVE,
            send=lambda: self._panda.resolve(environment, incident, sent),
            pending=_deed(matter, person, text=note, sent=comment_hash(sent)),
        )

    async def _permitted(self, matter: TaskContext, card: Card) -> None:
        allowed = await self._people.may_act(str(matter.task.payload.get("user", "")), card.options.actors)
        if isinstance(allowed, LookupFailed):
            raise _Ends(_cannot(allowed))
        if not allowed:
            raise _Ends(NoCall(state=AttemptState.REJECTED, reason="not_allowed"))

    async def _person(self, matter: TaskContext) -> SlackUser:
        found = await self._people.person(str(matter.task.payload.get("user", "")))
        if isinstance(found, LookupFailed):
            raise _Ends(_cannot(found, "unknown_person"))
        return found


def snoozed_until(choice: str, asked: float, person: SlackUser) -> int:
    """Until when (Unix seconds) somebody wants to be left alone: hours from when they asked, or their next morning."""
    if choice in _HOURS:
        return int(asked) + _HOURS[choice] * 3600
    there = datetime.fromtimestamp(asked, _zone(person))
    tomorrow = (there + timedelta(days=1)).date()
    morning = datetime(tomorrow.year, tomorrow.month, tomorrow.day, MORNING_HOUR, tzinfo=there.tzinfo)
    return int(morning.timestamp())


def _zone(person: SlackUser) -> tzinfo:
    """Where somebody lives; where the system does not know the zone, the distance from UTC that Slack tells."""
    try:
        return ZoneInfo(person.time_zone) if person.time_zone else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return timezone(timedelta(seconds=person.utc_offset))


def _environment(story: IncidentState) -> str:
    """BigPanda finds an incident by its environment's id as well."""
    if not story.record.environment_id:
        raise _Ends(NoCall(state=AttemptState.REJECTED, reason="no_environment"))
    return story.record.environment_id


def _already(matter: TaskContext, reason: str) -> NoCall:
    """The incident is as it is wanted; by this very errand, where the answer to an earlier call of it was lost."""
    if may_have_taken_effect(matter.task):
        return NoCall(state=AttemptState.DONE, reason="confirmed", quiet=True)
    return NoCall(state=AttemptState.DROPPED, reason=reason)


def _once(matter: TaskContext, *, person: str = "") -> None:
    """Two people, or one person twice, may press the same before the first press is confirmed.

    What nothing has confirmed in all that time, not even BigPanda when it was asked, may be tried anew.
    """
    errand = matter.task
    same = (
        deed
        for deed in matter.incident_state.record.pending_actions
        if deed.kind == errand.kind and deed.assignee_id == person
    )
    if any(deed.key != errand.key and errand.created - deed.at < CONFIRMATION_WINDOW for deed in same):
        raise _Ends(NoCall(state=AttemptState.DROPPED, reason="in_progress"))


def _deed(  # noqa: PLR0913  a deed has that many parts
    matter: TaskContext,
    person: SlackUser,
    *,
    assigned: str = "",
    until: int | None = None,
    text: str = "",
    sent: str = "",
    channel: str = "",
) -> PendingAction:
    errand = matter.task
    return PendingAction(
        key=errand.key,
        kind=errand.kind,
        actor=person.name or str(errand.payload.get("name") or person.id),
        at=errand.created,
        assignee_id=assigned,
        until=until,
        text=text,
        sent_hash=sent,
        channel=channel,
    )


def _cannot(told: LookupFailed, otherwise: str = "") -> NoCall | NotYet:
    if told.permanent:
        return NoCall(
            state=AttemptState.REJECTED, reason=otherwise if told.reason == "person_not_found" else told.reason
        )
    return NotYet(reason=told.reason)
