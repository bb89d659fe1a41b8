"""BigPanda's answers as a closed set: `rule` makes of whatever came back one value, which says what follows."""

from relay.ruling.judging import REASONS, rule
from relay.ruling.nouns import Call, Done, Kind, Later, Missing, Refused, Ruling, Unsure
from relay.ruling.reads import comments_of, definitions_of, users_of

__all__ = [
    "REASONS",
    "Call",
    "Done",
    "Kind",
    "Later",
    "Missing",
    "Refused",
    "Ruling",
    "Unsure",
    "comments_of",
    "definitions_of",
    "rule",
    "users_of",
]
