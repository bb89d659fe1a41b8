"""What follows from Slack's answer to a step: every answer, and every kind of refusal, has one transition.

delivered                     shown, told; what has come since is due again
deferred, credentials, app    surely not sent: the same again later
channel                       surely not sent: it waits for the channel, whose state says why
payload, thread               a letter; the built-in wording was tried before that
edit window                   its thread goes on telling
a code nobody knows           a few tries, then a letter
gone                          posted anew
unknown                       looked for before anything is posted again; an edit is simply made again
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from relay.cards import failures, recovery, send
from relay.cards.model import Case, Change, Letter
from relay.cards.notices import THREAD
from relay.cards.send import Edit, PostRoot, Sending, Shown
from relay.model.incident import NO_WORDS, Words
from relay.ratelimit.budgets import backoff
from relay.routes.parser import Fallback
from relay.slack.outcomes import Ambiguous, Delivered, NotFound, Read, Rejected, RejectionScope, Retryable, SlackOutcome

PAUSE = 30.0
"""Seconds after which a call is made again that Slack refused for relay's sake: by then somebody may have acted."""

TRIES = 3
"""So often a call is made again that Slack refused with a code that nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What of the configuration the aftermath needs."""

    tag_labels: Words = NO_WORDS
    fallback: Fallback | None = None
    canonical_refs: Mapping[str, str] = field(default_factory=dict)


def follow(  # noqa: PLR0913  all that an answer is about
    case: Case, step: Sending, answer: SlackOutcome, shown: Shown, *, rules: Rules, now: float
) -> Change:
    """What follows, for the case as it is now."""
    if not isinstance(step, Edit) and (case.attempt is None or case.attempt.key != step.attempt.key):
        return Change()  # the attempt was settled without this answer, and another one may be open by now
    if isinstance(step, Edit):
        if send.is_stale(case, step):
            return Change()
        case = send.answered(case, step)
    return _followed(case, step, answer, shown, rules=rules, now=now)


def spared(case: Case, step: Sending, shown: Shown, now: float) -> Change:
    """What follows where Slack need not be called, since it shows the rendering already."""
    if not isinstance(step, Edit) or send.is_stale(case, step):
        return Change()
    return send.edit_delivered(send.answered(case, step), shown, now, called=False)


def _followed(  # noqa: PLR0913  all that an answer is about
    case: Case, step: Sending, answer: SlackOutcome, shown: Shown, *, rules: Rules, now: float
) -> Change:
    track = "edit" if isinstance(step, Edit) else "post"
    match answer:
        case Delivered():
            return send.delivered(case, step, answer, shown, words=rules.tag_labels, now=now)
        case Retryable():
            return send.deferred(case, track, now + _wait(case, answer.retry_after))
        case Rejected():
            return _refused(case, step, answer, rules, now)
        case NotFound() if not isinstance(step, PostRoot):
            ts = step.ts if isinstance(step, Edit) else step.thread
            return failures.gone(case, ts, rules.tag_labels, answer.reason, now)
        case Ambiguous() | Read() | NotFound():
            if track == "edit":
                return send.edit_doubted(case, now + _wait(case, None), now)
            return recovery.doubted(case, answer.reason, now)
        case _:
            assert_never(answer)


def _refused(case: Case, step: Sending, answer: Rejected, rules: Rules, now: float) -> Change:
    track = "edit" if isinstance(step, Edit) else "post"
    match answer.scope:
        case RejectionScope.CHANNEL:
            return send.deferred(case, track, now)
        case RejectionScope.CREDENTIALS | RejectionScope.APP:
            return send.deferred(case, track, now + PAUSE)
        case RejectionScope.EDIT_WINDOW:
            return failures.uneditable(case)
        case RejectionScope.CALL | RejectionScope.UNKNOWN_CODE if case.card.tries < TRIES:
            return send.deferred(case, track, now + _wait(case, None))
        case RejectionScope.PAYLOAD | RejectionScope.THREAD | RejectionScope.CALL | RejectionScope.UNKNOWN_CODE:
            return dead(case, track, Letter(reason=answer.reason, remedy=answer.remedy, since=now), rules)
        case _:
            assert_never(answer.kind)


def dead(case: Case, track: str, letter: Letter, rules: Rules) -> Change:
    """A letter; what the card or its thread cannot show, the fallback shows in its place."""
    held = failures.held(case, track, letter)
    if case.card.ts is not None:
        beside = failures.elsewhere(case, rules.fallback, rules.canonical_refs, letter, THREAD) if track == "post" else ()
        return replace(held, cards=(*held.cards, *beside))
    return replace(failures.diverted(case, rules.fallback, rules.canonical_refs, letter), attempt=held.attempt)


def held_in_doubt(case: Case, reason: str, remedy: str, rules: Rules, now: float) -> Change:
    """Relay may not look for what is in doubt: what the route says it means."""
    change = recovery.unreadable(case, reason, remedy, now)
    if change.dead_letter is None or case.card.ts is not None:
        return change
    return replace(failures.diverted(case, rules.fallback, rules.canonical_refs, change.dead_letter), attempt=change.attempt)


def _wait(case: Case, told: float | None) -> float:
    return told if told is not None else backoff(case.card.tries + 1, key=str(case.card.id))
