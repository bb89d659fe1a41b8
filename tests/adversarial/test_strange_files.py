"""Whatever is where a file is expected: relay reads only small regular files, and reports others."""

import asyncio
import os
import shlex
import shutil
import socket
import subprocess
import sys

import pytest

from relay.config import files as files_module
from relay.config import template_files
from relay.config.files import load_configuration, read_files
from relay.config.settings import Settings
from relay.model.errors import ConfigurationError, SettingsError
from relay.reload import reloader as reloader_module
from relay.reload.reloader import Reloader
from relay.runtime.clock import Clock
from relay.store.store import Store
from tests.support.intervals import intervals
from tests.support.relay_process import running

ROUTES = "version: 1\nroutes: []\n"


def fifo(path):
    os.mkfifo(path)


def listening_socket(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.close()


def endless_device(path):
    path.symlink_to("/dev/zero")


def terminal(path):
    path.symlink_to("/dev/ptmx")


def huge_file(path):
    with path.open("wb") as file:
        file.truncate(1 << 40)


def link_to_itself(path):
    path.symlink_to(path.name)


def own_memory(path):
    path.symlink_to("/proc/self/mem")


STRANGE = (fifo, listening_socket, endless_device, terminal, huge_file, link_to_itself, own_memory)
strange = pytest.mark.parametrize("make", STRANGE, ids=lambda make: make.__name__)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    (tmp_path / "templates" / "incident").mkdir(parents=True)
    (tmp_path / "routes.yaml").write_text(ROUTES)
    return tmp_path


@pytest.fixture
async def store(folder):
    opened = await Store.open(f"sqlite:///{folder}/relay.db")
    yield opened
    await opened.close()


def faults(folder):
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(folder / "routes.yaml", folder / "templates")
    return [fault for fault in caught.value.faults if not fault.warning]


@strange
@pytest.mark.timeout(100)
def test_routes_are_a_regular_file(folder, make):
    (folder / "routes.yaml").unlink()
    make(folder / "routes.yaml")
    [fault] = faults(folder)
    assert fault.file == str(folder / "routes.yaml")


@strange
@pytest.mark.timeout(100)
def test_a_template_is_a_regular_file(folder, make):
    make(folder / "templates" / "incident" / "card.j2")
    [fault] = faults(folder)
    assert fault.file == str(folder / "templates" / "incident" / "card.j2")


@strange
@pytest.mark.timeout(100)
def test_a_secret_is_a_regular_file(folder, make):
    make(folder / "token")
    with pytest.raises(SettingsError, match=r"SLACK_BOT_TOKEN_FILE names .*token, which "):
        Settings.from_env({"SLACK_BOT_TOKEN_FILE": str(folder / "token")})


def linked_folders(folder):
    """Fourteen folders, each with links to all others: 14! paths, of which none leads to itself."""
    places = [folder / f"f{number}" for number in range(14)]
    for place in places:
        place.mkdir()
    for place in places:
        for other in places:
            if other != place:
                (place / other.name).symlink_to(other)


def deep_folders(folder):
    (folder / "/".join("d" * 300)).mkdir(parents=True)


def many_templates(folder):
    for number in range(template_files.MAX_TEMPLATES + 1):
        (folder / f"{number}.j2").touch()


def many_files(folder):
    for number in range(template_files.MAX_ENTRIES + 1):
        (folder / str(number)).touch()


def much_text(folder):
    for number in range(template_files.MAX_TOTAL_BYTES // template_files.MAX_TEMPLATE_BYTES + 1):
        (folder / f"{number}.j2").write_text(" " * template_files.MAX_TEMPLATE_BYTES)


@pytest.mark.parametrize(
    "fill", [linked_folders, deep_folders, many_templates, many_files, much_text], ids=lambda fill: fill.__name__
)
@pytest.mark.timeout(100)
def test_a_tree_of_templates_is_bounded(folder, fill):
    fill(folder / "templates")
    assert read_files(folder / "routes.yaml", folder / "templates").read_faults


async def test_a_reader_that_hangs_is_reported_and_reloading_continues_after_it(folder, store, monkeypatch):
    """A network file system that does not answer: the thread hangs, and cannot be ended."""
    reloader = Reloader(store, folder / "routes.yaml", folder / "templates", Clock())
    await reloader.start()
    monkeypatch.setattr(reloader_module, "READ_TIMEOUT", 0.2)
    live = reloader.live.hash
    answers, readers = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def hang(path):
        readers.append(path)
        asyncio.run_coroutine_threadsafe(answers.wait(), loop).result(30)
        return real(path)

    real = files_module._routes
    monkeypatch.setattr(files_module, "_routes", hang)
    for _ in range(5):
        await reloader.check_files()
    assert "not read within" in str(reloader.state.faults[0])
    assert len(readers) == 1
    assert reloader.live.hash == live
    answers.set()
    while not reloader.state.successful:
        await reloader.check_files()
    assert reloader.live.hash == live


async def test_relay_reloads_after_a_fifo_was_removed(folder):
    routes = folder / "routes.yaml"
    soon = intervals({"relay.reload.reloader.CHECK_EVERY": 0.1, "relay.reload.watcher.REWATCH_MS": 100})
    async with running(folder, "http://127.0.0.1:9/api/", prepare=soon) as relay:
        routes.unlink()
        fifo(routes)
        invalid = await relay.line("configuration_invalid")
        assert "a FIFO" in invalid["faults"][0]
        shutil.rmtree(folder / "templates")
        (folder / "templates").mkdir()
        fresh = folder / "fresh"
        fresh.write_text(ROUTES + "# changed\n")
        fresh.replace(routes)
        await relay.until(lambda: sum(line.get("event") == "configuration_live" for line in relay.logged) == 2)


@pytest.mark.parametrize("streams", ["2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_no_opened_file_replaces_a_closed_standard_stream(folder, streams):
    """The next file that relay opens would get the log lines: the database."""
    program = (
        "import os, sys; from relay.runtime.nonblocking_stderr import nonblocking_stderr, open_standard_streams\n"
        "open_standard_streams()\n"
        "with nonblocking_stderr(print): file = os.open('file', os.O_CREAT | os.O_RDWR); sys.stderr.write('a line')\n"
        "sys.exit(0 if file > 2 else 1)"
    )
    command = f"exec {sys.executable} -c {shlex.quote(program)} {streams}"
    subprocess.run(["bash", "-c", command], check=True, cwd=folder, timeout=60)
    assert (folder / "file").read_bytes() == b""
