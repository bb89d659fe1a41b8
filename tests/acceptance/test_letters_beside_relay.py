"""An operator redrives while relay runs: a second process writes into the database, and the first one notices."""

import asyncio
import json
import sys
from contextlib import ExitStack

import pytest

from relay.sandbox.faults import SERVER_ERROR, InjectedFault
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.postgres import postgresql
from tests.support.relay_process import environment, running

ROUTES = "version: 1\nroutes: [{name: all, post: [{channel: C0ALL00001, in_doubt: hold}]}]\n"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    with ExitStack() as stack:
        yield f"sqlite:///{tmp_path / 'relay.db'}" if request.param == "sqlite" else stack.enter_context(postgresql())


async def letters(folder, slack_url, database, *arguments):
    """`relay letters`, as a process of its own: its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "relay", "letters", *arguments),
        env=environment(folder, slack_url, RELAY_DATABASE_URL=database),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
    )
    said, complained = await process.communicate()
    assert complained == b""
    return process.returncode, said.decode()


async def test_a_letter_redriven_by_another_process_is_shown_at_once_by_the_relay_that_runs(tmp_path, database):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    slack = FakeSlack()
    everything = slack.add_channel("C0ALL00001", "all")
    slack.remove_scope("channels:history")
    slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method="chat.postMessage"))
    async with serve_slack(slack) as url, running(tmp_path, url, RELAY_DATABASE_URL=database) as relay:
        await relay.share(json.dumps({"incident": {"id": "one", "status": "critical"}}))
        await relay.until(lambda: any(line.get("event") == "search_failed" for line in relay.logged))
        code, listed = await letters(tmp_path, url, database, "--json")
        [letter] = json.loads(listed)["dead_letters"]
        assert (code, letter["reason"].partition(":")[0], everything.messages) == (0, "in_doubt", [])

        assert (await letters(tmp_path, url, database, "retry", "--reason", "in_doubt"))[0] == 0
        await relay.until(lambda: len(everything.messages) == 1)
        async with asyncio.timeout(20):  # until relay has written down that it is shown
            while json.loads((await letters(tmp_path, url, database, "--json"))[1])["dead_letters"]:  # noqa: ASYNC110  another process says nothing
                await asyncio.sleep(0.1)
        assert relay.process.returncode is None
