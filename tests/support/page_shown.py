"""What a test of the page holds in its hands."""

from dataclasses import dataclass

from playwright.async_api import Page as Tab

from relay.sandbox.slack.message_content import Content
from relay.sandbox.slack.channel import Message
from relay.sandbox.slack.server import Slack
from relay.sandbox.page.page import Page

AT = 1_700_000_000
"""22:13 UTC on 14 November 2023."""


@dataclass
class Shown:
    """A workspace, its page, and a tab that shows it."""

    slack: Slack
    page: Page
    tab: Tab
    address: str

    def post(self, channel: str = "noc", **content: object) -> Message:
        """relay posts something."""
        return self.slack.channel(channel).add(Content(**content), self.slack.bot)

    def reply(self, to: Message, *, broadcast: bool = False, **content: object) -> Message:
        """relay replies to something."""
        channel = self.slack.channels[to.channel]
        return channel.add(Content(**content), self.slack.bot, to.ts, broadcast=broadcast)
