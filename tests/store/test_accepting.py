"""A group of shares is saved whole or not at all; a share that cannot be planned costs no other one."""

import asyncio

import pytest
from sqlalchemy import Engine, event

from relay.cards.model import CardState, Plan, ShareOutcome
from relay.model.struct import replace
from relay.routes.options import Options
from relay.store import accepting, channels, planning, rows, tasks
from relay.store.execution import execute
from tests.support.store_samples import (
    NOW,
    a_card,
    a_share,
    count,
    delivered,
    due,
    entry,
    one_entry,
    open_channel,
    posted,
    received,
    run,
    save,
    start,
    state_after,
    with_cards,
)


async def test_a_share_is_saved_with_everything_that_follows_from_it(store):
    body = b'{"incident":{"id":"i1"}}' * 100
    [accepted] = await store.accept([a_share(body=body)], one_entry)

    history = await store.incident_history("i1")
    [share] = history.shares
    [card] = history.cards
    assert (accepted.share_id, accepted.incident, accepted.routes) == (share.id, "i1", ("all",))
    assert (accepted.outcome, accepted.due) == (ShareOutcome.FIRST, True)
    assert history.state == state_after(None, a_share())
    assert (share.hash, share.received, share.times_seen, share.size) == ("h1", NOW, 1, len(body))
    assert (share.headers, share.decision) == ({"x-source": "nagios"}, {"because": "h1"})
    assert history.entries == (entry(1, "i1/h1"),)
    assert card == a_card(id=card.id, first_matched_at=NOW, post=due())
    [(_, [stored], _)] = [incident async for batch in store.recorded_incidents(0.0) for incident in batch]
    assert (stored.body, stored.received, stored.headers) == (body, NOW, {"x-source": "nagios"})


async def test_a_body_is_stored_compressed(store):
    await store.accept([a_share(body=b"a" * 100_000)], one_entry)
    [[length]] = await run(store, "SELECT length(body) FROM share")
    assert length < 1_000


async def test_a_repeated_share_changes_nothing_and_gets_the_same_answer(store):
    [first] = await store.accept([a_share()], one_entry)
    before = await store.incident_history("i1")
    [again] = await store.accept([a_share(at=NOW + 60)], one_entry)

    after = await store.incident_history("i1")
    assert again == replace(first, outcome=ShareOutcome.REPEAT, due=False)
    assert after.shares[0].times_seen == 2
    assert replace(after, shares=before.shares) == before


async def test_a_share_that_is_twice_in_a_group_is_saved_once(store):
    first, other, again = await store.accept([a_share(), a_share("i2", "h2"), a_share()], one_entry)
    assert again == replace(first, outcome=ShareOutcome.REPEAT, due=False)
    assert other.share_id != first.share_id
    [share] = (await store.incident_history("i1")).shares
    assert share.times_seen == 2


async def test_the_same_hash_in_another_incident_is_not_a_repeat(store):
    first, second = await store.accept([a_share("i1", "same"), a_share("i2", "same")], one_entry)
    assert (first.outcome, second.outcome) == (ShareOutcome.FIRST, ShareOutcome.FIRST)
    [third] = await store.accept([a_share("i3", "same")], one_entry)
    assert third.outcome is ShareOutcome.FIRST


async def test_shares_of_one_incident_in_a_group_see_each_others_result(store):
    contexts = []

    def decide(context):
        state = context.incident_state
        contexts.append((state and state.version, [card.id for card in context.cards], context.share.hash))
        return one_entry(context)

    await store.accept([a_share("i1", "a"), a_share("i2", "b"), a_share("i1", "c")], decide)

    assert contexts == [(None, [], "a"), (None, [], "b"), (1, [0], "c")]
    history = await store.incident_history("i1")
    assert history.state.version == 2
    assert set(history.state.record.blocks) == {"a", "c"}
    assert [each.seq for each in history.entries] == [1, 2]
    assert len(history.cards) == 1


async def test_a_later_share_sees_the_stored_incident_and_its_current_cards(store):
    [superseded, current] = await save(
        store, a_card(channel="#old", state=CardState.SUPERSEDED), a_card(channel="#noc")
    )
    contexts = []

    def decide(context):
        contexts.append((context.incident_state.version, context.cards))
        return one_entry(context)

    await store.accept([a_share(digest="h2")], decide)
    assert contexts == [(1, (current,))]
    assert superseded.state is CardState.SUPERSEDED


async def test_a_share_that_cannot_be_planned_is_kept_and_other_shares_are_not_affected(store):
    def decide(context):
        if context.share.hash == "b":
            raise ZeroDivisionError("the third digit")
        return one_entry(context)

    group = [a_share("i1", "a"), a_share("i2", "b"), a_share("i2", "c"), a_share("i1", "d"), a_share("i3", "b")]
    accepted = await store.accept(group, decide, basis="1.0 abc")

    assert [each.outcome for each in accepted] == [
        ShareOutcome.FIRST,
        None,
        ShareOutcome.FIRST,
        ShareOutcome.UPDATE,
        None,
    ]
    assert [each.error for each in accepted] == ["", "ZeroDivisionError: the third digit"] + [""] * 2 + [
        "ZeroDivisionError: the third digit"
    ]
    assert [each.planned for each in accepted] == [True, False, True, True, False]
    assert [each.incident for each in await store.failed_shares()] == ["i2", "i3"]
    assert (await store.incident_history("i1")).state.version == 2
    assert [share.hash for share in (await store.incident_history("i2")).shares] == ["b", "c"]
    assert [await count(store, table) for table in ("incident", "share", "entry", "card")] == [2, 5, 3, 2]


async def test_a_share_whose_result_violates_a_constraint_is_kept_and_the_constraint_is_named(store):
    impossible = a_card(state=CardState.POSTED, ts=None)
    [accepted] = await store.accept([a_share()], with_cards(impossible))
    assert accepted.error == "the database rejects it: it violates the constraint ck_card_posted_has_ts" or (
        "posted_has_ts" in accepted.error
    )
    assert [await count(store, table) for table in ("share", "incident", "card", "entry", "channel")] == [1, 0, 0, 0, 0]


async def test_a_share_that_is_not_parsed_stays_in_the_inbox(store):
    def decide(context):
        raise AssertionError(context)

    [accepted] = await store.accept([received(a_share())], decide)
    assert (accepted.outcome, accepted.planned, accepted.routes, accepted.error) == (None, False, (), "")
    [again] = await store.accept([a_share()], decide)
    assert (again.share_id, again.outcome, again.planned) == (accepted.share_id, ShareOutcome.REPEAT, False)
    assert await count(store, "incident") == 0


async def test_an_entry_is_saved_once(store):
    def decide(context):
        return Plan(
            incident_state=state_after(context.incident_state, context.share),
            outcome=ShareOutcome.UPDATE,
            entries=(entry(1, "same"),) if context.incident_state is None else (entry(2, "same"), entry(3, "other")),
        )

    await store.accept([a_share(digest="a")], decide)
    same_number = with_cards(entries=(entry(1, "another key, the same number"),))
    [rejected] = await store.accept([a_share(digest="rejected")], same_number)
    assert "violates the constraint" in rejected.error
    await store.accept([a_share(digest="b")], decide)
    entries = (await store.incident_history("i1")).entries
    assert [(each.seq, each.key) for each in entries] == [(1, "same"), (3, "other")]


async def test_a_superseded_card_becomes_current_again_instead_of_a_second_one(store):
    old = posted(a_card(reported_seq=1, shown_hash="abc", generation=2, pinged=("S1",)))
    [stored] = await save(store, replace(old, state=CardState.SUPERSEDED))
    new = a_card(route="new", options=Options(template="new"), reported_seq=3, post=due(urgent=True))
    await store.accept([a_share(digest="h2")], with_cards(new))

    [card] = (await store.incident_history("i1")).cards
    assert (card.id, card.state, card.ts) == (stored.id, CardState.POSTED, old.ts)
    assert (card.shown_hash, card.generation, card.pinged) == ("abc", 2, ("S1",))
    assert (card.route, card.options.template, card.reported_seq) == ("new", "new", 3)
    assert (card.post, card.edit) == (None, due(urgent=True))


async def test_a_card_that_was_superseded_before_its_post_is_posted_after_all(store):
    await save(store, a_card(state=CardState.SUPERSEDED))
    await store.accept([a_share(digest="h2")], with_cards(a_card(post=due())))
    [card] = (await store.incident_history("i1")).cards
    assert (card.state, card.post) == (CardState.PENDING, due())


async def test_the_decision_gets_the_canonical_references(store):
    await open_channel(store, "#noc", "C1")
    await open_channel(store, "C1", "C1")
    refs = []

    def decide(context):
        refs.append(dict(context.canonical_refs))
        return one_entry(context)

    await store.accept([a_share()], decide)
    assert refs == [{"C1": "#noc"}]


async def test_a_group_loads_only_as_many_records_as_fit(store, monkeypatch):
    """The rest stays in the inbox: a sender may have made many incidents as large as they can be."""
    incidents = [f"i{number}" for number in range(20)]
    await store.accept([a_share(each, f"first {each}") for each in incidents], one_entry)
    [[size]] = await run(store, "SELECT length(record) FROM incident WHERE id = 'i1'")
    for number, (room, fitting) in enumerate(((5.5 * size, 5), (1, 1))):
        monkeypatch.setattr(planning, "MAX_RECORDS", room)
        group = [a_share(each, f"more {number} {each}", NOW + 1) for each in incidents]
        accepted = await store.accept(group, one_entry)
        assert [each.incident for each in accepted if each.planned] == incidents[:fitting]


async def test_a_share_without_work_is_not_due(store):
    def decide(context):
        superseded = a_card("i2", state=CardState.SUPERSEDED, post=due())
        return with_cards(*([] if context.share.incident == "i1" else [superseded]))(context)

    without_cards, without_work = await store.accept([a_share("i1", "a"), a_share("i2", "b")], decide)
    assert (without_cards.due, without_work.due) == (False, False)


async def test_a_group_needs_as_many_statements_as_one_share(store, monkeypatch):
    """One more, which adds up the sizes of many records; the first share also adds a channel."""
    statements = []

    def note(_connection, _cursor, statement, *_):
        statements.append(statement)

    def run(connection, statement, *parameters):
        if connection.dialect.name == "sqlite":  # there it does not go through SQLAlchemy
            statements.append(str(statement))
        return execute(connection, statement, *parameters)

    for module in (accepting, planning, rows, channels, tasks):
        monkeypatch.setattr(module, "execute", run)

    async def cost(*shares):
        statements.clear()
        await store.accept(shares, one_entry)
        return sum(not statement.startswith("BEGIN") for statement in statements)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        first = await cost(a_share("first", "first"))
        assert await cost(*(a_share(f"i{n}", f"h{n}") for n in range(50))) == first
        more = await cost(a_share("first", "more"))
        assert await cost(*(a_share(f"i{n % 7}", f"more {n}") for n in range(50))) == more
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert first <= 19


async def test_an_empty_group_gives_no_answers(store):
    assert await store.accept([], one_entry) == []


async def test_two_relays_that_accept_shares_of_one_incident_lose_none(store, second):
    stores = (store, second)
    groups = [[a_share(f"i{(number + turn) % 3}", f"{number}-{turn}") for turn in range(3)] for number in range(20)]
    await asyncio.gather(*(stores[number % 2].accept(group, one_entry) for number, group in enumerate(groups)))

    for incident in ("i0", "i1", "i2"):
        history = await store.incident_history(incident)
        assert history.state.version == len(history.shares) == len(history.entries) == 20
        assert len(history.state.record.blocks) == 20
        assert len(history.cards) == 1


async def test_concurrent_changes_of_ingest_and_delivery_to_one_card_are_all_saved(store):
    await save(store, a_card(post=due()))
    await open_channel(store)
    context = await start(store)

    def reroute(context):
        [card] = context.cards
        changed = replace(card, route="other", options=Options(template="other"), edit=due(NOW + 5))
        return with_cards(changed, entries=(entry(1),))(context)

    await store.accept([a_share(digest="h2")], reroute)
    after = await store.update_card(context.card.id, delivered())

    assert (after.card.route, after.card.options.template, after.card.edit) == ("other", "other", due(NOW + 5))
    assert (after.card.state, after.card.ts) == (CardState.POSTED, "1700000000.000100")
    assert after.incident_state.version == 2
    assert (await store.incident_history("i1")).cards == (after.card,)


@pytest.mark.parametrize("decided", range(1, 7))
async def test_a_group_that_takes_too_long_is_planned_in_parts_with_the_same_result(
    store, second, monkeypatch, decided
):
    """The undecided shares are in the inbox, and no placeholder of a new incident is left."""
    await store.accept([a_share("known", "h0")], one_entry)
    incidents = ("new", "known", "other", "new", "other", "last")
    group = [a_share(incident, f"h{number}") for number, incident in enumerate(incidents, start=1)]
    now, contexts = [0.0], []

    def decide(context):
        now[0] += 1
        state = context.incident_state
        contexts.append((context.share.hash, state.version if state else 0))
        return one_entry(context)

    monkeypatch.setattr(planning.time, "monotonic", lambda: now[0])
    accepted = await store.accept(group, decide, within=decided)
    assert [each.planned for each in accepted] == [number < decided for number in range(6)]
    assert await count(store, "incident") == len({"known", *incidents[:decided]})
    assert await count(store, "share") == 7
    left = {each.share_id: share for each, share in zip(accepted, group, strict=True) if not each.planned}
    later = {each.share_id: each for each in await second.plan_shares(left, decide, NOW)}
    outcomes = ("first", "update", "first", "update", "update", "first")
    assert [later.get(each.share_id, each).outcome for each in accepted] == list(map(ShareOutcome, outcomes))
    assert [digest for digest, _ in contexts] == [share.hash for share in group]
    assert [version for _, version in contexts] == [0, 1, 0, 1, 1, 0]
