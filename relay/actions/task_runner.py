"""Carries out one task, from what it needs to what the person reads.

    prepared -> stored as in flight, with the pending action -> called -> result stored -> person informed, if it failed

A relay that dies between the last three leaves a task in flight. What may be done twice is done again at the next
start; a comment is searched for instead (`relay.cards.tasks`).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import structlog

from relay.actions import messages
from relay.actions.ephemeral import send_ephemeral
from relay.actions.preflight import NoCall, NotYet, Preflight, ReadyCall
from relay.bigpanda.gateway import BigPandaGateway
from relay.bigpanda.outcomes import IncidentNotFound, TaskDone, TaskOutcome
from relay.bigpanda.responses import comments_of
from relay.bigpanda.webhook.api import share_body_from_api
from relay.bigpanda.webhook.share import INTEGRATION_HEADER
from relay.cards import staleness
from relay.cards.model import AttemptState, TaskKind
from relay.cards.tasks import (
    COMMENT_KINDS,
    TASK_TIMEOUTS,
    TaskContext,
    TaskUpdate,
    apply_result,
    apply_search,
    begin_restored,
    begin_task,
    check_delay,
    checked_task_key,
    close_task,
    confirm_checked,
    handle_crash,
    retry_task,
)
from relay.metrics import Metrics
from relay.model.errors import LeaseLost, ShareError, StoreError, StoreUnusable
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway
from relay.store.store import Store
from relay.store.types import Lease

log = structlog.get_logger("relay.tasks")

STORE_RETRY_PAUSE = 1.0
"""Seconds until the store is asked again after it failed."""

SKIP_PAUSE = 60.0
"""Seconds for which a task is skipped whose state cannot be stored."""

AcceptShare = Callable[[bytes, Mapping[str, str]], Awaitable[object]]
"""Takes a share (body, headers) as if BigPanda had sent it."""


class TaskRunner:
    """Carries out tasks.

    `restored_at` is set where a copy of the database was put back: tasks up to then may have been done already.
    """

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
    ) -> None:
        """`accept` takes what BigPanda answers when it is asked about an incident."""
        self.bigpanda = bigpanda
        self.slack = slack
        self.restored_at: float | None = None
        self._store = store
        self._preflight = preflight
        self._clock = clock
        self._accept = accept
        self._metrics = metrics

    async def run(self, context: TaskContext, lease: Lease | None) -> None:
        """Do the next step of a task.

        Raises:
            LeaseLost: another relay is the leader now, and does the task.
        """
        task = context.task
        if task.state is AttemptState.IN_DOUBT:
            await self._search(context, lease)
        elif self._clock.now() > task.created + TASK_TIMEOUTS[task.kind]:
            await self._close(context, NoCall(state=AttemptState.DROPPED, reason=task.reason or "too_late"), lease)
        else:
            await self._start(context, lease)

    async def record_crash(self, context: TaskContext, error: Exception, lease: Lease | None) -> None:
        """Store that a task failed unexpectedly: nobody knows how far it came.

        Raises:
            LeaseLost: another relay is the leader now.
        """
        task, now = context.task, self._clock.now()
        unexpected = None if isinstance(error, StoreError) else error  # the database's own message says it all
        log.error("task_crashed", incident=task.incident, key=task.key, detail=str(error), exc_info=unexpected)
        try:
            await self._finish(await self._update(context, lambda current: handle_crash(current, now), lease))
        except LeaseLost:
            raise
        except StoreError as failed:  # the next leader recovers it
            log.error("task_skipped", key=task.key, detail=str(failed))  # noqa: TRY400  the message says it all
            await self._clock.sleep(SKIP_PAUSE)  # it may still be due, and would be picked again at once

    async def _start(self, context: TaskContext, lease: Lease | None) -> None:
        prepared = await self._preflight.prepare(context)
        match prepared:
            case NotYet(reason=reason):
                now = self._clock.now()
                retry_at = now + check_delay(context.task, now)
                await self._finish(
                    await self._update(context, lambda current: retry_task(current, reason, retry_at), lease)
                )
            case NoCall():
                await self._close(context, prepared, lease)
            case ReadyCall():
                await self._call(context, prepared, lease)

    async def _call(self, context: TaskContext, ready: ReadyCall, lease: Lease | None) -> None:
        """Make the call, once the task is stored as in flight. Nothing is stored while the rate limit makes it wait."""
        await self.bigpanda.throttle.reserve_when_ready(ready.call)
        task, restored_at = context.task, self.restored_at
        may_be_done = task.kind in COMMENT_KINDS and restored_at is not None and task.created <= restored_at
        begin = begin_restored if may_be_done else begin_task
        started = await self._update(
            context, lambda current: begin(current, ready.pending, self._clock.now(), sent=ready.sent), lease
        )
        if started is None:
            return  # it was settled meanwhile
        if started.task.state is not AttemptState.IN_FLIGHT:
            await self._finish(started)
            return
        outcome = await ready.send()
        if task.kind is TaskKind.CHECK:
            await self._apply_check(started, outcome, lease)
        else:
            now = self._clock.now()
            await self._finish(
                await self._update(started, lambda current: apply_result(current, outcome, now), lease), outcome
            )

    async def _search(self, context: TaskContext, lease: Lease | None) -> None:
        """Search BigPanda's list of activities for a comment whose answer was lost."""
        outcome = await self.bigpanda.activities(context.task.incident)
        comments = comments_of(outcome.body) if isinstance(outcome, TaskDone) else None
        sent, now = str(context.task.payload.get("sent", "")), self._clock.now()
        await self._finish(
            await self._update(context, lambda current: apply_search(current, comments, sent, now), lease)
        )

    async def _apply_check(self, context: TaskContext, outcome: TaskOutcome, lease: Lease | None) -> None:
        """Take what BigPanda says of an incident as a share; where it cannot say, show that on the card."""
        if isinstance(outcome, TaskDone):
            await self._accept_share(context, outcome, lease)
            return
        now = self._clock.now()
        if isinstance(outcome, IncidentNotFound) and await self._region_is_right():
            log.warning("incident_gone", incident=context.task.incident, reason=outcome.reason)
            decide = _mark_gone
        else:
            decide = _apply_failed_check
        await self._finish(await self._update(context, lambda current: decide(current, outcome, now), lease), outcome)

    async def _accept_share(self, context: TaskContext, outcome: TaskDone, lease: Lease | None) -> None:
        record, task = context.incident_state.record, context.task
        known = record.integrations
        headers = {INTEGRATION_HEADER: known[-1]} if known and known[-1] != "default" else {}
        # Many integrations share no comments: a comment that BigPanda has accepted is reported by this answer.
        pending = {action.key for action in record.pending_actions}
        sent = task.payload.get("sent") if checked_task_key(task) in pending else None
        try:
            await self._accept(share_body_from_api(outcome.body, comment=str(sent) if sent else None), headers)
        except ShareError as error:
            log.error("check_not_accepted", incident=task.incident, detail=str(error))  # noqa: TRY400  the message says it all
            await self._close(context, NoCall(state=AttemptState.REJECTED, reason=error.reason), lease)
        else:
            now = self._clock.now()
            await self._finish(await self._update(context, lambda current: _confirm(current, now), lease), outcome)

    async def _region_is_right(self) -> bool:
        """Whether a 404 is about the incident: BigPanda in another region answers 404 to everything."""
        if not self.bigpanda.has_answered:
            await self.bigpanda.tag_definitions()
        return self.bigpanda.has_answered

    async def _close(self, context: TaskContext, end: NoCall, lease: Lease | None) -> None:
        closed = await self._update(context, lambda current: close_task(current, end.state, end.reason), lease)
        await self._finish(closed, quiet=end.quiet)

    async def _update(
        self, context: TaskContext, decide: Callable[[TaskContext], TaskUpdate | None], lease: Lease | None
    ) -> TaskContext | None:
        """Store a decision, with retries while the store fails."""
        while True:
            try:
                return await self._store.update_task(context.task.key, decide, lease=lease)
            except StoreUnusable as error:
                log.error("task_not_saved", key=context.task.key, detail=str(error))  # noqa: TRY400  the message says it all
                await self._clock.sleep(STORE_RETRY_PAUSE)

    async def _finish(
        self, context: TaskContext | None, outcome: TaskOutcome | None = None, *, quiet: bool = False
    ) -> None:
        """Report the state of a task: to the log, to the metrics, and to the person who started it, if it failed."""
        if context is None:
            return
        task = context.task
        state = "waiting" if task.state is AttemptState.WAITING else str(task.state)
        self._metrics.record_task(task.kind, state)
        write = log.info if task.state is AttemptState.DONE or quiet else log.warning
        write(
            "bigpanda_task",
            kind=str(task.kind),
            outcome=state,
            reason=task.reason or "ok",
            remedy=getattr(outcome, "remedy", ""),
            incident=task.incident,
            key=task.key,
            user=task.payload.get("user", ""),
            tries=task.tries,
        )
        text = "" if quiet or "user" not in task.payload else self._message(context)
        if text:
            thread = str(task.payload["message_ts"]) if task.kind is TaskKind.REPLY else None
            await send_ephemeral(
                self.slack, str(task.payload["channel"]), str(task.payload["user"]), text, thread_ts=thread
            )

    def _message(self, context: TaskContext) -> str:
        """Return what the person reads about a task that failed; empty where the card will show how it ended."""
        task = context.task
        if task.state is AttemptState.IN_DOUBT and task.due_at is None:
            return messages.in_doubt(task.kind)
        if task.state is AttemptState.DROPPED and (task.tries or task.reason == "too_late"):
            return messages.given_up(task.kind, task.reason)
        if task.state not in {AttemptState.REJECTED, AttemptState.DROPPED}:
            return ""
        groups = self._preflight.actors(context) if task.reason == "not_allowed" else ()
        return messages.denied(task.kind, task.reason, groups)


def _mark_gone(context: TaskContext, outcome: TaskOutcome, now: float) -> TaskUpdate:
    state, cards, _ = staleness.mark_gone(context.incident_state, context.cards, now)
    return replace(close_task(context, AttemptState.DONE, outcome.reason), incident_state=state, cards=cards)


def _confirm(context: TaskContext, now: float) -> TaskUpdate:
    """BigPanda has answered: what the card shows is up to date, even where nothing of the answer was new."""
    return replace(confirm_checked(context), cards=staleness.clear_stale(context.cards, now))


def _apply_failed_check(context: TaskContext, outcome: TaskOutcome, now: float) -> TaskUpdate:
    """Decide what follows where BigPanda could not say how the incident stands.

    After a long silence the card says so, once relay does not try again.
    """
    if isinstance(outcome, IncidentNotFound):
        update = close_task(context, AttemptState.REJECTED, outcome.reason)
    else:
        update = apply_result(context, outcome, now)
    if update.task.state.open or not str(context.task.payload.get("why", "")).startswith("silent"):
        return update
    state, cards, _ = staleness.mark_stale(context.incident_state, context.cards, now, can_query=True)
    return replace(update, incident_state=state, cards=cards)
