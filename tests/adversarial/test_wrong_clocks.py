"""A wrong clock delays nothing: that of one relay of several, or one that is set while relay runs."""

import signal
import time
from contextlib import AsyncExitStack
from functools import partial

import pytest

from relay.sandbox.faults import SERVER_ERROR, InjectedFault
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.clocked_relay import run_ahead
from tests.support.postgres import postgresql
from tests.support.relay_process import running, until

pytestmark = pytest.mark.slow

NOC = "C0NOC00001"
ROUTES = f"version: 1\nfallback: {NOC}\nroutes: []\n"


def clocked(ahead, step=0.0):
    return partial(run_ahead, ahead, step)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    return tmp_path


@pytest.fixture
async def slack():
    workspace = FakeSlack()
    workspace.add_channel(NOC, "noc")
    async with serve_slack(workspace) as url:
        workspace.url = url
        yield workspace


async def share(relay, incident, status="critical", **more):
    body = {"incident": {"id": incident, "status": status, "changedOn": int(time.time())} | more}  # BigPanda's clock
    async with await relay.share(body) as answer:
        assert answer.status == 202


async def shown(slack, *words):
    """Wait until one message of the channel shows all these words."""
    texts = lambda: [slack.text_of(each) for each in slack.channel(NOC).messages]  # noqa: E731  one line
    await until(lambda: any(all(word in text for word in words) for text in texts()))


@pytest.mark.parametrize("ahead", [3600, pytest.param(-3600, marks=pytest.mark.soak)])
async def test_relays_on_one_postgresql_use_its_clock(folder, slack, ahead):
    """The relay with the wrong clock delivers or not. Shares that either accepts are posted, and the wrong clock is
    reported."""
    async with AsyncExitStack() as stack:
        address = {"RELAY_DATABASE_URL": stack.enter_context(postgresql())}
        sober = await stack.enter_async_context(running(folder, slack.url, **address))
        wrong = await stack.enter_async_context(running(folder, slack.url, prepare=clocked(ahead), **address))
        assert (await wrong.line("clock_skewed"))["skew"] == pytest.approx(ahead, abs=2)
        for number, relay in enumerate((wrong, sober, wrong)):
            await share(relay, f"i{number}")
            await shown(slack, f"Incident i{number}")
            await share(sober, f"i{number}", "resolved")
            await shown(slack, f"Incident i{number}", "Resolved")
        _, body = await wrong.get("/readyz")
        assert "NTP" in body["clock"]
        _, body = await sober.get("/readyz")
        assert "clock" not in body
        async with wrong.session.get(f"{wrong.url}/metrics") as answer:
            metrics = dict(
                line.split() for line in (await answer.text()).splitlines() if "relay_clock_skew" in line[:16]
            )
        assert float(metrics["relay_clock_skew_seconds"]) == pytest.approx(ahead, abs=2)
        await sober.stop()
        await wrong.line("delivering")
        await share(wrong, "last")
        await shown(slack, "Incident last")


@pytest.mark.soak
@pytest.mark.parametrize("step", [-3600, 3600])
async def test_a_clock_that_is_set_while_relay_runs_delays_nothing(folder, slack, step):
    """NTP corrects the clock of a machine that has just started, or a machine was suspended."""
    async with running(folder, slack.url, prepare=clocked(-step, step)) as relay:
        await share(relay, "before")
        await shown(slack, "Incident before")
        slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method="chat.postMessage", times=2))
        await share(relay, "retried")
        await share(relay, "edited", description="old")
        relay.process.send_signal(signal.SIGUSR2)
        await share(relay, "before", "resolved")
        await share(relay, "after")
        await shown(slack, "Incident after")
        await shown(slack, "Incident before", "Resolved")
        await shown(slack, "Incident retried")
        await shown(slack, "Incident edited")


@pytest.mark.soak
async def test_waiting_cards_are_delivered_after_a_restart_with_the_clock_set_back(folder, slack):
    slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method="chat.postMessage", times=None))
    async with running(folder, slack.url, prepare=clocked(3600)) as relay:
        await share(relay, "i")
        await until(lambda: any(call.method == "chat.postMessage" for call in slack.calls))
        await relay.stop()
    slack.faults.clear()
    async with running(folder, slack.url) as relay:
        await shown(slack, "Incident i")
        await share(relay, "i", "resolved")
        await shown(slack, "Incident i", "Resolved")
