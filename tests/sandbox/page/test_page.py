"""What a reader sees on the page of the sandbox, in a real browser."""

import asyncio
import re
from itertools import islice
from typing import Any

import pytest
from playwright.async_api import expect

from relay.demo.clock import SimulatedClock, wait_until_idle
from relay.demo.environment import OWN_INCIDENT, documented_sample, start_demo
from relay.demo.player import STORY_START, StoryPlayer, play_steps
from relay.demo.story import ShareBuilder, prologue, story
from tests.gallery.cases import DB, Case
from tests.support.page_shown import AT, Shown

pytestmark = pytest.mark.asyncio(loop_scope="session")

INCIDENT = {"event_type": "relay_card", "event_payload": {"incident": "5c1e", "key": "k"}}
HARM = '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script><b>bold</b> &lt;i&gt;'


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def card(**more: Any) -> dict[str, Any]:
    """A typical card, as relay sends it."""
    message = Case(name="card", incident=DB, mentions=("S0DBONCALL",), **more).draw("incident")
    return {"text": message.text, "blocks": message.blocks, "attachments": message.attachments, "metadata": INCIDENT}


async def test_a_card_is_shown_as_slack_shows_it(shown: Shown):
    shown.post(**card())
    message = shown.tab.locator("#messages > .message")
    await expect(message.locator(".header")).to_have_text("🔴 db-117 · replication lag")
    await expect(message.locator(".mention")).to_have_text("@db-oncall")
    await expect(message.locator(".bar")).to_have_css("background-color", "rgb(215, 38, 56)")
    await expect(message.locator(".attachment-body b").first).to_have_text("Critical")
    await expect(message.locator("a.button")).to_have_attribute("href", re.compile("^https://a.bigpanda.io/"))
    await expect(message.get_by_role("link", name="run-book")).to_have_count(3)
    await expect(message.locator(".context").last).to_have_text("shared by AutoShare")


async def test_fields_and_buttons_of_every_kind_are_shown(shown: Shown):
    fields = [{"type": "mrkdwn", "text": f"*Label {n}*\nvalue {n}"} for n in (1, 2, 3)]
    buttons = [
        {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "Snooze"}},
        {"type": "button", "action_id": "b", "style": "danger", "text": {"type": "plain_text", "text": "Resolve"}},
    ]
    shown.post(text="x", blocks=({"type": "section", "fields": fields}, {"type": "actions", "elements": buttons}))
    message = shown.tab.locator("#messages > .message")
    await expect(message.locator(".field")).to_have_text(["Label 1value 1", "Label 2value 2", "Label 3value 3"])
    first, second = [await message.locator(".field").nth(n).bounding_box() for n in (0, 1)]
    assert first["y"] == second["y"]  # side by side, as Slack shows them
    await expect(message.get_by_role("button", name="Resolve")).to_have_class("button danger")
    await expect(message.get_by_role("button", name="Snooze")).to_be_visible()


async def test_dates_are_in_the_readers_own_zone(shown: Shown):
    shown.post(text=f"since <!date^{AT}^{{date_long}} at {{time}}|before>")
    await expect(shown.tab.locator(".text")).to_have_text("since Wednesday, 15 November 2023 at 07:13")


async def test_an_edit_appears_without_reloading(shown: Shown):
    message = shown.post(text="before", blocks=(section("before"),))
    await expect(shown.tab.locator(".message .text")).to_have_text("before")
    await shown.tab.evaluate("window.neverReloaded = true")
    answer = await shown.tab.context.request.post(
        f"{shown.address}api/chat.update",
        headers={"Authorization": f"Bearer {shown.slack.token}"},
        data={"channel": "C0NOC00001", "ts": message.ts, "text": "after", "blocks": [section("*after*")]},
    )
    assert (await answer.json())["ok"]
    await expect(shown.tab.locator(".message .text b")).to_have_text("after")
    assert await shown.tab.evaluate("window.neverReloaded")


async def test_a_deleted_message_disappears(shown: Shown):
    message = shown.post(text="a slip")
    await expect(shown.tab.locator(".message")).to_have_count(1)
    shown.slack.channel("noc").delete(message.ts)
    await expect(shown.tab.locator(".message")).to_have_count(0)


async def test_a_thread_opens_and_stays_open_while_it_grows(shown: Shown):
    root = shown.post(**card())
    shown.reply(root, text="one")
    summary = shown.tab.locator("summary")
    await expect(summary).to_contain_text("1 reply")
    await summary.click()
    await expect(shown.tab.locator(".replies .text")).to_have_text(["one"])
    shown.reply(root, text="two")
    await expect(summary).to_contain_text("2 replies")
    await expect(shown.tab.locator(".replies .text")).to_have_text(["one", "two"])
    await expect(shown.tab.locator(".replies .text").last).to_be_visible()


async def test_a_broadcast_reply_is_shown_in_the_channel_too(shown: Shown):
    root = shown.post(**card())
    shown.reply(root, broadcast=True, text="Reopened")
    broadcast = shown.tab.locator("#messages > .message").last
    await expect(broadcast.locator(".note")).to_have_text("replied to a thread: 🔴 db-117 · replication lag")
    await expect(broadcast.locator(".text")).to_have_text("Reopened")


async def test_another_channel_counts_unread_messages(shown: Shown):
    shown.post(text="here")
    await expect(shown.tab.locator("#messages .message")).to_have_count(1)
    shown.post("db", text="there")
    await expect(shown.tab.locator(".badge")).to_have_text("1")
    await shown.tab.get_by_role("button", name="# db").click()
    await expect(shown.tab.locator("#messages .text")).to_have_text("there")
    await expect(shown.tab.locator(".badge")).to_have_count(0)


async def test_no_message_can_run_scripts_or_load_anything(shown: Shown):
    requested_urls: list[str] = []
    shown.tab.on("request", lambda request: requested_urls.append(request.url))
    link = "<javascript:window.harmed=1|click>"
    cell = [[{"type": "raw_text", "text": HARM}]]
    shown.post(
        text=HARM,
        blocks=(
            {"type": "header", "text": {"type": "plain_text", "text": HARM}},
            section(f"{HARM} {link} `{HARM}`"),
            {"type": "image", "image_url": "https://evil.example/x.png", "alt_text": HARM},
            {"type": "table", "rows": cell},
        ),
        attachments=({"color": "#d72638", "blocks": [section(f"> {HARM}")]},),
    )
    root = shown.tab.locator("#messages")
    await expect(root.locator(".header")).to_have_text(HARM)
    assert await root.locator("img, script, i, .text b, [onerror]").count() == 0
    assert await root.get_by_role("link").count() == 0
    assert await shown.tab.evaluate("window.harmed") is None
    assert [url for url in requested_urls if not url.startswith(shown.address)] == []


async def test_scripts_that_are_inserted_into_the_page_do_not_run(shown: Shown):
    """The content security policy stops them even when the escaping of texts has an error."""
    await shown.tab.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.harmed=1\">');"
        "const script = document.createElement('script');"
        "script.textContent = 'window.harmed=2'; document.body.append(script)"
    )
    assert await shown.tab.evaluate("window.harmed") is None


async def test_a_phone_shows_cards_and_details_without_scrolling_sideways(shown: Shown):
    shown.post(**card())
    shown.post(text="https://example.com/" + "a-very-long-address-" * 20)
    await shown.tab.set_viewport_size({"width": 360, "height": 740})
    await expect(shown.tab.locator(".header")).to_be_visible()
    assert await shown.tab.evaluate("document.documentElement.scrollWidth") == 360
    details = shown.tab.locator("#details")
    await expect(details).to_be_hidden()
    await shown.tab.locator(".header").click()
    await expect(details).to_be_visible()
    await expect(details).to_contain_text("incident 5c1e")
    await shown.tab.get_by_role("button", name="Close").click()
    await expect(details).to_be_hidden()


async def test_a_pasted_share_becomes_a_card_and_its_history_is_shown(tab):
    async with start_demo(SimulatedClock(STORY_START)) as demo:
        await tab.goto(demo.address)
        await tab.get_by_role("button", name="Paste a share…").click()
        await tab.get_by_role("button", name="Send to relay").click()
        await expect(tab.locator("#answer")).to_contain_text("400")
        await tab.get_by_role("button", name="Documented sample").click()
        await expect(tab.locator("#body")).to_have_value(re.compile(OWN_INCIDENT))
        await tab.get_by_role("button", name="Send to relay").click()
        await expect(tab.locator("#answer")).to_contain_text(f"Stored as share 1 of incident {OWN_INCIDENT}")
        await wait_until_idle(lambda: demo.idle)
        await expect(tab.locator("#messages .header")).to_have_text("🔴 Evyatar-11 · CPU")
        await tab.keyboard.press("Escape")
        await tab.locator("#messages .header").click()  # by itself, the page reads the history every ten seconds
        details = tab.locator("#details")
        await expect(details).to_contain_text("Share 1: first, critical")
        await expect(details.locator(".routes")).to_have_attribute("open", "")
        await expect(details.locator(".routes > summary")).to_have_text("Matched by everything")
        await expect(details.locator(".route > div")).to_have_text(
            [
                "✗billing: no match",
                "✗tags.team: billing does not match (it is absent)",
                "✗databases: no match",
                "✗tags.team: database does not match (it is absent)",
                "✗staging: no match",
                re.compile(r"^✗environment: Staging\* does not match \(it is 'All'"),
                "✓everything: matched, since it has no conditions",
            ]
        )
        await expect(details).to_contain_text("new card in #noc by route everything")
        await expect(details).to_contain_text("Posted the card in #noc")
        following = details.locator("section.share li")
        await expect(following.first).to_contain_text("Posted the card in #noc")
        await expect(details.locator("section.share")).to_contain_text("Report to BigPanda that the card exists: done")
        coming = details.locator("li.coming")
        await expect(coming).to_have_count(1)
        await expect(coming).to_contain_text("Ask BigPanda for the state, if no update arrives")
        assert await coming.evaluate("each => !each.closest('.share') && each.parentElement.nextSibling === null")
        await tab.goto("about:blank")


async def test_the_incident_panel_shows_texts_and_links_to_messages(tab):
    clock = SimulatedClock(STORY_START)
    async with start_demo(clock) as demo:
        requested_urls: list[str] = []
        tab.on("request", lambda request: requested_urls.append(request.url))
        player = StoryPlayer(demo=demo, shares=ShareBuilder(documented_sample()))
        await play_steps(player, clock, [*prologue(), *islice(story(documented_sample()), 5)])
        await tab.goto(demo.address)
        await tab.locator("#messages > .message", has_text="Evyatar-11").locator(".header").click()
        details = tab.locator("#details")
        share = details.locator("section.share", has_text="Share 11")
        await expect(share.locator(".entry")).to_have_text(
            "💬 Dana Levi:\n┃ The invoice run started twice.\n┃ Stopping the second one.", use_inner_text=True
        )
        await expect(details.locator("section.share", has_text="Share 12").locator(".entry")).to_have_text(
            "Warning → Critical"
        )
        await expect(details).to_contain_text(
            "Replied in the thread in #billing-oncall, pinging @billing-oncall because it rose to critical"
        )
        folded = share.locator(".routes")
        await expect(folded.locator(".route").first).to_be_hidden()  # only those of the newest share are unfolded
        await folded.locator("summary").click()
        await tab.locator("#messages > .message", has_text="Evyatar-11").locator(".header").click()
        await expect(folded.locator(".route").first).to_be_visible()
        await details.get_by_role("button", name="show it").last.click()
        await expect(tab.locator("#name")).to_have_text("# billing-oncall")
        await expect(tab.locator("#messages > .message.chosen .header")).to_be_in_viewport()
        assert [url for url in requested_urls if not url.startswith(demo.address)] == []  # no network is needed
        await tab.goto("about:blank")


async def test_a_phone_keeps_the_open_channel_and_the_paste_button_in_view(tab):
    async with start_demo(SimulatedClock(STORY_START)) as demo:
        await tab.set_viewport_size({"width": 360, "height": 740})
        await tab.goto(demo.address)
        await expect(tab.locator("#paste")).to_be_in_viewport(ratio=1)
        last = tab.get_by_role("button", name="# db-oncall")
        await last.click()
        await expect(last).to_be_in_viewport(ratio=1)
        await tab.goto("about:blank")


async def test_a_reader_replays_the_story_when_it_is_over(shown: Shown):
    replay = shown.tab.get_by_role("button", name="Replay")
    await expect(shown.tab.locator("#link")).to_have_class("live")
    await expect(replay).to_be_hidden()
    waiting = asyncio.create_task(shown.page.wait_for_replay())
    await replay.click()
    await waiting
    await expect(replay).to_be_hidden()


async def test_bigpanda_gets_the_callback_after_the_card_is_posted(shown: Shown):
    history = {
        "cards": [{"id": 1, "slack_channel": "C0NOC00001"}],
        "shares": [{"id": 7, "received": AT, "outcome": "first"}],
        "bigpanda_tasks": [{"kind": "callback", "state": "done", "created": AT}],
        "calls": {"1": [{"method": "chat.postMessage", "at": AT + 2, "answer": {"answer": "delivered"}}]},
    }
    await shown.tab.evaluate(
        "history => document.getElementById('history').replaceChildren("
        "...incidents.draw(history, null, {}, new Map()))",
        history,
    )
    following = shown.tab.locator("section.share li")
    await expect(following).to_have_text([re.compile("Posted the card"), re.compile("that the card exists: done")])


async def test_many_unmatched_routes_are_collapsed_and_keep_their_compared_values(shown: Shown):
    values = [f"v{number}" for number in range(7)]
    several = {"key": "match", "matched": False, "parts": [condition("status", []), condition("tags.x", values)]}
    either = {"key": "any", "matched": False, "parts": [several, {"key": "match", "matched": True, "parts": [BY_TEAM]}]}
    tree = [route(f"r{number}", "no_match", [either]) for number in range(6)]
    tree.insert(2, route("mine", "matched", [BY_TEAM]))
    history = {"shares": [{"id": 7, "received": AT, "outcome": "first", "routes": ["mine"]}]}
    await shown.tab.evaluate(
        "([history, tree]) => document.getElementById('history').replaceChildren("
        "...incidents.draw(history, {shares: [{id: 7, tree}]}, {}, new Map()))",
        [history, tree],
    )
    details = shown.tab.locator("#history")
    await expect(details.locator(".routes > .route > div")).to_have_text(
        ["✓mine: matched", "✓tags.team: db matches (it is 'db')"]
    )
    others = details.locator(".others")
    await expect(others.locator("summary")).to_have_text("6 other routes, and why they do not match")
    await expect(others.locator(".route").first).to_be_hidden()
    await expect(others.locator(".route").first.locator("div")).to_have_text(
        [
            "✗r0: no match",
            "✗any of these: does not match",
            "✗all of these: does not match",
            "✗status: db does not match (it is absent)",
            "✗tags.x: db does not match (it is 'v0', 'v1', 'v2', 'v3', 'v4' and 2 more)",
            "✓tags.team: db matches (it is 'db')",
        ]
    )


BY_TEAM = {"key": "tags.team", "matched": True, "expected": "db", "actual": ["db"]}


def condition(key: str, actual: list[str]) -> dict[str, Any]:
    return {"key": key, "matched": False, "expected": "db", "actual": actual}


def route(name: str, outcome: str, conditions: list[Any]) -> dict[str, Any]:
    return {"route": name, "line": 1, "depth": 0, "outcome": outcome, "conditions": conditions}
