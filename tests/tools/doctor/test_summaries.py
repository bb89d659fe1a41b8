"""The findings of `relay doctor` about summaries: the result of the last one, and the time of the next one."""

from datetime import UTC, datetime

import pytest

from relay.cards.summaries import SummaryOutcome, progress_of
from relay.model.struct import replace
from relay.routes.parser.parse import parse_rulebook
from relay.tools.doctor.summaries import summary_findings

ROUTES = """
version: 1
zone: Europe/Berlin
hours: {always: {}}
channels: {noc: C0NOC00001}
summaries: [{title: Morning, channel: noc, at: "09:00", days: [mon-fri]}]
routes: [{name: all, post: [noc]}]
"""
FRIDAY = datetime(2026, 3, 27, 8, tzinfo=UTC).timestamp()
"""09:00 in Berlin."""
NEXT = "the next comes Mon 2026-03-30 09:00."
FOUND = {
    SummaryOutcome.POSTED: ("ok", f"in noc, that of Fri 2026-03-27 09:00 was posted; {NEXT}"),
    SummaryOutcome.BEGUN: ("ok", f"in noc, that of Fri 2026-03-27 09:00 is on its way; {NEXT}"),
    SummaryOutcome.NOTHING_TO_SAY: ("ok", f"in noc, that of Fri 2026-03-27 09:00 had nothing to say; {NEXT}"),
    SummaryOutcome.SKIPPED: (
        "warning",
        f"in noc, that of Fri 2026-03-27 09:00 was skipped, since it came more than two hours late; {NEXT}",
    ),
}


@pytest.mark.parametrize("outcome", SummaryOutcome)
def test_each_summary_is_named_with_its_last_and_its_next_time(outcome):
    rulebook = parse_rulebook(ROUTES)
    known = progress_of(rulebook.summaries, [], FRIDAY)
    done = [replace(each, outcome=outcome) for each in known.values()]
    [finding] = summary_findings(rulebook, done, FRIDAY + 60)
    assert (finding.subject, finding.level, finding.message) == ("summary Morning", *FOUND[outcome])
    assert bool(finding.remedy) == (outcome is SummaryOutcome.SKIPPED)


def test_a_summary_never_due_yet_is_a_note_and_one_that_never_comes_a_warning():
    rulebook = parse_rulebook(ROUTES)
    [finding] = summary_findings(rulebook, (), FRIDAY)
    assert (finding.level, finding.message) == ("note", f"none was due in noc yet; {NEXT}")
    [finding] = summary_findings(parse_rulebook(ROUTES.replace("days: [mon-fri]", "except: [always]")), (), FRIDAY)
    assert finding.level == "warning"
    assert "never posted" in finding.message
