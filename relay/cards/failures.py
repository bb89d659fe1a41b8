"""Decide what follows when Slack rejects or has lost a message for good: dead letter, fallback, retry, repost.

A channel's rejection is the channel's state, found once. Each card there that has something due becomes a dead letter,
and goes to the fallback with one line that says which channel and why. It is retried when the channel works again.
"""

from relay.cards.model import (
    Attempt,
    AttemptState,
    Card,
    CardContext,
    CardState,
    CardUpdate,
    Channel,
    DeadLetter,
    DeliveryRules,
    Due,
)
from relay.cards.notices import NO_PING, REPOSTED, NoticeKind, add_notices, remove_notices
from relay.cards.replies import next_due
from relay.cards.send import cancel_unposted
from relay.cards.stand_ins import fallback_cards, stands_for
from relay.cards.steps import REPLY, ROOT, message_key
from relay.model.struct import replace
from relay.ratelimit.budgets import Urgency

EXTERNAL = "external_channel"
"""The reason of a dead letter for a channel shared with another organisation, where the route does not allow it."""

STRAY_SEARCH_AFTER = 30.0
"""Seconds after which the channel is searched for a reply whose thread is lost."""

MAX_REPOSTS = 2
REPOST_WINDOW = 3600.0
"""The most reposts of a card within so many seconds. With more, a person or a program keeps deleting the message."""


def is_external(card: Card, channel: Channel) -> bool:
    """Whether another organisation would read the card, and the route does not allow that."""
    return bool(channel.facts.get("external")) and not card.options.allow_external


def external_channel_letter(now: float) -> DeadLetter:
    """The dead letter for a card that another organisation would read."""
    remedy = "set allow_external: true where the other organisation may read incidents, or choose another channel"
    return DeadLetter(reason=EXTERNAL, remedy=remedy, since=now)


def divert_to_fallback(context: CardContext, rules: DeliveryRules, letter: DeadLetter) -> CardUpdate:
    """Write a dead letter for a card that its channel rejects, and post a card at the fallback that names the channel.

    Where the fallback itself rejects it, there is a dead letter and nothing more.
    """
    card = replace(
        context.card,
        state=CardState.REJECTED,
        reason=letter.reason,
        notices=add_notices(context.card.notices, NO_PING),
        post=None,
        edit=None,
    )
    others = fallback_cards(context, rules, letter, NoticeKind.FOR_CARD)
    return CardUpdate(cards=(card, *others), dead_letter=letter)


def is_needed(card: Card) -> bool:
    """Whether a dead letter of the card still matters: its episode is current, and no other card shows the incident."""
    return card.is_current and card.state is not CardState.CANCELLED


def close_if_ended(context: CardContext, now: float) -> CardUpdate:
    """Close the dead letter of a card whose incident ended, where no route names its channel any more."""
    if context.topic.ended_at is None:
        return CardUpdate()
    return CardUpdate(closes_letter_at=now, closes_reply_letters=True)


def retry_card(context: CardContext, now: float) -> CardUpdate:
    """Retry a rejected card with its newest state and without a ping; the fallback's card makes way.

    A resolved card that has a message there is edited; one that never had is left alone. The dead letter of a card that
    is to be posted stays open until it is. `retry_reply` retries a reply, `retry_in_doubt` what is in doubt.
    """
    if not is_needed(context.card):
        return CardUpdate(closes_letter_at=now, closes_reply_letters=True)
    seq = reported_anywhere(context)
    card = replace(context.card, reported_seq=seq, reason="", tries=0)
    if card.ts is not None:
        card = replace(
            card,
            state=CardState.POSTED,
            notices=remove_notices(card.notices, NoticeKind.NO_PING),
            edit=Due.on(Urgency.EDIT, now),
            post=next_due(context, card, now),
        )
        return CardUpdate(cards=(card,), closes_letter_at=now)  # its stand-in makes way once it is edited
    if not context.topic.is_open:
        return cancel_unposted(replace(context, card=card), None, now)
    notices, post = add_notices(card.notices, NO_PING), Due.on(Urgency.ROOT, now)
    return CardUpdate(cards=(replace(card, state=CardState.PENDING, notices=notices, pending_since=now, post=post),))


def reported_anywhere(context: CardContext) -> int:
    """Up to which entry the card, or one that stands in for it, has reported.

    The lines of a bulletin are named again where they were to be named: readers look there for what is held.
    """
    card = context.card
    if card.bulletin is not None:
        return card.reported_seq
    stand_ins = [each for each in context.cards if card.channel in stands_for(each, NoticeKind.FOR_CARD)]
    return max(each.reported_seq for each in (card, *stand_ins))


def retry_reply(context: CardContext, unreported: tuple[int, int], now: float) -> CardUpdate:
    """Retry a rejected reply, late and without a ping; then the thread continues where it was."""
    card, (after, upto) = context.card, unreported
    attempt = Attempt(
        key=message_key(context, upto),
        kind=REPLY,
        generation=card.generation,
        upto_seq=upto,
        started_at=now,
        state=AttemptState.WAITING,
        data={"resume": card.reported_seq},
    )
    late = replace(card, reported_seq=after, reason="", tries=0, post=Due.on(Urgency.REPLY, now))
    return CardUpdate(cards=(late,), attempt=attempt, closes_letter_at=now, closes_reply_letters=True)


def repost_lost_root(context: CardContext, ts: str, reason: str, now: float) -> CardUpdate:
    """The root `ts` was deleted, or cannot be edited: the card is posted again with a note, and its thread continues.

    Not for a resolved card with nothing to report, and not more often than somebody may delete it by mistake.
    """
    card, attempt = context.card, None
    if context.attempt is not None and context.attempt.kind != ROOT:
        # The next reply reports its entries. It may be in the channel as a stray, now or later, so relay searches for
        # it.
        search_at = None if context.attempt.reads_thread else now + STRAY_SEARCH_AFTER
        attempt = replace(context.attempt, state=AttemptState.DROPPED, next_search_at=search_at)
    if card.ts != ts:
        return CardUpdate(attempt=attempt)  # two calls found it deleted, and the first has reposted it already
    stopped = replace(card, reason=reason, post=None, edit=None)
    if not context.topic.is_open and next_due(context, card, now) is None:
        return CardUpdate(cards=(stopped,), attempt=attempt)
    recent = tuple(at for at in card.reposted_at if now - at < REPOST_WINDOW)
    if len(recent) >= MAX_REPOSTS:
        remedy = "somebody or something keeps deleting this card: find out who, then retry the dead letter"
        letter = DeadLetter(reason=reason, remedy=remedy, since=now)
        return CardUpdate(cards=(stopped,), attempt=attempt, dead_letter=letter)
    rest = remove_notices(card.notices, NoticeKind.REPOSTED, NoticeKind.NO_PING, NoticeKind.NO_EDITS)
    reposted = replace(
        card,
        state=CardState.PENDING,
        generation=card.generation + 1,
        # The lines of a bulletin were only in the thread that is lost.
        reported_seq=card.reported_seq if card.bulletin is None else 0,
        thread_unread=False,
        ts=None,
        shown_hash="",
        shown_ended_at=None,
        broadcasts=(),
        notices=(*rest, replace(REPOSTED, reason=reason), NO_PING),
        reposted_at=(*recent, now),
        pending_since=now,
        edit=None,
        post=Due.on(Urgency.ROOT, now),
    )
    return CardUpdate(cards=(reposted,), attempt=attempt)
