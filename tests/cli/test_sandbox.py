"""`relay sandbox`: what it makes, prints and serves."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from relay.cli import app, sandbox_server
from relay.cli.demo import DEFAULT_DEMO
from relay.cli.sandbox import DEFAULT_BIGPANDA_PORT, DEFAULT_RELAY, DEFAULT_SANDBOX
from relay.config.settings import Settings
from relay.sandbox.bigpanda.server import FakeBigPanda
from relay.sandbox.guide import SandboxGuide
from relay.sandbox.slack.server import FakeSlack


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """An environment without any of relay's variables."""
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--listen", "8090"), "--listen: It is '8090'; expected host:port"),
        (("--listen", "192.0.2.1:8090"), "--listen: Cannot listen on 192.0.2.1:8090"),
        (("--channel", "No Name"), "--channel: 'No Name' is not a channel; expected"),
        (("--channel", "noc=no-id"), "--channel: 'noc=no-id' is not a channel; expected"),
        (("--channel", "noc", "--channel", "noc=C012345"), "--channel: 'noc=C012345' exists already."),
        (("--channel", "a=C012345", "--channel", "b=C012345"), "--channel: 'b=C012345' exists already."),
        (("--group", "dba=C012345"), "--group: 'dba=C012345' is not a user group; expected"),
        (("--group", "dba", "--group", "dba"), "--group: 'dba' exists already."),
    ],
)
def test_the_sandbox_reports_an_invalid_option(arguments, message):
    result = run("sandbox", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(re.sub(r"[│\n]", " ", result.stderr).split())


def call_slack(base: str, token: str, method: str, **arguments: str) -> dict:
    request = urllib.request.Request(f"{base}{method}", data=json.dumps(arguments).encode(), method="POST")
    request.add_header("Authorization", f"Bearer {token}")
    request.add_header("Content-Type", "application/json; charset=utf-8")
    with urllib.request.urlopen(request, timeout=100) as answer:
        return json.load(answer)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_prints_relays_settings_and_serves_until_it_is_stopped(end):
    command = [sys.executable, "-m", "relay", "sandbox", "--listen", "127.0.0.1:0", "--bigpanda-port", "0"]
    command += ["--rate-limits", "--channel", "noc=C0123456789", "--channel", "#payments"]
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        try:
            lines = list(iter(lambda: process.stdout.readline().strip(), "Ctrl-C stops the sandbox."))
            exports = [line.removeprefix("export ") for line in lines if line.startswith("export ")]
            settings = dict(export.split("=", 1) for export in exports)
            base, token = settings["SLACK_API_URL"], settings["SLACK_BOT_TOKEN"]
            page = lines[-1].removeprefix("Look at the page: ")
            with urllib.request.urlopen(page, timeout=100) as shown:
                assert b"relay sandbox" in shown.read()
            assert {"C0123456789  #noc", "C0SANDBOX2  #payments"} <= set(lines)
            assert call_slack(base, token, "auth.test")["ok"] is True
            assert call_slack(base, settings["SLACK_APP_TOKEN"], "apps.connections.open")["ok"] is True
            assert call_slack(base, token, "users.info", user="U0SANDBOX1")["user"]["name"] == "ann"
            assert call_slack(base, token, "conversations.join", channel="C0123456789")["ok"] is True
            posted = call_slack(base, token, "chat.postMessage", channel="C0123456789", text="hello")
            assert posted["ok"] is True
            asked = urllib.request.Request(
                settings["BIGPANDA_API_URL"] + "/resources/v2.0/incidents/tags/definitions",
                headers={"Authorization": f"Bearer {settings['BIGPANDA_API_KEY']}"},
            )
            with urllib.request.urlopen(asked, timeout=100) as defined:
                assert b"Priority" in defined.read()
            where = urlsplit(base)
            half = stack.enter_context(socket.create_connection((where.hostname, where.port)))
            half.sendall(b"POST /api/auth.test HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf a requ")
        finally:
            process.send_signal(end)
        assert process.wait(timeout=50) == 0
        assert process.stderr.read() == ""


NAMING_ROUTES = """\
version: 1
channels: {noc: C0123456789, payments: "#payments-oncall", Odd: C0ODD00001}
people: {payments-oncall: S0123456789, "Dana Levi": U0123456789}
fallback: noc
routes:
  - name: payments
    match: {tags: {team: payments}}
    post:
      - {channel: payments, mention: {critical: [payments-oncall, "Dana Levi"]}}
      - {channel: Odd}
      - {channel: "#inc-{{ tags.team }}"}
    actors: [S0ACTORS01]
"""


@pytest.fixture
def filled(monkeypatch, tmp_path):
    """Run the command without serving, and return the workspace and the organisation that it would serve."""
    served = []

    async def serve(*arguments):
        served.extend(arguments)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sandbox_server, "_serve", serve)

    def fill(*arguments):
        assert run("sandbox", *arguments).exit_code == 0
        return served[:2]

    return fill


def test_everything_that_the_routes_name_exists_in_the_sandbox(filled, tmp_path):
    (tmp_path / "routes.yaml").write_text(NAMING_ROUTES)
    slack, bigpanda = filled("--channel", "inc-web", "--group", "dba=S0ACTORS01")
    assert {(each.id, each.name) for each in slack.channels.values()} == {
        ("C0SANDBOX1", "inc-web"),
        ("C0123456789", "noc"),
        ("C0SANDBOX3", "payments-oncall"),
        ("C0ODD00001", "odd"),
    }
    groups = {each.id: (each.handle, each.users) for each in slack.usergroups.values()}
    assert groups == {"S0ACTORS01": ("dba", ["U0SANDBOX1"]), "S0123456789": ("payments-oncall", ["U0SANDBOX1"])}
    assert slack.users["U0123456789"].name == "u0123456789"
    assert set(slack.users) == {"U0SANDBOX1", "U0SANDBOX2", "U0123456789"} < set(bigpanda.users)


def test_ann_in_the_routes_is_the_ann_of_the_sandbox(filled, tmp_path, monkeypatch):
    (tmp_path / "routes.yaml").write_text(
        """\
version: 1
people: {ann: U0ANNLEE01, db-oncall: S0DBONCALL1}
routes:
  - name: databases
    post: [{channel: "#db", mention: {critical: [ann, db-oncall]}}]
"""
    )
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    slack, bigpanda = filled()
    assert {name: (each.name, each.timezone) for name, each in slack.users.items()} == {
        "U0ANNLEE01": ("ann", "Asia/Tokyo"),
        "U0SANDBOX2": ("ben", "Asia/Tokyo"),
    }
    assert slack.usergroups["S0DBONCALL1"].users == ["U0ANNLEE01"]
    assert "U0SANDBOX1" not in bigpanda.users


def test_without_routes_the_sandbox_has_a_channel_and_a_group_to_try(filled):
    slack, _ = filled()
    assert [each.name for each in slack.channels.values()] == ["alerts"]
    assert [each.handle for each in slack.usergroups.values()] == ["oncall"]


def test_the_sandbox_prints_no_key_of_the_environment():
    slack, bigpanda = FakeSlack(), FakeBigPanda()
    urls = {"slack_url": "http://s/api/", "bigpanda_url": "http://b", "relay_url": "http://r"}
    guide = SandboxGuide(slack=slack, bigpanda=bigpanda, **urls, webhook_key="", admin_key="")
    assert {"RELAY_WEBHOOK_KEYS", "RELAY_ADMIN_KEY"}.isdisjoint(guide.settings)
    assert "YOUR-WEBHOOK-KEY" in guide.curl


def test_the_demo_and_the_sandbox_do_not_share_a_default_port():
    ports = [int(DEFAULT_DEMO.rpartition(":")[2]), int(DEFAULT_SANDBOX.rpartition(":")[2]), DEFAULT_BIGPANDA_PORT]
    ports.append(Settings.from_env({}).listen.port)
    assert len(set(ports)) == len(ports)
    assert urlsplit(DEFAULT_RELAY).port == Settings.from_env({}).listen.port
