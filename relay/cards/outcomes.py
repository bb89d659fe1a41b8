"""Decide what follows from Slack's answer to a step: every answer and every rejection has one transition.

delivered                     posted or edited; what has changed since is due again
retryable, credentials, app   certainly not sent: the same again later
channel                       certainly not sent: it waits for the channel, whose state says why
payload, thread               a dead letter; the built-in wording was tried before
edit window                   its thread goes on reporting
unknown code                  a few tries, then a dead letter
not found                     posted again
for the edit of a reply       made later, or given up without a word
ambiguous                     searched for before anything is posted again; an edit is simply made again
"""

from typing import assert_never

from relay.cards import failures, recovery, send
from relay.cards.model import IN_DOUBT, AttemptState, CardContext, CardState, CardUpdate, DeadLetter, DeliveryRules, Due
from relay.cards.notices import MAY_REPEAT, NO_EDITS, NoticeKind, add_notices
from relay.cards.stand_ins import fallback_cards
from relay.cards.steps import Edit, PostReply, PostRoot, ReplyEdit, ShownRoot, SlackStep
from relay.model.struct import replace
from relay.ratelimit.budgets import Urgency, backoff
from relay.routes.options import InDoubtPolicy
from relay.slack.outcomes import Ambiguous, Delivered, NotFound, Read, Rejected, RejectionScope, Retryable, SlackOutcome

RETRY_AFTER = 30.0
"""Seconds after which a call is repeated that Slack rejected because of relay: somebody may have acted by then."""

MAX_TRIES = 3
"""How often a call is repeated that Slack rejected with an unknown code."""


def apply_answer(  # noqa: PLR0913  all that an answer depends on
    context: CardContext, step: SlackStep, answer: SlackOutcome, shown: ShownRoot, *, rules: DeliveryRules, now: float
) -> CardUpdate:
    """What follows, for the card as it is now."""
    if isinstance(step, ReplyEdit):
        return _apply_reply_edit(context, step, answer, now)
    settled = _with_known_answer(context, step)
    return CardUpdate() if settled is None else _apply_known_answer(settled, step, answer, shown, rules=rules, now=now)


def _apply_known_answer(  # noqa: PLR0913  as above
    context: CardContext,
    step: PostRoot | PostReply | Edit,
    answer: SlackOutcome,
    shown: ShownRoot,
    *,
    rules: DeliveryRules,
    now: float,
) -> CardUpdate:
    match answer:
        case Delivered():
            return send.apply_delivery(context, step, answer, shown, now)
        case Retryable(retry_after=wait):
            return send.retry_later(context, step, now + (_backoff(context) if wait is None else wait))
        case Rejected():
            return _apply_rejection(context, step, answer, rules, now)
        case NotFound() if not isinstance(step, PostRoot):
            ts = step.ts if isinstance(step, Edit) else step.thread
            return failures.repost_lost_root(context, ts, answer.reason, now)
        case Ambiguous() | Read() | NotFound():
            return (
                send.mark_edit_in_doubt(context, step, now + _backoff(context), now)
                if isinstance(step, Edit)
                else recovery.mark_in_doubt(context, answer.reason, now)
            )
        case _:
            assert_never(answer)


def _apply_reply_edit(context: CardContext, step: ReplyEdit, answer: SlackOutcome, now: float) -> CardUpdate:
    """If Slack rejects it, nothing changes: the thread already says what happened, so relay reports nothing."""
    match answer:
        case Rejected(scope=RejectionScope.CHANNEL | RejectionScope.CREDENTIALS | RejectionScope.APP):
            return send.retry_reply_edit(context, step, now)
        case Retryable() | Ambiguous() | Read():
            return send.retry_reply_edit(context, step, now)
        case Delivered() | NotFound() | Rejected():
            return send.end_reply_edit(context, step, now)
        case _:
            assert_never(answer)


def skip_edit(context: CardContext, step: SlackStep, shown: ShownRoot, now: float) -> CardUpdate:
    """What follows where Slack need not be called, since it shows the message already."""
    settled = _with_known_answer(context, step) if isinstance(step, Edit) else None
    if settled is None:
        return CardUpdate()
    return send.apply_edit_delivery(settled, shown, now, called=False)


def give_up(context: CardContext, step: SlackStep | None, letter: DeadLetter, rules: DeliveryRules) -> CardUpdate:
    """A dead letter. The fallback shows what the card or its thread cannot. Without a step, it is a post not begun."""
    card = replace(context.card, reason=letter.reason)
    if isinstance(step, Edit):
        return CardUpdate(cards=(replace(card, edit=None),), dead_letter=letter)
    attempt = replace(context.attempt, state=AttemptState.REJECTED) if context.attempt else None
    if card.ts is None:
        return replace(failures.divert_to_fallback(context, rules, letter), attempt=attempt)
    others = fallback_cards(context, rules, letter, NoticeKind.FOR_THREAD)
    if attempt is None:
        card = replace(card, state=CardState.REJECTED, post=None)
    else:
        card, letter = send.give_up_reply(replace(context, card=card), attempt, letter)
    return CardUpdate(cards=(card, *others), attempt=attempt, dead_letter=letter)


def give_up_search(context: CardContext, reason: str, remedy: str, rules: DeliveryRules, now: float) -> CardUpdate:
    """Relay may not search. The route decides: post it again, marked as a possible repeat, or hold it as a letter."""
    card, attempt = context.card, recovery.attempt_in_doubt(context)
    if attempt is None:
        return CardUpdate()
    if card.options.in_doubt is InDoubtPolicy.REPOST or attempt.is_operator_retry:
        edit = None if card.ts is None else Due.on(Urgency.EDIT, now).sooner(card.edit)
        marked = replace(card, notices=add_notices(card.notices, MAY_REPEAT), edit=edit)
        once_more = replace(attempt, searches=recovery.MAX_SEARCHES)
        return recovery.post_again(replace(context, card=marked), once_more, now)
    letter = DeadLetter(reason=f"{IN_DOUBT}: {reason}", remedy=remedy, since=now)
    data = {**attempt.data, "from": card.reported_seq}
    held = replace(attempt, state=AttemptState.REJECTED, next_search_at=None, data=data)
    if card.ts is None:
        return replace(failures.divert_to_fallback(context, rules, letter), attempt=held)
    card, letter = send.give_up_reply(context, held, letter)
    return CardUpdate(cards=(card,), attempt=held, dead_letter=letter)


def _with_known_answer(context: CardContext, step: PostRoot | PostReply | Edit) -> CardContext | None:
    """The context for an answer to that step; None if the answer does not matter any more."""
    if isinstance(step, Edit):  # the card may have moved to another message since
        return send.without_edit_doubt(context, step) if context.card.ts == step.ts else None
    # The attempt may have been settled without this answer, and another one may be open by now.
    return context if context.attempt is not None and context.attempt.key == step.attempt.key else None


def _apply_rejection(
    context: CardContext, step: SlackStep, answer: Rejected, rules: DeliveryRules, now: float
) -> CardUpdate:
    match answer.scope:
        case RejectionScope.CHANNEL:
            return send.retry_later(context, step, now)
        case RejectionScope.CREDENTIALS | RejectionScope.APP:
            return send.retry_later(context, step, now + RETRY_AFTER)
        case RejectionScope.EDIT_WINDOW:
            card = replace(context.card, notices=add_notices(context.card.notices, NO_EDITS), edit=None)
            return CardUpdate(cards=(card,))
        case RejectionScope.CALL | RejectionScope.UNKNOWN_CODE if context.card.tries < MAX_TRIES:
            return send.retry_later(context, step, now + _backoff(context))
        case RejectionScope.PAYLOAD | RejectionScope.THREAD | RejectionScope.CALL | RejectionScope.UNKNOWN_CODE:
            letter = DeadLetter(reason=answer.reason, remedy=answer.remedy, since=now)
            return give_up(context, step, letter, rules)
        case _:
            assert_never(answer.scope)


def _backoff(context: CardContext) -> float:
    return backoff(context.card.tries + 1, key=str(context.card.id))
