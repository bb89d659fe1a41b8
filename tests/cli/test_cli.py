"""The command line."""

import asyncio
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import types
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
import structlog
from typer.testing import CliRunner

from relay import __version__
from relay.cli import app, loop
from relay.config.settings import Settings
from relay.model.errors import ConfigurationError, Fault, SettingsError, StoreInUse

SERVING = {"SLACK_BOT_TOKEN": "xoxb-hush", "RELAY_WEBHOOK_KEYS": "hush-hush", "RELAY_LOG_FORMAT": "json"}


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    before = structlog.get_config()
    root, ours = logging.getLogger(), logging.getLogger("relay")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)
    logging.captureWarnings(capture=False)


@pytest.fixture
def environment(monkeypatch) -> pytest.MonkeyPatch:
    """An environment without any of relay's variables."""
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    return monkeypatch


class House:
    """Stands for relay's wiring: takes the settings, and ends as it is told to."""

    def __init__(self) -> None:
        self.served: list[Settings] = []
        self.loop: type | None = None
        self.raises: BaseException | None = None

    async def serve(self, settings: Settings) -> None:
        self.served.append(settings)
        self.loop = type(asyncio.get_running_loop())
        structlog.get_logger("relay.house").info("serving", token=settings.required_bot_token)
        if self.raises is not None:
            raise self.raises


@pytest.fixture
def house(environment) -> House:
    house = House()
    module = types.ModuleType("relay.app")
    module.serve = house.serve
    environment.setitem(sys.modules, "relay.app", module)
    for name, value in SERVING.items():
        environment.setenv(name, value)
    return house


def run(*arguments: str):
    return CliRunner().invoke(app, arguments)


def test_the_version_is_printed_and_nothing_else():
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"relay {__version__}\n")


def test_help_names_every_command():
    result = run("--help")
    assert result.exit_code == 0
    for command in ("serve", "sandbox"):
        assert re.search(rf"^\W*{command}\b", result.stdout, re.MULTILINE)
    assert run("-h").stdout == result.stdout


@pytest.mark.parametrize("command", ["serve", "sandbox"])
def test_every_command_has_a_help_of_its_own(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Usage: relay {command}" in result.stdout


@pytest.mark.parametrize("arguments", [(), ("dance",), ("--loud",), ("serve", "--loud"), ("sandbox", "x")])
def test_what_is_no_command_is_a_usage_error(arguments):
    assert run(*arguments).exit_code == 2


def test_serve_hands_the_environment_s_settings_to_the_house(house):
    result = run("serve")
    assert (result.exit_code, result.stdout) == (0, "")
    assert house.served == [Settings.from_env(SERVING)]


def test_serve_logs_as_the_settings_say_and_hides_the_secrets(house):
    result = run("serve")
    event = json.loads(result.stderr)
    assert (event["event"], event["token"]) == ("serving", "[hidden]")


def test_serve_runs_in_the_faster_loop_where_it_is_installed(house, monkeypatch):
    run("serve")
    assert house.loop.__module__.startswith("uvloop")
    monkeypatch.setitem(sys.modules, "uvloop", None)  # as where it is not installed
    run("serve")
    assert house.loop.__module__.startswith("asyncio")


@pytest.mark.parametrize("missing", ["SLACK_BOT_TOKEN", "RELAY_WEBHOOK_KEYS"])
def test_serve_refuses_in_one_sentence_without_what_it_needs(house, environment, missing):
    environment.delenv(missing)
    result = run("serve")
    assert (result.exit_code, result.stdout, house.served) == (2, "", [])
    assert result.stderr.startswith(f"relay: To serve, relay needs {missing}")
    assert result.stderr.count("\n") == 1


def test_serve_names_every_wrong_variable(house, environment):
    environment.setenv("RELAY_LISTEN", "nowhere")
    environment.setenv("RELAY_LOG_LEVEL", "loud")
    result = run("serve")
    assert result.exit_code == 2
    assert "RELAY_LISTEN is 'nowhere'" in result.stderr
    assert "RELAY_LOG_LEVEL is 'loud'" in result.stderr


ONE = StoreInUse("Another relay holds relay.db; stop it first.")
FAULTS = ConfigurationError([Fault(file="routes.yaml", line=3, column=5, message="no such channel")])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ONE, f"relay: {ONE}\n"),
        (FAULTS, "relay: routes.yaml:3:5: no such channel\n"),
        (ExceptionGroup("tasks", [ONE]), f"relay: {ONE}\n"),
        (
            ExceptionGroup("tasks", [ONE, ExceptionGroup("inner", [SettingsError("And so on.")])]),
            f"relay: {ONE}\nrelay: And so on.\n",
        ),
    ],
)
def test_an_error_raised_on_purpose_is_its_sentence_and_exit_code_2(house, error, told):
    house.raises = error
    result = run("serve")
    assert result.exit_code == 2
    assert result.stderr.split("\n", 1)[1] == told  # after the one event of the log
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("nobody thought of it"), ExceptionGroup("g", [ONE, KeyError("x")])]
)
def test_an_unexpected_error_is_shown_whole(house, error):
    house.raises = error
    result = run("serve")
    assert result.exit_code == 1
    assert result.exception is error


def test_the_loop_gives_an_error_on_as_it_is():
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop.run(fail())


# --- the sandbox ---


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--listen", "8090"), "--listen: It is '8090'; expected host:port"),
        (("--listen", "192.0.2.1:8090"), "--listen: Cannot listen on 192.0.2.1:8090"),
        (("--channel", "No Name"), "--channel: 'No Name' is no channel; expected"),
        (("--channel", "noc=no-id"), "--channel: 'noc=no-id' is no channel; expected"),
        (("--channel", "noc", "--channel", "noc=C012345"), "--channel: 'noc=C012345' is there already."),
        (("--channel", "a=C012345", "--channel", "b=C012345"), "--channel: 'b=C012345' is there already."),
    ],
)
def test_the_sandbox_says_what_is_wrong_with_an_option(arguments, told):
    result = run("sandbox", *arguments)
    assert result.exit_code == 2
    assert told in " ".join(re.sub(r"[│\n]", " ", result.stderr).split())


def call(base: str, token: str, method: str, **arguments: str) -> dict:
    request = urllib.request.Request(f"{base}{method}", data=json.dumps(arguments).encode(), method="POST")
    request.add_header("Authorization", f"Bearer {token}")
    request.add_header("Content-Type", "application/json; charset=utf-8")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_prints_what_relay_needs_and_answers_there_until_it_is_told_to_stop(end):
    command = [sys.executable, "-m", "relay", "sandbox", "--listen", "127.0.0.1:0", "--rate-limits"]
    command += ["--channel", "noc=C0123456789", "--channel", "#payments"]
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        try:
            said = dict(process.stdout.readline().strip().split("=", 1) for _ in range(5))
            channels = [process.stdout.readline().split() for _ in range(2)]
            base, token = said["SLACK_API_URL"], said["SLACK_BOT_TOKEN"]
            page = process.stdout.readline().strip().removeprefix("Its page: ")
            with urllib.request.urlopen(page, timeout=10) as shown:
                assert b"relay sandbox" in shown.read()
            assert channels == [["#noc", "C0123456789"], ["#payments", "C0SANDBOX2"]]
            assert call(base, token, "auth.test")["ok"] is True
            assert call(base, said["SLACK_APP_TOKEN"], "apps.connections.open")["ok"] is True
            assert call(base, token, "users.info", user="U0SANDBOX1")["user"]["name"] == "ann"
            assert call(base, token, "conversations.join", channel="C0123456789")["ok"] is True
            posted = call(base, token, "chat.postMessage", channel="C0123456789", text="hello")
            assert posted["ok"] is True
            asked = urllib.request.Request(
                said["BIGPANDA_API_URL"] + "/resources/v2.0/incidents/tags/definitions",
                headers={"Authorization": f"Bearer {said['BIGPANDA_API_KEY']}"},
            )
            with urllib.request.urlopen(asked, timeout=10) as defined:
                assert b"Priority" in defined.read()
            where = urlsplit(base)
            half = stack.enter_context(socket.create_connection((where.hostname, where.port)))
            half.sendall(b"POST /api/auth.test HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf a requ")
        finally:
            process.send_signal(end)
        assert process.wait(timeout=8) == 0
        assert process.stderr.read() == ""


HANGING = """
import asyncio, threading, time
import typer
from relay.cli import app, loop, main
from relay.model.errors import SettingsError

{no_uvloop}

async def work():
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)

@app.command()
def hang():
    try:
        loop.run(work())
    finally:
        print("told", end="")
    {end}

main()
"""


@pytest.mark.parametrize("no_uvloop", ["", "loop._faster_loop = lambda: asyncio.new_event_loop"])
@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("", 0, ""),
        ("raise typer.Exit(1)", 1, ""),
        ("raise SettingsError('it is wrong')", 2, "relay: it is wrong\n"),
        ("raise RuntimeError('unforeseen')", 1, "RuntimeError: unforeseen\n"),
    ],
)
def test_a_thread_that_hangs_keeps_no_process_and_changes_neither_its_code_nor_its_last_words(
    end, code, said, no_uvloop
):
    program = HANGING.format(end=end, no_uvloop=no_uvloop)
    done = subprocess.run(
        [sys.executable, "-c", program, "hang"], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr[-len(said) or None :]) == (code, "told", said)


def test_python_dash_m_relay_is_relay(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "relay", "--version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"relay {__version__}\n", "")


def test_a_real_process_that_cannot_start_says_why_and_leaves_with_2(tmp_path):
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("RELAY_", "SLACK_"))}
    done = subprocess.run(
        [sys.executable, "-m", "relay", "serve"], capture_output=True, text=True, check=False, timeout=60, env=environ
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("relay: To serve, relay needs SLACK_BOT_TOKEN")
