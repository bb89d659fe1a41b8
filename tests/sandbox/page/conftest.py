"""One browser for all tests of the page; each test has its own tab and its own workspace."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser
from playwright.async_api import Page as Tab

from relay.sandbox.page.page import Page
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.page_shown import AT, Shown


@pytest_asyncio.fixture(loop_scope="session")
async def tab(browser: Browser) -> AsyncIterator[Tab]:
    """A tab of a reader in Tokyo, nine hours ahead of UTC; an error in a script of the page fails the test."""
    context = await browser.new_context(
        locale="en-GB", timezone_id="Asia/Tokyo", viewport={"width": 1300, "height": 900}
    )
    context.set_default_timeout(20_000)
    tab = await context.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    await context.close()
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
