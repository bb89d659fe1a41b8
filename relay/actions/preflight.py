"""Finds out what a task needs before it goes to BigPanda, and prepares its call.

It finds out who the person is, whether they may act, and what state the incident is in. It stores nothing.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import SecretStr

from relay.actions.people import LookupFailed, People
from relay.actions.permission import Denied, Permissions
from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.gateway import BigPandaGateway
from relay.bigpanda.outcomes import TaskOutcome
from relay.cards.merge import comment_hash
from relay.cards.model import AttemptState, TaskKind
from relay.cards.tasks import CONFIRMATION_WAIT, TaskContext, checked_task_key, may_have_taken_effect
from relay.model.incident import Incident
from relay.model.reading import read_incident
from relay.model.record import PendingAction
from relay.routes.rulebook import Rulebook
from relay.slack.interactions import mentioned_users, to_plain_text
from relay.slack.responses import SlackUser

MORNING_HOUR = 9
"""The hour until which "tomorrow" snoozes."""

CONFIRMATION_WINDOW = CONFIRMATION_WAIT + 30.0
"""Seconds for which the same action is not started again: within them, relay asks BigPanda for confirmation."""

_HOURS = {"1h": 1, "4h": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyCall:
    """A call that may be made. `pending` is what the person will have done by it, `sent` the comment that it sends."""

    call: BigPandaCall
    send: Callable[[], Awaitable[TaskOutcome]]
    pending: PendingAction | None = None
    sent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCall:
    """No call is made: how the task ends, and why. `quiet`: the person needs no message."""

    state: AttemptState
    reason: str
    quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """It is not known yet whether a call may be made."""

    reason: str


Prepared = ReadyCall | NoCall | NotYet


class _Stop(Exception):
    """The preparation ends without a call."""

    def __init__(self, result: NoCall | NotYet) -> None:
        super().__init__(result)
        self.result = result


class Preflight:
    """Prepares the calls of tasks."""

    def __init__(
        self,
        bigpanda: BigPandaGateway,
        people: People,
        permissions: Permissions,
        rulebook: Callable[[], Rulebook],
        app_key: Callable[[str], SecretStr | None],
    ) -> None:
        """`rulebook` returns the live routes, `app_key` the key of an integration."""
        self._bigpanda = bigpanda
        self._people = people
        self._permissions = permissions
        self._rulebook = rulebook
        self._app_key = app_key

    async def prepare(self, context: TaskContext) -> Prepared:
        """Prepare the call of a task."""
        try:
            match context.task.kind:
                case TaskKind.CALLBACK:
                    return self._callback(context)
                case TaskKind.CHECK:
                    return self._check(context)
                case TaskKind.REPLY:
                    return await self._reply(context)
                case _:
                    return await self._action(context)
        except _Stop as stop:
            return stop.result

    def actors(self, context: TaskContext) -> tuple[str, ...]:
        """Return the user groups that may act on the task's card now."""
        return () if context.card is None else self._permissions.actors(context.card)

    def _callback(self, context: TaskContext) -> Prepared:
        key = self._app_key(_text(context, "integration"))
        if key is None:
            return NoCall(state=AttemptState.DROPPED, reason="no_app_key", quiet=True)
        incident, secret = context.task.incident, key.get_secret_value()
        return ReadyCall(call=BigPandaCall.CALLBACK, send=lambda: self._bigpanda.callback(incident, secret))

    def _check(self, context: TaskContext) -> Prepared:
        after = checked_task_key(context.task)
        if after and after not in {pending.key for pending in context.incident_state.record.pending_actions}:
            return NoCall(state=AttemptState.DONE, reason="confirmed", quiet=True)
        environment, incident = _environment(context), context.task.incident
        return ReadyCall(call=BigPandaCall.INCIDENT, send=lambda: self._bigpanda.incident(environment, incident))

    async def _reply(self, context: TaskContext) -> Prepared:
        if context.card is not None and not self._permissions.syncs_replies(context.card):
            raise _Stop(NoCall(state=AttemptState.DROPPED, reason="not_synced", quiet=True))
        environment = _environment(context)
        person = await self._person(context)
        markup = _text(context, "text")
        text = to_plain_text(markup, await self._people.names(mentioned_users(markup))).strip()
        if not text:
            raise _Stop(NoCall(state=AttemptState.DROPPED, reason="empty", quiet=True))
        return self._comment(context, environment, person, text)

    async def _action(self, context: TaskContext) -> Prepared:
        kind, user = context.task.kind, _text(context, "user")
        checked = await self._permissions.check(context.card, kind, user)
        if isinstance(checked, Denied) and checked.reason == "not_offered":
            raise _Stop(NoCall(state=AttemptState.REJECTED, reason=checked.reason))
        environment = _environment(context)
        if isinstance(checked, LookupFailed):
            raise _Stop(_unknown(checked))
        if checked is not None:
            raise _Stop(NoCall(state=AttemptState.REJECTED, reason=checked.reason))
        person = await self._person(context)
        if kind is TaskKind.COMMENT:
            return self._comment(context, environment, person, _text(context, "text").strip())
        incident = read_incident(context.incident_state.record, self._rulebook().tag_labels)
        if not incident.active:
            raise _Stop(_already(context, "already_resolved"))
        match kind:
            case TaskKind.ASSIGN:
                return await self._assign(context, environment, person, incident)
            case TaskKind.SNOOZE:
                return self._snooze(context, environment, person)
            case _:
                return self._resolve(context, environment, person)

    def _comment(self, context: TaskContext, environment: str, person: SlackUser, text: str) -> ReadyCall:
        incident = context.task.incident
        sent = f"{_name(context, person)} (Slack): {text}"
        return ReadyCall(
            call=BigPandaCall.COMMENT,
            send=lambda: self._bigpanda.comment(environment, incident, sent),
            pending=replace(
                _pending(context, person), text=text, sent_hash=comment_hash(sent), channel=_text(context, "card")
            ),
            sent=sent,
        )

    async def _assign(self, context: TaskContext, environment: str, person: SlackUser, incident: Incident) -> ReadyCall:
        if not person.email:
            raise _Stop(NoCall(state=AttemptState.REJECTED, reason="no_email"))
        assignee_id = await self._people.bigpanda_id(person.email)
        if isinstance(assignee_id, LookupFailed):
            raise _Stop(_unknown(assignee_id))
        if not assignee_id:
            raise _Stop(NoCall(state=AttemptState.REJECTED, reason="unknown_user"))
        if incident.assignee is not None and assignee_id == incident.assignee.id:
            raise _Stop(_already(context, "already_assigned"))
        _stop_if_in_progress(context, assignee_id)
        return ReadyCall(
            call=BigPandaCall.ASSIGN,
            send=lambda: self._bigpanda.assign(environment, context.task.incident, assignee_id),
            pending=replace(_pending(context, person), assignee_id=assignee_id),
        )

    def _snooze(self, context: TaskContext, environment: str, person: SlackUser) -> ReadyCall:
        until = snoozed_until(_text(context, "until"), context.task.created, person)
        return ReadyCall(
            call=BigPandaCall.SNOOZE,
            send=lambda: self._bigpanda.snooze(environment, context.task.incident, until),
            pending=replace(_pending(context, person), until=until),
        )

    def _resolve(self, context: TaskContext, environment: str, person: SlackUser) -> ReadyCall:
        _stop_if_in_progress(context)
        note, name = _text(context, "text").strip(), person.name or person.id
        sent = f"{name} (Slack): {note}" if note else f"Resolved by {name} from Slack"
        return ReadyCall(
            call=BigPandaCall.RESOLVE,
            send=lambda: self._bigpanda.resolve(environment, context.task.incident, sent),
            pending=replace(_pending(context, person), text=note, sent_hash=comment_hash(sent)),
        )

    async def _person(self, context: TaskContext) -> SlackUser:
        found = await self._people.person(_text(context, "user"))
        if isinstance(found, LookupFailed):
            raise _Stop(_unknown(found, "unknown_person"))
        return found


def snoozed_until(choice: str, pressed_at: float, person: SlackUser) -> int:
    """Return the end of a snooze in Unix seconds: hours from the press, or the person's next morning."""
    if choice in _HOURS:
        return int(pressed_at) + _HOURS[choice] * 3600
    local = datetime.fromtimestamp(pressed_at, _time_zone(person))
    tomorrow = (local + timedelta(days=1)).date()
    morning = datetime(tomorrow.year, tomorrow.month, tomorrow.day, MORNING_HOUR, tzinfo=local.tzinfo)
    return int(morning.timestamp())


def _time_zone(person: SlackUser) -> tzinfo:
    """Return the person's time zone; where the system does not know it, the offset from UTC that Slack gives."""
    try:
        return ZoneInfo(person.time_zone) if person.time_zone else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return timezone(timedelta(seconds=person.utc_offset))


def _text(context: TaskContext, name: str) -> str:
    return str(context.task.payload.get(name, ""))


def _name(context: TaskContext, person: SlackUser) -> str:
    return person.name or _text(context, "name") or person.id


def _environment(context: TaskContext) -> str:
    """Return the id of the incident's environment, by which BigPanda finds an incident as well."""
    environment = context.incident_state.record.environment_id
    if not environment:
        raise _Stop(NoCall(state=AttemptState.REJECTED, reason="no_environment"))
    return environment


def _already(context: TaskContext, reason: str) -> NoCall:
    """The incident is as the person wants it; perhaps by an earlier call of this task, whose answer was lost."""
    if may_have_taken_effect(context.task):
        return NoCall(state=AttemptState.DONE, reason="confirmed", quiet=True)
    return NoCall(state=AttemptState.DROPPED, reason=reason)


def _stop_if_in_progress(context: TaskContext, assignee_id: str = "") -> None:
    """Do not start what somebody else, or the same person, has started and no share has confirmed yet.

    What nothing has confirmed within the window may be tried again.
    """
    task = context.task
    for pending in context.incident_state.record.pending_actions:
        is_same = pending.kind == task.kind and pending.assignee_id == assignee_id and pending.key != task.key
        if is_same and task.created - pending.at < CONFIRMATION_WINDOW:
            raise _Stop(NoCall(state=AttemptState.DROPPED, reason="in_progress"))


def _pending(context: TaskContext, person: SlackUser) -> PendingAction:
    task = context.task
    return PendingAction(key=task.key, kind=task.kind, actor=_name(context, person), at=task.created)


def _unknown(failed: LookupFailed, reason_for_nobody: str = "") -> NoCall | NotYet:
    if not failed.permanent:
        return NotYet(reason=failed.reason)
    reason = reason_for_nobody if failed.reason == "person_not_found" else failed.reason
    return NoCall(state=AttemptState.REJECTED, reason=reason)
