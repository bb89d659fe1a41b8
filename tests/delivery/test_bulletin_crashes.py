"""A bulletin survives what a card survives: relay stops at each effect and starts again, or an answer is lost."""

import pytest

from relay.sandbox.faults import DropConnection, InjectedFault
from tests.delivery.test_crashes import EVERY, archived, crash_everywhere, unarchived
from tests.support.bulletin_samples import catch, hold, release
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import visible_messages
from tests.support.relay_in_process import START, fake_workspace, run_relay


def changes(number, *made):
    """These changes, at the moment of the event."""
    at = START + EVERY * number

    async def happens(relay):
        await relay.store.change_bulletins([change(at) for change in made])

    return happens


def shares(**fields):
    return lambda relay: relay.share("i1", **fields)


async def deleted(relay):
    """Somebody deletes the list of what is held, with its thread."""
    channel = relay.slack.channel("all")
    for root in channel.messages:
        if "held" in relay.slack.text_of(root):
            channel.delete(root.ts)


SHORT = [
    changes(0, lambda at: hold("i1", "i2", at=at, until=START + 4000.0)),
    shares(status="ok"),
]
CALM = [
    changes(0, lambda at: hold("i1", "i2", at=at, until=START + 4000.0)),
    changes(1, lambda at: hold("i3", at=at), lambda at: catch("i1", "i4", at=at)),
    shares(status="critical"),
    shares(status="ok"),
    changes(4, lambda at: release(at=at)),
]
TROUBLED = [
    changes(0, lambda at: hold("i1", "i2", at=at)),
    archived,
    changes(2, lambda at: hold("i3", at=at)),
    unarchived,
    deleted,
    changes(5, lambda at: hold("i4", at=at)),
    changes(6, lambda at: release(at=at)),
]
"""The channel rejects messages for a while, so that the fallback stands in; then somebody deletes the list."""


async def test_a_crash_at_any_effect_of_a_short_life_changes_nothing_in_the_end(tmp_path):
    expected, effects = await crash_everywhere(tmp_path, SHORT, after=True)
    [(held, lines)] = [each for each in expected["all"] if "held" in each[0]]
    assert "1 incident held" in held
    assert [line[0] for line in lines] == ["✅", "🔴"]
    assert effects > 7


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
async def test_a_crash_at_any_effect_leaves_one_list_with_each_incident_once(tmp_path, after):
    expected, effects = await crash_everywhere(tmp_path, CALM, after=after)
    [held, lines], [open_still, _] = (each for each in expected["all"] if "held" in each[0] or "open" in each[0])
    assert "3 incidents" in held
    assert sorted(line.split("Trouble with ")[1][:2] for line in lines) == ["i1", "i2", "i3"]
    assert "1 incident is still open" in open_still
    assert effects > 12


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
async def test_a_crash_at_any_effect_of_an_archived_channel_and_a_deleted_list(tmp_path, after):
    expected, effects = await crash_everywhere(tmp_path, TROUBLED, after=after)
    [(_, lines)] = [each for each in expected["all"] if "held" in each[0]]
    assert sorted(line.split("Trouble with ")[1][:2] for line in lines) == ["i1", "i2", "i3", "i4"]
    [(pointer, elsewhere)] = expected["noc"]
    assert "updates are in" in pointer
    assert [line.split("Trouble with ")[1][:2] for line in elsewhere] == ["i3"]
    assert effects > 15


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("after_effect", [True, False], ids=["done", "not-done"])
async def test_an_answer_that_is_lost_at_any_call_changes_nothing_in_the_end(tmp_path, after_effect):
    nth, found = 0, {}
    while True:
        nth += 1
        folder = tmp_path / str(nth)
        folder.mkdir()
        clock = ManualClock()
        slack = fake_workspace(clock)
        armed = slack.faults.add(InjectedFault(behaviour=DropConnection(), nth=nth, after_effect=after_effect))
        async with run_relay(folder, slack=slack, clock=clock) as relay:
            for happens in CALM:
                await happens(relay)
                await relay.advance(EVERY)
            await relay.advance(3 * EVERY)
            found[nth] = visible_messages(relay, "all", "noc")
        if not armed.applied:
            break
    expected = found.pop(nth)
    assert {number: read for number, read in found.items() if read != expected} == {}
    assert nth > 8
