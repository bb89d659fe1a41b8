"""Picks the next due card, for posts or for edits, whenever the rate limits allow a call."""

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from functools import partial
from math import inf

import structlog

from relay.cards.eligibility import WorkKind
from relay.cards.holds import Hold, Reason
from relay.cards.model import AttemptState, Card, CardContext
from relay.cards.send import NothingToSend, SlackStep, Step
from relay.delivery.context import DeliveryContext, card_fields
from relay.delivery.executor import Executor
from relay.metrics import MessageKind
from relay.model.errors import CardFailure, StoreError, StoreUnusable
from relay.runtime.clock import WakeEvent
from relay.runtime.logging import REPORT_IT, LastingProblem, utc
from relay.slack.methods import Method
from relay.store.card_queue import Started

log = structlog.get_logger("relay.delivery")

Picked = Started[Step] | float | None

STORE_RETRY_PAUSE = 1.0
"""Seconds until the store is asked again after it failed."""

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
        self._unpicked = LastingProblem(log)

    @property
    def idle(self) -> bool:
        """Whether no call is in progress, and none begins before time passes or `wakeup` is set."""
        return self.wakeup.is_idle and not self._cards

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
        async with asyncio.TaskGroup() as tasks:
            while not stopping.is_set():
                until = await self._turn(tasks)
                if until is None or until > self._shared.clock.now():
                    await self._shared.clock.wait_idle(self.wakeup, until)

    async def _turn(self, tasks: asyncio.TaskGroup) -> float | None:
        """Serve one card. Return when to look again; None: when `wakeup` is set."""
        now, self._others_wait = self._shared.clock.now(), True  # until it is known that no other card has work
        try:
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
        """Recover attempts that nobody works on: a pick that failed may have been committed all the same."""
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
        slack = self._shared.slack
        one_at_a_time = slack.breaker.half_open and slack.breaker.calls_in_flight
        if len(self._cards) >= self._max_concurrent or slack.breaker.is_open or one_at_a_time:
            return None
        if (until := slack.throttle.blocked_until(self._method)) is not None:
            return until
        limited = self._limited_channels()
        blocked = self._shared.blocked_channels if self._work == "post" else frozenset()  # edits cannot be doubled
        picked = await self._pick(now, self._busy_channels | limited.keys() | blocked)
        if isinstance(picked, Started):
            await self._hand_over(picked.context, picked.decision, tasks=tasks)
            if picked.more or isinstance(picked.decision, NothingToSend):
                return now
            picked = None
        self._others_wait = picked is not None
        moments = (picked, *limited.values(), self._shared.backoff.retry_at())
        return min((moment for moment in moments if moment not in {None, inf}), default=None)

    def _limited_channels(self) -> dict[str, float]:
        """Return the channels whose own rate limit is used up, and until when. An edit uses no limit of a channel."""
        if self._work == "edit":
            return {}
        throttle = self._shared.slack.throttle
        until = {ref: throttle.blocked_until(self._method, slack_id) for ref, slack_id in self._slack_ids.items()}
        return {ref: moment for ref, moment in until.items() if moment is not None}

    async def _pick(self, now: float, skip_channels: AbstractSet[str]) -> Picked:
        """Pick a card. No channel gets two edits in a row while another channel's edit waits."""
        return await self._shared.store.start_next_card(
            self._work,
            now,
            skip_cards=frozenset(self._cards | self._shared.backoff.skipped_cards),
            skip_channels=frozenset(skip_channels),
            last_channel=self._last_channel if self._work == "edit" else "",
            oldest_first=self._served % OLDEST_EVERY == OLDEST_EVERY - 1,
            decide=self._begin,
            storm_in=self._shared.storm_in,
            lease=self._shared.lease,
        )

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
            _log_held(after, after.held)
        else:
            detail = f"The card needs no message ({step.reason.replace('_', ' ')})."
            log.debug("nothing_to_send", reason=step.reason, **card_fields(context.card), detail=detail)
        kind: MessageKind = "edit" if self._work == "edit" else "reply" if context.card.ts else "root"
        self._shared.metrics.record_skipped(kind, step.reason)
        if step.update.attempt is not None and step.update.attempt.state is AttemptState.IN_DOUBT:
            self._shared.doubts[context.channel.ref] += 1
            self._shared.wake_all()  # it is to be searched for at once

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


def _log_held(card: Card, hold: Hold) -> None:
    until = "" if hold.until is None else utc(hold.until)
    where = "storm card" if hold.reason is Reason.STORM else "held list"
    detail = f"The card waits{f' until {until}' if until else ''}; the {where} of the channel names its incident."
    log.info("card_held", reason=str(hold.reason), until=until, **card_fields(card), detail=detail)
