"""Accepts shares: a body is stored before its sender gets an answer, and planned then or a moment later.

Concurrent shares are committed together. A group is what has arrived while the last commit was in progress, of each
sender in turn. So a single share never waits for others. A small group is planned in the same transaction; of a larger
one, the shares stay in the inbox, and `planner` plans them. A group that fails is retried share by share: one bad share
does not cost every sender a 503. Where a group took long to fail, the database is stuck: all its senders get a 503 at
once.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from relay.bigpanda.webhook.parsing import parse_identified
from relay.bigpanda.webhook.share import ReceivedShare
from relay.cards.late import late_cards
from relay.cards.model import Card, IncidentState, Plan
from relay.cards.plan import plan
from relay.ingest.parsing import SMALL_BODY, ShareParser
from relay.ingest.planner import PLANNING_SECONDS, InboxPlanner
from relay.metrics import NOT_STORED, Metrics
from relay.model.errors import ShareError, StoreError
from relay.routes.rulebook import Rulebook
from relay.runtime.clock import Clock
from relay.runtime.fair_queue import FairQueue
from relay.runtime.logging import REPORT_IT, written_together
from relay.store.store import Store
from relay.store.types import AcceptedShare, PlanContext, UnplannedShare

log = structlog.get_logger("relay.ingest")

MAX_GROUP = 200
"""The most shares of one commit."""

MAX_GROUP_BYTES = 16 * 1024 * 1024
"""The most bytes of bodies in one commit; its first share may have more."""

PLANNED_AT_ONCE = 6
"""The most shares of a group that are planned in the transaction that stores them."""

ACCEPT_TIMEOUT = 15.0
"""Seconds within which a share is stored, or its sender gets a 503. Longer than SQLite waits for a lock.

A database that does not answer, and reports no error, must not leave the sender without an answer.
"""

LATE_INCIDENTS = 100
"""Incidents that get late cards in one transaction."""

STUCK_AFTER = 2.0
"""Seconds after which a failed group is not retried share by share: each share would wait as long."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    sender: int
    share: ReceivedShare
    answer: asyncio.Future[AcceptedShare]


class IngestService:
    """Accepts shares, with one commit for as many as there are."""

    def __init__(  # noqa: PLR0913  each has a name
        self,
        store: Store,
        rulebook: Callable[[], Rulebook],
        clock: Clock,
        wake_delivery: Callable[[], None],
        key_header: str,
        *,
        metrics: Metrics | None = None,
        wants_callback: Callable[[str], bool] = lambda _integration: False,
        basis: Callable[[], str] = lambda: "",
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """`rulebook` returns the live routes; `wants_callback` says whether relay reports cards of an integration.

        `basis` names relay's version and configuration: if it changes, shares that could not be planned are retried.
        `wake_delivery` is called where nobody knows what was saved, `on_failure` for each share that cannot be planned.
        """
        self._store = store
        self._rulebook = rulebook
        self._clock = clock
        self._wake_delivery = wake_delivery
        self._parser = ShareParser(key_header)
        self._metrics = metrics or Metrics()
        self._wants_callback = wants_callback
        self._basis = basis
        self._planner = InboxPlanner(
            store,
            self._parser,
            self.decide,
            clock,
            wake_delivery,
            metrics=self._metrics,
            basis=basis,
            on_failure=on_failure,
            on_change=self._add_late_cards,
        )
        self._queue: FairQueue[_Waiting] = FairQueue()
        self._arrived = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether every share that was stored here is planned."""
        return not self._queue and self._planner.idle

    def check_inbox(self) -> None:
        """Plan what is due in the inbox, and what could not be planned if the configuration has changed."""
        self._planner.check_inbox()

    async def accept(self, body: bytes, headers: Mapping[str, str], sender: int = 0) -> AcceptedShare:
        """Store a share of a sender, the number of whose key this is; return once it is committed.

        Raises:
            ShareError: the body is not a share; it is in quarantine.
            StoreError, or any other error: the share is not stored. (Where the database did not answer for too long, it
                may be stored anyway; sent again, it is a repeat.)
        """
        with self._metrics.time_accept():
            received = self._clock.now()
            try:
                share = await self._parser.identify(body, headers, received, sender)
            except ShareError as error:
                await self._quarantine(body, headers, error, received)
                raise
            waiting = _Waiting(sender, share, asyncio.get_running_loop().create_future())
            self._queue.put(sender, waiting)
            self._arrived.set()
            try:
                async with asyncio.timeout(ACCEPT_TIMEOUT):
                    return await waiting.answer
            except TimeoutError:
                raise self._give_up(waiting) from None

    async def run(self) -> None:
        """Commit group after group, until cancelled. Shares that wait then are not stored; their senders get a 503."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._planner.run(), name="planner")
                tasks.create_task(self._commit_groups(), name="group commit")
        finally:
            for waiting in self._queue.items:
                waiting.answer.cancel()
            await self._parser.close()

    async def _commit_groups(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                await self._planner.wait_for_room()
                await self._commit(self._next_group())

    async def _quarantine(self, body: bytes, headers: Mapping[str, str], error: ShareError, received: float) -> None:
        """Store a rejected body for the operator; where that fails, the sender still learns why it was rejected."""
        self._metrics.record_share(error.reason, headers)
        log.warning("share_rejected", reason=error.reason, detail=str(error), size=len(body))
        kept_headers = {"content-type": headers.get("Content-Type", "")}
        try:
            async with asyncio.timeout(ACCEPT_TIMEOUT):
                await self._store.quarantine(body, kept_headers, error.reason, received)
        except (StoreError, TimeoutError) as failed:
            problem = self._store.unresponsive(ACCEPT_TIMEOUT) if isinstance(failed, TimeoutError) else failed
            log.error("quarantine_failed", reason=error.reason, detail=str(problem))  # noqa: TRY400  the message says it all
        except Exception:
            log.exception("quarantine_failed", reason=error.reason, detail=f"Unexpected error. {REPORT_IT}")

    def _give_up(self, waiting: _Waiting) -> StoreError:
        """Stop waiting for a database that does not answer, so that bodies do not pile up."""
        # Where it does not wait, it is in the group in progress: it may still be stored, and is a repeat then.
        self._queue.discard(waiting.sender, waiting)
        error = self._store.unresponsive(ACCEPT_TIMEOUT)
        self._report_not_stored(waiting, error)
        return error

    def _next_group(self) -> list[_Waiting]:
        group, size = [self._queue.take()], 0
        while self._queue and len(group) < MAX_GROUP:
            size += len(self._queue.next.share.body)
            if size > MAX_GROUP_BYTES:
                break
            group.append(self._queue.take())
        return group

    async def _commit(self, group: list[_Waiting], *, plan_at_once: bool = True) -> None:
        started = self._clock.monotonic()
        try:
            received = [waiting.share for waiting in group]
            shares = self._parsed(received) if plan_at_once else received
            accepted = await self._store.accept(shares, self.decide, basis=self._basis(), within=PLANNING_SECONDS)
        except asyncio.CancelledError:
            for waiting in group:
                waiting.answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, each sender gets an answer
            self._wake_delivery()  # it may be committed anyway; sent again it is a repeat, and wakes nobody
            is_final = len(group) == 1 and (isinstance(error, StoreError) or not plan_at_once)
            if is_final or self._clock.monotonic() - started >= STUCK_AFTER:
                self._reject(group, error)
            else:
                log.warning("group_not_stored", shares=len(group), detail=str(error))
                for waiting in group:  # whatever planning them does: they are stored
                    await self._commit([waiting], plan_at_once=False)
        else:
            self._answer(group, accepted)

    def _answer(self, group: Sequence[_Waiting], accepted: Sequence[AcceptedShare]) -> None:
        with written_together():
            for waiting, each in zip(group, accepted, strict=True):
                self._take_note(waiting, each)
        for waiting, each in zip(group, accepted, strict=True):
            with suppress(asyncio.InvalidStateError):  # the sender is gone; its share is stored anyway
                waiting.answer.set_result(each)
        if any(each.error for each in accepted):
            self._planner.check_inbox()

    def _take_note(self, waiting: _Waiting, accepted: AcceptedShare) -> None:
        """Report a share, or have it planned."""
        share = waiting.share
        if accepted.outcome is None and not accepted.error:
            unplanned = UnplannedShare(id=accepted.share_id, size=len(share.body))
            self._planner.add(unplanned, sender=waiting.sender)
        else:
            self._planner.report(accepted, share.headers, share.received)

    def _parsed(self, shares: Sequence[ReceivedShare]) -> Sequence[ReceivedShare]:
        """Parse the shares of a small group, which are planned in the transaction that stores them."""
        size = sum(len(share.body) for share in shares)
        if len(shares) > PLANNED_AT_ONCE or size > SMALL_BODY or self._planner.flooded:
            return shares
        return [_parse(share) for share in shares]

    def _reject(self, group: list[_Waiting], error: Exception) -> None:
        unexpected = None if isinstance(error, StoreError) else error  # the database's own message says it all
        for waiting in group:
            if not waiting.answer.done():
                self._report_not_stored(waiting, error, unexpected)
                waiting.answer.set_exception(error)

    def _report_not_stored(self, waiting: _Waiting, error: Exception, unexpected: Exception | None = None) -> None:
        log.error("share_not_stored", incident=waiting.share.incident, detail=str(error), exc_info=unexpected)
        self._metrics.record_share(NOT_STORED, waiting.share.headers)

    async def _add_late_cards(self) -> None:
        """Give open incidents the cards of routes that were in shadow before the routes changed."""
        after = ""
        while incidents := await self._store.incidents_in_shadow(after, LATE_INCIDENTS):
            after = incidents[-1]
            if cards := await self._store.add_late_cards(incidents, self._decide_late):
                log.info(
                    "late_cards", cards=cards, detail="Routes are not in shadow any more: open incidents get cards."
                )
                self._wake_delivery()

    def _decide_late(
        self, state: IncidentState, cards: Sequence[Card], refs: Mapping[str, str]
    ) -> tuple[IncidentState, Sequence[Card]]:
        """One incident that cannot be decided must not keep the others from being planned."""
        try:
            return late_cards(self._rulebook(), state, cards, refs, self._clock.now())
        except Exception:
            incident = state.record.incident
            log.exception("late_cards_failed", incident=incident, detail=f"The next share decides again. {REPORT_IT}")
            return state, ()

    def decide(self, context: PlanContext) -> Plan:
        """Return the effects of a share, by the live routes."""
        return plan(
            self._rulebook(),
            context.incident_state,
            context.cards,
            context.share,
            context.canonical_refs,
            mutes=context.mutes,
            has_callback=self._wants_callback,
            processor_time=time.thread_time,
        )


def _parse(share: ReceivedShare) -> ReceivedShare:
    """Parse a share; one that cannot be parsed stays as it is, and the planner finds out why."""
    try:
        return parse_identified(share)
    except Exception:  # noqa: BLE001  whatever it is: the share is stored
        return share
