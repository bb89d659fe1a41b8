"""Carries out one task, from its preparation to the message for the person.

    prepared -> stored as in flight, with the pending action -> called -> result stored -> person informed, if it failed

A relay that dies between the last three leaves a task in flight. The next start repeats everything that may be done
twice; it searches for a comment instead (`relay.cards.tasks`).
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog

from relay.actions import messages
from relay.actions.modals import build_owner_question
from relay.actions.ownership import Owner
from relay.actions.preflight import NoCall, NotYet, Preflight, ReadyCall
from relay.bigpanda.gateway import BigPandaGateway
from relay.bigpanda.outcomes import IncidentNotFound, TaskDone, TaskOutcome
from relay.bigpanda.responses import comments_of
from relay.bigpanda.webhook.api import share_body_from_api
from relay.bigpanda.webhook.share import INTEGRATION_HEADER
from relay.cards import staleness, tasks
from relay.cards.draw import PermalinkBuilder
from relay.cards.model import AttemptState, Task, TaskKind
from relay.cards.tasks import TaskContext, TaskUpdate
from relay.delivery.supervision import save_result
from relay.metrics import Metrics
from relay.model.errors import LeaseLost, ShareError, StoreError
from relay.model.struct import replace
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway
from relay.slack.interactions import ModalOrigin
from relay.slack.outcomes import Read
from relay.store.store import Store
from relay.store.types import Lease

log = structlog.get_logger("relay.tasks")

TRIGGER_LIFETIME = 3.0
"""Seconds after a click in which Slack opens a modal for it
(https://docs.slack.dev/interactivity/handling-user-interaction)."""

SKIP_PAUSE = 60.0
"""Seconds for which a task is skipped whose state cannot be stored."""

AcceptShare = Callable[[bytes, Mapping[str, str]], Awaitable[object]]
"""Takes a share (body, headers) as if BigPanda had sent it."""


class TaskRunner:
    """Carries out tasks, under the lease that `lead` gets."""

    def __init__(  # noqa: PLR0913  each has a name
        self,
        store: Store,
        preflight: Preflight,
        slack: SlackGateway,
        bigpanda: BigPandaGateway,
        *,
        clock: Clock,
        accept: AcceptShare,
        metrics: Metrics,
        link: PermalinkBuilder,
    ) -> None:
        """`accept` takes what BigPanda answers when it is asked about an incident; `link` is a card's address."""
        self.bigpanda = bigpanda
        self.slack = slack
        self._lease: Lease | None = None
        self._restored_at: float | None = None
        self._store = store
        self._preflight = preflight
        self._clock = clock
        self._accept = accept
        self._metrics = metrics
        self._link = link

    def lead(self, lease: Lease | None, restored_at: float | None) -> None:
        """Begin under this lease. Up to `restored_at`, when a copy was put back, tasks may have been done already."""
        self._lease, self._restored_at = lease, restored_at

    async def run(self, context: TaskContext) -> None:
        """Do the next step of a task. Raises LeaseLost: another relay is the leader now, and does the task."""
        task, now = context.task, self._clock.now()
        if task.state is AttemptState.IN_DOUBT:
            await self._search(context)
            return
        if now > task.created + tasks.TASK_TIMEOUTS[task.kind]:
            await self._close(context, NoCall(state=AttemptState.DROPPED, reason=task.reason or "too_late"))
            return
        match await self._preflight.prepare(context):
            case NotYet(reason=reason):
                now = self._clock.now()
                retry_at = now + tasks.check_delay(task, now)
                await self._settle(context, lambda current: tasks.retry_task(current, reason, retry_at))
            case NoCall() as end:
                await self._close(context, end)
            case ReadyCall() as ready:
                await self._call(context, ready)

    async def record_crash(self, context: TaskContext, error: Exception) -> None:
        """Store that a task failed unexpectedly, at an unknown point.

        Raises LeaseLost: another relay is the leader now.
        """
        task, now = context.task, self._clock.now()
        unexpected = None if isinstance(error, StoreError) else error  # the database's own message says it all
        log.error("task_crashed", incident=task.incident, key=task.key, detail=str(error), exc_info=unexpected)
        try:
            await self._settle(context, lambda current: tasks.handle_crash(current, now))
        except LeaseLost:
            raise
        except StoreError as failed:  # the next leader recovers it
            log.error("task_skipped", key=task.key, detail=str(failed))  # noqa: TRY400  the message says it all
            await self._clock.sleep(SKIP_PAUSE)  # it may still be due, and would be picked again at once

    async def _call(self, context: TaskContext, ready: ReadyCall) -> None:
        """Make the call, once the task is stored as in flight. Nothing is stored while the rate limit makes it wait."""
        await self.bigpanda.throttle.reserve_when_ready(ready.call)
        task, restored_at = context.task, self._restored_at
        may_be_done = task.kind in tasks.COMMENT_KINDS and restored_at is not None and task.created <= restored_at
        begin = tasks.begin_restored if may_be_done else tasks.begin_task
        started = await self._update(
            context, lambda current: begin(current, ready.pending, self._clock.now(), sent=ready.sent)
        )
        if started is None:
            return  # it was settled meanwhile
        if started.task.state is not AttemptState.IN_FLIGHT:
            await self._report(started)
            return
        outcome = await ready.send()
        now = self._clock.now()
        if task.kind is TaskKind.CHECK:
            await self._apply_check(started, outcome)
        else:
            await self._settle(started, lambda current: tasks.apply_result(current, outcome, now), outcome)

    async def _search(self, context: TaskContext) -> None:
        """Search BigPanda's list of activities for a comment whose answer was lost."""
        outcome = await self.bigpanda.activities(context.task.incident)
        comments = comments_of(outcome.body) if isinstance(outcome, TaskDone) else None
        sent, now = str(context.task.payload.get("sent", "")), self._clock.now()
        await self._settle(context, lambda current: tasks.apply_search(current, comments, sent, now))

    async def _apply_check(self, context: TaskContext, outcome: TaskOutcome) -> None:
        """Treat BigPanda's answer about an incident like a share; if there is no answer, show that on the card."""
        now, decide = self._clock.now(), _apply_failed_check
        if isinstance(outcome, TaskDone):
            try:
                await self._accept_share(context, outcome)
            except ShareError as error:
                detail = str(error)
                log.error("check_not_accepted", incident=context.task.incident, detail=detail)  # noqa: TRY400  the message says it all
                await self._close(context, NoCall(state=AttemptState.REJECTED, reason=error.reason))
                return
            now, decide = self._clock.now(), _confirm
        elif isinstance(outcome, IncidentNotFound) and await self._region_is_right():
            detail = "BigPanda does not know this incident any more; its cards say so."
            log.warning("incident_gone", incident=context.task.incident, reason=outcome.reason, detail=detail)
            decide = _mark_gone
        await self._settle(context, lambda current: decide(current, outcome, now), outcome)

    async def _accept_share(self, context: TaskContext, outcome: TaskDone) -> None:
        record, task = context.incident_state.record, context.task
        known = record.integrations
        headers = {INTEGRATION_HEADER: known[-1]} if known and known[-1] != "default" else {}
        # Many integrations share no comments: a comment that BigPanda has accepted is reported by this answer.
        pending = {action.key for action in record.pending_actions}
        sent = task.payload.get("sent") if tasks.checked_task_key(task) in pending else None
        await self._accept(share_body_from_api(outcome.body, comment=str(sent) if sent else None), headers)

    async def _region_is_right(self) -> bool:
        """Whether a 404 is about the incident: BigPanda in another region answers 404 to everything."""
        if not self.bigpanda.has_answered:
            await self.bigpanda.tag_definitions()
        return self.bigpanda.has_answered

    async def _close(self, context: TaskContext, end: NoCall) -> None:
        """End a task without a call. Where somebody else has the incident, the card is brought up to date too."""
        task, now = context.task, self._clock.now()
        refresh = (tasks.check_task(task.incident, f"taken {task.key}", now, now),) if end.owner else ()

        def decide(current: TaskContext) -> TaskUpdate:
            if end.state is AttemptState.DONE and task.kind in tasks.CONFIRMED_KINDS:
                # An earlier call has done it. Its answer was lost, perhaps with the share that reported it.
                return tasks.complete_task(current, now, end.reason)
            return tasks.close_task(current, end.state, end.reason, refresh)

        settled = await self._update(context, decide)
        if settled is not None and end.owner is not None and not task.batch:
            self._record(settled, quiet=True)
            await self._ask_person(settled, end.owner)
        elif settled is not None:
            await self._report(settled, quiet=end.quiet)

    async def _settle(
        self,
        context: TaskContext,
        decide: Callable[[TaskContext], TaskUpdate | None],
        outcome: TaskOutcome | None = None,
    ) -> None:
        """Store a decision, and report the new state of the task."""
        if (settled := await self._update(context, decide)) is not None:
            await self._report(settled, outcome)

    async def _update(
        self, context: TaskContext, decide: Callable[[TaskContext], TaskUpdate | None]
    ) -> TaskContext | None:
        now = self._clock.now()
        save = partial(self._store.update_task, context.task.key, decide, now=now, lease=self._lease)
        return await save_result(save, self._clock, {"key": context.task.key})

    async def _report(self, context: TaskContext, outcome: TaskOutcome | None = None, *, quiet: bool = False) -> None:
        """Report the state of a task: to the log, to the metrics, and to the person who started it, if it failed."""
        self._record(context, outcome, quiet=quiet)
        task = context.task
        if task.batch:
            await self._report_batch(context)
            return
        text = "" if quiet or "user" not in task.payload else self._message(context)
        if not text:
            return
        channel, user, ts = (str(task.payload[name]) for name in ("channel", "user", "message_ts"))
        thread = ts if task.kind is TaskKind.REPLY else None
        await messages.send_ephemeral(self.slack, channel, user, text, thread_ts=thread)
        if task.reason not in messages.SHOWN_AT_ONCE:
            title = context.incident_state.record.title
            await messages.send_direct(self.slack, user, messages.with_title(title, self._link(channel, ts), text))

    async def _report_batch(self, context: TaskContext) -> None:
        """Tell the person who started a batch that it is over; the storm card's thread has shown the progress."""
        progress, task = context.batch, context.task
        if progress is None or not progress.is_over:
            return
        channel, user, ts = (str(task.payload[name]) for name in ("channel", "user", "message_ts"))
        counts = {"done": progress.done, "failed": progress.failed, "left_alone": progress.resolved + progress.taken}
        detail = "Somebody took many incidents of a storm at once; all of them are settled."
        log.info("batch_over", batch=task.batch, user=user, incidents=progress.total, **counts, detail=detail)
        text = messages.batch_over(progress)
        await messages.send_ephemeral(self.slack, channel, user, text, thread_ts=ts)
        if progress.failed:
            await messages.send_direct(self.slack, user, messages.with_title("Storm", self._link(channel, ts), text))

    async def _ask_person(self, context: TaskContext, owner: Owner) -> None:
        """Ask the person who pressed whether to take the incident from its owner; say who that is if it is too late."""
        task, values = context.task, context.task.payload
        if self._clock.now() - task.created < TRIGGER_LIFETIME:
            origin = ModalOrigin(
                action=task.kind,
                incident=task.incident,
                channel=str(values["channel"]),
                message_ts=str(values["message_ts"]),
                owner=owner.key,
            )
            text = messages.question(task.kind, owner)
            view = build_owner_question(origin, title=context.incident_state.record.title, question=text)
            if isinstance(await self.slack.open_view(str(values.get("trigger_id", "")), view), Read):
                return
        text = messages.owned_by_other(task.kind, owner)
        await messages.send_ephemeral(self.slack, str(values["channel"]), str(values["user"]), text)

    def _record(self, context: TaskContext, outcome: TaskOutcome | None = None, *, quiet: bool = False) -> None:
        task = context.task
        state = str(task.state)
        self._metrics.record_task(task.kind, state)
        usual = task.state is AttemptState.DONE or (task.state is AttemptState.WAITING and not task.reason)
        write = log.info if usual or quiet else log.warning
        details = {"remedy": outcome.remedy if outcome else "", "user": task.payload.get("user")}
        said = outcome.detail if outcome else ""
        write(
            "bigpanda_task",
            kind=str(task.kind),
            outcome=state,
            reason=task.reason or "ok",
            detail=_described(task) + (f" BigPanda says: {said}" if said else ""),
            **{name: value for name, value in details.items() if value},
            incident=task.incident,
            key=task.key,
            tries=task.tries,
        )

    def _message(self, context: TaskContext) -> str:
        """Return what the person reads about a task that failed; empty if the card will show how it ended."""
        task = context.task
        if task.state is AttemptState.IN_DOUBT and task.due_at is None:
            return messages.in_doubt(task.kind)
        if task.state is AttemptState.DROPPED and (task.tries or task.reason == "too_late"):
            return messages.given_up(task.kind, task.reason)
        if task.state not in {AttemptState.REJECTED, AttemptState.DROPPED}:
            return ""
        groups = self._preflight.actors(context) if task.reason == "not_allowed" else ()
        return messages.denied(task.kind, task.reason, groups)


def _described(task: Task) -> str:
    """Return a sentence about the state of a task."""
    what = f"BigPanda task {task.kind}"
    match task.state:
        case AttemptState.DONE:
            return f"{what}: done."
        case AttemptState.WAITING:
            return f"{what}: not done yet; relay tries again."
        case AttemptState.IN_DOUBT:
            return f"{what}: BigPanda's answer was lost; relay searches for the comment."
        case AttemptState.REJECTED:
            return f"{what}: BigPanda rejected it; relay does not try again."
        case _:
            return f"{what}: given up, or not needed any more."


def _mark_gone(context: TaskContext, outcome: TaskOutcome, now: float) -> TaskUpdate:
    gone = staleness.mark_gone(context.incident_state, context.cards, now)
    closed = tasks.close_task(context, AttemptState.DONE, outcome.reason)
    return replace(closed, incident_state=gone.incident_state, cards=gone.cards)


def _confirm(context: TaskContext, outcome: TaskOutcome, now: float) -> TaskUpdate:  # noqa: ARG001  like its siblings
    """BigPanda has answered: the card is up to date, even if the answer contained nothing new."""
    return replace(tasks.confirm_checked(context), cards=staleness.clear_stale(context.cards, now))


def _apply_failed_check(context: TaskContext, outcome: TaskOutcome, now: float) -> TaskUpdate:
    """Decide what follows if BigPanda could not return the incident.

    After a long silence the card says so, once relay does not try again.
    """
    if isinstance(outcome, IncidentNotFound):
        update = tasks.close_task(context, AttemptState.REJECTED, outcome.reason)
    else:
        update = tasks.apply_result(context, outcome, now)
    if update.task.state.open or not str(context.task.payload.get("why", "")).startswith("silent"):
        return update
    stale = staleness.mark_stale(context.incident_state, context.cards, now, can_query=True)
    return replace(update, incident_state=stale.incident_state, cards=stale.cards)
