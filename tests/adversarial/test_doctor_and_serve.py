"""`relay doctor` and `relay serve` use the same rules: doctor reports an error for everything that stops serve."""

import os
import socket
import sqlite3
from contextlib import closing

import pytest

from relay.app import serve
from relay.config.settings import Settings
from relay.model.errors import RelayError, SettingsError
from relay.runtime.service_manager import ServiceManager
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.tools.check import slack_validation
from relay.tools.doctor.doctor import examine


def secret_in_fifo(folder, environ):
    os.mkfifo(folder / "token")
    del environ["SLACK_BOT_TOKEN"]
    environ["SLACK_BOT_TOKEN_FILE"] = str(folder / "token")


def routes_in_fifo(folder, environ):
    (folder / "routes.yaml").unlink()
    os.mkfifo(folder / "routes.yaml")


def invalid_routes(folder, environ):
    (folder / "routes.yaml").write_text("version: 2\n")


def database_is_a_folder(folder, environ):
    (folder / "relay.db").mkdir()


def database_is_text(folder, environ):
    (folder / "relay.db").write_text("text " * 1000)


def database_of_a_newer_relay(folder, environ):
    with closing(sqlite3.connect(folder / "relay.db")) as connection:
        connection.execute("CREATE TABLE relay_version (version_num TEXT)")
        connection.execute("INSERT INTO relay_version VALUES ('9999')")
        connection.commit()


def no_folder_of_database(folder, environ):
    environ["RELAY_DATABASE_URL"] = f"sqlite:///{folder}/missing/relay.db"


def setting(name, value):
    def change(folder, environ):
        environ[name] = value

    change.__name__ = f"{name}={value}"[:40]
    return change


FAULTS = (
    secret_in_fifo,
    routes_in_fifo,
    invalid_routes,
    database_is_a_folder,
    database_is_text,
    database_of_a_newer_relay,
    no_folder_of_database,
    setting("BIGPANDA_API_KEY", "schlüssel"),
    setting("SLACK_BOT_TOKEN", "xoxb-schlüssel"),
    setting("SLACK_APP_TOKEN", "xapp-schlüssel"),
    setting("SLACK_API_URL", "http://127.0.0.1:99999/api/"),
    setting("BIGPANDA_API_URL", "http://127.0.0.1:99999"),
    setting("BIGPANDA_API_URL", "http://exa mple/"),
    setting("RELAY_DATABASE_URL", "sqlite:///"),
    setting("RELAY_DATABASE_URL", "sqlite+aiosqlite:///relay.db"),
    setting("RELAY_DATABASE_URL", "postgresql://127.0.0.1:1/relay"),
    setting("RELAY_LISTEN", "192.0.2.1:8080"),
    setting("RELAY_LISTEN", "no-such-host.invalid:8080"),
    setting("RELAY_WEBHOOK_KEYS", ""),
    setting("RELAY_TEMPLATES", "/no/such/folder"),
)


@pytest.fixture
async def environ(tmp_path):
    (tmp_path / "routes.yaml").write_text("version: 1\nroutes: []\n")
    workspace = FakeSlack()
    async with serve_slack(workspace) as url:
        yield {
            "RELAY_LISTEN": "127.0.0.1:0",
            "RELAY_ROUTES": str(tmp_path / "routes.yaml"),
            "RELAY_TEMPLATES": str(tmp_path / "templates"),
            "RELAY_DATABASE_URL": f"sqlite:///{tmp_path}/relay.db",
            "RELAY_WEBHOOK_KEYS": "webhook-key",
            "SLACK_BOT_TOKEN": workspace.token,
            "SLACK_API_URL": url,
        }


@pytest.fixture(autouse=True)
def no_messages(monkeypatch):
    """Let doctor draw none of relay's messages for Slack to check: that is most of its work, and tested elsewhere."""
    monkeypatch.setattr(slack_validation, "surfaces", lambda _sources: [])


async def is_accepted_by_doctor(environ):
    try:
        return (await examine(Settings.from_env(environ))).ok
    except SettingsError:
        return False


async def test_doctor_accepts_settings_without_a_fault(environ):
    assert await is_accepted_by_doctor(environ)


@pytest.mark.parametrize("break_it", FAULTS, ids=lambda each: each.__name__)
async def test_doctor_reports_an_error_for_everything_that_serve_rejects(environ, tmp_path, break_it):
    break_it(tmp_path, environ)
    assert not await is_accepted_by_doctor(environ)
    with pytest.raises((RelayError, ExceptionGroup)):
        await serve(Settings.from_env(environ).for_serving(), ServiceManager())


async def test_a_port_in_use_by_a_running_relay_is_not_an_error(environ):
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        environ["RELAY_LISTEN"] = f"127.0.0.1:{server.getsockname()[1]}"
        assert await is_accepted_by_doctor(environ)
