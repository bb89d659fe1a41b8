"""Every kind of entry, from the snapshots alone and with the fields that refine them."""

import pytest

from relay.routes.parser.parse import parse_rulebook
from tests.support.share_sequences import START, ShareSequence, alert, share

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


def entries_between(before, after, options):
    """The kinds and data of the entries between two snapshots, ten minutes apart."""
    sequence = ShareSequence()
    sequence.add(share(0, **before, **{name: value for name, value in options.items() if name != "event_types"}))
    metadata = {**options.get("metadata", {}), **after.pop("metadata", {})}
    after = {**options, **after} | ({"metadata": metadata} if metadata else {})
    sequence.add(share(600, **after))
    return sequence.entry_data()


def test_a_first_share_reports_only_its_comment():
    sequence = ShareSequence()
    sequence.add(share(status="critical", alerts=[alert()], event_types=[{"event": "incident#merged"}]))
    assert sequence.kinds == []
    sequence = ShareSequence()
    sequence.add(share(status="critical", metadata={"comment": {"comment": "hello"}, "sender": PERSON}))
    assert sequence.entry_data() == [("comment", {"text": "hello", "actor": "Ann Lee"})]


def test_a_state_change_is_found_by_comparing_snapshots(options):
    assert entries_between({"status": "warning"}, {"status": "critical"}, options) == [
        ("status", {"old": "warning", "new": "critical"})
    ]


def test_the_start_and_the_end_of_flapping_are_reported(options):
    [(kind, data)] = entries_between({"status": "critical", "flapping": False}, {"flapping": True}, options)
    assert (kind, data["text"]) == ("status", "started flapping")
    [(kind, data)] = entries_between({"status": "critical", "flapping": True}, {"flapping": False}, options)
    assert (kind, data["text"]) == ("status", "stopped flapping")


def test_a_comment_names_its_author_unless_that_is_autoshare(options):
    after = {"metadata": {"comment": {"comment": "looked at it", "environment": "All"}, "sender": PERSON}}
    assert entries_between({"status": "critical"}, after, options) == [
        ("comment", {"text": "looked at it", "actor": "Ann Lee"})
    ]
    after = {"metadata": {"comment": {"comment": "looked at it"}, "sender": {"name": "AutoShare"}}}
    assert entries_between({"status": "critical"}, after, options) == [
        ("comment", {"text": "looked at it", "actor": ""})
    ]


def test_an_assignment_and_its_end_are_reported(options):
    lead = {"name": "Lead"}
    after = {"metadata": {"assignee": PERSON, "assigner": lead}}
    assert entries_between({"status": "critical"}, after, options) == [
        ("assignment", {"old": "", "new": "Ann Lee", "actor": "Lead", "taken_over": False})
    ]
    before = {"status": "critical", "metadata": {"assignee": PERSON}}
    sequence = ShareSequence()
    sequence.add(share(0, **before))
    sequence.add(share(600, metadata={"assignee": None}))
    assert sequence.entry_data() == [("assignment", {"old": "Ann Lee", "new": "", "actor": "", "taken_over": False})]


def test_a_person_who_assigns_it_to_themselves_is_not_named_as_assigner():
    sequence = ShareSequence()
    sequence.add(share(0, status="critical"))
    sequence.add(share(600, metadata={"assignee": PERSON, "assigner": PERSON}))
    assert sequence.entry_data() == [("assignment", {"old": "", "new": "Ann Lee", "actor": "", "taken_over": False})]


def test_a_person_who_takes_it_from_somebody_is_reported_to_have_taken_over():
    ben = {"name": "Ben"}
    sequence = ShareSequence()
    sequence.add(share(0, status="critical", metadata={"assignee": PERSON}))
    sequence.add(share(600, metadata={"assignee": ben, "assigner": ben}))
    assert sequence.entry_data() == [("assignment", {"old": "Ann Lee", "new": "Ben", "actor": "", "taken_over": True})]


def test_a_snooze_and_its_end_are_reported(options):
    wake = START + 4000
    [(kind, data)] = entries_between({"status": "critical"}, {"snooze": {"snoozed": True, "wake": wake}}, options)
    assert (kind, data["new"], data["snoozed"]) == ("snooze", wake, True)
    before = {"status": "critical", "snooze": {"snoozed": True, "wake": wake}}
    [(kind, data)] = entries_between(before, {"snooze": {"snoozed": False}}, options)
    assert (kind, data["old"], data["snoozed"]) == ("snooze", wake, False)
    [(kind, data)] = entries_between(before, {"snooze": {"snoozed": True, "wake": wake + 60}}, options)
    assert (kind, data["old"], data["new"]) == ("snooze", wake, wake + 60)
    awake = {"status": "critical", "snooze": {"snoozed": False, "wake": wake}}
    assert entries_between(awake, {"snooze": {"snoozed": False, "wake": None}}, options) == []


def test_a_tag_change_reports_the_old_and_the_new_value():
    sequence = ShareSequence()
    sequence.add(
        share(0, status="critical", incidentTags=[{"id": "itd_team_1", "value": "a"}, {"id": "x", "value": "1"}])
    )
    sequence.add(share(600, incidentTags=[{"id": "itd_team_1", "value": "b"}, {"id": "new", "value": [1, 2]}]))
    assert sequence.entry_data() == [
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
    sequence = ShareSequence()
    sequence.add(share(0, status="critical", incidentTags=[{"id": "team", "value": "a"}]))
    sequence.add(share(290, incidentTags=[{"id": "team", "value": "b"}, {"id": "ai", "value": "disk"}]))
    assert sequence.entry_data() == [("tags", {"items": [{"label": "Team", "old": "a", "new": "b"}]})]
    sequence.add(
        share(310, incidentTags=[{"id": "team", "value": "b"}, {"id": "ai", "value": "disk"}, {"id": "c", "value": 1}])
    )
    assert sequence.entry_data() == [("tags", {"items": [{"label": "C", "old": "", "new": "1"}]})]


def test_alerts_that_joined_and_resolved_are_counted(options):
    before = {"status": "critical", "alerts": [alert("db-1"), alert("db-2")]}
    after = {"status": "critical", "alerts": [alert("db-1"), alert("db-2", "ok"), alert("db-3"), alert("db-4")]}
    [(kind, data)] = entries_between(before, after, options)
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
def test_alerts_that_come_back_or_leave_are_reported(before, after, told_of):
    first, second = ([alert("x"), *(alert("y", status) for status in each)] for each in (before, after))
    [(kind, data)] = entries_between({"status": "critical", "alerts": first}, {"alerts": second}, {})
    counts = {name: data[name] for name in ("joined", "resolved", "returned", "left") if data[name]}
    assert (kind, counts, [item["was"] for item in data["items"]]) == ("alerts", told_of, [*told_of])


def test_an_alert_that_only_changed_its_state_is_not_reported():
    before, after = [alert("x"), alert("y", "warning")], [alert("x"), alert("y", "critical")]
    assert entries_between({"status": "critical", "alerts": before}, {"alerts": after}, {}) == []


def test_the_first_list_of_alerts_reports_none_as_joined():
    assert entries_between({"status": "critical"}, {"alerts": [alert()]}, {}) == []


def test_a_related_change_is_reported_with_its_ticket(options):
    change = {"id": "c1", "summary": "rollout", "identifier": "CHG-1", "ticket_url": "https://tickets.example/1"}
    after = {"relatedChanges": [{"id": "r1", "match_certainty": "SUSPECT", "change": change}]}
    [(kind, data)] = entries_between({"status": "critical"}, after, options)
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
def test_a_change_is_reported_when_it_is_found_and_when_somebody_confirms_it(before, after, expected, options):
    entries = entries_between({"status": "critical", **before}, after, options)
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
def test_a_resolution_is_reported_once_in_any_field(end, options):
    before = {"status": "critical", "startedOn": START, "alerts": [alert()]}
    after = {**end, "endedOn": START + 4320, "alerts": [alert(status="ok")]}
    [(kind, data)] = entries_between(before, after, options)
    assert kind == "resolved"
    assert (data["lasted"], data["worst"]) == (4320, "critical")


def test_a_resolution_reports_the_worst_state_and_a_plausible_duration():
    before = {"status": "warning", "severity": "critical", "startedOn": START}
    [(_, data)] = entries_between(before, {"status": "ok", "severity": "critical", "endedOn": START + 60}, {})
    assert (data["worst"], data["lasted"]) == ("critical", 60)
    [(_, data)] = entries_between(
        {"status": "warning", "startedOn": START + 90}, {"status": "ok", "endedOn": START + 60}, {}
    )
    assert (data["worst"], data["lasted"]) == ("warning", None)
    [(_, data)] = entries_between({"status": "warning"}, {"status": "ok", "endedOn": START + 60}, {})
    assert data["lasted"] is None


def test_a_resolution_does_not_also_report_the_end_of_a_snooze_or_flapping():
    before = {"status": "critical", "flapping": True, "snooze": {"snoozed": True}, "alerts": [alert()]}
    after = {"status": "ok", "flapping": False, "snooze": {"snoozed": False}, "alerts": [alert(status="ok")]}
    assert [kind for kind, _ in entries_between(before, after, {})] == ["resolved"]
    [(kind, _)] = entries_between(
        {"status": "ok", "alerts": [alert(status="ok")]}, {"status": "critical", "alerts": [alert()]}, {}
    )
    assert kind == "reopened"


def test_a_reopening_reports_when_the_incident_had_ended(options):
    [(kind, data)] = entries_between({"status": "ok", "endedOn": START}, {"status": "critical"}, options)
    assert (kind, data["new"], data["ended"]) == ("reopened", "critical", START)


def test_a_share_that_changes_nothing_reports_nothing():
    sequence = ShareSequence()
    sequence.add(share(600, status="critical"))
    sequence.add(share(600, status="critical"))
    assert sequence.kinds == []
    sequence.add(share(0, received=700, status="warning"))
    assert sequence.kinds == []
    sequence.add(share(700, status="critical", event_types=[{"event": "incident#ticket-sync", "time": START + 700}]))
    assert sequence.kinds == []


def test_an_unknown_event_is_reported_in_plain_words_when_nothing_else_changed():
    event = [{"event": "incident#split-up_again", "time": START + 600}]
    sequence = ShareSequence()
    sequence.add(share(0, status="critical"))
    sequence.add(share(600, status="critical", event_types=event))
    assert sequence.entry_data() == [("other", {"text": "split up again"})]
    sequence.add(share(660, status="warning", event_types=event))
    assert sequence.kinds == ["status"]


def test_an_unknown_event_is_reported_once_and_not_together_with_a_comment():
    events = [
        {"event": name}
        for name in ("incident#moved", "incident#moved", "", "#", "incident#-", "Incident#Moved", "other#become-kept")
    ]
    sequence = ShareSequence()
    sequence.add(share(0, status="critical"))
    sequence.add(share(600, status="critical", event_types=events))
    assert sequence.entry_data() == [("other", {"text": "moved"}), ("other", {"text": "became kept"})]
    sequence.add(share(660, event_types=events, metadata={"comment": {"comment": "moved it"}}))
    assert sequence.kinds == ["comment"]
    sequence.add(share(720, event_types=[{"event": "incident#assigned"}]))
    assert sequence.entry_data() == [("other", {"text": "assigned"})], (
        "only integrations with that option say who it is"
    )


TOLD_BY_COMPARING = [
    *(f"incident#{word}" for word in ("new", "snoozed", "unsnoozed", "commented", "reopen", "reopened")),
    *(f"incident#{word}" for word in ("become-flapping", "closed", "resolved")),
    *("incident-tag#upserted", "incident-tag#removed"),
]


@pytest.mark.parametrize("event", [*TOLD_BY_COMPARING, "incident#updated", "manual", "default", "incident#ticket-sync"])
def test_an_event_that_says_nothing_new_is_not_reported(event):
    sequence = ShareSequence()
    sequence.add(share(0, status="critical"))
    sequence.add(share(600, status="critical", event_types=[{"event": event, "time": START + 600}]))
    assert sequence.kinds == []


def test_an_entrys_key_and_number_are_never_used_twice():
    sequence = ShareSequence()
    sequence.add(share(0, status="critical"))
    for minute, status in enumerate(["warning", "critical", "warning", "ok", "critical"], start=1):
        sequence.add(share(minute * 60, status=status, metadata={"comment": {"comment": f"at {minute}"}}))
    assert [entry.seq for entry in sequence.entries] == list(range(1, len(sequence.entries) + 1))
    assert len({entry.key for entry in sequence.entries}) == len(sequence.entries)


def test_tag_values_are_reported_by_their_labels():
    sequence = ShareSequence(
        rulebook=parse_rulebook("version: 1\ntag_values: {itd_priority_1: {1000: P1, 2000: P2}}\nroutes: []\n")
    )
    sequence.add(share(0, status="critical", incidentTags=[{"id": "itd_priority_1", "value": 2000}]))
    sequence.add(share(600, incidentTags=[{"id": "itd_priority_1", "value": 1000.0}]))
    assert sequence.entry_data() == [("tags", {"items": [{"label": "Priority", "old": "P2", "new": "P1"}]})]
