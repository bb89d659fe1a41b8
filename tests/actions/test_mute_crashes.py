"""A relay that dies while somebody makes or ends a mute: the mute is made once, and the person can go on.

Each effect (a commit, a call to Slack) is a point: relay dies right before the n-th, or right after it. Then another
relay starts on the same database, and the person whose modal is still open presses once more.
"""

import pytest

from relay.demo.clock import SimulatedClock
from tests.actions.test_crash_points import Death, press_and_die
from tests.actions.test_mutes import ROUTES, modal, mutes, options, start
from tests.support.bigpanda_round_trip import ANN, START, fake_organisation, fake_workspace, run_round_trip


async def live(folder, death, point, *, after):
    """Make a mute and end it, and die at a point meanwhile. Return whether relay came that far, and what is stored."""
    folder.mkdir(parents=True)
    clock = SimulatedClock(START)
    common = {
        "routes": ROUTES,
        "clock": clock,
        "slack": fake_workspace(clock),
        "panda": fake_organisation(clock),
    }
    death.never()
    async with run_round_trip(folder, dies=True, **common) as first:
        await start(first)
        await first.click("mute")
        modal(first).inputs["text"]["element"]["initial_value"] = "deploy"  # the person has typed it
        died = await press_and_die(first, death, point, after=after)
    death.never()
    async with run_round_trip(folder, **common) as second:
        if second.slack.open_views(ANN):
            await second.submit(ANN, text="deploy")
        await second.advance(60)
        [made] = await mutes(second)
        shown = "🔇" in second.card_text()
        await second.click("end_mute")
        assert list(options(second)) == ["This incident"]
        await second.submit(ANN)
        await second.advance(60)
        return died, (made.incident, made.reason, shown, "🔇" in second.card_text(), (await mutes(second))[0].ended_by)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("after", [True, False], ids=["after", "before"])
async def test_a_relay_that_dies_while_it_makes_a_mute_makes_it_once(tmp_path, monkeypatch, after):
    death, point, died = Death(monkeypatch), 0, True
    while died:
        point += 1
        died, seen = await live(tmp_path / str(point), death, point, after=after)
        assert seen == ("i1", "deploy", True, False, "Ann Lee"), point
    assert point > 2
