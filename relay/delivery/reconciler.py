"""Searches Slack for messages whose answer was lost, by the markers in their metadata.

Only a message of relay's own bot counts: other apps can read a marker and post it again.

One reading of a channel settles all its roots in doubt, one of a thread all its replies. It reads back to the newest
message that is known to be older. Slack returns the newest messages first, and a message in doubt is among those.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import structlog

from relay.cards import failures, recovery
from relay.cards.model import AttemptState, Card, CardContext, CardUpdate, DeliveryRules
from relay.cards.outcomes import give_up_search
from relay.cards.recovery import MarkedMessage, pick_duplicates
from relay.cards.reported import ReportedFacts
from relay.cards.steps import ROOT
from relay.delivery.context import DeliveryContext, card_fields
from relay.delivery.history import MAX_SLACK_SKEW, MessageHistory, read_channel, read_thread
from relay.model.counting import counted
from relay.model.struct import replace
from relay.slack.outcomes import Delivered, NotFound, Rejected, RejectionScope, SlackOutcome
from relay.slack.responses import FoundMessage
from relay.store.types import SearchTarget

log = structlog.get_logger("relay.delivery")

_RESULTS = {
    "found": "it is there",
    "not_found": "it is not there",
    "stray": "it is in the channel instead of the thread, and relay deletes it",
}

RETRY_PAUSE = 30.0
"""Seconds until a search that Slack did not answer is repeated."""

MOST_AHEAD = 24 * 3600.0
"""Seconds by which Slack's clock may be ahead of relay's; a `ts` beyond is no message's."""

_TOO_LONG = Rejected(
    code="",
    scope=RejectionScope.CALL,
    reason="too_much_to_read",
    remedy="Search for the message by hand: the channel has had more messages since than relay reads.",
)


class Reconciler:
    """Settles what is in doubt, channel by channel."""

    def __init__(self, shared: DeliveryContext) -> None:
        self._shared = shared

    async def reconcile_due(self) -> float | None:
        """Search for everything that is due; return when the next search is."""
        if self._shared.slack.breaker.identity is None:
            return None  # whose messages relay's own are is not known yet
        now = self._shared.clock.now()
        targets, skipped = await self._targets(), self._shared.backoff.skipped_cards
        due = [
            target for target in targets if (target.attempt.next_search_at or 0.0) <= now and target.card not in skipped
        ]
        groups: dict[str, list[SearchTarget]] = defaultdict(list)
        for target in due:
            groups[target.channel].append(target)
        for group in groups.values():
            await self._search_channel(group)
        if due:
            targets = await self._targets()
            self._shared.wake_all()
        backoff = self._shared.backoff
        moments = (max(each.attempt.next_search_at or now, backoff.retry_at(each.card) or now) for each in targets)
        return min(moments, default=None)

    async def _targets(self) -> list[SearchTarget]:
        """Return everything to search for, now or later."""
        in_doubt = await self._shared.store.attempts_in_doubt()
        self._shared.doubts.clear()
        self._shared.doubts.update(target.channel for target in in_doubt)
        return [*in_doubt, *await self._shared.store.attempts_to_recheck()]

    async def _search_channel(self, targets: Sequence[SearchTarget]) -> None:
        """Search for all targets of one channel: its own messages are read once, for roots and for stray replies."""
        run_isolated, store = self._shared.backoff.run_isolated, self._shared.store
        loaded = {each.card: await run_isolated(each.card, partial(store.card_context, each.card)) for each in targets}
        contexts = {card: context for card, context in loaded.items() if context is not None}
        targets = [each for each in targets if each.card in contexts]
        slack_id = next((each.channel.slack_id for each in contexts.values() if each.channel.slack_id), None)
        if slack_id is None:
            return
        searched = [each for each in targets if not each.attempt.reads_thread]
        history: SlackOutcome | MessageHistory = MessageHistory((), complete=True)
        if searched:
            oldest = min(_surely_older(each, contexts[each.card]) for each in searched)
            history = await read_channel(self._shared.slack, slack_id, oldest)
        for each in targets:
            context = contexts[each.card]
            work = partial(self._search, each, context, slack_id, history)
            await run_isolated(each.card, work, card_fields(context.card))

    async def _search(
        self,
        target: SearchTarget,
        context: CardContext,
        channel: str,
        history: SlackOutcome | MessageHistory,
    ) -> None:
        # a dropped reply matters only where it is in the channel
        in_thread = target.attempt.kind != ROOT and target.attempt.state is not AttemptState.DROPPED
        if in_thread and not isinstance(history, Rejected):
            history = await self._with_thread(channel, context, target, history)
        if isinstance(history, MessageHistory) and target.attempt.reads_thread and history.complete:
            now, reported = self._shared.clock.now(), self._reported(history, context.card)
            facts = len(reported.values)
            detail = f"relay read what the thread already reports: {counted(facts, 'fact')}."
            log.info("thread_read", **card_fields(context.card), facts=facts, detail=detail)
            await self._update(target, lambda current: recovery.skip_reported(current, reported, now))
            return
        if isinstance(history, MessageHistory):
            found = {
                message.ts: _marked(message, target) for message in history.messages if self._is_own(message, target)
            }
            if target.attempt.kind == ROOT and await self._is_another_cards(target, channel, found):
                fields = card_fields(context.card) | {"key": target.attempt.key}
                detail = "Slack shows another card in place of the lost one; relay looks again."
                log.warning("search_failed", **fields, reason="repeated_ts", detail=detail)
                await self._search_again(target)
                return
            if found or history.covers(target.attempt.started_at):
                await self._conclude(target, context.card, channel, list(found.values()))
                return
            history = _TOO_LONG
        now, rules, answer = self._shared.clock.now(), self._shared.rules(), history
        fields = card_fields(context.card) | {"key": target.attempt.key, "in_doubt": str(context.card.options.in_doubt)}
        detail = f"relay cannot search Slack for the lost message; `in_doubt: {context.card.options.in_doubt}` decides."
        log.warning("search_failed", **fields, reason=answer.reason, detail=detail)
        await self._update(target, lambda current: _not_searched(current, target, answer, rules, now))

    async def _with_thread(
        self, channel: str, context: CardContext, target: SearchTarget, history: SlackOutcome | MessageHistory
    ) -> SlackOutcome | MessageHistory:
        """Also read the thread: a lost reply is in it, or in the channel if the thread was deleted."""
        if not isinstance(history, MessageHistory):
            return history
        found = any(self._is_own(message, target) for message in history.messages)
        if found and not target.attempt.reads_thread:
            return history
        if context.card.ts is None:
            return NotFound(code="thread_not_found", reason="root_gone")
        thread = await read_thread(self._shared.slack, channel, context.card.ts)
        if not isinstance(thread, MessageHistory):
            return thread
        return MessageHistory((*thread.messages, *history.messages), complete=thread.complete and history.complete)

    async def _is_another_cards(self, target: SearchTarget, channel: str, found: Iterable[str]) -> bool:
        """Whether the history shows, in place of what is searched for, a message that is another card."""
        cards = [await self._shared.store.card_at(channel, ts) for ts in found]
        return any(card is not None and card.id != target.card for card in cards)

    def _reported(self, history: MessageHistory, card: Card) -> ReportedFacts:
        """Return what relay's own replies below a card have reported, from any database."""
        replies = sorted((each for each in history.messages if each.thread_ts == card.ts), key=lambda each: each.ts)
        own = [(float(each.ts), marker) for each in replies if (marker := self._shared.own_marker(each)) is not None]
        return ReportedFacts.of((at, marker.entries) for at, marker in own if marker.incident == card.incident)

    def _is_own(self, message: FoundMessage, target: SearchTarget) -> bool:
        """Whether a message is what the attempt posted."""
        marker, attempt = self._shared.own_marker(message), target.attempt
        # A database that fell back numbers its replies again: the same number may have reported something else.
        is_same = marker is not None and marker.digest == attempt.data.get("digest", "")
        return marker is not None and is_same and marker.key == self._shared.marker_key(attempt.key)

    async def _conclude(self, target: SearchTarget, card: Card, channel: str, found: list[MarkedMessage]) -> None:
        now = self._shared.clock.now()
        strays = [message for message in found if message.stray]
        found = [message for message in found if not message.stray]
        result = "stray" if strays else "found" if found else "not_found"
        what = "card" if target.attempt.kind == ROOT else "reply"
        fields = {**card_fields(card), "what": what, "reason": result, "key": target.attempt.key}
        log.info("searched", **fields, detail=f"relay searched Slack for the lost {what}: {_RESULTS[result]}.")
        if not await self._delete_all(card, channel, strays):
            await self._search_again(target)
        elif target.attempt.state is not AttemptState.IN_DOUBT:
            await self._conclude_recheck(target, card, channel, found)
        elif strays:
            await self._update(
                target,
                lambda context: failures.repost_lost_root(context, context.card.ts or "", "root_gone", now),
            )
        elif not found:
            await self._update(target, lambda context: recovery.record_miss(context, now))
        else:
            kept, duplicates = pick_duplicates(found)
            if await self._delete_all(card, channel, duplicates):
                await self._update(target, lambda context: recovery.adopt_message(context, kept, channel, now))
                if target.attempt.targets:
                    self._shared.metrics.record_ping(card.route)
            else:
                await self._search_again(target)

    async def _conclude_recheck(
        self, target: SearchTarget, card: Card, channel: str, found: list[MarkedMessage]
    ) -> None:
        """Delete one of two messages with the same key, two minutes after a post was repeated."""
        now, duplicates = self._shared.clock.now(), list[MarkedMessage]()

        def decide(context: CardContext) -> CardUpdate:
            nonlocal duplicates
            update, duplicates = _recheck(context, target, found, now)
            return update

        if found:
            await self._shared.update_card(target.card, decide)
        if await self._delete_all(card, channel, duplicates):
            done = CardUpdate(attempt=replace(target.attempt, next_search_at=None))
            await self._shared.update_card(target.card, lambda _: done)
        else:
            await self._search_again(target)

    async def _delete_all(self, card: Card, channel: str, messages: Sequence[MarkedMessage]) -> bool:
        """Delete messages; return whether nothing is left that relay can delete."""
        return all([await self._delete(card, channel, message.ts) for message in messages])

    async def _delete(self, card: Card, channel: str, ts: str) -> bool:
        answer = await self._shared.slack.delete(channel, ts)
        if isinstance(answer, Rejected) and answer.scope is not RejectionScope.CREDENTIALS:
            detail = "Slack does not let relay delete a duplicate message."
            fields = {**card_fields(card), "ts": ts, "reason": answer.reason, "remedy": answer.remedy}
            log.error("duplicate_stays", **fields, detail=detail)
            return True
        deleted = isinstance(answer, Delivered)
        if deleted:
            log.info("duplicate_deleted", **card_fields(card), ts=ts, detail="relay deleted a duplicate message.")
        return deleted

    async def _search_again(self, target: SearchTarget) -> None:
        later = CardUpdate(attempt=replace(target.attempt, next_search_at=self._shared.clock.now() + RETRY_PAUSE))
        await self._update(target, lambda _: later)

    async def _update(self, target: SearchTarget, decide: Callable[[CardContext], CardUpdate]) -> None:
        """Store a decision, unless the attempt was settled meanwhile and another one is open by now."""

        def decide_if_open(context: CardContext) -> CardUpdate:
            open_key = context.attempt.key if context.attempt is not None else None
            if target.attempt.state is AttemptState.IN_DOUBT and open_key != target.attempt.key:
                return CardUpdate()
            return decide(context)

        await self._shared.update_card(target.card, decide_if_open)


def _surely_older(target: SearchTarget, context: CardContext) -> str:
    """Return the newest ts that is surely older than the message in doubt, by Slack's clock and not by relay's."""
    if target.attempt.state is AttemptState.DROPPED:
        return f"{target.attempt.started_at - MAX_SLACK_SKEW:.6f}"  # the card is a newer message by now
    known = target.attempt.data.get("after") if target.attempt.kind == ROOT else context.card.ts
    if known and float(known) > target.attempt.started_at + MOST_AHEAD:
        return f"{target.attempt.started_at - MAX_SLACK_SKEW:.6f}"  # no message has it: nothing would ever be found
    return known or "0"


def _marked(message: FoundMessage, target: SearchTarget) -> MarkedMessage:
    in_channel = message.thread_ts in {"", message.ts}
    return MarkedMessage(ts=message.ts, replies=message.replies, stray=target.attempt.kind != ROOT and in_channel)


def _recheck(
    context: CardContext, target: SearchTarget, found: list[MarkedMessage], now: float
) -> tuple[CardUpdate, list[MarkedMessage]]:
    """Decide which of these messages is kept; return also those to delete."""
    if target.attempt.kind != ROOT:
        return CardUpdate(), list(pick_duplicates(found)[1])
    if target.attempt.generation != context.card.generation:
        return CardUpdate(), found  # the card was reposted since: none of these is it
    update, duplicates = recovery.merge_duplicates(context, target.attempt, found, now)
    return update, list(duplicates)


def _not_searched(
    context: CardContext, target: SearchTarget, answer: SlackOutcome, rules: DeliveryRules, now: float
) -> CardUpdate:
    """Decide what follows where Slack did not let relay search."""
    is_temporary = isinstance(answer, Rejected) and (
        answer.scope is RejectionScope.CREDENTIALS or answer.reason == "cursor_expired"
    )
    if target.attempt.state is not AttemptState.IN_DOUBT:
        is_final = isinstance(answer, Rejected | NotFound) and not is_temporary
        return CardUpdate(attempt=replace(target.attempt, next_search_at=None if is_final else now + RETRY_PAUSE))
    match answer:
        case NotFound() if not target.attempt.searches:
            return recovery.record_miss(context, now)  # Slack may not show such a new thread yet
        case NotFound():
            return failures.repost_lost_root(context, context.card.ts or "", answer.reason, now)
        case Rejected() if not is_temporary:
            return give_up_search(context, answer.reason, answer.remedy, rules, now)
        case _:
            return recovery.postpone_search(context, now + RETRY_PAUSE)
