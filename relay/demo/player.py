"""Plays the story: live, at a reader's pace, or at once, in simulated time."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Final

from relay.demo.clock import SimulatedClock, wait_until_idle
from relay.demo.environment import DemoEnvironment, documented_sample, start_demo
from relay.demo.story import (
    CommandStep,
    FloodStep,
    IncidentStep,
    ShareBuilder,
    StoryStep,
    UserStep,
    flood,
    prologue,
    story,
)
from relay.model.struct import replace
from relay.runtime.clock import Clock
from relay.sandbox.slack.payloads import NoSuchElement
from relay.sandbox.slack.views import InvalidInput

STORY_START: Final = datetime(2026, 5, 3, 2, 40, tzinfo=UTC).timestamp()
"""When the story starts in simulated time: always in the same night, so that it always reads the same."""

SETTLE_SECONDS: Final = 12 * 60.0
"""Simulated seconds after the last step, in which batched entries are posted."""

MIN_PAUSE, MAX_PAUSE = 4.0, 9.0
"""Seconds between two steps, live: long enough to read what has changed, and short enough to keep watching."""

SPEED: Final = 30.0
"""Live, the story's pauses are so many times shorter, within those bounds."""

SHARE_DELAY: Final = 1.5
"""Seconds, live, from a change in BigPanda to its share: long enough to see that a click is in progress."""

STOP_SECONDS: Final = 15.0
"""How long relay may take to stop."""

END_CAPTION: Final = "That was the story. Press the remaining buttons, paste a share of your own, or replay it."


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryPlayer:
    """Plays one step after the other; `narrate` is called with the caption of each."""

    demo: DemoEnvironment
    shares: ShareBuilder
    narrate: Callable[[str], None] = lambda _: None

    async def play(self, step: StoryStep) -> None:
        """Play one step now. An incident that a reader has resolved gets no more steps until its end or reopening."""
        if isinstance(step, IncidentStep | UserStep) and not self._is_possible(step):
            return
        self.demo.page.show_caption(step.caption)
        self.narrate(step.caption)
        match step:
            case IncidentStep():
                await self._share(step)
            case FloodStep():
                for each in filter(self._is_possible, step.steps):
                    await self._share(each)
            case UserStep():
                with suppress(NoSuchElement, InvalidInput):  # an edit of the routes can remove the button
                    await self.demo.perform(step)
            case CommandStep():
                await self.demo.slack.use_command(step.user, step.channel, step.text)

    def _is_possible(self, step: IncidentStep | UserStep) -> bool:
        is_end = isinstance(step, IncidentStep) and "resolved" in step.changes
        return is_end or not self.demo.is_resolved(step.incident)

    async def _share(self, step: IncidentStep) -> None:
        await self.demo.share(self.shares.share(step, self.demo.clock.now()))


async def play_live(
    host: str,
    port: int,
    introduce: Callable[[DemoEnvironment], None],
    narrate: Callable[[str], None],
    *,
    pace: float = 1.0,
) -> None:
    """Play at a reader's pace, then run until stopped (SIGINT, SIGTERM). `pace` 2 is twice as fast."""
    async with start_demo(Clock(), host=host, port=port) as demo:
        demo.bigpanda.share_delay = SHARE_DELAY
        introduce(demo)
        player = StoryPlayer(demo=demo, shares=ShareBuilder(documented_sample()), narrate=narrate)
        playing = asyncio.create_task(_play_live(player, pace), name="story")
        await _until_stopped(demo.running, playing)


async def _until_stopped(running: asyncio.Task[None], playing: asyncio.Task[None]) -> None:
    """Relay gets the signal, and may reject a share of the story while it stops: that is not an error."""
    await asyncio.wait([running, playing], return_when=asyncio.FIRST_COMPLETED)
    if playing.done() and playing.exception() is not None:
        await asyncio.wait([running], timeout=STOP_SECONDS)
        if not running.done():
            await playing
    await asyncio.wait([running])
    playing.cancel()


async def _play_live(player: StoryPlayer, pace: float) -> None:
    """Play the story, and again whenever a reader asks for it."""
    for number in count(1):
        for step in prologue():
            await _play_when_idle(player, nth_time(step, number))
            await asyncio.sleep(1.0 / pace)
        later: list[StoryStep] = [*story(documented_sample()), *flood()]
        for each in later:
            await asyncio.sleep(min(MAX_PAUSE, max(MIN_PAUSE, each.pause / SPEED)) / pace)
            await _play_when_idle(player, nth_time(each, number))
        await asyncio.sleep(MAX_PAUSE / pace)
        player.demo.page.show_caption(END_CAPTION)
        await player.demo.page.wait_for_replay()


def nth_time(step: StoryStep, number: int) -> StoryStep:
    """The step in the story's nth run: from the second on, it is about incidents of its own."""
    match step:
        case IncidentStep() | UserStep():
            return step if number == 1 else replace(step, incident=f"{step.incident}-{number}")
        case FloodStep():
            return replace(step, steps=tuple(nth_time(each, number) for each in step.steps))
        case CommandStep():
            return replace(step, text=step.text.format(run=number))


async def _play_when_idle(player: StoryPlayer, step: StoryStep) -> None:
    """Play a step once the step before is shown, so that no one clicks a button that is not there yet."""
    with suppress(TimeoutError):
        async with asyncio.timeout(MAX_PAUSE):
            await wait_until_idle(lambda: player.demo.idle)
    await player.play(step)


async def play_once(narrate: Callable[[str], None] = lambda _: None) -> str:
    """Play at once, and return what the channels then show, as text."""
    clock = SimulatedClock(STORY_START)
    async with start_demo(clock) as demo:
        player = StoryPlayer(demo=demo, shares=ShareBuilder(documented_sample()), narrate=narrate)
        await play_steps(
            player, clock, [nth_time(step, 1) for step in (*prologue(), *story(documented_sample()), *flood())]
        )
        await clock.run_for(SETTLE_SECONDS, lambda: demo.idle)
        return transcript(demo)


async def play_steps(player: StoryPlayer, clock: SimulatedClock, steps: Iterable[StoryStep]) -> None:
    """Play these steps in simulated time; whatever falls due between two of them happens there."""
    for step in steps:
        await clock.run_for(step.pause, lambda: player.demo.idle)
        await player.play(step)
        await wait_until_idle(lambda: player.demo.idle)


def transcript(demo: DemoEnvironment) -> str:
    """All channels and their threads, as a reader sees them."""
    channels = demo.slack.channels.values()
    return "\n\n\n".join(
        f"#{channel.name}\n\n{demo.slack.transcript(channel.id, for_people=True)}" for channel in channels
    )
