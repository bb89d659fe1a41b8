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
from relay.cards.model import CardContext, CardUpdate, DeadLetter
from relay.cards.notices import THREAD
from relay.cards.send import Edit, PostRoot, ShownRoot, SlackStep
from relay.model.tag_labels import NO_TAG_LABELS, TagLabels
from relay.ratelimit.budgets import backoff
from relay.routes.rulebook import Fallback
from relay.slack.outcomes import Ambiguous, Delivered, NotFound, Read, Rejected, RejectionScope, Retryable, SlackOutcome

RETRY_AFTER = 30.0
"""Seconds after which a call is made again that Slack refused for relay's sake: by then somebody may have acted."""

MAX_TRIES = 3
"""So often a call is made again that Slack refused with a code that nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRules:
    """What of the configuration the aftermath needs."""

    tag_labels: TagLabels = NO_TAG_LABELS
    fallback: Fallback | None = None
    canonical_refs: Mapping[str, str] = field(default_factory=dict)


def apply_answer(  # noqa: PLR0913  all that an answer is about
    case: CardContext, step: SlackStep, answer: SlackOutcome, shown: ShownRoot, *, rules: DeliveryRules, now: float
) -> CardUpdate:
    """What follows, for the case as it is now."""
    if not isinstance(step, Edit) and (case.attempt is None or case.attempt.key != step.attempt.key):
        return CardUpdate()  # the attempt was settled without this answer, and another one may be open by now
    if isinstance(step, Edit):
        if send.is_edit_obsolete(case, step):
            return CardUpdate()
        case = send.without_edit_doubt(case, step)
    return _followed(case, step, answer, shown, rules=rules, now=now)


def skip_edit(case: CardContext, step: SlackStep, shown: ShownRoot, now: float) -> CardUpdate:
    """What follows where Slack need not be called, since it shows the rendering already."""
    if not isinstance(step, Edit) or send.is_edit_obsolete(case, step):
        return CardUpdate()
    return send.apply_edit_delivery(send.without_edit_doubt(case, step), shown, now, called=False)


def _followed(  # noqa: PLR0913  all that an answer is about
    case: CardContext, step: SlackStep, answer: SlackOutcome, shown: ShownRoot, *, rules: DeliveryRules, now: float
) -> CardUpdate:
    track = "edit" if isinstance(step, Edit) else "post"
    match answer:
        case Delivered():
            return send.apply_delivery(case, step, answer, shown, words=rules.tag_labels, now=now)
        case Retryable():
            return send.retry_later(case, track, now + _wait(case, answer.retry_after))
        case Rejected():
            return _refused(case, step, answer, rules, now)
        case NotFound() if not isinstance(step, PostRoot):
            ts = step.ts if isinstance(step, Edit) else step.thread
            return failures.repost_lost_root(case, ts, rules.tag_labels, answer.reason, now)
        case Ambiguous() | Read() | NotFound():
            if track == "edit":
                return send.mark_edit_in_doubt(case, now + _wait(case, None), now)
            return recovery.mark_in_doubt(case, answer.reason, now)
        case _:
            assert_never(answer)


def _refused(case: CardContext, step: SlackStep, answer: Rejected, rules: DeliveryRules, now: float) -> CardUpdate:
    track = "edit" if isinstance(step, Edit) else "post"
    match answer.scope:
        case RejectionScope.CHANNEL:
            return send.retry_later(case, track, now)
        case RejectionScope.CREDENTIALS | RejectionScope.APP:
            return send.retry_later(case, track, now + RETRY_AFTER)
        case RejectionScope.EDIT_WINDOW:
            return failures.stop_edits(case)
        case RejectionScope.CALL | RejectionScope.UNKNOWN_CODE if case.card.tries < MAX_TRIES:
            return send.retry_later(case, track, now + _wait(case, None))
        case RejectionScope.PAYLOAD | RejectionScope.THREAD | RejectionScope.CALL | RejectionScope.UNKNOWN_CODE:
            return give_up(case, track, DeadLetter(reason=answer.reason, remedy=answer.remedy, since=now), rules)
        case _:
            assert_never(answer.kind)


def give_up(case: CardContext, track: str, letter: DeadLetter, rules: DeliveryRules) -> CardUpdate:
    """A letter; what the card or its thread cannot show, the fallback shows in its place."""
    held = failures.record_rejection(case, track, letter)
    if case.card.ts is not None:
        beside = (
            failures.fallback_cards(case, rules.fallback, rules.canonical_refs, letter, THREAD)
            if track == "post"
            else ()
        )
        return replace(held, cards=(*held.cards, *beside))
    return replace(
        failures.divert_to_fallback(case, rules.fallback, rules.canonical_refs, letter), attempt=held.attempt
    )


def give_up_search(case: CardContext, reason: str, remedy: str, rules: DeliveryRules, now: float) -> CardUpdate:
    """Relay may not look for what is in doubt: what the route says it means."""
    change = recovery.decide_unsearchable(case, reason, remedy, now)
    if change.dead_letter is None or case.card.ts is not None:
        return change
    return replace(
        failures.divert_to_fallback(case, rules.fallback, rules.canonical_refs, change.dead_letter),
        attempt=change.attempt,
    )


def _wait(case: CardContext, told: float | None) -> float:
    return told if told is not None else backoff(case.card.tries + 1, key=str(case.card.id))
