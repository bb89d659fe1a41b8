"""A relay process with a fake Slack and BigPanda: clicks, modals and replies, over HTTP and over Socket Mode."""

import json
import signal
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from relay.sandbox.bigpanda.server import FakeBigPanda, serve_bigpanda
from relay.sandbox.bigpanda.users import FakeBigPandaUser
from relay.sandbox.faults import DropConnection, InjectedFault, NoAnswer
from relay.sandbox.slack.interactivity import RequestUrl, signature_headers
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.intervals import intervals
from tests.support.postgres import end_lease, postgresql
from tests.support.relay_process import KEY, Process, running, until

SECRET, CHANNEL, ANN = "SECRET-signing-3c55", "C0DB000001", "U0ANN00001"
SECRETS = {
    "SLACK_SIGNING_SECRET": SECRET,
    "BIGPANDA_API_KEY": "BPU-SECRET-key-77aa",
    "BIGPANDA_APP_KEY": "SECRET-app-key-10bd",
    "SLACK_BOT_TOKEN": "xoxb-SECRET-bot-91f0",
}
CANARY = "CANARY-words-of-a-person"
ROUTES = f"""
version: 1
routes:
  - name: all
    post: [{CHANNEL}]
    actions: [assign, comment, snooze, resolve]
    sync_replies: true
"""
SHARE = {
    "incident": {"id": "i1", "status": "Critical", "active": True, "resolved": False, "alerts": []},
    "metadata": {"environment": "Production", "environment_id": "e1"},
}


AT_ONCE = {"relay.ratelimit.budgets.EDIT_SPACING": 0.05, "relay.cards.tasks.SEARCH_INTERVAL": 0.2}
"""A card is edited again at once, and a comment in doubt is searched for at once."""


class Environment:
    """A fake Slack and a fake BigPanda, and the relays between them."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "routes.yaml").write_text(ROUTES)
        self.slack = FakeSlack(token=SECRETS["SLACK_BOT_TOKEN"])
        self.slack.add_channel(CHANNEL, "db")
        self.slack.add_user(ANN, "Ann Lee", email="ann@example.com", channels=[CHANNEL])
        self.bigpanda = FakeBigPanda(key=SECRETS["BIGPANDA_API_KEY"])
        self.bigpanda.add_user(FakeBigPandaUser(id="5506e4fbe7e0e400000000a1", name="Ann Lee", email="ann@example.com"))
        self.logged = []

    @asynccontextmanager
    async def relay(self, seconds=AT_ONCE, **more):
        addresses = {"slack_url": self.slack_url, "BIGPANDA_API_URL": self.bigpanda_url}
        async with running(self.folder, prepare=intervals(seconds), **addresses, **SECRETS, **more) as relay:
            try:
                yield relay
            finally:
                self.logged += relay.logged

    def connect(self, relay: Process) -> None:
        """Send clicks and shares to this relay."""
        self.slack.interactivity = RequestUrl(relay.url, SECRET, timeout=60)
        self.bigpanda.integrations.clear()
        self.bigpanda.add_integration(f"{relay.url}/shares", {"X-Relay-Key": KEY}, app_key=SECRETS["BIGPANDA_APP_KEY"])

    @property
    def card(self):
        return next((each for each in self.slack.channel(CHANNEL).messages if each.metadata), None)

    def card_text(self) -> str:
        return self.slack.text_of(self.card) if self.card else ""

    def thread(self) -> list[str]:
        replies = self.slack.channel(CHANNEL).thread(self.card.ts)
        return [self.slack.text_of(each) for each in replies if each.metadata]

    async def press(self, action: str):
        return await self.slack.click(ANN, CHANNEL, self.card.ts, f"relay_{action}")

    async def submit_comment(self, text: str):
        await self.press("comment")
        await until(lambda: self.slack.open_views(ANN))
        return await self.slack.submit(ANN, self.slack.open_views(ANN)[-1], {"text": text})

    @property
    def comments(self) -> list[str]:
        return self.bigpanda.incident("i1").comments


@pytest.fixture
async def environment(tmp_path):
    environment = Environment(tmp_path)
    async with AsyncExitStack() as stack:
        environment.slack_url = await stack.enter_async_context(serve_slack(environment.slack))
        environment.bigpanda_url = await stack.enter_async_context(serve_bigpanda(environment.bigpanda))
        yield environment
        environment.slack.faults.release()
        environment.bigpanda.faults.release()


async def test_clicks_change_the_incident_and_the_card_shows_the_changes(environment):
    async with environment.relay() as relay:
        environment.connect(relay)
        await environment.bigpanda.start_incident(SHARE)
        await until(lambda: environment.card and environment.bigpanda.calls_to("callback"))
        assert (await environment.press("assign")).acknowledged
        await until(lambda: "assigned to *Ann Lee*" in environment.card_text() and environment.thread())
        assert (await environment.submit_comment("failing over")).acknowledged
        await until(lambda: any("failing over" in reply for reply in environment.thread()))
        await environment.press("resolve")
        await until(lambda: environment.slack.open_views(ANN))
        await environment.slack.submit(ANN, environment.slack.open_views(ANN)[-1], {"text": "done"})
        await until(
            lambda: "✅" in environment.card_text() and any("Resolved by" in reply for reply in environment.thread())
        )
        assert environment.comments == ["Ann Lee (Slack): failing over"]
        assert len(environment.slack.channel(CHANNEL).messages) == 1
        assert [call.took_effect for call in environment.bigpanda.calls_to("callback")] == [True]


async def test_a_request_without_a_valid_recent_signature_is_rejected(environment):
    async with environment.relay() as relay:
        environment.connect(relay)
        await environment.bigpanda.start_incident(SHARE)
        await until(lambda: environment.card)
        delivery = await environment.press("comment")  # it only opens a modal
        await until(lambda: environment.slack.open_views(ANN))
        request_url = environment.slack.interactivity
        form = b"payload=" + json.dumps(delivery.payload).encode()
        content_type = {"Content-Type": "application/x-www-form-urlencoded"}
        now = environment.slack.now()
        forged = [
            {},
            signature_headers("another secret", form, now),
            signature_headers(SECRET, form, now - 900),
            signature_headers(SECRET, form, now + 900),
            signature_headers(SECRET, form + b" ", now),
            {"X-Slack-Request-Timestamp": "soon", "X-Slack-Signature": "v0=é"},
        ]
        for headers in forged:
            answer = await request_url.post("/slack/actions", form, {**content_type, **headers})
            assert answer.status == 401, headers
        await environment.press("assign")
        await until(lambda: environment.bigpanda.calls_to("assign"))
        assert len(environment.bigpanda.calls_to("assign")) == 1


async def test_an_acknowledged_click_is_not_lost_in_a_kill(environment):
    async with environment.relay() as relay:
        environment.connect(relay)
        await environment.bigpanda.start_incident(SHARE)
        await until(lambda: environment.card)
        environment.bigpanda.pause("users", 3600)  # so that the task has to wait
        assert (await environment.press("assign")).acknowledged
        await relay.stop(signal.SIGKILL)
    environment.bigpanda.pause("users", 0)
    async with environment.relay() as relay:
        environment.connect(relay)
        await until(lambda: "assigned to *Ann Lee*" in environment.card_text())
        assert len([call for call in environment.bigpanda.calls_to("assign") if call.took_effect]) == 1


async def test_a_comment_is_added_once_although_relay_is_killed_before_the_answer(environment):
    async with environment.relay() as relay:
        environment.connect(relay)
        await environment.bigpanda.start_incident(SHARE)
        await until(lambda: environment.card)
        environment.bigpanda.faults.add(InjectedFault(behaviour=NoAnswer(), method="comment", after_effect=True))
        await environment.submit_comment("failing over")
        await until(lambda: environment.bigpanda.calls_to("comment"))
        await relay.stop(signal.SIGKILL)
    environment.bigpanda.faults.release()
    async with environment.relay() as relay:
        environment.connect(relay)
        await until(lambda: environment.bigpanda.calls_to("activities"))
        await environment.bigpanda.send_share("i1")
        await until(lambda: sum(line.get("event") == "bigpanda_task" for line in relay.logged) >= 1)
    assert environment.comments == ["Ann Lee (Slack): failing over"]
    assert len(environment.bigpanda.calls_to("comment")) == 1


async def test_each_of_several_relays_accepts_clicks_and_the_delivering_one_runs_them(environment):
    with postgresql() as url:
        async with AsyncExitStack() as stack:
            relays = [await stack.enter_async_context(environment.relay(RELAY_DATABASE_URL=url)) for _ in range(3)]
            first = next(each for each in relays if any(line.get("event") == "delivering" for line in each.logged))
            others = [each for each in relays if each is not first]
            environment.connect(others[0])
            await environment.bigpanda.start_incident(SHARE)
            await until(lambda: environment.card)
            assert (await environment.press("assign")).acknowledged
            await until(lambda: "assigned to *Ann Lee*" in environment.card_text())
            # The delivering relay is killed during a comment: the next one searches for it and does not repeat it.
            environment.bigpanda.faults.add(InjectedFault(behaviour=NoAnswer(), method="comment", after_effect=True))
            await environment.submit_comment("failing over")
            await until(lambda: environment.bigpanda.calls_to("comment"))
            await first.stop(signal.SIGKILL)
            end_lease(url)
            await until(lambda: environment.bigpanda.calls_to("activities"))
            assert (await environment.submit_comment("and again")).acknowledged
            await until(lambda: len(environment.comments) == 2)
            assert environment.comments == ["Ann Lee (Slack): failing over", "Ann Lee (Slack): and again"]
            await until(lambda: any("and again" in reply for reply in environment.thread()))


async def test_no_failure_of_an_action_exposes_a_secret_or_the_text_of_a_user(environment):
    reported = {"relay.actions.interaction_handler.NOTIFY_AFTER": 0.05}
    async with environment.relay(AT_ONCE | reported, RELAY_LOG_LEVEL="debug") as relay:
        environment.connect(relay)
        await environment.bigpanda.start_incident(SHARE)
        await until(lambda: environment.card)
        environment.bigpanda.faults.add(InjectedFault(behaviour=DropConnection(), method="comment"))
        await environment.submit_comment(CANARY)
        await until(
            lambda: environment.bigpanda.calls_to("activities") and environment.slack.calls_to("chat.postEphemeral")
        )
        environment.bigpanda.revoke()
        await environment.press("assign")
        await environment.slack.post_as(ANN, CHANNEL, CANARY, environment.card.ts)
        await until(lambda: sum(line.get("reason") == "key_invalid" for line in relay.logged) >= 2)
        await environment.slack.interactivity.post("/slack/actions", CANARY.encode(), {"X-Slack-Signature": SECRET})
        answers = []
        for path in ("/readyz", "/metrics"):
            async with relay.session.get(relay.url + path) as answer:
                answers.append(await answer.text())
        await relay.stop()
    logged = "\n".join(json.dumps(line) for line in environment.logged)
    everything = logged + "".join(answers)
    assert [name for name, secret in SECRETS.items() if secret in everything] == []
    assert CANARY not in everything
    database = (environment.folder / "relay.db").read_bytes().decode("latin-1")
    assert [name for name, secret in SECRETS.items() if secret in database] == []
