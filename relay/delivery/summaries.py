"""Posts the summaries of channels when their time comes, each slot once; a failing one does not delay the others."""

from collections.abc import Mapping
from typing import Final

import structlog

from relay.cards.summaries import (
    DueSlots,
    SummaryKey,
    SummaryOutcome,
    SummaryProgress,
    described_since,
    due_slots,
    key_of,
    next_slot,
    progress_of,
    summary_message,
)
from relay.delivery.context import DeliveryContext
from relay.model.errors import LeaseLost, StoreUnusable
from relay.model.struct import replace
from relay.routes.hours import Hours
from relay.routes.summary import Summary
from relay.runtime.logging import utc

log = structlog.get_logger("relay.delivery")

CHECK_EVERY: Final = 60.0
"""Seconds after which is checked in any case: somebody may set the clock."""

SETTLE_EVERY: Final = 10.0
"""Seconds after which is checked whether a message is posted."""

DRAIN_PAUSE: Final = 0.2
"""Seconds to wait for shares that came before and are not planned yet."""

DETAILS: Final[Mapping[SummaryOutcome, str]] = {
    SummaryOutcome.BEGUN: "Its message goes to Slack now.",
    SummaryOutcome.POSTED: "Its message is in Slack.",
    SummaryOutcome.NOTHING_TO_SAY: "Nothing is open, and nothing was resolved: there is no message.",
    SummaryOutcome.SKIPPED: "It is more than two hours late, so it is not posted.",
}


class Summaries:
    """Decides the slots of all summaries of the live configuration."""

    def __init__(self, shared: DeliveryContext) -> None:
        self._shared = shared
        self._hash = ""
        self._on_their_way = 0

    async def begin(self) -> None:
        """Start again: a message that an earlier relay began may be on its way."""
        self._hash, self._on_their_way = "", 1

    async def decide_due(self) -> float | None:
        """Decide every slot that is due; return when to look again."""
        live, now = self._shared.live(), self._shared.clock.now()
        await self._settle()
        rulebook, until = live.rulebook, [now + SETTLE_EVERY] if self._on_their_way else []
        if rulebook.summaries or live.hash != self._hash:
            progress = await self._progress(rulebook.summaries)
            self._hash = live.hash
            until += [await self._look(each, progress[key_of(each)], rulebook.hours) for each in rulebook.summaries]
        return min(until, default=None)

    async def _progress(self, summaries: tuple[Summary, ...]) -> Mapping[SummaryKey, SummaryProgress]:
        """The progress of each summary. A new summary, or one with other times, begins now."""
        known = await self._shared.store.summary_progress()
        progress = progress_of(summaries, known, self._shared.clock.now())
        if {each.key: each for each in known} != progress:
            await self._shared.store.save_summary_progress(tuple(progress.values()), lease=self._shared.lease)
        return progress

    async def _look(self, summary: Summary, progress: SummaryProgress, hours: Mapping[str, Hours]) -> float:
        """Decide the slots of one summary that are due; return when to look again."""
        now = self._shared.clock.now()
        try:
            slots = due_slots(summary, progress, now, hours)
            if (slots.due or slots.skipped) and not await self._decide(summary, progress, slots, now):
                return now + DRAIN_PAUSE
            coming = next_slot(summary, now, hours)
        except (LeaseLost, StoreUnusable):
            raise
        except Exception as error:
            log.exception("summary_failed", summary=summary.title, channel=summary.channel.ref, detail=repr(error))
            return now + CHECK_EVERY
        return min(now + CHECK_EVERY, coming.at if coming else now + CHECK_EVERY)

    async def _decide(self, summary: Summary, progress: SummaryProgress, slots: DueSlots, now: float) -> bool:
        """Decide these slots; return False if shares must be planned first, or somebody else has decided."""
        store, lease, change, outcome = self._shared.store, self._shared.lease, None, SummaryOutcome.SKIPPED
        if slots.due is not None:
            since = described_since(progress, now)
            content = await store.channel_content(summary.channel.ref, since, slots.due.at, now)
            if content is None:
                return False
            change = summary_message(summary, slots.due, content, since, now)
            outcome = SummaryOutcome.BEGUN if change else SummaryOutcome.NOTHING_TO_SAY
        newest = slots.due or slots.skipped[-1]
        after = replace(progress, decided=newest.at, outcome=outcome)
        if not await store.decide_slots(progress, after, change, lease=lease):
            return False
        for slot in slots.skipped:
            self._report(summary.title, summary.channel.ref, slot.at, SummaryOutcome.SKIPPED)
        if slots.due is not None:
            self._report(summary.title, summary.channel.ref, slots.due.at, outcome)
        if change is not None:
            self._on_their_way += 1
            self._shared.wake_all()
        return True

    async def _settle(self) -> None:
        """See which of the messages are posted, and give up those that are too late."""
        if not self._on_their_way:
            return
        settled = await self._shared.store.settle_summaries(self._shared.clock.now(), lease=self._shared.lease)
        self._on_their_way = settled.on_their_way
        for progress, outcome in settled.summaries:
            self._report(progress.title, progress.channel, progress.decided, outcome)

    def _report(self, title: str, channel: str, slot: float, outcome: SummaryOutcome) -> None:
        if outcome is not SummaryOutcome.BEGUN:
            self._shared.metrics.record_summary(outcome)
        write = log.warning if outcome is SummaryOutcome.SKIPPED else log.info
        write("summary", summary=title, channel=channel, slot=utc(slot), outcome=outcome.value, detail=DETAILS[outcome])
