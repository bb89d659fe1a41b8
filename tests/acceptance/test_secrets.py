"""Whatever fails, no secret and no alert's text gets out: not in a log, not in an answer, not in a metric."""

import asyncio
import json
import resource
import signal
import sys
from urllib.parse import quote

import pytest

from relay.sandbox.faults import BROKEN_JSON, SERVER_ERROR, ErrorCode, InjectedFault, rate_limited
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.relay_process import environment, failed_start, running

SECRETS = {
    "SLACK_BOT_TOKEN": "xoxb-SECRET-bot-7f3a",
    "SLACK_SIGNING_SECRET": "SECRET-signing-91bd",
    "SLACK_APP_TOKEN": "xapp-SECRET-app-5c20",
    "BIGPANDA_API_KEY": "SECRET-api-44aa",
    "BIGPANDA_APP_KEY": "SECRET-callback-0d17",
    "RELAY_ADMIN_KEY": "SECRET-admin-e8c3",
    "RELAY_WEBHOOK_KEYS": "SECRET-old/+key-12,SECRET-webhook-bb08",
}
KEY = "SECRET-webhook-bb08"
PASSWORD = "SECRET-p@ss/word"
TEXT = "CANARY-text-of-an-alert"
ROUTES = "version: 1\nfallback: C0NOC00001\nroutes: [{name: all, post: [C0ALL00001], template: broken}]\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "templates" / "broken").mkdir(parents=True)
    (tmp_path / "templates" / "broken" / "card.j2").write_text(
        "{% header %}{{ incident.title }}{% endheader %}{% section %}{{ incident.title / 0 }}{% endsection %}"
    )
    return tmp_path


@pytest.fixture
async def slack():
    workspace = FakeSlack(token=SECRETS["SLACK_BOT_TOKEN"])
    workspace.add_channel("C0ALL00001", "all")
    workspace.add_channel("C0NOC00001", "noc")
    async with serve_slack(workspace) as url:
        workspace.url = url
        yield workspace


def leaks(text: str, *more: str) -> list[str]:
    """The secrets that stand in a text, in any spelling."""
    secrets = [each for value in SECRETS.values() for each in value.split(",")] + [PASSWORD, *more]
    return [each for each in secrets if each in text or quote(each, safe="") in text]


def share(incident: str, status: str = "critical") -> bytes:
    alert = {"id": "a1", "status": status, "active": True, "tags": [{"name": "host", "value": TEXT}]}
    alert |= {"primaryProperty": "host"}
    told = {"id": incident, "status": status, "active": True, "alerts": [alert]}
    tags = [{"name": "note", "value": TEXT}]
    return json.dumps({"incident": told, "incidentTags": tags, "metadata": {"comment": TEXT}}).encode()


class Ear:
    """Sends what fails, and keeps every answer with its headers."""

    def __init__(self, relay):
        self.relay = relay
        self.heard: list[str] = []

    async def post(self, body: bytes, **headers: str) -> int:
        given = {"X-Relay-Key": KEY, "X-Relay-Integration": "tests", **headers}
        async with self.relay.session.post(f"{self.relay.url}/shares", data=body, headers=given) as answer:
            self.heard.append(f"{answer.status} {dict(answer.headers)} {await answer.text()}")
            return answer.status

    async def get(self, path: str, **headers: str) -> int:
        async with self.relay.session.get(self.relay.url + path, headers=headers) as answer:
            self.heard.append(f"{answer.status} {dict(answer.headers)} {await answer.text()}")
            return answer.status


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  what is waited for happens in another process
            await asyncio.sleep(0.01)


async def test_nothing_that_fails_tells_a_secret_or_an_alerts_text(folder, slack):
    nowhere = {"BIGPANDA_API_URL": "http://127.0.0.1:9"}
    async with running(folder, slack.url, **SECRETS, **nowhere, RELAY_LOG_LEVEL="debug") as relay:
        ear = Ear(relay)
        # Requests that are refused: a key that is nearly right, in each place where a key can stand.
        assert await ear.post(share("i0"), **{"X-Relay-Key": f"{KEY}x"}) == 401
        assert await ear.post(share("i0"), **{"X-Relay-Key": "", "Authorization": f"Bearer {KEY}x"}) == 401
        assert await ear.get("/incidents/i1", Authorization=f"Bearer {SECRETS['RELAY_ADMIN_KEY']}x") == 401
        assert await ear.get(f"/nowhere/{KEY}") == 404
        # Bodies that are none, and hold a secret.
        for body in (f'{{"{KEY}": {TEXT}'.encode(), json.dumps({"title": TEXT, "key": KEY}).encode(), b"[" * 10_000):
            assert await ear.post(body) == 400
        assert await ear.post(share("i0"), **{"Content-Encoding": "gzip"}) in {202, 400}
        # Slack: down, refusing a payload, too much haste, an answer that is none, a channel that is gone, the token
        # refused; and a template that fails each time.
        slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method="chat.postMessage", times=1))
        assert await ear.post(share("i1")) == 202
        await until(lambda: slack.calls_to("chat.postMessage"))
        for number, wrong in enumerate((ErrorCode("invalid_blocks"), rate_limited(1), BROKEN_JSON)):
            armed = slack.faults.add(InjectedFault(behaviour=wrong, method="chat.postMessage", times=1))
            assert await ear.post(share(f"wrong{number}")) == 202
            await until(lambda armed=armed: armed.applied)
        slack.channel("all").archive()
        assert await ear.post(share("gone")) == 202
        await relay.line("card_diverted")
        slack.channel("all").unarchive()
        await relay.line("searched")
        slack.grants[slack.token].revoked = "token_revoked"
        assert await ear.post(share("i2")) == 202
        assert await ear.post(share("i2", "warning")) == 202
        await relay.line("template_failed")
        # The configuration: a faulty edit.
        (folder / "routes.yaml").write_text("version: 1\nroutes: [{name: all, pots: [C0ALL00001]}]\n")
        relay.process.send_signal(signal.SIGHUP)
        await relay.line("configuration_invalid")
        # The database: a disk without room.
        _, most = resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (1, most))
        assert await ear.post(share("i3")) == 503
        for path in ("/readyz", "/metrics", "/healthz"):
            await ear.get(path)
        resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (most, most))
        await ear.get("/readyz")
        assert await ear.get("/incidents/i1", Authorization=f"Bearer {SECRETS['RELAY_ADMIN_KEY']}") == 200
        whole = ear.heard.pop()
        await ear.get("/metrics")
        await relay.stop()
    logged = "\n".join(json.dumps(line) for line in relay.logged)
    events = {line.get("event") for line in relay.logged}
    assert {
        "request_rejected",
        "share_rejected",
        "share_stored",
        "template_failed",
        "configuration_invalid",
        "share_not_stored",
    } <= events
    assert {"message_rejected", "slack_answered", "channel_rejected", "slack_paused", "searched"} <= events
    assert leaks(logged, TEXT) == []
    assert leaks("\n".join(ear.heard), TEXT) == []
    assert leaks(whole) == []  # an operator with a key reads alerts there, and that is what it is for
    kept = (folder / "relay.db").read_bytes() + b"".join(file.read_bytes() for file in folder.glob("relay.db-*"))
    assert leaks(kept.decode("latin-1").replace(f'"{KEY}"', "")) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RELAY_DATABASE_URL", f"postgresql://relay:{quote(PASSWORD, safe='')}@127.0.0.1:9/relay"),
        ("RELAY_DATABASE_URL", f"mysql://relay:{quote(PASSWORD, safe='')}@127.0.0.1/relay"),
        ("RELAY_DATABASE_URL", f"postgresql://relay:{PASSWORD}@127.0.0.1:x/relay"),
        ("BIGPANDA_APP_KEY", "one=SECRET-callback-0d17,SECRET-callback-0d17"),
        ("RELAY_WEBHOOK_KEYS", "SECRET-webhook-bb08,,"),
        ("SLACK_BOT_TOKEN_FILE", "/nowhere"),
    ],
)
async def test_a_relay_that_refuses_to_start_tells_no_secret_either(folder, name, value):
    _, said = await failed_start(folder, **SECRETS | {name: value, "RELAY_LISTEN": "127.0.0.1:99999"})
    assert said
    assert leaks(said) == []


@pytest.mark.parametrize(
    "command",
    [("doctor",), ("letters",), ("incident", "i1"), ("backup", "copy.db"), ("backtest", "--routes", "routes.yaml")],
    ids=" ".join,
)
async def test_a_command_that_fails_tells_no_secret_either(folder, slack, command):
    """The database is not there, Slack knows another token, BigPanda is not reached: each says so in its own words."""
    found = environment(
        folder,
        slack.url,
        **SECRETS
        | {
            "SLACK_BOT_TOKEN": "xoxb-SECRET-another-11aa",
            "RELAY_DATABASE_URL": f"postgresql://relay:{quote(PASSWORD, safe='')}@127.0.0.1:9/relay",
            "BIGPANDA_API_URL": "http://127.0.0.1:9",
        },
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "relay", *command),
        env=found,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert process.returncode in {1, 2}, said
    assert said
    assert leaks(said.decode(), "xoxb-SECRET-another-11aa") == []
