"""Looks in Slack for messages whose answer was lost, by the markers that they bear.

One reading of a channel settles every root of it that is in doubt, one of a thread every reply. It reads back to the
last message that is known to be older; Slack gives the newest first, and a message in doubt is among those.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import structlog

from relay.cards import failures, recovery
from relay.cards.model import AttemptState, Card, CardContext, CardUpdate, DeliveryRules
from relay.cards.outcomes import give_up_search
from relay.cards.recovery import MarkedMessage, pick_duplicates
from relay.cards.send import ROOT
from relay.delivery.context import DeliveryContext, card_fields
from relay.delivery.history import MAX_CLOCK_SKEW, HistoryReader, MessageHistory
from relay.runtime.clock import WakeEvent
from relay.slack.methods import Method
from relay.slack.outcomes import Delivered, NotFound, Rejected, RejectionScope, SlackOutcome
from relay.slack.responses import FoundMessage
from relay.store.types import Lease, SearchTarget

log = structlog.get_logger("relay.delivery")

RETRY_PAUSE = 30.0
"""Seconds after which a reading is tried again that Slack did not answer."""

MAX_DOUBTS = 5
"""So many doubts in a lane stop it until they are settled."""

_TOO_MUCH = Rejected(
    code="",
    scope=RejectionScope.CALL,
    reason="too_much_to_read",
    remedy="Look for the message by hand: more was said in the channel since than relay reads.",
)


class Reconciler:
    """Settles doubt, lane by lane."""

    def __init__(self, kit: DeliveryContext, reader: HistoryReader) -> None:
        """Settle the doubts of the kit's store."""
        self.bell = WakeEvent()
        self._kit = kit
        self._reader = reader

    @property
    def blocked_lanes(self) -> frozenset[str]:
        """The lanes with too much in doubt to go on."""
        return frozenset(lane for lane, number in self._kit.doubts.items() if number >= MAX_DOUBTS)

    async def run(self, lease: Lease | None, over: asyncio.Event) -> None:
        """Look whenever it is time to, until `over`."""
        while not over.is_set():
            until = None if self._kit.breaker.is_open else await self.reconcile_due(lease)
            await self._kit.wait(self.bell, until)

    async def reconcile_due(self, lease: Lease | None) -> float | None:
        """Look for everything whose time has come. Returns when the next time comes."""
        now = self._kit.clock.now()
        waiting, aside = await self._waiting(), self._kit.backoff.skipped_cards
        due = [each for each in waiting if (each.attempt.next_search_at or 0.0) <= now and each.card not in aside]
        for group in _by_channel(due).values():
            await self._lane(group, lease)
        if due:
            waiting = await self._waiting()
            self._kit.wake_all()
        return min((self._next_look(each, now) for each in waiting), default=None)

    def _next_look(self, each: SearchTarget, now: float) -> float:
        return max(each.attempt.next_search_at or now, self._kit.backoff.retry_at(each.card) or now)

    async def _waiting(self) -> list[SearchTarget]:
        """Everything that is to be looked for, now or later."""
        doubts = await self._kit.store.attempts_in_doubt()
        self._count(doubts)
        return [*doubts, *await self._kit.store.attempts_to_recheck()]

    def _count(self, doubts: Sequence[SearchTarget]) -> None:
        self._kit.doubts.clear()
        self._kit.doubts.update(each.channel for each in doubts)

    async def _lane(self, group: Sequence[SearchTarget], lease: Lease | None) -> None:
        """Everything in doubt of one channel: its own messages are read once, for lost roots and for stray replies."""
        alone = self._kit.backoff.run_isolated
        found = {each.card: await alone(each.card, partial(self._kit.store.card_context, each.card)) for each in group}
        cases = {card: case for card, case in found.items() if case is not None}
        group = [each for each in group if each.card in cases]
        slack_id = next((case.channel.slack_id for case in cases.values() if case.channel.slack_id), None)
        if slack_id is None:
            return
        oldest = min((_after(each, cases[each.card]) for each in group), default="0")
        roots = await self._reader.channel(slack_id, oldest)
        for each in group:
            case = cases[each.card]
            await alone(each.card, partial(self._look_for, each, case, slack_id, roots, lease), card_fields(case.card))

    async def _look_for(
        self,
        each: SearchTarget,
        case: CardContext,
        channel: str,
        roots: SlackOutcome | MessageHistory,
        lease: Lease | None,
    ) -> None:
        seen = roots
        if _in_thread(each) and not isinstance(roots, Rejected):
            seen = await self._thread(channel, case, each.attempt.key, roots)
        await self._conclude(each, case.card, channel, seen, lease)

    async def _thread(
        self, channel: str, case: CardContext, key: str, roots: SlackOutcome | MessageHistory
    ) -> SlackOutcome | MessageHistory:
        """A lost reply is in its thread, or in the channel where the thread was gone."""
        if not isinstance(roots, MessageHistory) or any(message.key == key for message in roots.messages):
            return roots
        if case.card.ts is None:
            return NotFound(code="thread_not_found", reason="root_gone")
        replies = await self._reader.thread(channel, case.card.ts)
        if not isinstance(replies, MessageHistory):
            return replies
        return MessageHistory((*replies.messages, *roots.messages), complete=replies.complete and roots.complete)

    async def _conclude(
        self, each: SearchTarget, card: Card, channel: str, seen: SlackOutcome | MessageHistory, lease: Lease | None
    ) -> None:
        if isinstance(seen, MessageHistory):
            bearing = [message for message in seen.messages if message.key == each.attempt.key and not message.deleted]
            unique = list({message.ts: _found(message, each) for message in bearing}.values())
            if unique or seen.covers(each.attempt.started_at):
                await self._settle_found(each, card, channel, unique, lease)
                return
            seen = _TOO_MUCH
        now, rules = self._kit.clock.now(), self._kit.rules()
        log.warning(
            "not_readable",
            **card_fields(card),
            reason=seen.reason,
            key=each.attempt.key,
            in_doubt=str(card.options.in_doubt),
        )
        await self._settle(each, lambda case: _unseen(case, each, seen, rules, now), lease)

    async def _settle_found(
        self, each: SearchTarget, card: Card, channel: str, found: list[MarkedMessage], lease: Lease | None
    ) -> None:
        now, words = self._kit.clock.now(), self._kit.rules().tag_labels
        strays = [message for message in found if message.stray]
        found = [message for message in found if not message.stray]
        reason = "stray" if strays else "found" if found else "not_there"
        log.info("looked_for", **card_fields(card), what=each.attempt.kind, reason=reason, key=each.attempt.key)
        if not await self._deleted(card, channel, strays):
            await self._look_again(each, lease)
        elif each.attempt.state is not AttemptState.IN_DOUBT:
            await self._last_look(each, card, channel, found, lease)
        elif strays:
            await self._settle(
                each, lambda case: failures.repost_lost_root(case, case.card.ts or "", words, "root_gone", now), lease
            )
        elif not found:
            await self._settle(each, lambda case: recovery.record_miss(case, now), lease)
        else:
            stays, goes = pick_duplicates(found)
            if await self._deleted(card, channel, goes):
                await self._settle(each, lambda case: recovery.adopt_message(case, stays, channel, words, now), lease)
            else:
                await self._look_again(each, lease)

    async def _last_look(
        self, each: SearchTarget, card: Card, channel: str, found: list[MarkedMessage], lease: Lease | None
    ) -> None:
        """Two minutes after a post was made again: of two that bear the key one goes."""
        now, goes = self._kit.clock.now(), list[MarkedMessage]()

        def move(case: CardContext) -> CardUpdate:
            goes.clear()
            if each.attempt.kind != ROOT:
                goes.extend(pick_duplicates(found)[1])
                return CardUpdate()
            if each.attempt.generation != case.card.generation:
                goes.extend(found)  # the card was posted anew since: none of these is it
                return CardUpdate()
            change, others = recovery.merge_duplicates(case, each.attempt, found, now)
            goes.extend(others)
            return change

        if found:
            await self._kit.store.update_card(each.card, move, lease=lease)
        if await self._deleted(card, channel, goes):
            done = replace(each.attempt, next_search_at=None)
            await self._kit.store.update_card(each.card, lambda _: CardUpdate(attempt=done), lease=lease)
        else:
            await self._look_again(each, lease)

    async def _deleted(self, card: Card, channel: str, messages: Sequence[MarkedMessage]) -> bool:
        """Whether none of them stands in the channel any more, as far as that is in relay's power."""
        return all([await self._delete(card, channel, message.ts) for message in messages])

    async def _delete(self, card: Card, channel: str, ts: str) -> bool:
        await self._kit.throttle.acquire(Method.DELETE)
        answer = await self._kit.slack.delete(channel, ts)
        self._kit.record_answer(Method.DELETE, answer)
        if isinstance(answer, Rejected) and answer.scope is not RejectionScope.CREDENTIALS:
            log.error("double_stays", **card_fields(card), ts=ts, reason=answer.reason, remedy=answer.remedy)
            return True
        deleted = isinstance(answer, Delivered)
        if deleted:
            log.warning("double_deleted", **card_fields(card), ts=ts)
        return deleted

    async def _look_again(self, each: SearchTarget, lease: Lease | None) -> None:
        again = self._kit.clock.now() + RETRY_PAUSE
        await self._settle(each, lambda _: CardUpdate(attempt=replace(each.attempt, next_search_at=again)), lease)

    async def _settle(
        self, each: SearchTarget, finish: Callable[[CardContext], CardUpdate], lease: Lease | None
    ) -> None:
        """Nothing happens where the attempt was settled otherwise meanwhile, and another one is open by now."""

        def finished(case: CardContext) -> CardUpdate:
            open_key = case.attempt.key if case.attempt is not None else None
            if each.attempt.state is AttemptState.IN_DOUBT and open_key != each.attempt.key:
                return CardUpdate()
            return finish(case)

        await self._kit.store.update_card(each.card, finished, lease=lease)


def _by_channel(doubts: Sequence[SearchTarget]) -> dict[str, list[SearchTarget]]:
    groups: dict[str, list[SearchTarget]] = defaultdict(list)
    for each in doubts:
        groups[each.channel].append(each)
    return groups


def _in_thread(each: SearchTarget) -> bool:
    """A reply that was dropped can matter in the channel alone: its thread is lost."""
    return each.attempt.kind != ROOT and each.attempt.state is not AttemptState.DROPPED


def _after(each: SearchTarget, case: CardContext) -> str:
    """The newest message that is surely older than the one in doubt, by Slack's clock and not by relay's."""
    if each.attempt.state is AttemptState.DROPPED:
        return f"{each.attempt.started_at - MAX_CLOCK_SKEW:.6f}"  # the card is a newer message by now
    known = each.attempt.data.get("after") if each.attempt.kind == ROOT else case.card.ts
    return known or "0"


def _found(message: FoundMessage, each: SearchTarget) -> MarkedMessage:
    in_channel = message.thread_ts in {"", message.ts}
    return MarkedMessage(ts=message.ts, replies=message.replies, stray=each.attempt.kind != ROOT and in_channel)


def _unseen(
    case: CardContext, each: SearchTarget, answer: SlackOutcome, rules: DeliveryRules, now: float
) -> CardUpdate:
    """What follows where Slack did not let relay look."""
    passes = isinstance(answer, Rejected) and (
        answer.scope is RejectionScope.CREDENTIALS or answer.reason == "cursor_expired"
    )
    if each.attempt.state is not AttemptState.IN_DOUBT:
        again = None if isinstance(answer, Rejected | NotFound) and not passes else now + RETRY_PAUSE
        return CardUpdate(attempt=replace(each.attempt, next_search_at=again))
    match answer:
        case NotFound() if not each.attempt.searches:
            return recovery.record_miss(case, now)  # a thread so young may not be shown yet: Slack's history lags
        case NotFound():
            return failures.repost_lost_root(case, case.card.ts or "", rules.tag_labels, answer.reason, now)
        case Rejected() if not passes:
            return give_up_search(case, answer.reason, answer.remedy, rules, now)
        case _:
            return recovery.postpone_search(case, now + RETRY_PAUSE)
