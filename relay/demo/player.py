"""Plays the story: live, at a reader's pace, or at once, on a clock that leaps."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from relay.demo.clock import LeapingClock, settled
from relay.demo.environment import Stage, on_stage, sample
from relay.demo.story import Act, Step, Told, before, story
from relay.runtime.clock import Clock
from relay.sandbox.slack.views import NotSendable
from relay.sandbox.slack.payloads import NotThere

NIGHT: Final = datetime(2026, 5, 3, 2, 40, tzinfo=UTC).timestamp()
"""When the story begins, where it is told at once: always in the same night, so that it always reads the same."""

AFTERWARDS: Final = 12 * 60.0
"""Seconds after the last step in which what waits for company is told."""

SHORTEST, LONGEST = 4.0, 9.0
"""Seconds between two steps, live: long enough to read what has changed, short enough to stay."""

TAKEN: Final = 1.5
"""Seconds, live, that BigPanda takes to share what happened: long enough to see that a press is under way."""

LEAVING: Final = 15.0
"""Seconds within which relay is gone, if it was told to stop."""

HURRY: Final = 30.0
"""Live, a pause of the story is so many times shorter, within those bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """Lets one step after the other happen; `narrate` hears of each."""

    stage: Stage
    told: Told
    narrate: Callable[[str], None] = lambda _: None

    async def tell(self, step: Step | Act) -> None:
        """One step happens, now; what a reader has resolved is left alone until its time to end, or to come back."""
        if self._is_moot(step):
            return
        self.stage.page.show_caption(step.caption)
        self.narrate(step.caption)
        match step:
            case Step():
                await self.stage.share(self.told.share(step, self.stage.clock.now()))
            case Act():
                with suppress(NotThere, NotSendable):  # whoever edits the routes may have taken the button away
                    await self.stage.act(step)

    def _is_moot(self, step: Step | Act) -> bool:
        tells_end = isinstance(step, Step) and "resolved" in step.changes
        return self.stage.is_over(step.incident) and not tells_end


async def live(
    host: str, port: int, introduce: Callable[[Stage], None], narrate: Callable[[str], None], *, pace: float = 1.0
) -> None:
    """Play at a reader's pace, then stay until told to stop (SIGINT, SIGTERM). `pace` 2 is twice as fast."""
    async with on_stage(Clock(), host=host, port=port) as stage:
        stage.panda.share_delay = TAKEN
        introduce(stage)
        player = Player(stage=stage, told=Told(sample()), narrate=narrate)
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


async def _live(player: Player, pace: float) -> None:
    for step in before():
        await _tell(player, step)
        await asyncio.sleep(1.0 / pace)
    for step in story(sample()):
        await asyncio.sleep(min(LONGEST, max(SHORTEST, step.pause / HURRY)) / pace)
        await _tell(player, step)
    await asyncio.sleep(LONGEST / pace)
    player.stage.page.show_caption("That was the story. Now press what is left to press, or paste a share of your own.")


async def _tell(player: Player, step: Step | Act) -> None:
    """One step happens, once what came before it is shown: nobody presses a button that is not there yet."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST):
            await settled(lambda: player.stage.resting)
    await player.tell(step)


async def once(narrate: Callable[[str], None] = lambda _: None) -> str:
    """Play at once, and give what then stands in the channels, as text."""
    clock = LeapingClock(NIGHT)
    async with on_stage(clock) as stage:
        player = Player(stage=stage, told=Told(sample()), narrate=narrate)
        await leap_through(player, clock, [*before(), *story(sample())])
        await clock.leap(AFTERWARDS, lambda: stage.resting)
        return transcript(stage)


async def leap_through(player: Player, clock: LeapingClock, steps: Iterable[Step | Act]) -> None:
    """Play these steps at once: whatever falls due between two of them happens there."""
    for step in steps:
        await clock.leap(step.pause, lambda: player.stage.resting)
        await player.tell(step)
        await settled(lambda: player.stage.resting)


def transcript(stage: Stage) -> str:
    """All channels and their threads, as a reader sees them."""
    told = [f"#{channel.name}\n\n{stage.slack.transcript(channel.id)}" for channel in stage.slack.channels.values()]
    return "\n\n\n".join(told)
