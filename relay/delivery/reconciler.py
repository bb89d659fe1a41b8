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

from relay.cards import AttemptState, Card, Case, Change, failures, recovery
from relay.cards.outcomes import Rules, held_in_doubt
from relay.cards.recovery import Found, doubles
from relay.cards.send import ROOT
from relay.delivery.context import Kit, about
from relay.delivery.history import SKEW, Reader, Reading
from relay.runtime.clock import WakeEvent
from relay.slack.outcomes import Delivered, Method, NotFound, Rejected, RejectionScope, SlackOutcome
from relay.slack.responses import FoundMessage
from relay.store import Doubt, Lease

log = structlog.get_logger("relay.delivery")

AGAIN = 30.0
"""Seconds after which a reading is tried again that Slack did not answer."""

CROWD = 5
"""So many doubts in a lane stop it until they are settled."""

_TOO_MUCH = Rejected(
    code="",
    scope=RejectionScope.CALL,
    reason="too_much_to_read",
    remedy="Look for the message by hand: more was said in the channel since than relay reads.",
)


class Search:
    """Settles doubt, lane by lane."""

    def __init__(self, kit: Kit, reader: Reader) -> None:
        """Settle the doubts of the kit's store."""
        self.bell = WakeEvent()
        self._kit = kit
        self._reader = reader

    @property
    def blocked_lanes(self) -> frozenset[str]:
        """The lanes with too much in doubt to go on."""
        return frozenset(lane for lane, number in self._kit.doubts.items() if number >= CROWD)

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

    def _next_look(self, each: Doubt, now: float) -> float:
        return max(each.attempt.next_search_at or now, self._kit.backoff.retry_at(each.card) or now)

    async def _waiting(self) -> list[Doubt]:
        """Everything that is to be looked for, now or later."""
        doubts = await self._kit.store.attempts_in_doubt()
        self._count(doubts)
        return [*doubts, *await self._kit.store.attempts_to_recheck()]

    def _count(self, doubts: Sequence[Doubt]) -> None:
        self._kit.doubts.clear()
        self._kit.doubts.update(each.channel for each in doubts)

    async def _lane(self, group: Sequence[Doubt], lease: Lease | None) -> None:
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
            await alone(each.card, partial(self._look_for, each, case, slack_id, roots, lease), about(case.card))

    async def _look_for(
        self, each: Doubt, case: Case, channel: str, roots: SlackOutcome | Reading, lease: Lease | None
    ) -> None:
        seen = roots
        if _in_thread(each) and not isinstance(roots, Rejected):
            seen = await self._thread(channel, case, each.attempt.key, roots)
        await self._conclude(each, case.card, channel, seen, lease)

    async def _thread(
        self, channel: str, case: Case, key: str, roots: SlackOutcome | Reading
    ) -> SlackOutcome | Reading:
        """A lost reply is in its thread, or in the channel where the thread was gone."""
        if not isinstance(roots, Reading) or any(message.key == key for message in roots.messages):
            return roots
        if case.card.ts is None:
            return NotFound(code="thread_not_found", reason="root_gone")
        replies = await self._reader.thread(channel, case.card.ts)
        if not isinstance(replies, Reading):
            return replies
        return Reading((*replies.messages, *roots.messages), complete=replies.complete and roots.complete)

    async def _conclude(
        self, each: Doubt, card: Card, channel: str, seen: SlackOutcome | Reading, lease: Lease | None
    ) -> None:
        if isinstance(seen, Reading):
            bearing = [message for message in seen.messages if message.key == each.attempt.key and not message.deleted]
            unique = list({message.ts: _found(message, each) for message in bearing}.values())
            if unique or seen.covers(each.attempt.started_at):
                await self._settle_found(each, card, channel, unique, lease)
                return
            seen = _TOO_MUCH
        now, rules = self._kit.clock.now(), self._kit.rules()
        log.warning(
            "not_readable", **about(card), reason=seen.reason, key=each.attempt.key, in_doubt=str(card.options.in_doubt)
        )
        await self._settle(each, lambda case: _unseen(case, each, seen, rules, now), lease)

    async def _settle_found(
        self, each: Doubt, card: Card, channel: str, found: list[Found], lease: Lease | None
    ) -> None:
        now, words = self._kit.clock.now(), self._kit.rules().tag_labels
        strays = [message for message in found if message.stray]
        found = [message for message in found if not message.stray]
        reason = "stray" if strays else "found" if found else "not_there"
        log.info("looked_for", **about(card), what=each.attempt.kind, reason=reason, key=each.attempt.key)
        if not await self._deleted(card, channel, strays):
            await self._look_again(each, lease)
        elif each.attempt.state is not AttemptState.IN_DOUBT:
            await self._last_look(each, card, channel, found, lease)
        elif strays:
            await self._settle(
                each, lambda case: failures.gone(case, case.card.ts or "", words, "root_gone", now), lease
            )
        elif not found:
            await self._settle(each, lambda case: recovery.missed(case, now), lease)
        else:
            stays, goes = doubles(found)
            if await self._deleted(card, channel, goes):
                await self._settle(each, lambda case: recovery.adopted(case, stays, channel, words, now), lease)
            else:
                await self._look_again(each, lease)

    async def _last_look(self, each: Doubt, card: Card, channel: str, found: list[Found], lease: Lease | None) -> None:
        """Two minutes after a post was made again: of two that bear the key one goes."""
        now, goes = self._kit.clock.now(), list[Found]()

        def move(case: Case) -> Change:
            goes.clear()
            if each.attempt.kind != ROOT:
                goes.extend(doubles(found)[1])
                return Change()
            if each.attempt.generation != case.card.generation:
                goes.extend(found)  # the card was posted anew since: none of these is it
                return Change()
            change, others = recovery.merged(case, each.attempt, found, now)
            goes.extend(others)
            return change

        if found:
            await self._kit.store.update_card(each.card, move, lease=lease)
        if await self._deleted(card, channel, goes):
            done = replace(each.attempt, next_look=None)
            await self._kit.store.update_card(each.card, lambda _: Change(attempt=done), lease=lease)
        else:
            await self._look_again(each, lease)

    async def _deleted(self, card: Card, channel: str, messages: Sequence[Found]) -> bool:
        """Whether none of them stands in the channel any more, as far as that is in relay's power."""
        return all([await self._delete(card, channel, message.ts) for message in messages])

    async def _delete(self, card: Card, channel: str, ts: str) -> bool:
        await self._kit.throttle.acquire(Method.DELETE)
        answer = await self._kit.slack.delete(channel, ts)
        self._kit.record_answer(Method.DELETE, answer)
        if isinstance(answer, Rejected) and answer.scope is not RejectionScope.CREDENTIALS:
            log.error("double_stays", **about(card), ts=ts, reason=answer.reason, remedy=answer.remedy)
            return True
        deleted = isinstance(answer, Delivered)
        if deleted:
            log.warning("double_deleted", **about(card), ts=ts)
        return deleted

    async def _look_again(self, each: Doubt, lease: Lease | None) -> None:
        again = self._kit.clock.now() + AGAIN
        await self._settle(each, lambda _: Change(attempt=replace(each.attempt, next_look=again)), lease)

    async def _settle(self, each: Doubt, finish: Callable[[Case], Change], lease: Lease | None) -> None:
        """Nothing happens where the attempt was settled otherwise meanwhile, and another one is open by now."""

        def finished(case: Case) -> Change:
            open_key = case.attempt.key if case.attempt is not None else None
            if each.attempt.state is AttemptState.IN_DOUBT and open_key != each.attempt.key:
                return Change()
            return finish(case)

        await self._kit.store.update_card(each.card, finished, lease=lease)


def _by_channel(doubts: Sequence[Doubt]) -> dict[str, list[Doubt]]:
    groups: dict[str, list[Doubt]] = defaultdict(list)
    for each in doubts:
        groups[each.channel].append(each)
    return groups


def _in_thread(each: Doubt) -> bool:
    """A reply that was dropped can matter in the channel alone: its thread is lost."""
    return each.attempt.kind != ROOT and each.attempt.state is not AttemptState.DROPPED


def _after(each: Doubt, case: Case) -> str:
    """The newest message that is surely older than the one in doubt, by Slack's clock and not by relay's."""
    if each.attempt.state is AttemptState.DROPPED:
        return f"{each.attempt.started_at - SKEW:.6f}"  # the card is a newer message by now
    known = each.attempt.data.get("after") if each.attempt.kind == ROOT else case.card.ts
    return known or "0"


def _found(message: FoundMessage, each: Doubt) -> Found:
    in_channel = message.thread_ts in {"", message.ts}
    return Found(ts=message.ts, replies=message.replies, stray=each.attempt.kind != ROOT and in_channel)


def _unseen(case: Case, each: Doubt, answer: SlackOutcome, rules: Rules, now: float) -> Change:
    """What follows where Slack did not let relay look."""
    passes = isinstance(answer, Rejected) and (
        answer.scope is RejectionScope.CREDENTIALS or answer.reason == "cursor_expired"
    )
    if each.attempt.state is not AttemptState.IN_DOUBT:
        again = None if isinstance(answer, Rejected | NotFound) and not passes else now + AGAIN
        return Change(attempt=replace(each.attempt, next_look=again))
    match answer:
        case NotFound() if not each.attempt.searches:
            return recovery.missed(case, now)  # a thread so young may not be shown yet: Slack's history lags
        case NotFound():
            return failures.gone(case, case.card.ts or "", rules.tag_labels, answer.reason, now)
        case Rejected() if not passes:
            return held_in_doubt(case, answer.reason, answer.remedy, rules, now)
        case _:
            return recovery.later(case, now + AGAIN)
