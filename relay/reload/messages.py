"""The notices about an invalid edit, and about its fix: texts that can neither link nor ping."""

from collections.abc import Mapping, Sequence
from typing import Any

from relay.model.counting import counted
from relay.model.errors import Fault
from relay.slack.limits import SECTION_TEXT
from relay.slack.message import Message

MAX_LISTED = 10
"""How many faults a notice lists."""

_MAX_FAULT_LENGTH = 200
"""Characters of one fault: ten faults fit into one section."""

_NOT_APPLIED = "The previous configuration stays active, and nothing is lost."
_HOW_TO_FIX = "`relay check` lists all faults. Once the files are valid, relay applies them at once."
_FIXED = "✅ The configuration is valid again: relay uses the routes and templates on disk."


def faults_message(faults: Sequence[Fault]) -> Message:
    """Say what is wrong with the edit, and what follows."""
    headline = f"⚠️ Invalid configuration change, not applied ({counted(len(faults), 'fault')})."
    lines = [_cut(str(fault)) for fault in faults[:MAX_LISTED]]
    if len(faults) > MAX_LISTED:
        lines.append(f"… and {len(faults) - MAX_LISTED} more")
    listed = {"type": "plain_text", "text": "\n".join(lines)[:SECTION_TEXT], "emoji": False}  # operators' words
    context = {"type": "context", "elements": [_mrkdwn(_HOW_TO_FIX)]}
    return Message(
        text=headline,
        blocks=(_section(_mrkdwn(f"*{headline}* {_NOT_APPLIED}")), _section(listed), context),
    )


def fixed_message() -> Message:
    """Say that the configuration is valid again."""
    return Message(text=_FIXED, blocks=(_section(_mrkdwn(_FIXED)),))


def channels_message(channels: Mapping[str, str]) -> Message:
    """Say which channels of the routes take no messages, and why; `channels` is reference to reason and remedy."""
    headline = "⚠️ routes.yaml names channels that take no messages."
    effect = "Incidents for them come to this channel instead."
    lines = [_cut(f"{ref}: {why}") for ref, why in list(channels.items())[:MAX_LISTED]]
    if len(channels) > MAX_LISTED:
        lines.append(f"… and {len(channels) - MAX_LISTED} more; `relay doctor` lists them.")
    listed = {"type": "plain_text", "text": "\n".join(lines)[:SECTION_TEXT], "emoji": False}
    return Message(text=headline, blocks=(_section(_mrkdwn(f"*{headline}* {effect}")), _section(listed)))


def database_message(problem: str) -> Message:
    """Say that relay accepts no shares, and what to do; the problem is a sentence with a path."""
    headline = "🚨 Relay cannot store shares."
    effect = "It answers BigPanda with 503 until somebody acts."
    text = {"type": "plain_text", "text": problem[:SECTION_TEXT], "emoji": False}
    return Message(text=headline, blocks=(_section(_mrkdwn(f"*{headline}* {effect}")), _section(text)))


def _cut(line: str) -> str:
    text = " ".join(line.split())
    return text if len(text) <= _MAX_FAULT_LENGTH else text[: _MAX_FAULT_LENGTH - 1] + "…"


def _section(text: dict[str, Any]) -> dict[str, Any]:
    return {"type": "section", "text": text}


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}
