"""What belongs to one database alone."""

from relay.slack.workspace import SlackWorkspace


async def test_a_database_belongs_to_the_first_workspace_before_and_after_it_has_a_secret(store):
    first = SlackWorkspace(team_id="T1", team="one", bot_id="B1")
    assert await store.bind_workspace(first) == first
    assert await store.bind_workspace(SlackWorkspace(team_id="T2", team="two", bot_id="B2")) == first
    secret = await store.marker_secret("fresh")
    assert secret not in {"", "fresh"}
    assert await store.marker_secret("another") == secret
    assert await store.bound_workspace() == first
