"""Decide what a due card does next, and what it is once Slack has accepted it.

`begin_post` and `begin_edit` run in the transaction that picks a card: the step that they return is committed before
Slack is called. The other functions run in the transaction that stores the answer. They get the card as it is *then*: a
share may have come during the call to Slack, and its changes are never overwritten.
"""

from collections.abc import Sequence
from typing import assert_never

from relay.cards.attention import NO_SURROUNDINGS, Attention, Surroundings, attend
from relay.cards.broadcasts import RETRY_AFTER, next_over, track, with_broadcast_edit, without
from relay.cards.bulletin_cards import bulletin_edit
from relay.cards.bulletins import BulletinChange, BulletinLine, BulletinState, incident_line
from relay.cards.holding import first_pings, hold_first_post, name_in_held_list, with_held_pings, without_holds
from relay.cards.holds import HeldPing, HeldPings, Hold, Ping, Reason, merge_held, without_targets
from relay.cards.model import (
    NO_DEADLINE,
    Attempt,
    AttemptState,
    Card,
    CardContext,
    CardState,
    CardUpdate,
    DeadLetter,
    Due,
    ShownLines,
)
from relay.cards.notices import NO_PING, NoticeKind, remove_notices
from relay.cards.reminders import after_ping, after_reminder_posted, with_due
from relay.cards.replies import held_by, next_due, next_reply_of, worst_shown
from relay.cards.reported import entries_digest
from relay.cards.stand_ins import make_way
from relay.cards.steps import (
    REPLY,
    ROOT,
    Edit,
    EditBroadcast,
    EditLines,
    NothingToSend,
    PostReply,
    PostRoot,
    ReplyEdit,
    ShownRoot,
    SlackStep,
    Step,
    message_key,
)
from relay.cards.storms import held_in_storm, posted_in_storm
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Incident, State, worst_of
from relay.model.struct import replace
from relay.ratelimit.budgets import EDIT_SPACING, Urgency
from relay.slack.outcomes import Delivered

LATE_SEARCH_AFTER = 120.0
"""Seconds after a repeated post at which relay searches once more: the lost one may turn up too."""

MAX_EDIT_SECONDS = 10.0
"""Seconds that an edit may be in flight, at the most."""

BULLETIN_EDITED_EVERY, NO_ROOM_PAUSE = 60.0, 5.0
"""Seconds for which a bulletin leaves the rate limit to others, and after which it looks again."""

EDIT_DOUBT_SECONDS = 30.0
"""Seconds after an edit in doubt at which the card is edited once more: the lost edit may land late."""


def begin_post(context: CardContext, now: float, surroundings: Surroundings = NO_SURROUNDINGS) -> Step:
    """A root where there is none yet, else the next reply of the thread; `surroundings` may hold it or its pings."""
    begin = _begin_root if context.card.ts is None else _begin_reply
    here = replace(
        surroundings, channel=context.channel, attempt=context.attempt, mutes=context.mutes, storm=context.storm
    )
    return begin(context, now, here)


def begin_edit(context: CardContext, now: float, *, has_room: bool = True) -> Step:
    """The card as it should be now. Rendering shows whether it differs from the message in Slack.

    A relay that is killed while Slack answers leaves an edit in doubt. So it counts as one until the answer is known.
    Where only a reply is to be edited, that is done if the rate limit `has_room`. So is an edit of a bulletin, which
    must not delay a card that gets worse or resolves; one in a minute is done in any case.
    """
    card = context.card
    if not context.topic.can_be_shown:
        return NothingToSend(reason="not_shared", update=CardUpdate(cards=(replace(card, edit=None),)))
    if card.ts is None:
        return NothingToSend(reason="no_root", update=CardUpdate(cards=(replace(card, edit=None),)))
    if card.edit is not None and card.edit.is_reply_edit:
        return _begin_reply_edit(context, now, has_room=has_room)
    if (
        isinstance(context.topic, BulletinState)
        and not has_room
        and now - (card.edited_at or 0.0) < BULLETIN_EDITED_EVERY
    ):
        return NothingToSend(reason="no_room", update=CardUpdate(cards=(_edited_at(card, now + NO_ROOM_PAUSE),)))
    in_flight = replace(card, shown_hash="", edit_in_doubt_until=now + MAX_EDIT_SECONDS + EDIT_DOUBT_SECONDS)
    update = CardUpdate(cards=(in_flight,))
    return Edit(ts=card.ts, shown_hash=card.shown_hash, in_doubt_until=card.edit_in_doubt_until, update=update)


def _begin_reply_edit(context: CardContext, now: float, *, has_room: bool) -> Step:
    card, topic = context.card, context.topic
    step: ReplyEdit | None = None
    if isinstance(topic, BulletinState):
        if topic.outdated:
            ts = topic.outdated[0].ts or ""
            step = EditLines(ts=ts, lines=topic.outdated, version=topic.version, update=CardUpdate())
    elif (broadcast := next_over(card, now)) is not None:
        step = EditBroadcast(ts=broadcast.ts, broadcast=broadcast, update=CardUpdate())
    if step is None:
        return NothingToSend(reason="too_late", update=CardUpdate(cards=(replace(card, edit=None),)))
    if not has_room:
        return NothingToSend(reason="no_room", update=CardUpdate(cards=(_edited_at(card, now + RETRY_AFTER),)))
    return step


def _edited_at(card: Card, at: float) -> Card:
    """The card whose edit waits until then."""
    return replace(card, edit=_postpone(card.edit, at))


def without_edit_doubt(context: CardContext, step: Edit) -> CardContext:
    """The context without the doubt of an edit in flight, since its answer is known."""
    card = replace(context.card, shown_hash=step.shown_hash, edit_in_doubt_until=step.in_doubt_until)
    return replace(context, card=card)


def _begin_root(context: CardContext, now: float, surroundings: Surroundings) -> Step:
    card, topic = context.card, context.topic
    targets, held_pings = card.mention.targets(topic.state), card.held_pings
    attention: Attention | None = None
    if not isinstance(topic, BulletinState):
        attention = attend(card, topic.incident, surroundings, now)
        if (waits := _wait(context, topic.incident, attention)) is not None:
            return waits
        targets, held_pings = first_pings(card, topic.incident, attention)
    elif context.attempt is None and not topic.is_needed:
        cancelled = replace(card, state=CardState.CANCELLED, reason="nothing_to_name", post=None)
        return NothingToSend(reason="nothing_to_name", update=CardUpdate(cards=(cancelled,)))
    elif not topic.is_open or NO_PING in card.notices:
        targets = ()  # else whom a bulletin pings was decided when it was opened
    repeated = _repeated_attempt(context, now)
    if repeated is not None and NO_PING in card.notices:
        repeated = replace(repeated, targets=())  # it was rejected in between, and is too late to ping for
    attempt = repeated or Attempt(
        key=message_key(context),
        kind=ROOT,
        generation=card.generation,
        upto_seq=card.reported_seq,
        started_at=now,
        targets=targets,
        data={"after": context.newest_ts},
    )
    posting = replace(card, state=CardState.POSTING, pinged=attempt.targets)
    if repeated is None:
        posting = with_held_pings(posting, held_pings)
    if repeated is None and card.generation == 0:
        # The root shows what the first try renders. A later try, or a repost, pings as the first did, or nobody. A rise
        # in between is reported separately.
        posting = replace(
            posting,
            worst=topic.state,
            episode_worst=_worst(card.episode_worst, topic.state),
            root_seq=max(card.root_seq, topic.in_root),
        )
    posting, bulletins = _count(posting, attention if repeated is None else None)
    return PostRoot(attempt=attempt, update=CardUpdate(cards=(posting,), attempt=attempt, bulletins=bulletins))


def _count(card: Card, attention: Attention | None) -> tuple[Card, tuple[BulletinChange, ...]]:
    """The card as a new one of its channel, if it counts as one; the storm there learns whom it pings."""
    if attention is None:
        return card, ()
    storm, now = attention.question.surroundings.storm, attention.question.at
    if storm is None:
        return card, ()
    known = posted_in_storm(storm, card.channel, attention.question.incident, card.pinged, now)
    if attention.counts:
        card = replace(card, first_posted_at=now, storm_group=storm.group)
    return card, (known,) if known else ()


def _wait(context: CardContext, incident: Incident, attention: Attention) -> NothingToSend | None:
    """A card that waits, or that is held in a list, is not posted now, or never if its incident is over by now."""
    card, hold = context.card, attention.listed
    waits = card.options.wait > 0 or card.held is not None or hold is not None
    if card.post is None or not waits or context.attempt is not None:
        return None
    if not (incident.active and card.matched):
        return _cancel_waiting(card, incident, attention)
    if hold is None:
        return None
    held = hold_first_post(card, incident, attention, hold)
    if hold.reason is Reason.STORM:
        named = _named_by_storm(card, incident, attention, hold)
    else:
        named = name_in_held_list(held, incident, attention.question.at)
    return NothingToSend(reason=f"held_by_{hold.reason}", update=CardUpdate(cards=(held,), bulletins=named))


def _named_by_storm(card: Card, incident: Incident, attention: Attention, hold: Hold) -> tuple[BulletinChange, ...]:
    """What changes in the storm card; nothing if it names the incident already, and nothing has changed."""
    storm, now = attention.question.surroundings.storm, attention.question.at
    is_new = card.held is None or card.held.reason is not Reason.STORM
    if storm is None or (hold.until is None and not is_new):
        return ()
    line = incident_line(incident, card.episode, now, route=card.route)
    wanted = dict.fromkeys((*card.mention.targets(line.state), *(each.target for each in card.held_pings)))
    free, _ = attention.split(Ping.FIRST_POST, wanted)
    return (held_in_storm(storm, card.channel, line, free, now, options=card.options, is_new=is_new),)


def _cancel_waiting(card: Card, incident: Incident, attention: Attention) -> NothingToSend:
    """It is over before its time has come."""
    held = card.held is not None or attention.listed is not None
    reason = "no_longer_matched" if incident.active else "ended_while_held" if held else "ended_while_waiting"
    cancelled = replace(without_holds(card), state=CardState.CANCELLED, reason=reason, post=None)
    return NothingToSend(reason=reason, update=CardUpdate(cards=(cancelled,)))


def _begin_reply(context: CardContext, now: float, surroundings: Surroundings) -> Step:
    card, repeated = context.card, _repeated_attempt(context, now)
    entries = [entry for entry in context.entries if repeated is None or entry.seq <= repeated.upto_seq]
    whole = repeated is not None
    reply = next_reply_of(context, entries, now, whole=whole, surroundings=surroundings)
    if reply is None or not reply.entries:
        seq = reply.upto_seq if reply else max((entry.seq for entry in entries), default=card.reported_seq)
        worst = worst_shown(card, [entry for entry in entries if entry.seq <= seq])
        seq = max(seq, repeated.reported_seq_after if repeated else 0)
        held = held_by(context, [entry for entry in entries if entry.seq <= seq], now, surroundings)
        passed = replace(card, reported_seq=seq, worst=worst.recent, episode_worst=worst.episode)
        passed = _report_held(passed, card.held_pings, held, now)
        silent = _schedule_reply(context, passed, now)
        dropped = replace(repeated, state=AttemptState.DROPPED) if repeated else None
        return NothingToSend(reason="nothing_to_report", update=CardUpdate(cards=(silent,), attempt=dropped))
    attempt = repeated or Attempt(
        key=message_key(context, reply.upto_seq),
        kind=REPLY,
        generation=card.generation,
        upto_seq=reply.upto_seq,
        started_at=now,
        targets=reply.targets,
        data={
            "broadcast": reply.broadcast and not _holds_broadcasts(context, now, surroundings),
            "held_pings": [each.as_json() for each in reply.held],
            "reports_reopening": reply.reports_reopening,
            "pings_for_reopening": reply.pings_for_reopening,
            "pings_for": [str(kind) for kind in reply.pings_for],
            "reminds": any(entry.kind is EntryKind.REMINDER for entry in reply.entries),
            "worst": reply.worst.recent,
            "episode_worst": reply.worst.episode,
        },
    )
    reported = [entry for entry in entries if entry.seq <= attempt.upto_seq]
    attempt = replace(attempt, data={"digest": entries_digest(reported), **_shown_version(context), **attempt.data})
    # A later try pings those whom the first was to ping, as long as there still is a reason to.
    targets = tuple(target for target in attempt.targets if target in reply.targets)
    reply = replace(reply, targets=targets, broadcast=bool(attempt.data.get("broadcast")))
    return PostReply(attempt=attempt, reply=reply, thread=card.ts or "", update=CardUpdate(attempt=attempt))


def _shown_version(context: CardContext) -> dict[str, int]:
    """The version of a bulletin, whose reply is edited once one of its lines changes."""
    return {"version": context.topic.version} if isinstance(context.topic, BulletinState) else {}


def _repeated_attempt(context: CardContext, now: float) -> Attempt | None:
    """The attempt that was in doubt: it is made again as it was, with its range and those whom it pings."""
    attempt = context.attempt
    if attempt is None or attempt.state is not AttemptState.WAITING:
        return None
    return replace(attempt, state=AttemptState.IN_FLIGHT, tries=attempt.tries + 1, started_at=now, searches=0)


def apply_delivery(
    context: CardContext, step: SlackStep, posted: Delivered, shown: ShownRoot, now: float
) -> CardUpdate:
    """Slack has done what the step asked for."""
    match step:
        case PostRoot():
            return apply_root_delivery(context, posted, shown, now)
        case PostReply():
            return apply_reply_delivery(context, posted.ts, now)
        case Edit():
            return apply_edit_delivery(context, shown, now)
        case EditBroadcast() | EditLines():
            return end_reply_edit(context, step, now)
        case _:
            assert_never(step)


def apply_root_delivery(context: CardContext, posted: Delivered, shown: ShownRoot, now: float) -> CardUpdate:
    """The root is posted. If the record has changed since it was rendered, an edit is due."""
    kept = (each for each in without_targets(context.card.held_pings, context.card.pinged) if not each.caught_up)
    context = replace(context, card=with_held_pings(context.card, kept))
    card = replace(
        context.card,
        state=CardState.POSTED,
        reason="",
        ts=posted.ts,
        slack_channel=posted.channel,
        shown_hash=shown.fingerprint,
        shown_ended_at=shown.ended,
        edited_at=now,
        edit=_next_edit(context, shown, now),
        tries=0,
        notices=remove_notices(context.card.notices, NoticeKind.NO_PING),
        held=None,
    )
    card = _after_root(context, card, now)
    done = _complete_post(context, card, now, NoticeKind.FOR_CARD, NoticeKind.FOR_THREAD)
    return replace(done, closes_letter_at=now)


def _after_root(context: CardContext, card: Card, now: float) -> Card:
    """Reminders count from the first post, and from each that pings."""
    if isinstance(context.topic, BulletinState):
        return card
    pings = card.reminder_base is None or bool(context.attempt and context.attempt.targets)
    return after_ping(card, context.incident, now) if pings else with_due(card, context.incident)


def apply_reply_delivery(context: CardContext, ts: str, now: float) -> CardUpdate:
    """The reply is posted under that `ts`, so its entries are reported."""
    before, attempt = context.card, context.attempt
    if attempt is None:
        return CardUpdate()
    data = attempt.data
    worst = data.get("worst", before.worst)
    episode_worst = data.get("episode_worst", worst)
    card = replace(
        before,
        reported_seq=max(before.reported_seq, attempt.reported_seq_after),
        worst=worst and State(worst),
        episode_worst=_worst(before.episode_worst, episode_worst and State(episode_worst)),
        reopening_reported_at=now if data.get("reports_reopening") else before.reopening_reported_at,
        reopening_pinged_at=now if data.get("pings_for_reopening") else before.reopening_pinged_at,
        reason="",
        tries=0,
    )
    if not isinstance(context.topic, BulletinState):
        held = [HeldPing.from_json(each) for each in data.get("held_pings", ())]
        card = _report_held(card, without_targets(card.held_pings, attempt.targets), held, now)
        card = with_broadcast_edit(track(card, attempt, context.entries, ts), now)
        if data.get("reminds"):
            card = after_reminder_posted(card, context.incident, now)
        elif attempt.targets:
            card = after_ping(card, context.incident, now)
        return _complete_post(context, card, now, NoticeKind.FOR_THREAD)
    version, upto = int(data.get("version", 0)), attempt.upto_seq
    shown = ShownLines(ts=ts, version=version, after_seq=before.reported_seq, upto_seq=upto)
    if any(line.changed_in > version for line in _lines(context) if line.seq <= upto):
        card = _with_lines_edit(card, now)
    return replace(_complete_post(context, card, now, NoticeKind.FOR_THREAD), shown_lines=shown)


def _lines(context: CardContext) -> Sequence[BulletinLine]:
    return [entry for entry in context.entries if isinstance(entry, BulletinLine)]


def _with_lines_edit(card: Card, at: float) -> Card:
    """The card of a bulletin, whose replies are looked at once more: one may be out of date."""
    return card if card.edit is not None else replace(card, edit=Due(at=at, deadline=NO_DEADLINE))


def apply_edit_delivery(context: CardContext, shown: ShownRoot, now: float, *, called: bool = True) -> CardUpdate:
    """The card shows what was rendered. What has changed since is due again; `called` says whether Slack was called."""
    card = replace(
        context.card,
        shown_hash=shown.fingerprint,
        shown_ended_at=shown.ended,
        edited_at=now if called else context.card.edited_at,
        edit=_next_edit(context, shown, now),
        reason="",
        tries=0,
    )
    if card.edit_in_doubt_until is not None and now < card.edit_in_doubt_until:
        # A lost edit may still land over this one: the card is edited once more when that is over.
        card = replace(card, shown_hash="", edit=Due.on(Urgency.EDIT, card.edit_in_doubt_until).sooner(card.edit))
    else:
        card = replace(card, edit_in_doubt_until=None)
    if card.post is None and card.edit is None:
        card = replace(card, pending_since=None)  # nothing waits any more: what comes next waits from then on
    card = _with_reply_edit(context, card, now)
    others = make_way(context.cards, card, now, NoticeKind.FOR_CARD)
    return CardUpdate(cards=(card, *others), closes_letter_at=now if called else None)


def _with_reply_edit(context: CardContext, card: Card, at: float) -> Card:
    """The card with the edit of a reply due then, if one is out of date and no other edit waits."""
    if not isinstance(context.topic, BulletinState):
        return with_broadcast_edit(card, at)
    return _with_lines_edit(card, at) if context.topic.outdated else card


def end_reply_edit(context: CardContext, step: ReplyEdit, now: float) -> CardUpdate:
    """The reply is edited, or given up: perhaps another one is next."""
    if isinstance(step, EditBroadcast):
        return CardUpdate(cards=(with_broadcast_edit(without(context.card, step.ts), now),))
    is_next = context.card.edit is None or context.card.edit.is_reply_edit
    card = _with_lines_edit(replace(context.card, edit=None), now) if is_next else context.card
    return CardUpdate(cards=(card,), shown_lines=ShownLines(ts=step.ts, version=step.version))


def retry_reply_edit(context: CardContext, step: ReplyEdit, now: float) -> CardUpdate:
    """It was not edited, or nobody knows: the same edit again later."""
    if isinstance(step, EditBroadcast):
        return CardUpdate(cards=(with_broadcast_edit(context.card, now + RETRY_AFTER),))
    is_next = context.card.edit is None or context.card.edit.is_reply_edit
    return CardUpdate(cards=(_edited_at(context.card, now + RETRY_AFTER),)) if is_next else CardUpdate()


def cancel_unposted(context: CardContext, attempt: Attempt | None, now: float) -> CardUpdate:
    """The incident is over and nothing of it was posted there: nothing is posted any more."""
    card = without_holds(context.card)
    card = replace(card, state=CardState.CANCELLED, reason="ended_while_rejected", post=None, edit=None)
    return CardUpdate(cards=(card,), attempt=attempt, closes_letter_at=now)


def give_up_reply(context: CardContext, attempt: Attempt, letter: DeadLetter) -> tuple[Card, DeadLetter]:
    """A reply that is given up counts as reported, so that later ones are not stopped; the letter has its range."""
    seq = max(context.card.reported_seq, attempt.reported_seq_after)
    rest = context.more_entries or any(entry.seq > seq for entry in context.entries)
    card = replace(context.card, reported_seq=seq, post=Due.on(Urgency.REPLY, letter.since) if rest else None)
    return card, replace(letter, unreported=(context.card.reported_seq, attempt.upto_seq))


def retry_later(context: CardContext, step: SlackStep, retry_at: float) -> CardUpdate:
    """It certainly was not sent: the same again later, with the deadline it had."""
    card, attempt = replace(context.card, tries=context.card.tries + 1), context.attempt
    if isinstance(step, Edit):
        return CardUpdate(cards=(replace(card, edit=_postpone(card.edit, retry_at)),))
    if attempt is not None:
        attempt = replace(attempt, state=AttemptState.WAITING if attempt.is_repeat else AttemptState.DROPPED)
    card = replace(card, post=_postpone(card.post, retry_at))
    if card.state is CardState.POSTING:
        # Nobody was pinged. Relay decides again whom the next try pings, unless an earlier try may have arrived.
        pinged = card.pinged if attempt and attempt.state is AttemptState.WAITING else ()
        card = replace(card, state=CardState.PENDING, pinged=pinged)
    return CardUpdate(cards=(card,), attempt=attempt)


def mark_edit_in_doubt(context: CardContext, step: Edit, retry_at: float, now: float) -> CardUpdate:
    """The edit is repeated. The lost one may land late, over a newer one, so nothing counts as shown for a while."""
    card = replace(context.card, shown_hash="", edit_in_doubt_until=now + EDIT_DOUBT_SECONDS)
    return retry_later(replace(context, card=card), step, retry_at)


def _holds_broadcasts(context: CardContext, now: float, surroundings: Surroundings) -> bool:
    if isinstance(context.topic, BulletinState):
        return False  # whom it pings was decided before, and nothing held that
    return attend(context.card, context.incident, surroundings, now).broadcast is not None


def _report_held(card: Card, before: HeldPings, more: Sequence[HeldPing], now: float) -> Card:
    """The card with more held pings; it says so, unless it says so already."""
    after = merge_held(before, more)
    if after == card.held_pings:
        return card
    return replace(with_held_pings(card, after), edit=Due.on(Urgency.EDIT, now).sooner(card.edit))


def _schedule_reply(context: CardContext, card: Card, now: float) -> Card:
    """The card with the reply that is due next."""
    rest = context.more_entries or any(entry.seq > card.reported_seq for entry in context.entries)
    return replace(card, post=next_due(context, card, now), pending_since=now if rest else None)


def _next_edit(context: CardContext, shown: ShownRoot, now: float) -> Due | None:
    """While Slack was called, a share may have come, or pings may be held now; the card may be a pointer."""
    card = context.card
    if (shown.version, shown.notices, shown.held_pings) == (context.topic.version, card.notices, card.held_pings):
        return None
    if isinstance(context.topic, BulletinState):
        return bulletin_edit(context.card, now)
    at = now + EDIT_SPACING
    if context.card.edit is not None:
        at = min(at, max(now, context.card.edit.at))
    return Due.on(Urgency.EDIT, at)


def _postpone(due: Due | None, retry_at: float) -> Due:
    return replace(due, at=retry_at) if due else Due(at=retry_at, deadline=retry_at)


def _complete_post(context: CardContext, card: Card, now: float, *kinds: NoticeKind) -> CardUpdate:
    """The card with the reply that is due next; stand-ins for it (of these kinds) make way."""
    card, attempt = _schedule_reply(context, card, now), context.attempt
    if attempt is not None:
        # A repeated attempt is searched for once more: the lost one may turn up late.
        search_at = now + LATE_SEARCH_AFTER if attempt.is_repeat else None
        attempt = replace(attempt, state=AttemptState.DONE, next_search_at=search_at)
    return CardUpdate(cards=(card, *make_way(context.cards, card, now, *kinds)), attempt=attempt)


def _worst(one: State | None, other: State | None) -> State | None:
    known = [state for state in (one, other) if state is not None]
    return worst_of(*known) if known else None
