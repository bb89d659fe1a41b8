"""What Slack would read in a text of a message, beside words: formatting, emoji, links, pings and quotes.

https://docs.slack.dev/messaging/formatting-message-text. A combining grapheme joiner before a character keeps it from
formatting anything. Where Slack's rules are not documented, this reads more than Slack does.
"""

import html
import re

JOINER = "\u034f"
_ANGLED = re.compile(r"<[^<>\n]+>")
_PATTERNS = {
    "code": re.compile(r"`[^`\n]+`|```"),
    "bold": re.compile(r"(?<![\w\u034f])\*(?!\s)[^\n]*?[^\s\u034f]\*(?!\w)"),
    "italic": re.compile(r"(?<![^\W_]|\u034f)_(?!\s)[^\n]*?[^\s\u034f]_(?![^\W_])"),
    "struck": re.compile(r"(?<![\w\u034f])~(?!\s)[^\n]*?[^\s\u034f]~(?!\w)"),
    "emoji": re.compile(r":[\w+'-]+:"),
    "quote": re.compile(r"(?m)^[ \t]*(?:&gt;|>)"),
    "angled": _ANGLED,
}


def read_in(text: str) -> set[str]:
    """The kinds of markup that Slack would find in a mrkdwn text."""
    return {kind for kind, pattern in _PATTERNS.items() if pattern.search(text)}


def words_of(text: str) -> str:
    """The words that a reader sees of a mrkdwn text without markup."""
    return html.unescape(text.replace(JOINER, "")).replace("\u02cb", "`")
