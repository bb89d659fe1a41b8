"""Edits under a running relay: the real process, real files, and a simulated Slack."""

import asyncio
import signal

import pytest

from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.intervals import intervals
from tests.support.relay_process import running
from tests.support.reload_samples import BAD, BETTER, GOOD

SOON = intervals({"relay.reload.reloader.CHECK_EVERY": 0.1, "relay.reload.watcher.REWATCH_MS": 100})
SHARE = {"incident": {"id": "i1", "status": "critical", "active": True}}


@pytest.fixture
async def slack():
    workspace = FakeSlack()
    for channel, name in (("C0ALL00001", "all"), ("C0NOC00001", "noc"), ("C0DB000001", "db")):
        workspace.add_channel(channel, name)
    async with serve_slack(workspace) as url:
        workspace.url = url
        yield workspace


async def until(condition):
    async with asyncio.timeout(100):
        while not await condition():  # noqa: ASYNC110  no event is set for it
            await asyncio.sleep(0.02)


async def metric(relay, name):
    async with relay.session.get(f"{relay.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


async def test_edits_of_a_running_relay_and_a_restart_with_a_faulty_edit_work(folder, slack):
    noc = slack.channel("noc")

    async def notice_contains(word):
        return any(word in message.text for message in noc.messages)

    async def routed_to(route, relay):
        SHARE["incident"]["changedOn"] = SHARE["incident"].get("changedOn", 1_700_000_000) + 1
        answer = await relay.share(SHARE | {"incident": SHARE["incident"] | {"id": f"to-{route}"}})
        return (await answer.json())["routes"] == [route]

    async with running(folder.path, slack.url, prepare=SOON) as relay:
        assert await routed_to("all", relay)
        folder.write(BETTER)
        await until(lambda: routed_to("everything", relay))

        folder.write(BAD)
        await relay.line("configuration_invalid")
        status, body = await relay.get("/readyz")
        assert status == 200
        assert any("routes.yaml:6:5" in fault for fault in body["configuration_faults"])
        assert await metric(relay, "relay_config_last_reload_successful") == 0
        assert await routed_to("everything", relay)
        await until(lambda: notice_contains("not applied"))
        assert await relay.stop() == 0

    async with running(folder.path, slack.url, prepare=SOON) as relay:
        started = await relay.line("started_with_last_valid_configuration")
        assert any("routes.yaml:6:5" in fault for fault in started["faults"])
        assert await routed_to("everything", relay)
        assert (await relay.get("/readyz"))[0] == 200

        folder.write(GOOD)
        relay.process.send_signal(signal.SIGHUP)
        await until(lambda: routed_to("all", relay))
        await until(lambda: notice_contains("valid again"))
        assert "configuration_faults" not in (await relay.get("/readyz"))[1]
        assert await metric(relay, "relay_config_last_reload_successful") == 1
    assert sum("valid again" in message.text or "not applied" in message.text for message in noc.messages) == 1
