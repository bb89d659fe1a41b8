"""Decide what follows from Slack's answer to a step: every answer and every rejection has one transition.

delivered                     posted or edited; what has changed since is due again
retryable, credentials, app   certainly not sent: the same again later
channel                       certainly not sent: it waits for the channel, whose state says why
payload, thread               a dead letter; the built-in wording was tried before
edit window                   its thread goes on reporting
unknown code                  a few tries, then a dead letter
not found                     posted again
ambiguous                     searched for before anything is posted again; an edit is simply made again
"""

from dataclasses import replace
from typing import assert_never

from relay.cards import failures, recovery, send
from relay.cards.model import CardContext, CardUpdate, DeadLetter, DeliveryRules
from relay.cards.notices import NoticeKind
from relay.cards.send import Edit, PostRoot, ShownRoot, SlackStep
from relay.cards.stand_ins import fallback_cards
from relay.ratelimit.budgets import backoff
from relay.slack.outcomes import (
    Ambiguous,
    Delivered,
    NotFound,
    Read,
    Rejected,
    RejectionScope,
    Retryable,
    SlackOutcome,
)

RETRY_AFTER = 30.0
"""Seconds after which a call is repeated that Slack rejected because of relay: somebody may have acted by then."""

MAX_TRIES = 3
"""How often a call is repeated that Slack rejected with an unknown code."""


def apply_answer(  # noqa: PLR0913  all that an answer depends on
    context: CardContext, step: SlackStep, answer: SlackOutcome, shown: ShownRoot, *, rules: DeliveryRules, now: float
) -> CardUpdate:
    """What follows, for the card as it is now."""
    settled = _with_known_answer(context, step)
    if settled is None:
        return CardUpdate()
    context = settled
    match answer:
        case Delivered():
            return send.apply_delivery(context, step, answer, shown, tag_labels=rules.tag_labels, now=now)
        case Retryable():
            wait = _backoff(context) if answer.retry_after is None else answer.retry_after
            return send.retry_later(context, step, now + wait)
        case Rejected():
            return _apply_rejection(context, step, answer, rules, now)
        case NotFound() if not isinstance(step, PostRoot):
            ts = step.ts if isinstance(step, Edit) else step.thread
            return failures.repost_lost_root(context, ts, rules.tag_labels, answer.reason, now)
        case Ambiguous() | Read() | NotFound():
            return _mark_in_doubt(context, step, answer.reason, now)
        case _:
            assert_never(answer)


def skip_edit(context: CardContext, step: SlackStep, shown: ShownRoot, now: float) -> CardUpdate:
    """What follows where Slack need not be called, since it shows the message already."""
    settled = _with_known_answer(context, step)
    if not isinstance(step, Edit) or settled is None:
        return CardUpdate()
    return send.apply_edit_delivery(settled, shown, now, called=False)


def give_up(context: CardContext, step: SlackStep | None, letter: DeadLetter, rules: DeliveryRules) -> CardUpdate:
    """A dead letter. The fallback shows what the card or its thread cannot. Without a step, it is a post not begun."""
    update = failures.record_rejection(context, step, letter)
    if context.card.ts is None:
        diverted = failures.divert_to_fallback(context, rules, letter)
        return replace(diverted, attempt=update.attempt)
    if isinstance(step, Edit):
        return update
    others = fallback_cards(context, rules, letter, NoticeKind.FOR_THREAD)
    return replace(update, cards=(*update.cards, *others))


def give_up_search(context: CardContext, reason: str, remedy: str, rules: DeliveryRules, now: float) -> CardUpdate:
    """Relay may not search for what is in doubt: the route says what follows."""
    update = recovery.decide_unsearchable(context, reason, remedy, now)
    if update.dead_letter is None or context.card.ts is not None:
        return update
    diverted = failures.divert_to_fallback(context, rules, update.dead_letter)
    return replace(diverted, attempt=update.attempt)


def _with_known_answer(context: CardContext, step: SlackStep) -> CardContext | None:
    """The context for an answer to that step; None where the answer does not matter any more."""
    if isinstance(step, Edit):  # the card may have moved to another message since
        return send.without_edit_doubt(context, step) if context.card.ts == step.ts else None
    # The attempt may have been settled without this answer, and another one may be open by now.
    return context if context.attempt is not None and context.attempt.key == step.attempt.key else None


def _mark_in_doubt(context: CardContext, step: SlackStep, reason: str, now: float) -> CardUpdate:
    if isinstance(step, Edit):
        return send.mark_edit_in_doubt(context, now + _backoff(context), now)
    return recovery.mark_in_doubt(context, reason, now)


def _apply_rejection(
    context: CardContext, step: SlackStep, answer: Rejected, rules: DeliveryRules, now: float
) -> CardUpdate:
    match answer.scope:
        case RejectionScope.CHANNEL:
            return send.retry_later(context, step, now)
        case RejectionScope.CREDENTIALS | RejectionScope.APP:
            return send.retry_later(context, step, now + RETRY_AFTER)
        case RejectionScope.EDIT_WINDOW:
            return failures.stop_edits(context)
        case RejectionScope.CALL | RejectionScope.UNKNOWN_CODE if context.card.tries < MAX_TRIES:
            return send.retry_later(context, step, now + _backoff(context))
        case RejectionScope.PAYLOAD | RejectionScope.THREAD | RejectionScope.CALL | RejectionScope.UNKNOWN_CODE:
            letter = DeadLetter(reason=answer.reason, remedy=answer.remedy, since=now)
            return give_up(context, step, letter, rules)
        case _:
            assert_never(answer.scope)


def _backoff(context: CardContext) -> float:
    return backoff(context.card.tries + 1, key=str(context.card.id))
