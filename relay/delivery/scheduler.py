"""One kind of work, posts or edits: whenever its budget allows a call, the card whose turn it is gets it."""

import asyncio
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from functools import partial

import structlog

from relay.cards.eligibility import WorkKind
from relay.cards.model import AttemptState, CardContext
from relay.cards.send import NothingToSend, SlackStep, Step
from relay.delivery.context import DeliveryContext, card_fields
from relay.delivery.executor import Executor
from relay.metrics import MessageKind
from relay.model.errors import CardFailure, StoreError, StoreUnusable
from relay.runtime.clock import WakeEvent
from relay.slack.methods import Method
from relay.store.types import Lease

log = structlog.get_logger("relay.delivery")

Picked = tuple[CardContext, Step] | float | None

STORE_RETRY_PAUSE = 1.0
"""Seconds until the store is asked again after it failed."""

CRASH_PAUSE = 30.0
"""Seconds until a card is picked again after something unforeseen that concerns no single one."""

OLDEST_EVERY = 10
"""Every so many calls the card that has waited longest comes first, so that nothing starves."""


class Scheduler:
    """Picks and hands over; the courier does the rest."""

    def __init__(  # noqa: PLR0913  the two pumps differ in these
        self,
        track: WorkKind,
        kit: DeliveryContext,
        courier: Executor,
        *,
        begin: Callable[[CardContext], Step],
        crowded: Callable[[], AbstractSet[str]],
        at_once: int,
    ) -> None:
        """`begin` decides, inside the transaction that picks; `at_once` bounds the calls under way.

        `crowded` are the lanes that have too much in doubt to go on.
        """
        self.bell = WakeEvent()
        self._track: WorkKind = track
        self._method = Method.POST if track == "post" else Method.EDIT
        self._kit = kit
        self._courier = courier
        self._begin = begin
        self._crowded = crowded
        self._at_once = at_once
        self._cards: set[int] = set()
        self._lanes: set[str] = set()
        self._known: set[str] = set()
        self._last_lane = ""
        self._served = 0
        self._unsure = False

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, and nothing can be for now."""
        return self.bell.is_idle and not self._cards

    async def run(self, lease: Lease | None, stopping: asyncio.Event) -> None:
        """Work until told to stop; then finish what is under way.

        Raises:
            LeaseLost: another relay delivers now; what is under way is finished first.
        """
        async with asyncio.TaskGroup() as tasks:
            while not stopping.is_set():
                until = await self._turn(lease, tasks)
                if until is None or until > self._kit.clock.now():
                    await self._kit.wait(self.bell, until)

    async def _turn(self, lease: Lease | None, tasks: asyncio.TaskGroup) -> float | None:
        """Give one card its turn. Returns the moment at which to look again; None for when the bell rings."""
        now = self._kit.clock.now()
        try:
            await self._recover(lease)
            return await self._served_one(now, lease, tasks)
        except StoreUnusable as error:
            log.error("pick_failed", track=self._track, detail=str(error))  # noqa: TRY400  the sentence says it
            self._unsure = True
            return now + STORE_RETRY_PAUSE
        except CardFailure as trouble:
            self._kit.backoff.record_failure(trouble.card, trouble, trouble.details)
            return now  # the next one
        except StoreError:
            raise
        except Exception:
            log.exception("pick_broke", track=self._track)
            self._unsure = True
            return now + CRASH_PAUSE

    async def _recover(self, lease: Lease | None) -> None:
        """A pick that failed may have been committed, and its answer lost: then nobody is about what it has begun."""
        if not self._unsure:
            return
        self._unsure = False
        if self._track == "post":  # an edit that was begun is still due
            now = self._kit.clock.now()
            doubtful = await self._kit.store.recover_attempts(now, in_progress=frozenset(self._cards), lease=lease)
            if doubtful:
                log.warning("recovered", in_doubt=doubtful)
                self._kit.wake_all()

    async def _served_one(self, now: float, lease: Lease | None, tasks: asyncio.TaskGroup) -> float | None:
        gate = self._kit.breaker
        if len(self._cards) >= self._at_once or gate.is_open or (gate.half_open and gate.calls_in_flight):
            return None
        if (ready := self._kit.budgets.ready_at(self._method, "", now)) > now:
            return ready
        closed = self._closed_lanes(now)
        picked = await self._picked(now, self._lanes | closed.keys() | self._stuck(), lease)
        if not isinstance(picked, tuple):
            moments = (picked, *closed.values(), self._kit.backoff.retry_at())
            return min((moment for moment in moments if moment is not None), default=None)
        self._hand_over(*picked, lease=lease, tasks=tasks)
        return now

    def _stuck(self) -> AbstractSet[str]:
        """Edits go on: nothing of theirs can be doubled."""
        return self._crowded() if self._track == "post" else frozenset()

    def _closed_lanes(self, now: float) -> dict[str, float]:
        """The lanes whose own budget is spent, and until when. An edit costs its lane nothing."""
        if self._track == "edit":
            return {}
        ready = {lane: self._kit.budgets.ready_at(self._method, lane, now) for lane in self._known}
        return {lane: moment for lane, moment in ready.items() if moment > now}

    async def _picked(self, now: float, lanes: AbstractSet[str], lease: Lease | None) -> Picked:
        """No lane gets two edits in a row while another lane's edit waits: none takes more than half of them."""
        if self._track == "edit" and self._last_lane:
            picked = await self._pick(now, lanes | {self._last_lane}, lease)
            if isinstance(picked, tuple):
                return picked
        return await self._pick(now, lanes, lease)

    async def _pick(self, now: float, lanes: AbstractSet[str], lease: Lease | None) -> Picked:
        return await self._kit.store.start_next_card(
            self._track,
            now,
            skip_cards=frozenset(self._cards | self._kit.backoff.skipped_cards),
            skip_channels=frozenset(lanes),
            oldest_first=self._served % OLDEST_EVERY == OLDEST_EVERY - 1,
            decide=self._begin,
            lease=lease,
        )

    def _hand_over(self, case: CardContext, step: Step, *, lease: Lease | None, tasks: asyncio.TaskGroup) -> None:
        self._served += 1
        if isinstance(step, NothingToSend):
            log.info("settled", reason=step.reason, **card_fields(case.card))
            what: MessageKind = "edit" if self._track == "edit" else "reply" if case.card.ts else "root"
            self._kit.metrics.record_skipped(what, step.reason)
            if step.update.attempt is not None and step.update.attempt.state is AttemptState.IN_DOUBT:
                self._kit.doubts[case.channel.ref] += 1
                self._kit.wake_all()  # it is to be looked for at once
            return
        card, lane = case.card.id, case.channel.ref
        work = self._kit.backoff.run_isolated(card, self._work(case, step, lease), card_fields(case.card))
        task = tasks.create_task(work, name=f"{self._track} of card {card}")
        # Undone when the task is over, whatever becomes of it: one that is cancelled before it begins runs nothing.
        task.add_done_callback(lambda done: self._over(card, lane, done))
        self._kit.breaker.calls_in_flight += 1
        self._cards.add(card)
        self._known.add(lane)
        self._last_lane = lane
        if self._track == "post":
            self._lanes.add(lane)

    def _work(self, case: CardContext, step: SlackStep, lease: Lease | None) -> Callable[[], Awaitable[bool]]:
        try:
            parcel = self._courier.prepare(case, step)
        except Exception as error:  # noqa: BLE001  it is logged there
            return partial(self._courier.record_unrendered, case, step, error, lease)
        if parcel.needs_call:
            self._kit.budgets.spend(self._method, parcel.lane, self._kit.clock.now())
        return partial(self._courier.execute, parcel, lease)

    def _over(self, card: int, lane: str, done: asyncio.Task[bool | None]) -> None:
        if not done.cancelled() and done.exception() is None and not done.result():
            self._unsure = True  # what it was about may be left in the middle
        self._kit.breaker.calls_in_flight -= 1
        self._cards.discard(card)
        self._lanes.discard(lane)
        self._kit.wake_schedulers()
