"""A storm, from shares to what people read: few cards, one storm card that names the rest, few pings, nothing lost."""

import pytest
from structlog.testing import capture_logs

from relay.sandbox.faults import DropConnection, InjectedFault
from relay.sandbox.slack.mentions import pings
from tests.delivery.test_crashes import crash_everywhere
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import visible_messages
from tests.support.relay_in_process import fake_workspace, run_relay

ROUTES = """
version: 1
zone: Etc/UTC
hours: {night: {from: "22:13", to: "23:00"}}
fallback: C0NOC00001
storm: {over: 3, within: 5m, by: service}
defaults: {show_tags: [service]}
routes:
  - name: loud
    match: {tags: {team: loud}}
    storm: off
    post: [C0ALL00001]
  - name: databases
    match: {tags: {team: database}}
    post: [{channel: C0DB000001, mention: {critical: [S0CRIT], warning: [S0WARN]}}]
  - name: all
    post: [{channel: C0ALL00001, mention: {critical: [S0CRIT], warning: [S0WARN]}}]
"""
OVER = {"status": "ok", "resolved": True, "active": False}


async def come(relay, *incidents, status="warning", service="checkout", team="other", **fields):
    """These incidents come, all at this moment."""
    for incident in incidents:
        tags = [{"id": "service", "value": service}, {"id": "team", "value": team}]
        await relay.share(incident, status=status, incidentTags=tags, **fields)


async def flood(relay, number=6, **fields):
    await come(relay, *(f"w{each}" for each in range(1, number + 1)), **fields)
    await relay.advance(30)


def roots(relay, channel="all"):
    messages = relay.slack.channel(channel).messages
    return [relay.slack.text_of(each) for each in messages if each.thread_ts is None]


def storm_card(relay, channel="all"):
    """The one storm card of the channel, and the lines of its thread."""
    [root] = [each for each in relay.slack.channel(channel).messages if "Storm" in relay.slack.text_of(each)[:12]]
    replies = relay.slack.channel(channel).thread(root.ts)
    lines = [line for reply in replies if not pings(reply) for line in relay.slack.text_of(reply).splitlines()]
    return relay.slack.text_of(root), lines


def storm_pings(relay, channel="all"):
    """Whom each reply in the thread of the storm card pinged, and that the channel shows it."""
    [root] = [each for each in relay.slack.channel(channel).messages if "Storm" in relay.slack.text_of(each)[:12]]
    calls = [each for each in relay.slack.channel(channel).thread(root.ts) if pings(each)]
    assert all(each.broadcast for each in calls)
    return [pings(each) for each in calls]


async def test_incidents_beyond_the_limit_are_named_in_one_storm_card_and_people_are_pinged_once(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await flood(relay)
        text, lines = storm_card(relay)
        assert len(roots(relay)) == 3 + 1
        assert "6 incidents" in text
        assert "3 without a card" in text
        assert len(lines) == 3
        assert storm_pings(relay) == [("S0WARN",)]
        await come(relay, "w7", "w8")
        await relay.advance(60)
        assert storm_pings(relay) == [("S0WARN",)]
        assert "8 incidents" in storm_card(relay)[0]


async def test_the_first_critical_incident_of_a_group_gets_a_card_and_a_worse_state_pings_again(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await flood(relay)
        await come(relay, "new", status="critical", service="search")
        await relay.advance(10)
        assert "Incident new" in roots(relay)[-1]
        await come(relay, "same", status="critical")  # its group has a card already
        await relay.advance(30)
        assert "🔴" in storm_card(relay)[1][-1]
        assert storm_pings(relay) == [("S0WARN",), ("S0CRIT",)]


async def test_a_held_critical_incident_gets_its_card_later_and_pings_nobody_again(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await flood(relay)
        await come(relay, "bad", status="critical")
        await relay.advance(330)
        text, lines = storm_card(relay)
        [card] = [
            each for each in relay.slack.channel("all").messages if "Incident bad" in relay.slack.text_of(each)[:20]
        ]
        assert pings(card) == ()
        assert "1 got a card later" in text
        assert "has its card" in lines[-1]


async def test_a_changed_incident_gets_its_card_and_an_unchanged_one_stays_a_line_after_the_storm(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await flood(relay)
        await relay.share("w5", metadata={"assignee": {"id": "u1", "name": "Ann"}})
        await relay.share("w6", **OVER)
        await relay.advance(900, step=30)
        text, lines = storm_card(relay)
        assert text.startswith("🌤️ Storm over: 6 incidents")
        assert "1 without a card" in text
        assert "1 resolved without a card · 1 got a card later" in text
        assert [("has its card" in line, "resolved" in line) for line in lines] == [
            (False, False),
            (True, False),
            (False, True),
        ]
        await relay.share("w4", metadata={"assignee": {"id": "u1", "name": "Ann"}})
        await relay.advance(60)
        assert "Incident w4" in roots(relay)[-1]
        assert storm_pings(relay) == [("S0WARN",)]


async def test_a_steady_stream_is_one_storm_and_a_new_one_soon_afterwards_reuses_the_storm_card(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        for number in range(20):
            await come(relay, f"s{number}")
            await relay.advance(60)
        await relay.advance(900, step=30)
        assert storm_card(relay)[0].startswith("🌤️")
        await flood(relay, 5)
        assert storm_card(relay)[0].startswith("⛈️")
        await relay.advance(900, step=30)
        assert len(storm_pings(relay)) == 1
        await relay.advance(3600, step=30)
        await come(relay, *(f"x{each}" for each in range(6)))
        await relay.advance(60)
        assert sum("Storm" in root[:12] for root in roots(relay)) == 2


async def test_a_route_with_storm_off_posts_everything_and_does_not_count(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await come(relay, *(f"l{each}" for each in range(8)), team="loud")
        await relay.advance(30)
        await come(relay, "w1", "w2", "w3")
        await relay.advance(30)
        assert len(roots(relay)) == 11


async def test_a_storm_in_quiet_hours_pings_nobody_until_they_end(tmp_path):
    quiet = ROUTES.replace("show_tags: [service]", "show_tags: [service], quiet: [night]")
    async with run_relay(tmp_path, routes=quiet) as relay:
        await flood(relay)
        assert storm_pings(relay) == []
        await relay.advance(2900, step=30)
        assert storm_pings(relay) == []
        [catch_up] = [each for each in relay.slack.channel("all").messages if "still open" in relay.slack.text_of(each)]
        assert pings(catch_up) == ("S0WARN",)
        assert "6 incidents are still open" in relay.slack.text_of(catch_up)


async def test_each_channel_has_its_own_storms(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await flood(relay)
        await come(relay, "d1", "d2", "d3", team="database")
        await relay.advance(30)
        assert len(roots(relay, "db")) == 3


async def test_a_restart_does_not_forget_what_was_posted(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, routes=ROUTES, slack=slack, clock=clock) as relay:
        await come(relay, "w1", "w2")
        await relay.advance(5)
    async with run_relay(tmp_path, routes=ROUTES, slack=slack, clock=clock) as relay:
        await come(relay, "w3", "w4")
        await relay.advance(30)
        assert "4 incidents" in storm_card(relay)[0]
        assert len(storm_card(relay)[1]) == 1


async def test_a_storm_card_that_somebody_deletes_is_posted_again_with_its_lines_and_without_pings(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await flood(relay)
        channel = relay.slack.channel("all")
        for root in list(channel.messages):
            if "Storm" in relay.slack.text_of(root)[:12]:
                channel.delete(root.ts)
        await come(relay, "w7")
        await relay.advance(120)
        _, lines = storm_card(relay)
        assert len(lines) == 4
        assert storm_pings(relay) == []


async def test_an_edit_that_sets_storm_off_releases_the_incidents_of_the_route(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, routes=ROUTES, slack=slack, clock=clock) as relay:
        await flood(relay)
    off = ROUTES.replace("  - name: all\n", "  - name: all\n    storm: off\n")
    async with run_relay(tmp_path, routes=off, slack=slack, clock=clock) as relay:
        await relay.advance(30)
        assert sum("Incident" in root[:14] for root in roots(relay)) == 6
        assert storm_pings(relay) == [("S0WARN",)]


# -- Crashes -----------------------------------------------------------------------------------------------------------


def happens(*incidents, **fields):
    async def event(relay):
        await come(relay, *incidents, **fields)

    return event


async def resolves(relay):
    await relay.share("w4", **OVER)


LIFE = [happens("w1", "w2", "w3", "w4", "w5"), happens("c1", status="critical"), resolves, happens("w6")]
"""A storm of five; a critical incident waits for room, and gets its card 330 seconds later; the storm ends."""


def seen(relay):
    """What a reader sees, independent of the order of simultaneous cards and of the time it took."""
    return {
        channel: sorted(map(_without_time, every)) for channel, every in visible_messages(relay, "all", "noc").items()
    }


def _without_time(message):
    text, thread = message
    return text.split(" in ")[0].split("\n")[0], sorted(line for line in thread if "Incident" in line)


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
async def test_a_crash_at_any_effect_leaves_one_storm_card_with_each_incident_once(tmp_path, after):
    _, nth = await crash_everywhere(tmp_path, LIFE, after=after, routes=ROUTES, read=seen)
    assert nth > 15


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("after_effect", [True, False], ids=["done", "not-done"])
async def test_an_answer_that_is_lost_at_any_call_changes_nothing_in_the_end(tmp_path, after_effect):
    nth, found, armed = 0, {}, None
    while armed is None or armed.applied:
        nth += 1
        folder = tmp_path / str(nth)
        folder.mkdir()
        clock = ManualClock()
        slack = fake_workspace(clock)
        armed = slack.faults.add(InjectedFault(behaviour=DropConnection(), nth=nth, after_effect=after_effect))
        async with run_relay(folder, routes=ROUTES, slack=slack, clock=clock) as relay:
            for event in LIFE:
                await event(relay)
                await relay.advance(330)
            await relay.advance(990, step=30)
            found[nth] = seen(relay)
    expected = found.pop(nth)
    assert {number: read for number, read in found.items() if read != expected} == {}
    assert nth > 10


async def test_a_held_incident_that_changes_appears_only_on_the_storm_card(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await flood(relay)
        await relay.share("w5", status="critical", incidentTags=[{"id": "service", "value": "checkout"}])
        await relay.advance(60)
        assert len(roots(relay)) == 3 + 1
        assert any("Critical" in line for line in storm_card(relay)[1])


async def test_the_log_counts_what_a_storm_holds_and_names_no_incident(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        with capture_logs() as logged:
            await flood(relay, 40)
            await relay.advance(60)
    held = [each for each in logged if each["event"] == "storm_held"]
    assert sum(each["cards"] for each in held) == 37
    assert len(held) <= 3
    assert all(each["log_level"] == "debug" for each in logged if each["event"] == "card_held")
