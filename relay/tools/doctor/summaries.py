"""The result of the last summary of each channel, and the time of the next: so people notice one that has stopped."""

from collections.abc import Iterable, Iterator
from datetime import UTC, tzinfo
from typing import Final

from relay.cards.summaries import OUTCOME_WORDS, SummaryOutcome, SummaryProgress, key_of, next_slot, times_text
from relay.model.zones import find_zone
from relay.routes.rulebook import Rulebook
from relay.tools.doctor.report import Finding, note, ok, warning
from relay.tools.hours import moment_text

_REMEDY: Final = "Look in the log for `summary` and `summary_failed` at that time; was relay down, or did Slack fail?"
_NEVER: Final = "Its hours under `except` leave nothing; change them, or remove the summary."


def summary_findings(rulebook: Rulebook, progress: Iterable[SummaryProgress], now: float) -> Iterator[Finding]:
    """One finding for each summary of the file: the last slot and the next, in its own zone."""
    known = {each.key: each for each in progress}
    for summary in rulebook.summaries:
        zone: tzinfo = find_zone(summary.zone) or UTC
        subject, slot = f"summary {summary.title}", next_slot(summary, now, rulebook.hours)
        if slot is None:
            yield warning(subject, f"it is never posted within a year ({times_text(summary)}).", _NEVER)
            continue
        coming, last = f"the next comes {moment_text(slot.at, zone)}", known.get(key_of(summary))
        where = f"in {summary.channel.source}"
        if last is None or last.outcome is None:
            yield note(subject, f"none was due {where} yet; {coming}.")
            continue
        find = warning if last.outcome is SummaryOutcome.SKIPPED else ok
        became = f"that of {moment_text(last.decided, zone)} {OUTCOME_WORDS[last.outcome]}"
        yield find(subject, f"{where}, {became}; {coming}.", *([_REMEDY] if find is warning else []))
