"""Carries one step to Slack, and keeps what follows from the answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

import structlog

from relay.cards.draw import PermalinkBuilder, draw_step
from relay.cards.model import Card, CardContext, CardUpdate, Channel, ChannelState
from relay.cards.outcomes import apply_answer, skip_edit
from relay.cards.send import Edit, PostReply, PostRoot, ShownRoot, SlackStep
from relay.config.configuration import Configuration
from relay.delivery.channels import PROBE_EVERY
from relay.delivery.context import DeliveryContext, card_fields
from relay.http.session import check_before_send
from relay.metrics import MessageKind
from relay.model.errors import LeaseLost, StoreError, StoreUnusable
from relay.rendering.request import RenderedMessage
from relay.slack.client import Marker
from relay.slack.message import Message
from relay.slack.methods import Method
from relay.slack.outcomes import Ambiguous, Delivered, NotFound, Read, Rejected, RejectionScope, Retryable, SlackOutcome
from relay.store.types import Lease, SlackCall

log = structlog.get_logger("relay.delivery")

STORE_RETRY_PAUSE = 1.0
"""Seconds between tries to write down what Slack answered, while the store cannot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCall:
    """A step with the message that it sends; `called` is False where Slack shows it already."""

    case: CardContext
    step: SlackStep
    message: Message
    shown: ShownRoot
    needs_call: bool = True

    @property
    def lane(self) -> str:
        """The channel whose line of work it is in."""
        return self.case.channel.ref

    @property
    def was_in_doubt(self) -> bool:
        """Whether it was in doubt before, so that it is looked for once more."""
        return not isinstance(self.step, Edit) and self.step.attempt.is_repeat

    @property
    def method(self) -> Method:
        """The method that it calls."""
        return Method.EDIT if isinstance(self.step, Edit) else Method.POST

    @property
    def content(self) -> MessageKind:
        """What it sends, by the word that metrics have for it."""
        return _WHATS[type(self.step)]

    @property
    def entry_count(self) -> int:
        """How many entries it tells."""
        return len(self.step.reply.entries) if isinstance(self.step, PostReply) else 0

    def delay(self, now: float) -> float:
        """Seconds since the share that asked for it; the `wait` of a route does not count."""
        card = self.case.card
        if isinstance(self.step, PostRoot):
            return now - card.first_matched_at - card.options.wait
        due = card.edit if isinstance(self.step, Edit) else card.post
        asked = [moment for moment in (card.pending_since, due.at if due else None) if moment is not None]
        return now - min(asked, default=now)


class Executor:
    """One call to Slack at a time; many may be under way, each for another card."""

    def __init__(self, kit: DeliveryContext, live: Callable[[], Configuration], link: PermalinkBuilder) -> None:
        """`live` gives the configuration of the moment, `link` the address of a message."""
        self._kit = kit
        self._live = live
        self._link = link

    def prepare(self, case: CardContext, step: SlackStep) -> PreparedCall:
        """Render what the step says: nothing is sent yet, and nothing waits.

        Raises:
            Exception: not even relay's own wording can be made of it. It is to be `unmade`.
        """
        now = self._kit.clock.now()
        try:
            drawn = draw_step(self._live(), case, step, self._link, now)
        except Exception:
            log.exception("not_drawn", builtin=False, **card_fields(case.card))
            drawn = draw_step(self._live().without_templates, case, step, self._link, now)
        self._report(drawn.context, drawn.rendered)
        return PreparedCall(
            case=drawn.context, step=step, message=drawn.rendered.message, shown=drawn.shown, needs_call=drawn.called
        )

    async def record_unrendered(
        self, case: CardContext, step: SlackStep, error: Exception, lease: Lease | None
    ) -> bool:
        """Write down that a step is surely not sent, since it could not be made; returns True once that is done.

        It is made anew with ever longer pauses: by then there may be another template, or another relay.

        Raises:
            LeaseLost: another relay delivers now.
        """
        log.error("not_drawn", builtin=True, exc_info=error, **card_fields(case.card))
        now, rules, answer = self._kit.clock.now(), self._kit.rules(), Retryable(reason="not_drawn")

        def finish(known: CardContext) -> CardUpdate:
            return apply_answer(known, step, answer, _NOTHING, rules=rules, now=now)

        await self._settle(case.card, lease, None, finish)
        return True

    async def execute(self, parcel: PreparedCall, lease: Lease | None) -> bool:
        """Call Slack if there is anything to say, and write down what came of it, however long the store takes.

        Returns True, once all of that is done.

        Raises:
            LeaseLost: another relay delivers now.
        """
        now = self._kit.clock.now()
        if not parcel.needs_call:
            shown = parcel.shown
            self._kit.metrics.record_skipped(parcel.content, "unchanged")
            await self._settle(parcel.case.card, lease, None, lambda case: skip_edit(case, parcel.step, shown, now))
            return True
        answer = await self._answered(parcel)
        now = self._kit.clock.now()
        _log(parcel, answer)
        self._kit.metrics.record_sent(parcel.content, answer, entries=parcel.entry_count, delay=parcel.delay(now))
        call = SlackCall(method=parcel.method, at=now, answer=_told(answer))
        rules = self._kit.rules()
        try:
            await self._settle(
                parcel.case.card,
                lease,
                call,
                lambda case: apply_answer(case, parcel.step, answer, parcel.shown, rules=rules, now=now),
            )
        except LeaseLost:
            await self._take_back(parcel, answer)
            raise
        if isinstance(answer, Ambiguous) and parcel.method is Method.POST:
            self._kit.doubts[parcel.lane] += 1  # at once: the lane's next post may be the one too many
        if not isinstance(answer, Delivered | Retryable) or parcel.was_in_doubt:
            self._kit.wake_all()  # doubt, a refusal, a loss, a last look: others than the pumps have work now
        return True

    async def _answered(self, parcel: PreparedCall) -> SlackOutcome:
        """Slack's answer, after what can be mended on the spot: a channel not joined, a message Slack does not take."""
        answer = await self._noted(parcel)
        match answer:
            case Rejected(reason="not_in_channel"):
                joined = await self._kit.slack.join(parcel.case.channel.slack_id or "")
                if isinstance(joined, Read):
                    answer = await self._noted(parcel)
            case Rejected(scope=RejectionScope.PAYLOAD):
                log.error("payload_refused", code=answer.code, detail=answer.detail, **card_fields(parcel.case.card))
                answer = await self._noted(self._degraded(parcel))
            case Delivered(stray=True):
                answer = await self._stray(answer)
            case _:
                pass
        if isinstance(answer, Rejected) and answer.scope is RejectionScope.CHANNEL:
            await self._close_channel(parcel, answer)
        if isinstance(answer, Delivered) and parcel.case.channel.reason and parcel.method is Method.POST:
            await self._acquit_channel(parcel)
        return answer

    async def _stray(self, stray: Delivered) -> SlackOutcome:
        """A reply that stands in the channel is taken back; while it stands there it is in doubt, and looked for."""
        with check_before_send(None):  # it is ours, whoever delivers by now
            deleted = await self._kit.door.delete(stray.channel, stray.ts)
        self._kit.record_answer(Method.DELETE, deleted)
        if isinstance(deleted, Delivered):
            return NotFound(code="stray_reply", reason="root_gone")
        return Ambiguous(reason="stray_stands")

    async def _noted(self, parcel: PreparedCall) -> SlackOutcome:
        answer = await self._call(parcel)
        self._kit.record_answer(parcel.method, answer, parcel.lane)
        return answer

    def _degraded(self, parcel: PreparedCall) -> PreparedCall:
        """The same in relay's own wording: it is our fault, or a template's, and the reader is to have something."""
        drawn = draw_step(self._live().without_templates, parcel.case, parcel.step, self._link, self._kit.clock.now())
        return replace(parcel, message=drawn.rendered.message)

    async def _close_channel(self, parcel: PreparedCall, answer: Rejected) -> None:
        """A channel's refusal is the channel's state, found once and not once for each card."""
        channel = parcel.case.channel
        log.error("channel_refuses", **card_fields(parcel.case.card), reason=answer.reason, remedy=answer.remedy)
        again = self._kit.clock.now() + PROBE_EVERY
        await self._mark(replace(channel, state=ChannelState.REJECTED, reason=answer.reason, retry_at=again))

    async def _acquit_channel(self, parcel: PreparedCall) -> None:
        """A channel that took nothing has taken a message: what waits for it need not wait any more."""
        await self._mark(replace(parcel.case.channel, reason=""))
        self._kit.wake_all()

    async def _mark(self, channel: Channel) -> None:
        try:
            await self._kit.store.update_channel(channel)
        except StoreError as error:
            # The next answer finds it again; what Slack answered now is still to be written down.
            log.error("channel_not_marked", channel=channel.ref, detail=str(error))  # noqa: TRY400  it says all

    async def _take_back(self, parcel: PreparedCall, answer: SlackOutcome) -> None:
        """The answer came under a past lease: what was posted goes, unless its successor has found and kept it."""
        if not isinstance(answer, Delivered) or isinstance(parcel.step, Edit):
            return
        case = await self._kit.store.card_context(parcel.case.card.id)
        posted_again = isinstance(parcel.step, PostRoot) and case.card.ts not in {None, answer.ts}
        if posted_again:
            log.warning("taken_back", **card_fields(case.card), reason="lease_lost", ts=answer.ts)
            with check_before_send(None):
                await self._kit.door.delete(answer.channel, answer.ts)

    async def _call(self, parcel: PreparedCall) -> SlackOutcome:
        channel, step = parcel.case.channel.slack_id or "", parcel.step
        incident = parcel.case.card.incident
        match step:
            case PostRoot():
                marker = Marker(event_type="relay_card", incident=incident, key=step.attempt.key)
                return await self._kit.slack.post(channel, parcel.message, marker=marker)
            case PostReply():
                marker = Marker(event_type="relay_entry", incident=incident, key=step.attempt.key)
                return await self._kit.slack.post(
                    parcel.case.card.slack_channel or channel,
                    parcel.message,
                    marker=marker,
                    thread_ts=step.thread,
                    broadcast=step.reply.broadcast,
                )
            case Edit():
                return await self._kit.slack.edit(parcel.case.card.slack_channel or channel, step.ts, parcel.message)
            case _:
                assert_never(step)

    async def _settle(
        self, card: Card, lease: Lease | None, call: SlackCall | None, finish: Callable[[CardContext], CardUpdate]
    ) -> None:
        """An answer that is not written down is doubt after the next start, so this does not give up."""
        while True:
            try:
                await self._kit.store.update_card(card.id, finish, call, lease=lease)
            except StoreUnusable as error:
                log.error("settle_failed", **card_fields(card), detail=str(error))  # noqa: TRY400  it says all
                await self._kit.clock.sleep(STORE_RETRY_PAUSE)
            else:
                return

    def _report(self, case: CardContext, rendered: RenderedMessage) -> None:
        """A template that failed did not cost the message; whoever looks after it reads where."""
        for failure in rendered.failures:
            self._kit.metrics.record_template_failure(failure.file)
            log.warning(
                "template_failed",
                file=failure.file,
                line=failure.line,
                detail=failure.message,
                builtin=rendered.builtin,
                **card_fields(case.card),
            )


_NOTHING = ShownRoot(fingerprint="", version=-1, ended=None)

_WHATS: Mapping[type[SlackStep], MessageKind] = {PostRoot: "root", PostReply: "reply", Edit: "edit"}


def _told(answer: SlackOutcome) -> dict[str, object]:
    """The answer as `relay incident` shows it."""
    names = ("channel", "ts", "code", "reason", "remedy", "detail", "missing_scopes", "retry_after")
    return {"answer": type(answer).__name__} | {
        name: value for name in names if (value := getattr(answer, name, None)) not in {None, ""}
    }


def _log(parcel: PreparedCall, answer: SlackOutcome) -> None:
    told = log.info if isinstance(answer, Delivered) else log.warning
    told(
        "slack_answered",
        method=str(parcel.method),
        step=type(parcel.step).__name__,
        answer=type(answer).__name__,
        reason=answer.reason,
        **card_fields(parcel.case.card),
    )
