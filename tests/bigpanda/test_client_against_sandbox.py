"""The door to BigPanda against its stand-in, over HTTP: every verb, every way in which it can be refused or lost."""

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

VERBS = {
    BigPandaCall.CALLBACK: lambda door: door.callback("5e7f", "k"),
    BigPandaCall.INCIDENT: lambda door: door.incident(ENV, "5e7f"),
    BigPandaCall.RESOLVE: lambda door: door.resolve(ENV, "5e7f", "fixed"),
    BigPandaCall.COMMENT: lambda door: door.comment(ENV, "5e7f", "on it"),
    BigPandaCall.ASSIGN: lambda door: door.assign(ENV, "5e7f", ANN.id),
    BigPandaCall.UNASSIGN: lambda door: door.unassign(ENV, "5e7f"),
    BigPandaCall.SNOOZE: lambda door: door.snooze(ENV, "5e7f", NOW + 3600, "until one", cancel_on_updates=True),
    BigPandaCall.UNSNOOZE: lambda door: door.unsnooze(ENV, "5e7f"),
    BigPandaCall.TAG: lambda door: door.tag(ENV, "5e7f", "itd_priority_1", "P2"),
    BigPandaCall.TAG_DEFINITIONS: lambda door: door.tag_definitions(),
    BigPandaCall.ACTIVITIES: lambda door: door.activities("5e7f"),
    BigPandaCall.USERS: lambda door: door.users(ANN.email),
}
WRITES = [call for call in BigPandaCall if not call.is_read]
ABOUT_AN_INCIDENT = [call for call in BigPandaCall if call.names_incident]


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
async def door(bigpanda, base_url):
    async with make_session() as session:
        yield lambda **more: BigPandaClient(session, **{"key": bigpanda.key, "base_url": base_url, **more})


# -- Every verb --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", BigPandaCall)
async def test_every_verb_is_taken_by_a_strict_bigpanda(bigpanda, door, call):
    assert isinstance(await VERBS[call](door()), TaskDone)

    (noted,) = bigpanda.calls
    assert (noted.method, noted.took_effect) == (call, True)


async def test_what_is_done_to_an_incident_is_done(bigpanda, door):
    incident = bigpanda.incident("5e7f")
    panda = door()

    for call in (BigPandaCall.COMMENT, BigPandaCall.ASSIGN, BigPandaCall.SNOOZE, BigPandaCall.TAG):
        await VERBS[call](panda)

    assert (incident.comments, incident.assignee, incident.snoozed_until) == (["on it"], ANN, NOW + 3600)
    assert incident.fields["snooze"]["autoCancel"] is True
    assert incident.tags == {"itd_priority_1": 2000}

    for call in (BigPandaCall.UNASSIGN, BigPandaCall.UNSNOOZE, BigPandaCall.RESOLVE):
        await VERBS[call](panda)

    assert (incident.assignee, incident.snoozed_until, incident.resolved) == (None, None, True)
    assert incident.activities[-1]["params"] == {"annotation": "fixed"}


async def test_what_is_resolved_already_is_done(door):
    panda = door()

    assert [await VERBS[BigPandaCall.RESOLVE](panda) for _ in range(2)] == [
        TaskDone(body={"status": 202, "data": {}}),
        TaskDone(repeated=True),
    ]


async def test_reads_tell_what_there_is(door):
    panda = door()
    await panda.comment(ENV, "5e7f", "first")
    await panda.comment(ENV, "5e7f", "second")

    incident, definitions, activities, users, nobody = [
        (await asked).body
        for asked in (
            panda.incident(ENV, "5e7f"),
            panda.tag_definitions(),
            panda.activities("5e7f", ["incident_commented"]),
            panda.users("ANN@example.com"),
            panda.users("bob@example.com"),
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


async def test_odd_ids_and_texts_arrive_as_they_are(bigpanda, door):
    odd = "a/b?c=d&e#f%2F é 💥"
    bigpanda.add_environment(odd, "Odd")
    bigpanda.add_incident({"incident": {"id": odd}, "metadata": {"environment_id": odd}})

    assert await door().comment(odd, odd, odd) == TaskDone()
    assert await door().activities(odd) == TaskDone(
        body={"items": list(reversed(bigpanda.incident(odd).activities))},
    )
    assert bigpanda.incident(odd).comments == [odd]


async def test_what_each_action_causes_is_a_share_that_relay_reads(bigpanda, door, time):
    panda = door()
    shares = []
    for call in (
        BigPandaCall.COMMENT,
        BigPandaCall.ASSIGN,
        BigPandaCall.SNOOZE,
        BigPandaCall.UNSNOOZE,
        BigPandaCall.UNASSIGN,
        BigPandaCall.TAG,
        BigPandaCall.RESOLVE,
    ):
        time.advance(1)
        await VERBS[call](panda)
        await bigpanda.wait_until_idle()
        shares.append(parse_share(orjson.dumps(bigpanda.sent_shares[-1].body), {}, time.now()))

    commented, assigned, snoozed, woken, unassigned, tagged, resolved = shares
    ann = {"name": "Ann Lee", "email": "ann@example.com", "id": "644c"}
    assert {share.environment for share in shares} == {Environment(name="All Incidents", id=ENV)}
    assert [share.as_of for share in shares] == [NOW + second for second in range(1, 8)]
    assert (commented.comment, commented.events) == ("on it", (ShareEvent(name="incident#commented", at=NOW + 1),))
    assert [share.comment for share in shares[1:]] == [None] * 6
    assert assigned.blocks["assignment"]["assignee"] == ann
    assert snoozed.blocks["snooze"] == {"snoozed": True, "wake": NOW + 3600}
    assert woken.blocks["snooze"] == {"snoozed": False, "wake": None}
    assert unassigned.blocks["assignment"]["assignee"] is None
    assert tagged.blocks["tags"] == [["itd_priority_1", ["2000"]]]
    assert resolved.blocks["state"] == {"status": "Ok", "resolved": True, "active": False}
    assert resolved.blocks["ended"] == NOW + 7


async def test_what_is_asked_for_is_what_the_last_share_told(bigpanda, door):
    panda = door()
    for call in (BigPandaCall.ASSIGN, BigPandaCall.SNOOZE, BigPandaCall.TAG):
        await VERBS[call](panda)
    await bigpanda.wait_until_idle()

    shared = parse_share(orjson.dumps(bigpanda.sent_shares[-1].body), {}, NOW)
    asked = parse_share(share_body_from_api((await VERBS[BigPandaCall.INCIDENT](panda)).body), {}, NOW)

    assert asked.incident == shared.incident
    assert asked.blocks == {
        **shared.blocks,
        "state": {"status": "Critical", "resolved": None, "active": True},
    }


# -- Every refusal -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", BigPandaCall)
async def test_a_key_that_is_revoked_is_refused(bigpanda, door, call):
    bigpanda.revoke()

    ruling = await VERBS[call](door())

    assert (ruling.cause, ruling.reason) == (RejectionCause.CREDENTIALS, "key_invalid")


@pytest.mark.parametrize("call", [call for call in WRITES if call is not BigPandaCall.CALLBACK] + [BigPandaCall.USERS])
async def test_a_user_who_may_not_is_refused(bigpanda, door, call):
    bigpanda.add_key("BPUguest", user=ANN, permissions=())

    ruling = await VERBS[call](door(key="BPUguest"))

    assert (ruling.cause, ruling.reason) == (RejectionCause.PERMISSION, "forbidden")
    assert ruling.detail


@pytest.mark.parametrize("call", ABOUT_AN_INCIDENT)
async def test_an_incident_that_is_forgotten_is_missing(bigpanda, door, call):
    bigpanda.remove_incident("5e7f")

    assert await VERBS[call](door()) == IncidentNotFound(reason="not_found", detail="Incident 5e7f does not exist")


async def test_a_tag_or_a_user_that_is_not_there_is_not_a_missing_incident(door):
    tag, user = [await door().tag(ENV, "5e7f", "nope", "x"), await door().assign(ENV, "5e7f", "nobody")]

    assert (tag.cause, tag.reason) == (RejectionCause.PAYLOAD, "tag_unknown")
    assert (user.cause, user.reason) == (RejectionCause.PAYLOAD, "user_unknown")


async def test_another_region_finds_no_call_and_no_incident(door, base_url):
    elsewhere = door(base_url=f"{base_url}/elsewhere")

    assert (await elsewhere.tag_definitions()).reason == "no_such_call"
    assert isinstance(await elsewhere.comment(ENV, "5e7f", "x"), IncidentNotFound)


async def test_what_bigpanda_does_not_take_is_refused_in_its_words(door):
    rulings = [
        await door().comment(ENV, "5e7f", " "),
        await door().snooze(ENV, "5e7f", NOW),
        await door().tag(ENV, "5e7f", "itd_priority_1", "P9"),
        await door().callback("5e7f", "another key"),
    ]

    assert {(ruling.cause, ruling.reason) for ruling in rulings} == {(RejectionCause.PAYLOAD, "bad_request")}
    assert [ruling.detail for ruling in rulings] == [
        "comment may not be blank",
        "end_time must be in the next 90 days, in Unix seconds",
        "itd_priority_1: P9 is none of P1, P2, P3, P4, P5",
        "no integration has this app_key",
    ]


@pytest.mark.parametrize("call", BigPandaCall)
async def test_calls_that_come_too_fast_are_to_wait_and_have_no_effect(bigpanda, door, call):
    bigpanda.rate_limits = True
    panda = door()

    rulings = [await VERBS[call](panda) for _ in range(6)]

    assert rulings[-1] == TaskRetryable(reason="rate_limited", pauses=True)
    assert [each.took_effect for each in bigpanda.calls_to(call)].count(True) <= 5


# -- Every loss --------------------------------------------------------------------------------------------------------

LOSSES = {
    "500": (RawResponse(status=500, body='{"status":500,"errors":["x"]}'), "server_error"),
    "502 html": (RawResponse(status=502, body="<html>", content_type="text/html"), "server_error"),
    "503": (RawResponse(status=503), "server_error"),
    "a page": (RawResponse(body="<html>sign in</html>", content_type="text/html"), "unreadable"),
    "cut": (DropConnection(), "connection_cut"),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", [BigPandaCall.COMMENT, BigPandaCall.ASSIGN, BigPandaCall.INCIDENT])
async def test_a_lost_answer_is_doubt_about_a_write_and_nothing_about_a_read(bigpanda, door, call, loss, after_effect):
    does, reason = loss
    bigpanda.faults.add(InjectedFault(behaviour=does, method=call, after_effect=after_effect))

    ruling = await VERBS[call](door())

    assert ruling == (TaskRetryable(reason=reason) if call.is_read else TaskAmbiguous(reason=reason))
    assert [each.took_effect for each in bigpanda.calls_to(call)] == [after_effect]


async def test_an_answer_that_never_comes_is_doubt(bigpanda, door):
    bigpanda.faults.add(InjectedFault(behaviour=NoAnswer(), method="comment", after_effect=True))

    assert await VERBS[BigPandaCall.COMMENT](door(timeout=0.2)) == TaskAmbiguous(reason="timed_out")
    assert bigpanda.incident("5e7f").comments == ["on it"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (HTTPStatus.GONE, IncidentNotFound),
        (HTTPStatus.NOT_IMPLEMENTED, TaskRejected),
        (HTTPStatus.CONFLICT, TaskRejected),
    ],
)
async def test_what_the_documentation_lists_besides(bigpanda, door, status, kind):
    bigpanda.faults.add(InjectedFault(behaviour=RawResponse(status=status), method="comment"))

    assert isinstance(await VERBS[BigPandaCall.COMMENT](door()), kind)


async def test_a_bigpanda_that_is_not_there_was_surely_not_reached(door, unused_tcp_port):
    panda = door(base_url=f"http://127.0.0.1:{unused_tcp_port}")

    assert {await VERBS[call](panda) for call in BigPandaCall} == {TaskRetryable(reason="not_connected")}


async def test_a_doubtful_comment_can_be_looked_up(bigpanda, door):
    bigpanda.faults.add(InjectedFault(behaviour=DropConnection(), method="comment", after_effect=True))
    panda = door()

    assert isinstance(await panda.comment(ENV, "5e7f", "did it land?"), TaskAmbiguous)
    found = await panda.activities("5e7f", ["incident_commented"])

    assert comments_of(found.body) == ("did it land?",)


async def test_many_calls_at_once_are_each_answered(bigpanda, door):
    panda = door()

    rulings = await asyncio.gather(*(panda.comment(ENV, "5e7f", f"{number}") for number in range(50)))

    assert rulings == [TaskDone()] * 50
    assert sorted(bigpanda.incident("5e7f").comments, key=int) == [str(number) for number in range(50)]
