"""Storms in both databases: first posts are counted exactly, cards wait, are let go, and the storm ends."""

from functools import partial

import orjson
import pytest

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.holds import Reason
from relay.cards.model import Channel, ChannelState
from relay.cards.plan import plan
from relay.cards.send import apply_root_delivery, begin_post
from relay.cards.steps import NothingToSend, PostRoot, shown_root
from relay.routes.parser.parse import parse_rulebook
from relay.routes.storm import Storm
from relay.slack.outcomes import Delivered
from relay.store import storms
from relay.store.store import Store
from tests.support.store_samples import query_plan

NOW = 1_700_000_000.0
RULES = Storm(over=2, within=300.0, by="service")
RULEBOOK = parse_rulebook("version: 1\nroutes: [{name: all, post: [{channel: C1, mention: {any: [S0ALL]}}]}]\n")


def storm_in(*_refs):
    return RULES


@pytest.fixture
async def store(url):
    store = await Store.open(url)
    await store.update_channel(Channel(ref="C1", slack_id="C1", state=ChannelState.OPEN))
    yield store
    await store.close()


async def come(store, *incidents, at=NOW, status="warning", service="checkout"):
    body = {"changedOn": int(at), "status": status, "active": status != "ok", "resolved": status == "ok"}
    shares = [
        parse_share(
            orjson.dumps({"incident": {"id": each, **body}, "incidentTags": [{"id": "service", "value": service}]}),
            {},
            at,
        )
        for each in incidents
    ]

    def decide(context):
        return plan(RULEBOOK, context.incident_state, context.cards, context.share, context.canonical_refs)

    await store.accept(shares, decide)


async def post_all(store, at):
    """Start and deliver due cards; return the incidents that were posted, and those that were held."""
    posted, held = [], []
    while True:
        found = await store.start_next_card("post", at, decide=partial(begin_post, now=at), storm_in=storm_in)
        if not isinstance(found, tuple):
            return posted, held
        context, step = found[0], found[1]
        if isinstance(step, NothingToSend):
            held.append(context.card.incident)
            continue
        if not isinstance(step, PostRoot) or not context.card.incident:
            return posted, held  # the storm card; these tests are about cards
        number = len(posted)
        answer = Delivered(channel="C1", ts=f"{at + number / 1000:.6f}")

        def deliver(after, step=step, answer=answer):
            return apply_root_delivery(after, answer, shown_root(after, "shown"), at)

        await store.update_card(context.card.id, deliver)
        posted.append(context.card.incident)


async def test_cards_beyond_the_limit_wait_until_the_channel_allows_them(store):
    await come(store, "i1", "i2", "i3")
    assert await post_all(store, NOW) == (["i1", "i2"], ["i3"])
    await come(store, "i4", at=NOW + 10, status="critical")
    assert await post_all(store, NOW + 10) == ([], ["i4"]), "its group has a card"
    [card] = (await store.incident_history("i4")).cards
    assert (card.held.reason, card.held.until) == (Reason.STORM, NOW + 300)
    [turn] = await store.tend_storms(NOW + 20, storm_in)
    assert (turn.targets, turn.release) == (("S0ALL",), ())
    [turn] = await store.tend_storms(NOW + 300, storm_in)
    assert turn.release == (card.id,)
    assert (await post_all(store, NOW + 300))[0] == ["i4"]
    [turn] = await store.tend_storms(NOW + 400, storm_in)
    assert not turn.is_over, "half of the allowance is used up"
    [turn] = await store.tend_storms(NOW + 650, storm_in)
    assert turn.is_over
    assert await store.tend_storms(NOW + 700, storm_in) == ()
    [line] = (await store.incident_history("i3")).cards
    assert (line.held.reason, line.held.until, line.ts) == (Reason.STORM, None, None)


async def test_a_reserve_is_kept_for_the_first_critical_incident_of_a_group(store):
    await come(store, "i1", "i2", "i3")
    await post_all(store, NOW)
    await come(store, "new", "more", at=NOW + 1, status="critical", service="search")
    assert await post_all(store, NOW + 1) == (["new"], ["more"])


async def test_recent_posts_and_waiting_cards_are_found_along_an_index(store):
    if store.shared:
        pytest.skip("the plan is SQLite's")
    for statement in (storms.POSTED, storms.OTHERS_WAIT, storms.GROUP_POSTED, storms.CANDIDATES, storms.RELEASING):
        values = {"channel": "C1", "since": NOW, "group": "", "most": 30}
        plan_of = await query_plan(store, statement.params(values), now=NOW)
        assert [step for step in plan_of if step.startswith("SCAN card")] == []
        assert [step for step in plan_of if "ix_card_first_posted_at" in step or "ix_card_in_storm" in step]


async def test_a_store_that_is_opened_later_counts_the_same(store, url):
    await come(store, "i1", "i2")
    assert (await post_all(store, NOW))[0] == ["i1", "i2"]
    await store.close()
    other = await Store.open(url)
    await come(other, "i3", at=NOW + 5)
    assert await post_all(other, NOW + 5) == ([], ["i3"])
    await other.close()
