"""What people do in the workspace (buttons, modals, messages) and what the app receives over HTTP."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from relay.actions.modals import build_modal
from relay.sandbox.slack.interactivity import RequestUrl
from relay.sandbox.slack.message_content import MessageContent
from relay.sandbox.slack.payloads import NoSuchElement
from relay.sandbox.slack.views import InvalidInput
from relay.server.endpoints import create_app
from relay.slack.interactions import Click, Submission, ThreadReply, parse_event, parse_interaction

ANN = "U00000000AN"
NOC = "C0000000NOC"
SECRET = "a-signing-secret"
BUTTONS = {
    "type": "actions",
    "elements": [
        {
            "type": "button",
            "text": {"type": "plain_text", "text": "Assign to me"},
            "action_id": "relay_assign",
            "value": "i1",
        },
        {
            "type": "button",
            "text": {"type": "plain_text", "text": "Open"},
            "action_id": "link_0",
            "url": "https://a.example/",
        },
    ],
}


class App:
    """Relay's own endpoints with a handler that records each payload and returns the given answer."""

    def __init__(self):
        self.clicks, self.events = [], []
        self.answer = None
        self.hangs = False
        self.release = asyncio.Event()

    async def on_interaction(self, payload):
        self.clicks.append(payload)
        if self.hangs:
            await self.release.wait()
        return self.answer

    async def on_event(self, payload):
        self.events.append(payload)

    @asynccontextmanager
    async def serving(self, clock):
        class StoppedClock:
            now = staticmethod(clock)

        app = create_app(self, keys=["k"], header="X-Relay-Key", signing_secret=SECRET, clock=StoppedClock())
        async with TestServer(app) as server:
            yield f"http://{server.host}:{server.port}"
            self.release.set()


@pytest.fixture
async def app(slack, clock):
    app = App()
    slack.channel("noc").invite(ANN)
    async with app.serving(clock) as url:
        slack.interactivity = RequestUrl(url, SECRET, clock=clock)
        yield app


@pytest.fixture
async def card(noc, slack):
    """A card as relay posts it: its buttons are in an attachment."""
    return noc.add_message(
        MessageContent(text="db-1 is down", attachments=({"color": "#d72638", "blocks": [BUTTONS]},)), slack.bot
    )


def view(action="comment", **more):
    return build_modal(action, title="db-1 is down", incident="i1", channel=NOC, message_ts="1.1", **more)


@pytest.fixture
def press(slack, app, card):
    """Press a button, and return the trigger that the app gets."""

    async def press():
        return (await slack.click(ANN, "noc", card.ts, "relay_assign")).payload["trigger_id"]

    return press


@pytest.fixture
def opened(slack, client, press):
    """Press a button and open a modal, as the app would."""

    async def opened(shape):
        answer = await client.views_open(trigger_id=await press(), view=shape)
        (shown,) = slack.open_views(ANN)
        assert answer["view"]["id"] == shown.id
        return shown

    return opened


# --- buttons ---


def menu_entry(text, value):
    return {"text": {"type": "plain_text", "text": text}, "value": value}


MENU = {
    "type": "actions",
    "elements": [
        {
            "type": "overflow",
            "action_id": "relay_menu",
            "options": [menu_entry("Unassign", "relay_unassign:i1"), menu_entry("End snooze", "relay_end_snooze:i1")],
        }
    ],
}


async def test_an_entry_of_a_menu_reaches_the_app_as_the_chosen_option(slack, app, noc):
    card = noc.add_message(MessageContent(text="db-1", blocks=(MENU,)), slack.bot)
    await slack.click(ANN, "noc", card.ts, "relay_menu", option="relay_end_snooze:i1")
    [payload] = app.clicks
    assert payload["actions"][0]["selected_option"]["value"] == "relay_end_snooze:i1"
    assert (parse_interaction(payload).action, parse_interaction(payload).incident) == ("end_snooze", "i1")
    for chosen in (None, "relay_resolve:i1"):
        with pytest.raises(NoSuchElement):
            await slack.click(ANN, "noc", card.ts, "relay_menu", option=chosen)


@pytest.mark.parametrize("number", [0, 1, 6])
async def test_a_menu_has_two_to_five_entries(client, rejection, number):
    options = [menu_entry(str(each), str(each)) for each in range(number)]
    blocks = [{"type": "actions", "elements": [{"type": "overflow", "action_id": "m", "options": options}]}]
    answer = await rejection(client.chat_postMessage(channel=NOC, text="x", blocks=blocks))
    assert answer["error"] == "invalid_blocks"


# --- direct messages and e-mail addresses ---


async def test_a_conversation_with_a_user_is_opened_once_and_takes_messages(slack, client, rejection):
    first = (await client.conversations_open(users=ANN))["channel"]["id"]
    assert (await client.conversations_open(users=ANN))["channel"]["id"] == first
    await client.chat_postMessage(channel=first, text="Not assigned")
    assert [message.text for message in slack.direct_messages(ANN)] == ["Not assigned"]
    assert first not in [each["id"] for each in (await client.conversations_list())["channels"]]
    assert (await rejection(client.conversations_open(users="U0NOBODY00")))["error"] == "user_not_found"
    slack.remove_scope("im:write")
    assert (await rejection(client.conversations_open(users=ANN)))["error"] == "missing_scope"


async def test_a_user_is_found_by_address_unless_deactivated(slack, client, rejection):
    assert (await client.users_lookupByEmail(email="ann@EXAMPLE.com"))["user"]["id"] == ANN
    slack.users[ANN].deleted = True
    assert (await rejection(client.users_lookupByEmail(email="ann@example.com")))["error"] == "users_not_found"


async def test_an_ephemeral_message_can_be_neither_edited_nor_deleted(slack, app, client, rejection):
    ts = (await client.chat_postEphemeral(channel=NOC, user=ANN, text="Assigning to you…"))["message_ts"]
    assert (await rejection(client.chat_update(channel=NOC, ts=ts, text="Done")))["error"] == "message_not_found"
    assert (await rejection(client.chat_delete(channel=NOC, ts=ts)))["error"] == "message_not_found"


async def test_a_click_reaches_the_app_signed_and_is_acknowledged(slack, app, card, clock):
    delivery = await slack.click(ANN, "noc", card.ts, "relay_assign")

    assert (delivery.acknowledged, delivery.status, delivery.answer, delivery.attempts) == (True, 200, None, 1)
    assert [parse_interaction(payload) for payload in app.clicks] == [
        Click(
            action="assign",
            incident="i1",
            user=ANN,
            user_name="ann",
            channel=NOC,
            message_ts=card.ts,
            action_ts=app.clicks[0]["actions"][0]["action_ts"],
            trigger_id=app.clicks[0]["trigger_id"],
        )
    ]
    assert app.clicks[0]["container"]["type"] == "message_attachment"
    assert app.clicks[0]["message"]["text"] == "db-1 is down"


async def test_two_clicks_differ_and_a_redelivery_does_not(slack, app, card):
    one = await slack.click(ANN, "noc", card.ts, "relay_assign")
    await slack.click(ANN, "noc", card.ts, "relay_assign")
    await slack.redeliver(one)

    first, second, repeat = [parse_interaction(payload).action_ts for payload in app.clicks]
    assert first == repeat != second
    assert one.attempts == 2


async def test_a_click_on_a_link_button_reaches_the_app_too(slack, app, card):
    assert (await slack.click(ANN, "noc", card.ts, "link_0")).acknowledged
    assert parse_interaction(app.clicks[0]) == Click(action="")


async def test_a_missing_button_cannot_be_clicked(slack, app, card):
    with pytest.raises(NoSuchElement, match="relay_assign, link_0"):
        await slack.click(ANN, "noc", card.ts, "relay_resolve")
    with pytest.raises(NoSuchElement):
        await slack.click(ANN, "noc", "1.000000", "relay_assign")
    assert app.clicks == []


async def test_an_app_that_does_not_answer_in_time_has_not_acknowledged(slack, app, card):
    app.hangs = True
    slack.interactivity = RequestUrl(slack.interactivity.url, SECRET, clock=slack.now, timeout=0.1)

    delivery = await slack.click(ANN, "noc", card.ts, "relay_assign")

    assert (delivery.acknowledged, delivery.status) == (False, None)
    assert "within 0.1 seconds" in delivery.reason


async def test_an_app_without_an_address_or_a_connection_has_not_acknowledged(slack, card, unused_tcp_port):
    no_address = await slack.click(ANN, "noc", card.ts, "relay_assign")
    slack.interactivity = RequestUrl(f"http://127.0.0.1:{unused_tcp_port}", SECRET)
    no_connection = await slack.click(ANN, "noc", card.ts, "relay_assign")

    assert [no_address.acknowledged, no_connection.acknowledged] == [False, False]
    assert "no request address" in no_address.reason
    assert "no connection" in no_connection.reason
    assert slack.deliveries == [no_address, no_connection]


@pytest.mark.parametrize(("secret", "shift"), [("another", 0), (SECRET, -301)])
async def test_the_app_rejects_wrong_and_old_signatures(slack, app, card, secret, shift):
    slack.interactivity = RequestUrl(slack.interactivity.url, secret, clock=lambda: slack.now() + shift)

    delivery = await slack.click(ANN, "noc", card.ts, "relay_assign")

    assert (delivery.acknowledged, delivery.status) == (False, 401)
    assert app.clicks == []


async def test_a_repeated_delivery_has_a_retry_header(slack, card, clock):
    seen = []

    async def answer(request):
        seen.append(request.headers.get("X-Slack-Retry-Num"))
        return web.Response()

    server = web.Application()
    server.router.add_post("/slack/actions", answer)
    async with TestServer(server) as served:
        slack.interactivity = RequestUrl(str(served.make_url("")), SECRET, clock=clock)
        delivery = await slack.click(ANN, "noc", card.ts, "relay_assign")
        await slack.redeliver(delivery)
        await slack.redeliver(delivery)

    assert seen == [None, "1", "2"]


# --- modals ---


async def test_a_trigger_opens_one_modal_within_three_seconds(slack, client, press, clock, rejection):
    first, second = await press(), await press()
    clock.now += 3
    assert (await client.views_open(trigger_id=first, view=view()))["ok"]
    assert (await rejection(client.views_open(trigger_id=first, view=view())))["error"] == "exchanged_trigger_id"
    clock.now += 0.1
    assert (await rejection(client.views_open(trigger_id=second, view=view())))["error"] == "expired_trigger_id"
    assert (await rejection(client.views_open(trigger_id="1.2.3", view=view())))["error"] == "invalid_trigger_id"
    assert len(slack.open_views(ANN)) == 1


def input_view(element):
    return {"blocks": [{"type": "input", "label": {"type": "plain_text", "text": "x"}, "element": element}]}


def text_input_view(**more):
    return input_view({"type": "plain_text_input", **more})


def option(value):
    return {"text": {"type": "plain_text", "text": value}, "value": value}


INVALID_VIEWS = {
    "title": ({"title": {"type": "plain_text", "text": "x" * 25}}, "/view/title"),
    "submit": ({"submit": {"type": "plain_text", "text": "x" * 25}}, "/view/submit"),
    "close": ({"close": {"type": "mrkdwn", "text": "x"}}, "/view/close"),
    "metadata": ({"private_metadata": "x" * 3_001}, "/view/private_metadata"),
    "an unknown key": ({"colour": "red"}, "colour"),
    "an unknown type": ({"type": "home"}, "/view/type"),
    "blocks that are no list": ({"blocks": {}}, "/view/blocks"),
    "too many blocks": ({"blocks": [{"type": "divider"}] * 101}, "/view/blocks"),
    "a table": ({"blocks": [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]]}]}, "/view/blocks/0"),
    "no submit button": ({"submit": None}, "submit"),
    "an input that is too long": (text_input_view(max_length=3_001), "/element/max_length"),
    "an input of length zero": (text_input_view(max_length=0), "/element/max_length"),
    "a number as a string": (text_input_view(min_length="1"), "/element/min_length"),
    "an initial value that is too long": (text_input_view(initial_value="x" * 3_001), "/element/initial_value"),
    "an initial option that is not an option": (
        input_view({"type": "radio_buttons", "options": [option("a")], "initial_option": option("b")}),
        "/element/initial_option",
    ),
    "two inputs with the focus": (
        {"blocks": [*text_input_view(focus_on_load=True)["blocks"], *text_input_view(focus_on_load=True)["blocks"]]},
        "focus_on_load",
    ),
}


@pytest.mark.parametrize(("changed", "where"), INVALID_VIEWS.values(), ids=INVALID_VIEWS.keys())
async def test_a_modal_beyond_slacks_limits_is_rejected_and_the_trigger_stays_valid(
    client, press, rejection, changed, where
):
    trigger = await press()
    shape = {key: value for key, value in (view() | changed).items() if value is not None}

    answer = await rejection(client.views_open(trigger_id=trigger, view=shape))

    assert answer["error"] == "invalid_arguments"
    assert any(where in finding for finding in answer["response_metadata"]["messages"])
    assert (await client.views_open(trigger_id=trigger, view=view()))["ok"]


async def test_a_modal_of_250_kilobytes_is_too_large(client, press, rejection):
    trigger = await press()
    text = {"type": "section", "text": {"type": "plain_text", "text": "x" * 3_000}}

    answer = await rejection(client.views_open(trigger_id=trigger, view={**view(), "blocks": [text] * 90}))

    assert answer["error"] == "view_too_large"


@pytest.mark.parametrize("action", ["comment", "snooze", "resolve"])
async def test_relays_own_modals_are_opened(opened, action):
    assert (await opened(view(action))).open


async def test_a_submitted_modal_reaches_the_app_and_closes(slack, app, opened):
    shown = await opened(view())

    delivery = await slack.submit(ANN, shown.id, {"text": "looking"})

    assert delivery.acknowledged
    assert parse_interaction(app.clicks[-1]) == Submission(
        action="comment",
        incident="i1",
        user=ANN,
        user_name="ann",
        channel=NOC,
        message_ts="1.1",
        view_id=shown.id,
        trigger_id=app.clicks[-1]["trigger_id"],
        values={"text": "looking"},
    )
    assert slack.open_views(ANN) == []


async def test_initial_values_are_submitted_by_default(slack, app, opened):
    await slack.submit(ANN, await opened(view("snooze")), {})
    assert parse_interaction(app.clicks[-1]).values == {"until": "1h"}
    await slack.submit(ANN, await opened(view("snooze")), {"until": "morning"})
    assert parse_interaction(app.clicks[-1]).values == {"until": "morning"}


async def test_a_date_and_time_is_submitted_as_unix_seconds_of_a_whole_minute(slack, app, opened):
    await slack.submit(ANN, await opened(view("snooze")), {"moment": "1700003630"})
    assert parse_interaction(app.clicks[-1]).values == {"until": "1h", "moment": "1700003580"}
    with pytest.raises(InvalidInput):
        await slack.submit(ANN, await opened(view("snooze")), {"moment": "tomorrow"})


async def test_invalid_input_is_not_submitted(slack, app, opened):
    shown = await opened(view())
    for values in ({}, {"text": ""}, {"text": "x" * 3_001}, {"until": "1h"}):
        with pytest.raises(InvalidInput):
            await slack.submit(ANN, shown, values)
    assert len(app.clicks) == 1
    slack.dismiss(ANN, shown)
    snoozing = await opened(view("snooze"))
    with pytest.raises(InvalidInput):
        await slack.submit(ANN, snoozing, {"until": "5y"})


async def test_the_apps_errors_are_shown_and_the_modal_stays_open(slack, app, opened):
    shown = await opened(view())
    app.answer = {"response_action": "errors", "errors": {"text": "Write something to send."}}
    await slack.submit(ANN, shown, {"text": " "})
    assert (shown.open, shown.errors) == (True, {"text": "Write something to send."})

    app.answer = {"response_action": "errors", "errors": {"nothing": "There is no such input."}}
    await slack.submit(ANN, shown, {"text": " "})
    assert "trouble" in shown.errors["text"]

    app.answer = None
    await slack.submit(ANN, shown, {"text": "x"})
    assert not shown.open


async def test_a_modal_can_be_replaced_or_all_of_them_closed(slack, app, opened):
    shown = await opened(view())
    app.answer = {"response_action": "update", "view": view("resolve")}
    await slack.submit(ANN, shown, {"text": "x"})
    assert (shown.open, shown.definition["title"]["text"]) == (True, "Resolve incident")

    app.answer = {"response_action": "update", "view": {"type": "modal"}}
    await slack.submit(ANN, shown, {})
    assert "trouble" in shown.errors["text"]

    app.answer = {"response_action": "clear"}
    await slack.submit(ANN, shown, {})
    assert slack.open_views(ANN) == []


async def test_a_modal_without_an_acknowledgement_stays_open_and_shows_an_error(slack, app, opened):
    shown = await opened(view())
    slack.interactivity = None
    await slack.submit(ANN, shown, {"text": "x"})
    assert "trouble" in shown.errors["text"]


async def test_a_user_cannot_submit_another_users_modal(slack, opened):
    shown = await opened(view())
    with pytest.raises(NoSuchElement):
        await slack.submit("U0STRANGER", shown, {"text": "x"})
    slack.dismiss(ANN, shown)
    with pytest.raises(NoSuchElement):
        await slack.submit(ANN, shown, {"text": "x"})


# --- messages of people ---


async def test_a_reply_reaches_the_app(slack, app, card, noc):
    delivery = await slack.post_as(ANN, "noc", "on it", thread_ts=card.ts)

    (reply,) = noc.thread(card.ts)
    assert delivery.acknowledged
    assert [parse_event(payload) for payload in app.events] == [
        ThreadReply(channel=NOC, thread_ts=card.ts, ts=reply.ts, user=ANN, text="on it")
    ]


async def test_typed_text_is_sent_in_the_markup_of_slack(slack, app, card, noc):
    await slack.post_as(
        ANN, "noc", "a<b & @ann @db-oncall @here #noc @nobody https://a.example/?x=1&y=2", thread_ts=card.ts
    )

    assert noc.thread(card.ts)[0].text == (
        "a&lt;b &amp; <@U00000000AN> <!subteam^S0000000DBA|@db-oncall> <!here> <#C0000000NOC|noc> @nobody "
        "<https://a.example/?x=1&amp;y=2>"
    )


async def test_a_broadcast_reply_reaches_the_app_as_a_broadcast(slack, app, card):
    await slack.post_as(ANN, "noc", "on it", thread_ts=card.ts, broadcast=True)
    assert app.events[0]["event"]["subtype"] == "thread_broadcast"
    assert parse_event(app.events[0]).text == "on it"


async def test_edits_deletions_and_the_apps_own_messages_have_their_own_events(slack, app, card, noc):
    await slack.post_as(ANN, "noc", "on it", thread_ts=card.ts)
    (reply,) = noc.thread(card.ts)
    await slack.edit_message(reply, "not on it")
    await slack.delete_message(reply)
    await slack.send_message_event(card)

    assert [payload["event"].get("subtype") for payload in app.events] == [
        None,
        "message_changed",
        "message_deleted",
        None,
    ]
    assert app.events[1]["event"]["previous_message"]["text"] == "on it"
    assert app.events[3]["event"]["bot_id"] == "B0RELAYBOT"
    assert [parse_event(payload) is not None for payload in app.events] == [True, False, False, False]
    assert noc.thread(card.ts) == []


@pytest.mark.parametrize(
    "disconnect",
    [
        lambda slack: slack.channel("noc").kick(),
        lambda slack: slack.remove_scope("channels:history"),
        lambda slack: setattr(slack, "subscriptions", frozenset()),
        lambda slack: setattr(slack, "interactivity", None),
    ],
)
async def test_the_app_gets_no_event_without_membership_scope_or_subscription(slack, app, card, disconnect):
    disconnect(slack)
    assert await slack.post_as(ANN, "noc", "on it", thread_ts=card.ts) is None
    assert app.events == []


async def test_every_payload_is_json(slack, app, opened):
    await slack.submit(ANN, await opened(view()), {"text": "x"})
    await slack.post_as(ANN, "noc", "hello")
    assert all(json.loads(json.dumps(delivery.payload)) == delivery.payload for delivery in slack.deliveries)
