"""BigPanda's answers as a closed set: `rule` makes of whatever came back one value, which says what follows."""

from relay.bigpanda.answers import Call, Done, Kind, Later, Missing, Refused, Ruling, Unsure
from relay.bigpanda.classify import REASONS, rule
from relay.bigpanda.responses import comments_of, definitions_of, users_of

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
