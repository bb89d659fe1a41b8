"""Each message that pings somebody counts once, by the route of its card, whatever becomes of Slack's answer."""

import pytest

from relay.sandbox.faults import SERVER_ERROR, InjectedFault
from tests.support.incident_lifecycle import ALERT
from tests.support.relay_in_process import run_relay

POST = "chat.postMessage"
ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - {name: db, match: {tags: {team: db}}, post: [{channel: C0DB000001, mention: {critical: [here]}}]}
"""
DB = [{"id": "team", "value": "db"}]


def pings(relay):
    found = {}
    for family in relay.metrics.registry.collect():
        if family.name == "relay_pings":
            found |= {each.labels["route"]: each.value for each in family.samples if each.name.endswith("_total")}
    return found


async def test_a_card_and_a_rise_ping_and_nothing_else_does(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await relay.share("one", status="warning", alerts=[ALERT], incidentTags=DB)
        await relay.share("two", status="critical", alerts=[ALERT])
        await relay.advance(120)
        assert pings(relay) == {}
        await relay.share("one", status="critical", incidentTags=DB)
        await relay.share("three", status="critical", alerts=[ALERT], incidentTags=DB)
        await relay.advance(120)
        assert pings(relay) == {"db": 2}
        await relay.share("one", status="warning", incidentTags=DB)
        await relay.advance(120)
        assert pings(relay) == {"db": 2}


@pytest.mark.parametrize("after_effect", [False, True], ids=["not posted", "posted"])
async def test_a_ping_whose_answer_was_lost_counts_once(tmp_path, after_effect):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=after_effect, method=POST, times=1))
        await relay.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
        await relay.advance(600)
        assert pings(relay) == {"db": 1}
