"""The manifest of relay's Slack app: what to paste at https://api.slack.com/apps, with the scopes that relay uses.

Its shape: https://docs.slack.dev/reference/app-manifest.
"""

from dataclasses import dataclass
from typing import Any

import orjson
import yaml

from relay.slack.scopes import ACTION_SCOPES, REQUIRED_SCOPES

_REPLIES = ["message.channels", "message.groups"]
"""The events by which replies in threads arrive; their scopes are those that relay reads channels with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestOptions:
    """How clicks reach relay: at its public base address, or over Socket Mode; or not at all, where neither is given.

    `replies`: replies in threads reach it the same way, for routes that sync them.
    """

    url: str = ""
    socket_mode: bool = False
    replies: bool = False

    @property
    def interactive(self) -> bool:
        """Whether people can act from Slack at all."""
        return bool(self.url) or self.socket_mode

    def __post_init__(self) -> None:
        """Refuse what Slack would refuse, or what would do nothing."""
        if self.url and self.socket_mode:
            raise ValueError("clicks come over HTTP or over Socket Mode: give the address, or ask for Socket Mode")
        if self.url and not self.url.startswith("https://"):
            raise ValueError("Slack calls an address that begins with https:// and nothing else")
        if self.replies and not self.interactive:
            raise ValueError("replies need a way to relay: its address, or Socket Mode")


def build_manifest(ways: ManifestOptions | None = None) -> dict[str, Any]:
    """The manifest as a JSON object."""
    ways = ways or ManifestOptions()
    settings: dict[str, Any] = {
        "interactivity": {"is_enabled": ways.interactive, **_at(ways, "/slack/actions")},
        "org_deploy_enabled": False,
        "socket_mode_enabled": ways.socket_mode,
        # A rotating token expires after 12 hours, and a server has nobody to renew it.
        "token_rotation_enabled": False,
    }
    if ways.replies:
        settings["event_subscriptions"] = {"bot_events": list(_REPLIES), **_at(ways, "/slack/events")}
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "relay",
            "description": "Puts BigPanda's shared incidents into Slack as living cards",
            "background_color": "#1d2b3a",
        },
        "features": {"bot_user": {"display_name": "relay", "always_online": True}},
        "oauth_config": {"scopes": {"bot": sorted({*REQUIRED_SCOPES, *(ACTION_SCOPES if ways.interactive else ())})}},
        "settings": settings,
    }


def as_yaml(made: dict[str, Any]) -> str:
    """The manifest as YAML."""
    return yaml.safe_dump(made, sort_keys=False, allow_unicode=True)


def as_json(made: dict[str, Any]) -> str:
    """The manifest as JSON."""
    return orjson.dumps(made, option=orjson.OPT_INDENT_2).decode()


def _at(ways: ManifestOptions, path: str) -> dict[str, str]:
    return {"request_url": ways.url.rstrip("/") + path} if ways.url else {}
