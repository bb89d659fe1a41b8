"""The real process, which no request reaches but shares: a click comes over its socket, and BigPanda hears of it."""

import time

from relay.runtime.clock import Clock
from relay.sandbox.faults import Fault, Silence
from relay.sandbox.slack.server import Slack, serving
from relay.sandbox.bigpanda.server import serving as serving_bigpanda
from tests.support.bigpanda_round_trip import ANN, APP_KEY, DB, ROUTES, an_organisation, body
from tests.support.relay_process import KEY, running, until

STOPPED_WITHIN = 10.0
"""Seconds after which orchestrators kill what is still there."""


async def test_a_click_reaches_bigpanda_and_a_hanging_bigpanda_does_not_hold_the_end_up(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    slack, panda = Slack(), an_organisation(Clock())
    for channel, name in (("C0NOC00001", "noc"), (DB, "db")):
        slack.add_channel(channel, name)
    slack.add_user(ANN, "Ann Lee", email="ann@example.com", channels=[DB])
    slack.interactivity = slack.sockets
    async with serving(slack) as slack_at, serving_bigpanda(panda) as panda_at:
        keys = {"BIGPANDA_API_KEY": panda.key, "BIGPANDA_APP_KEY": APP_KEY, "SLACK_APP_TOKEN": slack.app_token}
        async with running(tmp_path, slack_at, BIGPANDA_API_URL=panda_at, **keys) as relay:
            panda.shares_to(f"{relay.url}/shares", {"X-Relay-Key": KEY}, app_key=APP_KEY)
            await relay.line("socket_open")
            _, told = await relay.get("/readyz")
            assert told["socket_mode"] == "connected"
            await panda.begins(body())
            await until(lambda: panda.called("callback"))  # from then on relay knows the card
            [card] = [each for each in slack.channel(DB).messages if each.metadata]

            assert (await slack.click(ANN, DB, card.ts, "relay_assign")).acknowledged
            await until(lambda: "*Ann Lee* has it" in slack.reads(card))

            panda.faults.add(Fault(does=Silence(), method="snooze"))
            assert (await slack.click(ANN, DB, card.ts, "relay_snooze")).acknowledged
            await until(lambda: slack.views_open(ANN))
            assert (await slack.submit(ANN, slack.views_open(ANN)[-1], {"until": "1h"})).acknowledged
            await until(lambda: panda.called("snooze"))
            began = time.monotonic()
            assert await relay.stop() == 0
            assert time.monotonic() - began < STOPPED_WITHIN
            assert slack.sockets.open == []
            panda.faults.release()
