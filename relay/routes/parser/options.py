"""The options of a card as routes.yaml sets them: in defaults, in routes, in post items."""

import re
from collections.abc import Mapping
from typing import Any

from relay.routes.options import ACTIONS, BROADCAST_KINDS, KINDS, InDoubt, Options
from relay.routes.parser.faults import Reading, alternatives
from relay.routes.parser.scalars import Reader, duration, found, list_of, one_of, text, truth
from relay.routes.parser.targets import user_group
from relay.routes.parser.yaml_nodes import Node, Table

Settings = Mapping[str, Any]
"""Options that are set, by name; what is not there is inherited."""

BUILT_IN = Options().template
"""The package has it, whatever folders there are."""

SHORTEST_SILENCE = 60.0
"""Seconds: whoever has just been heard of is not silent, and is not to be asked after all the time."""

_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def template(node: Node, reading: Reading) -> str | None:
    """A folder of templates."""
    name = text(node, reading)
    if name is None:
        return None
    if not _FOLDER.fullmatch(name):
        reading.fault(node, f"a template is the name of a folder under templates/, found {found(node)}")
        return None
    if reading.templates is not None and name not in (BUILT_IN, *reading.templates):
        reading.fault(node, f"there is no template '{name}'{alternatives(name, sorted(reading.templates))}")
        return None
    return name


def in_doubt(node: Node, reading: Reading) -> InDoubt | None:
    """What a lost answer means."""
    word = one_of(*InDoubt)(node, reading)
    return None if word is None else InDoubt(word)


def silence(node: Node, reading: Reading) -> float | None:
    """A length of time in which something might have been heard."""
    seconds = duration(node, reading)
    if seconds is not None and seconds < SHORTEST_SILENCE:
        hint = "where no silence is to matter, write a long one, such as 365d"
        reading.fault(node, f"a silence is at least 1m, found {found(node)}; {hint}")
        return None
    return seconds


OPTIONS: Mapping[str, Reader[Any]] = {
    "template": template,
    "thread": list_of(one_of(*KINDS)),
    "broadcast": list_of(one_of(*BROADCAST_KINDS)),
    "gather": duration,
    "wait": duration,
    "reopen_within": duration,
    "show_tags": list_of(text),
    "runbook_tags": list_of(text),
    "in_doubt": in_doubt,
    "allow_external": truth,
    "actions": list_of(one_of(*ACTIONS)),
    "actors": list_of(user_group),
    "sync_replies": truth,
    "stale_after": silence,
}
"""How each option is read."""


def settings(table: Table, reading: Reading) -> Settings:
    """The options that a table sets; the faulty ones are left out."""
    read = {word.text: OPTIONS[word.text](value, reading) for word, value in table.entries if word.text in OPTIONS}
    return {name: value for name, value in read.items() if value is not None}
