"""A page that is open in a browser, with the workspace behind it."""

from dataclasses import dataclass
from typing import Any

from playwright.async_api import Page as Tab

from relay.sandbox.page.page import Page
from relay.sandbox.slack.channel import FakeMessage
from relay.sandbox.slack.message_content import MessageContent
from relay.sandbox.slack.server import FakeSlack

AT = 1_700_000_000
"""22:13 UTC on 14 November 2023."""


@dataclass
class Shown:
    """A workspace, its page, and a tab that shows it."""

    slack: FakeSlack
    page: Page
    tab: Tab
    address: str

    def post(self, channel: str = "noc", **content: Any) -> FakeMessage:
        """Post as relay."""
        return self.slack.channel(channel).add_message(MessageContent(**content), self.slack.bot)

    def reply(self, to: FakeMessage, *, broadcast: bool = False, **content: Any) -> FakeMessage:
        """Reply as relay."""
        channel = self.slack.channels[to.channel]
        return channel.add_message(MessageContent(**content), self.slack.bot, to.ts, broadcast=broadcast)
