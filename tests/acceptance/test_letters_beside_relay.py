"""An operator retries a dead letter while relay runs: a second process changes the database, and relay notices."""

import asyncio
import json
from contextlib import ExitStack

import pytest

from relay.sandbox.faults import SERVER_ERROR, InjectedFault
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.forked_relay import fork
from tests.support.intervals import intervals
from tests.support.postgres import postgresql
from tests.support.relay_process import environment, running

ROUTES = "version: 1\nroutes: [{name: all, post: [{channel: C0ALL00001, in_doubt: hold}]}]\n"
SOON = intervals({"relay.cards.recovery.FIRST_SEARCH_AFTER": 0.05, "relay.delivery.leader.POLL_EVERY": 0.05})
"""Relay searches at once for a lost card, and looks often for what other programs write."""


# How relay notices a change on PostgreSQL is tested without processes (`tests/store/test_notify.py`).
@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)])
def database(request, tmp_path):
    with ExitStack() as stack:
        yield f"sqlite:///{tmp_path / 'relay.db'}" if request.param == "sqlite" else stack.enter_context(postgresql())


async def run_letters(folder, slack_url, database, *arguments):
    """Run `relay letters` as a separate process; return its exit code and its output."""
    variables = environment(folder, slack_url, RELAY_DATABASE_URL=database)
    process = await fork(["letters", *arguments], variables, folder, stdout=True)
    _, output = await process.communicate()
    return await process.wait(), output.decode()


async def test_a_dead_letter_that_another_process_retries_is_posted_at_once_by_the_running_relay(tmp_path, database):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    slack = FakeSlack()
    everything = slack.add_channel("C0ALL00001", "all")
    slack.remove_scope("channels:history")
    slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method="chat.postMessage"))
    async with serve_slack(slack) as url, running(tmp_path, url, prepare=SOON, RELAY_DATABASE_URL=database) as relay:
        await relay.share(json.dumps({"incident": {"id": "one", "status": "critical"}}))
        await relay.until(lambda: any(line.get("event") == "search_failed" for line in relay.logged))
        code, listed = await run_letters(tmp_path, url, database, "--json")
        [dead_letter] = json.loads(listed)["letters"]
        assert (code, dead_letter["reason"].partition(":")[0], everything.messages) == (0, "in_doubt", [])

        assert (await run_letters(tmp_path, url, database, "retry", "--reason", "in_doubt"))[0] == 0
        await relay.until(lambda: len(everything.messages) == 1)
        async with asyncio.timeout(100):  # until relay has stored that the card is posted
            while json.loads((await run_letters(tmp_path, url, database, "--json"))[1])["letters"]:  # noqa: ASYNC110  another process sets no event
                await asyncio.sleep(0.1)
        assert relay.process.returncode is None
