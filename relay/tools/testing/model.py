"""The nouns of operators' tests. Whatever may fail knows the line and the column of the file in which it stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from relay.model.json_types import JSON
from relay.routes.parser.context import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareStep:
    """One share of a test.

    `document` is a share as it was recorded, None where the step builds on the one before it; `at` is when it comes
    (seconds after the first share), None where that is left open. The rest is laid over the body, in this order.
    """

    spot: Position
    document: bytes | None = None
    at: float | None = None
    state: str | None = None
    environment: str | None = None
    tags: Mapping[str, JSON] = field(default_factory=dict)
    comment: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    over: Mapping[str, JSON] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    expected: "Expected | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A text to be found in a message; `found_in` says whether it is."""

    written: str
    spot: Position
    found_in: Callable[[str], bool] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What a message has to say, and what it must not."""

    says: tuple[Phrase, ...] = ()
    lacks: tuple[Phrase, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedList:
    """A list that has to be just so, whatever the order unless `ordered`."""

    values: tuple[str, ...]
    spot: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyExpected:
    """What one reply is to be; None leaves a part open."""

    spot: Position
    wording: Wording = Wording()
    tells: ExpectedList | None = None
    pings: ExpectedList | None = None
    broadcast: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardExpected:
    """What the card in one channel is to be; `ref` is the channel's reference, `written` what stands in the file."""

    ref: str
    written: str
    spot: Position
    thread_spot: Position
    wording: Wording = Wording()
    notification: Wording = Wording()
    route: ExpectedList | None = None
    pings: ExpectedList | None = None
    entries: tuple[int, Position] | None = None
    thread: tuple[ReplyExpected, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What shares are to come to; what is None is left open. Channels are references."""

    spot: Position
    routes: ExpectedList | None = None
    channels: ExpectedList | None = None
    cards: tuple[CardExpected, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTest:
    """One test of a file."""

    name: str
    file: str
    spot: Position
    steps: tuple[ShareStep, ...]
    expected: Expected | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationFailure:
    """One expectation that was not met, at its place; lines of `diff` begin with `-` (expected) or `+` (found)."""

    spot: Position
    message: str
    diff: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTestResult:
    """What came of a test: the failures, the routes that took any of its shares, and how long it took (seconds)."""

    test: OperatorTest
    failures: tuple[ExpectationFailure, ...] = ()
    routes: frozenset[str] = frozenset()
    unrouted: bool = False
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures
