"""`relay backup FILE`, as an operator calls it."""

import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from relay.cli import app
from relay.store.store import Store


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path}/relay.db")
    return lambda *arguments: CliRunner().invoke(app, ["backup", *map(str, arguments)])


async def test_backup_copies_beside_a_running_relay_and_prints_a_summary(run, tmp_path):
    store = await Store.open(f"sqlite:///{tmp_path}/relay.db")
    done = run(tmp_path / "copy.db")
    await store.close()
    assert done.exit_code == 0, done.output
    assert "0 incidents, 0 shares; the copy is valid." in done.output
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_an_existing_file_is_replaced_only_with_overwrite(run, tmp_path):
    await (await Store.open(f"sqlite:///{tmp_path}/relay.db")).close()
    (tmp_path / "copy.db").write_text("yesterday's")
    rejected = run(tmp_path / "copy.db")
    assert rejected.exit_code == 2
    assert rejected.stderr.startswith("relay: ")
    assert "add --overwrite" in rejected.stderr
    assert (tmp_path / "copy.db").read_text() == "yesterday's"
    assert run(tmp_path / "copy.db", "--overwrite").exit_code == 0


def test_without_a_database_the_error_names_the_setting(run, tmp_path):
    rejected = run(tmp_path / "copy.db")
    assert rejected.exit_code == 2
    assert "set RELAY_DATABASE_URL" in rejected.stderr
