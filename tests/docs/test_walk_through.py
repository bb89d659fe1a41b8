"""The walk-through of docs/setup.md works as it stands: its commands are run as a new user pastes them."""

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from relay.cli.sandbox import DEFAULT_BIGPANDA_PORT, DEFAULT_RELAY, DEFAULT_SANDBOX
from relay.config.settings import Settings
from relay.sandbox.bigpanda.server import FakeBigPanda
from relay.sandbox.guide import SandboxGuide
from relay.sandbox.slack.server import FakeSlack

SETUP = (Path(__file__).parents[2] / "docs" / "setup.md").read_text(encoding="utf-8")
SECTION = SETUP.partition("\n## Try it in the sandbox\n")[2].partition("\n## ")[0]
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"^ *```sh\n(.*?)^ *```$", SECTION, re.MULTILINE | re.DOTALL)]
SLACK_PORT = DEFAULT_SANDBOX.rpartition(":")[2]
RELAY_PORT = DEFAULT_RELAY.rpartition(":")[2]


def test_the_documented_settings_equal_those_that_the_sandbox_prints():
    guide = SandboxGuide(
        slack=FakeSlack(),
        slack_url=f"http://{DEFAULT_SANDBOX}/api/",
        bigpanda=FakeBigPanda(),
        bigpanda_url=f"http://127.0.0.1:{DEFAULT_BIGPANDA_PORT}",
        relay_url=DEFAULT_RELAY,
    )
    assert dict(re.findall(r"^export (\w+)=(.*)$", BLOCKS[2], re.MULTILINE)) == guide.settings
    assert f"{DEFAULT_RELAY}/shares" in BLOCKS[3]
    assert f"http://{DEFAULT_SANDBOX}/" in SECTION


class Terminals:
    """Terminals in one new folder with an empty home. The ports are free ones, in place of the documented ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        home = folder / "home"
        home.mkdir()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
        with ExitStack() as stack:
            probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
            self.slack, self.bigpanda, self.relay = (probe.getsockname()[1] for probe in probes)
        self.environment = {**kept, "PATH": path, "HOME": str(home), "RELAY_LISTEN": f"127.0.0.1:{self.relay}"}

    def _command(self, block: str) -> str:
        moved = f"--listen 127.0.0.1:{self.slack} --bigpanda-port {self.bigpanda} --relay http://127.0.0.1:{self.relay}"
        ports = {SLACK_PORT: self.slack, str(DEFAULT_BIGPANDA_PORT): self.bigpanda, RELAY_PORT: self.relay}
        for documented, port in ports.items():
            block = block.replace(f"127.0.0.1:{documented}", f"127.0.0.1:{port}")
        return "set -e\n" + block.replace("relay sandbox", f"exec relay sandbox {moved}").replace(
            "relay serve", "exec relay serve"
        )

    def run(self, block: str) -> str:
        """Run commands that end."""
        return subprocess.run(
            ["bash", "-c", self._command(block)],
            cwd=self.folder,
            env=self.environment,
            text=True,
            check=True,
            timeout=60,
            capture_output=True,
        ).stdout

    @contextmanager
    def running(self, block: str, ready: str) -> Iterator[None]:
        """Run commands whose last one goes on, until its address answers."""
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(
                ["bash", "-c", self._command(block)], cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        try:
            until(lambda: process.poll() is not None or answers(ready))
            assert process.poll() is None, (self.folder / "log").read_text()
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


def until(condition: Callable[[], object]) -> None:
    """Wait until it holds; a process of its own gives no other signal."""
    end = time.monotonic() + 120  # doctor asks Slack about every message, within the rate limit
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=100):
            return True
    except (urllib.error.URLError, OSError):
        return False


def messages(page: str) -> list[dict]:
    """The messages that the page shows."""
    with urllib.request.urlopen(f"{page}events", timeout=100) as stream:
        for line in stream:
            if line == b"event: messages\n":
                return json.loads(stream.readline().removeprefix(b"data: "))
            if line == b"event: views\n":
                return []
    return []


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=100) as answer:
        return json.load(answer)


@pytest.mark.soak
def test_the_documented_commands_lead_from_nothing_to_cards_with_working_buttons(tmp_path):
    terminals = Terminals(tmp_path)
    page, relay = f"http://127.0.0.1:{terminals.slack}/", f"http://127.0.0.1:{terminals.relay}"
    init, sandbox, serve, first_share, resolution = BLOCKS

    def cards(word: str) -> list[dict]:
        return [each for each in messages(page) if each["thread"] is None and word in json.dumps(each)]

    terminals.run(init)
    routes = tmp_path / "routes.yaml"
    [shown] = re.findall(r"```yaml\n(.*?)^ *```$", SECTION, re.MULTILINE | re.DOTALL)
    routes.write_text(routes.read_text().replace("defaults:\n", textwrap.dedent(shown)))
    assert yaml.safe_load(routes.read_text())["defaults"]["actions"]
    terminals.run("relay check --strict && relay test")
    with terminals.running(sandbox, page), terminals.running(serve, f"{relay}/readyz"):
        assert "0 errors, 0 warnings" in (tmp_path / "log").read_text()
        assert json.loads(terminals.run(first_share))["routes"] == ["payments-critical", "everything"]
        until(lambda: len(cards("relay_assign")) == 2)
        card = cards("97 %")[0]
        click = {"user": "U0SANDBOX1", "channel": card["channel"], "ts": card["ts"], "action": "relay_assign"}
        assert post(f"{page}actions/click", click)["acknowledged"] is True
        until(lambda: sum("Assigned to" in json.dumps(each) for each in messages(page) if each["thread"]) == 2)
        terminals.run(resolution)
        until(lambda: len(cards("Resolved")) == 2)


def test_the_walk_through_names_no_setting_that_relay_does_not_know():
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert set(re.findall(r"\b(?:RELAY|SLACK|BIGPANDA)_[A-Z_]+\b", SECTION)) <= known
