"""The manifest of relay's Slack app, to paste at https://api.slack.com/apps, with the scopes that relay uses.

Its format: https://docs.slack.dev/reference/app-manifest.
"""

import re
from typing import Any

from relay.slack.interactions import WHY_SHORTCUT
from relay.slack.methods import ACTION_SCOPES, COMMANDS_SCOPE, REQUIRED_SCOPES

_REPLIES = ["message.channels", "message.groups"]
"""The events of replies in threads. They need the same scopes with which relay reads channels."""


DEFAULT_COMMAND = "/relay"

_COMMAND = re.compile(r"/[^\s/A-Z]{1,31}")
"""What Slack takes as a name (https://docs.slack.dev/interactivity/implementing-slash-commands#naming_your_command)."""


def build_manifest(
    *, url: str = "", socket_mode: bool = False, replies: bool = False, command: str = DEFAULT_COMMAND
) -> dict[str, Any]:
    """Build the manifest as a JSON object.

    Clicks and the slash `command` reach relay at `url`, its public base address, or over Socket Mode, or not at all.
    With `replies`, replies in threads do so too, for routes with `sync_replies`. Raises ValueError for options that
    Slack would reject, or that have no effect.
    """
    interactive, more = bool(url) or socket_mode, (*ACTION_SCOPES, COMMANDS_SCOPE)
    if url and socket_mode:
        raise ValueError("use either --url or --socket-mode, not both")
    if url and not url.startswith("https://"):
        raise ValueError(f"{url!r} is not an https:// address, which Slack requires")
    if replies and not interactive:
        raise ValueError("--replies needs --url or --socket-mode")
    if not _COMMAND.fullmatch(command):
        raise ValueError(f"{command!r} is no name of a command, such as /relay: at most 32 characters, in lower case")
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
        "features": {
            "bot_user": {"display_name": "relay", "always_online": True},
            **(_commands(command, url) if interactive else {}),
        },
        "oauth_config": {"scopes": {"bot": sorted({*REQUIRED_SCOPES, *(more if interactive else ())})}},
        "settings": settings,
    }


def _commands(command: str, url: str) -> dict[str, Any]:
    """The slash command and the message shortcut. Slack marks channels and people in the text (`should_escape`)."""
    slash_command = {
        "command": command,
        **({"url": url.rstrip("/") + "/slack/commands"} if url else {}),
        "description": "Asks relay what is open and why, and mutes",
        "usage_hint": "open [#channel | team], mine, why LINK, mute TAG=VALUE 2h REASON, unmute ID, help",
        "should_escape": True,
    }
    shortcut = {
        "name": "Why is this here?",
        "type": "message",
        "callback_id": WHY_SHORTCUT,
        "description": "Says which routes match, and what is held until when",
    }
    return {"shortcuts": [shortcut], "slash_commands": [slash_command]}


def _request_url(url: str, path: str) -> dict[str, str]:
    return {"request_url": url.rstrip("/") + path} if url else {}
