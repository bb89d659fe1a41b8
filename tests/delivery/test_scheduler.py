"""The scheduler waits when there is nothing to do."""

from relay.delivery.scheduler import Scheduler
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, cards
from tests.support.relay_in_process import run_relay

MAX_TURNS = 60
"""The most turns of both schedulers for a few cards; a scheduler that does not wait makes thousands."""


class MovingClock(ManualClock):
    """A clock on which each reading is a millisecond later than the one before, as on a busy machine."""

    def now(self):
        self._now += 0.001
        return super().now()


async def test_the_scheduler_does_not_spin_while_time_passes_between_two_readings_of_the_clock(tmp_path, monkeypatch):
    """A call is ready at a time that was read a moment later; the scheduler makes it instead of waiting again."""
    turns, turn = [], Scheduler._turn

    async def counted(scheduler, *arguments):
        turns.append(scheduler)
        assert len(turns) <= MAX_TURNS, "the scheduler spins"
        return await turn(scheduler, *arguments)

    monkeypatch.setattr(Scheduler, "_turn", counted)
    async with run_relay(tmp_path, clock=MovingClock()) as relay:
        for incident in ("one", "two", "three"):
            await relay.share(incident, status="critical", alerts=[ALERT])
        await relay.settle()
        assert [len(cards(relay, incident)) for incident in ("one", "two", "three")] == [1, 1, 1]
        await relay.advance(60)
    assert len(turns) <= MAX_TURNS
