"""What becomes of a post whose answer was lost: its marker is looked for before anything is posted again.

    looked at 5 s and 20 s after     found: it is adopted, and edited once (nobody knows which try landed)
                                     not there: posted again under the same key, and looked for once more 2 minutes
                                     later
                                     Slack will not let relay read: the route's `in_doubt` says what it means

Doubt belongs to the attempt. A reply in doubt stops later replies of its card, never its edits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from relay.cards.model import IN_DOUBT, Attempt, AttemptState, Card, CardContext, CardState, CardUpdate, DeadLetter, Due
from relay.cards.notices import FROM, QUIET, REPEAT, noted, stands_in
from relay.cards.send import (
    ROOT,
    NothingToSend,
    PostReply,
    PostRoot,
    ShownRoot,
    Step,
    apply_reply_delivery,
    apply_root_delivery,
    cancel_unposted,
    give_up_reply,
)
from relay.model.incident import State
from relay.model.reading import read_incident
from relay.model.tag_labels import TagLabels
from relay.ratelimit.budgets import DEADLINES, Urgency
from relay.routes.options import InDoubtPolicy
from relay.slack.outcomes import Delivered

FIRST_SEARCH_AFTER = 5.0
SECOND_SEARCH_AFTER = 15.0
"""Seconds from the lost answer to the first look, and from there to the second."""

MAX_CLOCK_SKEW = 300.0
"""Seconds by which relay's clock, that of a copy, may be ahead of Slack's."""

MAX_SEARCHES = 2
"""So often nothing must be found, with the wait between, before it is posted again: Slack's history lags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedMessage:
    """A message that bears the key of an attempt; `replies` counts the thread below it."""

    ts: str
    replies: int = 0
    stray: bool = False


def mark_in_doubt(case: CardContext, reason: str, now: float) -> CardUpdate:
    """Nobody can say whether it was posted: nothing is posted again before it was looked for."""
    if case.attempt is None:
        return CardUpdate()
    attempt = replace(case.attempt, state=AttemptState.IN_DOUBT, next_search_at=now + FIRST_SEARCH_AFTER)
    state = CardState.IN_DOUBT if attempt.kind == ROOT else case.card.state
    return CardUpdate(cards=(replace(case.card, state=state, reason=reason, post=None),), attempt=attempt)


def search_before_post(case: CardContext, step: Step, since: float, now: float) -> Step:
    """A database that was put back from a copy does not know what was posted `since`: a first try is in doubt at once.

    One look is enough, since nothing that may be found is young.
    """
    if not isinstance(step, PostRoot | PostReply) or step.attempt.tries > 1:
        return step
    words = dict(step.attempt.data)
    if step.attempt.kind == ROOT:
        words["after"] = (
            f"{since - MAX_CLOCK_SKEW:.6f}"  # what the lane has shown lately is younger than what is sought
        )
    attempt = replace(
        step.attempt, state=AttemptState.IN_DOUBT, searches=MAX_SEARCHES - 1, next_search_at=now, data=words
    )
    card = next(iter(step.update.cards), case.card)
    state = CardState.IN_DOUBT if attempt.kind == ROOT else card.state
    return NothingToSend(
        reason="looked_for_first",
        update=CardUpdate(cards=(replace(card, state=state, post=None),), attempt=attempt),
    )


def adopt_message(case: CardContext, found: MarkedMessage, channel: str, words: TagLabels, now: float) -> CardUpdate:
    """It had been posted: a root keeps that `ts`, a reply has told what it tells."""
    if case.attempt is None or case.attempt.state is not AttemptState.IN_DOUBT:
        return CardUpdate()
    if case.attempt.kind != ROOT:
        return apply_reply_delivery(case, words, now)
    nothing_certain = ShownRoot(fingerprint="", version=-1, ended=None)
    return apply_root_delivery(case, Delivered(channel=channel, ts=found.ts), nothing_certain, words, now)


def record_miss(case: CardContext, now: float) -> CardUpdate:
    """It was looked for and is not there: look again, and after the second time post it again as it was."""
    attempt = case.attempt
    if attempt is None or attempt.state is not AttemptState.IN_DOUBT:
        return CardUpdate()
    looks = attempt.searches + 1
    if looks < MAX_SEARCHES:
        return CardUpdate(attempt=replace(attempt, searches=looks, next_search_at=now + SECOND_SEARCH_AFTER))
    return _again(case, replace(attempt, searches=looks), now)


def postpone_search(case: CardContext, at: float) -> CardUpdate:
    """It could not be looked for just now."""
    if case.attempt is None or case.attempt.state is not AttemptState.IN_DOUBT:
        return CardUpdate()
    return CardUpdate(attempt=replace(case.attempt, next_search_at=at))


def decide_unsearchable(case: CardContext, reason: str, remedy: str, now: float) -> CardUpdate:
    """Relay may not look: by the route it is posted again and marked as a possible repeat, or held as a letter."""
    attempt = case.attempt
    if attempt is None or attempt.state is not AttemptState.IN_DOUBT:
        return CardUpdate()
    if case.card.options.in_doubt is InDoubtPolicy.REPOST or attempt.is_operator_retry:
        return _again(replace(case, card=_may_repeat(case.card, now)), replace(attempt, searches=MAX_SEARCHES), now)
    return _held(case, attempt, DeadLetter(reason=f"{IN_DOUBT}: {reason}", remedy=remedy, since=now))


def _may_repeat(card: Card, now: float) -> Card:
    """The card says that it, or a reply below it, may be a second one."""
    edit = None if card.ts is None else Due.on(Urgency.EDIT, now).sooner(card.edit)
    return replace(card, notices=noted(card, REPEAT), edit=edit)


def retry_in_doubt(case: CardContext, given_up: Sequence[Attempt], letter: DeadLetter, now: float) -> CardUpdate:
    """What was held in doubt is wanted all the same: it is looked for, and posted again only where it is not found.

    Where relay still may not look, it is posted again and says that it may be a repeat. It pings nobody: it is late. Of
    several replies that were given up the first goes, and the letter stays for the others.
    """
    held, *others = given_up
    card, words = case.card, {**held.data, "resume": case.card.reported_seq, "broadcast": False}
    attempt = replace(
        held,
        state=AttemptState.IN_DOUBT,
        searches=MAX_SEARCHES - 1,
        next_search_at=now,
        targets=(),
        data=words,
        tries=held.tries + 1,
    )
    if held.kind == ROOT:
        told = max([card.reported_seq, *(each.reported_seq for each in case.cards if stands_in(each, card, FROM))])
        quiet = replace(card, state=CardState.IN_DOUBT, reason="", notices=noted(card, QUIET), tries=0)
        card = replace(quiet, reported_seq=told, post=None)
        return CardUpdate(cards=(card,), attempt=attempt)  # its letter is done with when it is there
    rest = replace(letter, unreported=(held.upto_seq, others[-1].upto_seq)) if others else None
    late = replace(card, reported_seq=held.reported_seq_before, reason="", post=None, tries=0)
    return CardUpdate(cards=(late,), attempt=attempt, dead_letter=rest, closes_letter_at=now, closes_reply_letters=True)


def _again(case: CardContext, attempt: Attempt, now: float) -> CardUpdate:
    """Once more under the same key, with the range and the people it was made for."""
    if attempt.is_operator_retry and attempt.kind == ROOT and not read_incident(case.incident_state.record).active:
        return cancel_unposted(case, replace(attempt, state=AttemptState.DROPPED, next_search_at=None), now)
    waiting = replace(attempt, state=AttemptState.WAITING, next_search_at=None)
    state = CardState.PENDING if attempt.kind == ROOT else case.card.state
    if attempt.kind == ROOT:
        urgent = read_incident(case.incident_state.record).state is State.CRITICAL
        patience = DEADLINES[Urgency.CRITICAL_ROOT if urgent else Urgency.ROOT]
    else:
        urgent = bool(attempt.targets)
        patience = DEADLINES[Urgency.WORSENED if urgent else Urgency.REPLY]
    since = min(attempt.started_at, case.card.pending_since or attempt.started_at)
    due = Due(at=now, deadline=since + patience, urgent=urgent)  # those that came after it stay behind it
    return CardUpdate(cards=(replace(case.card, state=state, post=due),), attempt=waiting)


def _held(case: CardContext, attempt: Attempt, letter: DeadLetter) -> CardUpdate:
    """A held reply is given up; a held root is the fallback's business."""
    words = {**attempt.data, "from": case.card.reported_seq}
    closed = replace(attempt, state=AttemptState.REJECTED, next_search_at=None, data=words)
    if attempt.kind == ROOT:
        card = replace(case.card, state=CardState.REJECTED, reason=letter.reason, post=None)
    else:
        card, letter = give_up_reply(case, attempt, letter)
    return CardUpdate(cards=(card,), attempt=closed, dead_letter=letter)


def pick_duplicates(found: Sequence[MarkedMessage]) -> tuple[MarkedMessage, tuple[MarkedMessage, ...]]:
    """Of several messages that bear one key: the one that stays, and those that go.

    The elder stays, unless somebody has answered below the younger; nothing with a thread of its own is deleted.
    """
    in_order = sorted(found, key=lambda each: each.ts)
    stays = next((each for each in in_order if each.replies), in_order[0])
    return stays, tuple(each for each in in_order if each is not stays and not each.replies)


def merge_duplicates(
    case: CardContext, attempt: Attempt, found: Sequence[MarkedMessage], now: float
) -> tuple[CardUpdate, tuple[MarkedMessage, ...]]:
    """After the last look at a root that was posted twice: the card is the one that stays, and shows the record.

    Returns those that go as well, which is done after the card has moved: whatever is told from then on is told below
    the one that stays. Where relay itself has told something below the card, or is about to, the card stays where it
    is, whatever Slack's history shows of that by now.
    """
    stays, _ = pick_duplicates(found)
    if case.attempt is not None or case.card.reported_seq > attempt.upto_seq:
        stays = next((each for each in found if each.ts == case.card.ts), stays)
    goes = tuple(each for each in found if each is not stays and not each.replies)
    if case.card.ts is None or case.card.ts == stays.ts:
        return CardUpdate(), goes
    moved = replace(case.card, ts=stays.ts, shown_hash="", edit=Due.on(Urgency.EDIT, now))
    return CardUpdate(cards=(moved,)), goes
