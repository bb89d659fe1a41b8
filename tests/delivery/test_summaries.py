"""Summaries, from their time of the day to what people read in Slack: each slot once, whatever comes in between."""

import pytest
import structlog.testing

from relay.cards.mutes import Mute
from relay.cards.summaries import SummaryOutcome
from relay.sandbox.faults import InjectedFault, rate_limited
from relay.sandbox.slack.mentions import pings
from relay.store.store import Store
from tests.delivery.test_catch_ups import edit
from tests.delivery.test_crashes import Crash, archived, crash_everywhere, unarchived
from tests.support.clocks import ManualClock
from tests.support.relay_in_process import START, fake_workspace, run_relay

# START is a Tuesday, 22:13:20 UTC.
AT_2230 = 1_000.0
DAY, HOUR = 86_400.0, 3_600.0
SHORTLY = 65.0


def routes(*summaries, options="", at="22:30"):
    listed = ", ".join(summaries) or f'{{title: Evening, channel: C0ALL00001, at: "{at}"}}'
    return f"""
version: 1
zone: Etc/UTC
hours:
  night: {{from: "22:00", to: "06:00"}}
  tuesdays: {{days: [tue]}}
fallback: C0NOC00001
summaries: [{listed}]
routes:
  - {{name: db, match: {{tags: {{team: db}}}}, post: [C0DB000001]}}
  - name: all
    post: [{{channel: C0ALL00001, mention: {{any: [S0ALL]}}, {options}}}]
"""


async def until(relay, seconds):
    """Let time pass until so many seconds after START: at once until shortly before, and step by step from then on."""
    await relay.settle()
    relay.clock.advance(max(0.0, START + seconds - SHORTLY - relay.clock.now()))
    await relay.advance(START + seconds - relay.clock.now())


def texts(relay, channel="all"):
    return [relay.slack.text_of(message) for message in relay.slack.channel(channel).messages]


def summaries(relay, channel="all"):
    return [text for text in texts(relay, channel) if "📋" in text]


def counted(relay):
    return {
        outcome: int(relay.metrics.registry.get_sample_value("relay_summaries_total", {"outcome": outcome}) or 0)
        for outcome in ("posted", "nothing_to_say", "skipped")
    }


async def progress(relay):
    return {each.title: each for each in await relay.store.summary_progress()}


async def test_a_summary_lists_open_and_resolved_incidents_unassigned_ones_first_and_pings_nobody(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        await relay.share("gone", status="warning", description="Disk full")
        await relay.share("owned", status="critical", metadata={"assignee": {"id": "u1", "name": "Ann Lee"}})
        await relay.share("i1", status="warning")
        await relay.share("elsewhere", status="critical", incidentTags=[{"id": "team", "value": "db"}])
        await relay.advance(300)
        await relay.share("gone", status="ok", resolved=True, active=False)
        await until(relay, AT_2230 - 1)
        assert summaries(relay) == []
        await until(relay, AT_2230 + 30)
        [text] = summaries(relay)
        assert "Evening: 2 open, 1 critical" in text
        assert text.index("Nobody has this") < text.index("Somebody has this") < text.index("1 resolved")
        assert "Ann Lee" in text
        assert "posted late" not in text
        assert counted(relay) == {"posted": 1, "nothing_to_say": 0, "skipped": 0}
        [message] = [each for each in relay.slack.channel("all").messages if "📋" in relay.slack.text_of(each)]
        assert not pings(message)


async def test_a_summary_shows_snoozes_and_mutes_and_counts_acknowledged_incidents_as_owned(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        await relay.share("snoozed", status="warning", snooze={"snoozed": True, "wake": START + 14_400})
        await relay.share("known", status="acknowledged")
        await relay.share("muted", status="critical")
        mute = Mute(match="{status: critical}", start=START, end=START + 7_200.0, reason="r", author="a", origin="cli")
        await relay.store.add_mute(mute)
        await until(relay, AT_2230 + 30)
        [text] = summaries(relay)
        lines = {name: line for line in text.splitlines() for name in ("snoozed", "muted", "known") if name in line}
        assert "💤 until 2023-11-15 02:13" in lines["snoozed"]
        assert "🔇 until 2023-11-15 00:13" in lines["muted"]
        assert "acknowledged" in lines["known"]
        assert text.index("Nobody has these 2") < text.index("Somebody has this") < text.index("known")


async def test_the_next_summary_counts_incidents_resolved_since_the_last_posted_one(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        for number, when in enumerate((AT_2230 - 900, AT_2230 + 600, AT_2230 + 900)):
            await until(relay, when)
            await relay.share(f"i{number}", status="warning")
            await relay.advance(60)
            await relay.share(f"i{number}", status="ok", resolved=True, active=False)
        for day in range(3):
            await until(relay, AT_2230 + day * DAY + 60)
        first, second = summaries(relay)  # on the third day there was nothing to say
        assert "1 resolved" in first
        assert "2 resolved" in second
        assert counted(relay) == {"posted": 2, "nothing_to_say": 1, "skipped": 0}


async def test_a_summary_is_not_held_by_silent_hours(tmp_path):
    async with run_relay(tmp_path, routes=routes(options="quiet: [night], hold: [night]")) as relay:
        await relay.share("i1", status="warning")
        await until(relay, AT_2230 + 30)
        [text] = summaries(relay)
        assert "1 open" in text  # no card shows it, but a line of the list of what is held


async def test_an_empty_summary_is_posted_only_if_the_file_has_always_true(tmp_path):
    also = '{title: Alive, channel: C0DB000001, at: "22:30", always: true}'
    quiet = '{title: Evening, channel: C0ALL00001, at: "22:30"}'
    async with run_relay(tmp_path, routes=routes(quiet, also)) as relay:
        await until(relay, AT_2230 + 60)
        assert summaries(relay) == []
        [text] = summaries(relay, "db")
        assert "Alive: nothing is open" in text
        assert (await progress(relay))["Evening"].outcome is SummaryOutcome.NOTHING_TO_SAY


@pytest.mark.parametrize(
    ("back", "late", "found"),
    [
        (AT_2230 + 40 * 60, True, {"posted": 1, "nothing_to_say": 0, "skipped": 0}),
        (AT_2230 + 2 * HOUR - 1, True, {"posted": 1, "nothing_to_say": 0, "skipped": 0}),
        (AT_2230 + 4 * HOUR, None, {"posted": 0, "nothing_to_say": 0, "skipped": 1}),
        (AT_2230 + DAY - 120, None, {"posted": 0, "nothing_to_say": 0, "skipped": 1}),
        (AT_2230 + 3 * DAY + 60, False, {"posted": 1, "nothing_to_say": 0, "skipped": 3}),
    ],
    ids=["40 minutes", "two hours", "four hours", "the next day", "three days"],
)
async def test_a_missed_summary_is_posted_late_once_or_skipped_and_counted(tmp_path, back, late, found):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack, dies=True) as relay:
        await relay.share("i1", status="warning")
        await relay.settle()
    clock.advance(START + back - clock.now())
    async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack) as relay:
        await relay.advance(40)
        assert ["posted late" in text for text in summaries(relay)] == ([] if late is None else [late])
        assert counted(relay) == found
    async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack) as relay:
        await relay.advance(40)
        assert len(summaries(relay)) == found["posted"]
        assert counted(relay)["skipped"] == 0


async def test_a_summary_that_slack_does_not_take_for_two_hours_is_skipped(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        await relay.share("i1", status="warning")
        await until(relay, AT_2230 - 10)
        relay.slack.faults.add(InjectedFault(behaviour=rate_limited(9_000), method="chat.postMessage", times=None))
        await until(relay, AT_2230 + 60)
        await until(relay, AT_2230 + 2 * HOUR - 60)
        assert (await progress(relay))["Evening"].outcome is SummaryOutcome.BEGUN
        await until(relay, AT_2230 + 2 * HOUR + 60)
        relay.slack.faults.clear()
        await until(relay, AT_2230 + 3 * HOUR)
        assert summaries(relay) == []
        assert counted(relay)["skipped"] == 1
        assert (await progress(relay))["Evening"].outcome is SummaryOutcome.SKIPPED


async def test_an_edited_summary_time_applies_from_the_edit_and_posts_nothing_twice(tmp_path):
    def at(time):
        return routes(at=time)

    async with run_relay(tmp_path, routes=at("22:30")) as relay:
        await relay.share("i1", status="warning")
        await until(relay, AT_2230 - 600)
        await edit(relay, tmp_path, at("22:15"))  # it is 22:20
        await until(relay, AT_2230 - 300)
        assert summaries(relay) == []
        await edit(relay, tmp_path, at("22:30"))
        await until(relay, AT_2230 + 60)
        assert len(summaries(relay)) == 1
        await edit(relay, tmp_path, at("22:25"))
        await edit(relay, tmp_path, at("22:30"))
        await until(relay, AT_2230 + HOUR)
        assert len(summaries(relay)) == 1


async def test_a_removed_summary_is_forgotten_and_a_new_one_begins_with_its_next_slot(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        await relay.share("i1", status="warning")
        await edit(relay, tmp_path, routes('{title: Other, channel: C0ALL00001, at: "22:14"}'))
        await until(relay, AT_2230)
        assert list(await progress(relay)) == ["Other"]
        assert len(summaries(relay)) == 1


async def test_excepted_hours_have_no_summary(tmp_path):
    without = '{title: Evening, channel: C0ALL00001, at: "22:30", except: [tuesdays]}'
    async with run_relay(tmp_path, routes=routes(without)) as relay:
        await relay.share("i1", status="warning")
        await until(relay, AT_2230 + 30)
        assert summaries(relay) == []
        await until(relay, AT_2230 + DAY + 60)
        assert len(summaries(relay)) == 1


async def test_two_summaries_at_one_moment_are_posted_and_a_failing_one_does_not_delay_others(tmp_path, monkeypatch):
    both = (
        '{title: Broken, channel: C0DB000001, at: "22:30"}',
        '{title: Evening, channel: C0ALL00001, at: "22:30"}',
        '{title: Second, channel: C0ALL00001, at: "22:30"}',
    )
    read, broken = Store.channel_content, [True]

    async def fails(self, ref, *rest):
        if ref == "C0DB000001" and broken:
            raise ValueError("a strange record")
        return await read(self, ref, *rest)

    monkeypatch.setattr(Store, "channel_content", fails)
    async with run_relay(tmp_path, routes=routes(*both)) as relay:
        await relay.share("i1", status="warning")
        await relay.share("i2", status="warning", incidentTags=[{"id": "team", "value": "db"}])
        with structlog.testing.capture_logs() as lines:
            await until(relay, AT_2230 + 90)
        assert [text.split(":")[0] for text in summaries(relay)] == ["📋 Evening", "📋 Second"]
        assert summaries(relay, "db") == []
        failed = [line for line in lines if line["event"] == "summary_failed"]
        assert {line["summary"] for line in failed} == {"Broken"}
        broken.clear()
        await relay.advance(120)
        assert len(summaries(relay, "db")) == 1  # still due, since nobody has decided it
        assert len(summaries(relay)) == 2


async def test_a_template_that_fails_is_replaced_by_the_built_in_text(tmp_path):
    folder = tmp_path / "templates" / "bulletin"
    folder.mkdir(parents=True)
    (folder / "summary.j2").write_text("{{ 1 // 0 }}")
    async with run_relay(tmp_path, routes=routes()) as relay:
        await relay.share("i1", status="warning")
        await until(relay, AT_2230 + 60)
        assert any("Evening: 1 open" in text and "built-in text" in text for text in texts(relay))


async def test_the_slots_of_a_summary_are_in_the_log(tmp_path):
    async with run_relay(tmp_path, routes=routes()) as relay:
        await relay.share("i1", status="warning")
        with structlog.testing.capture_logs() as lines:
            await until(relay, AT_2230 + 60)
        told = [line for line in lines if line["event"] == "summary"]
        assert [line["outcome"] for line in told] == ["begun", "posted"]
        assert {(line["summary"], line["channel"], line["slot"]) for line in told} == {
            ("Evening", "C0ALL00001", "2023-11-14T22:30:00Z")
        }


async def test_a_relay_that_takes_over_posts_no_slot_again(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack, dies=True) as relay:
        await relay.share("i1", status="warning")
        await until(relay, AT_2230 + 1)
    async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack) as relay:
        await until(relay, AT_2230 + HOUR)
        assert len(summaries(relay)) == 1


async def test_a_lost_database_repeats_no_summary(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack) as relay:
        await relay.share("i1", status="warning")
        await until(relay, AT_2230 + 30)
    for file in tmp_path.glob("relay.db*"):
        file.unlink()
    async with run_relay(tmp_path, routes=routes(), clock=clock, slack=slack, is_new=True) as relay:
        await relay.advance(600)
        assert len(summaries(relay)) == 1
        await until(relay, AT_2230 + DAY + 30)
        assert len(summaries(relay)) == 2


class SettlingCrash(Crash):
    """Counts the moment at which a summary is found to be posted, too."""

    def install(self, relay):
        super().install(relay)
        settle = relay.store.settle_summaries

        async def effect(*arguments, **named):
            await self._alive()
            settled = await settle(*arguments, **named)
            if settled.summaries:
                await self._crash_at(self._count())
            return settled

        relay.store.settle_summaries = effect


async def shared(relay):
    await relay.share("i1", status="warning")


CALM, IN_CALM = [shared], "22:15"
TROUBLED, IN_TROUBLE = [shared, archived, unarchived], "22:20"
"""The channel rejects messages when the time of the summary comes."""


@pytest.mark.soak
async def test_a_crash_at_any_effect_leaves_one_summary(tmp_path):
    expected, effects = await crash_everywhere(
        tmp_path, CALM, after=True, crash=SettlingCrash, routes=routes(at=IN_CALM)
    )
    assert sum("Evening: 1 open" in root for root, _ in expected["all"]) == 1
    assert effects > 7


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("life", "at"), [(CALM, IN_CALM), (TROUBLED, IN_TROUBLE)], ids=["calm", "archived"])
@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
async def test_a_crash_before_or_after_any_effect_leaves_one_summary_even_if_the_channel_is_archived(
    tmp_path, life, at, after
):
    expected, effects = await crash_everywhere(tmp_path, life, after=after, crash=SettlingCrash, routes=routes(at=at))
    roots = [root for channel in ("all", "noc") for root, _ in expected[channel]]
    assert sum("Evening: 1 open" in root for root in roots) == 1
    assert effects > 7
