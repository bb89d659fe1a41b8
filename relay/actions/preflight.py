"""Finds out what a task needs before it goes to BigPanda, and prepares its call.

It finds out who the person is, whether they may act, and what state the incident is in. It stores nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import count

from pydantic import SecretStr

from relay.actions.ownership import Owner, present_owner
from relay.actions.people import LookupFailed, People
from relay.actions.permission import Denied, Permissions
from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.gateway import BigPandaGateway
from relay.bigpanda.outcomes import TaskOutcome
from relay.cards.merge import comment_hash
from relay.cards.model import AttemptState, Task, TaskKind
from relay.cards.tasks import CONFIRMATION_WAIT, TaskContext, checked_task_key, may_have_taken_effect
from relay.model.incident import Incident, Person
from relay.model.json_types import JSON
from relay.model.reading import read_incident
from relay.model.record import PendingAction
from relay.model.struct import replace
from relay.model.zones import find_zone
from relay.routes.rulebook import Rulebook
from relay.runtime.clock import Clock
from relay.slack.interactions import mentioned_users, to_plain_text
from relay.slack.responses import SlackUser

MORNING_HOUR = 9
"""The hour at which a snooze until the next morning ends."""

CONFIRMATION_WINDOW = CONFIRMATION_WAIT + 30.0
"""Seconds for which the same action is not started again: within them, relay asks BigPanda for confirmation."""

_HOURS = {"1h": 1, "4h": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyCall:
    """A call that may be made. `pending` is the action that it will complete, `sent` the comment that it sends."""

    call: BigPandaCall
    send: Callable[[], Awaitable[TaskOutcome]]
    pending: PendingAction | None = None
    sent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCall:
    """No call is made: how the task ends, and why. `quiet`: the person needs no message.

    `owner`: that person has the incident, so relay asks the person who pressed the button first.
    """

    state: AttemptState
    reason: str
    quiet: bool = False
    owner: Owner | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """It is not known yet whether a call may be made."""

    reason: str


Prepared = ReadyCall | NoCall | NotYet


_PrepareAction = Callable[[TaskContext, str, SlackUser], Awaitable[ReadyCall]]
"""Prepares the call of a button's task, for an incident in that environment (by id) and the person who pressed."""


class _Stop(Exception):
    """The preparation ends without a call."""

    def __init__(self, result: NoCall | NotYet) -> None:
        super().__init__(result)
        self.result = result


class Preflight:
    """Prepares the calls of tasks."""

    def __init__(  # noqa: PLR0913  each has a name
        self,
        bigpanda: BigPandaGateway,
        people: People,
        permissions: Permissions,
        rulebook: Callable[[], Rulebook],
        *,
        app_key: Callable[[str], SecretStr | None],
        clock: Clock,
    ) -> None:
        """`rulebook` returns the live routes, `app_key` the key of an integration."""
        self._bigpanda = bigpanda
        self._people = people
        self._permissions = permissions
        self._rulebook = rulebook
        self._app_key = app_key
        self._clock = clock
        self._actions: Mapping[TaskKind, _PrepareAction] = {
            TaskKind.ASSIGN: self._assign,
            TaskKind.UNASSIGN: self._unassign,
            TaskKind.SNOOZE: self._snooze,
            TaskKind.END_SNOOZE: self._end_snooze,
            TaskKind.RESOLVE: self._resolve,
        }

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
        pending = {each.key for each in context.incident_state.record.pending_actions if not each.confirmed}
        if after and after not in pending:
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
        if kind is TaskKind.COMMENT:  # also of an incident that has ended
            return self._comment(context, environment, person, _text(context, "text").strip())
        if not self._incident(context).active:
            raise _Stop(_already(context, "already_resolved"))
        return await self._actions[kind](context, environment, person)

    def _incident(self, context: TaskContext) -> Incident:
        return read_incident(context.incident_state.record, self._rulebook().tag_labels)

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

    async def _assign(self, context: TaskContext, environment: str, person: SlackUser) -> ReadyCall:
        if not person.email:
            raise _Stop(NoCall(state=AttemptState.REJECTED, reason="no_email"))
        assignee_id = await self._people.bigpanda_id(person.email)
        if isinstance(assignee_id, LookupFailed):
            raise _Stop(_unknown(assignee_id))
        if not assignee_id:
            raise _Stop(NoCall(state=AttemptState.REJECTED, reason="unknown_user"))
        _stop_if_in_progress(context, assignee_id)
        owner = await self._owner(context, environment)
        if owner is not None and owner.person.id == assignee_id:
            raise _Stop(_already(context, "already_assigned"))
        _stop_if_taken(context, owner)
        return ReadyCall(
            call=BigPandaCall.ASSIGN,
            send=lambda: self._bigpanda.assign(environment, context.task.incident, assignee_id),
            pending=replace(await self._replacing(context, person, owner), assignee_id=assignee_id),
        )

    async def _unassign(self, context: TaskContext, environment: str, person: SlackUser) -> ReadyCall:
        _stop_if_in_progress(context)
        owner = await self._owner(context, environment)
        if owner is None:
            raise _Stop(_already(context, "not_assigned"))
        is_own = await self._people.is_bigpanda_user(person, owner.person)
        if isinstance(is_own, LookupFailed):
            raise _Stop(_unknown(is_own))
        if not is_own:
            _stop_if_taken(context, owner)
        return ReadyCall(
            call=BigPandaCall.UNASSIGN,
            send=lambda: self._bigpanda.unassign(environment, context.task.incident),
            pending=await self._replacing(context, person, owner),
        )

    async def _owner(self, context: TaskContext, environment: str) -> Owner | None:
        """Return who has the incident now, or is about to get it by an action that no share has confirmed yet."""
        record, task = context.incident_state.record, context.task
        for pending in record.pending_actions:
            is_recent = task.created - pending.at < CONFIRMATION_WINDOW and pending.key != task.key
            if pending.kind == TaskKind.ASSIGN and is_recent:
                person = Person(name=pending.actor, id=pending.assignee_id)
                return Owner(person=person, since=int(pending.at), user=pending.user)
        unanswered = not _text(context, "owner")
        owner = await present_owner(self._bigpanda, environment, record, in_time=unanswered)
        if isinstance(owner, LookupFailed):
            raise _Stop(_unknown(owner))
        return owner

    async def _replacing(self, context: TaskContext, person: SlackUser, owner: Owner | None) -> PendingAction:
        """Return what the person does, with whom it takes the incident from: that person is pinged."""
        pending = replace(_pending(context, person), channel=_text(context, "card"))
        if owner is None:
            return pending
        user = owner.user or await self._people.slack_id(owner.person)
        return replace(pending, replaced_user="" if user == person.id else user)

    async def _end_snooze(self, context: TaskContext, environment: str, person: SlackUser) -> ReadyCall:
        if not self._incident(context).snooze.snoozed:
            raise _Stop(_already(context, "not_snoozed"))
        _stop_if_in_progress(context)
        return ReadyCall(
            call=BigPandaCall.END_SNOOZE,
            send=lambda: self._bigpanda.end_snooze(environment, context.task.incident),
            pending=_pending(context, person),
        )

    async def _snooze(self, context: TaskContext, environment: str, person: SlackUser) -> ReadyCall:
        until = snoozed_until(context.task, person)
        if until <= self._clock.now():
            raise _Stop(NoCall(state=AttemptState.DROPPED, reason="moment_passed"))
        return ReadyCall(
            call=BigPandaCall.SNOOZE,
            send=lambda: self._bigpanda.snooze(environment, context.task.incident, until),
            pending=replace(_pending(context, person), until=until),
        )

    async def _resolve(self, context: TaskContext, environment: str, person: SlackUser) -> ReadyCall:
        _stop_if_in_progress(context)
        note, name = _text(context, "text").strip(), _name(context, person)
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


def snoozed_until(task: Task, person: SlackUser) -> int:
    """Return the end of a snooze in Unix seconds: a moment, hours from the press, or the person's next morning."""
    return chosen_moment(task.payload, task.created, person)


def chosen_moment(values: Mapping[str, JSON], pressed_at: float, person: SlackUser) -> int:
    """Return the moment that somebody chose in a modal, by its inputs: `moment`, or else `until` (Unix seconds)."""
    if moment := values.get("moment"):
        return int(moment)
    choice = str(values.get("until", ""))
    if choice in _HOURS:
        return int(pressed_at) + _HOURS[choice] * 3600
    return next_morning(pressed_at, _time_zone(person))


def next_morning(after: float, zone: tzinfo) -> int:
    """Return the first 09:00 in that time zone after a moment: today's, before nine (Unix seconds)."""
    today = datetime.fromtimestamp(after, zone).date()
    days = (today + timedelta(days=ahead) for ahead in count())
    mornings = (datetime(day.year, day.month, day.day, MORNING_HOUR, tzinfo=zone).timestamp() for day in days)
    return int(next(morning for morning in mornings if morning > after))


def _time_zone(person: SlackUser) -> tzinfo:
    """Return the person's time zone; if relay does not know it, the offset from UTC that Slack gives."""
    if not person.time_zone:
        return UTC
    return find_zone(person.time_zone) or timezone(timedelta(seconds=person.utc_offset))


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


def _stop_if_taken(context: TaskContext, owner: Owner | None) -> None:
    """Do not take the incident from anybody except the owner that the person has confirmed."""
    if owner is not None and not owner.is_named_by(_text(context, "owner")):
        raise _Stop(NoCall(state=AttemptState.DROPPED, reason="taken", owner=owner))


def _stop_if_in_progress(context: TaskContext, assignee_id: str = "") -> None:
    """Do not start what somebody else, or the same person, has started and no share has confirmed yet.

    What nothing has confirmed within the window may be tried again.
    """
    task = context.task
    for pending in context.incident_state.record.pending_actions:
        is_same = pending.kind == task.kind and pending.assignee_id == assignee_id and pending.key != task.key
        if is_same and task.created - pending.at < CONFIRMATION_WINDOW:
            by_them = pending.user == _text(context, "user")
            raise _Stop(NoCall(state=AttemptState.DROPPED, reason="in_progress", quiet=by_them))


def _pending(context: TaskContext, person: SlackUser) -> PendingAction:
    task = context.task
    return PendingAction(key=task.key, kind=task.kind, actor=_name(context, person), user=person.id, at=task.created)


def _unknown(failed: LookupFailed, reason_for_nobody: str = "") -> NoCall | NotYet:
    if not failed.permanent:
        return NotYet(reason=failed.reason)
    reason = reason_for_nobody if failed.reason == "person_not_found" else failed.reason
    return NoCall(state=AttemptState.REJECTED, reason=reason)
