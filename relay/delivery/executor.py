"""Makes the call of one step, and stores what follows from the answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import assert_never

import structlog

from relay.cards.draw import PermalinkBuilder, draw_step, drawn_step, render_step
from relay.cards.markers import marker
from relay.cards.model import Card, CardContext, CardUpdate, Channel, ChannelState
from relay.cards.outcomes import apply_answer, skip_edit
from relay.cards.steps import (
    EDITS,
    Edit,
    EditBroadcast,
    EditLines,
    PostReply,
    PostRoot,
    ReplyEdit,
    ShownRoot,
    SlackStep,
)
from relay.delivery.channels import PROBE_EVERY
from relay.delivery.context import DeliveryContext, card_fields
from relay.delivery.render_process import RenderProcess, TemplateAbandoned
from relay.delivery.supervision import save_result
from relay.http.session import check_before_send
from relay.metrics import MessageKind
from relay.model.errors import LeaseLost, StoreError
from relay.model.struct import replace
from relay.rendering.request import RenderedMessage, TemplateFailure
from relay.runtime.logging import REPORT_IT
from relay.slack.message import Message
from relay.slack.methods import Method
from relay.slack.outcomes import Ambiguous, Delivered, NotFound, Read, Rejected, RejectionScope, Retryable, SlackOutcome
from relay.store.types import SlackCall

log = structlog.get_logger("relay.delivery")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCall:
    """A step with the message that it sends. `needs_call` is False where Slack already shows the message."""

    context: CardContext
    step: SlackStep
    message: Message
    shown: ShownRoot
    needs_call: bool = True

    @property
    def method(self) -> Method:
        """The method that it calls."""
        return Method.EDIT if isinstance(self.step, EDITS) else Method.POST

    @property
    def slack_channel(self) -> str:
        """The id of the channel that it goes to: where the card is, if it is posted."""
        posted_in = None if isinstance(self.step, PostRoot) else self.context.card.slack_channel
        return posted_in or self.context.channel.slack_id or ""

    @property
    def kind(self) -> MessageKind:
        """What it sends, as metrics name it."""
        return _KINDS[type(self.step)]

    @property
    def is_repeat(self) -> bool:
        """Whether an earlier attempt was in doubt, so that Slack is searched once more afterwards."""
        return isinstance(self.step, PostRoot | PostReply) and self.step.attempt.is_repeat

    @property
    def pings(self) -> bool:
        """Whether it pings somebody."""
        match self.step:
            case PostRoot():
                return bool(self.step.attempt.targets) and self.context.topic.is_open
            case PostReply():
                return bool(self.step.reply.targets)
            case _:
                return False  # Slack notifies nobody of an edit

    @property
    def entry_count(self) -> int:
        """How many thread entries it reports."""
        return len(self.step.reply.entries) if isinstance(self.step, PostReply) else 0

    def delay(self, now: float) -> float:
        """Return the seconds since the share that asked for it, without the `wait` of the route, or since a hold."""
        card = self.context.card
        if isinstance(self.step, PostRoot):
            held_until = card.pending_since if card.held and card.pending_since else 0.0
            return now - max(card.first_matched_at + card.options.wait, held_until)
        due = card.edit if isinstance(self.step, EDITS) else card.post
        asked_at = [moment for moment in (card.pending_since, due.at if due else None) if moment is not None]
        return now - min(asked_at, default=now)


class Executor:
    """Makes calls, each for another card; many may be in progress."""

    def __init__(self, shared: DeliveryContext, process: RenderProcess) -> None:
        """`process` renders."""
        self._process = process
        self._shared = shared
        self._link: PermalinkBuilder = shared.message_link

    async def prepare(self, context: CardContext, step: SlackStep) -> PreparedCall:
        """Render what the step says; nothing is sent yet.

        Raises Exception: not even the built-in templates can render it. Call `record_unrendered` with it.
        """
        now, configuration = self._shared.clock.now(), self._shared.live()
        try:
            rendered = await self._process.render(configuration, context, step, self._link, now)
        except TemplateAbandoned as abandoned:
            failure = TemplateFailure(file=f"{context.card.options.template}/", line=0, message=str(abandoned))
            rendered = render_step(configuration.without_templates, context, step, self._link, now)
            rendered = replace(rendered, failures=(failure,))
        except Exception:
            detail = f"Unexpected error while rendering; relay uses the built-in template. {REPORT_IT}"
            log.exception("render_failed", builtin=False, **card_fields(context.card), detail=detail)
            rendered = render_step(configuration.without_templates, context, step, self._link, now)
        drawn = drawn_step(context, step, rendered)
        self._report_failures(drawn.context.card, drawn.rendered)
        return PreparedCall(
            context=drawn.context,
            step=step,
            message=drawn.rendered.message,
            shown=drawn.shown,
            needs_call=drawn.needs_call,
        )

    async def record_unrendered(self, context: CardContext, step: SlackStep, error: Exception) -> None:
        """Store that a step was not sent, since it could not be rendered, however long the store takes.

        It is retried with ever longer pauses: by then there may be another template, or another relay.

        Raises LeaseLost: another relay delivers now.
        """
        detail = f"Not even the built-in template can be rendered; relay tries again later. {REPORT_IT}"
        log.error("render_failed", builtin=True, exc_info=error, **card_fields(context.card), detail=detail)
        now, rules, answer = self._shared.clock.now(), self._shared.rules(), Retryable(reason="not_rendered")

        def decide(current: CardContext) -> CardUpdate:
            return apply_answer(current, step, answer, _NOTHING_SHOWN, rules=rules, now=now)

        await self._save(context.card, None, decide)

    async def execute(self, call: PreparedCall) -> None:
        """Call Slack if needed, and store what follows, however long the store takes.

        Raises LeaseLost: another relay delivers now.
        """
        now = self._shared.clock.now()
        if not call.needs_call:
            self._shared.metrics.record_skipped(call.kind, "unchanged")
            await self._save(call.context.card, None, lambda current: skip_edit(current, call.step, call.shown, now))
            return
        answer = await self._answer(call)
        now, rules = self._shared.clock.now(), self._shared.rules()
        _log_answer(call, answer)
        self._shared.metrics.record_sent(call.kind, answer, entries=call.entry_count, delay=call.delay(now))
        if call.pings and isinstance(answer, Delivered):
            self._shared.metrics.record_ping(call.context.card.route)

        def decide(current: CardContext) -> CardUpdate:
            return apply_answer(current, call.step, answer, call.shown, rules=rules, now=now)

        made = SlackCall(method=call.method, at=now, answer=_as_json(answer))
        try:
            await self._save(call.context.card, made, decide)
        except LeaseLost:
            await self._delete_if_reposted(call, answer)
            raise
        if isinstance(answer, Ambiguous) and call.method is Method.POST:
            self._shared.doubts[call.context.channel.ref] += 1  # at once: one more doubt may stop the channel's posts
        if not isinstance(answer, Delivered | Retryable) or call.is_repeat:
            self._shared.wake_all()  # the reconciler, repair or the channel resolver has work now

    async def _answer(self, call: PreparedCall) -> SlackOutcome:
        """Call Slack, and correct at once what relay can: a channel not joined, a message that Slack rejects."""
        answer = await self._send(call)
        match answer:
            case Rejected(reason="not_in_channel"):
                joined = await self._shared.slack.join(call.context.channel.slack_id or "")
                if isinstance(joined, Read):
                    answer = await self._send(call)
            case Rejected(scope=RejectionScope.PAYLOAD):
                log.error("message_rejected", code=answer.code, detail=answer.detail, **card_fields(call.context.card))
                # without the operator's templates, so that the reader gets a message
                now = self._shared.clock.now()
                drawn = draw_step(self._shared.live().without_templates, call.context, call.step, self._link, now)
                answer = await self._send(replace(call, message=drawn.rendered.message))
            case Delivered(stray=True):
                answer = await self._delete_stray(answer)
            case _:
                pass
        if isinstance(answer, Rejected) and answer.scope is RejectionScope.CHANNEL:
            # now, so that its other cards need not find that out
            detail = "The channel accepts no messages. Its cards go to the fallback channel until that is repaired."
            fields = {**card_fields(call.context.card), "reason": answer.reason, "remedy": answer.remedy}
            log.error("channel_rejected", **fields, detail=detail)
            channel, retry_at = call.context.channel, self._shared.clock.now() + PROBE_EVERY
            await self._update_channel(
                replace(channel, state=ChannelState.REJECTED, reason=answer.reason, retry_at=retry_at)
            )
        if isinstance(answer, Delivered) and call.context.channel.reason and call.method is Method.POST:
            await self._update_channel(replace(call.context.channel, reason=""))  # it takes messages again
            self._shared.wake_all()
        return answer

    async def _send(self, call: PreparedCall) -> SlackOutcome:
        slack, step, shared = self._shared.slack, call.step, self._shared
        if isinstance(step, ReplyEdit):
            return await slack.edit(call.slack_channel, step.ts, call.message)  # its marker stays
        marked = marker(call.context, step, instance=shared.instance, secret=shared.marker_secret)
        match step:
            case PostRoot():
                return await slack.post(call.slack_channel, call.message, marker=marked)
            case PostReply():
                thread, broadcast = step.thread, step.reply.broadcast
                return await slack.post(
                    call.slack_channel, call.message, marker=marked, thread_ts=thread, broadcast=broadcast
                )
            case Edit():
                return await slack.edit(call.slack_channel, step.ts, call.message, marker=marked)
            case _:
                assert_never(step)

    async def _delete_stray(self, stray: Delivered) -> SlackOutcome:
        """Delete a reply that is in the channel instead of the thread; until then it is in doubt, and searched for."""
        with check_before_send(None):  # it is this relay's message, even if another relay is the leader by now
            deleted = await self._shared.slack.delete(stray.channel, stray.ts)
        if isinstance(deleted, Delivered):
            return NotFound(code="stray_reply", reason="root_gone")
        return Ambiguous(reason="stray_stands")

    async def _delete_if_reposted(self, call: PreparedCall, answer: SlackOutcome) -> None:
        """Delete a card whose answer came after the lease was lost, if the next leader has posted it again."""
        if not isinstance(answer, Delivered) or not isinstance(call.step, PostRoot):
            return
        context = await self._shared.store.card_context(call.context.card.id)
        if context.card.ts not in {None, answer.ts}:
            detail = "Another relay posted this card meanwhile; relay deletes its own copy."
            log.info("duplicate_deleted", **card_fields(context.card), reason="lease_lost", ts=answer.ts, detail=detail)
            with check_before_send(None):
                await self._shared.slack.delete(answer.channel, answer.ts)

    async def _update_channel(self, channel: Channel) -> None:
        try:
            await self._shared.store.update_channel(channel)
        except StoreError as error:
            # The next answer says the same about the channel; this answer still has to be stored.
            log.error("channel_not_saved", channel=channel.ref, detail=str(error))  # noqa: TRY400  the message says it all

    async def _save(self, card: Card, call: SlackCall | None, decide: Callable[[CardContext], CardUpdate]) -> None:
        save = partial(self._shared.update_card, card.id, decide, call)
        await save_result(save, self._shared.clock, card_fields(card))

    def _report_failures(self, card: Card, rendered: RenderedMessage) -> None:
        """Report parts of templates that failed: the message goes out without them."""
        for failure in rendered.failures:
            self._shared.metrics.record_template_failure(failure.file)
            log.warning(
                "template_failed",
                file=failure.file,
                line=failure.line,
                detail=failure.message,
                builtin=rendered.builtin,
                **card_fields(card),
            )


_NOTHING_SHOWN = ShownRoot(fingerprint="", version=-1, ended=None)

_KINDS: Mapping[type[SlackStep], MessageKind] = {
    PostRoot: "root",
    PostReply: "reply",
    Edit: "edit",
    EditBroadcast: "edit",
    EditLines: "edit",
}


_ANSWERS: Mapping[str, str] = {
    Delivered.outcome: "delivered",
    Read.outcome: "read",
    Retryable.outcome: "not accepted for now",
    Rejected.outcome: "rejected",
    NotFound.outcome: "not found",
    Ambiguous.outcome: "answer lost",
}


def _as_json(answer: SlackOutcome) -> dict[str, object]:
    """Return the answer as `relay incident` shows it."""
    names = ("channel", "ts", "code", "reason", "remedy", "detail", "missing_scopes", "retry_after")
    values = {name: getattr(answer, name, None) for name in names}
    return {"answer": _ANSWERS[answer.outcome]} | {
        name: value for name, value in values.items() if value not in {None, ""}
    }


_NAMES: Mapping[MessageKind, str] = {"root": "card", "reply": "reply", "edit": "edit"}
_DONE: Mapping[MessageKind, str] = {
    "root": "Posted the card.",
    "reply": "Replied in the thread.",
    "edit": "Edited the card.",
}


def _log_answer(call: PreparedCall, answer: SlackOutcome) -> None:
    """Log one line that a person can read; an edit that worked is a detail."""
    delivered = isinstance(answer, Delivered)
    write = log.warning if not delivered else log.debug if call.kind == "edit" else log.info
    write(
        "slack_answered",
        message=_NAMES[call.kind],
        outcome=answer.outcome,
        reason=answer.reason,
        detail=_described(call.kind, answer),
        **card_fields(call.context.card),
    )


def _described(kind: MessageKind, answer: SlackOutcome) -> str:
    """Return a sentence about the result of a message."""
    name = _NAMES[kind]
    match answer:
        case Delivered():
            return _DONE[kind]
        case Retryable():
            return f"Slack did not accept the {name} for now ({answer.reason}); relay tries again."
        case Ambiguous() if kind == "edit":
            return f"Slack's answer to the edit was lost ({answer.reason}); relay edits the card again."
        case Ambiguous():
            return f"Slack's answer to the {name} was lost ({answer.reason}); relay searches Slack for it."
        case NotFound():
            return f"Slack does not have the card or its thread any more ({answer.reason})."
        case _:
            return f"Slack rejected the {name} ({answer.reason})."
