"""The `match` of a mute: the language of routes, with at least one condition that says what is meant.

A mute is made while relay runs, by a command or a click, so it has no file of its own. Its match is one line of YAML,
such as `{tags: {service: checkout}}`.
"""

import json
from functools import lru_cache
from typing import Final

from relay.model.errors import ConfigurationError
from relay.routes.match import Comparison, Match
from relay.routes.operators import Combined, Exists, Wanted
from relay.routes.parser.matches import read_match
from relay.routes.yaml_reader.context import ParseContext, Position
from relay.routes.yaml_reader.parse import parse_yaml

MAX_TEXT: Final = 4_000
"""Characters of a match. A value of an alert may have 512, each perhaps escaped."""

_PLAIN: Final = frozenset("*?/")
"""What makes a value a glob or a regular expression."""


@lru_cache(maxsize=256)
def parse_mute_match(text: str) -> Match:
    """Parse the match of a mute.

    Raises ConfigurationError: its faults, each with its place in the text; or it says only what is not meant.
    """
    context = ParseContext(file="match")
    start = Position(line=1, column=1)
    if len(text) > MAX_TEXT:
        context.add_fault(start, f"it has more than {MAX_TEXT:,} characters")
        raise ConfigurationError(context.faults)
    root = parse_yaml(text, context)
    match = read_match(root, context) if root is not None else Match()
    if not context.faults and not is_positive(match):
        context.add_fault(
            start, "it says only what is not meant, so it would mute everything else; name a tag or an environment"
        )
    if context.faults:
        raise ConfigurationError(context.faults)
    return match


def is_positive(match: Match) -> bool:
    """Whether a condition names something that an incident must have: an absent value never meets it."""
    for condition in match.conditions:
        if isinstance(condition, Comparison):
            if _is_positive(condition.wanted):
                return True
        elif (condition.key == "any" and all(map(is_positive, condition.parts))) or (
            condition.key == "all" and any(map(is_positive, condition.parts))
        ):
            return True
    return False


def _is_positive(wanted: Wanted) -> bool:
    match wanted:
        case Exists(wanted=presence):
            return presence
        case Combined(key="not"):
            return False
        case Combined(key="any", these=these):
            return all(map(_is_positive, these))
        case Combined(these=these):
            return any(map(_is_positive, these))
        case _:
            return True


def literal_match(tag: str, value: str) -> str:
    """The match for one value of a tag, taken literally, whatever it looks like: alerts come from outside."""
    name = json.dumps(tag, ensure_ascii=False)
    return f"{{tags: {{{name}: {json.dumps(_literal(value), ensure_ascii=False)}}}}}"


def _literal(value: str) -> str:
    if not _PLAIN & set(value):
        return value
    return f"/(?i){''.join(map(_escaped, value))}/"


def _escaped(character: str) -> str:
    """As RE2 reads it literally (https://github.com/google/re2/wiki/Syntax)."""
    if character.isalnum() or character == "_":
        return character
    return f"\\{character}" if character.isascii() and character.isprintable() else f"\\x{{{ord(character):x}}}"
