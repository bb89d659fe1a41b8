"""Reads the address of a message in Slack, as people copy it, so that a command can take it instead of an id.

Slack has two forms: a permalink (https://docs.slack.dev/reference/methods/chat.getPermalink), and the address of the
web client. A reply's address names the root of its thread.
"""

import re
from html import unescape
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

_PERMALINK = re.compile(r"/archives/(?P<channel>[CDG][A-Z0-9]+)/p(?P<seconds>[0-9]{10})(?P<fraction>[0-9]{6})/?")
_CLIENT = re.compile(
    r"/client/[A-Z0-9]+/[A-Z0-9]+/(?:[a-z_]+/)*(?P<channel>[CDG][A-Z0-9]+)-(?P<ts>[0-9]{10}\.[0-9]{6})/?"
)
_TS = re.compile(r"[0-9]{10}\.[0-9]{6}")


class RootMessage(NamedTuple):
    """The root message of a thread: Slack's channel id, and the `ts`."""

    channel: str
    ts: str


def is_link(text: str) -> bool:
    """Whether the text is a web address, perhaps in the brackets that Slack puts around one."""
    return text.strip().lstrip("<").lower().startswith(("https://", "http://"))


def root_message(text: str) -> RootMessage | None:
    """The root message that an address of Slack names; None if it names none."""
    try:
        parts = urlsplit(unescape(text.strip().strip("<>").partition("|")[0]))
    except ValueError:
        return None
    if link := _PERMALINK.fullmatch(parts.path):
        [thread] = parse_qs(parts.query).get("thread_ts", [""])[:1]
        own = f"{link['seconds']}.{link['fraction']}"
        return RootMessage(link["channel"], thread if _TS.fullmatch(thread) else own)
    if link := _CLIENT.fullmatch(parts.path):
        return RootMessage(link["channel"], link["ts"])
    return None
