"""Parsing accepts every liberty that a sender may take with the shape of a share: one example for each."""

import time

import orjson
import pytest

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share, ShareEvent
from relay.model.errors import NoIncident, ShareError
from relay.model.incident import Environment, Person

RECEIVED = 1_700_000_000.0
ABSENT = object()


def share_of(incident: object = None, **beside: object) -> Share:
    fields = {"id": "i1"} | (incident or {})
    return parse_share(orjson.dumps({"incident": fields, **beside}), {}, RECEIVED)


def block(name: str, incident: object = None, **beside: object) -> object:
    return share_of(incident, **beside).blocks.get(name, ABSENT)


# ------------------------------------------------------------ the incident


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"incident": {"id": "abc"}}, "abc"),
        ({"incident": {"id": "  abc\n"}}, "abc"),
        ({"incident": {"id": 42}}, "42"),
        ({"incident": {"id": "not hex, but BigPanda's"}}, "not hex, but BigPanda's"),
        ({"incident": {"id": "x" * 255}}, "x" * 255),
        ({"incident": {"incident_id": "abc"}}, "abc"),
        ({"incident": {"status": "Ok"}, "incident_id": "abc"}, "abc"),
        ({"incident": [{"id": "abc"}]}, "abc"),
        ({"id": "abc", "status": "Critical"}, "abc"),
        ({"id": "abc", "incident": None}, "abc"),
        ([{"incident": {"id": "abc"}}], "abc"),
    ],
)
def test_the_incident_id_is_read_from(body, expected):
    assert parse_share(orjson.dumps(body), {}, RECEIVED).incident == expected


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, "found nothing in an empty object"),
        ({"incident": {}}, "found nothing in an empty object"),
        ({"incident": {"status": "Ok"}}, "found nothing in an object with the keys status"),
        ({"incident": {"status": "Ok"}, "id": "a delivery's"}, "found nothing in an object with the keys status"),
        ({"incident": {"id": ""}}, "found an empty string"),
        ({"incident": {"id": None}}, "found null"),
        ({"incident": {"id": True}}, "found a boolean"),
        ({"incident": {"id": 1.5}}, "found a number"),
        ({"incident": {"id": ["a", "b"]}}, "found an array of 2 items"),
        ({"incident": {"id": {"oid": "a"}}}, "found an object with the keys oid"),
        ({"incident": {"id": "{{incident.id}}"}}, "found a string"),
        ({"incident": "abc"}, "found nothing in an object with the keys incident"),
        (
            dict.fromkeys("ponmlkjihg", 1),
            "found nothing in an object with the keys g, h, i, j, k, l, m, n, ...",
        ),
        ([], "expected a JSON object, found an array of 0 items"),
        ([{"id": "a"}, {"id": "b"}], "expected a JSON object, found an array of 2 items"),
        ("abc", "expected a JSON object, found a string"),
        (None, "expected a JSON object, found null"),
        (17, "expected a JSON object, found a number"),
    ],
)
def test_the_error_for_a_missing_id_says_what_was_found(body, found):
    with pytest.raises(NoIncident) as caught:
        parse_share(orjson.dumps(body), {}, RECEIVED)

    assert isinstance(caught.value, ShareError)
    assert str(caught.value).startswith("The body has no incident.id: expected a")
    assert found in str(caught.value)


def test_the_error_for_a_long_id_says_its_length():
    with pytest.raises(NoIncident, match=r"incident\.id has 256 characters; relay takes at most 255"):
        share_of({"id": "x" * 256})


# ------------------------------------------------------------ state, severity, flags


@pytest.mark.parametrize(
    ("incident", "expected"),
    [
        ({}, ABSENT),
        ({"status": "Critical"}, {"status": "Critical", "resolved": None, "active": None}),
        ({"status": " ok "}, {"status": "ok", "resolved": None, "active": None}),
        ({"status": "never heard of"}, {"status": "never heard of", "resolved": None, "active": None}),
        ({"status": None}, {"status": None, "resolved": None, "active": None}),
        ({"status": ""}, {"status": None, "resolved": None, "active": None}),
        ({"status": 5}, ABSENT),
        ({"status": 5, "active": "no idea"}, ABSENT),
        ({"status": "{{incident.status}}"}, ABSENT),
        ({"status": ["Critical"], "active": False}, {"status": None, "resolved": None, "active": False}),
        ({"resolved": "TRUE"}, {"status": None, "resolved": True, "active": None}),
        ({"active": "false", "resolved": 1}, {"status": None, "resolved": True, "active": False}),
        ({"active": 0.0}, {"status": None, "resolved": None, "active": False}),
        ({"active": 2}, ABSENT),
    ],
)
def test_the_three_parts_of_the_state_are_read_together(incident, expected):
    assert block("state", incident) == expected


@pytest.mark.parametrize(
    ("name", "incident", "expected"),
    [
        ("severity", {"severity": "Critical"}, "Critical"),
        ("severity", {"severity": None}, None),
        ("severity", {"severity": " "}, None),
        ("severity", {"severity": 3}, ABSENT),
        ("flapping", {"flapping": True}, True),
        ("flapping", {"flapping": "False"}, False),
        ("flapping", {"flapping": None}, None),
        ("flapping", {"flapping": "{{incident.flapping}}"}, ABSENT),
        ("flapping", {"flapping": [True]}, ABSENT),
        ("snooze", {"snooze": {"snoozed": True, "wake": 1_700_003_600}}, {"snoozed": True, "wake": 1_700_003_600}),
        ("snooze", {"snooze": {"snoozed": True, "end_time": 1_700_003_600}}, {"snoozed": True, "wake": 1_700_003_600}),
        ("snooze", {"snooze": {"snoozed": True, "endTime": 1_700_003_600}}, {"snoozed": True, "wake": 1_700_003_600}),
        ("snooze", {"snooze": {"snoozed": False}}, {"snoozed": False, "wake": None}),
        ("snooze", {"snooze": {"snoozed": "true", "wake": "soon"}}, {"snoozed": True, "wake": None}),
        ("snooze", {"snooze": {"snoozed": None}}, {"snoozed": False, "wake": None}),
        ("snooze", {"snooze": {"wake": 1_700_003_600}}, {"snoozed": True, "wake": 1_700_003_600}),
        ("snooze", {"snooze": {"wake": None}}, {"snoozed": False, "wake": None}),
        ("snooze", {"snooze": {"autoCancel": True}}, ABSENT),
        ("snooze", {"snooze": True}, {"snoozed": True, "wake": None}),
        ("snooze", {"snooze": None}, None),
        ("snooze", {"snooze": {}}, None),
        ("snooze", {"snooze": "tomorrow"}, ABSENT),
    ],
)
def test_a_flag_or_a_snooze_is_read_from(name, incident, expected):
    assert block(name, incident) == expected


# ------------------------------------------------------------ times


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_649_576_282, 1_649_576_282),
        (1_649_576_282.9, 1_649_576_282),
        ("1649576282", 1_649_576_282),
        (" 1649576282.9 ", 1_649_576_282),
        (1_649_576_282_345, 1_649_576_282),
        ("1649576282345", 1_649_576_282),
        (1_649_576_282_345_678, 1_649_576_282),
        (1_649_576_282_345_678_901, 1_649_576_282),
        (1e11, 100_000_000_000),
        ("2022-04-10T07:38:02Z", 1_649_576_282),
        ("2022-04-10T07:38:02.808Z", 1_649_576_282),
        ("2022-04-10T09:38:02+02:00", 1_649_576_282),
        ("2022-04-10 07:38:02", 1_649_576_282),
        ("2022-04-10", 1_649_548_800),
        (None, None),
        ("", None),
        (0, None),
        ("0", None),
        (-1, ABSENT),
        ("-1", ABSENT),
        ("1969-12-31", ABSENT),
        ("0001-01-01T00:00:00+23:59", ABSENT),
        (1e30, ABSENT),
        ("9" * 400, ABSENT),
        ("yesterday", ABSENT),
        ("{{incident.start}}", ABSENT),
        (True, ABSENT),
        ([1_649_576_282], ABSENT),
        ({"seconds": 1_649_576_282}, ABSENT),
    ],
)
def test_a_time_is_read_from(value, expected):
    found = block("started", {"startedOn": value})

    assert found == expected
    assert found in (None, ABSENT) or type(found) is int


@pytest.mark.parametrize(
    "written",
    [
        "2022-04-10t07:38:02z",
        "2022-04-10 07:38:02 UTC",
        "2022-04-10T07:38:02+0000",
        "2022/04/10 07:38:02",
        "2022-04-10 07:38:02 AM",
        "2022-04-10 02:38:02 EST",
        "2022-04-10 09:38:02 +0200 CEST",
        "2022-04-10 07:38:02.5 +0000 UTC m=+0.1",
        "2022-04-10T09:38:02+02:00[Europe/Berlin]",
        "2022-04-10T08:38:02 GMT+1",
        "Sun, 10 Apr 2022 07:38:02 GMT",
        "Sun, 10 Apr 2022 09:38:02 +0200 (CEST)",
        "Sunday, 10-Apr-22 07:38:02 GMT",
        "Sun Apr 10 07:38:02 UTC 2022",
        "Sun Apr 10 2022 09:38:02 GMT+0200 (Central European Summer Time)",
        "Apr 10, 2022 7:38:02 AM",
    ],
)
def test_a_date_is_read_as_programs_write_it(written):
    assert block("started", {"startedOn": written}) == 1_649_576_282


@pytest.mark.parametrize("half", ["12:05 AM", "12:05 a.m.", "00:05"])
def test_midnight_may_be_written_as_12_am(half):
    assert block("started", {"startedOn": f"2022-04-10 {half}"}) == 1_649_549_100


@pytest.mark.parametrize("zone", ["CET", "BST", "Europe/Berlin", "[Europe/Berlin]", "PM"])
def test_a_time_in_an_unknown_time_zone_is_ignored(zone):
    assert block("started", {"startedOn": f"2022-04-10T17:38:02 {zone}"}) is ABSENT
    assert block("started", {"startedOn": f"Sun, 10 Apr 2022 17:38:02 {zone}"}) is ABSENT


def test_a_time_without_an_offset_is_utc_in_every_time_zone(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        found = block("started", {"startedOn": "2022-04-10T07:38:02"})
    time.tzset()

    assert found == 1_649_576_282


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("started", ["startedOn", "started_on", "started", "start", "startedAt", "started_at"]),
        ("changed", ["changedOn", "changed_on", "changed", "changedAt", "changed_at"]),
        ("updated", ["updatedOn", "updated_on", "updated", "updatedAt", "updated_at"]),
        ("ended", ["endedOn", "ended_on", "ended", "end", "endedAt", "ended_at"]),
    ],
)
def test_a_time_has_many_spellings(name, spellings):
    assert [block(name, {spelling: 1_649_576_282}) for spelling in spellings] == [1_649_576_282] * len(spellings)


def test_an_unusable_value_does_not_hide_a_usable_one():
    assert block("started", {"startedOn": "yesterday", "start": 1_649_576_282}) == 1_649_576_282


# ------------------------------------------------------------ tags


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"id": "team", "value": "db"}], [["team", ["db"]]]),
        ([{"tag_id": "team", "tag_value": "db"}], [["team", ["db"]]]),
        ([{"name": "team", "value": "db"}], [["team", ["db"]]]),
        ([{"id": None, "name": "team", "value": "db"}], [["team", ["db"]]]),
        ([{"id": " ", "name": "team", "value": "db"}], [["team", ["db"]]]),
        ([{"id": "{{tag}}", "name": "team", "value": "db"}], [["team", ["db"]]]),
        ({"id": "team", "value": "db"}, [["team", ["db"]]]),
        ({"team": "db", "priority": 1000}, [["priority", ["1000"]], ["team", ["db"]]]),
        ({"value": "high", "team": "db"}, [["team", ["db"]], ["value", ["high"]]]),
        ({"value": "high", "name": "x", "team": "db"}, [["name", ["x"]], ["team", ["db"]], ["value", ["high"]]]),
        ([{"id": 7, "value": "db"}], [["7", ["db"]]]),
        ([{"id": "p", "value": 1000}], [["p", ["1000"]]]),
        ([{"id": "p", "value": 1000.0}], [["p", ["1000"]]]),
        ([{"id": "p", "value": 0.5}], [["p", ["0.5"]]]),
        ([{"id": "p", "value": 0}], [["p", ["0"]]]),
        ([{"id": "p", "value": 1e300}], [["p", ["1e+300"]]]),
        ([{"id": "p", "value": True}], [["p", ["true"]]]),
        ([{"id": "p", "value": False}], [["p", ["false"]]]),
        ([{"id": "p", "value": ["a", 2, None, True, ["b"]]}], [["p", ["a", "2", "true", '["b"]']]]),
        ([{"id": "p", "value": {"b": 1, "a": [2]}}], [["p", ['{"a":[2],"b":1}']]]),
        ([{"id": " p ", "value": " a b "}], [["p", ["a b"]]]),
        ([{"id": "p", "value": None}], []),
        ([{"id": "p", "value": ""}, {"id": "q", "value": "x"}], [["q", ["x"]]]),
        ([{"id": "p", "value": []}], []),
        ([{"id": "p", "value": "a"}, {"id": "q", "value": "b"}, {"id": "p", "value": ["c", "a"]}],
         [["p", ["a", "c"]], ["q", ["b"]]]),
        ([{"id": "p", "value": "a"}, "broken", 5, None, {"id": ["x"], "value": "y"}, {"id": "q"}], [["p", ["a"]]]),
        ([{"id": "p", "value": "{{incidentTags.p}}"}, {"id": "q", "value": "x"}], [["q", ["x"]]]),
        ([{"id": "p", "value": "{{incidentTags.p}}"}], ABSENT),
        ([{"id": "p", "value": "{{ $value }} is not a variable of BigPanda's"}],
         [["p", ["{{ $value }} is not a variable of BigPanda's"]]]),
        ([{"id": "p"}], ABSENT),
        (["broken"], ABSENT),
        ("broken", ABSENT),
        (5, ABSENT),
        ([], []),
        ({}, []),
        (None, []),
        ("", []),
    ],
)  # fmt: skip
def test_incident_tags_are_read_from(value, expected):
    assert block("tags", incidentTags=value) == expected


def test_an_incident_tag_is_named_by_its_id_and_an_alert_tag_by_its_name():
    both = [{"id": "itd-9ff5", "name": "team", "value": "db"}]
    share = share_of({"incident_tags": both, "alerts": [{"id": "a", "tags": both}]})

    assert share.blocks["tags"] == [["itd-9ff5", ["db"]]]
    assert share.blocks["alerts"][0]["tags"] == [["team", ["db"]]]


# ------------------------------------------------------------ links


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"landingPage": "http://bigp.io/1"}, {"landing_page": "http://bigp.io/1"}),
        ({"landing_page": "http://bigp.io/1"}, {"landing_page": "http://bigp.io/1"}),
        ({"href": "http://bigp.io/1"}, {"landing_page": "http://bigp.io/1"}),
        ({"rel": "preview", "href": "http://bigp.io/1"}, {"landing_page": "http://bigp.io/1"}),
        ({"landingPage": {"href": "http://bigp.io/1"}}, {"landing_page": "http://bigp.io/1"}),
        ("http://bigp.io/1", {"landing_page": "http://bigp.io/1"}),
        (["http://bigp.io/1", "http://bigp.io/1", "http://bigp.io/2"],
         {"landing_page": "http://bigp.io/1", "landing_page_2": "http://bigp.io/2"}),
        ([{"rel": "timeLine", "href": "http://bigp.io/t"}, {"href": "http://bigp.io/1"}],
         {"time_line": "http://bigp.io/t", "landing_page": "http://bigp.io/1"}),
        ({"landingPage": "http://bigp.io/1", "timeLine": "http://bigp.io/t", "rank": 5},
         {"landing_page": "http://bigp.io/1", "time_line": "http://bigp.io/t"}),
        ({"landing_page": "http://bigp.io/2", "landingPage": "http://bigp.io/1"},
         {"landing_page": "http://bigp.io/1", "landing_page_2": "http://bigp.io/2"}),
        ({"landingPage": None}, {}),
        ({"landingPage": "{{links.landingPage}}"}, ABSENT),
        ({"landingPage": 5}, ABSENT),
        ([{"landingPage": 5}], ABSENT),
        (5, ABSENT),
        ("", {}),
        (None, {}),
        ({}, {}),
        ([], {}),
    ],
)  # fmt: skip
def test_links_are_read_from(value, expected):
    assert block("links", links=value) == expected


# ------------------------------------------------------------ alerts


ALERT = {"id": "a1", "status": "Critical", "active": True}
READ = {
    "id": "a1",
    "status": "Critical",
    "active": True,
    "started": None,
    "changed": None,
    "ended": None,
    "primary": "",
    "secondary": "",
    "source": "",
    "description": "",
    "tags": [],
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([ALERT], [READ]),
        ([ALERT, 5, "a2", None, {"id": "a3"}, {}], [READ]),
        ({"a1": {"status": "Critical", "active": True}}, [READ]),
        ({"x2": ALERT, "x1": ALERT | {"id": "b"}}, [READ | {"id": "b"}, READ]),
        ({"0": ALERT}, [READ]),
        ({"555537133020012962800": {"status": "Critical", "active": True}}, [READ | {"id": "555537133020012962800"}]),
        ([{"alert_id": "a1", "status": "Critical", "active": True}], [READ]),
        ([{"alert_id": "a1"}], ABSENT),
        ([5], ABSENT),
        ("a1", ABSENT),
        ({"id": "a1"}, ABSENT),
        ([], []),
        ({}, []),
        (None, []),
    ],
)
def test_the_list_of_alerts_is_read_from(value, expected):
    assert block("alerts", {"alerts": value}) == expected


@pytest.mark.parametrize(
    "body",
    [
        {"incident": {"id": "i1", "alerts": ALERT}},
        {"incident": {"id": "i1"}, "alerts": ALERT},
        {"incident": {"id": "i1"}, "primaryAlert": ALERT},
        {"incident": {"id": "i1"}, "primary_alert": ALERT},
        {"incident": {"id": "i1", "primaryAlert": ALERT, "alerts": "ill-typed"}},
        {"id": "i1", "alert": ALERT},
    ],
)
def test_a_single_alert_updates_that_alert_and_does_not_replace_the_list(body):
    assert parse_share(orjson.dumps(body), {}, RECEIVED).blocks == {"alert:a1": READ}


def test_alerts_inside_the_incident_go_before_alerts_beside_it():
    assert block("alerts", {"alerts": [ALERT]}, alerts=[]) == [READ]


def test_a_list_of_alerts_goes_before_the_primary_alert():
    assert share_of({"alerts": [ALERT]}, primaryAlert=ALERT | {"status": "Ok"}).blocks == {"alerts": [READ]}


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        ({"primary_property": "host", "secondary_property": "check", "source_system": "nagios.est"},
         {"primary": "host", "secondary": "check", "source": "nagios.est"}),
        ({"startedOn": "2022-04-10T07:38:02Z", "changed_on": 1_649_576_282_000, "end": "never"},
         {"started": 1_649_576_282, "changed": 1_649_576_282}),
        ({"tags": {"host": "db-1", "ip": ["10.0.0.1", "10.0.0.2"]}},
         {"tags": [["host", ["db-1"]], ["ip", ["10.0.0.1", "10.0.0.2"]]]}),
        ({"tags": "host=db-1"}, {}),
        ({"tags": [{"name": "host", "value": "db-1"}, {"name": "host", "value": "db-2"}]},
         {"tags": [["host", ["db-1", "db-2"]]]}),
        ({"description": ["disk full", None, 97]}, {"description": "disk full\n97"}),
        ({"description": 404, "source": None, "primaryProperty": ["host"]}, {"description": "404"}),
        ({"status": None, "active": "FALSE"}, {"status": "", "active": False}),
        ({"active": None}, {"active": None}),
    ],
)  # fmt: skip
def test_an_unusable_field_of_an_alert_is_empty_and_the_rest_is_kept(alert, expected):
    assert block("alerts", {"alerts": [ALERT | alert]}) == [READ | expected]


def derived_id(**alert: object) -> str:
    (found,) = block("alerts", {"alerts": [alert]})
    return found["id"]


def test_an_alert_without_an_id_is_identified_by_its_properties():
    fields = {
        "status": "Critical",
        "primaryProperty": "host",
        "sourceSystem": "nagios.est",
        "description": "CPU is 98%",
    }
    expected = derived_id(**fields, tags={"host": "db-1", "load": "98"})

    assert len(expected) == 24
    assert expected == derived_id(
        **fields | {"description": "CPU is 3%", "status": "Ok"}, tags={"load": 3, "host": "db-1"}
    )
    assert expected == derived_id(**fields, id=["ill-typed"], tags={"host": "db-1"})
    assert expected == derived_id(**fields, id="x" * 256, tags={"host": "db-1"})
    assert expected != derived_id(**fields, tags={"host": "db-2"})
    assert expected != derived_id(**fields | {"sourceSystem": "other"}, tags={"host": "db-1"})


def test_an_alert_without_id_and_primary_property_is_identified_by_its_tags_or_its_description():
    tagged = derived_id(tags={"a": 1, "b": 2}, description="CPU is 98%")

    assert tagged == derived_id(
        tags=[{"name": "b", "value": "2"}, {"name": "a", "value": "1"}], description="CPU is 3%"
    )
    assert tagged != derived_id(tags={"a": 1}, description="CPU is 98%")
    assert derived_id(description="CPU is 98%") != derived_id(description="disk is full")


# ------------------------------------------------------------ related changes


NO_CHANGE = dict.fromkeys(("identifier", "summary", "status", "url", "certainty", "comment", "source"), "")
NO_TIMES = {"start": None, "end": None}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"id": "r1", "match_certainty": "MATCH", "change": {"id": "c1", "summary": "reboot", "end": "2022-04-10"}}],
         [{"id": "c1", "summary": "reboot", "certainty": "MATCH", "end": 1_649_548_800}]),
        ([{"id": "r1", "matchCertainty": "NONE", "comment": "no",
           "change": {"ticketUrl": "https://t", "sourceSystem": "x"}}],
         [{"id": "r1", "certainty": "NONE", "comment": "no", "url": "https://t", "source": "x"}]),
        ([{"identifier": "CHG-1", "status": "Done", "comment": "bare"}],
         [{"id": "CHG-1", "identifier": "CHG-1", "status": "Done", "comment": "bare"}]),
        ([{"summary": "reboot"}], [{"id": '["","reboot"]', "summary": "reboot"}]),
        ({"id": "r1", "change": {"summary": "reboot"}}, [{"id": "r1", "summary": "reboot"}]),
        ([{"id": "c1", "summary": "reboot"}, 5, {}, {"id": "tells nothing"}], [{"id": "c1", "summary": "reboot"}]),
        ([{"id": "tells nothing"}], ABSENT),
        ("CHG-1", ABSENT),
        ([], []),
        (None, []),
    ],
)  # fmt: skip
def test_related_changes_are_read_from(value, expected):
    filled = expected if expected is ABSENT else [NO_CHANGE | NO_TIMES | change for change in expected]

    assert block("changes", relatedChanges=value) == filled


# ------------------------------------------------------------ people and metadata


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "Ann", "email": "a@example.com"}, Person(name="Ann", email="a@example.com")),
        ({"username": "Ann", "user_id": 7}, Person(name="Ann", id="7")),
        ({"displayName": "Ann", "userId": "u1"}, Person(name="Ann", id="u1")),
        ({"name": "Ann", "email": ["ill-typed"]}, Person(name="Ann")),
        ("Ann Lee", Person(name="Ann Lee")),
        ("a@example.com", Person(email="a@example.com")),
        ({"name": ""}, None),
        ({}, None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_a_sender_is_read_from(value, expected):
    assert share_of(metadata={"sender": value}).sender == expected


ANN = {"name": "Ann", "email": "", "id": ""}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"assignee": {"name": "Ann"}}, {"assignee": ANN, "assigner": None}),
        ({"assigner": "Ann"}, {"assignee": None, "assigner": ANN}),
        ({"assignee": None}, {"assignee": None, "assigner": None}),
        ({"assignee": {}}, {"assignee": None, "assigner": None}),
        ({"assignee": {"name": "{{assignee.username}}"}}, ABSENT),
        ({"assignee": 5}, ABSENT),
        ({}, ABSENT),
    ],
)
def test_the_assignment_is_read_from_the_metadata_the_body_or_the_incident(value, expected):
    assert block("assignment", metadata=value) == expected
    assert block("assignment", value) == expected
    assert block("assignment", **value) == expected


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"environment": "Production", "environment_id": "e1"}, Environment(name="Production", id="e1")),
        ({"environment": "Production"}, Environment(name="Production")),
        ({"environmentId": "e1"}, Environment(id="e1")),
        ({"environment_id": 7}, Environment(id="7")),
        ({"environment": {"name": "Production", "id": "e1"}}, Environment(name="Production", id="e1")),
        ({"environment": "", "environment_id": None}, None),
        ({"environment": "{{metadata.environment}}"}, None),
        ({"environment": ["Production"]}, Environment(name="Production")),
        ("ill-typed", None),
        (None, None),
    ],
)
def test_an_environment_is_read_from(metadata, expected):
    assert share_of(metadata=metadata).environment == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"comment": "Hello\nWorld", "environment": "All"}, "Hello\nWorld"),
        ({"text": "Hello"}, "Hello"),
        (" Hello ", "Hello"),
        ("", None),
        ({"comment": " "}, None),
        ({"environment": "All"}, None),
        ({}, None),
        (5, None),
        (None, None),
    ],
)
def test_a_comment_is_read_from(value, expected):
    assert share_of(metadata={"comment": value}).comment == expected


def test_metadata_may_be_inside_the_incident():
    share = share_of({"metadata": {"environment": "Production", "comment": "Hello"}})

    assert (share.environment, share.comment) == (Environment(name="Production"), "Hello")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"event": "incident#new", "time": 1_674_571_309}], [("incident#new", 1_674_571_309)]),
        ([{"event": "b", "time": 2_000_000}, {"event": "a", "time": 1_000_000}, {"event": "b", "time": 2_000_000}],
         [("b", 2_000_000), ("a", 1_000_000), ("b", 2_000_000)]),
        (["incident#closed", "what#nobody-knows"], [("incident#closed", None), ("what#nobody-knows", None)]),
        ([{"type": "incident#new", "timestamp": "2022-04-10"}], [("incident#new", 1_649_548_800)]),
        ([{"event": "incident#new", "time": 1_674_571_309_500}], [("incident#new", 1_674_571_309.5)]),
        ([{"event": "incident#new", "time": "soon"}], [("incident#new", None)]),
        ({"event": "incident#new"}, [("incident#new", None)]),
        ("incident#new", [("incident#new", None)]),
        ([5, None, {}, {"event": ""}, {"event": ["x"]}, "incident#new"], [("incident#new", None)]),
        (5, []),
        ([], []),
        (None, []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("spelling", ["event_types", "eventTypes"])
def test_events_are_read_from(spelling, value, expected):
    assert share_of(**{spelling: value}).events == tuple(ShareEvent(name=name, at=at) for name, at in expected)


# ------------------------------------------------------------ placement and shapes


@pytest.mark.parametrize(
    ("camel", "value", "name", "expected"),
    [
        ("incidentTags", {"team": "db"}, "tags", [["team", ["db"]]]),
        ("links", "http://bigp.io/1", "links", {"landing_page": "http://bigp.io/1"}),
        ("relatedChanges", [], "changes", []),
    ],
)
def test_an_optional_block_is_beside_the_incident_or_inside_it(camel, value, name, expected):
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in camel)
    for spelling in (camel, snake):
        assert block(name, **{spelling: value}) == expected
        assert block(name, {spelling: value}) == expected


def test_an_unusable_block_beside_the_incident_does_not_hide_a_usable_one_inside():
    assert block("tags", {"incidentTags": {"team": "db"}}, incidentTags="ill-typed") == [["team", ["db"]]]


def test_an_incident_may_be_sent_without_a_wrapper():
    body = {
        "id": "i1",
        "status": "Ok",
        "incidentTags": {"team": "db"},
        "metadata": {"comment": "Hello"},
        "alerts": [ALERT],
    }
    share = parse_share(orjson.dumps(body), {}, RECEIVED)

    assert share.comment == "Hello"
    assert share.blocks == {
        "state": {"status": "Ok", "resolved": None, "active": None},
        "tags": [["team", ["db"]]],
        "alerts": [READ],
    }


def test_the_spelling_of_the_incidents_api_is_accepted():
    incident = {
        "id": "i1",
        "status": "critical",
        "start": 1_649_576_282,
        "end": None,
        "changed_at": 1_649_576_283,
        "updated_at": 1_649_576_284,
        "incident_tags": [{"id": "team", "value": "db"}],
        "assignee": {"name": "Ann", "email": "a@example.com", "user_id": "u1"},
        "snooze": {"snoozed": False},
        "environments": ["e1", "e2"],
        "folders": ["active"],
        "maintenance": None,
        "correlation_matchers_log": [[]],
    }

    share = parse_share(orjson.dumps(incident), {}, RECEIVED)

    assert share.as_of == 1_649_576_284
    assert share.blocks == {
        "state": {"status": "critical", "resolved": None, "active": None},
        "snooze": {"snoozed": False, "wake": None},
        "started": 1_649_576_282,
        "changed": 1_649_576_283,
        "updated": 1_649_576_284,
        "ended": None,
        "tags": [["team", ["db"]]],
        "assignment": {"assignee": {"name": "Ann", "email": "a@example.com", "id": "u1"}, "assigner": None},
    }


def test_unset_variables_of_a_templated_webhook_are_absent():
    body = {
        "incident": {
            "id": "i1",
            "status": "{{incident.status}}",
            "severity": "{{ incident.severity }}",
            "start": "1649576282",
            "end": "",
        },
        "primaryAlert": {
            "status": "warning",
            "primary_property": "host",
            "description": "{{primaryAlert.description}}",
            "tags": {"host": "db-1", "check": "{{primaryAlert.tags.check}}"},
        },
        "incidentTags": {"itd_priority_1": "{{incidentTags.itd_priority_1}}"},
        "links": {"landingPage": "{{links.landingPage}}"},
        "assignee": {"username": "{{assignee.username}}"},
        "metadata": {"environment": "{{metadata.environment}}", "environment_id": "e1"},
        "event_types": [{"event": "incident#closed"}],
    }

    share = parse_share(orjson.dumps(body), {}, RECEIVED)
    blocks = dict(share.blocks)
    ((name, alert),) = ((name, blocks.pop(name)) for name in share.blocks if name.startswith("alert"))

    assert blocks == {"started": 1_649_576_282, "ended": None}
    assert name == f"alert:{alert['id']}"
    assert (alert["description"], alert["tags"]) == ("", [["host", ["db-1"]]])
    assert share.environment == Environment(id="e1")
    assert share.events == (ShareEvent(name="incident#closed"),)


def test_unknown_fields_change_nothing():
    assert share_of({"quota": {"left": 3}, "mood": "grim"}, extra=[1, 2]).blocks == {}


# ------------------------------------------------------------ as of


@pytest.mark.parametrize(
    ("incident", "events", "expected"),
    [
        ({}, [], RECEIVED),
        ({"changedOn": 1_600_000_000}, [], 1_600_000_000),
        ({"changedOn": 1_600_000_000, "updatedOn": 1_600_000_009}, [], 1_600_000_009),
        ({"changed_at": "2020-09-13T12:26:40Z"}, [], 1_600_000_000),
        ({"changedOn": 1_600_000_000_500}, [], 1_600_000_000.5),
        ({"changedOn": 1_600_000_000}, [1_600_000_007, 1_600_000_003], 1_600_000_007),
        ({"changedOn": 1_600_000_000, "updatedOn": RECEIVED + 301}, [], 1_600_000_000),
        ({"changedOn": 1_600_000_000, "updatedOn": RECEIVED + 300}, [], RECEIVED + 300),
        ({"changedOn": RECEIVED + 301}, [RECEIVED + 9999], RECEIVED),
        ({"changedOn": "yesterday", "updatedOn": None}, [None, -5], RECEIVED),
        ({"startedOn": 1_600_000_000, "endedOn": 1_600_000_001}, [], RECEIVED),
    ],
)
def test_the_age_of_a_share_comes_from_its_latest_time_that_is_not_in_the_future(incident, events, expected):
    event_types = [{"event": "incident#updated", "time": at} for at in events]

    assert share_of(incident, event_types=event_types).as_of == expected
