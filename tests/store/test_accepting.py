"""What is accepted is kept whole or not at all."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import event

from relay.cards.model import CardState, Plan, ShareOutcome
from relay.model.errors import StoreError
from relay.routes.options import Options
from relay.store import accepting
from tests.support.store_samples import (
    NOW,
    a_card,
    a_share,
    count,
    delivered,
    due,
    entry,
    keep,
    open_channel,
    pick,
    plain,
    run,
    shown,
    told,
    with_cards,
)


async def test_a_share_is_kept_with_all_that_follows_from_it(store):
    body = b'{"incident":{"id":"i1"}}' * 100
    [accepted] = await store.accept([a_share(body=body)], plain)

    dossier = await store.incident_history("i1")
    [line] = dossier.shares
    [card] = dossier.cards
    assert (accepted.share_id, accepted.incident, accepted.routes) == (line.id, "i1", ("all",))
    assert (accepted.outcome, accepted.due) == (ShareOutcome.FIRST, True)
    assert dossier.state == told(None, a_share())
    assert (line.hash, line.received, line.times_seen, line.size) == ("h1", NOW, 1, len(body))
    assert (line.headers, line.decision) == ({"x-source": "nagios"}, {"because": "h1"})
    assert dossier.entries == (entry(1, "i1/h1"),)
    assert card == a_card(id=card.id, first_matched_at=NOW, post=due())
    [kept] = await store.share_bodies("i1")
    assert (kept.body, kept.received, kept.headers) == (body, NOW, {"x-source": "nagios"})


async def test_a_body_is_kept_compressed(store):
    await store.accept([a_share(body=b"a" * 100_000)], plain)
    [[length]] = await run(store, "SELECT length(body) FROM share")
    assert length < 1_000


async def test_a_share_seen_twice_changes_nothing_and_is_answered_as_it_was(store):
    [first] = await store.accept([a_share()], plain)
    before = await store.incident_history("i1")
    [again] = await store.accept([a_share(at=NOW + 60)], plain)

    after = await store.incident_history("i1")
    assert again == replace(first, outcome=ShareOutcome.REPEAT, due=False)
    assert after.shares[0].times_seen == 2
    assert replace(after, shares=before.shares) == before


async def test_a_share_twice_in_one_group_is_kept_once(store):
    first, other, again = await store.accept([a_share(), a_share("i2", "h2"), a_share()], plain)
    assert again == replace(first, outcome=ShareOutcome.REPEAT, due=False)
    assert other.share_id != first.share_id
    [line] = (await store.incident_history("i1")).shares
    assert line.times_seen == 2


async def test_the_same_hash_of_another_incident_is_no_repeat(store):
    first, second = await store.accept([a_share("i1", "same"), a_share("i2", "same")], plain)
    assert (first.outcome, second.outcome) == (ShareOutcome.FIRST, ShareOutcome.FIRST)
    [third] = await store.accept([a_share("i3", "same")], plain)
    assert third.outcome is ShareOutcome.FIRST


async def test_shares_of_one_incident_in_a_group_see_each_others_result(store):
    seen = []

    def plan(story, cards, share, same):
        seen.append((story and story.version, [card.id for card in cards], share.hash))
        return plain(story, cards, share, same)

    await store.accept([a_share("i1", "a"), a_share("i2", "b"), a_share("i1", "c")], plan)

    assert seen == [(None, [], "a"), (None, [], "b"), (1, [0], "c")]
    dossier = await store.incident_history("i1")
    assert dossier.state.version == 2
    assert set(dossier.state.record.blocks) == {"a", "c"}
    assert [each.seq for each in dossier.entries] == [1, 2]
    assert len(dossier.cards) == 1


async def test_a_later_share_sees_the_kept_story_and_the_cards_that_are_followed(store):
    [left, kept] = await keep(store, a_card(channel="#old", state=CardState.SUPERSEDED), a_card(channel="#noc"))
    seen = []

    def plan(story, cards, share, same):
        seen.append((story.version, cards))
        return plain(story, cards, share, same)

    await store.accept([a_share(digest="h2")], plan)
    assert seen == [(1, (kept,))]
    assert left.state is CardState.SUPERSEDED


async def test_a_plan_that_raises_keeps_nothing_of_the_group(store):
    def plan(story, cards, share, same):
        if share.incident == "i2":
            raise ZeroDivisionError
        return plain(story, cards, share, same)

    with pytest.raises(ZeroDivisionError):
        await store.accept([a_share("i1", "a"), a_share("i2", "b")], plan)
    assert [await count(store, table) for table in ("incident", "share", "entry", "card", "channel")] == [0] * 5
    [accepted] = await store.accept([a_share("i1", "a")], plan)
    assert accepted.outcome is ShareOutcome.FIRST


async def test_a_broken_rule_keeps_nothing_of_the_group_and_is_named(store):
    impossible = a_card(state=CardState.POSTED, ts=None)
    with pytest.raises(StoreError, match="posted_has_ts"):
        await store.accept([a_share()], with_cards(impossible))
    assert await store.incident_history("i1") is None
    assert await count(store, "share") == 0


async def test_an_entry_that_was_told_is_not_told_again(store):
    def plan(story, cards, share, same):
        again = () if story is None else (entry(1, "same"), entry(2, "same"), entry(3, "other"))
        return Plan(
            incident_state=told(story, share), outcome=ShareOutcome.UPDATE, entries=again or (entry(1, "same"),)
        )

    await store.accept([a_share(digest="a")], plan)
    with pytest.raises(StoreError):
        await store.accept([a_share(digest="b")], with_cards(entries=(entry(1, "another key, the same number"),)))

    def later(story, cards, share, same):
        return Plan(
            incident_state=told(story, share),
            outcome=ShareOutcome.UPDATE,
            entries=(entry(2, "same"), entry(3, "other")),
        )

    await store.accept([a_share(digest="b")], later)
    assert [(each.seq, each.key) for each in (await store.incident_history("i1")).entries] == [
        (1, "same"),
        (3, "other"),
    ]


async def test_a_card_that_was_left_is_followed_again_rather_than_made_twice(store):
    old = shown(a_card(reported_seq=1, shown_hash="abc", generation=2, pinged=("S1",)))
    [kept] = await keep(store, replace(old, state=CardState.SUPERSEDED))
    wish = a_card(route="new", options=Options(template="new"), reported_seq=3, post=due(urgent=True))
    await store.accept([a_share(digest="h2")], with_cards(wish))

    [card] = (await store.incident_history("i1")).cards
    assert (card.id, card.state, card.ts, card.shown_hash, card.generation) == (
        kept.id,
        CardState.POSTED,
        old.ts,
        "abc",
        2,
    )
    assert (card.route, card.options.template, card.reported_seq, card.pinged) == ("new", "new", 3, ("S1",))
    assert (card.post, card.edit) == (None, due(urgent=True))


async def test_a_card_that_was_left_before_it_was_posted_is_posted_after_all(store):
    await keep(store, a_card(state=CardState.SUPERSEDED))
    await store.accept([a_share(digest="h2")], with_cards(a_card(post=due())))
    [card] = (await store.incident_history("i1")).cards
    assert (card.state, card.post) == (CardState.PENDING, due())


async def test_planning_is_told_which_spellings_are_another_channels(store):
    await open_channel(store, "#noc", "C1")
    await open_channel(store, "C1", "C1")
    seen = []

    def plan(story, cards, share, same):
        seen.append(dict(same))
        return plain(story, cards, share, same)

    await store.accept([a_share()], plan)
    assert seen == [{"C1": "#noc"}]


async def test_a_share_that_makes_no_work_is_not_due(store):
    [none, left] = await store.accept(
        [a_share("i1", "a"), a_share("i2", "b")],
        lambda story, cards, share, same: with_cards(
            *([] if share.incident == "i1" else [a_card("i2", state=CardState.SUPERSEDED, post=due())])
        )(story, cards, share, same),
    )
    assert (none.due, left.due) == (False, False)


async def test_a_group_costs_as_many_statements_as_one_share(store):
    statements = []
    engine = store._database._engines["writer"]
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))

    async def cost(*shares):
        statements.clear()
        await store.accept(shares, plain)
        return len(statements)

    first = await cost(a_share("first", "first"))
    assert await cost(*(a_share(f"i{n}", f"h{n}") for n in range(50))) == first
    more = await cost(a_share("first", "more"))
    assert await cost(*(a_share(f"i{n % 7}", f"more {n}") for n in range(50))) == more
    assert first <= 12


async def test_nothing_is_accepted_of_an_empty_group(store):
    assert await store.accept([], plain) == []


async def test_two_relays_that_accept_shares_of_one_incident_lose_none(store, second):
    stores = (store, second)
    groups = [[a_share(f"i{(number + turn) % 3}", f"{number}-{turn}") for turn in range(3)] for number in range(20)]
    await asyncio.gather(*(stores[number % 2].accept(group, plain) for number, group in enumerate(groups)))

    for incident in ("i0", "i1", "i2"):
        dossier = await store.incident_history(incident)
        assert dossier.state.version == len(dossier.shares) == len(dossier.entries) == 20
        assert len(dossier.state.record.blocks) == 20
        assert len(dossier.cards) == 1


async def test_what_intake_and_delivery_write_of_one_card_is_all_kept(store):
    await keep(store, a_card(post=due()))
    await open_channel(store)
    case = await pick(store)

    def govern(story, cards, share, same):
        [card] = cards
        changed = replace(card, route="other", options=Options(template="other"), edit=due(NOW + 5))
        return Plan(
            incident_state=told(story, share), outcome=ShareOutcome.UPDATE, cards=(changed,), entries=(entry(1),)
        )

    await store.accept([a_share(digest="h2")], govern)
    after = await store.update_card(case.card.id, delivered())

    assert (after.card.route, after.card.options.template, after.card.edit) == ("other", "other", due(NOW + 5))
    assert (after.card.state, after.card.ts) == (CardState.POSTED, "1700000000.000100")
    assert after.incident_state.version == 2
    assert (await store.incident_history("i1")).cards == (after.card,)


@pytest.mark.parametrize("stops", range(1, 7))
async def test_a_group_that_takes_long_to_plan_is_kept_in_pieces_that_come_to_the_same(
    store, second, monkeypatch, stops
):
    """Of what is not taken nothing is left: neither a share, nor the place of a new incident."""
    await store.accept([a_share("known", "h0")], plain)
    group = [
        a_share(incident, f"h{number}")
        for number, incident in enumerate(("new", "known", "other", "new", "other", "last"), start=1)
    ]
    now, planned = [0.0], []

    def plan(story, cards, share, same):
        now[0] += 1
        planned.append((share.incident, share.hash, story.version if story else 0))
        return plain(story, cards, share, same)

    monkeypatch.setattr(accepting.time, "monotonic", lambda: now[0])
    accepted = await store.accept(group, plan, within=stops)
    assert [each.incident for each in accepted] == [share.incident for share in group[:stops]]
    assert await count(store, "incident") == len({"known", *(share.incident for share in group[:stops])})
    assert await count(store, "share") == 1 + stops
    if rest := group[stops:]:
        accepted += await second.accept(rest, plan)
    assert [each.outcome for each in accepted] == [
        ShareOutcome.FIRST,
        ShareOutcome.UPDATE,
        ShareOutcome.FIRST,
        ShareOutcome.UPDATE,
        ShareOutcome.UPDATE,
        ShareOutcome.FIRST,
    ]
    assert [digest for _, digest, _ in planned] == [share.hash for share in group]
    assert [version for _, _, version in planned] == [0, 1, 0, 1, 1, 0]
