"""Work in the background: pieces run side by side, one that fails is reported, and none is left half-begun."""

import asyncio

from relay.demo.clock import wait_until_idle
from relay.runtime.background_work import BackgroundWork


async def test_a_piece_that_fails_is_reported_and_the_others_go_on():
    failures, done, gate = [], [], asyncio.Event()

    async def waits():
        await gate.wait()
        done.append("waited")

    async def fails():
        raise KeyError("strange")

    work = BackgroundWork("some", failures.append)
    running = asyncio.create_task(work.run())
    for piece in (waits(), fails()):
        work.add(piece)
    assert not work.is_idle(set())
    await wait_until_idle(lambda: bool(failures))
    assert [type(failure) for failure in failures] == [KeyError]
    assert not work.is_idle(set())
    gate.set()
    await wait_until_idle(lambda: work.is_idle(set()))
    assert done == ["waited"]
    running.cancel()
    await asyncio.wait([running])


async def test_a_piece_that_has_not_begun_when_the_work_is_cancelled_never_begins(recwarn):
    begun = []

    async def piece():
        begun.append(True)

    work = BackgroundWork("some", begun.append)
    running = asyncio.create_task(work.run())
    await asyncio.sleep(0)
    running.cancel()
    work.add(piece())
    await asyncio.wait([running])
    assert begun == []
    assert not recwarn.list  # a coroutine that is never awaited would warn
