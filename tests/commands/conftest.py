"""What tests of commands share."""

from collections.abc import Awaitable, Callable

import pytest

from relay.sandbox.slack.channel import EphemeralMessage
from tests.support.bigpanda_round_trip import ANN, DB, NOC, RoundTrip, run_round_trip

SECRET = "C0SECRET01"
ROUTES = f"""
version: 1
fallback: {NOC}
channels: {{ops: "{DB}"}}
users: {{cid@example.org: 5506e4fbe7e0e400000000a1}}
routes:
  - name: secret
    match: {{tags: {{team: security}}}}
    post: [{SECRET}]
  - name: databases
    match: {{tags: {{team: database}}}}
    post: [{DB}]
    actions: [assign]
  - name: audit
    match: {{tags: {{team: payments}}}}
    post: [{SECRET}]
    continue: true
  - name: payments
    match: {{tags: {{team: payments}}}}
    post: [{NOC}, {DB}]
"""
Ask = Callable[..., Awaitable[str]]


def with_secret_channel(slack):
    """Add a private channel, in which relay and nobody else is."""
    slack.add_channel(SECRET, "secret", private=True, member=True)
    return slack


@pytest.fixture
async def round_trip(tmp_path):
    async with run_round_trip(tmp_path, routes=ROUTES, prepare=with_secret_channel) as opened:
        opened.relay.backend.commands.answer_within = 60  # a busy machine may need longer than Slack waits
        yield opened


@pytest.fixture
def ask(round_trip: RoundTrip) -> Ask:
    async def ask(text: str, user: str = ANN, channel: str = DB) -> str:
        """Use the command, and return what the person reads."""
        return await asked(round_trip, text, user, channel)

    return ask


async def asked(round_trip: RoundTrip, text: str, user: str = ANN, channel: str = DB) -> str:
    """Use the command, and return what the person reads."""
    delivery = await round_trip.slack.use_command(user, channel, text)
    await round_trip.settle()
    assert delivery.acknowledged, delivery.reason
    return round_trip.slack.text_of(newest(round_trip, user, channel))


def newest(round_trip: RoundTrip, user: str = ANN, channel: str = DB) -> EphemeralMessage:
    """The newest message that only this person sees in the channel."""
    return [each for each in round_trip.slack.channel(channel).ephemeral if each.recipient == user][-1]
