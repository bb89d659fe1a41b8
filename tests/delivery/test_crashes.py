"""Crashes are enumerated: relay stops before and after its n-th effect, for every n, and is started again."""

import asyncio
from contextlib import suppress

import pytest
from clocks import ManualClock
from house import open_house, stand_in
from lifetimes import ALERT, LIFE, PHRASES, cards, faults, thread


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


def shares(told):
    return lambda house: house.share("i1", **told)


async def archived(house):
    house.slack.channel("all").archive()


async def unarchived(house):
    house.slack.channel("all").unarchive()
    await house.after(320)


async def deleted(house):
    for card in house.slack.channel("all").messages:
        house.slack.channel("all").delete(card.ts)


CALM = [shares(told) for told in LIFE]
TROUBLED = [
    shares({"status": "warning", "alerts": [ALERT]}),
    archived,
    shares({"status": "critical"}),
    unarchived,
    deleted,
    shares({"metadata": {"comment": {"comment": "looking at it"}, "sender": {"name": "Dana"}}}),
    shares({"status": "ok"}),
]
"""The channel refuses for a while, so that the fallback stands in; then somebody deletes the card."""


def wrong_after_trouble(house):
    """What a reader of both channels would find wrong."""
    standing = cards(house, "i1")
    if len(standing) != 1 or "✅" not in house.slack.reads(standing[0]):
        return [f"{len(standing)} cards, or not a true one"]
    stand_ins = cards(house, "i1", "noc")
    wrong = [f"{len(stand_ins)} stand-ins"] if len(stand_ins) > 1 else []
    wrong += ["the stand-in is no pointer" for card in stand_ins if "followed in" not in house.slack.reads(card)]
    told = thread(house, standing[0]) + "".join(thread(house, card, "noc") for card in stand_ins)
    rise, *others = PHRASES
    wrong += [f"{phrase!r} told {told.count(phrase)} times" for phrase in others if told.count(phrase) != 1]
    # A card that is first shown after the rise says it by its face.
    return wrong + [f"{rise!r} told {told.count(rise)} times"] * (told.count(rise) > 1)


async def one_life(folder, crash, life, wrong_with):
    """Lives through the life; at the crash everything stops at once, and a new relay goes on. True if it crashed."""
    waiting = list(life)
    clock = ManualClock()
    slack = stand_in(clock)
    async with open_house(folder, slack=slack, clock=clock, dies=True) as house:
        crash.install(house)
        while waiting and not crash.happened.is_set():
            if await stopped(waiting[0](house), crash):
                break
            waiting.pop(0)
            await stopped(house.after(60), crash)
        await stopped(house.after(300), crash)
        if not crash.happened.is_set():
            return False
    async with open_house(folder, slack=slack, clock=clock) as house:
        await house.after(60)
        for happens in waiting:
            await happens(house)
            await house.after(60)
        await house.after(400)
        wrong = wrong_with(house)
        assert wrong == [], (crash.nth, crash.after, wrong, house.reads(), house.reads("noc"))
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


@pytest.mark.timeout(600)
@pytest.mark.parametrize("life", ["calm", "troubled"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_effect_changes_nothing_of_what_a_reader_sees_in_the_end(tmp_path, after, life):
    script, wrong_with = (
        (CALM, lambda house: faults(house, "i1")) if life == "calm" else (TROUBLED, wrong_after_trouble)
    )
    nth, crashed = 0, True
    while crashed:
        nth += 1
        folder = tmp_path / str(nth)
        folder.mkdir()
        crashed = await one_life(folder, Crash(nth, after=after), script, wrong_with)
    assert nth > (15 if life == "calm" else 25)
