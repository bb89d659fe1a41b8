"""Mutes, from a share to what people read in Slack: what they hold, what cards show, and the catch-up at their end."""

import pytest

from relay.cards.holding import with_mute
from relay.cards.mutes import Mute
from relay.delivery import context
from relay.model.incident import State
from relay.store import open_cards
from tests.delivery.test_catch_ups import OVER, pinged, roots
from tests.support.postgres import postgresql_with_tables
from tests.support.relay_in_process import LONG_STEP, run_relay

ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - name: all
    post: [{channel: C0ALL00001, mention: {critical: [S0CRIT], warning: [S0WARN]}}]
"""
CHECKOUT, WEB = ([{"id": "service", "value": value}] for value in ("checkout", "web"))


async def mute(relay, seconds=3600.0, *, begins=0.0, **changes):
    """Mute what is about the checkout; return the mute's number."""
    now = relay.clock.now()
    values = {"match": "{tags: {service: checkout}}", "reason": "deploy", "author": "Dana", "origin": "cli"}
    made = Mute(**{**values, "start": now + begins, "end": now + begins + seconds, "created": now, **changes})
    number = (await relay.store.add_mute(made)).id
    await relay.settle()
    return number


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request):
    if request.param == "sqlite":
        yield ""
    else:
        with postgresql_with_tables() as url:
            yield url


async def test_a_muted_incident_is_listed_and_gets_its_card_without_a_ping_when_the_mute_ends(tmp_path, database):
    async with run_relay(tmp_path, routes=ROUTES, url=database) as relay:
        await mute(relay, 900)
        await relay.share("i1", status="critical", description="lag", incidentTags=CHECKOUT)
        await relay.share("i2", status="critical", incidentTags=WEB)
        await relay.share("i3", status="warning", incidentTags=CHECKOUT)
        await relay.advance(60)
        listed = [each for each in roots(relay) if "held" in each]
        assert len(listed) == 1
        assert "2 incidents held" in listed[0]
        assert "muted" in listed[0]
        assert pinged(relay) == [("S0CRIT",)]
        assert not any("Incident i1" in each for each in roots(relay))
        assert relay.transcript().count("Incident i1") == 1
        await relay.share("i3", **OVER)
        await relay.advance(900, step=LONG_STEP)
        assert pinged(relay) == [("S0CRIT",), ("S0CRIT",)]
        assert any("1 incident is still open" in each for each in roots(relay))
        assert any("No longer held" in each for each in roots(relay))
        assert any("Incident i1" in each and "still open" not in each for each in roots(relay))


async def test_a_posted_card_says_who_muted_it_until_when_and_why_and_holds_its_pings(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await relay.share("i1", status="warning", incidentTags=CHECKOUT)
        await relay.advance(60)
        await mute(relay)
        await relay.advance(60)
        [card] = roots(relay)
        assert "muted by Dana until" in card
        assert ": deploy" in card
        assert "🔇" in card.splitlines()[0]
        await relay.share("i1", status="critical", incidentTags=CHECKOUT)
        await relay.advance(60)
        assert pinged(relay) == [("S0WARN",)]
        await relay.advance(3600)
        card, catch_up = roots(relay)
        assert "🔇" not in card
        assert "1 incident is still open" in catch_up
        assert pinged(relay) == [("S0WARN",), ("S0CRIT",)]


async def test_an_incident_that_a_mute_excepts_pings_at_once(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await mute(relay, unless=State.CRITICAL)
        await relay.share("i1", status="critical", incidentTags=CHECKOUT)
        await relay.share("i2", status="warning", incidentTags=CHECKOUT)
        await relay.advance(60)
        assert pinged(relay) == [("S0CRIT",)]
        await relay.share("i2", status="critical", incidentTags=CHECKOUT)
        await relay.advance(60)
        assert pinged(relay) == [("S0CRIT",), ("S0CRIT", "S0WARN")]
        await relay.advance(3600)
        assert pinged(relay) == [("S0CRIT",), ("S0CRIT", "S0WARN")]


async def test_a_mute_that_is_ended_by_hand_is_over_at_once(tmp_path, database):
    async with run_relay(tmp_path, routes=ROUTES, url=database) as relay:
        number = await mute(relay)
        await relay.share("i1", status="critical", incidentTags=CHECKOUT)
        await relay.advance(60)
        assert await relay.store.end_mute(number, relay.clock.now(), "Ben")
        await relay.advance(120)
        assert pinged(relay) == [("S0CRIT",)]
        assert any("No longer held" in each for each in roots(relay))
        assert any("Incident i1" in each and "still open" not in each for each in roots(relay))


async def test_two_overlapping_mutes_end_in_one_catch_up_when_the_last_one_ends(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await relay.share("i1", status="warning", incidentTags=CHECKOUT)
        await relay.advance(60)
        shorter = await mute(relay, 3600)
        await mute(relay, 3600, begins=1800)
        await relay.share("i1", status="critical", incidentTags=CHECKOUT)
        await relay.advance(2000)
        await relay.store.end_mute(shorter, relay.clock.now(), "Ben")
        await relay.advance(2000)
        assert pinged(relay) == [("S0WARN",)]
        await relay.advance(2000)
        assert pinged(relay) == [("S0WARN",), ("S0CRIT",)]


async def test_an_extended_mute_has_no_gap(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        number = await mute(relay)
        await relay.share("i1", status="critical", incidentTags=CHECKOUT)
        await relay.advance(1800)
        now = relay.clock.now()
        assert await relay.store.extend_mute(number, now + 7200, now)
        await relay.advance(7000)
        assert pinged(relay) == []
        [listed] = roots(relay)
        assert "1 incident held" in listed
        await relay.advance(400)
        assert pinged(relay) == [("S0CRIT",)]


async def test_a_mute_survives_a_resolution_and_a_reopening(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await relay.share("i1", status="critical", incidentTags=CHECKOUT)
        await relay.advance(60)
        await mute(relay)
        await relay.share("i1", incidentTags=CHECKOUT, **OVER)
        await relay.advance(60)
        assert "🔇" not in roots(relay)[0]
        await relay.share("i1", status="critical", incidentTags=CHECKOUT)
        await relay.advance(60)
        assert "muted by Dana" in roots(relay)[0]
        assert pinged(relay) == [("S0CRIT",)]
        await relay.advance(3600)
        assert pinged(relay) == [("S0CRIT",), ("S0CRIT",)]


async def test_an_incident_whose_tags_leave_the_mute_is_posted_and_pings(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await mute(relay)
        await relay.share("i1", status="critical", incidentTags=CHECKOUT)
        await relay.advance(60)
        assert pinged(relay) == []
        await relay.share("i1", status="critical", incidentTags=WEB)
        await relay.advance(60)
        assert any("Incident i1" in each for each in roots(relay))
        assert pinged(relay) == [("S0CRIT",)]


async def test_a_mute_that_begins_later_holds_nothing_before(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        await mute(relay, 3600, begins=1800)
        await relay.share("i1", status="critical", incidentTags=CHECKOUT)
        await relay.advance(60)
        assert pinged(relay) == [("S0CRIT",)]
        assert "muted" not in roots(relay)[0]
        await relay.advance(1800)
        assert "muted by Dana" in roots(relay)[0]


@pytest.mark.parametrize("ended_meanwhile", [False, True])
async def test_a_mute_that_ended_while_relay_was_down_gets_one_catch_up(tmp_path, ended_meanwhile):
    async with run_relay(tmp_path, routes=ROUTES, dies=True) as relay:
        number = await mute(relay)
        await relay.share("i1", status="critical", incidentTags=CHECKOUT)
        await relay.share("i2", status="warning", incidentTags=CHECKOUT)
        await relay.advance(60)
        if ended_meanwhile:
            await relay.store.end_mute(number, relay.clock.now(), "Ben")
        slack, clock = relay.slack, relay.clock
    clock.advance(60 if ended_meanwhile else 4 * 3600)
    for _ in range(2):
        async with run_relay(tmp_path, routes=ROUTES, slack=slack, clock=clock) as relay:
            await relay.advance(300)
            assert pinged(relay) == [("S0CRIT", "S0WARN")]
            assert sum("still open" in each for each in roots(relay)) == 1


CHANGES = {
    "made": lambda store, _number, now: store.add_mute(_of_web(now)),
    "extended": lambda store, number, now: store.extend_mute(number, now + 7200, now),
    "ended": lambda store, number, now: store.end_mute(number, now, "Ben"),
}


def _of_web(now):
    match = "{tags: {service: web}}"
    return Mute(match=match, start=now, end=now + 7200, reason="web", author="Eve", origin="cli", created=now)


@pytest.mark.parametrize("after_batches", range(1, 4))
@pytest.mark.parametrize("change", CHANGES)
async def test_a_mute_that_changes_while_relay_updates_the_cards_is_shown_on_all_of_them(
    tmp_path, monkeypatch, change, after_batches
):
    monkeypatch.setattr(context, "INCIDENTS_PER_BATCH", 1)
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        for name, tags in (("i1", CHECKOUT), ("i2", WEB), ("i3", CHECKOUT)):
            await relay.share(name, status="critical", incidentTags=tags)
        await relay.advance(60)
        apply, batches = relay.store.change_open_cards, 0

        async def apply_and_change(*arguments, **options):
            nonlocal batches
            result = await apply(*arguments, **options)
            batches += 1
            if batches == after_batches:
                [made] = await relay.store.mutes_after(0)
                await CHANGES[change](relay.store, made.id, relay.clock.now())
            return result

        monkeypatch.setattr(relay.store, "change_open_cards", apply_and_change)
        await mute(relay)
        await relay.advance(60)
        now = relay.clock.now()
        mutes = await relay.store.mutes_after(now)
        for name in ("i1", "i2", "i3"):
            history = await relay.store.incident_history(name)
            [card] = history.cards
            assert with_mute(card, history.state.incident, mutes, now) == card


async def test_an_expensive_match_does_not_delay_other_work_for_long(tmp_path, monkeypatch):
    monkeypatch.setattr(open_cards, "MOST_SECONDS", -1.0)
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        for number in range(5):
            await relay.share(f"i{number}", status="critical", incidentTags=CHECKOUT)
        seen, after, calls = [], "", 0
        while after is not None:
            before = len(seen)
            decide = lambda card, _state: seen.append(card.incident) or card  # noqa: E731
            after = await relay.store.change_open_cards(after, 200, decide)
            assert len(seen) - before <= 1
            calls += 1
        assert seen == [f"i{number}" for number in range(5)]
        assert calls <= 6
