"""What the fallback channel is told of a faulty edit, and of its end: plain texts that can neither link nor ping."""

from collections.abc import Sequence
from typing import Any

from relay.model.errors import Fault
from relay.slack.limits import SECTION_TEXT
from relay.slack.message import Message

MAX_LISTED = 10
"""How many faults are told one by one."""

_LINE = 200
"""Characters of one fault: those of ten fit into one section."""

_GOES_ON = "It is not used: the last good configuration goes on working, and nothing is lost."
_HOW_TO_SEE = "`relay check` shows all of them; correct the files, and they are taken at once."
_OVER = "The edit of relay's configuration is corrected: routes and templates are live as they are on disk."


def faults_message(faults: Sequence[Fault]) -> Message:
    """What is wrong with the edit, and what follows from it."""
    number = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
    headline = f"⚠️ The edit of relay's configuration has {number}."
    listed = "\n".join(_shortened(fault) for fault in faults[:MAX_LISTED])
    more = f"\n… and {len(faults) - MAX_LISTED} more" if len(faults) > MAX_LISTED else ""
    blocks = (_section(f"*{headline}* {_GOES_ON}"), _plain(listed + more), _context(_HOW_TO_SEE))
    return Message(text=headline, blocks=blocks)


def fixed_message() -> Message:
    """That it is over."""
    return Message(text=f"✅ {_OVER}", blocks=(_section(f"✅ {_OVER}"),))


def _shortened(fault: Fault) -> str:
    text = " ".join(str(fault).split())
    return text if len(text) <= _LINE else text[: _LINE - 1] + "…"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _plain(text: str) -> dict[str, Any]:
    """What operators wrote stands in the faults, so this is text and nothing else."""
    return {"type": "section", "text": {"type": "plain_text", "text": text[:SECTION_TEXT], "emoji": False}}


def _context(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}
