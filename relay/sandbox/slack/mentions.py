"""Whom a message pings: what Slack turns into a mention, in its text and its blocks.

https://docs.slack.dev/messaging/formatting-message-text. In `text` and in mrkdwn only the form with angle brackets
counts. A mrkdwn text object that is not `verbatim` also has a bare @here, @channel or @everyone turned into one.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from relay.sandbox.slack.channel import FakeMessage

_ANGLED: Final = re.compile(r"<(?:@([UW][A-Z0-9]+)|!subteam\^([A-Z0-9]+)|!(here|channel|everyone))(?:\|[^>]*)?>")
_BARE: Final = re.compile(r"(?<![\w@])@(here|channel|everyone)\b")


def pings(message: FakeMessage) -> tuple[str, ...]:
    """User ids, group ids, `here`, `channel` and `everyone`, each once, in order.

    Where there are blocks or attachments, `text` is counted too: it is the notification.
    """
    found = [*_in_text(message.text), *_in_json(list(message.blocks)), *_in_json(list(message.attachments))]
    return tuple(dict.fromkeys(found))


def _in_json(value: Any) -> Iterator[str]:
    match value:
        case {"type": "mrkdwn" | "markdown" as kind, "text": str(text)}:
            yield from _in_text(text)
            yield from _BARE.findall(text) if kind == "mrkdwn" and not value.get("verbatim") else ()
        case {"type": "user", "user_id": str(target)} | {"type": "usergroup", "usergroup_id": str(target)}:
            yield target
        case {"type": "broadcast", "range": str(target)}:
            yield target
        case dict():
            yield from _in_json(list(value.values()))
        case list():
            for part in value:
                yield from _in_json(part)


def _in_text(text: str) -> Iterator[str]:
    for match in _ANGLED.finditer(text):
        yield next(group for group in match.groups() if group)
