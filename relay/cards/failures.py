"""What becomes of what Slack refuses for good, or has lost: the fallback, the dead letter, the way back, a new card.

A channel's refusal is the channel's state, found once. Each card there that something falls due of becomes a letter,
and goes to the fallback with one line that says which channel and why. When the channel works again the letter is
redriven.
"""

from collections.abc import Mapping
from dataclasses import replace

from relay.cards.model import Attempt, AttemptState, Card, CardContext, CardState, CardUpdate, Channel, DeadLetter, Due
from relay.cards.notices import (
    ANEW,
    FROM,
    POINTER,
    QUIET,
    STAND_IN,
    THREAD_ONLY,
    in_place_of,
    noted,
    stands_in,
    unnoted,
)
from relay.cards.replies import reply_due
from relay.cards.send import REPLY, ROOT, cancel_unposted, give_up_reply, message_key
from relay.model.incident import State
from relay.model.reading import read_incident
from relay.model.tag_labels import TagLabels
from relay.ratelimit.budgets import Urgency
from relay.routes.options import Mention
from relay.routes.rulebook import Fallback

EXTERNAL = "external_channel"
"""The reason of a letter for a channel that is shared with another organisation, where the route does not allow it."""

STRAY_SEARCH_AFTER = 30.0
"""Seconds after which the channel is searched for a reply to a thread that is lost."""

MAX_REPOSTS = 2
REPOST_WINDOW = 3600.0
"""How often a card is posted anew within so many seconds; after that somebody keeps deleting it."""


def record_rejection(case: CardContext, track: str, letter: DeadLetter) -> CardUpdate:
    """Slack will not have this message: the letter says why, and nothing of the card is lost."""
    if track == "edit":
        return CardUpdate(cards=(replace(case.card, reason=letter.reason, edit=None),), dead_letter=letter)
    attempt = replace(case.attempt, state=AttemptState.REJECTED) if case.attempt else None
    if case.card.ts is None or attempt is None:
        card = replace(case.card, state=CardState.REJECTED, post=None)
    else:
        card, letter = give_up_reply(case, attempt, letter)
    card = replace(card, reason=letter.reason)
    return CardUpdate(cards=(card,), attempt=attempt, dead_letter=letter)


def is_external(card: Card, channel: Channel) -> bool:
    """Whether others than the own organisation would read it, and the route does not allow that."""
    return bool(channel.facts.get("external")) and not card.options.allow_external


def external_channel_letter(now: float) -> DeadLetter:
    """The letter for a card that would be read by others."""
    remedy = "set allow_external: true where the other organisation may read incidents, or choose another channel"
    return DeadLetter(reason=EXTERNAL, remedy=remedy, since=now)


def stop_edits(case: CardContext) -> CardUpdate:
    """The workspace allows no edit of it any more: its thread goes on telling."""
    return CardUpdate(cards=(replace(case.card, notices=noted(case.card, THREAD_ONLY), edit=None),))


def divert_to_fallback(
    case: CardContext, fallback: Fallback | None, same: Mapping[str, str], letter: DeadLetter
) -> CardUpdate:
    """A card whose channel takes nothing: a letter, and a card at the fallback that says where it belongs.

    The fallback's own refusal makes a letter and nothing more.
    """
    card = replace(
        case.card, state=CardState.REJECTED, reason=letter.reason, notices=noted(case.card, QUIET), post=None, edit=None
    )
    return CardUpdate(cards=(card, *fallback_cards(case, fallback, same, letter, FROM)), dead_letter=letter)


def fallback_cards(
    case: CardContext, fallback: Fallback | None, same: Mapping[str, str], letter: DeadLetter, what: str
) -> tuple[Card, ...]:
    """The fallback's card for a card (FROM) or for what its thread could not tell (THREAD), if there is a fallback.

    A new one, or the one that is there, with the line that says for whom it stands in.
    """
    home = same.get(fallback.channel.ref, fallback.channel.ref) if fallback is not None else case.card.channel
    return () if case.card.channel == home else (_elsewhere(case, home, letter, what),)


def _elsewhere(case: CardContext, home: str, letter: DeadLetter, what: str) -> Card:
    name = case.channel.facts.get("name")
    notice = in_place_of(case.card.channel, f"#{name}" if name else "", letter.reason, what)
    there = next((card for card in case.cards if card.channel == home), None)
    if there is None:
        return _in_place(case, home, notice, letter.since)
    if there.state is CardState.CANCELLED:
        fresh = _in_place(case, home, notice, letter.since)
        return replace(fresh, id=there.id, episode=there.episode, notices=noted(there, notice, STAND_IN))
    told = replace(there, notices=noted(there, notice) if there.route else noted(there, notice, STAND_IN))
    if there.is_pointer:
        told = _stands_in_again(case, told, letter.since)
    return replace(told, edit=Due.on(Urgency.EDIT, letter.since)) if there.state is CardState.POSTED else told


def _stands_in_again(case: CardContext, pointer: Card, now: float) -> Card:
    """A pointer is a card again, and goes on telling where the card that it pointed to had to stop."""
    told = max(pointer.reported_seq, case.card.reported_seq)
    card = replace(pointer, reported_seq=told, notices=(*unnoted(pointer, POINTER, STAND_IN), STAND_IN))
    rest = [entry for entry in case.entries if entry.seq > told]
    return replace(card, post=reply_due(card, read_incident(case.incident_state.record), rest, now))


def _in_place(case: CardContext, home: str, notice: str, now: float) -> Card:
    """The fallback's card in place of another: it goes on where that one stopped.

    It pings, unless that one surely did: where nobody knows whether it was posted, two pings are better than none. In
    place of a thread it pings if the reply would have.
    """
    card = case.card
    never_shown = card.ts is None and card.generation == 0
    unheard = case.attempt is not None and bool(case.attempt.targets)
    critical = read_incident(case.incident_state.record).state is State.CRITICAL
    return Card(
        incident=card.incident,
        channel=home,
        episode=card.episode,
        options=replace(card.options, wait=0.0),
        mention=card.mention if never_shown or unheard else Mention(),
        route=card.route,
        matched=True,
        first_matched_at=now,
        reported_seq=card.reported_seq,
        notices=(notice, STAND_IN),
        pending_since=now,
        post=Due.on(Urgency.CRITICAL_ROOT if critical else Urgency.ROOT, now, urgent=critical),
    )


def retry_card(case: CardContext, words: TagLabels, now: float) -> CardUpdate:
    """The channel works again, or an operator says so: the newest state, no ping; the fallback's card makes way.

    A resolved card that has a message there is edited; one that never had is left alone. The letter of a card that is
    to be posted stays open until it is. For a reply's letter there is `retold`, for one in doubt `doubt.sought`.
    """
    if not case.card.is_current:
        return CardUpdate(closes_letter_at=now, closes_reply_letters=True)
    incident = read_incident(case.incident_state.record, words)
    stand_ins = (card.reported_seq for card in case.cards if stands_in(card, case.card, FROM))
    told = max([case.card.reported_seq, *stand_ins])
    card = replace(case.card, reported_seq=told, reason="", tries=0)
    if card.ts is not None:
        rest = [entry for entry in case.entries if entry.seq > told]
        card = replace(
            card,
            state=CardState.POSTED,
            notices=unnoted(card, QUIET),
            edit=Due.on(Urgency.EDIT, now),
            post=reply_due(card, incident, rest, now),
        )
        return CardUpdate(cards=(card,), closes_letter_at=now)  # its stand-in makes way once it is edited
    if not incident.active:
        return cancel_unposted(replace(case, card=card), None, now)
    due = Due.on(Urgency.ROOT, now)
    card = replace(card, state=CardState.PENDING, notices=noted(card, QUIET), pending_since=now, post=due)
    return CardUpdate(cards=(card,))


def retry_reply(case: CardContext, untold: tuple[int, int], now: float) -> CardUpdate:
    """A reply that was refused is told after all, late and without a ping; then the thread goes on where it was."""
    card, (after, upto) = case.card, untold
    attempt = Attempt(
        key=message_key(case.channel.slack_id or case.channel.ref, card, upto),
        kind=REPLY,
        generation=card.generation,
        upto_seq=upto,
        started_at=now,
        state=AttemptState.WAITING,
        data={"resume": card.reported_seq},
    )
    late = replace(card, reported_seq=after, reason="", tries=0, post=Due.on(Urgency.REPLY, now))
    return CardUpdate(cards=(late,), attempt=attempt, closes_letter_at=now, closes_reply_letters=True)


def repost_lost_root(case: CardContext, ts: str, words: TagLabels, reason: str, now: float) -> CardUpdate:
    """The root `ts` was deleted, or is not to be edited: the card is posted anew with a note, and its thread goes on.

    Not for a resolved card with nothing to tell, and not more often than somebody may delete it by mistake.
    """
    card, attempt = case.card, _dropped(case.attempt, now)
    if card.ts != ts:
        return CardUpdate(attempt=attempt)  # two calls found it gone: the first has renewed it already
    incident = read_incident(case.incident_state.record, words)
    if not incident.active and reply_due(card, incident, case.entries, now) is None:
        return CardUpdate(cards=(replace(card, reason=reason, post=None, edit=None),), attempt=attempt)
    recent = tuple(at for at in card.reposted_at if now - at < REPOST_WINDOW)
    if len(recent) >= MAX_REPOSTS:
        remedy = "somebody or something keeps deleting this card: find out who, then redrive the letter"
        letter = DeadLetter(reason=reason, remedy=remedy, since=now)
        return CardUpdate(
            cards=(replace(card, reason=reason, post=None, edit=None),), attempt=attempt, dead_letter=letter
        )
    renewed = replace(
        card,
        state=CardState.PENDING,
        generation=card.generation + 1,
        ts=None,
        shown_hash="",
        shown_ended_at=None,
        notices=(*unnoted(card, ANEW, QUIET, THREAD_ONLY), ANEW, QUIET),
        reposted_at=(*recent, now),
        pending_since=now,
        edit=None,
        post=Due.on(Urgency.ROOT, now),
    )
    return CardUpdate(cards=(renewed,), attempt=attempt)


def _dropped(attempt: Attempt | None, now: float) -> Attempt | None:
    """A reply to a thread that is lost: what it was to tell is told in the next one.

    It may stand in the channel as a stray, or come to, and is looked for there once more.
    """
    if attempt is None or attempt.kind == ROOT:
        return None
    return replace(attempt, state=AttemptState.DROPPED, next_search_at=now + STRAY_SEARCH_AFTER)
