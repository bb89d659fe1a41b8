"""Mutes: for a time, some incidents get no new cards and no pings. They are made and ended by hand while relay runs.

A mute changes nothing in BigPanda: it is not a maintenance plan.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from relay.model.errors import ConfigurationError
from relay.model.incident import Incident, State
from relay.model.outside_text import clean_text
from relay.rendering.wording import duration
from relay.routes.match_budget import Unread
from relay.routes.match_keys import IncidentFacts
from relay.routes.mute_match import parse_mute_match
from relay.routes.mutes import LONGEST_MUTE

MAX_REASON: Final = 200
MAX_AUTHOR: Final = 60
"""Characters."""

MAX_AHEAD: Final = 366 * 86400.0
"""Seconds until a mute may begin. A year that is mistyped would be forgotten until it comes."""

_UNSEEN: Final = re.compile("[\n\t\u202a-\u202e\u2066-\u2069]")
"""Line breaks, and what turns the direction of text (https://www.unicode.org/reports/tr9/, section 2)."""


class MuteState(StrEnum):
    """Whether a mute holds something now."""

    PENDING = "pending"
    ACTIVE = "active"
    OVER = "over"


class MutePart(StrEnum):
    """What of a mute a fault is about."""

    WHAT = "what"
    TIME = "time"
    REASON = "reason"


class InvalidMute(ValueError):
    """A mute that relay cannot make or end; the message says why, and what is expected."""

    def __init__(self, message: str, part: MutePart = MutePart.WHAT) -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """One mute; times are Unix seconds.

    It covers the incidents that its `match` (as in routes.yaml) matches; with `incident`, that one alone; with
    `routes`, only cards of these routes. A state at or above `unless` is not covered. `origin` is where it was made:
    `cli`, `board`, or `slack:` with the id of a person. `author` is proven by Slack only; elsewhere it is what the
    person says. `ended_by` is who ended it by hand.
    """

    match: str
    start: float
    end: float
    reason: str
    author: str
    origin: str
    unless: State | None = None
    incident: str = ""
    routes: tuple[str, ...] = ()
    created: float = 0.0
    ended_by: str = ""
    id: int = 0

    def state(self, now: float) -> MuteState:
        """Whether it holds something at that time."""
        if now >= self.end:
            return MuteState.OVER
        return MuteState.ACTIVE if now >= self.start else MuteState.PENDING

    def appearance(self, now: float) -> str:
        """What the cards that it covers show of it at that time: it changes exactly when they do."""
        state = self.state(now)
        return f"{state} {self.end!r}" if state is MuteState.ACTIVE else str(state)

    def matches(self, facts: IncidentFacts) -> bool:
        """Whether it is about this incident, in whatever state and at whatever time."""
        if self.incident:
            return facts.incident.id == self.incident
        try:
            return parse_mute_match(self.match).matches(facts)
        except (Unread, ConfigurationError):  # nobody knows, or another version of relay made it
            return False  # a ping too many is better than one too few

    def covers(self, facts: IncidentFacts, route: str) -> bool:
        """Whether it holds a card of that route while it is active."""
        if self.unless is not None and facts.status.rank >= self.unless.rank:
            return False
        return (not self.routes or route in self.routes) and self.matches(facts)


def check_mute(mute: Mute, now: float, *, longest: float = LONGEST_MUTE) -> None:
    """Check what a person asks for.

    Raises:
        InvalidMute: its times, its reason or its author cannot be.
        ConfigurationError: its match has faults.
    """
    if not mute.incident:
        parse_mute_match(mute.match)
    _check_times(mute, now, longest)
    if mute.unless is not None and mute.unless.rank <= State.UNKNOWN.rank:
        raise InvalidMute(f"Every open incident is {mute.unless} or worse, so it would mute none.")
    if not mute.reason.strip():
        raise InvalidMute("Say why: everybody who misses a ping will ask.", MutePart.REASON)
    _check_text("reason", mute.reason, MAX_REASON)
    _check_text("author", mute.author, MAX_AUTHOR)


def _check_times(mute: Mute, now: float, longest: float) -> None:
    if mute.end <= now:
        raise InvalidMute("It would end in the past.", MutePart.TIME)
    if mute.end <= mute.start:
        raise InvalidMute("It would end before it begins.", MutePart.TIME)
    if mute.start - now > MAX_AHEAD:
        raise InvalidMute("It would begin in more than a year.", MutePart.TIME)
    if mute.end - mute.start > longest:
        raise InvalidMute(
            f"It would last longer than {duration(longest)}; make it shorter, and extend it if need be.", MutePart.TIME
        )


def _check_text(name: str, text: str, most: int) -> None:
    if len(text) > most:
        raise InvalidMute(f"The {name} has more than {most} characters.", MutePart.REASON)
    if clean_text(text) != text or _UNSEEN.search(text):
        raise InvalidMute(f"The {name} has control characters.", MutePart.REASON)


def covering(mutes: Iterable[Mute], incident: Incident, route: str, now: float) -> Mute | None:
    """The active mute that covers a card of that route; if there are several, the one that ends last."""
    return next(iter(covering_mutes(mutes, incident, route, now)), None)


def covering_mutes(mutes: Iterable[Mute], incident: Incident, route: str, now: float) -> tuple[Mute, ...]:
    """The active mutes that cover a card of that route; the one that ends last is the first."""
    active = [each for each in mutes if each.state(now) is MuteState.ACTIVE]
    if not active:  # as at almost every question: then nothing of the incident is read
        return ()
    facts = IncidentFacts(incident)
    return tuple(sorted((each for each in active if each.covers(facts, route)), key=lambda each: -each.end))
