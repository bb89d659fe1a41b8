"""What changes make of a bulletin: its lines, their order, and when it is over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cards.bulletins import (
    KINDS,
    MOST_IN_ROOT,
    BulletinChange,
    BulletinKind,
    BulletinState,
    LineEnd,
    catch_up_message,
    changed,
    incident_line,
)
from relay.cards.reported import ReportedFacts, entries_text
from relay.model.incident import Incident, Person, State
from relay.model.struct import replace
from tests.support.bulletin_samples import CHANNEL, a_line, catch, hold

NAMES = ("a", "b", "c", "d")
LINES = st.builds(
    lambda name, state, end: replace(a_line(name, state), ended=end, ended_at=end and 1.0),
    st.sampled_from(NAMES),
    st.sampled_from(State),
    st.sampled_from([None, *LineEnd]),
)


def opened(kind):
    return hold("a").bulletin if kind is BulletinKind.HELD else catch("a").bulletin


def apply(bulletin, lines, known, *, closes=False):
    change = BulletinChange(bulletin=bulletin, at=2.0, lines=tuple(lines), closes=closes)
    after = changed(bulletin, change, known, sum(line.ended is None for line in known.values()))
    return after.bulletin, {**known, **{line.key: line for line in after.lines}}, after


@given(kind=st.sampled_from([BulletinKind.HELD, BulletinKind.CATCH_UP]), changes=st.lists(st.lists(LINES, max_size=3)))
def test_each_incident_has_one_line_that_shows_the_newest_state_and_keeps_its_place(kind, changes):
    bulletin, known, said = opened(kind), {}, {}
    for lines in changes:
        before, places = bulletin, {key: line.seq for key, line in known.items()}
        bulletin, known, after = apply(bulletin, lines, known)
        said |= {line.key: line.says for line in lines}
        assert {key: line.says for key, line in known.items()} == said
        assert {key: line.seq for key, line in known.items() if key in places} == places
        assert (bulletin.version > before.version) == (bool(after.lines) or bulletin != before)
        assert all(line.changed_in == bulletin.version for line in after.lines)
    assert sorted(line.seq for line in known.values()) == list(range(1, bulletin.next_seq))


@given(st.lists(st.lists(LINES, max_size=3), min_size=1))
def test_a_bulletin_that_ends_with_its_lines_closes_when_none_is_open(changes):
    bulletin, known = opened(BulletinKind.CATCH_UP), {}
    for lines in filter(None, changes):
        bulletin, known, _ = apply(bulletin, lines, known)
        assert (bulletin.closed_at is not None) == all(line.ended for line in known.values())
        if bulletin.closed_at is not None:
            return


@pytest.mark.parametrize("kind", [BulletinKind.HELD, BulletinKind.CATCH_UP])
def test_a_change_that_says_the_same_changes_nothing(kind):
    lines = [a_line("a"), a_line("b")]
    bulletin, known, _ = apply(opened(kind), lines, {})
    again, _, after = apply(bulletin, lines, known)
    assert (again, after.lines) == (bulletin, ())


def test_the_end_of_a_hold_closes_its_list_at_that_moment():
    bulletin, _, _ = apply(opened(BulletinKind.HELD), [a_line("a")], {}, closes=True)
    assert bulletin.closed_at == 2.0


def test_a_catch_up_names_the_worst_first_and_owned_incidents_last():

    lines = [a_line("w", State.WARNING), a_line("owned", State.CRITICAL, owner="Ann"), a_line("c", State.CRITICAL)]
    change = catch_up_message(CHANNEL, 1.0, lines, [], 1.0)
    assert [line.incident for line in change.lines] == ["c", "w", "owned"]


def test_an_empty_catch_up_is_not_posted_and_a_long_one_keeps_the_worst():
    assert catch_up_message(CHANNEL, 1.0, [], ["S1"], 1.0) is None
    lines = [a_line(f"w{number}", State.WARNING) for number in range(MOST_IN_ROOT)] + [a_line("c", State.CRITICAL)]
    change = catch_up_message(CHANNEL, 1.0, lines, ["S1", "here", "S1", "channel", "U1"], 1.0)
    assert change.lines[0].incident == "c"
    assert (len(change.lines), change.bulletin.data["more"]) == (MOST_IN_ROOT, 1)
    assert change.bulletin.mention.targets(State.UNKNOWN) == ("S1", "U1")


def test_a_line_names_the_incident_its_owner_and_its_card():
    incident = Incident(
        id="i",
        state=State.CRITICAL,
        reported_status="",
        severity=State.CRITICAL,
        active=True,
        title="lag",
        started=5,
        assignee=Person(name="Ann"),
        links={"landing_page": "https://a.example"},
    )
    line = incident_line(incident, 2, 9.0, route="db", card=("C1", "1.1"))
    assert (line.key, line.incident, line.episode, line.state, line.owner) == ("i:2", "i", 2, State.CRITICAL, "Ann")
    assert dict(line.data) == {
        "title": "lag",
        "url": "https://a.example",
        "since": 5,
        "owner": "Ann",
        "route": "db",
        "card": ["C1", "1.1"],
    }


@pytest.mark.parametrize(
    ("counts", "is_over", "is_needed"),
    [
        ({None: 1}, False, True),
        ({LineEnd.POSTED: 2}, True, False),
        ({LineEnd.POSTED: 2, LineEnd.RESOLVED: 1}, True, True),
        ({None: 1}, True, True),
    ],
)
def test_a_closed_list_is_needed_while_it_names_incidents_without_a_card(counts, is_over, is_needed):
    bulletin = replace(opened(BulletinKind.HELD), closed_at=1.0 if is_over else None)
    assert BulletinState(bulletin=bulletin, counts=counts).is_needed is is_needed


def test_another_database_finds_the_same_line_in_a_thread():
    mine, theirs = a_line("a", at=1.0), a_line("a", State.WARNING, at=99.0, title="another title")
    reported = ReportedFacts.of([(50.0, entries_text([mine]))])
    assert reported.is_reported(theirs)
    assert not reported.is_reported(a_line("a", episode=2))
    assert not reported.is_reported(a_line("b"))


def test_every_kind_has_a_row():
    assert set(KINDS) == set(BulletinKind)
