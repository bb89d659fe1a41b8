"""Looks in Slack for messages whose answer was lost, by the markers that they bear.

One reading of a channel settles every root of it that is in doubt, one of a thread every reply. It reads back to the
last message that is known to be older; Slack gives the newest first, and a message in doubt is among those.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from relay.delivery.kit import Bell, Kit, about
from relay.planning import AttemptState, Card, Case, Change, doubt, refusal
from relay.planning.aftermath import Rules, held_in_doubt
from relay.planning.doubt import Found, doubles
from relay.planning.steps import ROOT
from relay.store import Doubt, Lease
from relay.verdict import Answer, Gone, Kind, Method, Read, Refused
from relay.verdict.reads import Seen, cursor_of, messages_of

log = structlog.get_logger("relay.delivery")

PAGES = 25
"""The most pages of one reading: 5,000 messages."""

AGAIN = 30.0
"""Seconds after which a reading is tried again that Slack did not answer."""

CROWD = 5
"""So many doubts in a lane stop it until they are settled."""

_NEVER_MIND = frozenset({Kind.CREDENTIALS})


class Search:
    """Settles doubt, lane by lane."""

    def __init__(self, kit: Kit) -> None:
        """Settle the doubts of the kit's store."""
        self.bell = Bell()
        self.crowded: frozenset[str] = frozenset()
        self._kit = kit

    async def run(self, lease: Lease | None, over: asyncio.Event) -> None:
        """Look whenever it is time to, until `over`."""
        while not over.is_set():
            until = None if self._kit.gate.shut else await self.look(lease)
            await self._kit.rest(self.bell, until)

    async def look(self, lease: Lease | None) -> float | None:
        """Look for everything whose time has come. Returns when the next time comes."""
        now = self._kit.clock.now()
        waiting = await self._waiting()
        due = [each for each in waiting if (each.attempt.next_look or 0.0) <= now]
        for group in _by_channel(due).values():
            await self._lane(group, lease)
        if due:
            waiting = await self._waiting()
            self._kit.settled()
        return min((each.attempt.next_look or now for each in waiting), default=None)

    async def _waiting(self) -> list[Doubt]:
        """Everything that is to be looked for, now or later."""
        doubts = await self._kit.store.doubts()
        self._count(doubts)
        return [*doubts, *await self._kit.store.second_looks()]

    def _count(self, doubts: Sequence[Doubt]) -> None:
        counts = {channel: len(group) for channel, group in _by_channel(doubts).items()}
        self.crowded = frozenset(channel for channel, number in counts.items() if number >= CROWD)

    async def _lane(self, group: Sequence[Doubt], lease: Lease | None) -> None:
        """Everything in doubt of one channel: its own messages are read once, for lost roots and for stray replies."""
        cases = {each.card: await self._kit.store.case(each.card) for each in group}
        slack_id = next((case.channel.slack_id for case in cases.values() if case.channel.slack_id), None)
        if slack_id is None:
            return
        oldest = min((_after(each, cases[each.card]) for each in group), default="0")
        roots = await self._read(Method.HISTORY, slack_id, oldest)
        for each in group:
            seen = roots
            if each.attempt.what != ROOT and not isinstance(roots, Refused):
                seen = await self._thread(slack_id, cases[each.card], roots)
            await self._conclude(each, cases[each.card].card, slack_id, seen, lease)

    async def _thread(self, channel: str, case: Case, roots: Answer | list[Seen]) -> Answer | list[Seen]:
        """A lost reply is in its thread, or in the channel where the thread was gone."""
        if not isinstance(roots, list):
            return roots
        if case.card.ts is None:
            return Gone(code="thread_not_found", reason="root_gone")
        replies = await self._read(Method.REPLIES, channel, case.card.ts, thread=case.card.ts)
        return [*replies, *roots] if isinstance(replies, list) else replies

    async def _read(self, method: Method, channel: str, oldest: str, thread: str = "") -> Answer | list[Seen]:
        seen: list[Seen] = []
        cursor: str | None = None
        for _ in range(PAGES):
            await self._kit.afford(method)
            if thread:
                answer = await self._kit.slack.replies(channel, thread, oldest, cursor=cursor)
            else:
                answer = await self._kit.slack.history(channel, oldest, cursor=cursor)
            self._kit.hear(method, answer)
            if not isinstance(answer, Read):
                return answer
            seen += messages_of(answer)
            if (cursor := cursor_of(answer)) is None:
                break
        return seen

    async def _conclude(
        self, each: Doubt, card: Card, channel: str, seen: Answer | list[Seen], lease: Lease | None
    ) -> None:
        now, rules = self._kit.clock.now(), self._kit.rules()
        if isinstance(seen, list):
            bearing = [message for message in seen if message.key == each.attempt.key and not message.deleted]
            unique = list({message.ts: _found(message, each) for message in bearing}.values())
            await self._settle_found(each, card, channel, unique, lease)
            return
        log.warning(
            "not_readable", **about(card), reason=seen.reason, key=each.attempt.key, in_doubt=str(card.options.in_doubt)
        )
        await self._kit.store.settle(each.card, lambda case: _unseen(case, each, seen, rules, now), lease=lease)

    async def _settle_found(
        self, each: Doubt, card: Card, channel: str, found: list[Found], lease: Lease | None
    ) -> None:
        now, words = self._kit.clock.now(), self._kit.rules().words
        strays = [message for message in found if message.stray]
        for stray in strays:
            await self._kit.slack.delete(channel, stray.ts)
        found = [message for message in found if not message.stray]
        reason = "stray" if strays else "found" if found else "not_there"
        log.info("looked_for", **about(card), what=each.attempt.what, reason=reason, key=each.attempt.key)
        if each.attempt.state is AttemptState.DONE:
            await self._last_look(each, card, channel, found, lease)
        elif strays:
            await self._kit.store.settle(
                each.card,
                lambda case: refusal.gone(case, case.card.ts or "", words, "root_gone", now),
                lease=lease,
            )
        elif not found:
            await self._kit.store.settle(each.card, lambda case: doubt.missed(case, now), lease=lease)
        else:
            stays = await self._one_of(card, channel, found)
            await self._kit.store.settle(
                each.card, lambda case: doubt.adopted(case, stays, channel, words, now), lease=lease
            )

    async def _last_look(self, each: Doubt, card: Card, channel: str, found: list[Found], lease: Lease | None) -> None:
        """Two minutes after a post was made again: of two that bear the key one goes."""
        now = self._kit.clock.now()
        generation = (await self._kit.store.case(each.card)).card.generation
        if each.attempt.what == ROOT and each.attempt.generation != generation:
            await self._delete_all(card, channel, found)  # the card was posted anew since: none of these is it
            found = []
        stays = await self._one_of(card, channel, found) if found else None
        done = replace(each.attempt, next_look=None)

        def finish(case: Case) -> Change:
            moved = doubt.moved(case, stays, now) if stays is not None and each.attempt.what == ROOT else Change()
            return Change(cards=moved.cards, attempt=done)

        await self._kit.store.settle(each.card, finish, lease=lease)

    async def _delete_all(self, card: Card, channel: str, found: Iterable[Found]) -> None:
        for each in found:
            log.warning("double_deleted", **about(card), ts=each.ts)
            await self._kit.slack.delete(channel, each.ts)

    async def _one_of(self, card: Card, channel: str, found: list[Found]) -> Found:
        stays, goes = doubles(found)
        await self._delete_all(card, channel, goes)
        return stays


def _by_channel(doubts: Sequence[Doubt]) -> dict[str, list[Doubt]]:
    groups: dict[str, list[Doubt]] = defaultdict(list)
    for each in doubts:
        groups[each.channel].append(each)
    return groups


def _after(each: Doubt, case: Case) -> str:
    """The newest message that is surely older than the one in doubt, by Slack's clock and not by relay's."""
    known = each.attempt.words.get("after") if each.attempt.what == ROOT else case.card.ts
    return known or "0"


def _found(message: Seen, each: Doubt) -> Found:
    in_channel = message.thread_ts in {"", message.ts}
    return Found(ts=message.ts, replies=message.replies, stray=each.attempt.what != ROOT and in_channel)


def _unseen(case: Case, each: Doubt, answer: Answer, rules: Rules, now: float) -> Change:
    """What follows where Slack did not let relay look."""
    if each.attempt.state is AttemptState.DONE:
        again = None if isinstance(answer, Refused | Gone) else now + AGAIN
        return Change(attempt=replace(each.attempt, next_look=again))
    match answer:
        case Gone() if not each.attempt.looks:
            return doubt.missed(case, now)  # a thread so young may not be shown yet: Slack's history lags
        case Gone():
            return refusal.gone(case, case.card.ts or "", rules.words, answer.reason, now)
        case Refused(kind=kind) if kind not in _NEVER_MIND:
            return held_in_doubt(case, answer.reason, answer.remedy, rules, now)
        case _:
            return doubt.later(case, now + AGAIN)
