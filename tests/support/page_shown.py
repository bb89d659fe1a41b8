"""What a test of the page holds in its hands."""

from dataclasses import dataclass

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

    def post(self, channel: str = "noc", **content: object) -> FakeMessage:
        """relay posts something."""
        return self.slack.channel(channel).add_message(MessageContent(**content), self.slack.bot)

    def reply(self, to: FakeMessage, *, broadcast: bool = False, **content: object) -> FakeMessage:
        """relay replies to something."""
        channel = self.slack.channels[to.channel]
        return channel.add_message(MessageContent(**content), self.slack.bot, to.ts, broadcast=broadcast)
