"""Reminders: when relay reminds people of an incident that nobody has, and the escalation after the last reminder."""

from dataclasses import dataclass
from typing import Final

from relay.model.incident import State
from relay.model.struct import replace
from relay.routes.channel_template import FixedChannel
from relay.routes.key_types import AT_LEAST_A_MINUTE, KeyType, member_of, whole_number
from relay.routes.mention import NO_MENTION, Mention
from relay.routes.parts import (
    Parts,
    parts,
    parts_as_json,
    parts_as_yaml,
    parts_from_json,
    parts_schema,
    read_required,
    switchable,
)
from relay.routes.targets import FIXED_CHANNEL, MENTION
from relay.routes.yaml_reader.context import ParseContext
from relay.routes.yaml_reader.nodes import MappingNode, Node
from relay.routes.yaml_reader.scalars import describe

MAX_TIMES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Then:
    """Where another card is posted after the last reminder, and whom it pings."""

    channel: FixedChannel
    mention: Mention = NO_MENTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Remind:
    """`times` reminders: the first one `after` seconds, each further one `every` seconds later; `then` comes last.

    Only incidents at or above `state` get one. `times` of 0 is `off`: there are none.
    """

    after: float = 900.0
    every: float = 0.0
    times: int = 1
    state: State = State.CRITICAL
    then: Then | None = None

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self.times > 0


NO_REMIND: Final = Remind(times=0)

THEN_PARTS: Final[Parts] = parts(
    ("channel", FIXED_CHANNEL, None, "where the incident gets another card"),
    ("mention", MENTION, NO_MENTION, "whom that card pings"),
)
_THEN_EXAMPLE: Final = "{channel: managers, mention: {any: [S0123456789]}}"


def _read_then(node: Node, context: ParseContext) -> Then | None:
    if not isinstance(node, MappingNode):
        context.add_fault(node, f"expected a mapping such as {_THEN_EXAMPLE}, found {describe(node)}")
        return None
    values = read_required(node, THEN_PARTS, "then", context, required=("channel",), example=_THEN_EXAMPLE)
    return Then(**values) if "channel" in values else None


_THEN: Final[KeyType[Then]] = KeyType(
    "mapping",
    _read_then,
    parts_schema(THEN_PARTS, "channel"),
    as_yaml=lambda then: parts_as_yaml(THEN_PARTS, then),
    as_json=lambda then: None if then is None else parts_as_json(THEN_PARTS, then),
    from_json=lambda stored: stored and Then(**parts_from_json(THEN_PARTS, stored)),
)
_PINGING: Final = member_of(State, State.CRITICAL, State.WARNING, State.UNKNOWN)
REMIND_PARTS: Final[Parts] = parts(
    (
        "after",
        AT_LEAST_A_MINUTE,
        None,
        "the time from the last ping (or from the card, if there was no ping) to the first reminder",
    ),
    ("every", AT_LEAST_A_MINUTE, Remind().every, "the time from a reminder to the next one"),
    ("times", whole_number(1, MAX_TIMES), Remind().times, "the greatest number of reminders"),
    ("state", _PINGING, Remind().state, "the least severe state in which an incident gets reminders"),
    ("then", _THEN, None, "where the incident gets another card after the last reminder, if still nobody has it"),
)
_EXAMPLE: Final = "{after: 15m, every: 30m, times: 3}"
_SWITCH: Final[KeyType[Remind]] = switchable(
    "remind", REMIND_PARTS, Remind, _EXAMPLE, off=NO_REMIND, required=("after",)
)


def _read_remind(node: Node, context: ParseContext) -> Remind | None:
    remind = _SWITCH.read(node, context)
    if remind and remind.times > 1 and not remind.every:
        context.add_fault(node, f"missing key 'every' in remind: when do the next reminders come? write {_EXAMPLE}")
    return remind


REMIND: Final = replace(_SWITCH, read=_read_remind)
