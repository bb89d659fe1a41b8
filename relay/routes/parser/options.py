"""The options of a card as routes.yaml sets them: in defaults, in routes, in post items."""

import re
from collections.abc import Mapping
from typing import Any

from relay.model.buttons import BUTTONS
from relay.model.entry_kinds import BROADCAST_NAMES, THREAD_NAMES
from relay.routes.options import InDoubtPolicy, Options
from relay.routes.parser.context import ParseContext, suggestion
from relay.routes.parser.scalars import NodeReader, choice_of, describe, list_of, read_bool, read_duration, read_word
from relay.routes.parser.targets import user_group
from relay.routes.parser.yaml_nodes import MappingNode, Node

Settings = Mapping[str, Any]
"""Options that are set, by name; what is not there is inherited."""

BUILT_IN = Options().template
"""The package has it, whatever folders there are."""

SHORTEST_SILENCE = 60.0
"""Seconds: whoever has just been heard of is not silent, and is not to be asked after all the time."""

_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def template(node: Node, reading: ParseContext) -> str | None:
    """A folder of templates."""
    name = read_word(node, reading)
    if name is None:
        return None
    if not _FOLDER.fullmatch(name):
        reading.add_fault(node, f"a template is the name of a folder under templates/, found {describe(node)}")
        return None
    if reading.templates is not None and name not in (BUILT_IN, *reading.templates):
        reading.add_fault(node, f"there is no template '{name}'{suggestion(name, sorted(reading.templates))}")
        return None
    return name


def in_doubt(node: Node, reading: ParseContext) -> InDoubtPolicy | None:
    """What a lost answer means."""
    word = choice_of(*InDoubtPolicy)(node, reading)
    return None if word is None else InDoubtPolicy(word)


def silence(node: Node, reading: ParseContext) -> float | None:
    """A length of time in which something might have been heard."""
    seconds = read_duration(node, reading)
    if seconds is not None and seconds < SHORTEST_SILENCE:
        hint = "where no silence is to matter, write a long one, such as 365d"
        reading.add_fault(node, f"a silence is at least 1m, found {describe(node)}; {hint}")
        return None
    return seconds


OPTIONS: Mapping[str, NodeReader[Any]] = {
    "template": template,
    "thread": list_of(choice_of(*THREAD_NAMES)),
    "broadcast": list_of(choice_of(*BROADCAST_NAMES)),
    "gather": read_duration,
    "wait": read_duration,
    "reopen_within": read_duration,
    "show_tags": list_of(read_word),
    "runbook_tags": list_of(read_word),
    "in_doubt": in_doubt,
    "allow_external": read_bool,
    "actions": list_of(choice_of(*BUTTONS)),
    "actors": list_of(user_group),
    "sync_replies": read_bool,
    "stale_after": silence,
}
"""How each option is read."""


def settings(table: MappingNode, reading: ParseContext) -> Settings:
    """The options that a table sets; the faulty ones are left out."""
    read = {word.text: OPTIONS[word.text](value, reading) for word, value in table.entries if word.text in OPTIONS}
    return {name: value for name, value in read.items() if value is not None}
