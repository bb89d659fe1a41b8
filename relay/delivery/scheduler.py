"""Picks the next due card, for posts or for edits, whenever the rate limits allow a call."""

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from functools import partial
from math import inf
from typing import Any

import structlog

from relay.cards.eligibility import WorkKind
from relay.cards.holds import Hold, Reason
from relay.cards.model import AttemptState, Card, CardContext
from relay.cards.steps import NothingToSend, SlackStep, Step
from relay.delivery.context import DeliveryContext, card_fields
from relay.delivery.executor import Executor
from relay.delivery.supervision import STORE_RETRY_PAUSE
from relay.metrics import MessageKind
from relay.model.errors import CardFailure, StoreError, StoreUnusable
from relay.runtime.clock import WakeEvent
from relay.runtime.logging import REPORT_IT, LastingProblem, utc
from relay.slack.methods import Method
from relay.store.card_queue import UNKNOWN, LentPick, Started, Unknown, start_next_card

log = structlog.get_logger("relay.delivery")

Picked = Started[Step] | float | None

CRASH_PAUSE = 30.0
"""Seconds until a card is picked again after an unexpected failure that concerns no single card."""

OLDEST_EVERY = 10
"""One call in this many goes to the card that has waited longest, so that no card starves."""


class Scheduler:
    """Picks cards and hands each to the executor."""

    def __init__(
        self,
        work: WorkKind,
        shared: DeliveryContext,
        executor: Executor,
        begin: Callable[[CardContext], Step],
        max_concurrent: int,
    ) -> None:
        """`begin` decides the step, inside the transaction that picks the card; `max_concurrent` bounds the calls."""
        self.wakeup = WakeEvent()
        self._work: WorkKind = work
        self._method = Method.POST if work == "post" else Method.EDIT
        self._shared = shared
        self._executor = executor
        self._begin = begin
        self._max_concurrent = max_concurrent
        self._cards: set[int] = set()
        self._busy_channels: set[str] = set()
        self._slack_ids: dict[str, str] = {}
        self._last_channel = ""
        self._served = 0
        self._others_wait = True
        self._looks_after_call = False
        self._must_recover = False
        self._lent: asyncio.Future[Started[Step] | None] | None = None
        self._unpicked = LastingProblem(log)

    @property
    def idle(self) -> bool:
        """Whether no call is in progress, and none begins before time passes or `wakeup` is set."""
        return self.wakeup.is_idle and not self._cards and self._lent is None

    def look(self) -> None:
        """Look for due work now, and again after each call in progress: the work may be that of its card."""
        self._looks_after_call = bool(self._cards)
        self.wakeup.set()

    def look_after_call(self) -> None:
        """Look for due work after a call, if a card waits for that."""
        if self._others_wait or self._looks_after_call:
            self._looks_after_call = bool(self._cards)
            self.wakeup.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Pick cards until `stopping` is set; then finish the calls in progress.

        Raises LeaseLost: another relay delivers now; the calls in progress are finished first.
        """
        self._lent = None
        async with asyncio.TaskGroup() as tasks:
            while not stopping.is_set() or self._lent is not None:
                until = await self._turn(tasks)
                if until is None or until > self._shared.clock.now():
                    await self._shared.clock.wait_idle(self.wakeup, until)

    async def _turn(self, tasks: asyncio.TaskGroup) -> float | None:
        """Serve one card. Return when to look again; None: when `wakeup` is set."""
        now, self._others_wait = self._shared.clock.now(), True  # until it is known that no other card has work
        try:
            if self._lent is not None:
                again = await self._serve_lent(self._lent, now, tasks)
            else:
                await self._recover()
                again = await self._serve_next(now, tasks)
        except StoreUnusable as error:
            self._unpicked.report("warning", "pick_failed", work=self._work, detail=str(error))
            self._must_recover = True
            return now + STORE_RETRY_PAUSE
        except CardFailure as failure:
            self._shared.backoff.record_failure(failure.card, failure, failure.details)
            return now  # the next card
        except StoreError:
            raise
        except Exception:
            detail = f"Unexpected error while looking for due cards. {REPORT_IT}"
            log.exception("pick_failed", work=self._work, detail=detail)
            self._must_recover = True
            return now + CRASH_PAUSE
        self._unpicked.over()
        return again

    async def _recover(self) -> None:
        """Recover attempts that nobody works on: a pick that failed may have been committed anyway."""
        if not self._must_recover:
            return
        self._must_recover = False
        if self._work == "post":  # an edit that was begun is still due
            now = self._shared.clock.now()
            in_doubt = await self._shared.store.recover_attempts(
                now, in_progress=frozenset(self._cards), lease=self._shared.lease
            )
            if in_doubt:
                detail = f"{in_doubt} posts had begun and have no result; relay searches Slack for them."
                log.warning("attempts_recovered", in_doubt=in_doubt, detail=detail)
                self._shared.wake_all()

    async def _serve_next(self, now: float, tasks: asyncio.TaskGroup) -> float | None:
        if not self._may_call():
            return None
        if (until := self._shared.slack.throttle.blocked_until(self._method)) is not None:
            return until
        limited = self._limited_channels()
        picked: Picked = await self._shared.store.start_next_card(**self._search(now, limited.keys()))
        if isinstance(picked, Started):
            return await self._serve_started(picked, now, tasks)
        self._others_wait = picked is not None
        moments = (picked, *limited.values(), self._shared.backoff.retry_at())
        return min((moment for moment in moments if moment not in {None, inf}), default=None)

    async def _serve_started(self, picked: Started[Step], now: float, tasks: asyncio.TaskGroup) -> float | None:
        await self._hand_over(picked.context, picked.decision, tasks=tasks)
        if picked.more or isinstance(picked.decision, NothingToSend):
            return now
        self._others_wait = False
        return self._shared.backoff.retry_at()

    def _may_call(self) -> bool:
        breaker = self._shared.slack.breaker
        one_at_a_time = breaker.half_open and breaker.calls_in_flight
        return len(self._cards) < self._max_concurrent and not breaker.is_open and not one_at_a_time

    def _limited_channels(self) -> dict[str, float]:
        """Return the channels whose own rate limit is used up, and until when. An edit uses no limit of a channel."""
        if self._work == "edit":
            return {}
        throttle = self._shared.slack.throttle
        until = {ref: throttle.blocked_until(self._method, slack_id) for ref, slack_id in self._slack_ids.items()}
        return {ref: moment for ref, moment in until.items() if moment is not None}

    def _search(self, now: float, limited: AbstractSet[str]) -> dict[str, Any]:
        """Return which card is next. No channel gets two edits in a row while another channel's edit waits."""
        blocked = self._shared.blocked_channels if self._work == "post" else frozenset()  # edits cannot be doubled
        return {
            "work": self._work,
            "now": now,
            "skip_cards": frozenset(self._cards | self._shared.backoff.skipped_cards),
            "skip_channels": frozenset(self._busy_channels | limited | blocked),
            "last_channel": self._last_channel if self._work == "edit" else "",
            "oldest_first": self._served % OLDEST_EVERY == OLDEST_EVERY - 1,
            "decide": self._begin,
            "storm_in": self._shared.storm_in,
            "lease": self._shared.lease,
        }

    def lend_pick(self) -> LentPick[Step] | None:
        """Let a transaction that makes cards due pick the next one, if this scheduler waits for work that it may do."""
        is_free = self.wakeup.is_idle and self._lent is None and not self._must_recover and self._may_call()
        if not is_free or self._shared.slack.throttle.blocked_until(self._method) is not None:
            return None
        search = self._search(self._shared.clock.now(), self._limited_channels().keys())
        self._lent = asyncio.get_running_loop().create_future()
        return LentPick(partial(start_next_card, **search), partial(self._give_back, self._lent))

    def _give_back(self, lent: "asyncio.Future[Started[Step] | None]", started: Started[Step] | Unknown | None) -> None:
        self._must_recover |= started is UNKNOWN
        lent.set_result(started if isinstance(started, Started) else None)
        if started is None and self._lent is lent:
            self._lent = None
        else:
            self.wakeup.set()

    async def _serve_lent(
        self, lent: "asyncio.Future[Started[Step] | None]", now: float, tasks: asyncio.TaskGroup
    ) -> float | None:
        """Serve the card that another transaction has started, if it has started one."""
        started = await asyncio.shield(lent)
        self._lent = None
        return now if started is None else await self._serve_started(started, now, tasks)

    async def _hand_over(self, context: CardContext, step: Step, tasks: asyncio.TaskGroup) -> None:
        self._served += 1
        if isinstance(step, NothingToSend):
            self._record_skipped(context, step)
            return
        card, channel = context.card.id, context.channel.ref
        self._shared.slack.breaker.calls_in_flight += 1
        self._cards.add(card)
        self._last_channel = channel
        if self._work == "post":
            self._busy_channels.add(channel)
        try:
            prepared = await self._prepare(context, step)
        except BaseException:
            self._must_recover = True
            self._release(card, channel)
            raise
        work = self._shared.backoff.run_isolated(card, prepared, card_fields(context.card))
        task = tasks.create_task(work, name=f"{self._work} of card {card}")
        # In a callback, since a task that is cancelled before it begins runs nothing.
        task.add_done_callback(lambda _: self._finish(card, channel))

    def _record_skipped(self, context: CardContext, step: NothingToSend) -> None:
        after = next((card for card in step.update.cards if card.id == context.card.id), context.card)
        if after.held is not None and after.held != context.card.held:
            self._log_held(after, after.held)
        else:
            detail = f"The card needs no message ({step.reason.replace('_', ' ')})."
            log.debug("nothing_to_send", reason=step.reason, **card_fields(context.card), detail=detail)
        kind: MessageKind = "edit" if self._work == "edit" else "reply" if context.card.ts else "root"
        self._shared.metrics.record_skipped(kind, step.reason)
        if step.update.attempt is not None and step.update.attempt.state is AttemptState.IN_DOUBT:
            self._shared.doubts[context.channel.ref] += 1
            self._shared.wake_all()  # it is to be searched for at once

    def _log_held(self, card: Card, hold: Hold) -> None:
        """Say that a card is held; those that a storm holds are counted, since they may be thousands."""
        in_storm = hold.reason is Reason.STORM
        if in_storm:
            self._shared.held_in_storms[card.channel] += 1
        until = "" if hold.until is None else utc(hold.until)
        where = "storm card" if in_storm else "held list"
        detail = f"The card waits{f' until {until}' if until else ''}; the {where} of the channel names its incident."
        write = log.debug if in_storm else log.info
        write("card_held", reason=str(hold.reason), until=until, **card_fields(card), detail=detail)

    async def _prepare(self, context: CardContext, step: SlackStep) -> Callable[[], Awaitable[None]]:
        """Render before the next card is picked: only then it is known whether the step needs a call."""
        try:
            call = await self._executor.prepare(context, step)
        except Exception as error:  # noqa: BLE001  `record_unrendered` logs it
            return partial(self._executor.record_unrendered, context, step, error)
        if call.needs_call:
            self._slack_ids[context.channel.ref] = call.slack_channel
            self._shared.slack.throttle.reserve(self._method, call.slack_channel)
        return partial(self._executor.execute, call)

    def _finish(self, card: int, channel: str) -> None:
        if card in self._shared.backoff.skipped_cards:
            self._must_recover = self._looks_after_call = True  # the card's work may have stopped halfway
        self._release(card, channel)

    def _release(self, card: int, channel: str) -> None:
        self._shared.slack.breaker.calls_in_flight -= 1
        self._cards.discard(card)
        self._busy_channels.discard(channel)
        self._shared.call_ended()
