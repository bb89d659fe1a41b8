"""One browser window and one tab for all tests of the page; each test has its own workspace."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext
from playwright.async_api import Page as Tab

from relay.sandbox.page.page import Page
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.page_shown import AT, Shown

SIZE = {"width": 1300, "height": 900}


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def window(browser: Browser) -> AsyncIterator[BrowserContext]:
    """The window of a reader in Tokyo, nine hours ahead of UTC: a new one costs the browser three times a new tab."""
    window = await browser.new_context(locale="en-GB", timezone_id="Asia/Tokyo", viewport=SIZE)
    window.set_default_timeout(20_000)
    yield window
    await window.close()


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def first_tab(window: BrowserContext) -> Tab:
    return await window.new_page()


@pytest_asyncio.fixture(loop_scope="session")
async def tab(window: BrowserContext, first_tab: Tab) -> AsyncIterator[Tab]:
    """An empty tab; an error in a script of the page fails the test. A new one would cost as much as two pages."""
    errors: list[str] = []
    note = lambda error: errors.append(str(error))  # noqa: E731  one line
    first_tab.on("pageerror", note)
    yield first_tab
    first_tab.remove_listener("pageerror", note)
    for each in window.pages[1:]:
        await each.close()
    await first_tab.unroute_all()
    await first_tab.goto("about:blank")
    await first_tab.set_viewport_size(SIZE)
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
