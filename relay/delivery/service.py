"""Delivers to Slack while this relay is the leader: starts and stops the parts of delivery."""

import asyncio
import secrets
from collections.abc import Callable, Collection
from functools import partial

import structlog

from relay.cards import recovery
from relay.cards.eligibility import EVERY_WORK, Work
from relay.cards.failures import EXTERNAL, external_channel_letter, is_external
from relay.cards.model import CardContext
from relay.cards.outcomes import give_up
from relay.cards.send import begin_edit, begin_post
from relay.cards.steps import NothingToSend, Step
from relay.config.configuration import Configuration
from relay.delivery.adoption import ADOPT_WINDOW, Adoption
from relay.delivery.card_backoff import CardBackoff
from relay.delivery.catch_ups import CatchUps
from relay.delivery.channels import ChannelResolver
from relay.delivery.context import DeliveryContext
from relay.delivery.executor import Executor
from relay.delivery.mute_watch import MuteWatch
from relay.delivery.parts import DeliveryPart
from relay.delivery.reconciler import Reconciler
from relay.delivery.reminders import Reminders
from relay.delivery.render_process import RenderProcess
from relay.delivery.repair import Repair
from relay.delivery.rules_watch import RulesWatch
from relay.delivery.scheduler import Scheduler
from relay.delivery.storms import Storms
from relay.delivery.summaries import Summaries
from relay.delivery.supervision import supervise
from relay.delivery.sweep import Sweep
from relay.metrics import Metrics
from relay.model.errors import StoreError
from relay.runtime.clock import Clock
from relay.runtime.logging import utc
from relay.slack.gateway import SlackGateway
from relay.slack.message import DEFAULT_INSTANCE
from relay.slack.methods import Method
from relay.slack.outcomes import Rejected
from relay.slack.responses import Identity
from relay.slack.workspace import token_rejection, workspace_of
from relay.store.store import Store
from relay.store.types import Lease

log = structlog.get_logger("relay.delivery")

MAX_CONCURRENT_POSTS = 16
MAX_CONCURRENT_EDITS = 4
"""The most calls in progress; what really bounds them are the rate limits."""


class DeliveryService:
    """Keeps Slack equal to the store. `delivering` says whether it does so now."""

    def __init__(  # noqa: PLR0913  each has a name
        self,
        store: Store,
        slack: SlackGateway,
        live: Callable[[], Configuration],
        clock: Clock,
        *,
        metrics: Metrics | None = None,
        instance: str = DEFAULT_INSTANCE,
        on_change: Callable[[], None] = lambda: None,
        on_channel_changed: Callable[[], None] = lambda: None,
        can_ask: Callable[[], bool] = lambda: False,
    ) -> None:
        """`live` returns the live configuration; `instance` is this relay's name.

        `on_change` is called when cards changed, which may make tasks due.

        `on_channel_changed` is called when a channel of the routes is found, or begins or stops to take messages.
        `can_ask` says whether relay can ask BigPanda for an incident.
        """
        self.delivering = False
        self._store = store
        self._slack = slack
        self._clock = clock
        self._on_change = on_change
        self._restored: tuple[float, float] | None = None
        self._newest_ts: dict[str, float] = {}  # by channel: of the messages that this relay has posted
        self._shared = DeliveryContext(
            store=store,
            slack=slack,
            clock=clock,
            live=live,
            on_channel_changed=on_channel_changed,
            wake_all=partial(self.wake, everything=True),
            call_ended=self._call_ended,
            metrics=metrics or Metrics(),
            backoff=CardBackoff(clock),
            instance=instance,
        )
        self._render_process = RenderProcess()
        executor = Executor(self._shared, self._render_process)
        self._repair = Repair(self._shared)
        self._repairing = DeliveryPart("repair", self._repair.repair)
        self._parts = self._make_parts(can_ask)
        self._posts = Scheduler("post", self._shared, executor, self._begin_post, MAX_CONCURRENT_POSTS)
        self._edits = Scheduler("edit", self._shared, executor, self._begin_edit, MAX_CONCURRENT_EDITS)
        if not store.shared:  # on PostgreSQL, who accepts must not wait for what the relay that delivers has locked
            store.lend_pick = self._posts.lend_pick
        woken = [(part.work, part.wakeup.set) for part in self._parts]
        self._lookers = [(Work.POST, self._posts.look), (Work.EDIT, self._edits.look), *woken]
        self._wakeups = [part.wakeup for part in self._parts]
        self._wakeups += [self._posts.wakeup, self._edits.wakeup, slack.breaker.wakeup]
        slack.breaker.wake_on_close += self._wakeups
        slack.breaker.check_identity = self._check_identity
        slack.is_known_message = self._is_known_message

    def _make_parts(self, can_ask: Callable[[], bool]) -> tuple[DeliveryPart, ...]:
        """The table of all parts: a new kind of work is one row here, and the function that does it."""
        shared = self._shared
        channels, rules = ChannelResolver(shared), RulesWatch(shared)
        catch_ups, summaries = CatchUps(shared), Summaries(shared)
        return (
            DeliveryPart(
                "channel_resolver",
                channels.resolve_due,
                begin=channels.load_references,
                calls_slack=True,
                work=Work.CHANNEL,
            ),
            DeliveryPart("restored", self._check_restored),
            DeliveryPart("adoption", Adoption(shared).adopt_due, calls_slack=True),
            DeliveryPart("reconciler", Reconciler(shared).reconcile_due, calls_slack=True),
            self._repairing,
            DeliveryPart("sweep", Sweep(shared).sweep_due, calls_slack=True),
            DeliveryPart("rules_watch", rules.follow, begin=rules.begin),
            DeliveryPart("mute_watch", MuteWatch(shared).apply_changed, work=Work.MUTE),
            DeliveryPart("catch_ups", catch_ups.catch_up_due, work=Work.HELD),
            DeliveryPart("held_lists", catch_ups.close_lists, work=Work.HELD),
            DeliveryPart("storms", Storms(shared).tend, work=Work.HELD),
            DeliveryPart("summaries", summaries.decide_due, begin=summaries.begin),
            DeliveryPart("reminders", Reminders(shared, can_ask).remind_due, calls_slack=True, work=Work.REMIND),
        )

    @property
    def idle(self) -> bool:
        """Whether no work is in progress, and none begins before time passes or something wakes it."""
        return all(wakeup.is_idle for wakeup in self._wakeups) and self._posts.idle and self._edits.idle

    def wake(self, work: Collection[Work] = EVERY_WORK, *, everything: bool = False) -> None:
        """Look for due `work` now; `everything` may have changed, not only what a new share changes."""
        if everything:
            for wakeup in self._wakeups:
                wakeup.set()
            self._on_change()
            return
        for kind, look in self._lookers:
            if kind in work:
                look()
        self._wake_repair()

    def _call_ended(self) -> None:
        self._posts.look_after_call()
        self._edits.look_after_call()
        self._wake_repair()

    def _wake_repair(self) -> None:
        if self._repair.has_rejected_channels:
            self._repairing.wakeup.set()

    async def run(self, lease: Lease | None, stopping: asyncio.Event) -> None:
        """Deliver until `stopping` is set; then finish the calls in progress.

        Raises:
            LeaseLost: another relay delivers now.
            StoreError: the store failed; what was interrupted is searched for when it begins again.
        """
        self._shared.lease = lease
        self._newest_ts.clear()  # another relay may have posted meanwhile
        now = self._clock.now()
        self._shared.marker_secret = await self._store.marker_secret(
            secrets.token_hex(32), adopt_since=now - ADOPT_WINDOW
        )
        await self._store.end_adoption(now - 2 * ADOPT_WINDOW)  # by now it knows all that matters
        in_doubt = await self._store.recover_attempts(now, lease=lease)
        doubt = f" Messages in doubt: {in_doubt}; it searches Slack for them." if in_doubt else ""
        log.info("delivering", in_doubt=in_doubt, detail=f"This relay delivers to Slack from now on.{doubt}")
        await self._begin_restored()
        self.delivering = True
        try:
            await self._deliver(stopping)
        finally:
            self.delivering = False
            await self._render_process.close()

    async def _check_restored(self) -> None:
        """Notice that an operator has said, while relay runs, that the database is an older copy."""
        if await self._store.is_newly_marked():
            await self._begin_restored()

    async def _begin_restored(self) -> None:
        self._restored = await self._store.restore_window(self._clock.now())
        if self._restored is not None:
            copied, until = self._restored
            detail = "relay does not know what was sent since the copy was made, and searches Slack for it."
            log.warning("database_restored", copied=utc(copied), until=utc(until), detail=detail)

    async def _deliver(self, stopping: asyncio.Event) -> None:
        breaker, clock = self._slack.breaker, self._clock
        supervised = [("circuit_breaker", breaker.run, breaker.wakeup)]  # first: it begins open
        supervised += [(part.name, partial(part.run, self._may_call, clock), part.wakeup) for part in self._parts]
        wake_all = self._shared.wake_all  # a part that failed may have left work for others, without waking them
        async with asyncio.TaskGroup() as tasks:
            for name, work, wakeup in supervised:
                running = supervise(name, work, wakeup, stopping, clock, before_restart=wake_all)
                tasks.create_task(running, name=name)
            tasks.create_task(self._posts.run(stopping), name="posts")
            tasks.create_task(self._edits.run(stopping), name="edits")
            tasks.create_task(self._render_process.warm_up(self._shared.live()), name="warm_up")

    def _may_call(self) -> bool:
        return not self._slack.breaker.is_open

    def _begin_post(self, context: CardContext) -> Step:
        now = self._clock.now()
        if context.card.ts is None and is_external(context.card, context.channel):
            update = give_up(context, None, external_channel_letter(now), self._shared.rules())
            return NothingToSend(reason=EXTERNAL, update=update)
        if (reading := recovery.read_thread_first(context, now)) is not None:
            return reading
        step = begin_post(context, now, self._shared.surroundings())
        if self._restored is not None and now < self._restored[1]:
            return recovery.search_before_post(context, step, self._restored[0], now)
        return step

    def _begin_edit(self, context: CardContext) -> Step:
        has_room = not self._slack.throttle.is_strained(Method.EDIT)
        return begin_edit(context, self._clock.now(), has_room=has_room)

    async def _is_known_message(self, channel: str, ts: str) -> bool:
        """Whether a card is there. Slack's ids grow: one that is newer than all others is a new message's."""
        newest = self._newest_ts.get(channel)
        if newest is None or float(ts) <= newest:
            try:
                if await self._store.card_at(channel, ts) is not None:
                    return True
            except StoreError:
                return False  # the answer is stored as it is, once the database answers again
        self._newest_ts[channel] = max(newest or 0.0, float(ts))
        return False

    async def _check_identity(self, identity: Identity) -> Rejected | None:
        """Return why relay must not use this token; None if it may. The first token binds the database."""
        found = workspace_of(identity)
        return token_rejection(await self._store.bind_workspace(found), found)

    def message_link(self, channel: str, ts: str) -> str:
        """Return the address of a message for people; empty until Slack has named the workspace's address."""
        return self._shared.message_link(channel, ts)
