"""Messages as one self-contained HTML document: what `relay render --html` writes, and the gallery shows.

The document carries the page's own drawing code (`static/draw.js`) and the messages as JSON. Its policy allows only
those two scripts, by their hashes, and lets nothing be loaded.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import count
from pathlib import Path
from typing import Any, Final

_STATIC_FILES: Final = Path(__file__).resolve().parent / "static"
_SCRIPT_ESCAPES: Final = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentMessage:
    """One message to draw, as it is sent to Slack: `text`, `blocks` and `attachments`.

    `at` is when it was posted (Unix seconds). `replies` are shown in its open thread; a `broadcast` reply says that it
    is in the channel too.
    """

    text: str = ""
    blocks: Sequence[Mapping[str, Any]] = ()
    attachments: Sequence[Mapping[str, Any]] = ()
    at: float = 0.0
    author: str = "relay"
    bot: bool = True
    broadcast: bool = False
    replies: Sequence["DocumentMessage"] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSection:
    """Messages under a title, in order; `note` is a small line under the title."""

    title: str
    messages: Sequence[DocumentMessage]
    note: str = ""


def render_document(  # noqa: PLR0913  each is an option of its own, by name
    sections: Sequence[DocumentSection],
    *,
    title: str = "relay",
    people: Mapping[str, Mapping[str, str]] | None = None,
    now: float | None = None,
    zone: str | None = None,
    columns: int = 1,
) -> str:
    """The document, with every thread open.

    `people` names those whom messages mention: `{"users": {id: name}, "groups": {...}, "channels": {...}}`; an id
    without a name is shown as it is. Dates are shown in the reader's zone and by the reader's clock, unless `zone`
    (such as `Europe/Berlin`) and `now` (Unix seconds) are given. `columns` is how many sections stand side by side.
    """
    content = {
        "names": dict(people or {}),
        "now": now,
        "zone": zone,
        "columns": columns,
        "sections": [
            {"title": section.title, "note": section.note, "messages": list(_section_messages(section, number))}
            for number, section in enumerate(sections)
        ],
    }
    style = static_file("draw.css") + static_file("document.css")
    scripts = [static_file("draw.js"), static_file("document.js")]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts, style)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            '<main id="sections"></main>',
            f'<script type="application/json" id="content">{json.dumps(content).translate(_SCRIPT_ESCAPES)}</script>',
            *(f"<script>{script}</script>" for script in scripts),
            "</html>",
            "",
        ]
    )


@cache
def static_file(name: str) -> str:
    """One of the page's files, as they are packaged: plain HTML, CSS and JavaScript."""
    return (_STATIC_FILES / name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str], style: str) -> str:
    """Those scripts and that style, and nothing from anywhere else."""
    sources = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    allowed = f"script-src {sources}; style-src 'sha256-{_digest(style)}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _digest(source: str) -> str:
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _section_messages(section: DocumentSection, number: int) -> Iterator[dict[str, Any]]:
    fractions = count(number * 1_000 + 1)
    for message in section.messages:
        yield from _messages(message, fractions)


def _messages(
    message: DocumentMessage, fractions: Iterator[int], thread: str | None = None
) -> Iterator[dict[str, Any]]:
    """A message and its replies; each gets its own ts, by which replies find their parent."""
    ts = f"{int(message.at)}.{next(fractions):06d}"
    yield {
        "ts": ts,
        "thread": thread,
        "text": message.text,
        "blocks": list(message.blocks),
        "attachments": list(message.attachments),
        "author": message.author,
        "bot": message.bot,
        "broadcast": message.broadcast,
    }
    for reply in message.replies:
        yield from _messages(reply, fractions, thread or ts)
