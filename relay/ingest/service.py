"""Accepts shares: a body is parsed, stored and planned before its sender gets an answer.

Concurrent shares are committed together. A group is whatever has arrived while the last commit was in progress, of
each sender in turn, so a single share never waits for others; a group whose planning takes long is committed in
pieces. A group that fails is retried share by share: one bad share does not cost every sender a 503. Where a group
took long to fail, the database is stuck: all its senders get a 503 at once.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog

from relay.bigpanda.webhook.share import Share
from relay.cards.model import Plan, ShareOutcome
from relay.cards.plan import plan
from relay.ingest.parsing import ShareParser
from relay.metrics import Metrics
from relay.model.errors import ShareError, StoreError
from relay.routes.rulebook import Rulebook
from relay.runtime.clock import Clock
from relay.runtime.fair_queue import FairQueue
from relay.runtime.logging import REPORT_IT
from relay.store.store import Store
from relay.store.types import AcceptedShare, PlanContext

log = structlog.get_logger("relay.ingest")

MAX_GROUP = 200
"""The most shares of one commit."""

MAX_LOGGED = 20
"""The most routes that one line of the log names."""

MAX_GROUP_BYTES = 16 * 1024 * 1024
"""The most bytes of bodies in one commit; its first share may have more."""

PLANNING_SECONDS = 1.0
"""Seconds after which no more shares of a group are planned, and the rest is the next group: meanwhile nothing else is
written, and PostgreSQL sees an idle transaction."""

ACCEPT_TIMEOUT = 15.0
"""Seconds within which a share is stored, or its sender gets a 503. Longer than SQLite waits for a lock.

A database that does not answer, and reports no error, must not leave the sender without an answer.
"""

STUCK_AFTER = 2.0
"""Seconds after which a failed group is not retried share by share: each share would wait as long."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    sender: int
    share: Share
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
        timeout: float = ACCEPT_TIMEOUT,
        wants_callback: Callable[[str], bool] = lambda _integration: False,
    ) -> None:
        """`rulebook` returns the live routes; `wants_callback` says whether relay reports cards of an integration."""
        self._store = store
        self._rulebook = rulebook
        self._clock = clock
        self._wake_delivery = wake_delivery
        self._parser = ShareParser(key_header)
        self._metrics = metrics or Metrics()
        self._timeout = timeout
        self._wants_callback = wants_callback
        self._queue: FairQueue[_Waiting] = FairQueue()
        self._arrived = asyncio.Event()

    async def accept(self, body: bytes, headers: Mapping[str, str], sender: int = 0) -> AcceptedShare:
        """Store a share of a sender, the number of whose key this is; return once it is committed.

        Raises:
            ShareError: the body is not a share; it is in quarantine.
            StoreError, or any other error: the share is not stored. (Where the database did not answer for too long, it
                may be stored all the same; sent again, it is a repeat.)
        """
        with self._metrics.time_accept():
            received = self._clock.now()
            try:
                share = await self._parser.parse(body, headers, received, sender)
            except ShareError as error:
                await self._quarantine(body, headers, error, received)
                raise
            waiting = _Waiting(sender, share, asyncio.get_running_loop().create_future())
            self._queue.put(sender, waiting)
            self._arrived.set()
            try:
                async with asyncio.timeout(self._timeout):
                    return await waiting.answer
            except TimeoutError:
                raise self._give_up(waiting) from None

    async def run(self) -> None:
        """Commit group after group, until cancelled. Shares that wait then are not stored; their senders get a 503."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._queue:
                    await self._commit(self._next_group())
        finally:
            for waiting in self._queue.items:
                waiting.answer.cancel()
            await self._parser.close()

    async def _quarantine(self, body: bytes, headers: Mapping[str, str], error: ShareError, received: float) -> None:
        """Store a rejected body for the operator; where that fails, the sender still learns why it was rejected."""
        self._metrics.record_share(error.reason, headers)
        log.warning("share_rejected", reason=error.reason, detail=str(error), size=len(body))
        kept_headers = {"content-type": headers.get("Content-Type", "")}
        try:
            async with asyncio.timeout(self._timeout):
                await self._store.quarantine(body, kept_headers, error.reason, received)
        except (StoreError, TimeoutError) as failed:
            problem = self._store.unresponsive(self._timeout) if isinstance(failed, TimeoutError) else failed
            log.error("quarantine_failed", reason=error.reason, detail=str(problem))  # noqa: TRY400  the message says it all
        except Exception:
            log.exception("quarantine_failed", reason=error.reason, detail=f"Unexpected error. {REPORT_IT}")

    def _give_up(self, waiting: _Waiting) -> StoreError:
        """Stop waiting for a database that does not answer, so that bodies do not pile up."""
        # Where it does not wait, it is in the group in progress: it may still be stored, and is a repeat then.
        self._queue.discard(waiting.sender, waiting)
        error = self._store.unresponsive(self._timeout)
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

    async def _commit(self, group: list[_Waiting]) -> None:
        started = self._clock.now()
        try:
            shares = [waiting.share for waiting in group]
            accepted = await self._store.accept(shares, self._decide, within=PLANNING_SECONDS)
        except asyncio.CancelledError:
            for waiting in group:
                waiting.answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, each sender gets an answer
            self._wake_delivery()  # it may be committed all the same; sent again it is a repeat, and wakes nobody
            if len(group) == 1 or self._clock.now() - started >= STUCK_AFTER:
                self._reject(group, error)
            else:
                log.warning("group_not_stored", shares=len(group), detail=str(error))
                for waiting in group:
                    await self._commit([waiting])
            return
        rest = [waiting for waiting in group[len(accepted) :] if not waiting.answer.done()]
        self._queue.put_back([(waiting.sender, waiting) for waiting in rest])
        for waiting, each in zip(group, accepted, strict=False):
            _log_accepted(each)
            self._metrics.record_share(str(each.outcome), waiting.share.headers, waiting.share.received)
            self._metrics.record_times_taken(each.times_taken, each.severity)
            with suppress(asyncio.InvalidStateError):  # the sender is gone; its share is stored all the same
                waiting.answer.set_result(each)
        if any(each.due for each in accepted):
            self._wake_delivery()

    def _reject(self, group: list[_Waiting], error: Exception) -> None:
        unexpected = None if isinstance(error, StoreError) else error  # the database's own message says it all
        for waiting in group:
            if not waiting.answer.done():
                self._report_not_stored(waiting, error, unexpected)
                waiting.answer.set_exception(error)

    def _report_not_stored(self, waiting: _Waiting, error: Exception, unexpected: Exception | None = None) -> None:
        log.error("share_not_stored", incident=waiting.share.incident, detail=str(error), exc_info=unexpected)
        self._metrics.record_share("not_stored", waiting.share.headers)

    def _decide(self, context: PlanContext) -> Plan:
        return plan(
            self._rulebook(),
            context.incident_state,
            context.cards,
            context.share,
            context.canonical_refs,
            has_callback=self._wants_callback,
            processor_time=time.thread_time,
        )


def _log_accepted(accepted: AcceptedShare) -> None:
    """Log one line for the share, and one for each card that begins or ends; what is sent is logged when it is."""
    decision, fields = accepted.decision, {"incident": accepted.incident, "share": accepted.share_id}
    decided = {name: decision[name] for name in ("state", "entries", "dropped") if decision.get(name)}
    outcome, routes = str(accepted.outcome), list(accepted.routes)
    log.info("share_stored", **fields, outcome=outcome, routes=routes, **decided, detail=_described(accepted))
    if unread := decision.get("unread"):
        detail = "Comparing this incident with the routes took too long; these routes were not compared."
        log.warning("routes_unread", **fields, routes=list(unread)[:MAX_LOGGED], detail=detail)
    for unnamed in decision.get("unnamed", ()):
        log.warning("channel_unnamed", **fields, route=unnamed["route"], detail=unnamed["detail"])
    for card in decision.get("cards", ()):
        if card["reason"] != "changed":
            place = {"route": card["route"], "channel": card["channel"], "reason": card["reason"]}
            log.debug("card_decided", **fields, **place, detail=f"A card {_CARD_REASONS[card['reason']]}.")


_OUTCOMES: Mapping[ShareOutcome, str] = {
    ShareOutcome.FIRST: "The first share of an incident that gets a card",
    ShareOutcome.UPDATE: "A share with news",
    ShareOutcome.NOTHING_NEW: "A share without news",
    ShareOutcome.REPEAT: "The same share as before",
    ShareOutcome.ENDED_LONG_AGO: "The first share of an incident that ended long ago: it gets no card",
    ShareOutcome.DROPPED: "A route drops this incident: it gets no card",
    ShareOutcome.NO_ROUTE: "No route matches, and there is no fallback: the incident gets no card",
}
_CARD_REASONS: Mapping[str, str] = {
    "matched": "begins, since a route matches",
    "no_route": "begins in the fallback channel, since no route matches",
    "reopened_late": "ends: the incident was reopened late, and gets a new card",
}


def _described(accepted: AcceptedShare) -> str:
    """Return a sentence on what a share leads to."""
    begun = [str(card["channel"]) for card in accepted.decision.get("cards", ()) if card["new"]]
    news = ", ".join(str(kind).replace("_", " ") for kind in accepted.decision.get("entries", ()))
    cards = f"; new cards in {', '.join(begun[:MAX_LOGGED])}" if begun else ""
    return f"{_OUTCOMES[accepted.outcome]}{f' ({news})' if news else ''}{cards}."
