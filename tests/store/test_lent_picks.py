"""A scheduler lends its next pick to the transaction that stores shares; that transaction returns the result."""

from functools import partial

import pytest

from relay.cards.eligibility import Work
from relay.cards.model import AttemptState
from relay.model.errors import StoreError
from relay.store.card_queue import UNKNOWN, LentPick, start_next_card
from tests.support.store_samples import NOW, Begun, a_card, a_share, begin_root, due, open_channel, start, with_cards

WITH_WORK, WITHOUT_WORK = with_cards(a_card(post=due())), with_cards()
PICK = partial(start_next_card, work="post", now=NOW, decide=lambda context: Begun(context, begin_root(context)))


def lending(store, pick):
    """Lend this pick to the store; return the list of what it gives back."""
    given_back = []
    store.lend_pick = lambda: LentPick(pick, given_back.append)
    return given_back


async def test_a_post_that_begins_together_with_its_share_is_returned_and_its_attempt_is_stored(store):
    await store.add_channels(["#noc"])
    await open_channel(store)
    given_back = lending(store, PICK)
    await store.accept([a_share()], WITH_WORK)
    [started] = given_back
    context = await store.card_context(started.context.card.id)
    assert context.attempt.state is AttemptState.IN_FLIGHT
    assert await start(store) is None


async def test_a_share_is_stored_and_its_post_stays_due_if_the_post_cannot_be_begun(store):
    await store.add_channels(["#noc"])
    await open_channel(store)

    def fail(connection):
        PICK(connection)
        raise ZeroDivisionError("the third digit")

    left = []
    store.database.on_work = left.append
    given_back = lending(store, fail)
    [accepted] = await store.accept([a_share()], WITH_WORK)
    assert (accepted.error, accepted.due, given_back) == ("", True, [None])
    assert Work.POST in left[-1]
    assert (await start(store)).attempt is None


async def test_no_step_is_begun_for_a_share_without_work(store):
    given_back = lending(store, PICK)
    await store.accept([a_share()], WITHOUT_WORK)
    assert given_back == [None]


async def test_after_a_commit_with_an_unknown_result_no_step_is_returned(store, monkeypatch):
    given_back = lending(store, PICK)

    async def lost(_work):
        raise StoreError("the connection was lost")

    monkeypatch.setattr(store.database, "write", lost)
    with pytest.raises(StoreError):
        await store.accept([a_share()], WITH_WORK)
    assert given_back == [UNKNOWN]
