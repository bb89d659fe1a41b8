"""One errand, from what has to be known before it to what is written down and said of it.

    prepared (carrying) -> begun, with its deed, in one transaction -> called -> settled -> told to whoever asked

A relay that dies between the last three leaves an errand that is being tried: what may be done twice is done again at
the next start, and a comment is looked for instead (`planning.errands.recovered`).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import structlog

from relay.actions import messages
from relay.actions.preflight import NoCall, NotYet, Preflight, ReadyCall
from relay.actions.slack_gateway import SlackGateway
from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.outcomes import IncidentNotFound, TaskDone, TaskOutcome
from relay.bigpanda.responses import comments_of
from relay.bigpanda.webhook.api import share_body_from_api
from relay.bigpanda.webhook.share import INTEGRATION_HEADER
from relay.cards import staleness
from relay.cards.model import AttemptState, Card, IncidentState, TaskKind
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
from relay.store.store import Store
from relay.store.types import Lease

log = structlog.get_logger("relay.errands")

STORE_RETRY_PAUSE = 1.0
"""Seconds until the store is asked again after it failed."""

SKIP_PAUSE = 60.0
"""Seconds for which an errand is left alone of which nothing can be written down."""

AcceptShare = Callable[[bytes, Mapping[str, str]], Awaitable[object]]
"""Takes a share (body, headers) as if BigPanda had sent it."""

CheckLease = Callable[[], None]
"""Raises LeaseLost where this relay may not go on; asked right before each call that does something."""


class TaskRunner:
    """Knows how an errand goes, and carries it through."""

    def __init__(  # noqa: PLR0913  the shell is wired here
        self,
        store: Store,
        carrier: Preflight,
        phone: SlackGateway,
        *,
        clock: Clock,
        accept: AcceptShare,
        metrics: Metrics,
    ) -> None:
        """`accept` takes what BigPanda tells of an incident when it is asked.

        `copied_at` (set by whoever starts errands) is the moment up to which errands are those of a copy of the
        database that was put back, if it was.
        """
        self.copied_at: float | None = None
        self.bigpanda = carrier.bigpanda
        self._store = store
        self._carrier = carrier
        self._phone = phone
        self._clock = clock
        self._accept = accept
        self._metrics = metrics

    @property
    def waiting(self) -> int:
        """How many calls wait for their budget: nothing but time moves them on."""
        return self.bigpanda.waiting + self._phone.waiting

    async def run(self, matter: TaskContext, lease: Lease | None, check: CheckLease) -> None:
        """Do what is to be done about an errand now.

        Raises:
            LeaseLost: another relay delivers now; it looks after the errand.
        """
        errand = matter.task
        if errand.state is AttemptState.IN_DOUBT:
            await self._look(matter, lease)
        elif self._clock.now() > errand.created + TASK_TIMEOUTS[errand.kind]:
            await self._end(matter, NoCall(state=AttemptState.DROPPED, reason=errand.reason or "too_late"), lease)
        else:
            await self._carry(matter, lease, check)

    async def record_crash(self, matter: TaskContext, error: Exception, lease: Lease | None) -> None:
        """Something went wrong in the middle of it: nobody knows how far it came.

        Raises:
            LeaseLost: another relay delivers now.
        """
        errand, now = matter.task, self._clock.now()
        unforeseen = None if isinstance(error, StoreError) else error  # the database's own sentence says it all
        log.error("errand_broke", incident=errand.incident, key=errand.key, detail=str(error), exc_info=unforeseen)
        try:
            await self._concluded(await self._settle(matter, lambda known: handle_crash(known, now), lease))
        except LeaseLost:
            raise
        except StoreError as failed:  # not even that can be written: whoever delivers next recovers it
            log.error("errand_left", key=errand.key, detail=str(failed))  # noqa: TRY400  the sentence says it
            await self._clock.sleep(SKIP_PAUSE)  # it may still be due, and would be taken up again at once

    async def _carry(self, matter: TaskContext, lease: Lease | None, check: CheckLease) -> None:
        prepared = await self._carrier.prepare(matter)
        match prepared:
            case NotYet(reason=reason):
                now = self._clock.now()
                at = now + check_delay(matter.task, now)
                await self._concluded(await self._settle(matter, lambda known: retry_task(known, reason, at), lease))
            case NoCall():
                await self._end(matter, prepared, lease)
            case ReadyCall():
                await self._call(matter, prepared, lease, check)

    async def _call(self, matter: TaskContext, ready: ReadyCall, lease: Lease | None, check: CheckLease) -> None:
        await self.bigpanda.acquire(ready.call)
        errand, since = matter.task, self.copied_at
        begin = (
            begin_restored
            if errand.kind in COMMENT_KINDS and since is not None and errand.created <= since
            else begin_task
        )
        started = await self._settle(
            matter, lambda known: begin(known, ready.pending, self._clock.now(), sent=ready.sent), lease
        )
        if started is None:
            return  # settled by somebody else meanwhile
        if started.task.state is not AttemptState.IN_FLIGHT:
            await self._concluded(started)
            return
        check()
        ruling = self.bigpanda.record_answer(ready.call, await ready.send())
        if matter.task.kind is TaskKind.CHECK:
            await self._checked(started, ruling, lease)
        else:
            await self._ruled(started, ruling, lease)

    async def _ruled(self, matter: TaskContext, ruling: TaskOutcome, lease: Lease | None) -> None:
        now = self._clock.now()
        await self._concluded(await self._settle(matter, lambda known: apply_result(known, ruling, now), lease), ruling)

    async def _look(self, matter: TaskContext, lease: Lease | None) -> None:
        """A comment of which nobody knows: BigPanda's own list of what happened may tell."""
        errand = matter.task
        ruling = await self.bigpanda.call(
            BigPandaCall.ACTIVITIES, lambda: self.bigpanda.client.activities(errand.incident)
        )
        comments = comments_of(ruling.body) if isinstance(ruling, TaskDone) else None
        sent, now = str(errand.payload.get("sent", "")), self._clock.now()
        await self._concluded(await self._settle(matter, lambda known: apply_search(known, comments, sent, now), lease))

    async def _checked(self, matter: TaskContext, ruling: TaskOutcome, lease: Lease | None) -> None:
        """What BigPanda says of an incident comes in as a share; where it cannot say, the card says so."""
        if isinstance(ruling, TaskDone):
            await self._take(matter, ruling, lease)
            return
        now = self._clock.now()
        if isinstance(ruling, IncidentNotFound) and await self._region_is_right():
            log.warning("incident_gone", incident=matter.task.incident, reason=ruling.reason)
            settled = await self._settle(matter, lambda known: _gone(known, ruling, now), lease)
        else:
            settled = await self._settle(matter, lambda known: _unchecked(known, ruling, now), lease)
        await self._concluded(settled, ruling)

    async def _take(self, matter: TaskContext, ruling: TaskDone, lease: Lease | None) -> None:
        known = matter.incident_state.record.integrations
        headers = {INTEGRATION_HEADER: known[-1]} if known and known[-1] != "default" else {}
        # Many an integration shares no comments: what BigPanda took and did not tell of is told by asking.
        expected = {deed.key for deed in matter.incident_state.record.pending_actions}
        sent = matter.task.payload.get("sent") if checked_task_key(matter.task) in expected else None
        try:
            await self._accept(share_body_from_api(ruling.body, comment=str(sent) if sent else None), headers)
        except ShareError as error:
            log.error("check_not_taken", incident=matter.task.incident, detail=str(error))  # noqa: TRY400  it says all
            await self._end(matter, NoCall(state=AttemptState.REJECTED, reason=error.reason), lease)
        else:
            now = self._clock.now()
            await self._concluded(await self._settle(matter, lambda known: _known(known, now), lease), ruling)

    async def _region_is_right(self) -> bool:
        """A 404 also comes from another region's BigPanda: once anything was answered, it is the incident's."""
        if not self.bigpanda.has_answered:
            await self.bigpanda.call(BigPandaCall.TAG_DEFINITIONS, self.bigpanda.client.tag_definitions)
        return self.bigpanda.has_answered

    async def _end(self, matter: TaskContext, no: NoCall, lease: Lease | None) -> None:
        settled = await self._settle(matter, lambda known: close_task(known, no.state, no.reason), lease)
        await self._concluded(settled, quiet=no.quiet)

    async def _settle(
        self, matter: TaskContext, finish: Callable[[TaskContext], TaskUpdate | None], lease: Lease | None
    ) -> TaskContext | None:
        """Write down what is decided, however long the store takes: an answer that is lost is asked for again."""
        while True:
            try:
                return await self._store.update_task(matter.task.key, finish, lease=lease)
            except StoreUnusable as error:
                log.error("errand_not_settled", key=matter.task.key, detail=str(error))  # noqa: TRY400  it says all
                await self._clock.sleep(STORE_RETRY_PAUSE)

    async def _concluded(
        self, matter: TaskContext | None, ruling: TaskOutcome | None = None, *, quiet: bool = False
    ) -> None:
        """Say what became of an errand: to the log and the metrics, and to whoever asked for it, if it failed."""
        if matter is None:
            return
        errand = matter.task
        outcome = "waiting" if errand.state is AttemptState.WAITING else str(errand.state)
        self._metrics.record_task(errand.kind, outcome)
        told = log.info if errand.state is AttemptState.DONE or quiet else log.warning
        told(
            "errand",
            kind=str(errand.kind),
            outcome=outcome,
            reason=errand.reason or "ok",
            remedy=getattr(ruling, "remedy", ""),
            incident=errand.incident,
            key=errand.key,
            user=errand.payload.get("user", ""),
            tries=errand.tries,
        )
        if not quiet and (words := _words(matter, self._carrier.with_current_options)):
            payload = errand.payload
            thread = str(payload["message_ts"]) if errand.kind is TaskKind.REPLY else ""
            await self._phone.post_ephemeral(str(payload["channel"]), str(payload["user"]), words, thread)


def _words(matter: TaskContext, governed: Callable[[Card], Card]) -> str:
    """What whoever asked for an errand has to hear of its end; empty where the card will tell them, or nobody asked."""
    errand = matter.task
    if "user" not in errand.payload:
        return ""
    if errand.state is AttemptState.IN_DOUBT and errand.due_at is None:
        return messages.in_doubt(errand.kind)
    if errand.state is AttemptState.DROPPED and (errand.tries or errand.reason == "too_late"):
        return messages.given_up(errand.kind, errand.reason)
    if errand.reason == "not_allowed":
        return messages.not_allowed(errand.kind, governed(matter.card).options.actors if matter.card else ())
    ended = errand.state in {AttemptState.REJECTED, AttemptState.DROPPED}
    return messages.rejected(errand.kind, errand.reason) if ended else ""


def _gone(matter: TaskContext, ruling: IncidentNotFound, now: float) -> TaskUpdate:
    story, cards, _ = staleness.mark_gone(matter.incident_state, matter.cards, now)
    return _with(close_task(matter, AttemptState.DONE, ruling.reason), story, cards)


def _known(matter: TaskContext, now: float) -> TaskUpdate:
    """It was asked about, and taken: even where nothing of it was news, what the card shows is true."""
    return replace(confirm_checked(matter), cards=staleness.clear_stale(matter.cards, now))


def _unchecked(matter: TaskContext, ruling: TaskOutcome, now: float) -> TaskUpdate:
    """It could not be asked about. After a long silence the card says so, once nothing more is tried."""
    dealt = (
        close_task(matter, AttemptState.REJECTED, ruling.reason)
        if isinstance(ruling, IncidentNotFound)
        else apply_result(matter, ruling, now)
    )
    if dealt.task.state.open or not str(matter.task.payload.get("why", "")).startswith("silent"):
        return dealt
    story, cards, _ = staleness.mark_stale(matter.incident_state, matter.cards, now, can_query=True)
    return _with(dealt, story, cards)


def _with(dealt: TaskUpdate, story: IncidentState, cards: tuple[Card, ...]) -> TaskUpdate:
    return TaskUpdate(task=dealt.task, incident_state=story, cards=cards, follow_ups=dealt.follow_ups)
