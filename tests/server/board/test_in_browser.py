"""The board in a real browser: every page and action, hostile titles, no JavaScript, a phone. A CSP report fails."""

from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import expect

from relay.cards.model import CardState
from relay.model.board_links import PAGE_NAMES
from relay.server.board import pages
from relay.server.board.sessions import LIFETIME, Role
from tests.server.board.conftest import KEYS, serve_board
from tests.server.board.test_pages import dead_letter

pytestmark = pytest.mark.asyncio(loop_scope="session")
PAGES = (*PAGE_NAMES, "/incidents/i0")


@asynccontextmanager
async def opened(browser, board, *, by_form=False, **options):
    """A tab that is signed in, through the page's form or with its request; what the browser reports fails the test."""
    context = await browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
    context.set_default_timeout(20_000)
    tab, reports = await context.new_page(), []
    tab.on("pageerror", lambda error: reports.append(str(error)))
    tab.on("console", lambda message: reports.append(message.text) if message.type in {"error", "warning"} else None)
    tab.on("dialog", lambda dialog: reports.append(dialog.message))
    identity = {"name": "Dana", "key": KEYS[Role.OPERATOR]}
    if by_form:
        await tab.goto(f"{board.origin}/board")
        for name, value in identity.items():
            await tab.fill(f"input[name={name}]", value)
        await tab.click("text=Sign in >> nth=-1")
        await expect(tab.locator("nav")).to_be_visible()
    else:
        headers = {"Origin": board.origin}
        await context.request.post(f"{board.origin}/board/login", form=identity, headers=headers, max_redirects=0)
    yield tab, reports
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def served(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "REFRESH_SECONDS", 0.3)
    async with serve_board(tmp_path, incidents=3) as board:
        await dead_letter(board)
        await board.relay.store.quarantine(b"{bad", {}, "not_json", board.relay.clock.now())
        yield board


async def test_every_page_shows_hostile_titles_as_text_and_breaks_no_policy(browser, served):
    async with opened(browser, served) as (tab, reports):
        for path in PAGES:
            await tab.goto(f"{served.origin}/board{path}")
            await expect(tab.locator("main")).to_be_visible()
            assert await tab.locator("main img").count() == 0
        await tab.goto(f"{served.origin}/board/incidents/i1")
        await expect(tab.locator(".slack.drawn .message")).to_contain_text("<script>alert(1)</script>")
    assert reports == []


async def test_an_operator_retries_discards_and_tries_a_share(browser, served):
    async with opened(browser, served, by_form=True) as (tab, reports):
        await tab.goto(f"{served.origin}/board/letters")
        await tab.click("text=Retry >> nth=0")
        await expect(tab.locator(".result")).to_contain_text("retrying: the card is posted soon")
        await served.relay.advance(60)
        [card] = (await served.relay.store.incident_history("i0")).cards
        assert card.state is CardState.POSTED
        await tab.fill("input[name=reason] >> nth=-1", "a test")
        await tab.click("text=Discard >> nth=-1")
        await expect(tab.locator(".result")).to_contain_text("discarded: a test (Dana)")
        await tab.click("text=Routes")
        await tab.fill("textarea", '{"incident": {"id": "tried", "status": "critical"}}')
        await tab.click("text=Try it")
        await expect(tab.locator(".trial .slack.drawn")).to_be_visible()
        await tab.click("text=Sign out")
        await expect(tab.locator("form.login")).to_be_visible()
    assert reports == []


async def test_the_list_refreshes_itself_and_leaves_what_is_being_typed(browser, served):
    async with opened(browser, served) as (tab, reports):
        await tab.goto(f"{served.origin}/board")
        await tab.fill("input[name=search]", "half a wo")
        await served.relay.share("newest", status="critical", alerts=[{"id": "a", "description": "just now"}])
        await expect(tab.locator("a[href$='/incidents/newest']")).to_be_visible()
        assert await tab.input_value("input[name=search]") == "half a wo"
    assert reports == []


async def test_a_session_that_ends_during_a_refresh_redirects_to_the_sign_in_page_and_back(browser, served):
    async with opened(browser, served) as (tab, _reports):
        await tab.goto(f"{served.origin}/board/channels")
        served.relay.clock.advance(LIFETIME)
        await expect(tab.locator("form.login")).to_be_visible()
        assert await tab.input_value("input[name=next]") == "/board/channels"


async def test_a_list_that_cannot_refresh_shows_its_time(browser, served):
    async with opened(browser, served) as (tab, _reports):
        await tab.goto(f"{served.origin}/board")
        await expect(tab.locator("#stale")).to_be_hidden()
        await tab.route("**/board", lambda route: route.fulfill(status=503, body="down"))
        await expect(tab.locator("#stale")).to_be_visible()
        await expect(tab.locator("#stale")).to_contain_text("Relay does not answer. This list is from")
        await tab.unroute("**/board")
        await expect(tab.locator("#stale")).to_be_hidden()


async def test_everything_works_without_javascript(browser, served):
    async with opened(browser, served, by_form=True, java_script_enabled=False) as (tab, reports):
        await tab.goto(f"{served.origin}/board/incidents/i1")
        await expect(tab.locator(".slack pre")).to_contain_text("<script>alert(1)</script>")
        await tab.goto(f"{served.origin}/board?state=warning")
        await expect(tab.locator(".empty")).to_be_visible()
        await tab.goto(f"{served.origin}/board/letters")
        await tab.click("text=Retry >> nth=0")
        await expect(tab.locator(".result")).to_contain_text("retrying")
    assert reports == []


async def test_nothing_is_wider_than_a_phone_and_text_is_readable(browser, served):
    async with opened(browser, served, viewport={"width": 375, "height": 700}) as (tab, reports):
        for path in PAGES:
            await tab.goto(f"{served.origin}/board{path}")
            assert await tab.evaluate("document.documentElement.scrollWidth") <= 375, path
            for scheme in ("light", "dark"):
                await tab.emulate_media(color_scheme=scheme)
                background, ink = await tab.evaluate(
                    "(style => [style.backgroundColor, style.color])(getComputedStyle(document.body))"
                )
                assert (_light(background) > _light(ink)) == (scheme == "light")
    assert reports == []


def _light(color):
    return sum(int(part) for part in color.removeprefix("rgb(").rstrip(")").split(","))
