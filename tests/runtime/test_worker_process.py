"""A worker process runs functions, and no function harms the process that called it."""

import os
import signal
import time
from pathlib import Path

import pytest

from relay.runtime.worker_process import GROWN, MAX_MEMORY, WorkerFailed, WorkerProcess

LONG = 20.0


@pytest.fixture
def worker():
    worker = WorkerProcess()
    yield worker
    worker.close()


def test_a_function_runs_in_another_process(worker):
    first = worker.call(LONG, os.getpid)
    assert first != os.getpid()
    assert worker.call(LONG, os.getpid) == first
    assert worker.call(LONG, sorted, [2, 1], reverse=True) == [2, 1]


def test_the_caller_gets_the_exception(worker):
    with pytest.raises(ZeroDivisionError):
        worker.call(LONG, divmod, 1, 0)
    assert worker.call(LONG, divmod, 3, 2) == (1, 1)


def test_a_call_that_takes_too_long_is_killed_and_the_next_one_works(worker):
    with pytest.raises(WorkerFailed) as failed:
        worker.call(0.2, time.sleep, 60)
    assert not failed.value.in_time
    assert worker.call(LONG, divmod, 3, 2) == (1, 1)


def test_a_worker_that_dies_is_replaced(worker):
    with pytest.raises(WorkerFailed) as failed:
        worker.call(LONG, os._exit, 1)
    assert failed.value.in_time
    assert worker.call(LONG, divmod, 3, 2) == (1, 1)


def test_a_call_that_needs_too_much_memory_fails(worker):
    with pytest.raises(MemoryError):
        worker.call(LONG, bytes, MAX_MEMORY)
    assert worker.call(LONG, divmod, 3, 2) == (1, 1)


def test_a_worker_that_has_grown_is_replaced(worker):
    first = worker.call(LONG, os.getpid)
    worker.call(LONG, exec, f"import builtins; builtins.kept = bytearray(b'x') * {GROWN}")
    assert worker.call(LONG, os.getpid) != first


def test_a_worker_has_no_secrets(worker, monkeypatch):
    for name in ("SLACK_BOT_TOKEN", "RELAY_WEBHOOK_KEYS", "BIGPANDA_API_KEY"):
        monkeypatch.setenv(name, "hidden")
    environment = worker.call(LONG, Path.read_text, Path("/proc/self/environ"))
    assert "PATH=" in environment
    assert "=hidden" not in environment


def test_the_signals_that_stop_relay_do_not_stop_its_worker(worker):
    """Systemd and Ctrl-C signal all processes; a share that is being parsed is still accepted."""
    pid = worker.call(LONG, os.getpid)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    assert worker.call(LONG, os.getpid) == pid
