"""Who may mute tags from Slack, and for how long."""

from dataclasses import dataclass
from typing import Final

from relay.routes.key_types import KeyType, duration_in, list_of
from relay.routes.parts import Parts, known_parts, parts, parts_schema, read_parts
from relay.routes.people import USER_GROUP
from relay.routes.yaml_reader.context import ParseContext
from relay.routes.yaml_reader.nodes import Node
from relay.routes.yaml_reader.scalars import read_mapping

LONGEST_MUTE: Final = 7 * 86400.0
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MutePolicy:
    """The user groups that may mute from Slack, and the longest mute. None: all who may press the card's buttons."""

    actors: tuple[str, ...] = ()
    max: float = LONGEST_MUTE


MUTE_PARTS: Final[Parts] = parts(
    ("actors", list_of(USER_GROUP), (), "the user groups that may mute; without it, those of the route's `actors`"),
    ("max", duration_in(60.0, LONGEST_MUTE), LONGEST_MUTE, "the longest mute that they may make, at most `7d`"),
)


def _read_mutes(node: Node, context: ParseContext) -> MutePolicy | None:
    mapping = read_mapping(node, context, "what mutes may be, such as {actors: [S0123456789], max: 24h}")
    if mapping is None:
        return None
    return MutePolicy(**read_parts(known_parts(mapping, MUTE_PARTS, "mutes", context), MUTE_PARTS, context))


MUTES: Final[KeyType[MutePolicy]] = KeyType("mapping", _read_mutes, parts_schema(MUTE_PARTS))
