"""An endless template delays only its own card by a second: relay keeps working, ends in time, and leaves no
process."""

import asyncio
import signal
from functools import partial
from pathlib import Path

import pytest

from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.intervals import intervals
from tests.support.load_probe import load_probe
from tests.support.relay_process import children, is_running, running, until
from tests.support.stop_limits import SHORT_STOP
from tests.support.worker_functions import let_templates_hang

ROUTES = 'version: 1\nfallback: "#noc"\nroutes: [{name: all, match: {status: {min: unknown}}, post: ["#noc"]}]\n'
TEMPLATE = "{% section %}mine: {{ incident.title }}{% endsection %}"
BODY = {"incident": {"id": "i1", "status": "critical", "alerts": [{"id": "a", "status": "critical"}]}}


@pytest.fixture
async def slack(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "templates/incident").mkdir(parents=True)
    (tmp_path / "templates/incident/card.j2").write_text(TEMPLATE)
    workspace = FakeSlack()
    workspace.add_channel("C0NOC00001", "noc")
    async with serve_slack(workspace) as url:
        yield workspace, url


def relay(folder, url, seconds, **shorter):
    """Run a relay whose templates hang in one step of Python's own code, and may do so for some seconds."""
    prepare = partial(let_templates_hang, seconds, intervals(shorter))
    return running(folder, url, prepare=prepare, PYTHONPATH=str(Path(__file__).parents[2]))


async def test_an_abandoned_template_gives_the_built_in_card_while_relay_keeps_answering(tmp_path, slack):
    workspace, url = slack
    async with relay(tmp_path, url, 1) as process:
        async with load_probe(process) as probe:
            assert (await process.share(BODY)).status == 202
            failed = await process.line("template_failed")
            await process.until(lambda: workspace.channel("C0NOC00001").messages)
        assert "more than 1 s of processor time" in failed["detail"]
        assert probe.slowest < 1, str(probe)
        assert await process.stop() == 0
        assert not children(process.process.pid)


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGTERM, 3), (signal.SIGKILL, 600)])
async def test_every_worker_ends_with_relay(tmp_path, slack, number, seconds):
    """Neither one that hangs in the middle of a call, nor one that waits for the next."""
    _, url = slack
    async with relay(tmp_path, url, seconds, **SHORT_STOP) as process:
        large = BODY | {"incident": BODY["incident"] | {"id": "i2", "description": "d" * 100_000}}
        assert (await process.share(large)).status == 202
        await until(lambda: len(children(process.process.pid)) == 2)
        await asyncio.sleep(0.5)
        workers = children(process.process.pid)
        await process.stop(number)
        await until(lambda: not any(map(is_running, workers)))
