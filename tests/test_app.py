"""A first `relay serve` that fails leaves no database; one that has served keeps it."""

import socket

import pytest

from relay import app
from relay.config.settings import Settings
from relay.model.errors import ConfigurationError, RelayError
from relay.runtime.service_manager import ServiceManager
from relay.store.store import Store


@pytest.fixture(autouse=True)
def few_open_files(monkeypatch):
    """The limit of open files of the test's own process stays as it is."""
    monkeypatch.setattr(app, "raise_file_limit", lambda: None)


def settings(folder, **more):
    return Settings.from_env(
        {
            "RELAY_ROUTES": str(folder / "routes.yaml"),
            "RELAY_TEMPLATES": str(folder / "templates"),
            "RELAY_DATABASE_URL": f"sqlite:///{folder}/relay.db",
            "RELAY_WEBHOOK_KEYS": "webhook-key",
            "RELAY_LISTEN": "127.0.0.1:0",
            "SLACK_BOT_TOKEN": "xoxb-1",
            "SLACK_API_URL": "http://127.0.0.1:9/",
            **more,
        }
    )


def databases(folder):
    return sorted(path.name for path in folder.glob("relay.db*") if not path.name.endswith(".lock"))


async def test_without_a_configuration_no_database_is_left(tmp_path):
    with pytest.raises(ConfigurationError):
        await app.serve(settings(tmp_path), ServiceManager())
    assert databases(tmp_path) == []


async def test_with_a_port_in_use_no_database_is_left(tmp_path):
    (tmp_path / "routes.yaml").write_text("version: 1\nroutes: [{name: all, post: [C0ALL00001]}]\n")
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises((RelayError, ExceptionGroup)):
        await app.serve(settings(tmp_path, RELAY_LISTEN=f"127.0.0.1:{other.getsockname()[1]}"), ServiceManager())
    assert databases(tmp_path) == []


async def test_a_database_that_was_there_stays(tmp_path):
    await (await Store.open(f"sqlite:///{tmp_path}/relay.db")).close()
    with pytest.raises(ConfigurationError):
        await app.serve(settings(tmp_path), ServiceManager())
    assert "relay.db" in databases(tmp_path)
