"""Texts of answers: strings with relay's marks for links, dates and formatting, which become mrkdwn once, at the end.

Everything that comes from an alert or from a person goes through a filter that removes marks, and is escaped.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from relay.model.incident import Incident
from relay.model.reading import placeholder_title
from relay.rendering.blocks.inline import flow_of, mention_flow
from relay.rendering.blocks.marks import BOLD
from relay.rendering.blocks.rich_text import Atom, Flow, mrkdwn
from relay.rendering.blocks.tree import parse
from relay.rendering.engine.filters import code, emoji, link, oneline
from relay.slack.message import Message

MAX_ANSWER: Final = 3_500
"""Characters of an answer: Slack shows 4,000."""

_WORDS: Final = frozenset({"here", "channel"})
_LONGEST_TITLE: Final = 100
_LONGEST_LINE: Final = 600
_RESERVED_FOR_REST: Final = 60


class PingTargets(NamedTuple):
    """The targets of a ping: ids of groups and people, or `here` and `channel`."""

    targets: tuple[str, ...]


Line = str | tuple[str | PingTargets, ...]
"""A line of an answer: a text with marks, or several parts."""


def bold(text: str) -> str:
    """Bold words, of relay's own text."""
    return f"{BOLD}{text}{BOLD}"


def typed(text: str) -> str:
    """What a person has typed, as code."""
    return code(oneline(text, 60))


def link_to(address: str, label: str) -> str:
    """A link; the label alone where there is no address."""
    return link(address, label) if address.startswith(("https://", "http://")) else oneline(label)


def incident_name(incident: Incident, address: str = "") -> str:
    """The sign of the state, and the title as a link to the card, or to BigPanda."""
    title = oneline(incident.title or placeholder_title(incident.id), _LONGEST_TITLE)
    return f"{emoji(incident.state)} {link_to(address or incident.links.get('landing_page', ''), title)}"


def with_note(message: Message, note: str) -> Message:
    """The message with a note in small print below it; the same without one."""
    if not note:
        return message
    block = {"type": "context", "elements": [{"type": "mrkdwn", "text": note}]}
    return Message(text=message.text, blocks=(*message.blocks, block), attachments=message.attachments)


def mrkdwn_list(head: Sequence[Line], lines: Sequence[Line]) -> str:
    """Write the head, as many of the lines as fit, and how many do not, as mrkdwn."""
    begins = [written(each) for each in head]
    space = MAX_ANSWER - sum(len(each) + 1 for each in begins) - _RESERVED_FOR_REST
    shown: list[str] = []
    for line in lines:
        text = written(line)
        space -= len(text) + 1
        if space < 0:
            break
        shown.append(text)
    left_out = len(lines) - len(shown)
    rest = [f"_and {left_out:,} more_"] if left_out else []
    return "\n".join([*begins, *shown, *rest])


def written(line: Line, most: int = _LONGEST_LINE) -> str:
    """A line as mrkdwn of at most so many characters."""
    parts = (line,) if isinstance(line, str) else line
    atoms = [atom for part in parts for atom in (_flow(part) if isinstance(part, str) else _named(part.targets))]
    return mrkdwn(atoms, most)


def _flow(text: str) -> Flow:
    """The atoms of a text, with the blanks at its ends, which a message as a whole would lose."""
    atoms = list(flow_of(parse(text)))
    before = " " if text.startswith(" ") else ""
    after = " " if text.endswith(" ") else ""
    return [Atom(before), *atoms, Atom(after)]


def _named(targets: Sequence[str]) -> Flow:
    """Groups and people by their names in Slack. A message for one person pings nobody else; `here` stays a word."""
    mentions = [mention_flow([each]) if each not in _WORDS else [Atom(f"@{each}")] for each in targets]
    return [atom for number, each in enumerate(mentions) for atom in ([Atom(", ")] if number else []) + list(each)]
