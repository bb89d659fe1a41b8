"""The fake BigPanda alone: how strictly it validates calls, and which shares they cause."""

import asyncio
import json
from http import HTTPStatus

import aiohttp
import pytest
from aiohttp import web

from relay.sandbox.bigpanda.endpoints import ENDPOINTS
from relay.sandbox.bigpanda.server import FakeBigPanda, serve_bigpanda
from relay.sandbox.bigpanda.sharing import CALLBACK_TIMEOUT
from relay.sandbox.bigpanda.tag_definitions import FakeTagDefinition
from relay.sandbox.bigpanda.users import INCIDENT_ACTIONS, USER_MANAGEMENT, FakeBigPandaUser
from relay.sandbox.faults import DropConnection, InjectedFault, RawResponse, SideEffect, SlowAnswer
from tests.support.clocks import ManualClock

NOW = 1_700_000_000
ENVIRONMENT = "55550bc8c481fd1100abc398"
ANN = FakeBigPandaUser(id="644c", name="Ann Lee", email="ann@example.com")
INCIDENT_PATH = f"/resources/v2.0/environments/{ENVIRONMENT}/incidents/i1"
CALLBACK = "/resources/v2.1/outbound/callback"


def share(incident="i1", **more):
    alert = {
        "id": "a1",
        "status": "Critical",
        "active": True,
        "startedOn": NOW - 60,
        "changedOn": NOW - 60,
        "updatedOn": NOW - 60,
        "endedOn": None,
        "primaryProperty": "host",
        "sourceSystem": "nagios.east",
        "description": "CPU is 98 %",
        "tags": [{"name": "host", "value": "db-1"}],
    }
    fields = {
        "id": incident,
        "status": "Critical",
        "severity": "Critical",
        "active": True,
        "resolved": False,
        "flapping": False,
        "snooze": {"snoozed": False, "wake": None, "autoCancel": False},
        "startedOn": NOW - 60,
        "changedOn": NOW - 60,
        "updatedOn": NOW - 60,
        "endedOn": None,
        "alerts": [alert],
    }
    links = {"landingPage": "http://bigp.io/1"}
    return {"incident": fields, "links": links, "incidentTags": [{"id": "itd_priority_1", "value": 1000}], **more}


class Receiver:
    """An endpoint that records the shares that it receives."""

    def __init__(self):
        self.bodies, self.headers, self.url, self.status = [], [], "", HTTPStatus.ACCEPTED

    async def receive(self, request):
        self.bodies.append(await request.json())
        self.headers.append(request.headers)
        return web.Response(status=self.status)

    @property
    def events(self):
        return [event["event"] for body in self.bodies for event in body.get("event_types", [])]


@pytest.fixture
async def receiver():
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/shares", receiver.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/shares"
    yield receiver
    await runner.cleanup()


class Clock(ManualClock):
    """A manual clock with an event for the start of a sleep."""

    def __init__(self):
        super().__init__(NOW)
        self.sleeping = asyncio.Event()

    async def sleep(self, seconds):
        self.sleeping.set()
        await super().sleep(seconds)


@pytest.fixture
async def time():
    return Clock()


@pytest.fixture
def bigpanda(time):
    bigpanda = FakeBigPanda(clock=time.now, sleep=time.sleep)
    bigpanda.add_user(ANN)
    bigpanda.add_incident(share())
    return bigpanda


@pytest.fixture
async def send(bigpanda):
    """Make a call, and return its status and body."""
    async with serve_bigpanda(bigpanda) as base_url, aiohttp.ClientSession() as session:

        async def send(verb, path, body=None, *, key=bigpanda.key, data=None, kind="application/json; charset=utf8"):
            raw = json.dumps(body) if data is None and body is not None else data
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            if raw is not None:
                headers["Content-Type"] = kind
            async with session.request(verb, base_url + path, data=raw, headers=headers) as answer:
                text = await answer.text()
                return answer.status, json.loads(text) if text else None

        yield send


async def let_tasks_run():
    """Let other tasks run until they wait for the clock."""
    for _ in range(20):
        await asyncio.sleep(0)


# -- Strictness --------------------------------------------------------------------------------------------------------

VALID_CALLS = {
    "callback": ("POST", CALLBACK, {"event_type": "incident#new", "incident_id": "i1", "app_key": "k"}, 200),
    "incident": ("GET", f"{INCIDENT_PATH}?expand=alerts", None, 200),
    "resolve": ("POST", f"{INCIDENT_PATH}/resolve", {"comments": "done"}, 202),
    "comment": ("POST", f"{INCIDENT_PATH}/comments", {"comment": "on it"}, 204),
    "assign": ("PUT", f"{INCIDENT_PATH}/assignment", {"assignee": ANN.id}, 204),
    "unassign": ("DELETE", f"{INCIDENT_PATH}/assignment", None, 204),
    "snooze": ("PUT", f"{INCIDENT_PATH}/snooze", {"end_time": NOW + 3600}, 204),
    "end_snooze": ("DELETE", f"{INCIDENT_PATH}/snooze", None, 204),
    "definitions": ("GET", "/resources/v2.0/incidents/tags/definitions", None, 200),
    "activities": ("GET", "/resources/v2.0/incidents/i1/activities?per_page=40", None, 200),
    "users": ("GET", "/resources/v2.0/scim/Users?filter=active%20eq%20true", None, 200),
}
INCIDENT_CALLS = [name for name in VALID_CALLS if name not in {"callback", "definitions", "users"}]
WITH_BODY = [name for name, (_, _, body, _) in VALID_CALLS.items() if body is not None]


def test_every_call_is_in_the_table():
    assert [endpoint.name for endpoint in ENDPOINTS] == list(VALID_CALLS)


@pytest.mark.parametrize("name", VALID_CALLS)
async def test_each_call_is_answered_with_the_documented_success(bigpanda, send, name):
    bigpanda.add_integration("http://127.0.0.1:1/", app_key="k")
    if name == "unassign":
        bigpanda.incident("i1").assign(ANN, ANN)
    verb, path, body, status = VALID_CALLS[name]

    assert (await send(verb, path, body))[0] == status

    (call,) = bigpanda.calls_to(name)
    assert (call.took_effect, call.ok, call.at) == (True, True, NOW)


@pytest.mark.parametrize("name", VALID_CALLS)
@pytest.mark.parametrize("key", [None, "", "BPUanother", "BPUrevoked"])
async def test_every_call_needs_a_key(bigpanda, send, name, key):
    bigpanda.add_key("BPUrevoked", user=ANN)
    bigpanda.revoke("BPUrevoked")
    verb, path, body, _ = VALID_CALLS[name]

    assert await send(verb, path, body, key=key) == (401, {"status": 401, "errors": ["Authorization Required"]})
    assert not bigpanda.calls[0].took_effect


async def test_a_restored_key_works_again(bigpanda, send):
    verb, path, body, status = VALID_CALLS["comment"]
    bigpanda.revoke()
    assert (await send(verb, path, body))[0] == 401

    bigpanda.restore()

    assert (await send(verb, path, body))[0] == status


@pytest.mark.parametrize("name", INCIDENT_CALLS)
async def test_an_incident_that_is_gone_or_in_another_environment_is_not_found(bigpanda, send, name):
    bigpanda.add_environment("env2", "Databases")
    verb, path, body, _ = VALID_CALLS[name]
    others = [path.replace(ENVIRONMENT, other) for other in ("env2", "nowhere") if ENVIRONMENT in path]

    answers = [await send(verb, other, body) for other in others]
    bigpanda.remove_incident("i1")
    answers.append(await send(verb, path, body))

    assert {status for status, _ in answers} == {404}
    assert not any(call.took_effect for call in bigpanda.calls)


@pytest.mark.parametrize("name", WITH_BODY)
async def test_a_body_must_have_exactly_the_documented_fields(bigpanda, send, name):
    bigpanda.add_integration("http://127.0.0.1:1/", app_key="k")
    verb, path, body, _ = VALID_CALLS[name]
    field = next(iter(body))
    bad = [
        {**body, "more": 1},
        {key: value for key, value in body.items() if key != field},
        {**body, field: None},
        {**body, field: [body[field]]},
        {**body, field: True},
        {**body, field: " "},
        [],
        "text",
    ]

    assert {(await send(verb, path, each))[0] for each in bad} == {400}
    assert (await send(verb, path, data="{"))[0] == 400
    assert (await send(verb, path, body, kind="text/plain"))[0] == 400
    assert not any(call.took_effect for call in bigpanda.calls)


async def test_comment_and_comments_are_different_fields(bigpanda, send):
    assert await send("POST", f"{INCIDENT_PATH}/comments", {"comments": "x"}) == (
        400,
        {"status": 400, "errors": ["comments is not a field of this call", "comment is required"]},
    )
    assert (bigpanda.calls[0].ok, bigpanda.calls[0].error) == (
        False,
        "comments is not a field of this call; comment is required",
    )
    assert (await send("POST", f"{INCIDENT_PATH}/resolve", {"comment": "x"}))[0] == 400


async def test_a_call_that_takes_no_body_rejects_one(send):
    assert (await send("GET", INCIDENT_PATH, {}))[0] == 400


@pytest.mark.parametrize(
    ("name", "permission", "error_body"),
    [
        ("comment", INCIDENT_ACTIONS, {"status": 403, "errors": ["the permission Incident Actions is missing"]}),
        (
            "users",
            USER_MANAGEMENT,
            {"statusCode": 403, "error": "Forbidden", "message": "Forbidden - insufficient permissions"},
        ),
    ],
)
async def test_a_user_without_the_permission_is_rejected(bigpanda, send, name, permission, error_body):
    bigpanda.keys[bigpanda.key].permissions -= {permission}
    verb, path, body, _ = VALID_CALLS[name]

    assert await send(verb, path, body) == (403, error_body)


async def test_an_unknown_path_is_not_found(bigpanda, send):
    for verb, path in (
        ("GET", "/"),
        ("POST", INCIDENT_PATH),
        ("GET", f"{INCIDENT_PATH}/resolve"),
        ("POST", f"{INCIDENT_PATH}/share"),
    ):
        assert await send(verb, path, {}) == (404, {"status": 404, "errors": ["Not Found"]})
    assert bigpanda.calls[0].method == "GET /"


async def test_a_resolved_incident_cannot_be_resolved_again(bigpanda, send):
    await send("POST", f"{INCIDENT_PATH}/resolve", {"comments": "x"})

    assert (await send("POST", f"{INCIDENT_PATH}/resolve", {"comments": "x"}))[0] == 409
    assert [call.took_effect for call in bigpanda.calls_to("resolve")] == [True, False]


@pytest.mark.parametrize("seconds", [0, -60, 90 * 86400, 1e12])
async def test_a_snooze_ends_within_the_next_90_days(send, seconds):
    assert (await send("PUT", f"{INCIDENT_PATH}/snooze", {"end_time": int(NOW + seconds)}))[0] == 400


async def test_an_unknown_user_cannot_be_assigned(bigpanda, send):
    bigpanda.add_user(FakeBigPandaUser(id="gone", name="Gone", email="gone@example.com", active=False))

    for known in ("nobody", "gone"):
        assert await send("PUT", f"{INCIDENT_PATH}/assignment", {"assignee": known}) == (
            404,
            {"status": 404, "errors": [f"User {known} does not exist"]},
        )


# -- Reading -----------------------------------------------------------------------------------------------------------


async def test_an_incident_has_the_apis_field_names(bigpanda, send):
    await send("PUT", f"{INCIDENT_PATH}/assignment", {"assignee": ANN.id})
    await send(
        "PUT", f"{INCIDENT_PATH}/snooze", {"end_time": NOW + 60, "comment": "later", "cancel_on_incident_updates": True}
    )

    _, body = await send("GET", f"{INCIDENT_PATH}?expand=alerts")

    assert body["assignee"] == {"email": ANN.email, "name": ANN.name, "user_id": ANN.id}
    assert body["snooze"] == {"snoozed": True, "end_time": NOW + 60, "cancel_on_incident_updates": True}
    assert (body["start"], body["end"], body["changed_at"]) == (NOW - 60, None, NOW)
    assert body["incident_tags"] == [{"tag_id": "itd_priority_1", "tag_value": 1000}]
    assert body["folders"] == ["active", "assigned", "snoozed"]
    (alert,) = body["alerts"]
    assert (alert["alert_id"], alert["start"], alert["primary_property"]) == ("a1", NOW - 60, "host")


async def test_alerts_are_only_ids_by_default(send):
    _, body = await send("GET", INCIDENT_PATH)

    assert body["alerts"] == [{"alert_id": "a1"}]
    assert body["snooze"] == {"snoozed": False}
    assert "assignee" not in body


async def test_activities_are_paged_and_filtered_by_type_with_the_newest_first(send):
    for number in range(3):
        await send("POST", f"{INCIDENT_PATH}/comments", {"comment": f"comment {number}"})
    await send("PUT", f"{INCIDENT_PATH}/assignment", {"assignee": ANN.id})
    path = "/resources/v2.0/incidents/i1/activities"

    async def read(query):
        _, body = await send("GET", path + query)
        return [each["params"].get("comment", each["type"]) for each in body["items"]]

    assert await read("") == ["incident_assigned", "comment 2", "comment 1", "comment 0", "incident_created"]
    assert await read("?types=incident_commented&per_page=2") == ["comment 2", "comment 1"]
    assert await read("?types=incident_commented&per_page=2&page=2") == ["comment 0"]
    assert {(await send("GET", f"{path}?page={page}"))[0] for page in ("x", "0")} == {400}


async def test_users_are_found_by_name_regardless_of_case(send):
    path = "/resources/v2.0/scim/Users?filter="

    _, body = await send("GET", f"{path}userName%20eq%20%22Ann%40Example.com%22")

    assert [user["id"] for user in body["Resources"]] == [ANN.id]
    assert (await send("GET", f"{path}userName%20co%20%22ann%22"))[0] == 400


async def test_inactive_definitions_are_returned_only_on_request(bigpanda, send):
    bigpanda.add_tag_definition(FakeTagDefinition(id="old", name="Old", active=False))
    path = "/resources/v2.0/incidents/tags/definitions"

    async def read(query):
        return [tag["id"] for tag in (await send("GET", path + query))[1]]

    assert await read("") == ["itd_priority_1"]
    assert await read("?active=false") == ["itd_priority_1", "old"]
    assert await read("?type=Text") == []


# -- Limits and faults -------------------------------------------------------------------------------------------------


async def test_limits_are_off_by_default_and_apply_to_each_call_separately(bigpanda, send, time):
    async def comments(number):
        return [(await send("POST", f"{INCIDENT_PATH}/comments", {"comment": "x"}))[0] for _ in range(number)]

    assert await comments(7) == [204] * 7
    bigpanda.limits.enabled = True
    assert await comments(6) == [204] * 5 + [429]
    assert (await send("GET", INCIDENT_PATH))[0] == 200
    time.advance(1.0)
    assert await comments(1) == [204]
    assert len(bigpanda.incident("i1").comments) == 13


async def test_users_may_be_searched_twice_a_second(bigpanda, send):
    bigpanda.limits.enabled = True
    verb, path, *_ = VALID_CALLS["users"]

    assert [(await send(verb, path))[0] for _ in range(3)] == [200, 200, 429]


async def test_a_paused_call_is_rejected_until_the_pause_ends(bigpanda, send, time):
    bigpanda.pause("comment", 30)
    verb, path, body, _ = VALID_CALLS["comment"]

    assert (await send(verb, path, body))[0] == 429
    time.advance(30)
    assert (await send(verb, path, body))[0] == 204


@pytest.mark.parametrize("after_effect", [False, True])
async def test_a_call_fails_before_or_after_its_effect(bigpanda, send, after_effect):
    bigpanda.faults.add(
        InjectedFault(behaviour=RawResponse(status=502, body="<html>"), method="comment", after_effect=after_effect)
    )
    bigpanda.faults.add(InjectedFault(behaviour=DropConnection(), method="comment", after_effect=after_effect, nth=1))
    verb, path, body, _ = VALID_CALLS["comment"]

    with pytest.raises(ValueError, match="Expecting value"):
        await send(verb, path, body)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await send(verb, path, body)
    assert (await send(verb, path, body))[0] == 204

    assert [call.took_effect for call in bigpanda.calls] == [after_effect, after_effect, True]
    assert len(bigpanda.incident("i1").comments) == 1 + 2 * after_effect


async def test_a_fault_may_match_by_arguments_and_have_a_side_effect(bigpanda, send):
    fault = InjectedFault(
        behaviour=SideEffect(lambda call: bigpanda.remove_incident("i1")), where=lambda call: call["comment"] == "now"
    )
    bigpanda.faults.add(fault)

    assert (await send("POST", f"{INCIDENT_PATH}/comments", {"comment": "before"}))[0] == 204
    assert (await send("POST", f"{INCIDENT_PATH}/comments", {"comment": "now"}))[0] == 404


async def test_a_slow_answer_comes_after_its_delay_on_the_clock(bigpanda, send, time):
    bigpanda.faults.add(InjectedFault(behaviour=SlowAnswer(40), after_effect=True))
    verb, path, body, _ = VALID_CALLS["comment"]

    waiting = asyncio.create_task(send(verb, path, body))
    await time.sleeping.wait()
    time.advance(40)

    assert (await waiting)[0] == 204


# -- Shares ------------------------------------------------------------------------------------------------------------


async def test_each_action_causes_a_share(bigpanda, send, receiver):
    bigpanda.add_integration(receiver.url, {"X-Relay-Key": "secret"})
    verb, path, arguments, _ = VALID_CALLS["assign"]
    await send(verb, path, arguments)
    await bigpanda.wait_until_idle()

    (body,) = receiver.bodies
    assert receiver.headers[0]["X-Relay-Key"] == "secret"
    assert body["metadata"] == {
        "sender": {"name": "AutoShare", "email": "autoshare@bigpanda.example"},
        "environment": "All Incidents",
        "environment_id": ENVIRONMENT,
        "assignee": {"email": ANN.email, "name": ANN.name, "userId": ANN.id},
        "assigner": {"email": "relay@bigpanda.example", "name": "relay", "userId": "5506e4fbe7e0e40000000002"},
    }
    assert body["incident"]["changedOn"] == NOW
    assert body["links"] == {"landingPage": "http://bigp.io/1"}
    assert body["incidentTags"] == [{"id": "itd_priority_1", "value": 1000}]
    assert body["event_types"] == [{"event": "incident#updated", "time": NOW}]


async def test_shares_describe_each_change_of_an_incident(bigpanda, send, receiver, time):
    bigpanda.add_integration(receiver.url)
    bigpanda.remove_incident("i1")
    await bigpanda.start_incident(share())
    for name in ("comment", "assign", "snooze", "resolve"):
        time.advance(1)
        verb, path, body, _ = VALID_CALLS[name]
        await send(verb, path, body)
        await bigpanda.wait_until_idle()
    await bigpanda.update_incident(
        "i1", "incident#reopen", status="Critical", active=True, resolved=False, endedOn=None
    )
    await bigpanda.resolve_incident("i1")

    assert receiver.events == [
        "incident#new",
        "incident#commented",
        "incident#updated",
        "incident#snoozed",
        "incident#closed",
        "incident#reopen",
        "incident#closed",
    ]
    new, commented, assigned, snoozed, closed, reopened, ended = receiver.bodies
    assert commented["metadata"]["comment"] == {"comment": "on it", "environment": "All Incidents"}
    assert "comment" not in assigned["metadata"]
    assert "assignee" not in new["metadata"]
    assert snoozed["incident"]["snooze"] == {"snoozed": True, "wake": NOW + 3600, "autoCancel": False}
    assert (closed["incident"]["resolved"], closed["incident"]["endedOn"]) == (True, NOW + 4)
    assert closed["incident"]["alerts"][0]["active"] is False
    assert reopened["incident"]["resolved"] is False
    assert ended["incident"]["status"] == "Ok"
    assert [shared.status for shared in bigpanda.sent_shares] == [202] * 7


async def test_a_shared_body_is_applied_and_keeps_the_changes_of_calls(bigpanda, send, receiver, time):
    bigpanda.add_integration(receiver.url)
    sender = {"name": "Dana", "email": "dana@example.com"}
    metadata = {"sender": sender, "environment": "Databases", "environment_id": "env2"}
    incident_path = INCIDENT_PATH.replace(ENVIRONMENT, "env2").replace("i1", "i2")
    await bigpanda.apply_and_send(share("i2", metadata=metadata, event_types=[{"event": "incident#new", "time": 1}]))
    await send("PUT", f"{incident_path}/assignment", {"assignee": ANN.id})
    await send("PUT", f"{incident_path}/snooze", {"end_time": NOW + 60})
    await bigpanda.wait_until_idle()

    worse = share("i2", metadata=metadata | {"comment": {"comment": "twice", "environment": "Databases"}})
    worse["incident"] |= {"status": "Warning", "changedOn": NOW + 1}
    await bigpanda.apply_and_send(worse)

    first, *_, last = receiver.bodies
    assert first["metadata"] == metadata
    assert first["event_types"] == [{"event": "incident#new", "time": NOW}]
    assert (last["incident"]["status"], last["incident"]["snooze"]["snoozed"]) == ("Warning", True)
    assert last["metadata"]["assignee"]["userId"] == ANN.id
    assert last["metadata"]["comment"] == {"comment": "twice", "environment": "Databases"}
    assert last["metadata"]["sender"] == sender
    assert receiver.events[-1] == "incident#updated"
    assert bigpanda.idle
    assert bigpanda.incident("i2").activities[-1]["params"] == {"comment": "twice"}


async def test_an_unchanged_body_does_not_undo_a_call(bigpanda, send):
    await bigpanda.apply_and_send(share("i2"))
    await send("POST", f"{INCIDENT_PATH.replace('i1', 'i2')}/resolve", {"comments": "done"})

    await bigpanda.apply_and_send(share("i2", links={"landingPage": "http://bigp.io/2"}))

    incident = bigpanda.incident("i2")
    assert incident.resolved
    assert incident.alerts[0]["active"] is False
    assert incident.siblings["links"] == {"landingPage": "http://bigp.io/2"}


async def test_a_body_can_name_the_assignee(bigpanda):
    bigpanda.add_incident(share("i3", metadata={"assignee": ANN.as_share(), "assigner": {"name": "Dana"}}))
    incident = bigpanda.incident("i3")

    assert (incident.assignee, incident.assigner.name) == (ANN, "Dana")
    bigpanda.add_incident(share("i3", metadata={"assignee": None}))
    assert incident.assignee is None


async def test_a_call_without_a_change_causes_no_share(bigpanda, send, receiver):
    bigpanda.add_integration(receiver.url)
    for name in ("incident", "definitions"):
        verb, path, body, _ = VALID_CALLS[name]
        await send(verb, path, body)
    await bigpanda.wait_until_idle()

    assert receiver.bodies == []


async def test_the_options_of_an_integration_select_the_parts_of_a_share(bigpanda, receiver):
    off = ("add_assignments", "send_comments", "add_event_types", "add_metadata", "add_incident_tags")
    bigpanda.add_integration(receiver.url, **dict.fromkeys(off, False))
    incident = bigpanda.incident("i1")
    bigpanda.assign(incident, ANN, ANN)
    bigpanda.comment(incident, "hello", ANN)
    await bigpanda.wait_until_idle()
    await bigpanda.close()

    assert [set(body) for body in receiver.bodies] == [{"incident", "links", "metadata"}] * 2
    assert all(set(body["metadata"]) == {"sender"} for body in receiver.bodies)


async def test_a_share_comes_after_its_delay_with_the_time_of_the_event(bigpanda, send, receiver, time):
    bigpanda.add_integration(receiver.url)
    bigpanda.share_delay = 15.0
    verb, path, body, _ = VALID_CALLS["comment"]
    await send(verb, path, body)
    await let_tasks_run()
    assert receiver.bodies == []

    time.advance(15)
    await bigpanda.wait_until_idle()

    assert receiver.bodies[0]["event_types"] == [{"event": "incident#commented", "time": NOW}]
    assert bigpanda.sent_shares[0].at == NOW + 15


async def test_shares_of_one_incident_keep_their_order_and_their_own_delays(bigpanda, receiver, time):
    bigpanda.add_integration(receiver.url)
    bigpanda.add_integration(receiver.url, app_key="another")
    bigpanda.share_delay = 15.0
    incident = bigpanda.incident("i1")
    for number in range(3):
        bigpanda.comment(incident, f"comment {number}", ANN)
        await let_tasks_run()
        time.advance(5)
    assert receiver.bodies == []
    for _ in range(3):
        await let_tasks_run()
        time.advance(5)
        await let_tasks_run()
    await bigpanda.wait_until_idle()
    await bigpanda.close()

    for integration in bigpanda.integrations:
        sent = [shared for shared in bigpanda.sent_shares if shared.integration is integration]
        assert [shared.body["metadata"]["comment"]["comment"] for shared in sent] == [
            "comment 0",
            "comment 1",
            "comment 2",
        ]
        assert sent[-1].at <= NOW + 30


async def test_an_incident_is_resolved_after_the_resolve_delay(bigpanda, send, receiver, time):
    bigpanda.add_integration(receiver.url)
    bigpanda.resolve_delay = 5.0
    verb, path, body, _ = VALID_CALLS["resolve"]

    assert (await send(verb, path, body))[0] == 202
    assert not bigpanda.incident("i1").resolved
    await let_tasks_run()
    time.advance(5)
    await bigpanda.wait_until_idle()

    assert bigpanda.incident("i1").resolved
    assert receiver.events == ["incident#closed"]


async def test_a_snooze_ends_by_itself_and_a_later_snooze_replaces_it(bigpanda, send, receiver, time):
    bigpanda.add_integration(receiver.url)
    for end in (NOW + 60, NOW + 120):
        await send("PUT", f"{INCIDENT_PATH}/snooze", {"end_time": end})
    await bigpanda.wait_until_idle()
    await let_tasks_run()
    time.advance(60)
    await let_tasks_run()
    assert bigpanda.incident("i1").snoozed_until == NOW + 120

    time.advance(60)
    await let_tasks_run()
    await bigpanda.wait_until_idle()

    assert bigpanda.incident("i1").snoozed_until is None
    assert receiver.events == ["incident#snoozed", "incident#snoozed", "incident#updated"]


async def test_a_failed_share_is_recorded_and_not_retried(bigpanda, send, receiver):
    bigpanda.add_integration(receiver.url)
    bigpanda.add_integration("http://127.0.0.1:1/", app_key="nobody")
    receiver.status = HTTPStatus.SERVICE_UNAVAILABLE
    await bigpanda.send_share("i1")

    assert [shared.status for shared in bigpanda.sent_shares] == [503, None]


# -- The callback ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def waiting_for_callback(bigpanda, send, receiver):
    """An integration that waits for callbacks: its first share is sent and one update is held."""
    bigpanda.add_integration(receiver.url, app_key="k", callbacks=True)
    await bigpanda.send_share("i1", "incident#new")
    await bigpanda.update_incident("i1", status="Warning")
    assert receiver.events == ["incident#new"]
    return bigpanda


@pytest.mark.usefixtures("waiting_for_callback")
async def test_updates_are_held_back_until_the_callback(bigpanda, send, receiver):
    verb, path, body, _ = VALID_CALLS["callback"]

    assert await send(verb, path, body) == (200, {"status": 200, "data": {}})
    await bigpanda.wait_until_idle()
    await bigpanda.update_incident("i1", status="Critical")

    assert receiver.events == ["incident#new", "incident#updated", "incident#updated"]
    assert [body["incident"]["status"] for body in receiver.bodies] == ["Critical", "Warning", "Critical"]
    assert (await send(verb, path, body))[0] == 200


@pytest.mark.usefixtures("waiting_for_callback")
async def test_held_updates_are_sent_after_five_minutes(bigpanda, receiver, time):
    await let_tasks_run()
    time.advance(CALLBACK_TIMEOUT)
    await let_tasks_run()
    await bigpanda.wait_until_idle()

    assert receiver.events == ["incident#new", "incident#updated"]


@pytest.mark.usefixtures("waiting_for_callback")
@pytest.mark.parametrize(
    ("change", "status"),
    [({"app_key": "another"}, 400), ({"incident_id": "i2"}, 404), ({"event_type": "incident#updated"}, 400)],
)
async def test_a_callback_about_another_incident_releases_nothing(bigpanda, send, receiver, change, status):
    verb, path, body, _ = VALID_CALLS["callback"]

    assert (await send(verb, path, body | change))[0] == status
    await bigpanda.wait_until_idle()
    assert receiver.events == ["incident#new"]


async def test_stopping_cancels_waiting_shares(bigpanda, receiver):
    async with asyncio.timeout(30), serve_bigpanda(bigpanda):
        bigpanda.add_integration(receiver.url, callbacks=True)
        await bigpanda.send_share("i1", "incident#new")
        bigpanda.snooze(bigpanda.incident("i1"), NOW + 3600, ANN)
        bigpanda.share_delay = 1000.0
        bigpanda.queue_share(bigpanda.incident("i1"), "manual")

    assert receiver.events == ["incident#new"]


# --- shares that somebody else sent ---


@pytest.fixture
def elsewhere(bigpanda):
    """The newest share of each incident, as a relay knows it; the caller changes it."""
    newest: dict[str, bytes] = {}

    async def find(incident):
        return newest.get(incident)

    bigpanda.find_share = find
    return newest


def path_of(incident, last):
    return f"/resources/v2.0/environments/{ENVIRONMENT}/incidents/{incident}/{last}"


async def test_an_incident_that_somebody_else_shared_can_be_acted_on(bigpanda, send, elsewhere):
    elsewhere["i9"] = json.dumps(share("i9", metadata={"environment_id": ENVIRONMENT})).encode()
    status, _ = await send("POST", path_of("i9", "comments"), {"comment": "mine"})
    assert status == HTTPStatus.NO_CONTENT
    assert bigpanda.incident("i9").fields["alerts"][0]["description"] == "CPU is 98 %"
    status, _ = await send("POST", path_of("i10", "comments"), {"comment": "of nothing"})
    assert status == HTTPStatus.NOT_FOUND


async def test_a_change_by_a_call_keeps_the_newest_share_of_somebody_else(bigpanda, send, elsewhere, receiver):
    bigpanda.add_integration(receiver.url)
    elsewhere["i9"] = json.dumps(share("i9")).encode()
    await send("PUT", path_of("i9", "assignment"), {"assignee": ANN.id})
    worse = share("i9")
    worse["incident"] |= {"status": "Warning", "changedOn": NOW + 5}
    elsewhere["i9"] = json.dumps(worse).encode()
    await send("POST", path_of("i9", "comments"), {"comment": "calmer"})
    await bigpanda.wait_until_idle()
    assert [body["incident"]["status"] for body in receiver.bodies] == ["Critical", "Warning"]
    assert receiver.bodies[-1]["metadata"]["assignee"]["userId"] == ANN.id


async def test_a_share_of_its_own_that_comes_back_changes_nothing(bigpanda, send, elsewhere, receiver):
    bigpanda.add_integration(receiver.url)
    elsewhere["i9"] = json.dumps(share("i9")).encode()
    await send("PUT", path_of("i9", "assignment"), {"assignee": ANN.id})
    await bigpanda.wait_until_idle()
    elsewhere["i9"] = json.dumps(receiver.bodies[-1]).encode()
    await bigpanda.resolve_incident("i9")
    await send("POST", path_of("i9", "comments"), {"comment": "after"})
    assert bigpanda.incident("i9").resolved
