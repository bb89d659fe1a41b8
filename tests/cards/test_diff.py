"""Every row of the table of what a share turns into: from the snapshots alone, and with what refines them."""

import pytest

from relay.routes.parser.parse import parse_rulebook
from tests.support.share_sequences import START, Life, alert, share

OPTIONS = {
    "a bare snapshot": {},
    "event types beside it": {"event_types": [{"event": "incident#updated", "time": START + 600}]},
    "metadata with a sender": {"metadata": {"sender": {"name": "AutoShare"}, "environment": "Production"}},
    "incident tags": {"incidentTags": [{"id": "team", "value": "database"}]},
}
PERSON = {"name": "Ann Lee", "email": "ann@example.com", "userId": "u1"}


@pytest.fixture(params=OPTIONS, ids=str)
def options(request):
    return OPTIONS[request.param]


def told(before, after, options):
    """The kinds and data of what happened between two snapshots, ten minutes apart."""
    life = Life()
    life.take(share(0, **before, **{name: value for name, value in options.items() if name != "event_types"}))
    metadata = {**options.get("metadata", {}), **after.pop("metadata", {})}
    after = {**options, **after} | ({"metadata": metadata} if metadata else {})
    life.take(share(600, **after))
    return life.told()


def test_a_first_share_tells_nothing_but_the_comment_it_carries():
    life = Life()
    life.take(share(status="critical", alerts=[alert()], event_types=[{"event": "incident#merged"}]))
    assert life.kinds == []
    life = Life()
    life.take(share(status="critical", metadata={"comment": {"comment": "hello"}, "sender": PERSON}))
    assert life.told() == [("comment", {"text": "hello", "actor": "Ann Lee"})]


def test_a_change_of_state_is_told_from_the_snapshots_alone(options):
    assert told({"status": "warning"}, {"status": "critical"}, options) == [
        ("status", {"old": "warning", "new": "critical"})
    ]


def test_beginning_and_ceasing_to_flap_is_told(options):
    [(kind, data)] = told({"status": "critical", "flapping": False}, {"flapping": True}, options)
    assert (kind, data["text"]) == ("status", "began to flap")
    [(kind, data)] = told({"status": "critical", "flapping": True}, {"flapping": False}, options)
    assert (kind, data["text"]) == ("status", "ceased to flap")


def test_a_comment_is_told_with_its_author_unless_that_is_autoshare(options):
    after = {"metadata": {"comment": {"comment": "looked at it", "environment": "All"}, "sender": PERSON}}
    assert told({"status": "critical"}, after, options) == [("comment", {"text": "looked at it", "actor": "Ann Lee"})]
    after = {"metadata": {"comment": {"comment": "looked at it"}, "sender": {"name": "AutoShare"}}}
    assert told({"status": "critical"}, after, options) == [("comment", {"text": "looked at it", "actor": ""})]


def test_an_assignment_and_its_end_are_told(options):
    lead = {"name": "Lead"}
    after = {"metadata": {"assignee": PERSON, "assigner": lead}}
    assert told({"status": "critical"}, after, options) == [
        ("assignment", {"old": "", "new": "Ann Lee", "actor": "Lead"})
    ]
    before = {"status": "critical", "metadata": {"assignee": PERSON}}
    life = Life()
    life.take(share(0, **before))
    life.take(share(600, metadata={"assignee": None}))
    assert life.told() == [("assignment", {"old": "Ann Lee", "new": "", "actor": ""})]


def test_whoever_takes_it_is_not_said_to_have_assigned_it():
    life = Life()
    life.take(share(0, status="critical"))
    life.take(share(600, metadata={"assignee": PERSON, "assigner": PERSON}))
    assert life.told() == [("assignment", {"old": "", "new": "Ann Lee", "actor": ""})]


def test_snoozing_and_waking_are_told(options):
    wake = START + 4000
    [(kind, data)] = told({"status": "critical"}, {"snooze": {"snoozed": True, "wake": wake}}, options)
    assert (kind, data["new"], data["snoozed"]) == ("snooze", wake, True)
    before = {"status": "critical", "snooze": {"snoozed": True, "wake": wake}}
    [(kind, data)] = told(before, {"snooze": {"snoozed": False}}, options)
    assert (kind, data["old"], data["snoozed"]) == ("snooze", wake, False)
    [(kind, data)] = told(before, {"snooze": {"snoozed": True, "wake": wake + 60}}, options)
    assert (kind, data["old"], data["new"]) == ("snooze", wake, wake + 60)
    awake = {"status": "critical", "snooze": {"snoozed": False, "wake": wake}}
    assert told(awake, {"snooze": {"snoozed": False, "wake": None}}, options) == []


def test_tags_are_told_from_old_to_new():
    life = Life()
    life.take(share(0, status="critical", incidentTags=[{"id": "itd_team_1", "value": "a"}, {"id": "x", "value": "1"}]))
    life.take(share(600, incidentTags=[{"id": "itd_team_1", "value": "b"}, {"id": "new", "value": [1, 2]}]))
    assert life.told() == [
        (
            "tags",
            {
                "items": [
                    {"label": "Team", "old": "a", "new": "b"},
                    {"label": "New", "old": "", "new": "1, 2"},
                    {"label": "X", "old": "1", "new": ""},
                ]
            },
        )
    ]


def test_a_tag_added_within_five_minutes_of_the_first_share_only_shows_on_the_card():
    life = Life()
    life.take(share(0, status="critical", incidentTags=[{"id": "team", "value": "a"}]))
    life.take(share(290, incidentTags=[{"id": "team", "value": "b"}, {"id": "ai", "value": "disk"}]))
    assert life.told() == [("tags", {"items": [{"label": "Team", "old": "a", "new": "b"}]})]
    life.take(
        share(310, incidentTags=[{"id": "team", "value": "b"}, {"id": "ai", "value": "disk"}, {"id": "c", "value": 1}])
    )
    assert life.told() == [("tags", {"items": [{"label": "C", "old": "", "new": "1"}]})]


def test_alerts_that_joined_and_resolved_are_counted(options):
    before = {"status": "critical", "alerts": [alert("db-1"), alert("db-2")]}
    after = {"status": "critical", "alerts": [alert("db-1"), alert("db-2", "ok"), alert("db-3"), alert("db-4")]}
    [(kind, data)] = told(before, after, options)
    assert kind == "alerts"
    assert {name: data[name] for name in ("joined", "resolved", "returned", "left", "total")} == {
        "joined": 2,
        "resolved": 1,
        "returned": 0,
        "left": 0,
        "total": 3,
    }


@pytest.mark.parametrize(
    ("before", "after", "told_of"),
    [
        ([], ["critical"], {"joined": 1}),
        (["critical"], ["ok"], {"resolved": 1}),
        (["ok"], ["critical"], {"returned": 1}),
        (["critical"], [], {"left": 1}),
    ],
)
def test_alerts_are_told_whichever_way_they_go(before, after, told_of):
    first, second = ([alert("x"), *(alert("y", status) for status in each)] for each in (before, after))
    [(kind, data)] = told({"status": "critical", "alerts": first}, {"alerts": second}, {})
    counts = {name: data[name] for name in ("joined", "resolved", "returned", "left") if data[name]}
    assert (kind, counts, [item["was"] for item in data["items"]]) == ("alerts", told_of, [*told_of])


def test_an_alert_that_only_worsened_or_calmed_down_is_no_news_of_its_own():
    before, after = [alert("x"), alert("y", "warning")], [alert("x"), alert("y", "critical")]
    assert told({"status": "critical", "alerts": before}, {"alerts": after}, {}) == []


def test_alerts_that_were_never_told_before_have_not_joined_now():
    assert told({"status": "critical"}, {"alerts": [alert()]}, {}) == []


def test_a_related_change_is_told_with_its_ticket(options):
    change = {"id": "c1", "summary": "rollout", "identifier": "CHG-1", "ticket_url": "https://tickets.example/1"}
    after = {"relatedChanges": [{"id": "r1", "match_certainty": "SUSPECT", "change": change}]}
    [(kind, data)] = told({"status": "critical"}, after, options)
    assert kind == "changes"
    assert (data["items"][0]["url"], data["items"][0]["certainty"]) == ("https://tickets.example/1", "SUSPECT")


def changes(**certainties):
    return {
        "relatedChanges": [
            {"id": name, "match_certainty": certainty, "change": {"id": name, "identifier": name.upper()}}
            for name, certainty in certainties.items()
        ]
    }


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (changes(a="SUSPECT"), changes(a="MATCH"), [("A", "MATCH", True)]),
        (changes(a="MATCH"), changes(a="SUSPECT"), []),
        (changes(a="SUSPECT"), changes(a="NONE"), []),
        (changes(a="NONE"), changes(a="suspect"), [("A", "SUSPECT", False)]),
        (changes(), changes(a="NONE"), []),
        (changes(), changes(a="SUSPECT", b="MATCH"), [("B", "MATCH", False), ("A", "SUSPECT", False)]),
    ],
)
def test_a_change_is_told_when_it_is_found_and_when_somebody_confirms_it(before, after, expected, options):
    entries = told({"status": "critical", **before}, after, options)
    items = [item for _, data in entries for item in data["items"]]
    assert [(item["identifier"], item["certainty"], item["confirmed"]) for item in items] == expected


@pytest.mark.parametrize(
    "end",
    [
        {"status": "ok"},
        {"resolved": True, "status": "critical"},
        {"active": False, "status": "critical"},
        {"resolved": True},
    ],
)
def test_an_end_is_told_once_whichever_way_it_is_said(end, options):
    before = {"status": "critical", "startedOn": START, "alerts": [alert()]}
    after = {**end, "endedOn": START + 4320, "alerts": [alert(status="ok")]}
    [(kind, data)] = told(before, after, options)
    assert kind == "resolved"
    assert (data["lasted"], data["worst"]) == (4320, "critical")


def test_an_end_says_the_worst_it_ever_was_and_how_long_it_lasted_where_the_times_make_sense():
    before = {"status": "warning", "severity": "critical", "startedOn": START}
    [(_, data)] = told(before, {"status": "ok", "severity": "critical", "endedOn": START + 60}, {})
    assert (data["worst"], data["lasted"]) == ("critical", 60)
    [(_, data)] = told({"status": "warning", "startedOn": START + 90}, {"status": "ok", "endedOn": START + 60}, {})
    assert (data["worst"], data["lasted"]) == ("warning", None)
    [(_, data)] = told({"status": "warning"}, {"status": "ok", "endedOn": START + 60}, {})
    assert data["lasted"] is None


def test_an_end_tells_of_nothing_that_ends_with_it():
    before = {"status": "critical", "flapping": True, "snooze": {"snoozed": True}, "alerts": [alert()]}
    after = {"status": "ok", "flapping": False, "snooze": {"snoozed": False}, "alerts": [alert(status="ok")]}
    assert [kind for kind, _ in told(before, after, {})] == ["resolved"]
    [(kind, _)] = told(
        {"status": "ok", "alerts": [alert(status="ok")]}, {"status": "critical", "alerts": [alert()]}, {}
    )
    assert kind == "reopened"


def test_a_reopening_is_told_and_says_when_it_had_ended(options):
    [(kind, data)] = told({"status": "ok", "endedOn": START}, {"status": "critical"}, options)
    assert (kind, data["new"], data["ended"]) == ("reopened", "critical", START)


def test_a_repeat_an_older_snapshot_and_a_sync_that_changes_nothing_tell_nothing():
    life = Life()
    life.take(share(600, status="critical"))
    life.take(share(600, status="critical"))
    assert life.kinds == []
    life.take(share(0, received=700, status="warning"))
    assert life.kinds == []
    life.take(share(700, status="critical", event_types=[{"event": "incident#ticket-sync", "time": START + 700}]))
    assert life.kinds == []


def test_an_event_that_nobody_knows_is_told_in_plain_words_when_nothing_else_was():
    event = [{"event": "incident#split-up_again", "time": START + 600}]
    life = Life()
    life.take(share(0, status="critical"))
    life.take(share(600, status="critical", event_types=event))
    assert life.told() == [("other", {"text": "split up again"})]
    life.take(share(660, status="warning", event_types=event))
    assert life.kinds == ["status"]


def test_an_event_that_nobody_knows_is_told_once_however_often_it_is_named_and_not_beside_a_comment():
    events = [
        {"event": name} for name in ("incident#moved", "incident#moved", "", "#", "Incident#Moved", "other#become-kept")
    ]
    life = Life()
    life.take(share(0, status="critical"))
    life.take(share(600, status="critical", event_types=events))
    assert life.told() == [("other", {"text": "moved"}), ("other", {"text": "became kept"})]
    life.take(share(660, event_types=events, metadata={"comment": {"comment": "moved it"}}))
    assert life.kinds == ["comment"]
    life.take(share(720, event_types=[{"event": "incident#assigned"}]))
    assert life.told() == [("other", {"text": "assigned"})], "to whom is told by integrations with that option alone"


TOLD_BY_COMPARING = [
    *(f"incident#{word}" for word in ("new", "snoozed", "unsnoozed", "commented", "reopen", "reopened")),
    *(f"incident#{word}" for word in ("become-flapping", "closed", "resolved")),
    *("incident-tag#upserted", "incident-tag#removed"),
]


@pytest.mark.parametrize("event", [*TOLD_BY_COMPARING, "incident#updated", "manual", "default", "incident#ticket-sync"])
def test_an_event_that_says_nothing_new_is_not_told(event):
    life = Life()
    life.take(share(0, status="critical"))
    life.take(share(600, status="critical", event_types=[{"event": event, "time": START + 600}]))
    assert life.kinds == []


def test_an_entry_s_key_and_number_are_never_used_twice():
    life = Life()
    life.take(share(0, status="critical"))
    for minute, status in enumerate(["warning", "critical", "warning", "ok", "critical"], start=1):
        life.take(share(minute * 60, status=status, metadata={"comment": {"comment": f"at {minute}"}}))
    assert [entry.seq for entry in life.entries] == list(range(1, len(life.entries) + 1))
    assert len({entry.key for entry in life.entries}) == len(life.entries)


def test_tag_values_are_told_as_people_know_them():
    life = Life(rulebook=parse_rulebook("version: 1\ntag_values: {itd_priority_1: {1000: P1, 2000: P2}}\nroutes: []\n"))
    life.take(share(0, status="critical", incidentTags=[{"id": "itd_priority_1", "value": 2000}]))
    life.take(share(600, incidentTags=[{"id": "itd_priority_1", "value": 1000.0}]))
    assert life.told() == [("tags", {"items": [{"label": "Priority", "old": "P2", "new": "P1"}]})]
