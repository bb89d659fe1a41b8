"""`relay init`: a first routes.yaml with its tests."""

import pytest
from typer.testing import CliRunner

from relay.cli import app


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_the_files_pass_the_commands_that_init_prints(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("init")
    assert (result.exit_code, result.stderr) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["routes.test.yaml", "routes.yaml"]
    commands = [line.split("relay ", 1)[1].split() for line in result.stdout.splitlines() if ". relay " in line]
    assert [command[0] for command in commands] == ["check", "test", "explain"]
    for command in commands:
        assert run(*command).exit_code == 0, command
    assert "0 errors, 0 warnings" in run("check", "--strict").stdout
    assert "reach 2 of 2 routes" in run("test", "--coverage").stdout


def test_for_another_folder_the_printed_commands_name_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("init", "my config/relay")
    assert result.exit_code == 0
    assert "--routes 'my config/relay/routes.yaml'" in result.stdout
    assert "RELAY_ROUTES='my config/relay/routes.yaml'" in result.stdout
    assert run("check", "--strict", "--routes", "my config/relay/routes.yaml").exit_code == 0


@pytest.mark.parametrize("name", ["routes.yaml", "routes.test.yaml"])
def test_init_overwrites_nothing(tmp_path, name):
    (tmp_path / name).write_text("mine")
    result = run("init", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{name} exists already" in result.stderr
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_a_folder_that_cannot_be_written_exits_with_2(tmp_path):
    (tmp_path / "file").write_text("")
    result = run("init", tmp_path / "file" / "inside")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be written" in " ".join(result.stderr.replace("│", " ").split())
