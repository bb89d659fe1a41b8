"""Edits under a running relay: the real process, real files, and Slack's stand-in."""

import asyncio
import signal

import pytest

from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.relay_process import running
from tests.support.reload_samples import BAD, BETTER, GOOD

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
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110  what is waited for rings no bell
            await asyncio.sleep(0.02)


async def metric(house, name):
    async with house.session.get(f"{house.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


async def test_edits_under_a_running_relay_and_a_restart_on_a_bad_one(desk, slack):
    noc = slack.channel("noc")

    async def told(word):
        return any(word in message.text for message in noc.messages)

    async def routed_to(route, house):
        SHARE["incident"]["changedOn"] = SHARE["incident"].get("changedOn", 1_700_000_000) + 1
        answer = await house.share(SHARE | {"incident": SHARE["incident"] | {"id": f"to-{route}"}})
        return (await answer.json())["routes"] == [route]

    async with running(desk.folder, slack.url) as house:
        assert await routed_to("all", house)
        desk.write(BETTER)
        await until(lambda: routed_to("everything", house))

        desk.write(BAD)
        await house.line("reload_failed")
        status, body = await house.get("/readyz")
        assert status == 200
        assert any("routes.yaml:6:5" in fault for fault in body["configuration_faults"])
        assert await metric(house, "relay_config_last_reload_successful") == 0
        assert await routed_to("everything", house)
        await until(lambda: told("fault"))
        assert await house.stop() == 0

    async with running(desk.folder, slack.url) as house:
        started = await house.line("started_on_last_good")
        assert any("routes.yaml:6:5" in fault for fault in started["faults"])
        assert await routed_to("everything", house)
        assert (await house.get("/readyz"))[0] == 200

        desk.write(GOOD)
        house.process.send_signal(signal.SIGHUP)
        await until(lambda: routed_to("all", house))
        await until(lambda: told("corrected"))
        assert "configuration_faults" not in (await house.get("/readyz"))[1]
        assert await metric(house, "relay_config_last_reload_successful") == 1
    assert len([message for message in noc.messages if "fault" in message.text]) == 1
