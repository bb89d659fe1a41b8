"""Holds the right to deliver, and starts and stops those who do.

On SQLite the lock on the file is that right, and `lease` is None throughout. On PostgreSQL it is a lease: of several
relays one has it, each transaction of delivery checks it, and whoever loses it stops before the next call.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from uuid import uuid4

import structlog

from relay.cards import recovery
from relay.cards.draw import permalink
from relay.cards.failures import EXTERNAL, external_channel_letter, is_external
from relay.cards.model import CardContext, DeliveryRules
from relay.cards.outcomes import give_up
from relay.cards.send import NothingToSend, Step, begin_edit, begin_post
from relay.config.configuration import Configuration
from relay.delivery.card_backoff import CardBackoff
from relay.delivery.channels import ChannelResolver
from relay.delivery.circuit_breaker import CircuitBreaker
from relay.delivery.context import DeliveryContext
from relay.delivery.executor import Executor
from relay.delivery.history import HistoryReader
from relay.delivery.lease_guard import LeaseGuard
from relay.delivery.reconciler import Reconciler
from relay.delivery.repair import Repair
from relay.delivery.scheduler import Scheduler
from relay.http.session import check_before_send
from relay.metrics import Metrics
from relay.model.errors import LeaseLost, StoreError
from relay.ratelimit.budgets import Budgets, backoff
from relay.ratelimit.throttle import Throttle
from relay.runtime.clock import Clock, WakeEvent
from relay.slack.client import SlackClient
from relay.slack.methods import slack_budgets
from relay.store.store import Store
from relay.store.types import Lease

log = structlog.get_logger("relay.delivery")

LEASE_NAME = "delivery"
LEASE_TTL = 12.0
LEASE_RENEW_EVERY = 3.0
LEASE_ACQUIRE_EVERY = 1.0
"""Seconds for which a lease holds, after which its holder extends it, and after which others ask whether it is free."""

LISTEN_EVERY = 1.0
"""Seconds between two looks at whether another program has written into an SQLite database."""

CRASH_PAUSE = 30.0
"""Seconds until delivery begins anew after something unforeseen."""

FORGET_CRASH_AFTER = 600.0
"""Seconds after which something unforeseen that happens in a room counts as its first again."""

CLOCK_RESOLUTION = 1e-6
"""Seconds that a moment can be told from the next one."""

MAX_CONCURRENT_POSTS = 16
MAX_CONCURRENT_EDITS = 4
"""Calls under way at the most; the budgets are what really bounds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryHealth:
    """What delivery knows of itself: `slack` is `ok`, or the reason for which nothing is sent; `remedy` what to do."""

    delivering: bool
    slack: str
    remedy: str = ""


class Companion(Protocol):
    """Whoever else works only in the relay that delivers; `check` raises LeaseLost where it may not any more."""

    bell: WakeEvent

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, and nothing can be before time passes or the bell rings."""

    async def run(self, lease: Lease | None, over: asyncio.Event, check: Callable[[], None]) -> None:
        """Work until told to stop."""


class DeliveryService:
    """Everything that goes to Slack goes through here."""

    def __init__(  # noqa: PLR0913  the shell is wired here
        self,
        store: Store,
        slack: SlackClient,
        live: Callable[[], Configuration],
        clock: Clock,
        budgets: Budgets | None = None,
        *,
        metrics: Metrics | None = None,
        beside: Sequence[Companion] = (),
    ) -> None:
        """`live` gives the configuration of the moment; `beside` are those who work under the same right."""
        self._store = store
        self._live = live
        self._clock = clock
        self._delivering = False
        self._restored: tuple[float, float] | None = None
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._leash = asyncio.Event()
        budgets = budgets or slack_budgets()
        self._gate = CircuitBreaker(slack, clock, budgets)
        self._tenure = LeaseGuard(clock)
        kit = DeliveryContext(
            store=store,
            door=slack,
            lease_guard=self._tenure,
            budgets=budgets,
            throttle=Throttle(budgets, clock),
            breaker=self._gate,
            clock=clock,
            rules=self._rules,
            wake_all=self._ring_all,
            wake_schedulers=self._ring_pumps,
            metrics=metrics or Metrics(),
            backoff=CardBackoff(clock),
        )
        reader = HistoryReader(kit)
        courier = Executor(kit, live, self.message_link)
        self._directory = ChannelResolver(kit)
        self._search = Reconciler(kit, reader)
        self._mending = Repair(kit)
        crowded = self._crowded
        self._posts = Scheduler(
            "post", kit, courier, begin=self._begin_post, crowded=crowded, at_once=MAX_CONCURRENT_POSTS
        )
        self._edits = Scheduler(
            "edit", kit, courier, begin=self._begin_edit, crowded=crowded, at_once=MAX_CONCURRENT_EDITS
        )
        rooms = (self._directory, self._search, self._mending, self._posts, self._edits)
        self._beside = tuple(beside)
        self._bells = [*(room.bell for room in rooms), *(each.bell for each in self._beside)]
        self._gate.wake_on_close += self._bells

    @property
    def health(self) -> DeliveryHealth:
        """How delivery is now."""
        known = "ok" if self._gate.identity else "not asked yet"
        return DeliveryHealth(delivering=self._delivering, slack=self._gate.reason or known, remedy=self._gate.remedy)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, and nothing can be before time passes or something comes in."""
        bells = all(bell.is_idle for bell in (*self._bells, self._gate.bell))
        pumps = self._posts.idle and self._edits.idle
        return bells and pumps and all(each.idle for each in self._beside)

    def wake(self) -> None:
        """Something may be due: look now."""
        self._directory.bell.set()
        self._ring_pumps()

    def _ring_pumps(self) -> None:
        self._posts.bell.set()
        self._edits.bell.set()
        for each in self._beside:
            each.bell.set()
        if self._mending.has_rejected_channels:
            self._mending.bell.set()

    def _ring_all(self) -> None:
        for bell in self._bells:
            bell.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver while this relay has the right to, until told to stop; then finish what is under way."""
        while not stopping.is_set():
            if not await self._turn(stopping) and not stopping.is_set():
                await self._clock.wait(self._leash, self._clock.now() + LEASE_ACQUIRE_EVERY)

    async def _turn(self, stopping: asyncio.Event) -> bool:
        """Deliver, if it is this relay's turn, until told to stop; False where it is not, or where it had to break off.

        A database that is away must not end relay: shares are answered 503 meanwhile, and when it is back what was cut
        off is looked for as after a crash.
        """
        try:
            lease = await self._take_lease()
            if self._store.shared and lease is None:
                return False
            await self._deliver(lease, stopping)
            if lease is not None:
                await self._store.release_lease(lease)
        except* LeaseLost as lost:
            log.warning("lease_lost", holder=self._holder, detail=[str(error) for error in _leaves(lost)])
        except* StoreError as failed:
            log.error("delivery_broken_off", detail=[str(error) for error in _leaves(failed)])  # noqa: TRY400  it says all
        except* Exception:
            log.exception("delivery_broke")  # shares are taken all the same, and what was cut off is looked for
            await self._clock.wait(self._leash, self._clock.now() + CRASH_PAUSE)
        else:
            return True
        finally:
            self._delivering = False
        return False

    def stop(self) -> None:
        """Wake whoever waits, so that it sees that it is to stop."""
        self._leash.set()
        self.wake()

    async def _take_lease(self) -> Lease | None:
        if not self._store.shared:
            return None
        asked = self._clock.monotonic()
        epoch = await self._store.acquire_lease(LEASE_NAME, self._holder, None, LEASE_TTL)
        if epoch is None:
            return None
        self._tenure.extend(asked, LEASE_TTL)
        return Lease(LEASE_NAME, self._holder, epoch)

    async def _deliver(self, lease: Lease | None, stopping: asyncio.Event) -> None:
        doubtful = await self._store.recover_attempts(self._clock.now(), lease=lease)
        log.info("delivering", holder=self._holder, in_doubt=doubtful)
        self._restored = await self._store.restore_window(self._clock.now())
        if self._restored is not None:
            copied, until = self._restored
            log.warning("restored", copied=copied, until=until, reason="what was sent since the copy is not known here")
        self._delivering = True
        over = asyncio.Event()
        with check_before_send(
            self._tenure.check
        ):  # all these tasks': between the look at the clock and the call time may pass
            await self._at_work(lease, stopping, over)

    async def _at_work(self, lease: Lease | None, stopping: asyncio.Event, over: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._posts.run(lease, over), name="posts")
            tasks.create_task(self._edits.run(lease, over), name="edits")
            for room, work in (
                (self._directory, partial(self._directory.run, over)),
                (self._search, partial(self._search.run, lease, over)),
                (self._mending, partial(self._mending.run, lease, over)),
                (self._gate, partial(self._gate.run, over)),
            ):
                name = type(room).__name__.lower()
                tasks.create_task(self._again_and_again(name, room.bell, work, over), name=name)
            for each in self._beside:
                name, work = type(each).__name__.lower(), partial(each.run, lease, over, self._tenure.check)
                tasks.create_task(self._again_and_again(name, each.bell, work, over), name=name)
            ears = self._again_and_again("doorbell", WakeEvent(), self._listen, over)
            listening = tasks.create_task(ears, name="doorbell")
            await self._hold(lease, stopping)
            over.set()
            listening.cancel()
            self._gate.bell.set()
            self._ring_all()

    async def _again_and_again(
        self, name: str, bell: WakeEvent, work: Callable[[], Awaitable[None]], over: asyncio.Event
    ) -> None:
        """Those who merely look after things begin again when the database fails them, or anything unforeseen happens.

        Nothing that is under way elsewhere is cut off by it.
        """
        tries = 0
        while not over.is_set():
            began = self._clock.monotonic()
            try:
                await work()
            except LeaseLost:
                raise
            except StoreError as error:
                log.error("broken_off", room=name, detail=str(error))  # noqa: TRY400  the sentence says it
                pause = LEASE_RENEW_EVERY
            except Exception as error:
                if isinstance(error, ExceptionGroup) and error.subgroup(LeaseLost):
                    raise
                log.exception("room_broke", room=name)
                tries = 1 if self._clock.monotonic() - began > FORGET_CRASH_AFTER else tries + 1
                pause = backoff(tries, name)
            else:
                continue
            await self._pause(bell, pause, over)

    async def _pause(self, bell: WakeEvent, seconds: float, over: asyncio.Event) -> None:
        """Wait so long, or until `over`. Whoever rings only has it look at the time: what broke may ring by itself."""
        ends = self._clock.monotonic() + seconds
        while not over.is_set() and (left := ends - self._clock.monotonic()) > 0:
            await self._clock.wait_idle(bell, self._clock.now() + left + CLOCK_RESOLUTION)

    async def _hold(self, lease: Lease | None, stopping: asyncio.Event) -> None:
        """Keep the lease until told to stop, or until somebody else has it."""
        while not stopping.is_set():
            await self._clock.wait(self._leash, None if lease is None else self._clock.now() + LEASE_RENEW_EVERY)
            if lease is not None and not stopping.is_set() and await self._take_lease() != lease:
                raise LeaseLost("another relay delivers now")

    async def _listen(self) -> None:
        """Notice what others write: the shares that other relays accept, and what an operator redrives.

        They live in real time, whatever clock this relay was given.
        """
        await self._store.listen(lambda anything: self._ring_all() if anything else self.wake())
        while True:
            with suppress(StoreError):  # those who work with it say so
                if await self._store.changed_elsewhere():
                    self._ring_all()
            await asyncio.sleep(LISTEN_EVERY)

    def _begin_post(self, case: CardContext) -> Step:
        now = self._clock.now()
        if case.card.ts is None and is_external(case.card, case.channel):
            return NothingToSend(
                reason=EXTERNAL, update=give_up(case, None, external_channel_letter(now), self._rules())
            )
        step = begin_post(case, self._live().rulebook.tag_labels, now)
        if self._restored is not None and now < self._restored[1]:
            return recovery.search_before_post(case, step, self._restored[0], now)
        return step

    def _begin_edit(self, case: CardContext) -> Step:
        return begin_edit(case, self._clock.now())

    def _rules(self) -> DeliveryRules:
        rulebook = self._live().rulebook
        return DeliveryRules(
            tag_labels=rulebook.tag_labels, fallback=rulebook.fallback, canonical_refs=self._directory.same
        )

    def _crowded(self) -> frozenset[str]:
        return self._search.blocked_lanes

    def message_link(self, channel: str, ts: str) -> str:
        """The address of a message for people; empty until Slack has told the workspace's."""
        identity = self._gate.identity
        return permalink(identity.url if identity else "", channel, ts)


def _leaves(group: BaseExceptionGroup[StoreError]) -> Iterator[BaseException]:
    """What a group holds, and the groups in it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
