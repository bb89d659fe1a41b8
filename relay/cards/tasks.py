"""What BigPanda is to be told or asked: each thing is an errand, written down before anybody calls.

    callback   the card exists (or none will): BigPanda need not hold updates back any more
    assign     what somebody did by a button of the card
    comment
    snooze
    resolve
    reply      what somebody said in the thread, which becomes a comment
    check      how the incident stands, after a long silence or an action that no share has confirmed

An errand is known by its key, so that a click that is sent twice is one errand. `in_doubt` are comments of which nobody
knows whether BigPanda has them: they are looked for, never sent again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from relay.bigpanda.outcomes import IncidentNotFound, TaskAmbiguous, TaskDone, TaskOutcome, TaskRejected, TaskRetryable
from relay.cards.model import AttemptState, Card, CardState, Errand, ErrandKind, Story
from relay.model.incident import Deed
from relay.ratelimit.budgets import backoff

COMMENTS = (ErrandKind.COMMENT, ErrandKind.REPLY)
"""What must not be sent twice: BigPanda would show it twice, to everybody and for good."""

ACTIONS = (ErrandKind.ASSIGN, ErrandKind.COMMENT, ErrandKind.SNOOZE, ErrandKind.RESOLVE)
"""What people do by the buttons of a card."""

CONFIRMED = (*ACTIONS, ErrandKind.REPLY)
"""What a share is expected to confirm; many an integration shares neither comments nor assignments."""

AFTER = "after "
"""Begins the reason of a check that is made because no share has confirmed an errand yet."""

HELD_BACK = 240.0
"""Seconds after which the callback is made whatever became of the card: BigPanda gives up waiting after five minutes
(https://docs.bigpanda.io/docs/bigpanda-callback-service)."""

CONFIRMED_AFTER = 90.0
"""Seconds that an action's share has to come in; then BigPanda is asked how the incident stands."""

PATIENCE: Mapping[ErrandKind, float] = {
    ErrandKind.CALLBACK: 300.0,
    ErrandKind.ASSIGN: 900.0,
    ErrandKind.COMMENT: 900.0,
    ErrandKind.SNOOZE: 900.0,
    ErrandKind.RESOLVE: 900.0,
    ErrandKind.REPLY: 86_400.0,
    ErrandKind.CHECK: 3_600.0,
}
"""Seconds from being asked for until an errand is given up. Whoever pressed a button at 3:00 is told so, rather than
have an incident closed by it in the morning."""

LONGEST_PAUSE = 60.0
"""Seconds between two tries at the most."""

LOOKS = 3
"""So often a comment in doubt is looked for among the incident's activities."""
LOOK_EVERY = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """An errand with what it is about: the incident's story and its followed cards, as they are now."""

    task: Errand
    incident_state: Story
    cards: tuple[Card, ...] = ()

    @property
    def card(self) -> Card | None:
        """The card at which somebody asked for the errand; None where it is followed no more, or nobody asked."""
        where = self.task.payload.get("card")
        return next((card for card in self.cards if card.channel == where), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """What a decision about an errand changes; a story of None stays as it is. `more` are errands that follow."""

    task: Errand
    incident_state: Story | None = None
    cards: tuple[Card, ...] = ()
    follow_ups: tuple[Errand, ...] = ()


# -- BigPanda is told that the card exists ---------------------------------------------------------------------------


def callback(incident: str, integration: str, cards: Sequence[Card], now: float) -> Errand:
    """The callback for an incident that was shared through an integration for the first time.

    Due once it is settled what becomes of its first card, and in any case in time.
    """
    due = now if is_settled(cards) else now + HELD_BACK
    return Errand(
        key=f"callback:{incident}:{integration}",
        kind=ErrandKind.CALLBACK,
        incident=incident,
        created=now,
        payload={"integration": integration},
        due_at=due,
    )


_UNSETTLED = (CardState.PENDING, CardState.POSTING, CardState.IN_DOUBT)


def is_settled(cards: Sequence[Card]) -> bool:
    """Whether a card is posted, or it is settled that none will be."""
    return any(card.ts for card in cards) or not any(card.state in _UNSETTLED for card in cards)


# -- An errand is done -----------------------------------------------------------------------------------------------


def begun(matter: Matter, deed: Deed | None, now: float, *, sent: str = "") -> Dealt:
    """It is about to be sent: the deed is noted first, since the share that confirms it may come before the answer.

    `sent` is the comment as it goes out, by which it is found again should the answer be lost. What it had to wait for
    (its turn, the store) may have taken too long: then it is given up instead.
    """
    if now > matter.task.created + PATIENCE[matter.task.kind]:
        return over(matter, AttemptState.DROPPED, matter.task.reason or "too_late")
    payload = {**matter.task.payload, "sent": sent} if sent else matter.task.payload
    tries = matter.task.tries + 1
    errand = replace(matter.task, state=AttemptState.IN_FLIGHT, tries=tries, due_at=None, payload=payload)
    return Dealt(task=errand, incident_state=_with_deed(matter.incident_state, replace(deed, at=now)) if deed else None)


def over(matter: Matter, state: AttemptState, reason: str) -> Dealt:
    """Nothing more is done about it."""
    errand = replace(matter.task, state=state, reason=reason, due_at=None)
    unsent = state in {AttemptState.DROPPED, AttemptState.REJECTED}
    return Dealt(task=errand, incident_state=_without_deed(matter.incident_state, errand.key) if unsent else None)


def again(matter: Matter, reason: str, at: float) -> Dealt:
    """It is tried again, unless that would be too late. Where it surely did not happen, nobody did it until then."""
    if at > matter.task.created + PATIENCE[matter.task.kind]:
        return over(matter, AttemptState.DROPPED, reason)
    errand = replace(matter.task, state=AttemptState.WAITING, reason=reason, due_at=at)
    return Dealt(task=errand, incident_state=None if may_be_done(errand) else _without_deed(matter.incident_state, errand.key))


def broken(matter: Matter, now: float) -> Dealt:
    """Something unforeseen came in between. A comment that may have been sent by then is not sent again."""
    errand = matter.task
    if errand.state is AttemptState.IN_DOUBT:
        return looked(matter, None, "", now)
    if errand.state is AttemptState.IN_FLIGHT:
        return ruled(matter, TaskAmbiguous(reason="broke"), now)
    return again(matter, "broke", now + pause_before(errand, now))


def copied(matter: Matter, deed: Deed | None, now: float, *, sent: str) -> Dealt:
    """A comment that still waits in a copy of the database: it may have been sent since, and is looked for instead."""
    dealt = begun(matter, deed, now, sent=sent)
    if dealt.task.state is not AttemptState.IN_FLIGHT:
        return dealt
    return replace(dealt, errand=doubted(replace(matter, errand=dealt.task), "restored", now).task)


def ruled(matter: Matter, ruling: TaskOutcome, now: float) -> Dealt:
    """What follows from BigPanda's answer."""
    errand = matter.task
    match ruling:
        case TaskDone():
            return _done(matter, now)
        case TaskRetryable(reason=reason, retry_after=told):
            return again(matter, reason, now + (told if told is not None else pause(errand)))
        case TaskAmbiguous(reason=reason) if errand.kind in COMMENTS:
            return doubted(matter, reason, now)
        case TaskAmbiguous(reason=reason):  # the same once more does no harm
            return again(replace(matter, errand=_unsure(errand)), reason, now + pause(errand))
        case TaskRejected(reason=reason) if errand.kind is ErrandKind.CALLBACK:
            return again(matter, reason, now + pause(errand))  # nobody is told; somebody may mend it in time
        case IncidentNotFound(reason=reason) | TaskRejected(reason=reason):
            return over(matter, AttemptState.REJECTED, reason)
        case _:
            assert_never(ruling)


def doubted(matter: Matter, reason: str, now: float) -> Dealt:
    """Nobody knows whether BigPanda has this comment: it is looked for, and never sent again."""
    errand = replace(matter.task, state=AttemptState.IN_DOUBT, reason=reason, due_at=now + LOOK_EVERY / 4)
    return Dealt(task=errand)


def looked(matter: Matter, comments: Sequence[str] | None, sent: str, now: float) -> Dealt:
    """A comment in doubt was looked for among the incident's comments (None: they could not be read)."""
    errand = matter.task
    if comments is None:  # that says nothing of the comment: BigPanda may be away for a while
        at = now + pause_before(errand, now)
        return Dealt(task=replace(errand, due_at=at if at <= errand.created + PATIENCE[errand.kind] else None))
    if " ".join(sent.split()) in {" ".join(text.split()) for text in comments}:
        return _done(matter, now)
    looks = int(errand.payload.get("looks", 0)) + 1
    payload = {**errand.payload, "looks": looks}
    if looks >= LOOKS:
        lost = replace(errand, payload=payload, state=AttemptState.IN_DOUBT, due_at=None)
        return Dealt(task=lost)
    return Dealt(task=replace(errand, payload=payload, due_at=now + LOOK_EVERY))


def recovered(errand: Errand, now: float) -> Errand:
    """What a relay that died was about: a comment may have arrived; all else may be done once more."""
    if errand.kind in COMMENTS:
        return replace(errand, state=AttemptState.IN_DOUBT, reason="interrupted", due_at=now)
    return replace(_unsure(errand), state=AttemptState.WAITING, reason="interrupted", due_at=now)


def may_be_done(errand: Errand) -> bool:
    """Whether one of the calls that were made for it may have taken effect, though no answer said so."""
    return bool(errand.payload.get("unsure"))


def _unsure(errand: Errand) -> Errand:
    return replace(errand, payload={**errand.payload, "unsure": True})


def pause(errand: Errand) -> float:
    """Seconds until the next try."""
    return min(LONGEST_PAUSE, backoff(max(1, errand.tries), errand.key))


def pause_before(errand: Errand, now: float) -> float:
    """Seconds until it is looked once more whether a call can be made: the longer it has waited, the longer."""
    return min(LONGEST_PAUSE, max(pause(errand), (now - errand.created) / 2))


def check(incident: str, why: str, at: float, now: float) -> Errand:
    """BigPanda is to be asked how an incident stands, at that moment."""
    return Errand(
        key=f"check:{incident}:{why}",
        kind=ErrandKind.CHECK,
        incident=incident,
        created=max(now, at),
        payload={"why": why},
        due_at=at,
    )


def _done(matter: Matter, now: float) -> Dealt:
    errand = replace(matter.task, state=AttemptState.DONE, reason="", due_at=None)
    if errand.kind not in CONFIRMED:
        return Dealt(task=errand)
    asked = check(errand.incident, AFTER + errand.key, now + CONFIRMED_AFTER, now)
    return Dealt(
        task=errand, follow_ups=(replace(asked, payload={**asked.payload, "sent": errand.payload.get("sent", "")}),)
    )


def confirmed(matter: Matter) -> Dealt:
    """An errand to check is done: what BigPanda does not tell by then was not done, and names nobody later."""
    dealt = over(matter, AttemptState.DONE, "")
    return replace(dealt, story=_without_deed(matter.incident_state, checked_after(matter.task)))


def checked_after(errand: Errand) -> str:
    """The key of the errand that a check is to confirm; empty where it is made for another reason."""
    why = str(errand.payload.get("why", ""))
    return why.removeprefix(AFTER) if why.startswith(AFTER) else ""


def _with_deed(story: Story, deed: Deed) -> Story:
    known = tuple(each for each in story.record.pending_actions if each.key != deed.key)
    return replace(story, record=replace(story.record, deeds=(*known, deed)))


def _without_deed(story: Story, key: str) -> Story | None:
    """A deed that was not done must not name anybody; None where there is nothing to take back."""
    kept = tuple(each for each in story.record.pending_actions if each.key != key)
    if kept == story.record.pending_actions:
        return None
    return replace(story, record=replace(story.record, deeds=kept))
