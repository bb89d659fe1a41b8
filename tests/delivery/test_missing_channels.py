"""A channel of the routes that does not exist: relay warns at its first lookup, once."""

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
