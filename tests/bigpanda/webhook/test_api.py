"""An incident from the Incidents API, rewritten as a share: the same record as the webhook's, and nothing else."""

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

# The shape that a client read, with the values of BigPanda's own pages.
API_INCIDENT = {
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


def test_an_observed_incident_is_read_in_full():
    share = read(API_INCIDENT)
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


def test_the_body_says_nothing_that_the_api_did_not_say():
    share = read(API_INCIDENT)

    assert (share.environment, share.sender, share.comment, share.events) == (None, None, None, ())
    assert set(read({"id": "i1"}).blocks) == set()
    assert set(read({"id": "i1", "active": False}).blocks) == {"state"}


def test_expanded_alerts_are_in_the_body():
    (alert,) = read(API_INCIDENT | {"alerts": [ALERT]}).blocks["alerts"]

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


def test_an_alert_may_have_its_id_under_either_name():
    fields = {name: value for name, value in ALERT.items() if name != "alert_id"} | {"id": "a1"}

    assert read(API_INCIDENT | {"alerts": [fields]}).blocks["alerts"][0]["id"] == "a1"


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
def test_a_list_with_bare_ids_gives_no_alerts(alerts):
    assert "alerts" not in read(API_INCIDENT | {"alerts": alerts}).blocks


def test_an_incident_without_alerts_has_none():
    assert read(API_INCIDENT | {"alerts": []}).blocks["alerts"] == []


def test_a_snooze_has_its_end():
    fields = API_INCIDENT | {"snooze": {"snoozed": True, "end_time": 1698269999, "cancel_on_incident_updates": True}}

    assert read(fields).blocks["snooze"] == {"snoozed": True, "wake": 1698269999}


def test_an_empty_assignment_differs_from_a_missing_one():
    without = {name: value for name, value in API_INCIDENT.items() if name not in {"assignee", "assigner"}}

    assert "assignment" not in read(without).blocks
    assert read(without | {"assignee": None}).blocks["assignment"]["assignee"] is None


@pytest.mark.parametrize("spelled", [("tag_id", "tag_value"), ("id", "value")])
def test_tags_are_read_in_either_spelling(spelled):
    known, value = spelled

    assert read(API_INCIDENT | {"incident_tags": [{known: "itd_priority_1", value: 1000}]}).blocks["tags"] == [
        ["itd_priority_1", ["1000"]]
    ]


def test_an_unchanged_incident_gives_the_same_share():
    again = API_INCIDENT | {"environments": ["another"], "folders": [], "shared": False, "correlation_matchers_log": []}

    assert read(again).hash == read(API_INCIDENT).hash
    assert read(API_INCIDENT | {"updated_at": 1698265904}).hash != read(API_INCIDENT).hash


def test_a_share_and_the_api_give_the_same_record():
    bigpanda = FakeBigPanda(clock=lambda: float(NOW))
    fields = {
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
    incident = bigpanda.add_incident({"incident": fields, "incidentTags": [{"id": "team", "value": "db"}]})
    incident.assign(ANN, ANN)
    people = {role: ANN.as_share() for role in ("assignee", "assigner")}
    body = {"incident": fields, "incidentTags": [{"id": "team", "value": "db"}], "metadata": people}
    shared = parse_share(orjson.dumps(body), {}, NOW)

    asked = read(incident.as_api_object(expanded=True))

    assert asked.blocks == shared.blocks
    assert merge_share(merge_share(None, shared), asked).blocks == merge_share(None, shared).blocks


@pytest.mark.parametrize("body", [None, [], [API_INCIDENT], "text", 7, {}, {"id": None}, {"status": "Critical"}])
def test_a_body_without_an_incident_is_rejected(body):
    with pytest.raises(NoIncident):
        read(body)


@given(
    body=st.dictionaries(st.sampled_from([*API_INCIDENT, "more"]), json_values, max_size=8),
    alert=json_values,
    known=st.text(),
)
def test_any_shape_gives_a_body_that_is_parsed_or_rejected(body, alert, known):
    share = read({**body, "alerts": [alert, ALERT], "id": f"i{known}"[:200]})

    assert share.incident.startswith("i")
