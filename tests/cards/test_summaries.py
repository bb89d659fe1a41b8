"""Which slots of a summary are due, and what its message says, for every list of incidents and every break of relay."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cards.summaries import (
    FIRST_SPAN,
    LATEST,
    LEAST_OWNED,
    MOST_LINES,
    ChannelContent,
    SummaryOutcome,
    SummaryProgress,
    described,
    described_since,
    due_slots,
    next_slot,
    progress_of,
    summary_message,
)
from relay.model.struct import replace
from relay.routes.channel_template import FixedChannel
from relay.routes.hours import Hours, Window
from relay.routes.summary import Slot, Summary
from tests.support.summary_samples import DAY, MORNING, summary_line, summary_of

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC).timestamp()
DAY_SECONDS = 86_400.0
BERLIN = Summary(title="Night", channel=FixedChannel(source="noc", ref="C1"), at=150, zone="Europe/Berlin")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def progress(decided, **values):
    return SummaryProgress(**{"channel": "C0DB", "title": "Morning", "times": "", "decided": decided, **values})


@given(away=st.floats(0, 10 * DAY_SECONDS), back=st.floats(0, 5 * DAY_SECONDS))
def test_every_slot_is_decided_once_and_only_the_newest_is_posted_at_most_two_hours_late(away, back):
    start = NOW - 20 * DAY_SECONDS + away
    done = progress(start)
    decided = []
    for now in (start + back, start + back + LATEST, start + back + 3 * DAY_SECONDS):
        due, skipped = due_slots(MORNING, done, now, {})
        newest = [due] if due else []
        assert all(now - slot.at <= LATEST for slot in newest)
        assert all(slot.at < newest[0].at for slot in skipped if newest)
        decided += [slot.at for slot in (*skipped, *newest)]
        if decided:
            done = replace(done, decided=decided[-1])
    assert decided == [slot.at for slot in MORNING.slots(start, start + back + 3 * DAY_SECONDS, {})]


@pytest.mark.parametrize(
    ("day", "moment"),
    [
        ("2026-03-29", "2026-03-29 01:00"),  # 02:30 does not exist: the moment of the jump
        ("2026-10-25", "2026-10-25 00:30"),  # 02:30 happens twice: the first of them, and that alone
    ],
)
def test_a_time_in_the_hour_of_a_clock_change_is_one_slot_on_both_nights(day, moment):
    begin = at(f"{day} 00:00") - 3_600.0
    slots = list(BERLIN.slots(begin, begin + 86_400.0, {}))
    assert slots == [Slot(at(moment), date.fromisoformat(day))]
    later = progress(slots[0].at)
    assert due_slots(BERLIN, later, slots[0].at + 3_700.0, {}) == (None, ())


def test_a_new_or_changed_summary_starts_at_its_next_time_and_remembers_its_last_post():
    known = progress_of([MORNING], [], 1.0)
    assert [(each.decided, each.outcome) for each in known.values()] == [(1.0, None)]
    posted = [replace(each, decided=5.0, outcome=SummaryOutcome.POSTED, posted_as_of=6.0) for each in known.values()]
    assert list(progress_of([MORNING], posted, 9.0).values()) == posted
    assert list(progress_of([replace_at(always=True)], posted, 9.0).values()) == posted
    [edited] = progress_of([replace_at(at=480)], posted, 9.0).values()
    assert (edited.decided, edited.outcome, edited.posted_as_of) == (9.0, None, 6.0)
    assert progress_of([], posted, 9.0) == {}


def replace_at(**values):
    names = ("title", "channel", "at", "zone", "days", "minus", "always")
    return Summary(**{name: getattr(MORNING, name) for name in names} | values)


def test_resolved_incidents_count_since_the_last_posted_summary_or_for_a_day():
    assert described_since(progress(NOW - 60), NOW) == NOW - FIRST_SPAN
    assert described_since(progress(NOW - 60, posted_as_of=NOW - 5 * DAY_SECONDS), NOW) == NOW - 5 * DAY_SECONDS


def test_a_summary_that_its_hours_always_exclude_has_no_next_slot():
    always = Hours(windows=(Window(zone="Etc/UTC"),))
    assert next_slot(replace_at(minus=("always",)), NOW, {"always": always}) is None
    assert next_slot(MORNING, NOW, {}) == Slot(at("2026-05-04 09:00"), date(2026, 5, 4))


def test_an_empty_summary_is_posted_only_with_always_true():
    slot = Slot(NOW, DAY)
    assert summary_message(MORNING, slot, ChannelContent(), NOW, NOW) is None
    assert summary_message(replace_at(always=True), slot, ChannelContent(), NOW, NOW) is not None
    assert summary_message(MORNING, slot, ChannelContent(letters=1), NOW, NOW) is not None


def test_the_message_pings_nobody_and_its_key_names_the_day_the_time_and_the_title():
    bulletin = summary_of(NOW, 3).bulletin
    assert bulletin.key == "2026-05-03 09:00 Morning"
    assert not bulletin.mention


owners = st.sampled_from(["", "", "", "Ann", "Ben", "ann"])


@given(st.lists(owners, max_size=60), st.randoms())
def test_a_message_names_at_most_twenty_incidents_the_worst_of_both_groups_and_counts_the_rest(owned, random):
    lines = [summary_line(number, NOW, owner=owner) for number, owner in enumerate(owned)]
    random.shuffle(lines)
    data = described(MORNING, Slot(NOW, DAY), lines=lines, resolved=[], letters=0, since=NOW - 1, now=NOW).bulletin.data
    named, left_out = data["lines"], data["left_out"]
    assert len(named) == min(len(lines), MOST_LINES)
    assert len(named) + left_out["all"] == data["open"]["all"] == len(lines)
    without, having = ([line for line in named if bool(line["owner"]) is has] for has in (False, True))
    assert named == [*without, *having]
    assert len(having) >= min(LEAST_OWNED, data["open"]["owned"])
    assert [line["owner"].casefold() for line in having] == sorted(line["owner"].casefold() for line in having)
    for group, owner in ((without, False), (having, True)):
        ranks = sorted((line.state.rank for line in lines if bool(line.owner) is owner), reverse=True)
        shown = sorted((rank_of(line, lines) for line in group), reverse=True)
        assert shown == ranks[: len(group)]


def rank_of(named, lines):
    return next(line.state.rank for line in lines if str(line.state) == named["state"])


def test_the_worst_and_the_longest_resolved_incident_are_named():
    resolved = summary_of(NOW, resolved=4).bulletin.data["resolved"]
    assert resolved["all"] == 4
    assert (resolved["worst"]["title"], resolved["worst"]["lasted"]) == ("checkout: error rate above 5 %", 1_200.0)
    assert resolved["longest"]["lasted"] == 2_400.0
