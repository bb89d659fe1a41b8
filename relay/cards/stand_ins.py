"""Decide which card of the fallback stands in for a card, or for its thread, that Slack rejects, and when it makes way.

A stand-in continues to report where the other card had to stop. It makes way when the other one can be posted.
"""

from collections.abc import Sequence

from relay.cards.holding import without_holds
from relay.cards.model import Card, CardContext, CardState, DeadLetter, DeliveryRules, Due
from relay.cards.notices import POINTER, STAND_IN, Notice, NoticeKind, add_notices, remove_notices
from relay.cards.replies import next_due
from relay.model.struct import replace
from relay.ratelimit.budgets import Urgency
from relay.routes.mention import NO_MENTION, Mention

_STANDS_FOR = (NoticeKind.FOR_CARD, NoticeKind.FOR_THREAD)


def stands_for(card: Card, *kinds: NoticeKind) -> tuple[str, ...]:
    """The channels for whose cards (FOR_CARD) or threads (FOR_THREAD) it stands in; for both without `kinds`."""
    return tuple(notice.channel for notice in card.notices if notice.kind in (kinds or _STANDS_FOR))


def fallback_cards(
    context: CardContext, rules: DeliveryRules, letter: DeadLetter, kind: NoticeKind
) -> tuple[Card, ...]:
    """The fallback's card for a card (FOR_CARD) or for what its thread could not report (FOR_THREAD).

    It is a new card, or the present one with one more notice. None without a fallback, or in its own channel.
    """
    fallback = rules.fallback
    if fallback is None:
        return ()
    home = rules.canonical_refs.get(fallback.ref, fallback.ref)
    if context.card.channel == home:
        return ()
    ref = context.card.channel
    notice = Notice(kind=kind, channel=ref, name=context.channel.slack_name or ref, reason=letter.reason)
    return (_stand_in(context, home, fallback.mention, notice, letter.since),)


def make_way(cards: Sequence[Card], posted: Card, now: float, *kinds: NoticeKind) -> list[Card]:
    """The cards that change since `posted` is there (FOR_CARD) or its thread continues (FOR_THREAD).

    They are no longer stand-ins for it. One that is not needed any more becomes a pointer, or is never posted; if
    the fallback rejected it, its dead letter is closed.
    """
    changed = []
    for card in cards:
        never_posted = card.state is CardState.REJECTED and card.ts is None
        live = (card.state in {CardState.POSTED, CardState.PENDING} or never_posted) and not card.is_pointer
        unrouted = posted.route and not card.route and STAND_IN not in card.notices
        if card.id == posted.id or not live or not (unrouted or posted.channel in stands_for(card, *kinds)):
            continue
        rest = tuple(each for each in card.notices if each.kind not in kinds or each.channel != posted.channel)
        edit = Due.on(Urgency.EDIT, now)
        if not unrouted and (STAND_IN not in rest or stands_for(replace(card, notices=rest))):
            changed.append(replace(card, notices=rest, edit=edit if card.state is CardState.POSTED else card.edit))
        elif card.ts is None:
            cancelled = replace(without_holds(card), notices=rest, state=CardState.CANCELLED, post=None, edit=None)
            changed.append(cancelled)
        else:
            changed.append(replace(card, notices=add_notices(rest, POINTER), post=None, edit=edit))
    return changed


def _stand_in(context: CardContext, home: str, mention: Mention, notice: Notice, now: float) -> Card:
    there = next((card for card in context.cards if card.channel == home), None)
    if there is None:
        return _new_stand_in(context, home, mention, notice, now)
    if there.state is CardState.CANCELLED:
        fresh = _new_stand_in(context, home, mention, notice, now)
        notices = add_notices(there.notices, notice, STAND_IN)
        return replace(fresh, id=there.id, episode=there.episode, notices=notices)
    extra = (notice,) if there.route else (notice, STAND_IN)
    card = replace(there, notices=add_notices(there.notices, *extra))
    if there.is_pointer:
        # It is a card again, and continues to report where the card that it pointed to had to stop.
        seq = max(card.reported_seq, context.card.reported_seq)
        rest = remove_notices(card.notices, NoticeKind.POINTER, NoticeKind.STAND_IN)
        card = replace(card, reported_seq=seq, notices=(*rest, STAND_IN))
        card = replace(card, post=next_due(context, card, now))
    return replace(card, edit=Due.on(Urgency.EDIT, now)) if there.state is CardState.POSTED else card


def _new_stand_in(context: CardContext, home: str, mention: Mention, notice: Notice, now: float) -> Card:
    """It pings the fallback's `mention`, unless the other card certainly pinged: two pings are better than none.

    In place of a thread it pings if the reply would have.
    """
    card = context.card
    never_posted = card.ts is None and card.generation == 0
    reply_pings = context.attempt is not None and bool(context.attempt.targets)
    return Card(
        incident=card.incident,
        bulletin=card.bulletin,
        channel=home,
        episode=card.episode,
        options=replace(card.options, wait=0.0),
        mention=mention if never_posted or reply_pings else NO_MENTION,
        route=card.route,
        first_matched_at=now,
        reported_seq=card.reported_seq,
        notices=(notice, STAND_IN),
        pending_since=now,
        post=Due.root(context.topic.state, now),
    )
