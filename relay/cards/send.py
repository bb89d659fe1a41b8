"""What a due card does next, and what becomes of it once Slack has answered.

`begin_post` and `begin_edit` are asked inside the transaction that picks a card: what they decide is written down
before Slack is called. The verbs below them are asked inside the transaction that keeps the answer. They look at the
case as it is *then*: a share may have come in while Slack was being called, and what it changed is never overwritten.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from relay.cards.model import Attempt, AttemptState, Card, CardContext, CardState, CardUpdate, DeadLetter, Due, Entry
from relay.cards.notices import FROM, QUIET, THREAD, make_way, unnoted
from relay.cards.replies import Reply, next_reply, reply_due, worst_shown
from relay.model.incident import Incident, State
from relay.model.reading import read_incident
from relay.model.tag_labels import TagLabels
from relay.ratelimit.budgets import EDIT_SPACING, Urgency
from relay.slack.outcomes import Delivered

ROOT = "root"
REPLY = "reply"

LATE_SEARCH_AFTER = 120.0
"""Seconds after a post that was made again, at which relay looks whether the lost one has turned up too."""

MAX_EDIT_SECONDS = 10.0
"""Seconds that an edit may be under way, at the most."""

EDIT_DOUBT_SECONDS = 30.0
"""Seconds after an edit in doubt at which the current state is said once more: the lost edit may land late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRoot:
    """Post the card; `attempt` says whom it pings."""

    attempt: Attempt
    update: CardUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class PostReply:
    """Post one reply in the card's thread."""

    attempt: Attempt
    reply: Reply
    thread: str
    update: CardUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Edit the card, unless what it shows already is what it should show.

    `shown_hash` and `edit_in_doubt_until` are the card's from before: while Slack is called nobody knows what it shows.
    """

    ts: str
    shown_hash: str
    in_doubt_until: float | None
    update: CardUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToSend:
    """Nothing is to be sent; `reason` says why."""

    reason: str
    update: CardUpdate


SlackStep = PostRoot | PostReply | Edit
"""The steps that call Slack."""

Step = SlackStep | NothingToSend


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRoot:
    """What Slack now shows of a card: the rendering's fingerprint, and what it was made from."""

    fingerprint: str
    version: int
    ended: float | None
    notices: tuple[str, ...] = ()


def shown_root(case: CardContext, fingerprint: str, words: TagLabels) -> ShownRoot:
    """What Slack shows once it has taken a rendering of the case."""
    ended = read_incident(case.incident_state.record, words).ended
    return ShownRoot(
        fingerprint=fingerprint, version=case.incident_state.version, ended=ended, notices=case.card.notices
    )


def message_key(channel: str, card: Card, upto_seq: int | None = None) -> str:
    """The key by which a message is found again in Slack: the same for every attempt at it, and from any database."""
    parts = [card.incident, channel, str(card.episode), str(card.generation)]
    if upto_seq is not None:
        parts.append(str(upto_seq))
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def begin_post(case: CardContext, words: TagLabels, now: float) -> Step:
    """A root where there is none yet, else the next reply of the thread."""
    incident = read_incident(case.incident_state.record, words)
    if case.card.ts is None:
        return _begin_root(case, incident, now)
    return _begin_reply(case, incident, now)


def begin_edit(case: CardContext, now: float) -> Step:
    """The card as it should be now; whether that differs from what it shows is seen when it is rendered.

    A relay that is killed while Slack answers leaves an edit in doubt behind: so it is one until the answer is known.
    """
    card = case.card
    if card.ts is None:
        return NothingToSend(reason="no_root", update=_cards(replace(card, edit=None)))
    under_way = replace(card, shown_hash="", edit_in_doubt_until=now + MAX_EDIT_SECONDS + EDIT_DOUBT_SECONDS)
    return Edit(
        ts=card.ts, shown_hash=card.shown_hash, in_doubt_until=card.edit_in_doubt_until, update=_cards(under_way)
    )


def without_edit_doubt(case: CardContext, step: Edit) -> CardContext:
    """The case without the doubt that an edit under way is: its answer is known."""
    return replace(case, card=replace(case.card, shown_hash=step.shown_hash, edit_in_doubt_until=step.in_doubt_until))


def is_edit_obsolete(case: CardContext, step: Edit) -> bool:
    """Whether the card has moved to another message since: what became of the edit of the old one matters no more."""
    return case.card.ts != step.ts


def _begin_root(case: CardContext, incident: Incident, now: float) -> Step:
    card = case.card
    waited = card.post is not None and card.options.wait > 0
    if waited and case.attempt is None and not (incident.active and card.matched):
        reason = "ended_while_waiting" if not incident.active else "not_taken_any_more"
        return NothingToSend(
            reason=reason, update=_cards(replace(card, state=CardState.CANCELLED, reason=reason, post=None))
        )
    held = _held(case, now)
    if held is not None and QUIET in card.notices:
        held = replace(held, targets=())  # it was refused in between: what comes so late is no news to ping for
    attempt = held or Attempt(
        key=message_key(case.channel.slack_id or case.channel.ref, card),
        kind=ROOT,
        generation=card.generation,
        upto_seq=card.reported_seq,
        started_at=now,
        targets=_first_targets(card, incident),
        data={"after": case.newest_ts},
    )
    trying = replace(card, state=CardState.POSTING, pinged=attempt.targets)
    if attempt is not held and card.generation == 0:
        # What the first try shows is told by its face. A later one, or a renewal, pings as the first did or nobody at
        # all: a rise that came between is still to be told.
        trying = replace(
            trying,
            worst=incident.state,
            episode_worst=_worse(card.episode_worst, incident.state),
            root_seq=max(card.root_seq, case.incident_state.next_seq - 1),
        )
    return PostRoot(attempt=attempt, update=CardUpdate(cards=(trying,), attempt=attempt))


def _first_targets(card: Card, incident: Incident) -> tuple[str, ...]:
    """The first post pings, unless the incident is over or sleeps, or it is no news."""
    if not incident.active or incident.snooze.snoozed or QUIET in card.notices:
        return ()
    return card.mention.targets(incident.state)


def _begin_reply(case: CardContext, incident: Incident, now: float) -> Step:
    card, held = case.card, _held(case, now)
    untold = [entry for entry in case.entries if held is None or entry.seq <= held.upto_seq]
    reply = next_reply(card, incident, untold, now, whole=held is not None)
    if reply is None or not reply.entries:
        told = reply.upto_seq if reply else max((entry.seq for entry in untold), default=card.reported_seq)
        worst = worst_shown(card, [entry for entry in untold if entry.seq <= told])
        told = max(told, held.reported_seq_after if held else 0)
        passed = replace(card, reported_seq=told, worst=worst.recent, episode_worst=worst.episode)
        silent = _again(passed, incident, case.entries, now)
        closed = replace(held, state=AttemptState.DROPPED) if held else None
        return NothingToSend(reason="nothing_to_tell", update=CardUpdate(cards=(silent,), attempt=closed))
    attempt = held or Attempt(
        key=message_key(case.channel.slack_id or case.channel.ref, card, reply.upto_seq),
        kind=REPLY,
        generation=card.generation,
        upto_seq=reply.upto_seq,
        started_at=now,
        targets=reply.targets,
        data={
            "broadcast": reply.broadcast,
            "reopened": reply.reports_reopening,
            "reopening": reply.pings_for_reopening,
            "worst": reply.worst.recent,
            "episode_worst": reply.worst.episode,
        },
    )
    # Whom a reply was made for is pinged by a later try too, as long as there still is a reason to.
    targets = tuple(target for target in attempt.targets if target in reply.targets)
    reply = replace(reply, targets=targets, broadcast=bool(attempt.data.get("broadcast")))
    return PostReply(attempt=attempt, reply=reply, thread=card.ts or "", update=CardUpdate(attempt=attempt))


def _held(case: CardContext, now: float) -> Attempt | None:
    """The attempt that was in doubt once: it is tried as it was, with its range and the people it was made for."""
    held = case.attempt
    if held is None or held.state is not AttemptState.WAITING:
        return None
    return replace(held, state=AttemptState.IN_FLIGHT, tries=held.tries + 1, started_at=now, searches=0)


def apply_delivery(  # noqa: PLR0913  all that an answer is about
    case: CardContext, step: SlackStep, posted: Delivered, shown: ShownRoot, *, words: TagLabels, now: float
) -> CardUpdate:
    """Slack has done what the step asked for."""
    match step:
        case PostRoot():
            return apply_root_delivery(case, posted, shown, words, now)
        case PostReply():
            return apply_reply_delivery(case, words, now)
        case Edit():
            return apply_edit_delivery(case, shown, now)
        case _:
            assert_never(step)


def apply_root_delivery(
    case: CardContext, posted: Delivered, shown: ShownRoot, words: TagLabels, now: float
) -> CardUpdate:
    """The root stands: its `ts` is kept whatever version it was; a record that has grown since makes it due again."""
    incident = read_incident(case.incident_state.record, words)
    card = replace(
        case.card,
        state=CardState.POSTED,
        reason="",
        ts=posted.ts,
        slack_channel=posted.channel,
        shown_hash=shown.fingerprint,
        shown_ended_at=shown.ended,
        edited_at=now,
        edit=_edit_again(case, shown, now),
        post=None,
        tries=0,
        notices=unnoted(case.card, QUIET),
    )
    card = _again(card, incident, case.entries, now)
    others = make_way(case.cards, card, now, FROM, THREAD)
    return CardUpdate(cards=(card, *others), attempt=_done(case, now), closes_letter_at=now)


def apply_reply_delivery(case: CardContext, words: TagLabels, now: float) -> CardUpdate:
    """The reply stands: what it told is told."""
    incident, attempt = read_incident(case.incident_state.record, words), case.attempt
    if attempt is None:
        return CardUpdate()
    worst = attempt.data.get("worst", case.card.worst)
    episode_worst = attempt.data.get("episode_worst", worst)
    card = replace(
        case.card,
        reported_seq=max(case.card.reported_seq, attempt.reported_seq_after),
        worst=worst and State(worst),
        episode_worst=_worse(case.card.episode_worst, episode_worst and State(episode_worst)),
        reopening_reported_at=now if attempt.data.get("reopened") else case.card.reopening_reported_at,
        reopening_pinged_at=now if attempt.data.get("reopening") else case.card.reopening_pinged_at,
        reason="",
        post=None,
        tries=0,
    )
    card = _again(card, incident, case.entries, now)
    return CardUpdate(cards=(card, *make_way(case.cards, card, now, THREAD)), attempt=_done(case, now))


def apply_edit_delivery(case: CardContext, shown: ShownRoot, now: float, *, called: bool = True) -> CardUpdate:
    """The card shows what was rendered; what has come since is due again."""
    card = replace(
        case.card,
        shown_hash=shown.fingerprint,
        shown_ended_at=shown.ended,
        edited_at=now if called else case.card.edited_at,
        edit=_edit_again(case, shown, now),
        reason="",
        tries=0,
    )
    if card.edit_in_doubt_until is not None and now < card.edit_in_doubt_until:
        # A lost edit may still land over this one: it is said once more when that is over.
        card = replace(card, shown_hash="", edit=Due.on(Urgency.EDIT, card.edit_in_doubt_until).sooner(card.edit))
    else:
        card = replace(card, edit_in_doubt_until=None)
    if card.post is None and card.edit is None:
        card = replace(card, pending_since=None)  # nothing waits any more: what comes next waits from then on
    return CardUpdate(cards=(card, *make_way(case.cards, card, now, FROM)), closes_letter_at=now if called else None)


def cancel_unposted(case: CardContext, attempt: Attempt | None, now: float) -> CardUpdate:
    """The incident is over, and nothing of it was ever shown there: nothing is posted any more."""
    card = replace(case.card, state=CardState.CANCELLED, reason="ended_while_refused", post=None, edit=None)
    return CardUpdate(cards=(card,), attempt=attempt, closes_letter_at=now)


def give_up_reply(case: CardContext, attempt: Attempt, letter: DeadLetter) -> tuple[Card, DeadLetter]:
    """A reply counts as told, so that later ones are not stopped; the letter says what it was to tell."""
    told = max(case.card.reported_seq, attempt.reported_seq_after)
    rest = any(entry.seq > told for entry in case.entries)
    card = replace(case.card, reported_seq=told, post=Due.on(Urgency.REPLY, letter.since) if rest else None)
    return card, replace(letter, unreported=(case.card.reported_seq, attempt.upto_seq))


def retry_later(case: CardContext, track: str, retry_at: float) -> CardUpdate:
    """Surely not sent: the same again later, with the deadline it had."""
    if track == "edit":
        return _cards(replace(case.card, edit=_later(case.card.edit, retry_at), tries=case.card.tries + 1))
    waiting = replace(case.attempt, state=_unsent(case.attempt)) if case.attempt else None
    card = replace(case.card, post=_later(case.card.post, retry_at), tries=case.card.tries + 1)
    if card.state is CardState.POSTING:
        # Nobody was pinged; whoever is, is decided anew, unless an earlier try may have landed.
        pinged = card.pinged if waiting and waiting.state is AttemptState.WAITING else ()
        card = replace(card, state=CardState.PENDING, pinged=pinged)
    return CardUpdate(cards=(card,), attempt=waiting)


def _unsent(attempt: Attempt) -> AttemptState:
    return AttemptState.WAITING if attempt.is_repeat else AttemptState.DROPPED


def mark_edit_in_doubt(case: CardContext, retry_at: float, now: float) -> CardUpdate:
    """An edit may be repeated; the lost one may land late, over a newer one, so nothing counts as shown for a while."""
    card = replace(
        case.card,
        shown_hash="",
        edit=_later(case.card.edit, retry_at),
        edit_in_doubt_until=now + EDIT_DOUBT_SECONDS,
        tries=case.card.tries + 1,
    )
    return _cards(card)


def _again(card: Card, incident: Incident, entries: Sequence[Entry], now: float) -> Card:
    """What of the thread is still due."""
    rest = [entry for entry in entries if entry.seq > card.reported_seq]
    return replace(card, post=reply_due(card, incident, rest, now), pending_since=now if rest else None)


def _edit_again(case: CardContext, shown: ShownRoot, now: float) -> Due | None:
    # While Slack was called, a share may have come in, or the card may have become a pointer.
    if shown.version == case.incident_state.version and shown.notices == case.card.notices:
        return None
    at = now + EDIT_SPACING
    if case.card.edit is not None:
        at = min(at, max(now, case.card.edit.at))
    return Due.on(Urgency.EDIT, at)


def _later(due: Due | None, retry_at: float) -> Due:
    if due is None:
        return Due(at=retry_at, deadline=retry_at)
    return Due(at=retry_at, deadline=due.deadline, urgent=due.urgent)


def _done(case: CardContext, now: float) -> Attempt | None:
    """An attempt that was made again after nothing was found is looked for once more: the lost one may turn up late."""
    if case.attempt is None:
        return None
    late = now + LATE_SEARCH_AFTER if case.attempt.is_repeat else None
    return replace(case.attempt, state=AttemptState.DONE, next_search_at=late)


def _worse(one: State | None, other: State | None) -> State | None:
    known = [state for state in (one, other) if state is not None]
    return max(known, key=lambda state: state.rank, default=None)


def _cards(*cards: Card) -> CardUpdate:
    return CardUpdate(cards=cards)
