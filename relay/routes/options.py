"""The options of a card: one row for each, which the parser, the schema, the documents and the storage follow.

To add an option, add a field to `Options`. Its row is the field's metadata. Then run what docs/how-to-change.md says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final, Self, TypeVar

from relay.model.buttons import ACTION_WORDS
from relay.model.entry_kinds import BROADCAST_NAMES, THREAD_NAMES
from relay.model.json_types import JSON
from relay.routes.hour_types import SILENT_HOURS
from relay.routes.hours import SilentHours
from relay.routes.key_types import (
    BUILT_IN_TEMPLATE,
    CARD_PLACES,
    DURATION,
    FLAG,
    SILENCE,
    SWITCH,
    TEMPLATE,
    WORD,
    Key,
    KeyType,
    Place,
    choice_of,
    list_of,
    member_of,
)
from relay.routes.people import USER_GROUP
from relay.routes.remind import NO_REMIND, REMIND, Remind
from relay.routes.yaml_reader.context import ParseContext
from relay.routes.yaml_reader.nodes import MappingNode

T = TypeVar("T")
OptionValues = Mapping[str, Any]
"""The options that one part of the file sets, by name; all others are inherited."""

_MINUTE, _HOUR = 60.0, 3600.0


class InDoubtPolicy(StrEnum):
    """What to do after a lost answer, if relay may not read the channel."""

    REPOST = "repost"
    HOLD = "hold"


def option(
    default: T,
    key_type: KeyType[T],
    description: str,
    places: tuple[Place, ...] = CARD_PLACES,
    *,
    is_drawn: bool = False,
) -> T:
    """Declare a field of `Options` with its row. `is_drawn` says whether messages are rendered from its value."""
    row = {"type": key_type, "places": places, "description": description}
    return field(default=default, metadata={"row": row, "is_drawn": is_drawn})


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one card, fully resolved; durations are seconds."""

    template: str = option(BUILT_IN_TEMPLATE, TEMPLATE, "the folder under `templates/`", is_drawn=True)
    thread: tuple[str, ...] = option(
        THREAD_NAMES,
        list_of(choice_of(*THREAD_NAMES, name="entry kinds")),
        "the entries in the thread; a change that pings always has one",
    )
    broadcast: tuple[str, ...] = option(
        ("reopened",),
        list_of(choice_of(*BROADCAST_NAMES, name="entry kinds")),
        "the entries that are also shown in the channel: kinds as in `thread`, and `rise`, "
        "`resolved`, `reopened`, `reminder`",
    )
    gather: float = option(
        2 * _MINUTE, DURATION, "how long `tags` and `alerts` entries are batched; any other entry sends them at once"
    )
    wait: float = option(
        0.0,
        DURATION,
        "post only if the incident is still open and still matches after this time. It counts from the first share, "
        "or from a reopening if there is no card yet",
        (*CARD_PLACES, Place.FALLBACK),
    )
    reopen_within: float = option(
        24 * _HOUR, DURATION, "an incident that reopens later than this gets a new card, with a link to the old one"
    )
    show_tags: tuple[str, ...] = option(
        (),
        list_of(WORD),
        "the tags that a card shows first. A card shows at most six tags and counts the others",
        is_drawn=True,
    )
    runbook_tags: tuple[str, ...] = option(
        ("run-book", "runbook", "runbook_url"),
        list_of(WORD),
        "the tags of an alert that hold the link to its run-book",
        is_drawn=True,
    )
    in_doubt: InDoubtPolicy = option(  # noqa: RUF009  it declares a field
        InDoubtPolicy.REPOST,
        member_of(InDoubtPolicy),
        "what to do if Slack's answer was lost and relay may not read the channel: "
        "`repost`, marked as a possible repeat, or `hold`",
    )
    allow_external: bool = option(
        default=False,
        key_type=FLAG,
        description="whether to post to a channel that is shared with another organisation",
    )
    actions: tuple[str, ...] = option(
        (),
        list_of(choice_of(*ACTION_WORDS, name="buttons")),
        f"the buttons of the card, in relay's order: {', '.join(f'`{word}`' for word in ACTION_WORDS)}",
        is_drawn=True,
    )
    actors: tuple[str, ...] = option(
        (), list_of(USER_GROUP), "the user groups that may press the buttons; if empty, everyone in the channel"
    )
    sync_replies: bool = option(
        default=False, key_type=FLAG, description="whether replies in the thread become comments in BigPanda"
    )
    quiet: SilentHours = option(  # noqa: RUF009  it declares a field
        SilentHours(),
        SILENT_HOURS,
        "hours without pings and broadcasts: `[night]`, or `{during: [night], outside: [office], unless: critical}`",
    )
    hold: SilentHours = option(  # noqa: RUF009  it declares a field
        SilentHours(),
        SILENT_HOURS,
        "hours in which a new card waits; written as `quiet`; critical incidents do not wait",
    )
    storm: bool = option(
        default=True,
        key_type=SWITCH,
        description="`off`: cards of this route are never held in a storm, and do not count for one",
    )
    remind: Remind = option(  # noqa: RUF009  it declares a field
        NO_REMIND,
        REMIND,
        "reminders of an incident that nobody has: `{after: 15m, every: 30m, times: 3}`",
    )
    shadow: bool = option(
        default=False,
        key_type=FLAG,
        description="`true`: relay decides and records what it would post, and sends nothing",
    )
    stale_after: float = option(
        6 * _HOUR,
        SILENCE,
        "without an update for this long, relay asks BigPanda, or the card says how old its data is; at least `1m`",
    )

    def as_json(self) -> dict[str, JSON]:
        """Return a plain JSON object, to be stored with a card."""
        return {name: key_type.as_json(getattr(self, name)) for name, key_type in _types(type(self)).items()}

    @property
    def drawn(self) -> tuple[Any, ...]:
        """The values from which messages are rendered."""
        return tuple(getattr(self, each.name) for each in fields(self) if each.metadata["is_drawn"])

    @classmethod
    def from_json(cls, stored: Mapping[str, JSON]) -> Self:
        """Undo `as_json`. Options that this version of relay does not know are ignored."""
        types = _types(cls)
        return cls(**{name: types[name].from_json(value) for name, value in stored.items() if name in types})


def _types(options: type[Options]) -> Mapping[str, KeyType[Any]]:
    return {each.name: each.metadata["row"]["type"] for each in fields(options)}


def option_keys(options: type[Options]) -> dict[str, Key[Any]]:
    """The rows of a class of options, by name."""
    return {each.name: Key(name=each.name, default=each.default, **each.metadata["row"]) for each in fields(options)}


OPTION_KEYS: Final = option_keys(Options)

HOURS_OPTIONS: Final = tuple(name for name, key in OPTION_KEYS.items() if key.type is SILENT_HOURS)
"""The options that hold something back in hours."""


def read_options(mapping: MappingNode, context: ParseContext, place: Place) -> OptionValues:
    """Read the options that a part of the file sets and may set, without the faulty ones."""
    values = {
        key.text: OPTION_KEYS[key.text].type.read(node, context)
        for key, node in mapping.entries
        if key.text in OPTION_KEYS and place in OPTION_KEYS[key.text].places
    }
    return {name: value for name, value in values.items() if value is not None}
