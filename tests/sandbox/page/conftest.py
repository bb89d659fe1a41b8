"""One browser window for all tests of the page; each test has its own tab and its own workspace."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext
from playwright.async_api import Page as Tab

from relay.sandbox.page.page import Page
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.page_shown import AT, Shown


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def window(browser: Browser) -> AsyncIterator[BrowserContext]:
    """The window of a reader in Tokyo, nine hours ahead of UTC: a new one costs the browser three times a new tab."""
    window = await browser.new_context(
        locale="en-GB", timezone_id="Asia/Tokyo", viewport={"width": 1300, "height": 900}
    )
    window.set_default_timeout(20_000)
    yield window
    await window.close()


@pytest_asyncio.fixture(loop_scope="session")
async def tab(window: BrowserContext) -> AsyncIterator[Tab]:
    """A tab that knows nothing of those before it; an error in a script of the page fails the test."""
    tab = await window.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    for each in window.pages:
        await each.close()
    await window.unroute_all()
    await window.clear_cookies()
    assert errors == []


@pytest_asyncio.fixture(loop_scope="session")
async def shown(tab: Tab) -> AsyncIterator[Shown]:
    slack = FakeSlack(clock=lambda: float(AT))
    slack.add_channel("C0NOC00001", "noc", member=True)
    slack.add_channel("C0DB000001", "db", member=True)
    slack.add_usergroup("S0DBONCALL", "db-oncall")
    page = Page(slack)
    async with serve_slack(slack, add_routes=page.add_routes) as base:
        address = base.removesuffix("api/")
        await tab.goto(address)
        yield Shown(slack, page, tab, address)
        await tab.goto("about:blank")
        await asyncio.sleep(0)
