"""The page of the demo with relay, Slack and BigPanda: buttons change incidents and cards; in a real browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect
from playwright.async_api import Page as Tab

from relay.demo.clock import SimulatedClock, wait_until_idle
from relay.demo.environment import DemoEnvironment, documented_sample, start_demo
from relay.demo.player import STORY_START, StoryPlayer, play_steps
from relay.demo.story import BILLING_INCIDENT, ShareBuilder, prologue, story

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass
class DemoPage:
    """The page in the middle of the demo's story: the incident of billing is critical."""

    demo: DemoEnvironment
    clock: SimulatedClock
    tab: Tab

    @property
    def card(self) -> Locator:
        return self.tab.locator(f"#messages > .message[data-incident='{BILLING_INCIDENT}']").first

    @property
    def ephemerals(self) -> Locator:
        return self.tab.locator(".ephemeral .text")

    @property
    def replies(self) -> Locator:
        return self.card.locator(".replies .text")

    async def open_channel(self, channel: str) -> None:
        await self.tab.get_by_role("button", name=f"# {channel}").click()

    async def act_as(self, name: str) -> None:
        await self.tab.get_by_label("Act as").select_option(label=name)

    async def press(self, name: str) -> None:
        await self.card.get_by_role("button", name=name, exact=True).click()

    async def open_dialog(self, button: str, dialog: str) -> Locator:
        await self.press(button)
        shown = self.tab.get_by_role("dialog", name=dialog)
        await expect(shown).to_be_visible()
        return shown

    async def let_seconds_pass(self) -> None:
        """Let two seconds pass, less than any person waits: relay keeps to BigPanda's rate limit."""
        await wait_until_idle(lambda: self.demo.idle)
        await self.clock.run_for(2, lambda: self.demo.idle)

    async def let_minutes_pass(self) -> None:
        """Let twelve minutes pass: entries wait so that several of them share one reply."""
        await wait_until_idle(lambda: self.demo.idle)
        await self.clock.run_for(12 * 60, lambda: self.demo.idle)


@asynccontextmanager
async def demo_in_the_middle() -> AsyncIterator[tuple[DemoEnvironment, SimulatedClock]]:
    clock = SimulatedClock(STORY_START)
    async with start_demo(clock) as demo:
        player = StoryPlayer(demo=demo, shares=ShareBuilder(documented_sample()))
        rising = next(number for number, step in enumerate(story(documented_sample())) if "gets worse" in step.caption)
        await play_steps(player, clock, [*prologue(), *list(story(documented_sample()))[: rising + 1]])
        await clock.run_for(60, lambda: demo.idle)
        yield demo, clock


@pytest_asyncio.fixture(loop_scope="session")
async def demo_page(tab: Tab) -> AsyncIterator[DemoPage]:
    async with demo_in_the_middle() as (demo, clock):
        await tab.goto(demo.address)
        yield DemoPage(demo, clock, tab)
        await tab.goto("about:blank")


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def seen_demo() -> AsyncIterator[tuple[DemoEnvironment, SimulatedClock]]:
    async with demo_in_the_middle() as demo:
        yield demo


@pytest_asyncio.fixture(loop_scope="session")
async def seen_page(tab: Tab, seen_demo: tuple[DemoEnvironment, SimulatedClock]) -> AsyncIterator[DemoPage]:
    """The page for tests that change no incident: they share one demo."""
    await tab.goto(seen_demo[0].address)
    yield DemoPage(*seen_demo, tab)
    await tab.goto("about:blank")


async def test_taking_over_asks_first_and_then_changes_the_card(demo_page: DemoPage):
    await demo_page.act_as("Ben Okafor")
    await expect(demo_page.card.locator(".attachment-body")).to_contain_text("assigned to Dana Levi")
    await demo_page.tab.evaluate("window.neverReloaded = true")
    dialog = await demo_page.open_dialog("Take over", "Take over")
    await expect(dialog).to_contain_text("Dana Levi has had it since")
    await dialog.get_by_role("button", name="Take over").click()
    await expect(dialog).to_be_hidden()
    await demo_page.let_seconds_pass()
    await expect(demo_page.card.locator(".attachment-body")).to_contain_text("assigned to Ben Okafor")
    await expect(demo_page.ephemerals).to_have_count(0)
    assert await demo_page.tab.evaluate("window.neverReloaded")
    await demo_page.open_channel("billing-oncall")  # the other card of the same incident changes too
    await expect(demo_page.card.locator(".attachment-body")).to_contain_text("assigned to Ben Okafor")
    await demo_page.card.locator(".header").first.click()
    await expect(demo_page.tab.locator("#details")).to_contain_text("BigPanda: assign by Ben Okafor: done")


async def test_a_comment_comes_back_into_every_thread_from_bigpanda(demo_page: DemoPage):
    dialog = await demo_page.open_dialog("Comment", "Comment")
    await dialog.get_by_role("textbox").fill("see <the> runbook & wait")
    await dialog.get_by_role("button", name="Send").click()
    await expect(dialog).to_be_hidden()
    await demo_page.let_minutes_pass()
    await expect(demo_page.ephemerals).to_have_count(0)
    for channel in ("noc", "billing-oncall"):
        await demo_page.open_channel(channel)
        await demo_page.card.locator("summary:not(.button)").click()
        await expect(demo_page.replies.last).to_have_text("💬 Ann Lee: see <the> runbook & wait")
    assert (
        demo_page.demo.bigpanda.incident(BILLING_INCIDENT).comments[-1] == "Ann Lee (Slack): see <the> runbook & wait"
    )


async def test_a_snooze_is_chosen_among_times_and_shows_on_the_card(demo_page: DemoPage):
    dialog = await demo_page.open_dialog("Snooze", "Snooze")
    await dialog.get_by_label("4 hours").check()
    await dialog.get_by_role("button", name="Snooze").click()
    await expect(demo_page.card.locator(".attachment-body")).to_contain_text("snoozed until 3 May at 16:17")  # in Tokyo


async def test_a_resolved_card_shrinks_and_loses_its_buttons_and_the_thread_names_who_did_it(demo_page: DemoPage):
    await demo_page.open_channel("billing-oncall")
    await demo_page.act_as("Dana Levi")
    dialog = await demo_page.open_dialog("Resolve", "Resolve incident")
    await dialog.get_by_role("textbox").fill("second run stopped")
    await dialog.get_by_role("button", name="Resolve").click()
    await expect(demo_page.card.locator(".header")).to_have_text("✅ Evyatar-11 · CPU")
    await expect(demo_page.card.locator("[data-action]")).to_have_count(0)
    await expect(demo_page.card.get_by_role("link", name="Open in BigPanda")).to_be_visible()
    await demo_page.let_minutes_pass()
    await demo_page.card.locator("summary:not(.button)").click()
    await expect(demo_page.replies.last).to_contain_text("Resolved by Dana Levi")
    await expect(demo_page.card.locator(".replies")).to_contain_text("second run stopped")


async def test_a_user_without_permission_gets_an_ephemeral_message_and_nothing_happens(seen_page: DemoPage):
    await seen_page.open_channel("billing-oncall")
    await seen_page.press("Take over")
    await expect(seen_page.ephemerals.last).to_have_text("Not assigned: on this card only @billing-oncall may do that.")
    await seen_page.press("Resolve")
    await expect(seen_page.ephemerals.last).to_have_text("Not resolved: on this card only @billing-oncall may do that.")
    await expect(seen_page.tab.get_by_role("dialog")).to_be_hidden()
    assert [call.arguments["incident"] for call in seen_page.demo.bigpanda.calls_to("assign")] == ["db-replica"]
    await seen_page.act_as("Dana Levi")
    await expect(seen_page.ephemerals).to_have_count(0)


async def test_a_reply_becomes_a_comment_only_if_the_route_says_so(demo_page: DemoPage):
    await demo_page.demo.bigpanda.update_incident(
        "db-replica", "incident#reopened", status="Critical", active=True, resolved=False
    )
    await wait_until_idle(lambda: demo_page.demo.idle)
    for channel, incident in (("db-oncall", "db-replica"), ("noc", BILLING_INCIDENT)):
        await demo_page.open_channel(channel)
        card = demo_page.tab.locator(f"#messages > .message[data-incident='{incident}']").first
        await card.locator("summary:not(.button)").click()
        await card.get_by_label("Reply in this thread").fill("still slow")
        await card.get_by_role("button", name="Send").click()
        await expect(card.locator(".replies .text").last).to_have_text("still slow")
    await demo_page.let_minutes_pass()
    comments = {id_: incident.comments for id_, incident in demo_page.demo.bigpanda.incidents.items()}
    assert comments["db-replica"][-1] == "Ann Lee (Slack): still slow"
    assert "still slow" not in "".join(comments[BILLING_INCIDENT])


@pytest.mark.parametrize("width", [360, 390])
async def test_on_a_phone_all_buttons_fit_into_two_rows(seen_page: DemoPage, width: int):
    await seen_page.tab.set_viewport_size({"width": width, "height": 740})
    row = seen_page.card.locator(".actions")
    buttons = row.locator(".button, .menu > summary")
    await expect(row.locator(".button")).to_contain_text(["Take over", "Comment", "Open in BigPanda", "Resolve"])
    boxes = [await buttons.nth(number).bounding_box() for number in range(await buttons.count())]
    assert len({box["y"] for box in boxes}) <= 2
    assert all(box["x"] + box["width"] <= width for box in boxes)
    assert all(box["height"] >= 24 for box in boxes)
    assert await seen_page.tab.evaluate("document.documentElement.scrollWidth") == width
