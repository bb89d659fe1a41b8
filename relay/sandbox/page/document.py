"""Messages as one HTML document that needs nothing else: what `relay render --html` writes, and the gallery shows.

The document carries the page's own drawing (`static/draw.js`) and the messages as JSON. Its policy lets run those two
scripts alone, by their hashes, and lets nothing be fetched.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

from relay.sandbox.page.static_files import text

_FOR_SCRIPTS: Final = {
    ord("<"): "\\u003c",
    ord(">"): "\\u003e",
    ord("&"): "\\u0026",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentMessage:
    """One message to draw, as it is sent to Slack: `text`, `blocks` and `attachments`.

    `at` is when it was posted (Unix seconds). `replies` stand in its thread, which is open; a `broadcast` reply
    says that it is in the channel too.
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
    """Some messages under a title, in the order in which they stand; `note` is a small line under the title."""

    title: str
    messages: Sequence[DocumentMessage]
    note: str = ""


def render_document(  # noqa: PLR0913  each is a thing of its own, and has a name
    scenes: Sequence[DocumentSection],
    *,
    title: str = "relay",
    people: Mapping[str, Mapping[str, str]] | None = None,
    now: float | None = None,
    zone: str | None = None,
    columns: int = 1,
) -> str:
    """The document, with every thread open.

    `people` names whom messages mention: `{"users": {id: name}, "groups": {...}, "channels": {...}}`; an id without a
    name is shown as it is. Dates are shown in the reader's zone and by the reader's clock, unless `zone` (such as
    `Europe/Berlin`) and `now` (Unix seconds) are given. `columns` scenes stand side by side.
    """
    shown = {
        "names": dict(people or {}),
        "now": now,
        "zone": zone,
        "columns": columns,
        "scenes": [_scene(scene, number) for number, scene in enumerate(scenes)],
    }
    style = text("draw.css") + text("document.css")
    scripts = [text("draw.js"), text("document.js")]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts, style)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{style}</style>",
            '<main id="scenes"></main>',
            f'<script type="application/json" id="shown">{json.dumps(shown).translate(_FOR_SCRIPTS)}</script>',
            *(f"<script>{script}</script>" for script in scripts),
            "</html>",
            "",
        ]
    )


def _policy(scripts: Sequence[str], style: str) -> str:
    """Those scripts and that style, and nothing from anywhere else."""
    sources = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    allowed = f"script-src {sources}; style-src 'sha256-{_digest(style)}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _digest(source: str) -> str:
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


@dataclass(slots=True)
class _Stamps:
    """A ts of its own for each message of a scene, so that replies find their parent."""

    used: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)

    def add(self, message: DocumentMessage, thread: str | None = None) -> None:
        self.used += 1
        ts = f"{int(message.at)}.{self.used:06d}"
        self.messages.append(
            {
                "ts": ts,
                "thread": thread,
                "text": message.text,
                "blocks": list(message.blocks),
                "attachments": list(message.attachments),
                "author": message.author,
                "bot": message.bot,
                "broadcast": message.broadcast,
            }
        )
        for reply in message.replies:
            self.add(reply, thread or ts)


def _scene(scene: DocumentSection, number: int) -> dict[str, Any]:
    stamps = _Stamps(used=number * 1_000)
    for message in scene.messages:
        stamps.add(message)
    return {"title": scene.title, "note": scene.note, "messages": stamps.messages}
