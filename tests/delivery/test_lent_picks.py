"""The transaction that stores a share begins its first post, too."""

import asyncio
from contextlib import suppress

from relay.model.errors import StoreError
from tests.support.incident_lifecycle import cards
from tests.support.relay_in_process import run_relay


async def test_the_first_post_of_a_share_is_begun_in_the_commit_that_stores_it(tmp_path):
    async with run_relay(tmp_path) as relay:
        picks, pick = [], relay.store.start_next_card

        async def noting(**search):
            picked = await pick(**search)
            picks.append(isinstance(picked, tuple))
            return picked

        relay.store.start_next_card = noting
        await relay.share("one", status="critical")
        await relay.settle()
        assert len(cards(relay, "one")) == 1
        assert not any(picks)


async def test_a_post_begun_in_a_commit_with_a_lost_answer_is_searched_for_and_sent_once(tmp_path):
    async with run_relay(tmp_path) as relay:
        write = relay.store.database.write

        async def losing(work):
            relay.store.database.write = write
            await write(work)
            raise StoreError("the connection was lost")

        relay.store.database.write = losing
        with suppress(StoreError):
            await relay.share("one", status="critical")
        await relay.advance(600)
        assert len(cards(relay, "one")) == 1
        assert len(relay.slack.calls_to("chat.postMessage")) == 1


async def test_a_post_that_was_begun_while_relay_stops_is_sent(tmp_path):
    caught = []

    def note_the_stop(relay):
        posts = relay.delivery._posts
        run = posts.run

        def noting(stopping):
            caught.append(stopping)
            return run(stopping)

        posts.run = noting

    async with run_relay(tmp_path, begin=note_the_stop) as relay:
        await relay.settle()
        posts = relay.delivery._posts
        lent = posts.lend_pick()
        [stopping] = caught
        stopping.set()
        posts.wakeup.set()
        await asyncio.sleep(0)
        relay.store.lend_pick = lambda: lent
        await relay.share("one", status="critical")
        async with asyncio.timeout(100):
            while posts._cards or posts._lent:  # noqa: ASYNC110  no event is set when it is sent
                await asyncio.sleep(0.002)
        assert len(cards(relay, "one")) == 1
