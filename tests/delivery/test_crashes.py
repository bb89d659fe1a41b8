"""Crashes are enumerated: relay stops before and after its n-th effect, for every n, and is started again."""

import asyncio
from contextlib import suppress

import pytest
from clocks import ManualClock
from house import open_house, stand_in
from lifetimes import LIFE, faults


class Crash:
    """Counts effects, and lets the n-th be the last that happens (or the first that does not).

    A search for work that finds none is no effect, and to stop before a search is to stop after what came before it.
    """

    def __init__(self, nth: int, *, after: bool) -> None:
        self.nth, self.after, self.seen = nth, after, 0
        self.happened = asyncio.Event()

    def install(self, house):
        for name in ("accept", "settle", "found_channel"):
            setattr(house.store, name, self._around(getattr(house.store, name)))
        for name in ("post", "edit", "delete"):
            setattr(house.door, name, self._around(getattr(house.door, name)))
        house.store.pick = self._around_search(house.store.pick)

    def _around(self, verb):
        async def effect(*arguments, **named):
            await self._alive()
            number = self._count()
            if not self.after:
                await self._crash_at(number)
            result = await verb(*arguments, **named)
            if self.after:
                await self._crash_at(number)
            await self._alive()
            return result

        return effect

    def _around_search(self, verb):
        async def effect(*arguments, **named):
            await self._alive()
            result = await verb(*arguments, **named)
            if self.after and isinstance(result, tuple):
                await self._crash_at(self._count())
            await self._alive()
            return result

        return effect

    def _count(self):
        self.seen += 1
        return self.seen

    async def _crash_at(self, number):
        if number == self.nth:
            self.happened.set()
            await self._alive()

    async def _alive(self):
        if self.happened.is_set():
            await asyncio.Event().wait()


async def one_life(folder, slack, clock, crash):
    """Lives through the life; at the crash everything stops at once, and a new relay goes on. True if it crashed."""
    waiting = list(LIFE)
    async with open_house(folder, slack=slack, clock=clock, dies=True) as house:
        crash.install(house)
        while waiting and not crash.happened.is_set():
            if await stopped(house.share("i1", **waiting[0]), crash):
                break
            waiting.pop(0)
            await stopped(house.after(60), crash)
        await stopped(house.after(300), crash)
        if not crash.happened.is_set():
            return False
    async with open_house(folder, slack=slack, clock=clock) as house:
        await house.after(60)
        for told in waiting:
            await house.share("i1", **told)
            await house.after(60)
        await house.after(400)
        wrong = faults(house, "i1")
        assert wrong == [], (crash.nth, crash.after, wrong, house.reads())
    return True


async def stopped(work, crash):
    """Run until it is done, or until the crash."""
    task, end = asyncio.ensure_future(work), asyncio.ensure_future(crash.happened.wait())
    await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        end.cancel()
        task.result()
        return False
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return True


@pytest.mark.timeout(280)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_effect_changes_nothing_of_what_a_reader_sees_in_the_end(tmp_path, after):
    nth, crashed = 0, True
    while crashed:
        nth += 1
        folder = tmp_path / str(nth)
        folder.mkdir()
        clock = ManualClock()
        crashed = await one_life(folder, stand_in(clock), clock, Crash(nth, after=after))
    assert nth > 15
