"""Decide about a post whose answer was lost: relay searches for its key before it posts anything again.

    searched after 5 s and 20 s      found: it is adopted, and edited once (nobody knows which try landed)
                                     not found: it is posted again under the same key, and searched for once more
                                     2 minutes later
                                     Slack does not let relay read: the route's `in_doubt` says what follows

The doubt belongs to the attempt. A reply in doubt stops later replies of its card, never its edits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from relay.cards import send
from relay.cards.failures import reported_anywhere
from relay.cards.model import (
    Attempt,
    AttemptState,
    Card,
    CardContext,
    CardState,
    CardUpdate,
    DeadLetter,
    Due,
    Entry,
    IncidentState,
)
from relay.cards.notices import NO_PING, add_notices
from relay.cards.replies import due_of
from relay.cards.reported import ReportedFacts
from relay.cards.steps import REPLY, ROOT, NothingToSend, PostRoot, ShownRoot, Step, message_key
from relay.model.entry_kinds import EntryKind
from relay.model.incident import State, worst_of
from relay.model.reading import read_incident
from relay.model.struct import replace
from relay.ratelimit.budgets import Urgency
from relay.slack.outcomes import Delivered

FIRST_SEARCH_AFTER = 5.0
SECOND_SEARCH_AFTER = 15.0
"""Seconds from the lost answer to the first search, and from there to the second."""

MAX_CLOCK_SKEW = 300.0
"""Seconds by which relay's clock, that of a restored backup, may be ahead of Slack's."""

_WHOLE_THREAD = -1
"""In place of an entry's number, in the key of an attempt that reads a thread and posts nothing."""

MAX_SEARCHES = 2
"""How often a search must find nothing before it is posted again: Slack's history lags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedMessage:
    """A message that has the key of an attempt; `replies` counts its thread, `stray` is a reply outside its thread."""

    ts: str
    replies: int = 0
    stray: bool = False


def mark_in_doubt(context: CardContext, reason: str, now: float) -> CardUpdate:
    """Nobody knows whether it was posted: nothing is posted again before relay has searched for it."""
    if context.attempt is None:
        return CardUpdate()
    attempt = replace(context.attempt, state=AttemptState.IN_DOUBT, next_search_at=now + FIRST_SEARCH_AFTER)
    card = replace(_in_doubt(context.card, attempt), reason=reason)
    return CardUpdate(cards=(card,), attempt=attempt)


def search_before_post(context: CardContext, step: Step, since: float, now: float) -> Step:
    """A restored database does not know what was posted `since` its backup: the first try of a card is in doubt.

    One search is enough, since nothing that it may find is young.
    """
    if not isinstance(step, PostRoot) or step.attempt.is_repeat:
        return step
    # the newest known root is younger than what is searched for
    data = {**step.attempt.data, "after": f"{since - MAX_CLOCK_SKEW:.6f}", "thread_unread": True}
    card = next(iter(step.update.cards), context.card)
    return _in_doubt_at_once(card, replace(step.attempt, data=data), now)


def read_thread_first(context: CardContext, now: float) -> Step | None:
    """Relay does not know what is in the thread of a card: it reads it before it posts there (`skip_reported`)."""
    card = context.card
    if card.ts is None or not card.thread_unread or context.attempt is not None:
        return None
    key, upto = message_key(context, _WHOLE_THREAD), card.reported_seq
    data = {"reads_thread": True}
    attempt = Attempt(key=key, kind=REPLY, generation=card.generation, upto_seq=upto, started_at=now, data=data)
    return _in_doubt_at_once(card, attempt, now)


def skip_reported(context: CardContext, thread: ReportedFacts, now: float) -> CardUpdate:
    """The thread was read: changes in it are not reported again, and ping nobody. The rest is news.

    News is also a state that the thread does not show, and that no share has changed as far as this database knows.
    """
    attempt = attempt_in_doubt(context)
    if attempt is None:
        return CardUpdate()
    worst = thread.worst
    repeated = {
        entry.seq: _posted_in(entry, context.card.channel) for entry in context.entries if thread.is_reported(entry)
    }
    outdated = isinstance(context.topic, IncidentState) and context.topic.as_of < thread.newest
    missed = [] if outdated else [entry for entry in _missed(context, thread, now) if not thread.is_reported(entry)]
    entries = [*(repeated.get(entry.seq, entry) for entry in context.entries), *missed]
    card = replace(
        context.card,
        worst=worst_of(context.card.worst or worst.recent, worst.recent) if not thread.states else worst.recent,
        episode_worst=worst_of(context.card.episode_worst or worst.episode, worst.episode),
    )
    due = due_of(context, card, entries, now)
    # Where the thread knows more than the record, a later share is compared with the thread once more.
    card = replace(card, post=due, thread_unread=outdated and due is None)
    dropped = replace(attempt, state=AttemptState.DROPPED, next_search_at=None)
    return CardUpdate(cards=(card,), attempt=dropped, entries=(*repeated.values(), *missed))


def _posted_in(entry: Entry, *channels: str) -> Entry:
    return replace(entry, data={**entry.data, "posted_in": [*entry.data.get("posted_in", ()), *channels]})


def _missed(context: CardContext, thread: ReportedFacts, now: float) -> Iterator[Entry]:
    """The state that the thread does not show; where it shows none, one that is worse than the card has pinged for."""
    if not isinstance(context.topic, IncidentState):
        return
    worst, state = context.card.worst or State.RESOLVED, context.topic.state
    before = thread.states[-1] if thread.states else worst if state.rank > worst.rank else None
    if before is not None:
        others = [each.channel for each in context.cards if each.id != context.card.id]
        yield missed_state(context.topic, others, context.card.channel, before, now)


def missed_state(
    incident_state: IncidentState, others: Sequence[str], channel: str, before: State, now: float
) -> Entry:
    """The entry for what differs between the card in `channel` and the incident now; not for the cards in `others`."""
    incident, seq = read_incident(incident_state.record), incident_state.next_seq
    reopened = before is State.RESOLVED and incident.active
    kind = EntryKind.REOPENED if reopened else EntryKind.STATUS if incident.active else EntryKind.RESOLVED
    data = {"old": str(before), "new": str(incident.state)}
    entry = Entry(seq=seq, key=f"missed:{channel}:{seq}", kind=kind, at=now, data=data)
    return _posted_in(entry, *others)


def _in_doubt_at_once(card: Card, attempt: Attempt, now: float) -> NothingToSend:
    attempt = replace(attempt, state=AttemptState.IN_DOUBT, searches=MAX_SEARCHES - 1, next_search_at=now)
    card = _in_doubt(card, attempt)
    return NothingToSend(reason="searched_for_first", update=CardUpdate(cards=(card,), attempt=attempt))


def adopt_message(context: CardContext, found: MarkedMessage, channel: str, now: float) -> CardUpdate:
    """It had been posted: a root keeps that `ts`, a reply has reported its entries."""
    attempt = attempt_in_doubt(context)
    if attempt is None:
        return CardUpdate()
    if attempt.kind != ROOT:
        return send.apply_reply_delivery(context, found.ts, now)
    unknown = ShownRoot(fingerprint="", version=-1, ended=None)
    if attempt.data.get("thread_unread"):  # another copy of the database has posted it, and perhaps replies
        context = replace(context, card=replace(context.card, thread_unread=True))
    return send.apply_root_delivery(context, Delivered(channel=channel, ts=found.ts), unknown, now)


def record_miss(context: CardContext, now: float) -> CardUpdate:
    """A search found nothing: search again, and after the second time post it again as it was."""
    attempt = attempt_in_doubt(context)
    if attempt is None:
        return CardUpdate()
    attempt = replace(attempt, searches=attempt.searches + 1)
    if attempt.searches < MAX_SEARCHES:
        return CardUpdate(attempt=replace(attempt, next_search_at=now + SECOND_SEARCH_AFTER))
    return post_again(context, attempt, now)


def post_again(context: CardContext, attempt: Attempt, now: float) -> CardUpdate:
    """Once more under the same key, with its range and those whom it pings."""
    card, topic = context.card, context.topic
    if attempt.is_operator_retry and attempt.kind == ROOT and not topic.is_open:
        return send.cancel_unposted(context, replace(attempt, state=AttemptState.DROPPED, next_search_at=None), now)
    since = min(attempt.started_at, card.pending_since or attempt.started_at)
    if attempt.kind == ROOT:
        card, due = replace(card, state=CardState.PENDING), Due.root(topic.state, since)
    else:
        urgent = bool(attempt.targets)
        due = Due.on(Urgency.WORSENED if urgent else Urgency.REPLY, since, urgent=urgent)
    due = replace(due, at=now)  # with the old deadline, so that those that came after it stay behind it
    waiting = replace(attempt, state=AttemptState.WAITING, next_search_at=None)
    return CardUpdate(cards=(replace(card, post=due),), attempt=waiting)


def postpone_search(context: CardContext, at: float) -> CardUpdate:
    """Relay could not search just now."""
    attempt = attempt_in_doubt(context)
    return CardUpdate() if attempt is None else CardUpdate(attempt=replace(attempt, next_search_at=at))


def retry_in_doubt(context: CardContext, given_up: Sequence[Attempt], letter: DeadLetter, now: float) -> CardUpdate:
    """Retry what was held in doubt: relay searches for it, and posts it again only if it does not find it.

    Where relay still may not search, it posts it again as a possible repeat. It is late, so it pings nobody. If several
    replies were given up, the first is retried, and the dead letter stays for the others.
    """
    held, *others = given_up
    card = replace(context.card, reason="", post=None, tries=0)
    attempt = replace(
        held,
        state=AttemptState.IN_DOUBT,
        searches=MAX_SEARCHES - 1,
        next_search_at=now,
        targets=(),
        data={**held.data, "resume": card.reported_seq, "broadcast": False},
        tries=held.tries + 1,
    )
    if held.kind == ROOT:
        notices = add_notices(card.notices, NO_PING)
        card = replace(card, state=CardState.IN_DOUBT, notices=notices, reported_seq=reported_anywhere(context))
        return CardUpdate(cards=(card,), attempt=attempt)  # its letter is closed when it is posted
    rest = replace(letter, unreported=(held.upto_seq, others[-1].upto_seq)) if others else None
    late = replace(card, reported_seq=int(held.data.get("from", held.upto_seq)))
    return CardUpdate(cards=(late,), attempt=attempt, dead_letter=rest, closes_letter_at=now, closes_reply_letters=True)


def pick_duplicates(found: Sequence[MarkedMessage]) -> tuple[MarkedMessage, tuple[MarkedMessage, ...]]:
    """Among several messages with one key, choose the one that stays and those that are deleted.

    The oldest stays, unless somebody has replied below a younger one. Nothing that has a thread is deleted.
    """
    in_order = sorted(found, key=lambda each: each.ts)
    stays = next((each for each in in_order if each.replies), in_order[0])
    return stays, _without_thread(in_order, stays)


def merge_duplicates(
    context: CardContext, attempt: Attempt, found: Sequence[MarkedMessage], now: float
) -> tuple[CardUpdate, tuple[MarkedMessage, ...]]:
    """After the last search for a root that was posted twice: the card is the one that stays, and shows the record.

    Returns also those that are to be deleted, once the card has moved: what is reported from then on is below the
    one that stays. A card below which relay itself has reported something, or is about to, stays where it is, whatever
    Slack's history shows of that by now.
    """
    stays, _ = pick_duplicates(found)
    if context.attempt is not None or context.card.reported_seq > attempt.upto_seq:
        stays = next((each for each in found if each.ts == context.card.ts), stays)
    extra = _without_thread(found, stays)
    if context.card.ts is None or context.card.ts == stays.ts:
        return CardUpdate(), extra
    moved = replace(context.card, ts=stays.ts, shown_hash="", edit=Due.on(Urgency.EDIT, now))
    return CardUpdate(cards=(moved,)), extra


def _without_thread(found: Sequence[MarkedMessage], stays: MarkedMessage) -> tuple[MarkedMessage, ...]:
    return tuple(each for each in found if each is not stays and not each.replies)


def attempt_in_doubt(context: CardContext) -> Attempt | None:
    """The card's open attempt where nobody knows whether it is in Slack."""
    attempt = context.attempt
    return attempt if attempt is not None and attempt.state is AttemptState.IN_DOUBT else None


def _in_doubt(card: Card, attempt: Attempt) -> Card:
    return replace(card, state=CardState.IN_DOUBT if attempt.kind == ROOT else card.state, post=None)
