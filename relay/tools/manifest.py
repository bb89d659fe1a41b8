"""The manifest of relay's Slack app, to paste at https://api.slack.com/apps, with the scopes that relay uses.

Its format: https://docs.slack.dev/reference/app-manifest.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from relay.slack.methods import ACTION_SCOPES, REQUIRED_SCOPES

_REPLIES = ["message.channels", "message.groups"]
"""The events of replies in threads. They need the same scopes with which relay reads channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestOptions:
    """How clicks reach relay: at its public base address, or over Socket Mode, or not at all.

    With `replies`, replies in threads reach relay in the same way, for routes with `sync_replies`.

    Raises ValueError for options that Slack would reject, or that have no effect.
    """

    url: str = ""
    socket_mode: bool = False
    replies: bool = False

    @property
    def interactive(self) -> bool:
        """Whether people can act from Slack."""
        return bool(self.url) or self.socket_mode

    def __post_init__(self) -> None:
        if self.url and self.socket_mode:
            raise ValueError("use either --url or --socket-mode, not both")
        if self.url and not self.url.startswith("https://"):
            raise ValueError(f"{self.url!r} is not an https:// address, which Slack requires")
        if self.replies and not self.interactive:
            raise ValueError("--replies needs --url or --socket-mode")


def build_manifest(options: ManifestOptions | None = None) -> dict[str, Any]:
    """Build the manifest as a JSON object."""
    options = options or ManifestOptions()
    settings: dict[str, Any] = {
        "interactivity": {"is_enabled": options.interactive, **_request_url(options, "/slack/actions")},
        "org_deploy_enabled": False,
        "socket_mode_enabled": options.socket_mode,
        # A rotating token expires after 12 hours, and relay does not renew it.
        "token_rotation_enabled": False,
    }
    if options.replies:
        settings["event_subscriptions"] = {"bot_events": list(_REPLIES), **_request_url(options, "/slack/events")}
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "relay",
            "description": "Posts BigPanda's shared incidents to Slack and keeps each message up to date",
            "background_color": "#1d2b3a",
        },
        "features": {"bot_user": {"display_name": "relay", "always_online": True}},
        "oauth_config": {
            "scopes": {"bot": sorted({*REQUIRED_SCOPES, *(ACTION_SCOPES if options.interactive else ())})}
        },
        "settings": settings,
    }


def as_yaml(manifest: dict[str, Any]) -> str:
    """Convert the manifest to YAML."""
    return yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True)


def _request_url(options: ManifestOptions, path: str) -> dict[str, str]:
    return {"request_url": options.url.rstrip("/") + path} if options.url else {}
