"""The values of operators' tests. Whatever can fail has its position in the file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from relay.model.json_types import JSON
from relay.routes.yaml_reader.context import Position
from relay.tools.testing.moments import WrittenMoment


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareSpec:
    """One share of a test.

    `document` is a recorded share, or None if this share changes the one before it. `at` is its time, or None for one
    minute after the share before. The other changes are applied in this order. So many `copies` of the incident arrive.
    """

    position: Position
    document: bytes | None = None
    at: WrittenMoment | None = None
    state: str | None = None
    environment: str | None = None
    tags: Mapping[str, JSON] = field(default_factory=dict)
    comment: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, JSON] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    copies: int = 1
    expected: "Expected | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A text to find in a message; `is_in` returns whether it is there."""

    source: str
    position: Position
    is_in: Callable[[str], bool] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What a message must say, and what it must not say."""

    says: tuple[Phrase, ...] = ()
    lacks: tuple[Phrase, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedList:
    """A complete list of expected values, in any order."""

    values: tuple[str, ...]
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyExpected:
    """What is expected of one reply; None means that anything is accepted."""

    position: Position
    wording: Wording = Wording()
    kinds: ExpectedList | None = None
    pings: ExpectedList | None = None
    broadcast: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldExpected:
    """What is expected to hold a card or a ping, and until when; None for any end."""

    position: Position
    reason: str
    until: WrittenMoment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPingsExpected:
    """All targets whose pings are expected to be held, and what holds each."""

    position: Position
    targets: Mapping[str, HeldExpected]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardExpected:
    """What is expected of the card in one channel; `ref` is the channel's reference, `source` what the file says.

    With `held` it is not posted yet.
    """

    ref: str
    source: str
    position: Position
    thread_position: Position
    wording: Wording = Wording()
    notification: Wording = Wording()
    route: ExpectedList | None = None
    pings: ExpectedList | None = None
    catch_up: ExpectedList | None = None
    held: HeldExpected | None = None
    held_pings: HeldPingsExpected | None = None
    pinged: ExpectedList | None = None
    entries: tuple[int, Position] | None = None
    thread: tuple[ReplyExpected, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is expected after shares; None means that anything is accepted. Channels are references."""

    routes: ExpectedList | None = None
    channels: ExpectedList | None = None
    cards: tuple[CardExpected, ...] = ()
    storms: tuple[Mapping[str, int], Position] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentSpec:
    """What is expected at a moment of a test."""

    position: Position
    at: WrittenMoment
    expected: Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTest:
    """One test of a file."""

    name: str
    file: str
    position: Position
    shares: tuple[ShareSpec, ...]
    moments: tuple[MomentSpec, ...] = ()
    expected: Expected | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationFailure:
    """One expectation that was not met; lines of `diff` begin with `-` (expected) or `+` (actual)."""

    position: Position
    message: str
    diff: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTestResult:
    """The result of a test: its failures, the routes that matched one of its shares, and its duration in seconds."""

    test: OperatorTest
    failures: tuple[ExpectationFailure, ...] = ()
    routes: frozenset[str] = frozenset()
    unrouted: bool = False
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether every expectation was met."""
        return not self.failures
