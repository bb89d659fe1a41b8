"""What the Incidents API tells, read as a share: the same record as the webhook's, and nothing that was not told."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.bigpanda.webhook.api import share_body_from_api
from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.merge import merge_share
from relay.model.errors import NoIncident
from relay.sandbox.bigpanda.server import FakeBigPanda
from relay.sandbox.bigpanda.users import FakeBigPandaUser

NOW = 1_700_000_000
ANN = FakeBigPandaUser(id="644c", name="Ann Lee", email="ann@example.com")

# As a client was seen to read it, with the values of BigPanda's own pages.
SEEN = {
    "id": "653989e52d00001901351684",
    "status": "Critical",
    "severity": "Critical",
    "active": True,
    "flapping": False,
    "shared": True,
    "maintenance": None,
    "snooze": {"snoozed": False},
    "start": 1698265901,
    "changed_at": 1698265902,
    "updated_at": 1698265903,
    "end": None,
    "alerts": [{"alert_id": "65397b2eede0a80012631b0c"}],
    "environments": ["124312341234", "567856785678"],
    "folders": ["active", "shared", "assigned"],
    "incident_tags": [],
    "correlation_matchers_log": [[]],
    "assignee": {"email": "colin@example.com", "name": "Colin", "user_id": "6553d04d2463e49f8eb3c771"},
    "assigner": {"email": "colin@example.com", "name": "Colin", "user_id": "6553d04d2463e49f8eb3c771"},
}
ALERT = {
    "alert_id": "60a4ee83bb7d9d046b8d7a93",
    "status": "critical",
    "start": 1466416853,
    "end": None,
    "changed_at": 1466417169,
    "updated_at": 1466417170,
    "last_event_at": 1466417171,
    "active": True,
    "primary_property": "host",
    "secondary_property": "check",
    "source_system": "api.backend_monitoring",
    "incident_key": "prod-1__Host is down",
    "maintenance_plans": [],
    "description": "CRITICAL - Host Unreachable",
    "tags": [{"name": "host", "value": "prod-1"}],
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def read(body):
    return parse_share(share_body_from_api(body), {}, NOW)


def test_an_incident_as_it_was_seen_is_read_in_full():
    share = read(SEEN)
    colin = {"name": "Colin", "email": "colin@example.com", "id": "6553d04d2463e49f8eb3c771"}

    assert (share.incident, share.as_of) == ("653989e52d00001901351684", 1698265903.0)
    assert share.blocks == {
        "state": {"status": "Critical", "resolved": None, "active": True},
        "severity": "Critical",
        "flapping": False,
        "snooze": {"snoozed": False, "wake": None},
        "started": 1698265901,
        "changed": 1698265902,
        "updated": 1698265903,
        "ended": None,
        "tags": [],
        "assignment": {"assignee": colin, "assigner": colin},
    }


def test_nothing_is_told_that_the_api_does_not_tell():
    share = read(SEEN)

    assert (share.environment, share.sender, share.comment, share.events) == (None, None, None, ())
    assert set(read({"id": "i1"}).blocks) == set()
    assert set(read({"id": "i1", "active": False}).blocks) == {"state"}


def test_alerts_are_told_where_they_are_expanded():
    (alert,) = read(SEEN | {"alerts": [ALERT]}).blocks["alerts"]

    assert alert == {
        "id": "60a4ee83bb7d9d046b8d7a93",
        "status": "critical",
        "active": True,
        "started": 1466416853,
        "changed": 1466417169,
        "ended": None,
        "primary": "host",
        "secondary": "check",
        "source": "api.backend_monitoring",
        "description": "CRITICAL - Host Unreachable",
        "tags": [["host", ["prod-1"]]],
    }


def test_an_alert_may_be_known_by_the_other_word_for_its_id():
    told = {name: value for name, value in ALERT.items() if name != "alert_id"} | {"id": "a1"}

    assert read(SEEN | {"alerts": [told]}).blocks["alerts"][0]["id"] == "a1"


@pytest.mark.parametrize(
    "alerts",
    [
        [{"alert_id": "a1"}],
        [{"id": "a1"}],
        [ALERT, {"alert_id": "a1"}],
        ["a1", "a2"],
        [ALERT, "a1"],
        None,
        {"a1": ALERT},
    ],
    ids=["bare", "bare id", "some bare", "texts", "some texts", "null", "a map"],
)
def test_a_list_that_knows_some_alerts_by_their_id_alone_tells_no_alerts(alerts):
    assert "alerts" not in read(SEEN | {"alerts": alerts}).blocks


def test_an_incident_without_alerts_has_none():
    assert read(SEEN | {"alerts": []}).blocks["alerts"] == []


def test_a_snooze_is_told_with_its_end():
    told = SEEN | {"snooze": {"snoozed": True, "end_time": 1698269999, "cancel_on_incident_updates": True}}

    assert read(told).blocks["snooze"] == {"snoozed": True, "wake": 1698269999}


def test_somebody_is_told_to_be_nobody_and_not_to_be_mentioned():
    without = {name: value for name, value in SEEN.items() if name not in {"assignee", "assigner"}}

    assert "assignment" not in read(without).blocks
    assert read(without | {"assignee": None}).blocks["assignment"]["assignee"] is None


@pytest.mark.parametrize("spelled", [("tag_id", "tag_value"), ("id", "value")])
def test_tags_are_read_in_either_spelling(spelled):
    known, value = spelled

    assert read(SEEN | {"incident_tags": [{known: "itd_priority_1", value: 1000}]}).blocks["tags"] == [
        ["itd_priority_1", ["1000"]]
    ]


def test_what_is_asked_again_unchanged_is_the_same_share():
    again = SEEN | {"environments": ["another"], "folders": [], "shared": False, "correlation_matchers_log": []}

    assert read(again).hash == read(SEEN).hash
    assert read(SEEN | {"updated_at": 1698265904}).hash != read(SEEN).hash


def test_the_record_is_the_same_whether_a_share_or_the_api_told_it():
    bigpanda = FakeBigPanda(clock=lambda: float(NOW))
    told = {
        "id": "i1",
        "status": "Warning",
        "severity": "Critical",
        "active": True,
        "flapping": True,
        "snooze": {"snoozed": True, "wake": NOW + 60, "autoCancel": False},
        "startedOn": NOW - 60,
        "changedOn": NOW - 10,
        "updatedOn": NOW - 5,
        "endedOn": None,
        "alerts": [
            {
                "id": "a1",
                "status": "Warning",
                "active": True,
                "startedOn": NOW - 60,
                "changedOn": NOW - 10,
                "updatedOn": NOW - 5,
                "endedOn": None,
                "primaryProperty": "host",
                "secondaryProperty": "check",
                "sourceSystem": "nagios.east",
                "description": "load",
                "tags": [{"name": "host", "value": "db-1"}, {"name": "check", "value": "load"}],
            }
        ],
    }
    incident = bigpanda.add_incident({"incident": told, "incidentTags": [{"id": "team", "value": "db"}]})
    incident.assign(ANN, ANN)
    people = {role: ANN.as_share() for role in ("assignee", "assigner")}
    body = {"incident": told, "incidentTags": [{"id": "team", "value": "db"}], "metadata": people}
    shared = parse_share(orjson.dumps(body), {}, NOW)

    asked = read(incident.as_api_object(expanded=True))

    assert asked.blocks == shared.blocks
    assert merge_share(merge_share(None, shared), asked).blocks == merge_share(None, shared).blocks


@pytest.mark.parametrize("body", [None, [], [SEEN], "text", 7, {}, {"id": None}, {"status": "Critical"}])
def test_what_is_no_incident_is_refused_as_a_share_without_one_is(body):
    with pytest.raises(NoIncident):
        read(body)


@given(
    body=st.dictionaries(st.sampled_from([*SEEN, "more"]), json_values, max_size=8), alert=json_values, known=st.text()
)
def test_any_shape_becomes_a_body_that_is_read_or_refused(body, alert, known):
    share = read({**body, "alerts": [alert, ALERT], "id": f"i{known}"[:200]})

    assert share.incident.startswith("i")
