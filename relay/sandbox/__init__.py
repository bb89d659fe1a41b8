"""Slack's stand-in: strict where Slack is strict, and as faulty as it is told to be.

It stands beside the house and takes nothing from it but the table of Slack's limits. Tests, the demo and
`relay sandbox` serve it over HTTP; the official SDK works against it unchanged.

    slack = Slack()
    slack.add_channel("C0123456789", "noc", member=True)
    async with serving(slack) as base_url:
        client = AsyncWebClient(slack.token, base_url=base_url)
        await client.chat_postMessage(channel="noc", text="Hello")
    print(slack.transcript("noc"))
"""

from relay.sandbox.calls import Call
from relay.sandbox.faults import (
    BAD_GATEWAY,
    BROKEN_JSON,
    EMPTY,
    PLAIN_TEXT,
    SERVER_ERROR,
    UNAVAILABLE,
    Armed,
    Code,
    Drop,
    Fault,
    Faults,
    Meanwhile,
    Reply,
    Silence,
    Slow,
    rate_limited,
)
from relay.sandbox.limits import Limits
from relay.sandbox.slack.channel import Channel, Message, Whisper
from relay.sandbox.slack.content import Content
from relay.sandbox.slack.interactivity import HTTP, Delivery
from relay.sandbox.slack.payloads import NotThere
from relay.sandbox.slack.people import SCOPES, Bot, Grant, User, UserGroup
from relay.sandbox.slack.pings import pings
from relay.sandbox.slack.server import Slack, run, serving
from relay.sandbox.slack.view import NotSendable, View

__all__ = [
    "BAD_GATEWAY",
    "BROKEN_JSON",
    "EMPTY",
    "HTTP",
    "PLAIN_TEXT",
    "SCOPES",
    "SERVER_ERROR",
    "UNAVAILABLE",
    "Armed",
    "Bot",
    "Call",
    "Channel",
    "Code",
    "Content",
    "Delivery",
    "Drop",
    "Fault",
    "Faults",
    "Grant",
    "Limits",
    "Meanwhile",
    "Message",
    "NotSendable",
    "NotThere",
    "Reply",
    "Silence",
    "Slack",
    "Slow",
    "User",
    "UserGroup",
    "View",
    "Whisper",
    "pings",
    "rate_limited",
    "run",
    "serving",
]
