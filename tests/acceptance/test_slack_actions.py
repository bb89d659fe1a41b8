"""A relay process with a fake Slack and BigPanda: clicks, modals and replies, over HTTP and over Socket Mode."""

import asyncio
import json
import signal
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from relay.sandbox.bigpanda.server import FakeBigPanda, serve_bigpanda
from relay.sandbox.bigpanda.users import FakeBigPandaUser
from relay.sandbox.faults import DropConnection, InjectedFault, NoAnswer
from relay.sandbox.slack.interactivity import RequestUrl, signature_headers
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.postgres import postgresql
from tests.support.relay_process import KEY, Process, running

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


class Surroundings:
    """Slack and BigPanda, and the relays that stand between them."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "routes.yaml").write_text(ROUTES)
        self.slack = FakeSlack(token=SECRETS["SLACK_BOT_TOKEN"])
        self.slack.add_channel(CHANNEL, "db")
        self.slack.add_user(ANN, "Ann Lee", email="ann@example.com", channels=[CHANNEL])
        self.panda = FakeBigPanda(key=SECRETS["BIGPANDA_API_KEY"])
        self.panda.add_user(FakeBigPandaUser(id="5506e4fbe7e0e400000000a1", name="Ann Lee", email="ann@example.com"))
        self.logged = []

    @asynccontextmanager
    async def relay(self, **more):
        async with running(self.folder, self.slack_at, **SECRETS, BIGPANDA_API_URL=self.panda_at, **more) as relay:
            try:
                yield relay
            finally:
                self.logged += relay.logged

    def between(self, relay: Process) -> None:
        """Clicks and shares go to this relay."""
        self.slack.interactivity = RequestUrl(relay.url, SECRET)
        self.panda.integrations.clear()
        self.panda.add_integration(f"{relay.url}/shares", {"X-Relay-Key": KEY}, app_key=SECRETS["BIGPANDA_APP_KEY"])

    @property
    def card(self):
        return next((each for each in self.slack.channel(CHANNEL).messages if each.metadata), None)

    def face(self) -> str:
        return self.slack.text_of(self.card) if self.card else ""

    def thread(self) -> list[str]:
        said = self.slack.channel(CHANNEL).thread(self.card.ts)
        return [self.slack.text_of(each) for each in said if each.metadata]

    async def press(self, action: str):
        return await self.slack.click(ANN, CHANNEL, self.card.ts, f"relay_{action}")

    async def write(self, text: str):
        await self.press("comment")
        await until(lambda: self.slack.open_views(ANN))
        return await self.slack.submit(ANN, self.slack.open_views(ANN)[-1], {"text": text})

    @property
    def comments(self) -> list[str]:
        return self.panda.incident("i1").comments


async def until(condition, seconds=60.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  what happens in another process rings no bell here
            await asyncio.sleep(0.02)


@pytest.fixture
async def around(tmp_path):
    made = Surroundings(tmp_path)
    async with AsyncExitStack() as stack:
        made.slack_at = await stack.enter_async_context(serve_slack(made.slack))
        made.panda_at = await stack.enter_async_context(serve_bigpanda(made.panda))
        yield made
        made.slack.faults.release()
        made.panda.faults.release()


async def test_a_click_goes_round_the_whole_circle(around):
    async with around.relay() as relay:
        around.between(relay)
        await around.panda.start_incident(SHARE)
        await until(lambda: around.card and around.panda.calls_to("callback"))
        assert (await around.press("assign")).acknowledged
        await until(lambda: "assigned to *Ann Lee*" in around.face() and around.thread())
        assert (await around.write("failing over")).acknowledged
        await until(lambda: any("failing over" in told for told in around.thread()))
        await around.press("resolve")
        await until(lambda: around.slack.open_views(ANN))
        await around.slack.submit(ANN, around.slack.open_views(ANN)[-1], {"text": "done"})
        await until(lambda: "✅" in around.face() and any("Resolved by" in told for told in around.thread()))
        assert around.comments == ["Ann Lee (Slack): failing over"]
        assert len(around.slack.channel(CHANNEL).messages) == 1
        assert [call.took_effect for call in around.panda.calls_to("callback")] == [True]


async def test_what_slack_did_not_sign_just_now_does_nothing(around):
    async with around.relay() as relay:
        around.between(relay)
        await around.panda.start_incident(SHARE)
        await until(lambda: around.card)
        delivery = await around.press("comment")  # opens a modal, and nothing else
        await until(lambda: around.slack.open_views(ANN))
        way = around.slack.interactivity
        form = b"payload=" + json.dumps(delivery.payload).encode()
        typed = {"Content-Type": "application/x-www-form-urlencoded"}
        now = around.slack.now()
        forged = [
            {},
            signature_headers("another secret", form, now),
            signature_headers(SECRET, form, now - 301),
            signature_headers(SECRET, form, now + 301),
            signature_headers(SECRET, form + b" ", now),
            {"X-Slack-Request-Timestamp": "soon", "X-Slack-Signature": "v0=é"},
        ]
        for headers in forged:
            answered = await way.send("/slack/actions", form, {**typed, **headers})
            assert answered.status == 401, headers
        await around.press("assign")
        await until(lambda: around.panda.calls_to("assign"))
        assert len(around.panda.calls_to("assign")) == 1


async def test_a_click_that_was_acknowledged_survives_a_kill(around):
    async with around.relay() as relay:
        around.between(relay)
        await around.panda.start_incident(SHARE)
        await until(lambda: around.card)
        around.panda.pause("users", 3600)  # so that it cannot be done yet
        assert (await around.press("assign")).acknowledged
        await relay.stop(signal.SIGKILL)
    around.panda.pause("users", 0)
    async with around.relay() as relay:
        around.between(relay)
        await until(lambda: "assigned to *Ann Lee*" in around.face())
        assert len([call for call in around.panda.calls_to("assign") if call.took_effect]) == 1


async def test_a_comment_is_there_once_though_relay_is_killed_before_it_hears_so(around):
    async with around.relay() as relay:
        around.between(relay)
        await around.panda.start_incident(SHARE)
        await until(lambda: around.card)
        around.panda.faults.add(InjectedFault(behaviour=NoAnswer(), method="comment", after_effect=True))
        await around.write("failing over")
        await until(lambda: around.panda.calls_to("comment"))
        await relay.stop(signal.SIGKILL)
    around.panda.faults.release()
    async with around.relay() as relay:
        around.between(relay)
        await until(lambda: around.panda.calls_to("activities"))
        await around.panda.send_share("i1")
        await until(lambda: sum(line.get("event") == "bigpanda_task" for line in relay.logged) >= 1)
    assert around.comments == ["Ann Lee (Slack): failing over"]
    assert len(around.panda.calls_to("comment")) == 1


async def test_of_several_relays_each_takes_clicks_and_the_one_that_delivers_does_them(around):
    with postgresql() as url:
        async with AsyncExitStack() as stack:
            relays = [await stack.enter_async_context(around.relay(RELAY_DATABASE_URL=url)) for _ in range(3)]
            first = next(each for each in relays if any(line.get("event") == "delivering" for line in each.logged))
            others = [each for each in relays if each is not first]
            around.between(others[0])
            await around.panda.start_incident(SHARE)
            await until(lambda: around.card)
            assert (await around.press("assign")).acknowledged
            await until(lambda: "assigned to *Ann Lee*" in around.face())
            # The one that delivers is killed in the middle of a comment: the next one looks for it, and doubles none.
            around.panda.faults.add(InjectedFault(behaviour=NoAnswer(), method="comment", after_effect=True))
            await around.write("failing over")
            await until(lambda: around.panda.calls_to("comment"))
            await first.stop(signal.SIGKILL)
            await until(lambda: around.panda.calls_to("activities"))
            assert (await around.write("and again")).acknowledged
            await until(lambda: len(around.comments) == 2)
            assert around.comments == ["Ann Lee (Slack): failing over", "Ann Lee (Slack): and again"]
            await until(lambda: any("and again" in told for told in around.thread()))


async def test_nothing_that_fails_both_ways_tells_a_secret_or_a_persons_words(around):
    async with around.relay(RELAY_LOG_LEVEL="debug") as relay:
        around.between(relay)
        await around.panda.start_incident(SHARE)
        await until(lambda: around.card)
        around.panda.faults.add(InjectedFault(behaviour=DropConnection(), method="comment"))
        await around.write(CANARY)
        await until(lambda: len(around.panda.calls_to("activities")) >= 1)
        around.panda.revoke()
        await around.press("assign")
        await around.slack.post_as(ANN, CHANNEL, CANARY, around.card.ts)
        await until(lambda: sum(line.get("reason") == "key_invalid" for line in relay.logged) >= 2)
        await around.slack.interactivity.send("/slack/actions", CANARY.encode(), {"X-Slack-Signature": SECRET})
        heard = []
        for path in ("/readyz", "/metrics"):
            async with relay.session.get(relay.url + path) as answer:
                heard.append(await answer.text())
        await relay.stop()
    logged = "\n".join(json.dumps(line) for line in around.logged)
    everything = logged + "".join(heard)
    assert [name for name, secret in SECRETS.items() if secret in everything] == []
    assert CANARY not in everything
    kept = (around.folder / "relay.db").read_bytes().decode("latin-1")
    assert [name for name, secret in SECRETS.items() if secret in kept] == []
