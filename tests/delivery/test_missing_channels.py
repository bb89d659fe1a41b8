"""Channels of the routes that do not exist, or are found only when a card needs them."""

from relay.cards.holds import Reason
from relay.cards.model import CardState
from relay.model.errors import StoreUnusable
from relay.reload.unusable_channels import unusable_channels
from relay.routes.parser.parse import parse_rulebook
from tests.support.relay_in_process import run_relay

ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - {name: db, match: {tags: {team: db}}, post: ["#typo"], continue: true}
  - {name: any, match: {tags: {team: db}}, post: ["#d-{{ tags.team }}"]}
"""


async def test_a_missing_channel_of_the_routes_is_reported_with_its_remedy(tmp_path, caplog):
    async with run_relay(tmp_path, routes=ROUTES) as relay:

        async def problems():
            return unusable_channels(parse_rulebook(ROUTES), await relay.store.channels())

        changes = []
        relay.delivery._shared.on_channel_changed = lambda: changes.append("changed")
        await relay.share("one", status="critical", incidentTags=[{"id": "team", "value": "db"}])
        await relay.advance(400)
        # Not the name that is built from the incident: alerts can make up any number of them.
        [problem] = await problems()
        assert problem.startswith("#typo: channel not found. Correct the channel's name in routes.yaml")
        before = len(changes)
        await relay.advance(4000, step=30)
        assert len(changes) == before  # nothing about it has changed
        relay.slack.add_channel("C0TYPO0001", "typo")
        await relay.advance(4000, step=30)
        assert await problems() == ()
        assert len(changes) > before


FOUND_LATER = """
version: 1
zone: Etc/UTC
hours: {night: {from: "22:00", to: "23:00"}}
routes:
  - {name: id, match: {tags: {team: nobody}}, post: [C0DB000001]}
  - {name: name, post: [{channel: "#d{{ tags.team }}", hold: {during: [night], unless: never}}]}
"""
"""A name that only an incident makes, of a channel that has its id in the file, too. It is 22:13 when relay starts."""


async def test_a_card_for_another_spelling_of_a_channel_is_held_by_its_own_hours_at_once(tmp_path):
    async with run_relay(tmp_path, routes=FOUND_LATER) as relay:
        await relay.share("one", status="critical", incidentTags=[{"id": "team", "value": "b"}])
        await relay.advance(60)
        [card] = (await relay.store.incident_history("one")).cards
        assert (card.channel, card.state, card.held.reason) == ("C0DB000001", CardState.PENDING, Reason.HOLD)


async def test_a_database_that_fails_after_a_channel_was_found_keeps_no_card_waiting(tmp_path):
    routes = 'version: 1\nroutes: [{name: any, post: ["#d{{ tags.team }}"]}]'
    async with run_relay(tmp_path, routes=routes) as relay:
        read_references, failures = relay.store.canonical_refs, [StoreUnusable("it is away")]

        async def canonical_refs():
            if failures and any(each.ref == "#db" and each.is_open for each in await relay.store.channels()):
                raise failures.pop()
            return await read_references()

        relay.store.canonical_refs = canonical_refs
        await relay.share("one", status="critical", incidentTags=[{"id": "team", "value": "b"}])
        await relay.advance(30)
        assert not failures
        assert "Incident one" in relay.transcript("db")
