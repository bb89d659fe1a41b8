"""Crashes are enumerated: relay stops before and after its n-th effect, for every n, and is started again."""

import asyncio
from contextlib import suppress

import pytest

from relay.cards.storms import StormTurn
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, LIFECYCLE, visible_messages
from tests.support.relay_in_process import ROUTES, START, fake_workspace, run_relay

EVERY = 330.0
"""Seconds between two events of a lifecycle: time enough to deliver each, with or without a crash."""


class Crash:
    """Counts effects, and stops relay after the n-th (or before it).

    A search for work that finds none does not count: stopping before it is stopping after the effect before.
    """

    def __init__(self, nth: int, *, after: bool) -> None:
        self.nth, self.after, self.seen = nth, after, 0
        self.happened = asyncio.Event()

    def install(self, relay):
        for name in ("accept", "change_bulletins", "update_card", "update_channel", "decide_slots"):
            setattr(relay.store, name, self._around(getattr(relay.store, name)))
        for name in ("post", "edit", "delete"):
            setattr(relay.gateway, name, self._around(getattr(relay.gateway, name)))
        for name in ("start_next_card", "tend_storms"):
            setattr(relay.store, name, self._around_search(getattr(relay.store, name)))

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
            if self.after and _has_found(result):
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


def _has_found(result):
    """Whether a search has found a card, or storms for which something was done."""
    if not isinstance(result, tuple):
        return False
    return any(each.change or each.release for each in result if isinstance(each, StormTurn)) or any(
        not isinstance(each, StormTurn) for each in result
    )


def shares(fields):
    return lambda relay: relay.share("i1", **fields)


async def archived(relay):
    relay.slack.channel("all").archive()


async def unarchived(relay):
    relay.slack.channel("all").unarchive()


async def deleted(relay):
    for card in relay.slack.channel("all").messages:
        relay.slack.channel("all").delete(card.ts)


CALM = [shares(fields) for fields in LIFECYCLE]
TROUBLED = [
    shares({"status": "warning", "alerts": [ALERT]}),
    archived,
    shares({"status": "critical"}),
    unarchived,
    deleted,
    shares({"metadata": {"comment": {"comment": "looking at it"}, "sender": {"name": "Dana"}}}),
    shares({"status": "ok"}),
]
"""The channel rejects messages for a while, so that the fallback stands in; then somebody deletes the card."""


REOPENED = [
    shares({"status": "critical", "alerts": [ALERT]}),
    shares({"status": "ok"}),
    shares({"status": "critical", "resolved": False}),
    shares({"status": "ok", "resolved": True}),
]
"""The reopening is broadcast. Once it is over, relay edits that reply."""


def seen_in_channels(relay):
    return visible_messages(relay, "all", "noc")


async def run_lifecycle(folder, crash, life, *, routes=ROUTES, read=seen_in_channels):
    """Run the lifecycle; at the crash everything stops at once, and a new relay continues from that moment.

    Return whether it crashed, and what a reader sees in the end.
    """
    waiting = [(START + EVERY * number, happens) for number, happens in enumerate(life)]
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(folder, routes=routes, slack=slack, clock=clock, dies=True) as relay:
        crash.install(relay)
        await run_events(relay, waiting, crash)
        if not crash.happened.is_set():
            return False, read(relay)
    async with run_relay(folder, routes=routes, slack=slack, clock=clock) as relay:
        await run_events(relay, waiting, Crash(0, after=False))
        return True, read(relay)


async def crash_everywhere(tmp_path, life, *, after, crash=Crash, **more):
    """Run the life with a crash at each effect: it changes nothing in the end.

    Return what a reader sees without a crash, and the number of the first effect that never came.
    """
    nth, crashed, found = 0, True, {}
    while crashed:
        nth += 1
        folder = tmp_path / str(nth)
        folder.mkdir()
        crashed, found[nth] = await run_lifecycle(folder, crash(nth, after=after), life, **more)
    expected = found.pop(nth)
    assert {number: read for number, read in found.items() if read != expected} == {}
    return expected, nth


async def run_events(relay, waiting, crash):
    """Run the remaining events, each at its time; one that a crash interrupted happens again, as a share is resent."""
    while waiting:
        moment, happens = waiting[0]
        if await stopped(relay.advance(moment - relay.clock.now()), crash) or await stopped(happens(relay), crash):
            return
        waiting.pop(0)
    await stopped(relay.advance(3 * EVERY), crash)


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
@pytest.mark.parametrize(
    ("life", "after"),
    [
        ("calm", True),
        # The same and more: `test_every_call` has such a life in the suite, with a fault at each of its calls.
        pytest.param("troubled", True, marks=pytest.mark.soak),
        # A crash before an effect leaves what a crash after the previous effect leaves.
        pytest.param("calm", False, marks=pytest.mark.soak),
        pytest.param("troubled", False, marks=pytest.mark.soak),
    ],
    ids=["after-calm", "after-troubled", "before-calm", "before-troubled"],
)
async def test_a_crash_at_any_effect_does_not_change_what_a_reader_finally_sees(tmp_path, after, life):
    """Each root and each thread has the text of the crash-free run, in both channels.

    Other tests check the text of that run; this one checks a few lines of it.
    """
    script = CALM if life == "calm" else TROUBLED
    expected, nth = await crash_everywhere(tmp_path, script, after=after)
    face, replies = expected["all"][-1]
    assert face.startswith("✅")
    assert replies[-2:] == ["💬 *Dana*: looking at it", "✅ Resolved"]
    assert [len(expected[channel]) for channel in ("all", "noc")] == ([1, 0] if life == "calm" else [2, 1])
    assert sum(line == "Warning → *Critical*" for _, replies in expected["all"] for line in replies) == 1
    assert nth > (15 if life == "calm" else 25)


# The crashes of the calm life above are in the suite.
@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_after_a_crash_at_any_effect_every_finished_broadcast_is_edited(tmp_path, after):
    expected, nth = await crash_everywhere(tmp_path, REOPENED, after=after)
    [(face, replies)] = expected["all"]
    assert face.startswith("✅")
    assert "✅ Reopened, resolved again after 5 min 30 s" in replies
    assert not [line for line in replies if "🔴" in line]
    assert nth > 15
