"""What `relay sandbox` prints: the settings to export, what exists, and a first share to send."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote
from typing import Final

from relay.sandbox.bigpanda.server import FakeBigPanda
from relay.sandbox.slack.server import FakeSlack

WEBHOOK_KEY: Final = "sandbox-webhook-key"
ADMIN_KEY: Final = "sandbox-admin-key"
"""The keys that relay and the sandbox share, unless the environment has others."""

FIRST_SHARE: Final = {
    "incident": {
        "id": "first-share",
        "status": "Critical",
        "severity": "Critical",
        "active": True,
        "alerts": [
            {
                "id": "a1",
                "status": "Critical",
                "active": True,
                "primaryProperty": "host",
                "secondaryProperty": "check",
                "description": "/var is 97 % full",
                "tags": [{"name": "host", "value": "db-1"}, {"name": "check", "value": "disk"}],
            }
        ],
    },
    "incidentTags": [{"id": "team", "value": "payments"}],
    "metadata": {"environment": "Production", "environment_id": "sandbox-production"},
}
"""A critical incident of the team payments, for which `relay init` writes a route."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxGuide:
    """Where everything listens. A key is empty if the environment has another one, which must not be printed."""

    slack: FakeSlack
    slack_url: str
    bigpanda: FakeBigPanda
    bigpanda_url: str
    relay_url: str
    webhook_key: str = WEBHOOK_KEY
    admin_key: str = ADMIN_KEY

    @property
    def page(self) -> str:
        """The address of the page."""
        return self.slack_url.removesuffix("api/")

    @property
    def settings(self) -> dict[str, str]:
        """The settings with which relay works with the sandbox."""
        settings = {
            "SLACK_API_URL": self.slack_url,
            "SLACK_BOT_TOKEN": self.slack.token,
            "SLACK_APP_TOKEN": self.slack.app_token,
            "BIGPANDA_API_URL": self.bigpanda_url,
            "BIGPANDA_API_KEY": self.bigpanda.key,
            "RELAY_WEBHOOK_KEYS": self.webhook_key,
            "RELAY_ADMIN_KEY": self.admin_key,
        }
        return {name: value for name, value in settings.items() if value}

    @property
    def curl(self) -> str:
        """The command that sends a first share."""
        header = f"X-Relay-Key: {self.webhook_key or 'YOUR-WEBHOOK-KEY'}"
        body = json.dumps(FIRST_SHARE, separators=(",", ":"))
        return f"curl -H {quote(header)} -d {quote(body)} {self.relay_url.rstrip('/')}/shares"

    def lines(self) -> Iterator[str]:
        """All of it, as text."""
        names = {user.id: user.name for user in self.slack.users.values()}
        groups = {
            group.id: f"@{group.handle} (members: {', '.join(names[user] for user in group.users)})"
            for group in self.slack.usergroups.values()
        }
        yield from _list("Channels", {channel.id: f"#{channel.name}" for channel in self.slack.channels.values()})
        yield from _list("Users", names)
        yield from _list("User groups", groups)
        yield ""
        yield "1. In a second terminal, give relay these settings:"
        yield ""
        yield from (f"export {name}={value}" for name, value in self.settings.items())
        yield ""
        yield "2. Run relay there, with your routes.yaml (relay init writes a first one):"
        yield ""
        yield "relay doctor"
        yield "relay serve"
        yield ""
        yield "3. Send a first share from a third terminal:"
        yield ""
        yield self.curl
        yield ""
        yield f"Look at the page: {self.page}"
        yield "Ctrl-C stops the sandbox."


def _list(title: str, names: dict[str, str]) -> Iterator[str]:
    yield f"{title}:"
    yield from (f"  {id_}  {name}" for id_, name in names.items())
