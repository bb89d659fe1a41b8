"""A worker process runs functions, and no function harms the process that called it."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from relay.runtime.worker_process import MAX_MEMORY, WorkerFailed, WorkerProcess, keep_memory
from tests.support.relay_process import is_running, until
from tests.support.worker_functions import compare_for_years, keep_bytes, kill_once, may_grow

LONG = 20.0


@pytest.fixture
async def worker():
    worker = WorkerProcess()
    yield worker
    await worker.close()


async def test_a_function_runs_in_another_process(worker):
    first = await worker.call(LONG, os.getpid)
    assert first != os.getpid()
    assert await worker.call(LONG, os.getpid) == first
    assert await worker.call(LONG, sorted, [2, 1], reverse=True) == [2, 1]


async def test_the_caller_gets_the_exception(worker):
    with pytest.raises(ZeroDivisionError):
        await worker.call(LONG, divmod, 1, 0)
    assert await worker.call(LONG, divmod, 3, 2) == (1, 1)


async def test_calls_wait_for_one_another(worker):
    numbers = await asyncio.gather(*(worker.call(LONG, divmod, each, 1) for each in range(9)))
    assert numbers == [(each, 0) for each in range(9)]


async def test_a_call_that_takes_too_much_time_is_ended_and_the_next_one_works(worker):
    """One step of Python's own code, which nothing in Python can interrupt."""
    with pytest.raises(WorkerFailed, match=r"more than 0\.2 s of processor time"):
        await worker.call(0.2, compare_for_years)
    assert await worker.call(LONG, divmod, 3, 2) == (1, 1)


async def test_a_call_that_only_waits_is_ended_too(worker, monkeypatch):
    monkeypatch.setattr(asyncio, "timeout", lambda _: asyncio.timeout_at(asyncio.get_running_loop().time() + 0.2))
    with pytest.raises(WorkerFailed, match="more than 55 s"):
        await worker.call(LONG, time.sleep, 60)


async def test_a_worker_that_dies_is_replaced(worker):
    with pytest.raises(WorkerFailed, match="died"):
        await worker.call(LONG, os._exit, 1)
    assert await worker.call(LONG, divmod, 3, 2) == (1, 1)


async def test_a_call_whose_worker_was_killed_is_tried_again(worker, tmp_path):
    assert await worker.call(LONG, kill_once, tmp_path / "killed") == "done"
    os.kill(await worker.call(LONG, os.getpid), signal.SIGKILL)
    assert await worker.call(LONG, divmod, 3, 2) == (1, 1)


async def test_a_call_that_was_cancelled_leaves_no_answer_for_the_next(worker):
    first = await worker.call(LONG, os.getpid)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await worker.call(LONG, time.sleep, 60)
    assert await worker.call(LONG, os.getpid) != first


async def test_closing_ends_the_call_in_progress_and_those_who_wait_get_another_process(worker):
    first = await worker.call(LONG, os.getpid)
    slept, waiting = (asyncio.create_task(worker.call(LONG, *each)) for each in ((time.sleep, 60), (os.getpid,)))
    await asyncio.sleep(0.1)
    await worker.close()
    with pytest.raises(WorkerFailed, match="closed"):
        await slept
    assert await waiting != first


async def test_a_call_that_needs_too_much_memory_fails(worker):
    with pytest.raises(WorkerFailed, match="memory"):
        await worker.call(LONG, bytes, MAX_MEMORY)
    assert await worker.call(LONG, divmod, 3, 2) == (1, 1)


async def test_a_worker_that_has_grown_is_replaced_unless_its_memory_is_needed(worker):
    most = 24 << 20
    first = await worker.call(LONG, os.getpid)
    await worker.call(LONG, may_grow, most)
    await worker.call(LONG, keep_bytes, most)
    second = await worker.call(LONG, os.getpid)
    assert second != first
    await worker.call(LONG, may_grow, most)
    await worker.call(LONG, keep_bytes, most * 2 // 3)
    await worker.call(LONG, keep_memory)
    await worker.call(LONG, keep_bytes, most * 2 // 3)
    assert await worker.call(LONG, os.getpid) == second


async def test_a_worker_has_no_secrets(worker, monkeypatch):
    for name in ("SLACK_BOT_TOKEN", "RELAY_WEBHOOK_KEYS", "BIGPANDA_API_KEY"):
        monkeypatch.setenv(name, "hidden")
    environment = await worker.call(LONG, Path.read_text, Path("/proc/self/environ"))
    assert "PATH=" in environment
    assert "=hidden" not in environment


async def test_the_printed_output_of_a_function_is_not_its_result(worker):
    assert await worker.call(LONG, exec, "print('x' * 99)") is None
    assert await worker.call(LONG, divmod, 3, 2) == (1, 1)


async def test_the_signals_that_stop_relay_do_not_stop_its_worker(worker):
    """Systemd and Ctrl-C signal all processes; a share that is being parsed is still accepted."""
    pid = await worker.call(LONG, os.getpid)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    assert await worker.call(LONG, os.getpid) == pid


OWNER = """
import asyncio, os
from relay.runtime.worker_process import WorkerProcess
from tests.support.worker_functions import compare_for_years
async def main():
    worker = WorkerProcess()
    print(await worker.call(9, os.getpid), flush=True)
    await worker.call(600, compare_for_years)
asyncio.run(main())
"""


async def test_a_worker_that_never_reads_ends_with_its_owner():
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", OWNER, stdout=asyncio.subprocess.PIPE)
    pid = int(await owner.stdout.readline())
    await asyncio.sleep(0.2)
    owner.kill()
    await owner.communicate()
    await until(lambda: not is_running(pid))
