"""Storms where something else is wrong, too: the channel, the leader, the database; and many channels at once."""

import re
from collections import Counter

import pytest

from relay.sandbox.slack.mentions import pings
from tests.delivery.test_crashes import crash_everywhere
from tests.delivery.test_storms import ROUTES, come, flood, happens, resolves, roots, storm_card, storm_pings
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import visible_messages
from tests.support.relay_in_process import LONG_STEP, fake_workspace, on_one_postgresql, run_relay

FEW = "version: 1\nfallback: C0NOC00001\nstorm: {over: 3, within: 5m}\n"
UNROUTED = FEW + "routes: [{name: other, match: {tags: {team: nobody}}, post: [C0ALL00001]}]\n"
TEN = (
    FEW
    + "routes:\n"
    + "".join(
        f"  - {{name: r{number}, match: {{tags: {{team: t{number}}}}}, post: [C0TEN0000{number}]}}\n"
        for number in range(10)
    )
)


def everywhere(relay, channels=("all", "noc")):
    """Every line that names an incident, in any message or thread of these channels."""
    return [line for channel in channels for line in relay.transcript(channel).splitlines() if "Incident" in line]


def named(relay, incident, channels=("all", "noc")):
    return [line for line in everywhere(relay, channels) if line.endswith(f"Incident {incident}")]


async def test_the_storm_of_an_archived_channel_continues_in_the_fallback_and_returns(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await flood(relay)
        relay.slack.channel("all").archive()
        await come(relay, "n1", "n2", "n3", "n4")
        await come(relay, "crit", status="critical", service="search")
        await relay.advance(120)
        [there] = [each for each in roots(relay, "noc") if "Storm" in each]
        assert "meant for #all, which accepts no messages" in there
        assert all(named(relay, each) for each in ("n1", "n2", "n3", "n4", "crit"))
        relay.slack.channel("all").unarchive()
        await relay.advance(3600)
        text, lines = storm_card(relay)
        assert text.startswith("🌤️ Storm over")
        assert {line.split()[-1] for line in lines if "Incident" in line} >= {"n1", "n2", "n3", "n4"}
        assert [each for each in roots(relay, "all") if "Incident crit" in each]
        assert all("updates are in #all" in each for each in roots(relay, "noc"))
        assert storm_pings(relay) == [("S0WARN",)]


async def test_cards_of_an_archived_channel_can_be_a_storm_in_the_fallback(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    slack.channel("all").archive()
    async with run_relay(tmp_path, routes=ROUTES, clock=clock, slack=slack) as relay:
        await flood(relay, 8)
        assert roots(relay) == []
        assert len(roots(relay, "noc")) == 3 + 1
        assert "5 without a card" in storm_card(relay, "noc")[0]
        slack.channel("all").unarchive()
        await relay.advance(1500)
        assert len(roots(relay)) == 8
        assert all("updates are in #all" in each for each in roots(relay, "noc") if "Storm" not in each)
        text, lines = storm_card(relay, "noc")
        assert "5 got a card later" in text
        assert [line for line in lines if "has its card" not in line] == []


async def test_unmatched_incidents_can_be_a_storm_in_the_fallback(tmp_path):
    async with run_relay(tmp_path, routes=UNROUTED) as relay:
        await flood(relay, 7)
        text, lines = storm_card(relay, "noc")
        assert len(roots(relay, "noc")) == 3 + 1
        assert "4 without a card" in text
        assert len(lines) == 4
        await come(relay, "match", team="nobody")
        await relay.advance(30)
        assert len(roots(relay)) == 1


async def test_storms_in_ten_channels_do_not_wait_for_each_other(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    for number in range(10):
        slack.add_channel(f"C0TEN0000{number}", f"ten{number}")
    async with run_relay(tmp_path, routes=TEN, clock=clock, slack=slack) as relay:
        for number in range(10):
            await come(relay, *(f"{number}-{each}" for each in range(6)), team=f"t{number}")
        await relay.advance(60)
        for number in range(10):
            text, lines = storm_card(relay, f"ten{number}")
            assert len(roots(relay, f"ten{number}")) == 3 + 1
            assert "3 without a card" in text
            assert len(lines) == 3
            assert all(f"Incident {number}-" in line for line in lines)


async def test_the_next_leader_continues_a_storm_of_the_dead_one(tmp_path):
    with on_one_postgresql() as common:
        async with run_relay(tmp_path, routes=ROUTES, dies=True, **common) as first:
            await flood(first)
            await first.end_lease()
        async with run_relay(tmp_path, routes=ROUTES, **common) as second:
            await come(second, "w7", "w8")
            await second.advance(60)
            text, lines = storm_card(second)
            assert len(roots(second)) == 3 + 1
            assert "8 incidents" in text
            assert sorted(line.split()[-1] for line in lines) == ["w4", "w5", "w6", "w7", "w8"]
            assert storm_pings(second) == [("S0WARN",)]


async def test_after_a_lost_database_the_storm_card_continues_and_there_is_no_second_one(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    common = {"routes": ROUTES, "clock": clock, "slack": slack, "is_new": True}
    async with run_relay(tmp_path, **common) as relay:
        await flood(relay)
    for file in tmp_path.glob("relay.db*"):
        file.unlink()
    clock.advance(60)
    async with run_relay(tmp_path, **common) as relay:
        await flood(relay, 8)
        await relay.advance(60)
        text, lines = storm_card(relay)
        assert "some from before relay lost its database" in text
        assert [line.split()[-1] for line in lines] == ["w4", "w5", "w6", "w7", "w8"]
        cards = [each for each in roots(relay) if "Incident" in each.split("\n")[0]]
        assert len({each.split("\n")[0] for each in cards}) == len(cards)  # no incident has two
        await relay.advance(1500)
        assert storm_card(relay)[0].startswith("🌤️ Storm over")


NIGHT = """
version: 1
zone: Etc/UTC
hours: {night: {from: "22:15", to: "22:35"}}
fallback: C0NOC00001
routes:
  - {name: held, match: {tags: {team: held}}, hold: [night], post: [{channel: C0DB000001, mention: {any: [S0DATA]}}]}
  - {name: all, quiet: [night], post: [{channel: C0ALL00001, mention: {any: [S0WARN]}}]}
"""


async def test_a_night_on_postgresql_ends_in_one_catch_up_per_channel_although_the_leader_died(tmp_path):
    with on_one_postgresql() as common:
        async with run_relay(tmp_path, routes=NIGHT, dies=True, **common) as first:
            await first.advance(300, step=LONG_STEP)
            await come(first, "quiet1", "quiet2", "over")
            await come(first, "held1", team="held")
            await first.advance(60)
            await first.share("over", status="ok", resolved=True, active=False)
            await first.advance(60)
            await first.end_lease()
        async with run_relay(tmp_path, routes=NIGHT, **common) as second:
            await second.advance(1200, step=LONG_STEP)
            [quiet] = [each for each in second.slack.channel("all").messages if pings(each)]
            text = second.slack.text_of(quiet)
            assert (pings(quiet), "quiet1" in text, "quiet2" in text, "over" in text) == (
                ("S0WARN",),
                True,
                True,
                False,
            )
            [held] = [each for each in second.slack.channel("db").messages if pings(each)]
            assert "held1" in second.slack.text_of(held)
            assert [
                pings(each)
                for each in second.slack.channel("db").messages
                if "Incident held1" in second.slack.text_of(each)[:20]
            ]
            assert len(roots(second, "db")) == 3  # the held list, the card and the catch-up


async def archives(relay):
    if not relay.slack.channel("all").archived:  # a crash may have come before this was noted
        relay.slack.channel("all").archive()


async def unarchives(relay):
    if relay.slack.channel("all").archived:
        relay.slack.channel("all").unarchive()


ARCHIVED = [archives, happens("w1", "w2", "w3", "w4", "w5"), resolves, unarchives]
"""A storm of five in a channel that takes no messages for a while, of which one is over before it takes them again."""


def in_the_end(relay):
    """The cards of the channel, and how often the fallback names each incident, by a card or by a line."""
    shown = visible_messages(relay, "all", "noc")
    [storm] = [thread for text, thread in shown["noc"] if "Storm" in text]
    cards = [text for text, _ in shown["noc"] if "Storm" not in text]
    named_there = Counter(found for text in (*cards, *storm) for found in set(re.findall(r"Incident w\d", text)))
    return sorted(text.split("\n")[0] for text, _ in shown["all"]), named_there


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
async def test_a_crash_at_any_effect_changes_nothing_of_a_storm_that_went_to_the_fallback(tmp_path, after):
    _, nth = await crash_everywhere(tmp_path, ARCHIVED, after=after, routes=ROUTES, read=in_the_end)
    assert nth > 15
