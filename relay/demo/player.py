"""Plays the story: live, at a reader's pace, or at once, on a clock that leaps."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from relay.demo.clock import SimulatedClock, wait_until_idle
from relay.demo.environment import DemoEnvironment, documented_sample, start_demo
from relay.demo.story import ShareBuilder, ShareStep, UserStep, prologue, story
from relay.runtime.clock import Clock
from relay.sandbox.slack.payloads import NoSuchElement
from relay.sandbox.slack.views import InvalidInput

STORY_START: Final = datetime(2026, 5, 3, 2, 40, tzinfo=UTC).timestamp()
"""When the story begins, where it is told at once: always in the same night, so that it always reads the same."""

AFTERWARDS: Final = 12 * 60.0
"""Seconds after the last step in which what waits for company is told."""

SHORTEST, LONGEST = 4.0, 9.0
"""Seconds between two steps, live: long enough to read what has changed, short enough to stay."""

SHARE_DELAY: Final = 1.5
"""Seconds, live, that BigPanda takes to share what happened: long enough to see that a press is under way."""

LEAVING: Final = 15.0
"""Seconds within which relay is gone, if it was told to stop."""

HURRY: Final = 30.0
"""Live, a pause of the story is so many times shorter, within those bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryPlayer:
    """Lets one step after the other happen; `narrate` hears of each."""

    demo: DemoEnvironment
    shares: ShareBuilder
    narrate: Callable[[str], None] = lambda _: None

    async def play(self, step: ShareStep | UserStep) -> None:
        """One step happens, now; what a reader has resolved is left alone until its time to end, or to come back."""
        if self._is_moot(step):
            return
        self.demo.page.show_caption(step.caption)
        self.narrate(step.caption)
        match step:
            case ShareStep():
                await self.demo.share(self.shares.share(step, self.demo.clock.now()))
            case UserStep():
                with suppress(NoSuchElement, InvalidInput):  # whoever edits the routes may have taken the button away
                    await self.demo.perform(step)

    def _is_moot(self, step: ShareStep | UserStep) -> bool:
        tells_end = isinstance(step, ShareStep) and "resolved" in step.changes
        return self.demo.is_resolved(step.incident) and not tells_end


async def play_live(
    host: str,
    port: int,
    introduce: Callable[[DemoEnvironment], None],
    narrate: Callable[[str], None],
    *,
    pace: float = 1.0,
) -> None:
    """Play at a reader's pace, then stay until told to stop (SIGINT, SIGTERM). `pace` 2 is twice as fast."""
    async with start_demo(Clock(), host=host, port=port) as stage:
        stage.bigpanda.share_delay = SHARE_DELAY
        introduce(stage)
        player = StoryPlayer(demo=stage, shares=ShareBuilder(documented_sample()), narrate=narrate)
        playing = asyncio.create_task(_live(player, pace), name="story")
        await _until_told_to_stop(stage.running, playing)


async def _until_told_to_stop(running: asyncio.Task[None], playing: asyncio.Task[None]) -> None:
    """Relay hears the signal, and may refuse a share of the story before it is gone: that is no fault."""
    await asyncio.wait([running, playing], return_when=asyncio.FIRST_COMPLETED)
    if playing.done() and playing.exception() is not None:
        await asyncio.wait([running], timeout=LEAVING)
        if not running.done():
            await playing
    await asyncio.wait([running])
    playing.cancel()


async def _live(player: StoryPlayer, pace: float) -> None:
    for step in prologue():
        await _tell(player, step)
        await asyncio.sleep(1.0 / pace)
    for step in story(documented_sample()):
        await asyncio.sleep(min(LONGEST, max(SHORTEST, step.pause / HURRY)) / pace)
        await _tell(player, step)
    await asyncio.sleep(LONGEST / pace)
    player.demo.page.show_caption("That was the story. Now press what is left to press, or paste a share of your own.")


async def _tell(player: StoryPlayer, step: ShareStep | UserStep) -> None:
    """One step happens, once what came before it is shown: nobody presses a button that is not there yet."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST):
            await wait_until_idle(lambda: player.demo.idle)
    await player.play(step)


async def play_once(narrate: Callable[[str], None] = lambda _: None) -> str:
    """Play at once, and give what then stands in the channels, as text."""
    clock = SimulatedClock(STORY_START)
    async with start_demo(clock) as stage:
        player = StoryPlayer(demo=stage, shares=ShareBuilder(documented_sample()), narrate=narrate)
        await play_steps(player, clock, [*prologue(), *story(documented_sample())])
        await clock.advance(AFTERWARDS, lambda: stage.idle)
        return transcript(stage)


async def play_steps(player: StoryPlayer, clock: SimulatedClock, steps: Iterable[ShareStep | UserStep]) -> None:
    """Play these steps at once: whatever falls due between two of them happens there."""
    for step in steps:
        await clock.advance(step.pause, lambda: player.demo.idle)
        await player.play(step)
        await wait_until_idle(lambda: player.demo.idle)


def transcript(stage: DemoEnvironment) -> str:
    """All channels and their threads, as a reader sees them."""
    told = [f"#{channel.name}\n\n{stage.slack.transcript(channel.id)}" for channel in stage.slack.channels.values()]
    return "\n\n\n".join(told)
