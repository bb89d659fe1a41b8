"""Calls the Slack of the settings."""

import aiohttp

from relay.config.settings import Settings
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway


def slack_gateway(session: aiohttp.ClientSession, settings: Settings, clock: Clock) -> SlackGateway:
    """Return a gateway with the bot token of the settings.

    Raises SettingsError: there is no token, or `SLACK_API_URL` is no address.
    """
    return SlackGateway(
        session,
        settings.required_bot_token,
        clock,
        base_url=settings.slack_api_url,
        team_id=settings.slack_team_id,
    )
