"""`relay backup FILE`, as an operator calls it."""

import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from relay.cli import app
from relay.store import Store


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path}/relay.db")
    return lambda *arguments: CliRunner().invoke(app, ["backup", *map(str, arguments)])


async def test_it_copies_beside_a_running_relay_and_says_what_it_has(run, tmp_path):
    store = await Store.open(f"sqlite:///{tmp_path}/relay.db")
    done = run(tmp_path / "copy.db")
    await store.close()
    assert done.exit_code == 0, done.output
    assert "0 incidents, 0 shares; it is sound." in done.output
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_file_that_is_there_is_refused_in_one_sentence_until_it_may_be_replaced(run, tmp_path):
    await (await Store.open(f"sqlite:///{tmp_path}/relay.db")).close()
    (tmp_path / "copy.db").write_text("yesterday's")
    refused = run(tmp_path / "copy.db")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("relay: ")
    assert "say --overwrite" in refused.stderr
    assert (tmp_path / "copy.db").read_text() == "yesterday's"
    assert run(tmp_path / "copy.db", "--overwrite").exit_code == 0


def test_without_a_database_it_says_which_setting_to_look_at(run, tmp_path):
    refused = run(tmp_path / "copy.db")
    assert refused.exit_code == 2
    assert "set RELAY_DATABASE_URL" in refused.stderr
