"""The keys of a `*.test.yaml`: one table, which the parser, the schema and the documents follow."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from relay.cards.holds import Reason
from relay.model.entry_kinds import EntryKind
from relay.model.incident import State
from relay.routes import json_schema
from relay.routes.json_schema import Schema, array, closed_object, enum, mapping, ref
from relay.samples import SAMPLES
from relay.tools.testing.moments import MOMENT_SCHEMA

VERSION: Final = "1"
MOST_COPIES: Final = 1000


class FilePart(StrEnum):
    """A part of the file; the value names it in sentences."""

    FILE = "a test file"
    TEST = "a test"
    SHARE = "a share"
    MOMENT = "a moment"
    EXPECT = "expect"
    CARD = "a card"
    REPLY = "a reply"
    NOTIFICATION = "a notification"
    HELD = "what holds it"


@dataclass(frozen=True, slots=True)
class PartKey:
    """One key: the schema of its value, and what it means."""

    form: Schema
    description: str

    @property
    def schema(self) -> Schema:
        """The schema of its value, with the description."""
        return {**self.form, "description": self.description}


_WORD = json_schema.WORD
_WORDS: Final[Schema] = {"anyOf": [_WORD, array(_WORD)]}
_ANY_OBJECT: Final[Schema] = {"type": "object"}
_TARGETS: Final = array(ref("target"))
_HELD: Final[Schema] = {"anyOf": [enum(Reason), ref("held")]}
_EXPECTED: Final = PartKey(ref("expect"), "what you expect when everything due at that time is done")
_SAYS = PartKey(
    _WORDS,
    "texts that the message must contain, as a reader sees them; between slashes, a regular expression (RE2) "
    "that must match",
)
_LACKS = PartKey(_WORDS, "texts that the message must not contain")

KEYS: Final[dict[FilePart, dict[str, PartKey]]] = {
    FilePart.FILE: {
        "version": PartKey({"enum": [int(VERSION), VERSION]}, f"the version of this file's format: `{VERSION}`"),
        "tests": PartKey(array(ref("test"), min_items=1), "the tests"),
    },
    FilePart.TEST: {
        "name": PartKey(_WORD, "what it checks; unique in the file"),
        "shares": PartKey(array(ref("share"), min_items=1), "the shares, in the order in which they arrive"),
        "moments": PartKey(array(ref("moment"), min_items=1), "moments between and after the shares, in order"),
        "expect": PartKey(ref("expect"), "what you expect when nothing is due any more"),
        "note": PartKey({}, "a note for people"),
    },
    FilePart.SHARE: {
        "sample": PartKey(enum(SAMPLES), "a packaged share: `documented` is the one in BigPanda's documentation"),
        "file": PartKey(
            _WORD,
            "a share in a file beside this one. Without `sample` and `file`, it is the previous share without its "
            "comment and events",
        ),
        "at": PartKey(
            MOMENT_SCHEMA,
            "when it arrives: counted from the first share (`3m`), whose time is in its body; the next time of the day "
            '(`"03:00"`) or a date with a time (`2026-11-30 03:00`), in the `zone` of the routes. Without it, one '
            "minute after the previous share. Also sets `changedOn` and `updatedOn`",
        ),
        "state": PartKey(enum(State), "one of relay's states; alerts in a worse state get it too"),
        "environment": PartKey(_WORD, "the environment from which it is shared"),
        "tags": PartKey(_ANY_OBJECT, "incident tags: name to value or values, or null to remove one"),
        "comment": PartKey(_WORD, "somebody adds a comment"),
        "headers": PartKey(mapping(_WORD), "headers of the request"),
        "with": PartKey(_ANY_OBJECT, "any part of the body, merged into it; lists are replaced"),
        "without": PartKey(
            {"anyOf": [_WORD, array(_WORD, min_items=1)]}, "parts of the body to remove, such as `incident.snooze`"
        ),
        "copies": PartKey(
            {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_COPIES}, json_schema.pattern("^[0-9]+$")]},
            "the number of incidents like this one that arrive, one each second; `expect` is about the first",
        ),
        "expect": _EXPECTED,
    },
    FilePart.MOMENT: {
        "at": PartKey(
            MOMENT_SCHEMA,
            "the moment, as for a share; a time of the day is the next one after the previous moment, or after the "
            "first share",
        ),
        "expect": _EXPECTED,
    },
    FilePart.EXPECT: {
        "routes": PartKey(array(_WORD), "all routes that matched the last share, in any order"),
        "channels": PartKey(array(_WORD), "all channels that have a card, in any order"),
        "cards": PartKey(mapping(ref("card")), "channel to what is expected of its card"),
        "storms": PartKey(
            mapping({"type": "integer", "minimum": 0}),
            "channel to the number of new cards that storms have held there, counted over all incidents of the test. "
            "For everything else, relay simulates each incident without a storm",
        ),
    },
    FilePart.CARD: {
        "says": _SAYS,
        "lacks": _LACKS,
        "notification": PartKey(
            {"anyOf": [_WORD, ref("notification")]}, "the text of the lock screen: a text, or `says` and `lacks`"
        ),
        "route": PartKey(_WORD, "the route that governs the card"),
        "pings": PartKey(_TARGETS, "the targets of the first post, in any order; `[]` for nobody"),
        "catch_up": PartKey(_TARGETS, "the targets that catch-ups ping afterwards, in any order; `[]` for nobody"),
        "held": PartKey(_HELD, "the card is not posted yet: what holds it, such as `hold`, or `reason` and `until`"),
        "held_pings": PartKey(
            mapping(_HELD), "each target whose ping is held, with the reason, such as `quiet`; `{}` for nobody"
        ),
        "pinged": PartKey(
            _TARGETS, "all who were pinged so far, by the card, its thread and catch-ups, in any order; `[]` for nobody"
        ),
        "entries": PartKey({"type": "integer", "minimum": 0}, "the number of entries in the thread"),
        "thread": PartKey(
            array({"anyOf": [_WORD, ref("reply")]}), "all replies, in order; a text is short for `{says: ...}`"
        ),
    },
    FilePart.REPLY: {
        "says": _SAYS,
        "lacks": _LACKS,
        "kinds": PartKey(array(enum(EntryKind)), "the kinds of its entries, in any order"),
        "pings": PartKey(_TARGETS, "the targets that it pings, in any order; `[]` for nobody"),
        "broadcast": PartKey(json_schema.FLAG, "whether the channel shows it too"),
    },
    FilePart.NOTIFICATION: {"says": _SAYS, "lacks": _LACKS},
    FilePart.HELD: {
        "reason": PartKey(enum(Reason), "the reason"),
        "until": PartKey(MOMENT_SCHEMA, "its end, to the minute, written as `at`; without it, any"),
    },
}

_REQUIRED: Final = {
    FilePart.FILE: ("version", "tests"),
    FilePart.TEST: ("name", "shares"),
    FilePart.MOMENT: ("at", "expect"),
    FilePart.HELD: ("reason",),
}


def part_schema(part: FilePart) -> dict[str, Any]:
    """The schema of one part; `x-...` keys are allowed anywhere."""
    properties = {name: key.schema for name, key in KEYS[part].items()}
    return closed_object(properties, required=_REQUIRED.get(part, ()), extensible=True)
