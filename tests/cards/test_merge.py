"""Merging shares into the record: what the newest decides, what adds up, and what the first fixes."""

import random
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cards.merge import is_new_comment, merge_share, stub_record
from relay.model.reading import read_incident
from tests.support.share_sequences import START, alert, merge_shares, share


def test_a_block_that_a_share_lacks_stays_as_it_was():
    record = merge_shares(
        share(0, status="critical", incidentTags=[{"id": "team", "value": "db"}]),
        share(60, status="warning"),
    )
    assert read_incident(record).tag("team").value == "db"
    assert read_incident(record).state == "warning"


def test_an_explicitly_empty_block_empties_the_record():
    record = merge_shares(
        share(0, status="critical", incidentTags=[{"id": "team", "value": "db"}]),
        share(60, incidentTags=[]),
    )
    assert read_incident(record).tags == ()


def test_a_late_share_rolls_nothing_back_but_adds_what_only_it_reports():
    record = merge_shares(
        share(60, status="warning"),
        share(0, received=120, status="critical", incidentTags=[{"id": "team", "value": "db"}]),
    )
    incident = read_incident(record)
    assert incident.state == "warning"
    assert incident.tag("team").value == "db"


def test_if_two_shares_have_the_same_time_the_later_arrival_wins():
    assert read_incident(merge_shares(share(0, status="critical"), share(0, status="warning"))).state == "warning"
    assert read_incident(merge_shares(share(0, status="warning"), share(0, status="critical"))).state == "critical"


def test_a_single_alert_updates_that_alert_and_keeps_the_others():
    record = merge_shares(
        share(0, alerts=[alert("db-1"), alert("db-2")]),
        share(60, alerts=alert("db-2", "ok")),
    )
    states = {each.id: str(each.state) for each in read_incident(record).alerts}
    assert states == {"db-1": "critical", "db-2": "resolved"}


def test_a_single_alert_changes_only_the_fields_that_it_reports():
    record = merge_shares(
        share(0, alerts=[alert("db-1", "ok", endedOn=START)]), share(60, alerts={"id": "db-1", "status": "critical"})
    )
    [only] = read_incident(record).alerts
    assert (str(only.state), only.active, only.ended, only.title) == ("critical", True, None, "db-1 · lag")
    again = merge_share(record, share(90, alerts={"id": "db-1", "description": "replication lag"}))
    [only] = read_incident(again).alerts
    assert (str(only.state), only.description, only.tags["check"]) == ("critical", "replication lag", ("lag",))
    over = merge_share(again, share(120, alerts={"id": "db-1", "active": False}))
    assert (str(read_incident(over).alerts[0].state), read_incident(over).alerts[0].description) == (
        "resolved",
        "replication lag",
    )


def test_a_newer_list_replaces_older_single_alerts_in_any_order():
    update, whole = share(60, alerts=alert("db-2", "ok")), share(90, alerts=[alert("db-1")])
    for order in ([update, whole], [whole, update]):
        assert [each.id for each in read_incident(merge_shares(share(0, alerts=[alert("db-1")]), *order)).alerts] == [
            "db-1"
        ]


def test_environments_and_headers_accumulate():
    record = merge_shares(
        share(0, headers={"X-Team": "a"}, metadata={"environment": "Production", "environment_id": "e1"}),
        share(60, headers={"X-Team": "b"}, metadata={"environment": "Payments"}),
        share(90, metadata={"environment_id": "e2"}),
        share(95, metadata={"environment": "Payments", "environment_id": "e2"}),
    )
    assert [(each.name, each.id) for each in record.environments] == [("Production", "e1"), ("Payments", "e2")]
    assert record.headers["x-team"] == ("a", "b")
    assert record.environment.name == "Production"


PLACES = st.lists(
    st.tuples(st.sampled_from(["", "Production", "Payments", "Renamed"]), st.sampled_from(["", "e1", "e2"])).filter(
        any
    ),
    min_size=1,
    max_size=5,
)


@given(PLACES, st.randoms(use_true_random=False))
def test_an_incident_keeps_every_environment_it_was_shared_from(places, chance):
    def seen(order):
        shares = [share(at, metadata={"environment": name, "environment_id": known}) for at, (name, known) in order]
        kept = merge_shares(*shares).environments
        return {each.name for each in kept} - {""}, {each.id for each in kept} - {""}

    fields = list(enumerate(places))
    names, ids = ({place[part] for place in places} - {""} for part in (0, 1))
    assert seen(fields) == seen(chance.sample(fields, k=len(fields))) == (names, ids)


def test_a_renamed_environment_is_known_by_both_names():
    record = merge_shares(
        share(0, metadata={"environment": "Production", "environment_id": "e1"}),
        share(90, metadata={"environment": "Renamed", "environment_id": "e1"}),
        share(99, metadata={"environment": "Renamed", "environment_id": "e1"}),
    )
    assert [each.name for each in record.environments] == ["Production", "Renamed"]


def test_severity_never_falls():
    first, later = share(0, status="warning", severity="critical"), share(60, status="warning", severity="warning")
    for order in ([first, later], [later, first]):
        assert read_incident(merge_shares(*order)).severity == "critical"
    assert read_incident(merge_shares(share(0, status="critical"), later)).severity == "critical"


def test_a_reported_severity_ignores_the_alerts():
    worse = alert("muted", "critical", active=False)
    assert (
        read_incident(merge_shares(share(status="warning", severity="warning", alerts=[worse]))).severity == "warning"
    )
    assert read_incident(merge_shares(share(status="warning", alerts=[worse]))).severity == "critical"


def test_the_title_comes_from_the_first_share_and_changes_once_to_bp_short_description():
    first = share(0, alerts=[alert("db-1")])
    other = share(60, alerts=[alert("web-1")])
    written = share(90, incidentTags=[{"id": "bp_short_description", "value": "Checkout is down"}])
    again = share(120, incidentTags=[{"id": "bp_short_description", "value": "Something else"}])
    assert merge_shares(first).title == "db-1 · lag"
    assert merge_shares(first, other).title == "db-1 · lag"
    assert merge_shares(first, other, written).title == "Checkout is down"
    assert merge_shares(first, other, written, again).title == "Checkout is down"


def test_a_placeholder_title_gives_way_to_the_first_real_one():
    record = merge_shares(share(0, status="critical"))
    assert record.title == "Incident i1"
    assert merge_share(record, share(60, alerts=[alert("db-1")])).title == "db-1 · lag"


def test_the_primary_alert_is_the_oldest_of_the_most_severe():
    record = merge_shares(
        share(
            alerts=[
                alert("old-warning", "warning", startedOn=START - 100),
                alert("young-critical", startedOn=START),
                alert("old-critical", startedOn=START - 50),
            ]
        )
    )
    assert record.title == "old-critical · lag"


def test_an_alert_without_a_start_is_not_the_oldest():
    record = merge_shares(share(alerts=[alert("no-start", startedOn=None), alert("young", startedOn=START)]))
    assert record.title == "young · lag"


def test_the_same_comment_within_ten_minutes_is_a_repeat_and_later_a_new_one():
    first = share(0, metadata={"comment": {"comment": "on it"}})
    record = merge_shares(first)
    assert not is_new_comment(record, share(599, metadata={"comment": {"comment": "on  it"}}))
    assert is_new_comment(record, share(601, metadata={"comment": {"comment": "on it"}}))
    assert is_new_comment(record, share(10, metadata={"comment": {"comment": "done"}}))


def test_a_stored_stub_keeps_state_title_and_comments():
    record = stub_record(
        merge_shares(share(0, status="ok", alerts=[alert()], metadata={"comment": {"comment": "on it"}}))
    )
    assert read_incident(record).state == "resolved"
    assert record.title == "db-1 · lag"
    assert not is_new_comment(record, share(5, metadata={"comment": {"comment": "on it"}}))


STATES = st.sampled_from(["critical", "warning", "ok", "unknown", "acknowledged", "brand-new"])
TAGS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123")), max_size=3, unique_by=lambda tag: tag[0])


@st.composite
def shares(draw):
    """Shares with an as_of of their own: for equal ones the order of arrival decides."""
    moments = draw(st.lists(st.integers(0, 10_000), min_size=1, max_size=6, unique=True))
    return [draw(one_share(moment)) for moment in moments]


@st.composite
def one_share(draw, moment):
    fields = {}
    if draw(st.booleans()):
        fields["status"] = draw(STATES)
    if draw(st.booleans()):
        fields["resolved"] = draw(st.booleans())
    if draw(st.booleans()):
        fields["snooze"] = {"snoozed": draw(st.booleans())}
    if draw(st.booleans()):
        fields["incidentTags"] = [{"id": name, "value": value} for name, value in draw(TAGS)]
    match draw(st.integers(0, 3)):
        case 0:
            fields["alerts"] = [alert(name) for name in draw(st.lists(st.sampled_from("xyz"), unique=True, max_size=3))]
        case 1:
            fields["alerts"] = alert(draw(st.sampled_from("xyz")), draw(STATES))
    return share(moment, received=20_000, **fields)


@given(shares(), st.randoms(use_true_random=False))
def test_the_blocks_do_not_depend_on_the_order_of_shares(some, chance: random.Random):
    shuffled = [*some, *chance.sample(some, k=len(some) // 2)]
    chance.shuffle(shuffled)
    assert seen(merge_shares(*some)) == seen(merge_shares(*shuffled))


def seen(record):
    """All that is visible of the blocks; alerts are in the order of the list, then of arrival."""
    incident = read_incident(record)
    alerts = {each.id: each for each in incident.alerts}
    return (incident.state, incident.severity, incident.snooze, set(incident.tags), alerts)


@given(shares())
def test_merging_a_share_again_changes_nothing(some):
    record = merge_shares(*some)
    newest = max(some, key=lambda each: each.as_of)
    assert merge_share(record, newest) == record


OPEN = {"status": "critical"}, {"active": True}, {"resolved": False, "endedOn": START + 120}


@pytest.mark.parametrize("opens", OPEN)
def test_an_end_before_the_last_opening_is_not_the_end_of_a_later_one(opens):
    first, over = share(0, status="critical"), share(120, status="ok", endedOn=START + 119)
    again, over_again = share(3000, **opens), share(200_000, status="ok")
    for some in permutations([first, over, again, over_again]):
        assert read_incident(merge_shares(*some)).ended == START + 200_000
    for some in permutations([first, over, again]):
        assert read_incident(merge_shares(*some)).ended is None


def test_an_end_stays_while_later_shares_report_other_blocks():
    for later in ({"status": "ok"}, {"active": False}, {"severity": "critical"}, {"resolved": True}):
        for some in permutations([share(0, status="critical"), share(120, status="ok", endedOn=START + 119)]):
            assert read_incident(merge_shares(*some, share(500, **later))).ended == START + 119


@pytest.mark.parametrize("ahead", [3600, 365 * 86_400])
def test_a_block_from_the_future_hides_no_later_share(ahead):
    """Relay's clock was ahead, and the share had no time of its own; what is stored has moved back with the clock."""
    record = merge_share(None, share(ahead, received=ahead, status="critical"))
    record = merge_share(record, share(10, received=10, status="warning"), newest=9)
    assert read_incident(record).state == "warning"
