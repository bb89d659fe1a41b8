"""Takes the pictures of the documents, in the middle of the demo's story (`make picture`): the channel, and the board.

The story runs on its own clock, and the browser gets the same time, so that the picture is always the same.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from playwright.async_api import Page as Tab
from playwright.async_api import async_playwright

from relay.demo.clock import SimulatedClock
from relay.demo.environment import OPERATOR_KEY, DemoEnvironment, documented_sample, start_demo
from relay.demo.player import STORY_START, StoryPlayer, play_steps
from relay.demo.story import BILLING_INCIDENT, ShareBuilder, prologue, story
from relay.runtime import logging
from tests.support.browser import ARGUMENTS, MISSING, chromium

STEPS = 7
"""Steps of the story: it is critical, a third alert has joined, and another disk fills up."""
SIZE = (1_280, 1_140)
BOARD_HEIGHT = 420
"""Pixels: the list of the story's incidents."""
WAIT = 180.0
"""Seconds after the last step, in which batched entries are posted."""


async def main(folder: Path) -> None:
    """Play the story and write the pictures."""
    executable = chromium()
    if executable is None:
        sys.exit(MISSING)
    clock = SimulatedClock(STORY_START)
    async with start_demo(clock) as stage, async_playwright() as playwright:
        player = StoryPlayer(demo=stage, shares=ShareBuilder(documented_sample()))
        await play_steps(player, clock, [*prologue(), *list(story(documented_sample()))[:STEPS]])
        await clock.run_for(WAIT, lambda: stage.idle)
        browser = await playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        tab = await browser.new_page(
            viewport={"width": SIZE[0], "height": SIZE[1]}, timezone_id="UTC", locale="en-GB", color_scheme="light"
        )
        await _look(tab, stage, clock.now())
        await tab.screenshot(path=folder / "channel.png", animations="disabled")  # else the thread's arrow still turns
        await _sign_in(tab, stage)
        await tab.screenshot(path=folder / "board.png", clip={"x": 0, "y": 0, "width": SIZE[0], "height": BOARD_HEIGHT})
        await tab.goto("about:blank")
        await browser.close()


async def _look(tab: Tab, stage: DemoEnvironment, now: float) -> None:
    """Open the channel, select the story's incident, and open its thread."""
    await tab.clock.set_fixed_time(datetime.fromtimestamp(now, UTC))
    await tab.goto(stage.address)
    card = tab.locator(f"#messages > .message[data-incident='{BILLING_INCIDENT}']")
    await card.locator(".header").click()
    await card.locator("summary:not(.button)").click()
    await tab.locator("#details li").first.wait_for()
    await tab.locator("#messages").evaluate("box => { box.scrollTop = box.scrollHeight; }")


async def _sign_in(tab: Tab, stage: DemoEnvironment) -> None:
    await tab.goto(stage.board)
    await tab.fill("input[name=name]", "Dana")
    await tab.fill("input[name=key]", OPERATOR_KEY)
    await tab.click("button.primary")
    await tab.locator(".incident").first.wait_for()


if __name__ == "__main__":
    logging.configure(log_format="console", level="error", secrets=())
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs")))
