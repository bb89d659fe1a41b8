"""Takes the README's picture of the demo's channel, in the middle of its story: `make picture`.

The story is played on its own clock and the browser is told the same time, so that the picture is the same whenever it
is taken.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from playwright.async_api import Page as Tab
from playwright.async_api import async_playwright

from relay.demo.clock import LeapingClock
from relay.demo.player import NIGHT, Player, leap_through
from relay.demo.environment import Stage, on_stage, sample
from relay.demo.story import BILLING, Told, before, story
from relay.runtime import logging
from tests.support.browser import ARGUMENTS, MISSING, chromium

STEPS = 7
"""So many steps of the story are told: it is critical, a third alert has joined, and a disk fills up elsewhere."""
SIZE = (1_280, 1_140)
WAIT = 180.0
"""Seconds that pass after the last of them, in which what waits for company is told."""


async def main(path: Path) -> None:
    """Play, look, and write the picture."""
    executable = chromium()
    if executable is None:
        sys.exit(MISSING)
    clock = LeapingClock(NIGHT)
    async with on_stage(clock) as stage, async_playwright() as playwright:
        player = Player(stage=stage, told=Told(sample()))
        await leap_through(player, clock, [*before(), *list(story(sample()))[:STEPS]])
        await clock.leap(WAIT, lambda: stage.resting)
        browser = await playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        tab = await browser.new_page(
            viewport={"width": SIZE[0], "height": SIZE[1]}, timezone_id="UTC", locale="en-GB", color_scheme="light"
        )
        await _look(tab, stage, clock.now())
        await tab.screenshot(path=path)
        await tab.goto("about:blank")
        await browser.close()


async def _look(tab: Tab, stage: Stage, now: float) -> None:
    """Open the channel, choose the incident that the story is about, and open its thread."""
    await tab.clock.set_fixed_time(datetime.fromtimestamp(now, UTC))
    await tab.goto(stage.address)
    card = tab.locator(f"#messages > .message[data-incident='{BILLING}']")
    await card.locator(".header").click()
    await card.locator("summary").click()
    await tab.locator("#knows li").first.wait_for()
    await tab.locator("#messages").evaluate("box => { box.scrollTop = box.scrollHeight; }")


if __name__ == "__main__":
    logging.configure(log_format="console", level="error", secrets=())
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/channel.png")))
