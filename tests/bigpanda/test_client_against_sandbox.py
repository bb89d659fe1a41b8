"""The client against the fake BigPanda, over HTTP: every call, every rejection, every lost answer."""

import asyncio
from http import HTTPStatus

import orjson
import pytest

from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.client import BigPandaClient
from relay.bigpanda.outcomes import (
    IncidentNotFound,
    RejectionCause,
    TaskAmbiguous,
    TaskDone,
    TaskRejected,
    TaskRetryable,
)
from relay.bigpanda.responses import comments_of, tag_definitions_of, users_of
from relay.bigpanda.webhook.api import share_body_from_api
from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import ShareEvent
from relay.http.session import make_session
from relay.model.incident import Environment, Person
from relay.model.tag_labels import TagDefinition
from relay.sandbox.bigpanda.server import FakeBigPanda, serve_bigpanda
from relay.sandbox.bigpanda.users import FakeBigPandaUser
from relay.sandbox.faults import DropConnection, InjectedFault, NoAnswer, RawResponse
from tests.support.clocks import ManualClock

NOW = 1_700_000_000
ENV = "55550bc8c481fd1100abc398"
ANN = FakeBigPandaUser(id="644c", name="Ann Lee", email="ann@example.com")
SHARE = {
    "incident": {
        "id": "5e7f",
        "status": "Critical",
        "severity": "Critical",
        "active": True,
        "resolved": False,
        "flapping": False,
        "startedOn": NOW - 60,
        "changedOn": NOW - 60,
        "endedOn": None,
        "alerts": [{"id": "a1", "status": "Critical", "active": True, "tags": [{"name": "host", "value": "db-1"}]}],
    },
    "incidentTags": [{"id": "itd_priority_1", "value": 1000}],
}

CALLS = {
    BigPandaCall.CALLBACK: lambda client: client.callback("5e7f", "k"),
    BigPandaCall.INCIDENT: lambda client: client.incident(ENV, "5e7f"),
    BigPandaCall.RESOLVE: lambda client: client.resolve(ENV, "5e7f", "fixed"),
    BigPandaCall.COMMENT: lambda client: client.comment(ENV, "5e7f", "on it"),
    BigPandaCall.ASSIGN: lambda client: client.assign(ENV, "5e7f", ANN.id),
    BigPandaCall.SNOOZE: lambda client: client.snooze(ENV, "5e7f", NOW + 3600),
    BigPandaCall.UNASSIGN: lambda client: client.unassign(ENV, "5e7f"),
    BigPandaCall.END_SNOOZE: lambda client: client.end_snooze(ENV, "5e7f"),
    BigPandaCall.TAG_DEFINITIONS: lambda client: client.tag_definitions(),
    BigPandaCall.ACTIVITIES: lambda client: client.activities("5e7f"),
    BigPandaCall.USERS: lambda client: client.users(ANN.email),
}
WRITES = [call for call in BigPandaCall if not call.is_read]
WITH_AN_INCIDENT = [call for call in BigPandaCall if call.names_incident]


@pytest.fixture
def time():
    return ManualClock(NOW)


@pytest.fixture
def bigpanda(time):
    bigpanda = FakeBigPanda(clock=time.now, sleep=time.sleep)
    bigpanda.add_user(ANN)
    bigpanda.add_incident(SHARE)
    bigpanda.add_integration("http://127.0.0.1:1/", app_key="k")
    return bigpanda


@pytest.fixture
async def base_url(bigpanda):
    async with serve_bigpanda(bigpanda) as base_url:
        yield base_url


@pytest.fixture
async def client(bigpanda, base_url):
    async with make_session() as session:
        yield lambda **more: BigPandaClient(session, **{"key": bigpanda.key, "base_url": base_url, **more})


# -- Every verb --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", BigPandaCall)
async def test_a_strict_bigpanda_accepts_every_call(bigpanda, client, call):
    bigpanda.incident("5e7f").assign(ANN, ANN)  # who has it can leave it
    assert isinstance(await CALLS[call](client()), TaskDone)

    (received,) = bigpanda.calls
    assert (received.method, received.took_effect) == (call, True)


async def test_every_action_changes_the_incident(bigpanda, client):
    incident = bigpanda.incident("5e7f")
    api = client()

    for call in (BigPandaCall.COMMENT, BigPandaCall.ASSIGN, BigPandaCall.SNOOZE):
        await CALLS[call](api)

    assert (incident.comments, incident.assignee, incident.snoozed_until) == (["on it"], ANN, NOW + 3600)
    assert incident.fields["snooze"]["autoCancel"] is False

    for call in (BigPandaCall.UNASSIGN, BigPandaCall.END_SNOOZE):
        await CALLS[call](api)

    assert (incident.assignee, incident.snoozed_until) == (None, None)

    await CALLS[BigPandaCall.RESOLVE](api)

    assert incident.resolved
    assert incident.activities[-1]["params"] == {"annotation": "fixed"}


async def test_resolving_a_resolved_incident_is_done(client):
    api = client()

    assert [await CALLS[BigPandaCall.RESOLVE](api) for _ in range(2)] == [
        TaskDone(body={"status": 202, "data": {}}),
        TaskDone(),
    ]


async def test_reads_return_what_bigpanda_has(client):
    api = client()
    await api.comment(ENV, "5e7f", "first")
    await api.comment(ENV, "5e7f", "second")

    incident, definitions, activities, users, nobody = [
        (await asked).body
        for asked in (
            api.incident(ENV, "5e7f"),
            api.tag_definitions(),
            api.activities("5e7f"),
            api.users("ANN@example.com"),
            api.users("bob@example.com"),
        )
    ]

    assert [alert["alert_id"] for alert in incident["alerts"]] == ["a1"]
    words = {"1000": "P1", "2000": "P2", "3000": "P3", "4000": "P4", "5000": "P5"}
    (priority,) = tag_definitions_of(definitions)
    assert priority == TagDefinition(id="itd_priority_1", name="Priority", ranks=priority.ranks)
    assert words.items() <= priority.ranks.items()
    assert comments_of(activities) == ("second", "first")
    assert users_of(users) == (Person(name="Ann Lee", email="ann@example.com", id="644c"),)
    assert users_of(nobody) == ()


async def test_odd_ids_and_texts_arrive_unchanged(bigpanda, client):
    odd = "a/b?c=d&e#f%2F é 💥"
    bigpanda.add_environment(odd, "Odd")
    bigpanda.add_incident({"incident": {"id": odd}, "metadata": {"environment_id": odd}})

    assert await client().comment(odd, odd, odd) == TaskDone()
    assert await client().activities(odd) == TaskDone(
        body={"items": list(reversed(bigpanda.incident(odd).activities))},
    )
    assert bigpanda.incident(odd).comments == [odd]


async def test_every_action_causes_a_share_that_relay_parses(bigpanda, client, time):
    api = client()
    shares = []
    for call in (
        BigPandaCall.COMMENT,
        BigPandaCall.ASSIGN,
        BigPandaCall.SNOOZE,
        BigPandaCall.RESOLVE,
    ):
        time.advance(1)
        await CALLS[call](api)
        await bigpanda.wait_until_idle()
        shares.append(parse_share(orjson.dumps(bigpanda.sent_shares[-1].body), {}, time.now()))

    commented, assigned, snoozed, resolved = shares
    ann = {"name": "Ann Lee", "email": "ann@example.com", "id": "644c"}
    assert {share.environment for share in shares} == {Environment(name="All Incidents", id=ENV)}
    assert [share.as_of for share in shares] == [NOW + second for second in range(1, 5)]
    assert (commented.comment, commented.events) == ("on it", (ShareEvent(name="incident#commented", at=NOW + 1),))
    assert [share.comment for share in shares[1:]] == [None] * 3
    assert assigned.blocks["assignment"]["assignee"] == ann
    assert snoozed.blocks["snooze"] == {"snoozed": True, "wake": NOW + 3600}
    assert resolved.blocks["state"] == {"status": "Ok", "resolved": True, "active": False}
    assert resolved.blocks["ended"] == NOW + 4


async def test_the_api_s_incident_says_the_same_as_the_last_share(bigpanda, client):
    api = client()
    for call in (BigPandaCall.ASSIGN, BigPandaCall.SNOOZE):
        await CALLS[call](api)
    await bigpanda.wait_until_idle()

    shared = parse_share(orjson.dumps(bigpanda.sent_shares[-1].body), {}, NOW)
    asked = parse_share(share_body_from_api((await CALLS[BigPandaCall.INCIDENT](api)).body), {}, NOW)

    assert asked.incident == shared.incident
    assert asked.blocks == {
        **shared.blocks,
        "state": {"status": "Critical", "resolved": None, "active": True},
    }


# -- Every rejection ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", BigPandaCall)
async def test_a_revoked_key_is_rejected(bigpanda, client, call):
    bigpanda.revoke()

    outcome = await CALLS[call](client())

    assert (outcome.cause, outcome.reason) == (RejectionCause.CREDENTIALS, "key_invalid")


@pytest.mark.parametrize("call", [call for call in WRITES if call is not BigPandaCall.CALLBACK] + [BigPandaCall.USERS])
async def test_a_user_without_the_permission_is_rejected(bigpanda, client, call):
    bigpanda.add_key("BPUguest", user=ANN, permissions=())

    outcome = await CALLS[call](client(key="BPUguest"))

    assert (outcome.cause, outcome.reason) == (RejectionCause.PERMISSION, "forbidden")
    assert outcome.detail


@pytest.mark.parametrize("call", WITH_AN_INCIDENT)
async def test_a_removed_incident_is_not_found(bigpanda, client, call):
    bigpanda.remove_incident("5e7f")

    assert await CALLS[call](client()) == IncidentNotFound(reason="not_found", detail="Incident 5e7f does not exist")


async def test_a_missing_user_is_not_a_missing_incident(client):
    user = await client().assign(ENV, "5e7f", "nobody")

    assert (user.cause, user.reason) == (RejectionCause.PAYLOAD, "user_unknown")


async def test_in_another_region_no_call_and_no_incident_is_found(client, base_url):
    elsewhere = client(base_url=f"{base_url}/elsewhere")

    assert (await elsewhere.tag_definitions()).reason == "no_such_call"
    assert isinstance(await elsewhere.comment(ENV, "5e7f", "x"), IncidentNotFound)


async def test_a_rejection_contains_bigpandas_text(client):
    outcomes = [
        await client().comment(ENV, "5e7f", " "),
        await client().snooze(ENV, "5e7f", NOW),
        await client().callback("5e7f", "another key"),
    ]

    assert {(outcome.cause, outcome.reason) for outcome in outcomes} == {(RejectionCause.PAYLOAD, "bad_request")}
    assert [outcome.detail for outcome in outcomes] == [
        "comment may not be blank",
        "end_time must be in the next 90 days, in Unix seconds",
        "no integration has this app_key",
    ]


@pytest.mark.parametrize("call", BigPandaCall)
async def test_calls_above_the_rate_limit_are_retryable_and_have_no_effect(bigpanda, client, call):
    bigpanda.limits.enabled = True
    api = client()

    outcomes = [await CALLS[call](api) for _ in range(6)]

    assert outcomes[-1] == TaskRetryable(reason="rate_limited", pauses=True)
    assert [each.took_effect for each in bigpanda.calls_to(call)].count(True) <= 5


# -- Every lost answer -------------------------------------------------------------------------------------------------

LOST_ANSWERS = {
    "500": (RawResponse(status=500, body='{"status":500,"errors":["x"]}'), "server_error"),
    "502 html": (RawResponse(status=502, body="<html>", content_type="text/html"), "server_error"),
    "503": (RawResponse(status=503), "server_error"),
    "a page": (RawResponse(body="<html>sign in</html>", content_type="text/html"), "unreadable"),
    "cut": (DropConnection(), "connection_cut"),
}


@pytest.mark.parametrize("lost", LOST_ANSWERS.values(), ids=LOST_ANSWERS)
@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", [BigPandaCall.COMMENT, BigPandaCall.ASSIGN, BigPandaCall.INCIDENT])
async def test_a_lost_answer_leaves_a_write_in_doubt_and_a_read_retryable(bigpanda, client, call, lost, after_effect):
    behaviour, reason = lost
    bigpanda.faults.add(InjectedFault(behaviour=behaviour, method=call, after_effect=after_effect))

    outcome = await CALLS[call](client())

    assert outcome == (TaskRetryable(reason=reason) if call.is_read else TaskAmbiguous(reason=reason))
    assert [each.took_effect for each in bigpanda.calls_to(call)] == [after_effect]


async def test_a_write_without_an_answer_is_in_doubt(bigpanda, client):
    bigpanda.faults.add(InjectedFault(behaviour=NoAnswer(), method="comment", after_effect=True))

    assert await CALLS[BigPandaCall.COMMENT](client(timeout=1.0)) == TaskAmbiguous(reason="timed_out")
    assert bigpanda.incident("5e7f").comments == ["on it"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (HTTPStatus.GONE, IncidentNotFound),
        (HTTPStatus.NOT_IMPLEMENTED, TaskRejected),
        (HTTPStatus.CONFLICT, TaskRejected),
    ],
)
async def test_the_other_documented_statuses_have_their_outcome(bigpanda, client, status, kind):
    bigpanda.faults.add(InjectedFault(behaviour=RawResponse(status=status), method="comment"))

    assert isinstance(await CALLS[BigPandaCall.COMMENT](client()), kind)


async def test_without_a_connection_a_call_was_surely_not_sent(client, unused_tcp_port):
    api = client(base_url=f"http://127.0.0.1:{unused_tcp_port}")

    assert {await CALLS[call](api) for call in BigPandaCall} == {TaskRetryable(reason="not_connected")}


async def test_a_comment_in_doubt_can_be_looked_up(bigpanda, client):
    bigpanda.faults.add(InjectedFault(behaviour=DropConnection(), method="comment", after_effect=True))
    api = client()

    assert isinstance(await api.comment(ENV, "5e7f", "did it land?"), TaskAmbiguous)
    found = await api.activities("5e7f")

    assert comments_of(found.body) == ("did it land?",)


async def test_many_calls_at_once_are_each_answered(bigpanda, client):
    api = client()

    outcomes = await asyncio.gather(*(api.comment(ENV, "5e7f", f"{number}") for number in range(50)))

    assert outcomes == [TaskDone()] * 50
    assert sorted(bigpanda.incident("5e7f").comments, key=int) == [str(number) for number in range(50)]
