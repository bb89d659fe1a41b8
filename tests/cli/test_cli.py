"""The command line."""

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from typer.main import get_command
from typer.testing import CliRunner

from relay import __version__
from relay.cli import app, loop
from relay.config.settings import Settings
from relay.model.errors import ConfigurationError, Fault, SettingsError, StoreInUse

SERVING = {"SLACK_BOT_TOKEN": "xoxb-hush", "RELAY_WEBHOOK_KEYS": "hush-hush", "RELAY_LOG_FORMAT": "json"}


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
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


class FakeServer:
    """Replaces `relay.app.serve`: records the settings, and raises `raises`."""

    def __init__(self) -> None:
        self.served: list[Settings] = []
        self.loop: type | None = None
        self.raises: BaseException | None = None

    async def serve(self, settings: Settings, manager: object) -> None:
        self.served.append(settings)
        self.loop = type(asyncio.get_running_loop())
        structlog.get_logger("relay.server").info("serving", token=settings.required_bot_token)
        if self.raises is not None:
            raise self.raises


@pytest.fixture
def server(environment) -> FakeServer:
    server = FakeServer()
    module = types.ModuleType("relay.app")
    module.serve = server.serve
    environment.setitem(sys.modules, "relay.app", module)
    for name, value in SERVING.items():
        environment.setenv(name, value)
    return server


def run(*arguments: str):
    return CliRunner().invoke(app, arguments)


def test_version_prints_only_the_version():
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"relay {__version__}\n")


def test_help_lists_the_commands():
    result = run("--help")
    assert result.exit_code == 0
    for command in ("serve", "sandbox"):
        assert re.search(rf"^\W*{command}\b", result.stdout, re.MULTILINE)
    assert run("-h").stdout == result.stdout


@pytest.mark.parametrize("command", ["serve", "sandbox"])
def test_every_command_has_its_own_help(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Usage: relay {command}" in result.stdout


@pytest.mark.parametrize("arguments", [(), ("dance",), ("--loud",), ("serve", "--loud"), ("sandbox", "x")])
def test_an_unknown_command_or_option_is_a_usage_error(arguments):
    assert run(*arguments).exit_code == 2


def test_serve_starts_the_server_with_the_settings_of_the_environment(server):
    result = run("serve")
    assert (result.exit_code, result.stdout) == (0, "")
    assert server.served == [Settings.from_env(SERVING)]


def test_serve_logs_according_to_the_settings_and_hides_the_secrets(server):
    result = run("serve")
    event = json.loads(result.stderr)
    assert (event["event"], event["token"]) == ("serving", "[hidden]")


def test_serve_uses_uvloop_if_it_is_installed(server, monkeypatch):
    run("serve")
    assert server.loop.__module__.startswith("uvloop")
    monkeypatch.setitem(sys.modules, "uvloop", None)  # as if it were not installed
    run("serve")
    assert server.loop.__module__.startswith("asyncio")


@pytest.mark.parametrize("missing", ["SLACK_BOT_TOKEN", "RELAY_WEBHOOK_KEYS"])
def test_without_a_required_setting_serve_exits_with_one_sentence(server, environment, missing):
    environment.delenv(missing)
    result = run("serve")
    assert (result.exit_code, result.stdout, server.served) == (2, "", [])
    assert result.stderr.startswith(f"relay: To serve, relay needs {missing}")
    assert result.stderr.count("\n") == 1


def test_serve_names_every_invalid_variable(server, environment):
    environment.setenv("RELAY_LISTEN", "nowhere")
    environment.setenv("RELAY_LOG_LEVEL", "loud")
    result = run("serve")
    assert result.exit_code == 2
    assert "RELAY_LISTEN is 'nowhere'" in result.stderr
    assert "RELAY_LOG_LEVEL is 'loud'" in result.stderr


ONE = StoreInUse("Another relay holds relay.db; stop it first.")
FAULTS = ConfigurationError(
    [
        Fault(file="routes.yaml", line=3, column=5, message="no such channel"),
        Fault(file="routes.yaml", line=9, message="no such route"),
    ]
)


@pytest.mark.parametrize(
    ("error", "printed"),
    [
        (ONE, f"relay: {ONE}\n"),
        (FAULTS, "relay: routes.yaml:3:5: no such channel\nrelay: routes.yaml:9: no such route\n"),
        (ExceptionGroup("tasks", [ONE]), f"relay: {ONE}\n"),
        (
            ExceptionGroup("tasks", [ONE, ExceptionGroup("inner", [SettingsError("And so on.")])]),
            f"relay: {ONE}\nrelay: And so on.\n",
        ),
    ],
)
def test_a_relay_error_is_printed_and_exits_with_2(server, error, printed):
    server.raises = error
    result = run("serve")
    assert result.exit_code == 2
    assert result.stderr.split("\n", 1)[1] == printed  # after the one log event
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("error", [ZeroDivisionError("unexpected"), ExceptionGroup("g", [ONE, KeyError("x")])])
def test_an_unexpected_error_is_raised_with_its_traceback(server, error):
    server.raises = error
    result = run("serve")
    assert result.exit_code == 1
    assert result.exception is error


def test_run_raises_the_error_of_the_coroutine():
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop.run(fail())


HANGING = """
import asyncio, sys, time
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
        print("done", end="")
    {end}

main()
"""


@pytest.mark.parametrize(
    ("end", "code", "stderr", "no_uvloop"),
    [
        ("", 0, "", ""),
        ("raise typer.Exit(1)", 1, "", ""),
        ("raise SettingsError('it is wrong')", 2, "relay: it is wrong\n", ""),
        ("raise RuntimeError('unexpected')", 1, "RuntimeError: unexpected\n", ""),
        ("raise RuntimeError('unexpected')", 1, "RuntimeError: unexpected\n", "sys.modules['uvloop'] = None"),
    ],
)
def test_a_hanging_thread_does_not_keep_the_process_or_change_its_exit_code_and_output(end, code, stderr, no_uvloop):
    program = HANGING.format(end=end, no_uvloop=no_uvloop)
    done = subprocess.run(
        [sys.executable, "-c", program, "hang"], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr[-len(stderr) or None :]) == (code, "done", stderr)


def test_the_serve_command_does_not_load_rich():
    check = (
        "import sys, relay.cli, structlog; assert not {'rich.console', 'pygments'} & sys.modules.keys(); import rich"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_log_lines_of_a_command_go_to_stderr_so_that_stdout_stays_json(tmp_path):
    program = (
        "import structlog\nfrom relay import cli\nlog = structlog.get_logger('relay')\n"
        "cli.app = lambda **_: (log.debug('slack_called'), log.error('an_error'), print('{}'))\ncli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60, cwd=tmp_path
    )
    assert done.stdout == "{}\n"
    assert "an_error" in done.stderr
    assert "slack_called" not in done.stderr


def test_python_m_relay_runs_relay(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "relay", "--version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"relay {__version__}\n", "")


def test_a_process_that_cannot_start_says_why_and_exits_with_2(tmp_path):
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("RELAY_", "SLACK_"))}
    done = subprocess.run(
        [sys.executable, "-m", "relay", "serve"], capture_output=True, text=True, check=False, timeout=60, env=environ
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("relay: To serve, relay needs SLACK_BOT_TOKEN")


def commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that is not hidden, with the groups' own."""
    for name, command in group.commands.items():
        if not command.hidden:
            yield prefix + name, command
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")


def test_the_help_of_every_command_has_an_example_that_begins_with_the_command():
    for name, command in commands(get_command(app)):
        assert re.search(rf"Examples?: `([A-Z_]+=\S+ )*relay {name}\b", command.help or ""), name
