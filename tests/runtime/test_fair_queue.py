"""Senders have their turn one after the other, however much waits, also if one gives up."""

import asyncio
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from relay.runtime.fair_queue import FairQueue, FairTurn

items = st.lists(st.tuples(st.sampled_from("abc"), st.integers()), max_size=30)


def taken(queue):
    while queue:
        assert queue.next is not None
        yield queue.take()


@given(items)
def test_no_sender_has_a_second_turn_before_each_waiting_sender_has_one(puts):
    queue = FairQueue()
    for number, (sender, _) in enumerate(puts):
        queue.put(sender, (sender, number))
    order = list(taken(queue))
    assert sorted(number for _, number in order) == list(range(len(puts)))
    for sender in "abc":
        places = [place for place, (of, _) in enumerate(order) if of == sender]
        assert [order[place][1] for place in places] == sorted(order[place][1] for place in places)
        for before, after in pairwise(places):
            waiting = {of for of, _ in order[before:]}
            assert {of for of, _ in order[before:after]} == waiting


@given(items, st.integers(0, 30))
def test_items_that_are_put_back_come_next_in_the_same_order(puts, number):
    queue, same = FairQueue(), FairQueue()
    for sender, item in puts:
        queue.put(sender, (sender, item))
        same.put(sender, (sender, item))
    group = [queue.take() for _ in range(min(number, len(puts)))]
    for each in reversed(group):
        queue.put_back(each[0], each)
    assert [queue.take() for _ in group] == group
    assert len(list(queue.items)) == len(puts) - len(group)


def test_a_discarded_item_is_not_taken():
    queue = FairQueue()
    queue.put("a", 1)
    queue.put("b", 2)
    for sender, item in (("a", 1), ("a", 1), ("c", 3)):
        queue.discard(sender, item)
    assert list(taken(queue)) == [2]


class Work:
    """Holds a turn until the test lets it end, and notes who had it."""

    def __init__(self):
        self.turn, self.order, self.running = FairTurn(), [], 0

    async def do(self, sender):
        async with self.turn.hold(sender):
            self.running += 1
            assert self.running == 1
            self.order.append(sender)
            await asyncio.sleep(0)
            self.running -= 1


async def test_one_sender_of_many_delays_another_by_one_turn():
    work = Work()
    await asyncio.gather(*(work.do(sender) for sender in "aaaaaabc"))
    assert "".join(work.order) == "aabcaaaa"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12)), min_size=1, max_size=12))
def test_the_turn_is_passed_on_after_any_cancellation(senders):
    async def run():
        work = Work()
        tasks = [asyncio.ensure_future(work.do(sender)) for sender, _ in senders]
        for step in range(13):
            for task, (_, cancelled_at) in zip(tasks, senders, strict=True):
                if cancelled_at == step:
                    task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        work.running = 0
        async with asyncio.timeout(100):
            await work.do("z")
        assert work.order[-1] == "z"

    asyncio.run(run())
