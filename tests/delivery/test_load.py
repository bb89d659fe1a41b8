"""A storm, and an hour without Slack: nothing is lost, no call is wasted, and no outdated step is posted."""

from relay.sandbox.faults import UNAVAILABLE, DropConnection, InjectedFault
from relay.sandbox.slack.mentions import pings
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.relay_in_process import START, fake_workspace, run_relay

POST, EDIT = "chat.postMessage", "chat.update"
ROUTES = """
version: 1
routes:
  - {name: a, match: {tags: {team: a}}, post: [C0ALL00001]}
  - {name: b, match: {tags: {team: b}}, post: [C0DB000001]}
  - {name: c, post: [C0NOC00001]}
"""
INCIDENTS, SHARES = 45, 5


def tags(number, step):
    return [{"id": "team", "value": "abc"[number % 3]}, {"id": "step", "value": step}]


async def test_a_storm_is_delivered_at_the_rate_that_slack_allows_without_needless_calls(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    slack.limits.enabled = True
    async with run_relay(tmp_path, routes=ROUTES, slack=slack, clock=clock) as relay:
        for step in range(SHARES):
            for number in range(INCIDENTS):
                await relay.share(f"i{number:03}", status="warning", alerts=[ALERT], incidentTags=tags(number, step))
            await relay.advance(60 / SHARES)
        await relay.advance(600)
        for number in range(INCIDENTS):
            [card] = cards(relay, f"i{number:03}", ("all", "db", "noc")[number % 3])
            assert f"*Step* {SHARES - 1}" in slack.text_of(card).replace("\xa0", " ")
        done = {method: [call for call in slack.calls_to(method) if call.took_effect] for method in (POST, EDIT)}
        roots = [call for call in done[POST] if not call.arguments.get("thread_ts")]
        assert len(roots) == INCIDENTS
        assert len(done[POST]) <= INCIDENTS * 2
        assert len(done[EDIT]) <= INCIDENTS * 2
        limited = [call for call in slack.calls if call.status == 429]
        assert len(limited) <= 3
        lane = [call.at for call in roots if call.channel == "C0ALL00001"]
        floor = (len(lane) - 4) / 1.0
        assert lane[-1] - START <= max(60.0, floor) * 1.05 + 1


async def test_after_an_hour_without_slack_cards_show_the_newest_state_and_no_outdated_steps(tmp_path):
    async with run_relay(tmp_path) as relay:
        await relay.share("before", status="warning", alerts=[ALERT])
        await relay.advance(60)
        relay.slack.faults.add(InjectedFault(behaviour=UNAVAILABLE, times=None))
        for minute in range(12):
            await relay.share("before", status=("critical", "warning")[minute % 2], incidentTags=tags(0, minute))
            await relay.share(f"new-{minute:02}", status="critical", alerts=[ALERT])
            await relay.share(f"new-{minute:02}", status="warning")
            await relay.advance(300)
        calls = len(relay.slack.calls)
        assert calls < 400
        relay.slack.faults.clear()
        await relay.advance(300)
        [card] = cards(relay, "before")
        assert "🟠" in relay.slack.text_of(card)
        assert "*Step* 11" in relay.slack.text_of(card).replace("\xa0", " ")
        assert "Changed state 11 times, now *Warning* (" in thread_text(relay, card)
        assert thread_text(relay, card).count("*Critical*") <= 1
        assert [pings(reply) for reply in relay.slack.channel("all").thread(card.ts)][-1] == ()
        for minute in range(12):
            [card] = cards(relay, f"new-{minute:02}")
            assert "🟠" in relay.slack.text_of(card)
            assert len(thread_text(relay, card).splitlines()) <= 1
        assert relay.gateway.breaker.status == "ok"


async def test_an_outage_leaves_few_posts_in_doubt_and_relay_searches_before_it_continues(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        relay.slack.faults.add(InjectedFault(behaviour=DropConnection(), times=None))
        for number in range(30):
            await relay.share(f"i{number:03}", status="critical", alerts=[ALERT], incidentTags=tags(number, 0))
        await relay.advance(600)
        assert len(relay.slack.calls_to(POST)) <= 9
        relay.slack.faults.clear()
        await relay.advance(300)
        for number in range(30):
            assert len(cards(relay, f"i{number:03}", ("all", "db", "noc")[number % 3])) == 1
