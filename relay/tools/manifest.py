"""The manifest of relay's Slack app, to paste at https://api.slack.com/apps, with the scopes that relay uses.

Its format: https://docs.slack.dev/reference/app-manifest.
"""

from typing import Any

from relay.slack.methods import ACTION_SCOPES, REQUIRED_SCOPES

_REPLIES = ["message.channels", "message.groups"]
"""The events of replies in threads. They need the same scopes with which relay reads channels."""


def build_manifest(*, url: str = "", socket_mode: bool = False, replies: bool = False) -> dict[str, Any]:
    """Build the manifest as a JSON object.

    Clicks reach relay at `url`, its public base address, or over Socket Mode, or not at all. With `replies`, replies in
    threads do so too, for routes with `sync_replies`. Raises ValueError for options that Slack would reject, or that
    have no effect.
    """
    interactive = bool(url) or socket_mode
    if url and socket_mode:
        raise ValueError("use either --url or --socket-mode, not both")
    if url and not url.startswith("https://"):
        raise ValueError(f"{url!r} is not an https:// address, which Slack requires")
    if replies and not interactive:
        raise ValueError("--replies needs --url or --socket-mode")
    settings: dict[str, Any] = {
        "interactivity": {"is_enabled": interactive, **_request_url(url, "/slack/actions")},
        "org_deploy_enabled": False,
        "socket_mode_enabled": socket_mode,
        # A rotating token expires after 12 hours, and relay does not renew it.
        "token_rotation_enabled": False,
    }
    if replies:
        settings["event_subscriptions"] = {"bot_events": list(_REPLIES), **_request_url(url, "/slack/events")}
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {
            "name": "relay",
            "description": "Posts BigPanda's shared incidents to Slack and keeps each message up to date",
            "background_color": "#1d2b3a",
        },
        "features": {"bot_user": {"display_name": "relay", "always_online": True}},
        "oauth_config": {"scopes": {"bot": sorted({*REQUIRED_SCOPES, *(ACTION_SCOPES if interactive else ())})}},
        "settings": settings,
    }


def _request_url(url: str, path: str) -> dict[str, str]:
    return {"request_url": url.rstrip("/") + path} if url else {}
