"""A channel of the routes that does not exist: relay warns at its first lookup, once."""

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
        reported = []
        relay.delivery._shared.on_channel_rejected = lambda ref, why: reported.append((ref, why))
        relay.delivery._shared.fixed_channels = lambda: ("#later",)
        await relay.store.add_channels(["#later", "#other"])  # the second one is of a card whose route is gone
        await relay.share("one", status="critical", incidentTags=[{"id": "team", "value": "db"}])
        await relay.advance(400)
        # Not the name that is built from the incident: alerts can make up any number of them.
        assert [ref for ref, _ in reported] == ["#later"]
        assert reported[0][1].startswith("channel not found. Correct the channel's name in routes.yaml")
        await relay.advance(4000)
        assert len(reported) == 1
