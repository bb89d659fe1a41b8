"""The real process with Socket Mode: a click reaches BigPanda, and a hanging BigPanda does not delay the stop."""

from relay.runtime.clock import Clock
from relay.sandbox.bigpanda.server import serve_bigpanda
from relay.sandbox.faults import InjectedFault, NoAnswer
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.bigpanda_round_trip import ANN, APP_KEY, DB, ROUTES, body, fake_organisation, press
from tests.support.intervals import intervals
from tests.support.relay_process import KEY, running, until
from tests.support.stop_limits import with_stop_limits

AT_ONCE = {"relay.ratelimit.budgets.EDIT_SPACING": 0.05}
"""A card is edited again at once."""


@with_stop_limits
async def test_a_click_reaches_bigpanda_and_a_hanging_bigpanda_does_not_delay_the_stop(tmp_path, limits):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    slack, panda = FakeSlack(), fake_organisation(Clock())
    for channel, name in (("C0NOC00001", "noc"), (DB, "db")):
        slack.add_channel(channel, name)
    slack.add_user(ANN, "Ann Lee", email="ann@example.com", channels=[DB])
    slack.interactivity = slack.socket_mode
    async with serve_slack(slack) as slack_at, serve_bigpanda(panda) as panda_at:
        keys = {"BIGPANDA_API_KEY": panda.key, "BIGPANDA_APP_KEY": APP_KEY, "SLACK_APP_TOKEN": slack.app_token}
        async with running(
            tmp_path, slack_at, prepare=intervals(limits.intervals | AT_ONCE), BIGPANDA_API_URL=panda_at, **keys
        ) as relay:
            panda.add_integration(f"{relay.url}/shares", {"X-Relay-Key": KEY}, app_key=APP_KEY)
            await relay.line("socket_open")
            _, report = await relay.get("/readyz")
            assert report["socket_mode"] == "connected"
            await panda.start_incident(body())
            await until(lambda: panda.calls_to("callback"))  # from then on relay knows the card
            [card] = [each for each in slack.channel(DB).messages if each.metadata]

            assert (await slack.click(ANN, DB, card.ts, "relay_assign")).acknowledged
            await until(lambda: "assigned to *Ann Lee*" in slack.text_of(card))

            panda.faults.add(InjectedFault(behaviour=NoAnswer(), method="snooze"))
            assert (await press(slack, ANN, DB, card, "snooze")).acknowledged
            await until(lambda: slack.open_views(ANN))
            assert (await slack.submit(ANN, slack.open_views(ANN)[-1], {"until": "1h"})).acknowledged
            await until(lambda: panda.calls_to("snooze"))
            await relay.stop_within(limits.seconds)
            assert slack.socket_mode.open == []
            panda.faults.release()
