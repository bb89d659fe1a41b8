"""No failure writes a secret or the text of an alert into a log, an answer or a metric."""

import asyncio
import json
import re
import resource
import signal
from urllib.parse import quote

import pytest

from relay.sandbox.faults import BROKEN_JSON, SERVER_ERROR, ErrorCode, InjectedFault, rate_limited
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.forked_relay import fork
from tests.support.intervals import intervals
from tests.support.relay_process import TIMEOUT, environment, failed_start, running, until

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
PASSWORD = "SECRET-head@SECRET-middle/SECRET-tail"
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
    """Return the secrets that a text contains, plain or URL-encoded."""
    secrets = [each for value in SECRETS.values() for each in value.split(",")] + [PASSWORD, *more]
    pieces = [*secrets, *re.split("[@/]", PASSWORD)]
    return [each for each in pieces if each in text or quote(each, safe="") in text]


def share(incident: str, status: str = "critical") -> bytes:
    alert = {"id": "a1", "status": status, "active": True, "tags": [{"name": "host", "value": TEXT}]}
    alert |= {"primaryProperty": "host"}
    fields = {"id": incident, "status": status, "active": True, "alerts": [alert]}
    tags = [{"name": "note", "value": TEXT}]
    return json.dumps({"incident": fields, "incidentTags": tags, "metadata": {"comment": TEXT}}).encode()


class Recorder:
    """Sends requests, and keeps every answer with its headers."""

    def __init__(self, relay):
        self.relay = relay
        self.answers: list[str] = []

    async def post(self, body: bytes, **headers: str) -> int:
        sent_headers = {"X-Relay-Key": KEY, "X-Relay-Integration": "tests", **headers}
        async with self.relay.session.post(f"{self.relay.url}/shares", data=body, headers=sent_headers) as answer:
            self.answers.append(f"{answer.status} {dict(answer.headers)} {await answer.text()}")
            return answer.status

    async def get(self, path: str, **headers: str) -> int:
        async with self.relay.session.get(self.relay.url + path, headers=headers) as answer:
            self.answers.append(f"{answer.status} {dict(answer.headers)} {await answer.text()}")
            return answer.status


async def test_no_failure_exposes_a_secret_or_the_text_of_an_alert(folder, slack):
    nowhere = {"BIGPANDA_API_URL": "http://127.0.0.1:9"}
    soon = intervals({"relay.cards.recovery.FIRST_SEARCH_AFTER": 0.05})
    async with running(folder, slack.url, prepare=soon, **SECRETS, **nowhere, RELAY_LOG_LEVEL="debug") as relay:
        recorder = Recorder(relay)
        # Rejected requests: an almost correct key, in each place for a key.
        assert await recorder.post(share("i0"), **{"X-Relay-Key": f"{KEY}x"}) == 401
        assert await recorder.post(share("i0"), **{"X-Relay-Key": "", "Authorization": f"Bearer {KEY}x"}) == 401
        assert await recorder.get("/incidents/i1", Authorization=f"Bearer {SECRETS['RELAY_ADMIN_KEY']}x") == 401
        assert await recorder.get(f"/nowhere/{KEY}") == 404
        # Invalid bodies that contain a secret.
        for body in (f'{{"{KEY}": {TEXT}'.encode(), json.dumps({"title": TEXT, "key": KEY}).encode(), b"[" * 10_000):
            assert await recorder.post(body) == 400
        assert await recorder.post(share("i0"), **{"Content-Encoding": "gzip"}) in {202, 400}
        # Slack: an outage, a rejected payload, a rate limit, an invalid answer, an archived channel, a revoked token;
        # and a template that fails each time.
        slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method="chat.postMessage", times=1))
        assert await recorder.post(share("i1")) == 202
        await until(lambda: slack.calls_to("chat.postMessage"))
        for number, behaviour in enumerate((ErrorCode("invalid_blocks"), rate_limited(1), BROKEN_JSON)):
            fault = slack.faults.add(InjectedFault(behaviour=behaviour, method="chat.postMessage", times=1))
            assert await recorder.post(share(f"wrong{number}")) == 202
            await until(lambda fault=fault: fault.applied)
        slack.channel("all").archive()
        assert await recorder.post(share("gone")) == 202
        await relay.line("card_diverted")
        slack.channel("all").unarchive()
        await relay.line("searched")
        slack.grants[slack.token].revoked = "token_revoked"
        assert await recorder.post(share("i2")) == 202
        assert await recorder.post(share("i2", "warning")) == 202
        await relay.line("template_failed")
        # The configuration: a faulty edit.
        (folder / "routes.yaml").write_text("version: 1\nroutes: [{name: all, pots: [C0ALL00001]}]\n")
        relay.process.send_signal(signal.SIGHUP)
        await relay.line("configuration_invalid")
        # The database: a full disk.
        _, hard_limit = resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (1, hard_limit))
        assert await recorder.post(share("i3")) == 503
        for path in ("/readyz", "/metrics", "/healthz"):
            await recorder.get(path)
        resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (hard_limit, hard_limit))
        await recorder.get("/readyz")
        assert await recorder.get("/incidents/i1", Authorization=f"Bearer {SECRETS['RELAY_ADMIN_KEY']}") == 200
        incident_answer = recorder.answers.pop()
        await recorder.get("/metrics")
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
    assert leaks("\n".join(recorder.answers), TEXT) == []
    assert leaks(incident_answer) == []  # an operator with the admin key may read the alerts there
    database = (folder / "relay.db").read_bytes() + b"".join(file.read_bytes() for file in folder.glob("relay.db-*"))
    assert leaks(database.decode("latin-1").replace(f'"{KEY}"', "")) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RELAY_DATABASE_URL", f"postgresql://relay:{quote(PASSWORD, safe='')}@127.0.0.1:9/relay"),
        ("RELAY_DATABASE_URL", f"mysql://relay:{quote(PASSWORD, safe='')}@127.0.0.1/relay"),
        ("RELAY_DATABASE_URL", f"postgresql://relay:{PASSWORD}@127.0.0.1:x/relay"),
        ("RELAY_DATABASE_URL", f"postgres://relay@127.0.0.1:9/relay?sslpassword={quote(PASSWORD, safe='')}"),
        ("RELAY_DATABASE_URL", f"postgres://relay@127.0.0.1:9/relay?pasword={quote(PASSWORD, safe='')}"),
        ("BIGPANDA_APP_KEY", "one=SECRET-callback-0d17,SECRET-callback-0d17"),
        ("RELAY_WEBHOOK_KEYS", "SECRET-webhook-bb08,,"),
        ("SLACK_BOT_TOKEN_FILE", "/nowhere"),
    ],
)
async def test_a_failed_start_exposes_no_secret(folder, name, value):
    _, output = await failed_start(folder, **SECRETS | {name: value, "RELAY_LISTEN": "127.0.0.1:99999"})
    assert output
    assert leaks(output) == []


URL = "postgresql://relay:{}@127.0.0.1:9/relay"
QUERY = "postgres://127.0.0.1:8,127.0.0.1:9/relay?user=relay&password={}"


@pytest.mark.parametrize(
    ("command", "url"),
    [
        (("doctor",), QUERY),
        (("letters",), URL),
        (("incident", "i1"), QUERY),
        (("backup", "copy.db"), URL),
        (("backtest", "--routes", "routes.yaml"), QUERY),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_a_failed_command_exposes_no_secret(folder, slack, command, url):
    """The database is missing, Slack has another token, BigPanda is unreachable: each has its own error message."""
    variables = environment(
        folder,
        slack.url,
        **SECRETS
        | {
            "SLACK_BOT_TOKEN": "xoxb-SECRET-another-11aa",
            "RELAY_DATABASE_URL": url.format(quote(PASSWORD, safe="")),
            "BIGPANDA_API_URL": "http://127.0.0.1:9",
        },
    )
    process = await fork(command, variables, folder, stdout=True)
    async with asyncio.timeout(TIMEOUT):
        _, output = await process.communicate()
    assert process.returncode in {1, 2}, output
    assert output
    assert leaks(output.decode(), "xoxb-SECRET-another-11aa") == []
