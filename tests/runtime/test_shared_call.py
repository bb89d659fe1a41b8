"""Many who ask at the same time cost as much as one."""

import asyncio

import pytest

from relay.runtime.shared_call import SharedCall


class Work:
    def __init__(self) -> None:
        self.runs = 0
        self.finish = asyncio.Event()

    async def __call__(self) -> int:
        self.runs += 1
        await self.finish.wait()
        if self.runs == 2:
            raise ValueError("the second run fails")
        return self.runs


async def test_concurrent_callers_get_the_same_result_and_the_next_caller_a_new_one():
    work = Work()
    shared = SharedCall(work)
    asking = [asyncio.create_task(shared()) for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    work.finish.set()
    assert await asyncio.gather(*asking[1:]) == [1] * 49
    for result in await asyncio.gather(shared(), shared(), return_exceptions=True):
        assert isinstance(result, ValueError)
    assert await shared() == 3


async def test_without_waiters_the_work_still_finishes_and_its_error_is_retrieved():
    work = Work()
    work.runs = 1
    shared = SharedCall(work)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await shared()
    work.finish.set()
    with pytest.raises(ValueError, match="second"):
        await shared()
    assert work.runs == 2
