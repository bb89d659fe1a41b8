"""A relay that dies at any step of a take-over leaves the same result as one that does not.

Each effect (a commit, a call to BigPanda, a call to Slack) is a point: relay dies right before the n-th, or right after
it. Then another relay starts on the same database.
"""

import asyncio
from contextlib import suppress

import pytest

from relay.bigpanda.gateway import BigPandaGateway
from relay.demo.clock import SimulatedClock
from relay.sandbox.bigpanda.users import FakeBigPandaUser
from relay.slack.gateway import SlackGateway
from relay.store.database import Database
from tests.support.bigpanda_round_trip import ANN, DB, NOC, START, fake_organisation, fake_workspace, run_round_trip

CID = FakeBigPandaUser(id="5506e4fbe7e0e400000000c3", name="Cid", email="bob@example.com")
EFFECTS = ((Database, "write"), (BigPandaGateway, "_send"), (SlackGateway, "_call"))
MORE_THAN_THERE_ARE = 60


class Death:
    """Stops everything before the n-th effect from now on, or after it."""

    def __init__(self, monkeypatch) -> None:
        self.died = asyncio.Event()
        self._left = MORE_THAN_THERE_ARE * 1000
        self._after = False
        for owner, name in EFFECTS:
            monkeypatch.setattr(owner, name, self._watch(getattr(owner, name)))

    def in_(self, effects: int, *, after: bool) -> None:
        self.died.clear()
        self._left, self._after = effects, after

    def never(self) -> None:
        self._left = MORE_THAN_THERE_ARE * 1000

    def _watch(self, effect):
        async def watched(*args, **arguments):
            self._left -= 1
            dies = self._left <= 0
            if dies and not (self._after and self._left == 0):
                await self._die()
            result = await effect(*args, **arguments)
            if dies:
                await self._die()
            return result

        return watched

    async def _die(self) -> None:
        self.died.set()
        await asyncio.Event().wait()


async def press_and_die(round_trip, death, point, *, after) -> bool:
    """Answer the question whether to take over, and die meanwhile; return whether relay came that far."""
    [question] = round_trip.slack.open_views(ANN)
    death.in_(point, after=after)
    answering = asyncio.create_task(round_trip.slack.submit(ANN, question, {}))
    dying = asyncio.create_task(death.died.wait())
    done = asyncio.create_task(finish(round_trip, answering))
    await asyncio.wait([dying, done], return_when=asyncio.FIRST_COMPLETED, timeout=30)
    for each in (dying, done, answering):
        each.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await each
    return death.died.is_set()


async def finish(round_trip, answering) -> None:
    await answering
    await round_trip.settle()
    await round_trip.advance(30)


def what_people_see(slack, panda):
    cards = {channel: [each for each in slack.channel(channel).messages if each.metadata] for channel in (DB, NOC)}
    threads = {
        channel: [slack.text_of(reply) for card in found for reply in slack.channel(channel).thread(card.ts)]
        for channel, found in cards.items()
    }
    return {channel: [slack.text_of(card) for card in found] for channel, found in cards.items()}, threads


async def take_over(folder, monkeypatch, point, *, after):
    """Return what people see in the end, and whether relay died at that point."""
    clock = SimulatedClock(START)
    slack, panda = fake_workspace(clock), fake_organisation(clock)
    panda.add_user(CID)
    death = Death(monkeypatch)
    async with run_round_trip(folder, slack=slack, panda=panda, clock=clock, dies=True) as round_trip:
        await round_trip.start_incident()
        panda.incident("i1").assign(CID, CID)
        await round_trip.click("assign")
        await round_trip.advance(5)
        died = await press_and_die(round_trip, death, point, after=after)
        was_stored = any(kind == "assign" and state != "dropped" for kind, state, _ in await stored(round_trip))
    death.never()
    async with run_round_trip(folder, slack=slack, panda=panda, clock=clock) as round_trip:
        if not was_stored:  # Slack shows an error, and the person presses once more
            await round_trip.slack.submit(ANN, round_trip.slack.open_views(ANN)[-1], {})
            await round_trip.settle()
        await round_trip.advance(900)
    return what_people_see(slack, panda), died


async def stored(round_trip):
    history = await round_trip.store.incident_history("i1")
    return [(str(each.kind), str(each.state), each.reason) for each in history.tasks]


@pytest.mark.soak
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_relay_that_dies_at_any_effect_of_a_take_over_loses_and_repeats_nothing(tmp_path, after):
    expected, died, point = None, True, 0
    while died:
        folder = tmp_path / str(point)
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            seen, died = await take_over(folder, patch, point or MORE_THAN_THERE_ARE, after=after)
        expected = expected or seen
        check(seen, expected, point)
        died, point = died or point == 0, point + 1
    assert point > 8


@pytest.mark.parametrize(("point", "after"), [(2, False), (4, True), (7, True)])
async def test_a_relay_that_dies_during_a_take_over_loses_and_repeats_nothing(tmp_path, monkeypatch, point, after):
    seen, died = await take_over(tmp_path, monkeypatch, point, after=after)
    assert died
    check(seen, None, point)


def check(seen, expected, point):
    cards, threads = seen
    for channel in (DB, NOC):
        assert len(cards[channel]) == 1, point
        assert "assigned to *Ann Lee*" in cards[channel][0], point
        assert sum("*Ann Lee* took over from Cid" in reply for reply in threads[channel]) == 1, (point, threads)
        assert len(threads[channel]) == len((expected or seen)[1][channel]), (point, threads)
