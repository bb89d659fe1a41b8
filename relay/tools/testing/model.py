"""The nouns of operators' tests. Whatever may fail knows the line and the column of the file in which it stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from relay.model.incident import JSON
from relay.routes.parser.faults import Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One share of a test.

    `document` is a share as it was recorded, None where the step builds on the one before it; `at` is when it comes
    (seconds after the first share), None where that is left open. The rest is laid over the body, in this order.
    """

    spot: Spot
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
    spot: Spot
    found_in: Callable[[str], bool] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What a message has to say, and what it must not."""

    says: tuple[Phrase, ...] = ()
    lacks: tuple[Phrase, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A list that has to be just so, whatever the order unless `ordered`."""

    values: tuple[str, ...]
    spot: Spot


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyExpected:
    """What one reply is to be; None leaves a part open."""

    spot: Spot
    wording: Wording = Wording()
    tells: Listed | None = None
    pings: Listed | None = None
    broadcast: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardExpected:
    """What the card in one channel is to be; `ref` is the channel's reference, `written` what stands in the file."""

    ref: str
    written: str
    spot: Spot
    thread_spot: Spot
    wording: Wording = Wording()
    notification: Wording = Wording()
    route: Listed | None = None
    pings: Listed | None = None
    entries: tuple[int, Spot] | None = None
    thread: tuple[ReplyExpected, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What shares are to come to; what is None is left open. Channels are references."""

    spot: Spot
    routes: Listed | None = None
    channels: Listed | None = None
    cards: tuple[CardExpected, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One test of a file."""

    name: str
    file: str
    spot: Spot
    steps: tuple[Step, ...]
    expected: Expected | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One expectation that was not met, at its place; lines of `diff` begin with `-` (expected) or `+` (found)."""

    spot: Spot
    message: str
    diff: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a test: the failures, the routes that took any of its shares, and how long it took (seconds)."""

    test: Test
    failures: tuple[Failure, ...] = ()
    routes: frozenset[str] = frozenset()
    unrouted: bool = False
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures
