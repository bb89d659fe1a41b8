"""The way in: a body becomes a share, and the share is kept before anybody is told that it is.

Concurrent shares are committed together. The group is whatever has come in while the last commit was under way, so that
one share alone never waits for company; one that takes long to plan is committed in pieces. When a group fails it is
retried share by share: one bad share is not everybody's 503. A group that took long to fail met a database that is
stuck, and all of it is told so at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.cards.model import Plan
from relay.cards.plan import plan
from relay.metrics import Metrics
from relay.model.errors import ShareError, StoreError
from relay.routes.rulebook import Rulebook
from relay.runtime.clock import Clock
from relay.store.store import Store
from relay.store.types import AcceptedShare, PlanContext

log = structlog.get_logger("relay.intake")

MAX_GROUP = 200
"""The most shares of one commit."""

MAX_GROUP_BYTES = 16 * 1024 * 1024
"""The most bytes of bodies in one commit (its first share is always taken)."""

PLANNING_SECONDS = 1.0
"""Seconds after which no more shares of a group are planned, and the rest of it is the next group: meanwhile the writer
does nothing else, and PostgreSQL sees a transaction that does nothing."""

LARGE_BODY = 256 * 1024
"""Bytes from which a body is parsed beside the event loop."""

ACCEPT_TIMEOUT = 15.0
"""Seconds within which a share is kept, or its sender is told that it is not. Longer than SQLite waits for a lock.

A database that has fallen silent, without refusing anything, must not leave the sender without an answer.
"""

STUCK_AFTER = 2.0
"""Seconds after which a group that failed is not tried again share by share: each of them would wait as long."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    share: Share
    answer: asyncio.Future[AcceptedShare]


class IngestService:
    """Takes shares, one commit for as many as there are."""

    def __init__(  # noqa: PLR0913  the shell is wired here
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
        """`rulebook` gives the routes that are live at that moment; `ring` wakes delivery.

        `calls_back` says whether BigPanda waits to hear of the cards of an integration.
        """
        self._store = store
        self._rulebook = rulebook
        self._clock = clock
        self._ring = wake_delivery
        self._key_header = key_header
        self._metrics = metrics or Metrics()
        self._patience = timeout
        self._calls_back = wants_callback
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()

    async def accept(self, body: bytes, headers: Mapping[str, str]) -> AcceptedShare:
        """Keep a share; return once it is committed.

        Raises:
            ShareError: the body is no share; it has been put into quarantine.
            StoreError, or whatever else went wrong: the share is not kept. (Where the database was silent for too long
                it may be after all; sent again, it is a repeat.)
        """
        with self._metrics.time_accept():
            return await self._kept(body, headers, self._clock.now())

    async def _kept(self, body: bytes, headers: Mapping[str, str], received: float) -> AcceptedShare:
        try:
            share = await self._parsed(body, headers, received)
        except ShareError as error:
            await self._quarantined(body, headers, error, received)
            raise
        waiting = _Waiting(share, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._arrived.set()
        try:
            async with asyncio.timeout(self._patience):
                return await waiting.answer
        except TimeoutError:
            raise self._given_up(waiting) from None

    async def run(self) -> None:
        """Commit group after group, until cancelled; what waits then is not kept, and its senders are told so."""
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._queue:
                    await self._commit(self._next_group())
        finally:
            for waiting in self._queue:
                waiting.answer.cancel()

    async def _parsed(self, body: bytes, headers: Mapping[str, str], received: float) -> Share:
        if len(body) < LARGE_BODY:
            return parse_share(body, headers, received, key_header=self._key_header)
        return await asyncio.to_thread(parse_share, body, headers, received, key_header=self._key_header)

    async def _quarantined(self, body: bytes, headers: Mapping[str, str], error: ShareError, received: float) -> None:
        """Keep a refused body for the operator; that this fails must not hide why it was refused."""
        self._metrics.record_share(error.reason, headers)
        log.warning("share_refused", reason=error.reason, detail=str(error), size=len(body))
        try:
            async with asyncio.timeout(self._patience):
                await self._store.quarantine(
                    body, {"content-type": headers.get("Content-Type", "")}, error.reason, received
                )
        except StoreError as failed:
            log.error("quarantine_failed", reason=error.reason, detail=str(failed))  # noqa: TRY400  it says all
        except TimeoutError:
            log.error("quarantine_failed", reason=error.reason, detail=str(self._store.unresponsive(self._patience)))  # noqa: TRY400
        except Exception:
            log.exception("quarantine_failed", reason=error.reason)

    def _given_up(self, waiting: _Waiting) -> StoreError:
        """The database is silent: what still waits for it goes, lest bodies pile up for as long as that lasts."""
        with suppress(ValueError):  # it is in the group that is under way: it may be kept yet, and is a repeat then
            self._queue.remove(waiting)
        error = self._store.unresponsive(self._patience)
        self._not_kept(waiting, error)
        return error

    def _next_group(self) -> list[_Waiting]:
        group, size = [self._queue.popleft()], 0
        while self._queue and len(group) < MAX_GROUP:
            size += len(self._queue[0].share.body)
            if size > MAX_GROUP_BYTES:
                break
            group.append(self._queue.popleft())
        return group

    async def _commit(self, group: list[_Waiting]) -> None:
        started = self._clock.now()
        try:
            accepted = await self._store.accept(
                [waiting.share for waiting in group], self._decide, within=PLANNING_SECONDS
            )
        except asyncio.CancelledError:
            for waiting in group:
                waiting.answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001  whatever it was, each sender is answered
            self._ring()  # it may have been committed all the same; sent again it is a repeat, and rings nobody
            if len(group) == 1 or self._clock.now() - started >= STUCK_AFTER:
                self._refuse(group, error)
            else:
                await self._one_by_one(group, error)
            return
        left = [waiting for waiting in group[len(accepted) :] if not waiting.answer.done()]
        self._queue.extendleft(reversed(left))  # they come next, in the order in which they came
        for waiting, each in zip(group, accepted, strict=False):
            self._answer(waiting, each)
        if any(each.due for each in accepted):
            self._ring()

    async def _one_by_one(self, group: list[_Waiting], error: Exception) -> None:
        log.warning("group_not_kept", shares=len(group), detail=str(error))
        for waiting in group:
            await self._commit([waiting])

    def _refuse(self, group: list[_Waiting], error: Exception) -> None:
        """Not kept: each sender has to hear so."""
        unforeseen = None if isinstance(error, StoreError) else error  # the database's own sentence says it all
        for waiting in group:
            if not waiting.answer.done():  # else it was told already
                self._not_kept(waiting, error, unforeseen)
                waiting.answer.set_exception(error)

    def _not_kept(self, waiting: _Waiting, error: Exception, unforeseen: Exception | None = None) -> None:
        log.error("share_not_kept", incident=waiting.share.incident, detail=str(error), exc_info=unforeseen)
        self._metrics.record_share("not_kept", waiting.share.headers)

    def _answer(self, waiting: _Waiting, accepted: AcceptedShare) -> None:
        _tell(accepted)
        self._metrics.record_share(str(accepted.outcome), waiting.share.headers, waiting.share.received)
        with suppress(asyncio.InvalidStateError):  # the sender has gone away meanwhile; its share is kept all the same
            waiting.answer.set_result(accepted)

    def _decide(self, context: PlanContext) -> Plan:
        return plan(
            self._rulebook(),
            context.incident_state,
            context.cards,
            context.share,
            context.canonical_refs,
            has_callback=self._calls_back,
        )


def _tell(accepted: AcceptedShare) -> None:
    """One line for the share, and one for each card that it begins or ends; what is sent of them is told when it is."""
    told = {name: accepted.decision[name] for name in ("state", "entries", "dropped") if accepted.decision.get(name)}
    which = {"incident": accepted.incident, "share": accepted.share_id}
    log.info("share_kept", **which, outcome=str(accepted.outcome), routes=list(accepted.routes), **told)
    for each in accepted.decision.get("unnamed", ()):
        log.warning("channel_unnamed", **which, route=each["route"], detail=each["detail"])
    for card in accepted.decision.get("cards", ()):
        if card["reason"] != "changed":
            log.info("card_decided", **which, route=card["route"], channel=card["channel"], reason=card["reason"])
