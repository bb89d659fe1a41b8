"""What a reader of the page can do in the workspace, in a real browser, with relay's own endpoints."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

from relay.actions.modals import build_modal, validation_errors
from relay.http.session import make_session
from relay.model.buttons import BUTTONS as CARD_BUTTONS
from relay.sandbox.slack.channel import FakeMessage
from relay.sandbox.slack.interactivity import RequestUrl
from relay.server.endpoints import create_app
from relay.slack.client import SlackClient
from relay.slack.interactions import (
    Click,
    Shortcut,
    Submission,
    ThreadReply,
    parse_command,
    parse_event,
    parse_interaction,
)
from tests.support.page_shown import Shown

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "a-signing-secret"
ANN, BEN = "U0ANN00001", "U0BEN00001"
HARM = '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>'


def button(text: str, action: str, **more: Any) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": text}, "action_id": action, **more}


def entry(text: str) -> dict[str, Any]:
    value = f"relay_{text.lower().replace(' ', '_')}:5c1e"
    return {"text": {"type": "plain_text", "text": text}, "value": value}


START = 1_700_000_000.0
BUTTONS = {
    "type": "actions",
    "elements": [
        button("Assign to me", "relay_assign", value="5c1e"),
        button("Comment", "relay_comment", value="5c1e"),
        button("Snooze", "relay_snooze", value="5c1e"),
        button("Resolve", "relay_resolve", value="5c1e", style="danger"),
        button("Open", "link_0", url="https://a.example.invalid/"),
        {
            "type": "overflow",
            "action_id": "relay_menu",
            "options": [entry("Unassign"), entry("End snooze"), entry("Mute")],
        },
    ],
}


@dataclass
class App:
    """Answers a click at once: with an ephemeral message, or with the modal of the button."""

    client: SlackClient
    title: str = "db-117 · replication lag"
    interactions: list[Any] = field(default_factory=list)
    fails: bool = False

    async def on_interaction(self, payload: Any) -> Any:
        interaction = parse_interaction(payload)
        self.interactions.append(interaction)
        if self.fails:
            raise RuntimeError
        match interaction:
            case Submission():
                return validation_errors(interaction.action, interaction.values, START)
            case Click(action=action) if action and CARD_BUTTONS[action].opens_modal:
                place = {
                    "incident": interaction.incident,
                    "channel": interaction.channel,
                    "message_ts": interaction.message_ts,
                }
                await self.client.open_view(interaction.trigger_id, build_modal(action, title=self.title, **place))
            case Click(action="assign"):
                await self.client.post_ephemeral(
                    interaction.channel, interaction.user, "Under way: you will have it in a moment."
                )
        return None

    async def on_command(self, payload: Any) -> Any:
        self.interactions.append(parse_command(payload))
        return {"response_type": "ephemeral", "text": "*3 open* here"}

    async def on_event(self, payload: Any) -> None:
        self.interactions.append(parse_event(payload))


@dataclass
class PageReader:
    shown: Shown
    app: App
    card: FakeMessage

    @property
    def tab(self):
        return self.shown.tab

    async def press(self, name: str, role: str = "button") -> None:
        await self.tab.locator("#messages").get_by_role(role, name=name, exact=True).click()

    async def act_as(self, name: str) -> None:
        await self.tab.get_by_label("Act as").select_option(label=name)


@pytest_asyncio.fixture(loop_scope="session")
async def reader(shown: Shown) -> AsyncIterator[PageReader]:
    slack = shown.slack
    slack.add_user(ANN, "ann")
    slack.add_user(BEN, "ben")
    async with make_session() as session:
        app = App(SlackClient(session, slack.token, base_url=f"{shown.address}api/"))

        class StoppedClock:
            now = staticmethod(slack.now)

        endpoints = create_app(app, keys=["k"], header="X-Relay-Key", signing_secret=SECRET, clock=StoppedClock())
        async with TestServer(endpoints) as server:
            slack.interactivity = RequestUrl(f"http://127.0.0.1:{server.port}", SECRET, clock=slack.now)
            card = shown.post(text="db-117 is down", attachments=({"color": "#d72638", "blocks": [BUTTONS]},))
            await expect(shown.tab.get_by_role("button", name="Assign to me")).to_be_visible()
            yield PageReader(shown, app, card)


async def wait_for_interactions(reader: PageReader, count: int = 1) -> list[Any]:
    """Wait until the app has received `count` interactions, and return all of them."""
    async with asyncio.timeout(100):
        while len(reader.app.interactions) < count:  # noqa: ASYNC110  the browser gives no signal to wait for
            await asyncio.sleep(0.02)
    return reader.app.interactions


async def test_a_menu_entry_sends_the_same_action_as_its_button(reader: PageReader):
    await reader.tab.get_by_label("More actions").click()
    await reader.press("End snooze")
    [click] = await wait_for_interactions(reader)
    assert (click.action, click.incident, click.user) == ("end_snooze", "5c1e", ANN)


async def test_only_the_person_who_typed_a_command_sees_its_answer(reader: PageReader):
    box = reader.tab.get_by_label("A command of relay")
    await box.fill("open")
    await box.press("Enter")
    await expect(reader.tab.locator("#toast")).to_contain_text("such as /relay open")
    await box.fill("/nothing here")
    await box.press("Enter")
    await expect(reader.tab.locator("#toast")).to_contain_text("/nothing is not a valid command")
    await box.fill("/relay open #noc")
    await box.press("Enter")
    ephemeral = reader.tab.locator(".ephemeral .text")
    await expect(ephemeral).to_have_text("3 open here")
    await expect(box).to_have_value("")
    [command] = await wait_for_interactions(reader)
    assert (command.name, command.text, command.user) == ("/relay", f"open <#{reader.card.channel}|noc>", ANN)
    await reader.act_as("ben")
    await expect(ephemeral).to_have_count(0)


async def test_every_message_except_ephemeral_ones_has_the_shortcut(reader: PageReader):
    reader.shown.reply(reader.card, text="a reply")
    await reader.press("Assign to me")
    await expect(reader.tab.locator(".ephemeral")).to_have_count(1)
    await expect(reader.tab.locator(".shortcut")).to_have_count(2)
    await reader.tab.locator(".shortcut").first.click()
    [_, shortcut] = await wait_for_interactions(reader, 2)
    assert shortcut == Shortcut(
        user=ANN, channel=reader.card.channel, message_ts=reader.card.ts, thread_ts=reader.card.ts
    )


async def test_a_date_and_time_is_sent_as_a_moment(reader: PageReader):
    await reader.press("Snooze")
    await reader.tab.get_by_label("Or until").fill("2031-05-06T07:08")
    await reader.tab.locator("#submit").click()
    [_, submission] = await wait_for_interactions(reader, 2)
    moment = datetime.fromtimestamp(int(submission.values["moment"]), UTC)
    assert (moment.year, moment.minute, moment.second) == (2031, 8, 0)


async def test_a_click_is_sent_as_the_selected_user(reader: PageReader):
    await reader.press("Assign to me")
    await wait_for_interactions(reader)
    await reader.act_as("ben")
    await reader.press("Assign to me")
    first, second = await wait_for_interactions(reader, 2)
    assert [(each.action, each.user, each.incident, each.message_ts) for each in (first, second)] == [
        ("assign", ANN, "5c1e", reader.card.ts),
        ("assign", BEN, "5c1e", reader.card.ts),
    ]


async def test_an_ephemeral_message_is_shown_only_to_its_recipient(reader: PageReader):
    await reader.press("Assign to me")
    ephemeral = reader.tab.locator(".ephemeral")
    await expect(ephemeral).to_contain_text("Only visible to you")
    await expect(ephemeral.locator(".text")).to_have_text("Under way: you will have it in a moment.")
    await reader.act_as("ben")
    await expect(ephemeral).to_have_count(0)
    await reader.act_as("ann")
    await expect(ephemeral).to_have_count(1)


async def test_a_click_on_a_link_button_opens_the_link_and_reaches_the_app(reader: PageReader):
    await reader.tab.context.route("https://a.example.invalid/**", lambda route: route.fulfill(body="there"))
    async with reader.tab.context.expect_page() as opened:
        await reader.press("Open", role="link")
    assert (await opened.value).url == "https://a.example.invalid/"
    assert await wait_for_interactions(reader) == [Click(action="")]


async def test_a_modal_opens_and_is_submitted(reader: PageReader):
    await reader.press("Comment")
    dialog = reader.tab.get_by_role("dialog", name="Comment")
    await expect(dialog).to_contain_text("db-117 · replication lag")
    await dialog.get_by_role("textbox").fill("looking into it")
    await dialog.get_by_role("button", name="Send").click()
    await expect(dialog).to_be_hidden()
    submission = (await wait_for_interactions(reader, 2))[1]
    assert isinstance(submission, Submission)
    assert (submission.user, submission.values) == (ANN, {"text": "looking into it"})


async def test_the_apps_errors_are_shown_and_the_input_stays(reader: PageReader):
    await reader.press("Comment")
    dialog = reader.tab.get_by_role("dialog", name="Comment")
    await dialog.get_by_role("textbox").fill("   ")
    await dialog.get_by_role("button", name="Send").click()
    await expect(dialog.locator(".error")).to_have_text("Write something to send.")
    await expect(dialog.get_by_role("textbox")).to_have_value("   ")
    await dialog.get_by_role("textbox").fill("now")
    await dialog.get_by_role("button", name="Send").click()
    await expect(dialog).to_be_hidden()


async def test_invalid_input_is_shown_and_not_submitted(reader: PageReader):
    await reader.press("Comment")
    dialog = reader.tab.get_by_role("dialog", name="Comment")
    await dialog.get_by_role("button", name="Send").click()
    await expect(dialog.locator("#form-error")).to_have_text("Please complete this required field.")
    assert len(reader.app.interactions) == 1


async def test_the_selected_radio_button_is_submitted(reader: PageReader):
    await reader.press("Snooze")
    dialog = reader.tab.get_by_role("dialog", name="Snooze")
    await expect(dialog.get_by_label("1 hour")).to_be_checked()
    await dialog.get_by_label("until the next 09:00").check()
    await dialog.get_by_role("button", name="Snooze").click()
    await expect(dialog).to_be_hidden()
    assert (await wait_for_interactions(reader, 2))[1].values == {"until": "morning"}


async def test_a_ticked_box_is_submitted_and_a_choice_shows_its_description(reader: PageReader):
    for ticked in (True, False):
        await reader.tab.get_by_label("More actions").click()
        await reader.press("Mute")
        dialog = reader.tab.get_by_role("dialog", name="Mute")
        await expect(dialog).to_contain_text("Otherwise critical incidents still post and ping.")
        await dialog.get_by_label("Why?").fill("deploy")
        await dialog.get_by_label("Critical incidents, too").set_checked(ticked)
        await dialog.get_by_role("button", name="Mute").click()
        await expect(dialog).to_be_hidden()
    _, first, _, second = await wait_for_interactions(reader, 4)
    values = {"what": "incident", "until": "1h", "text": "deploy"}
    assert (first.values, second.values) == (values | {"critical": "yes"}, values)


async def test_resolving_warns_and_its_note_is_optional(reader: PageReader):
    await reader.press("Resolve")
    dialog = reader.tab.get_by_role("dialog", name="Resolve incident")
    await expect(dialog).to_contain_text("cannot be undone")
    await expect(dialog.locator(".optional")).to_have_text("(optional)")
    await dialog.get_by_role("button", name="Resolve").click()
    assert (await wait_for_interactions(reader, 2))[1].values == {}


@pytest.mark.parametrize("how", ["button", "key"])
async def test_a_modal_can_be_dismissed(reader: PageReader, how: str):
    await reader.press("Comment")
    dialog = reader.tab.get_by_role("dialog", name="Comment")
    await expect(dialog).to_be_visible()
    if how == "button":
        await dialog.get_by_role("button", name="Cancel").click()
    else:
        await reader.tab.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    assert reader.shown.slack.open_views(ANN) == []


async def test_an_abandoned_modal_does_not_come_back_in_a_new_tab(reader: PageReader):
    await reader.press("Comment")
    await expect(reader.tab.get_by_role("dialog", name="Comment")).to_be_visible()
    second = await reader.tab.context.new_page()
    await second.goto(reader.shown.address)
    await expect(second.locator("#link")).to_have_class("live")
    await expect(second.get_by_role("button", name="Assign to me")).to_be_visible()
    await expect(second.get_by_role("dialog", name="Comment")).to_be_hidden()
    await reader.tab.goto("about:blank")  # the reader leaves
    async with asyncio.timeout(20):
        while reader.shown.slack.open_views(ANN):  # noqa: ASYNC110  the browser gives no signal to wait for
            await asyncio.sleep(0.02)
    await second.get_by_role("button", name="Comment").click()
    await expect(second.get_by_role("dialog", name="Comment")).to_be_visible()


async def test_a_modal_stays_when_the_connection_is_made_again(reader: PageReader):
    await reader.press("Comment")
    dialog = reader.tab.get_by_role("dialog", name="Comment")
    await dialog.get_by_role("textbox").fill("half a sentence")
    await reader.tab.evaluate("interactions.reconnected(); interactions.setViews([])")
    await expect(dialog).to_be_hidden()  # a workspace that was started again has none
    [view] = reader.shown.slack.open_views(ANN)
    state = {"id": view.id, "user": ANN, "view": view.definition, "errors": {}}
    await reader.tab.evaluate("state => { interactions.reconnected(); interactions.setViews([state]) }", state)
    await expect(dialog).to_be_visible()


async def test_a_modal_is_shown_only_to_the_user_who_opened_it(reader: PageReader):
    await reader.press("Comment")
    dialog = reader.tab.get_by_role("dialog", name="Comment")
    await expect(dialog).to_be_visible()
    await reader.tab.evaluate("document.getElementById('me').value = 'U0BEN00001'")
    await reader.tab.evaluate("document.getElementById('me').dispatchEvent(new Event('change'))")
    await expect(dialog).to_be_hidden()


async def test_a_click_without_an_acknowledgement_is_reported(reader: PageReader):
    reader.app.fails = True
    await reader.press("Assign to me")
    await expect(reader.tab.get_by_role("status")).to_have_text("⚠ Assign to me: HTTP 503.")
    reader.shown.slack.interactivity = None
    await reader.press("Open", role="link")
    await expect(reader.tab.get_by_role("status")).to_contain_text("Open: the app takes no clicks")


async def test_a_reply_is_posted_in_the_thread_and_reaches_the_app(reader: PageReader):
    await reader.tab.get_by_text("Reply in thread").click()
    box = reader.tab.get_by_label("Reply in this thread")
    await box.fill("on it <b>")
    await reader.tab.get_by_role("button", name="Send").click()
    await expect(reader.tab.locator(".replies .text")).to_have_text(["on it <b>"])
    await expect(reader.tab.locator(".replies .author")).to_have_text("ann")
    await expect(box).to_have_value("")
    (reply,) = await wait_for_interactions(reader)
    assert isinstance(reply, ThreadReply)
    assert (reply.user, reply.thread_ts, reply.text) == (ANN, reader.card.ts, "on it &lt;b&gt;")


async def test_a_reply_can_be_sent_to_the_channel_as_well(reader: PageReader):
    await reader.tab.get_by_text("Reply in thread").click()
    await reader.tab.get_by_label("Reply in this thread").fill("all clear")
    await reader.tab.get_by_label("also send to #noc").check()
    await reader.tab.get_by_role("button", name="Send").click()
    await expect(reader.tab.locator("#messages > .message").last.locator(".text")).to_have_text("all clear")


async def test_an_unfinished_reply_stays_while_the_thread_grows(reader: PageReader):
    await reader.tab.get_by_text("Reply in thread").click()
    box = reader.tab.get_by_label("Reply in this thread")
    await box.fill("half a sen")
    reader.shown.reply(reader.card, text="meanwhile")
    await expect(reader.tab.locator(".replies .text")).to_have_text(["meanwhile"])
    await reader.tab.keyboard.type("tence")
    await expect(box).to_have_value("half a sentence")


async def test_no_script_runs_in_a_modal_or_an_ephemeral_message(reader: PageReader):
    reader.app.title = HARM
    await reader.press("Comment")
    dialog = reader.tab.get_by_role("dialog", name="Comment")
    await expect(dialog).to_contain_text(HARM)
    assert await dialog.locator("img, script").count() == 0
    await dialog.get_by_role("button", name="Cancel").click()
    await reader.app.client.post_ephemeral(
        "C0NOC00001", ANN, f"{escape(HARM, quote=False)} <javascript:window.harmed=1|click>"
    )
    await expect(reader.tab.locator(".ephemeral .text")).to_contain_text(HARM)
    assert await reader.tab.locator(".ephemeral img, .ephemeral script, .ephemeral a").count() == 0
    assert await reader.tab.evaluate("window.harmed") is None


async def test_a_workspace_without_users_offers_no_user_to_act_as(shown: Shown):
    shown.post(text="x", attachments=({"blocks": [BUTTONS]},))
    await shown.tab.get_by_role("button", name="Assign to me").click()
    await expect(shown.tab.get_by_role("status")).to_contain_text("This workspace has no users")
    await expect(shown.tab.get_by_label("Act as")).to_be_hidden()
    await expect(shown.tab.get_by_text("Reply in thread")).to_have_count(0)


async def test_a_phone_shows_modals_and_boxes_without_scrolling_sideways(reader: PageReader):
    await reader.tab.set_viewport_size({"width": 360, "height": 740})
    await reader.tab.get_by_text("Reply in thread").click()
    await reader.tab.locator("#messages").get_by_role("button", name="Comment", exact=True).click()
    await expect(reader.tab.get_by_role("dialog", name="Comment")).to_be_visible()
    assert await reader.tab.evaluate("document.documentElement.scrollWidth") == 360
