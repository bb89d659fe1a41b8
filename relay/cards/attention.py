"""Decide when relay posts and pings: whether a card may be posted and may ping, what holds it, and until when.

One table (`REASONS`) names every reason that holds a card or a ping; one function (`attend`) reads it. The planner, the
scheduler, `relay explain`, `relay incident` and the simulation call this function, so that they cannot differ.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf

from relay.cards.holds import HeldPing, Hold, Ping, Reason
from relay.cards.model import ADOPTING, Attempt, AttemptState, Card, Channel, ChannelState
from relay.cards.mutes import Mute, covering
from relay.cards.notices import NO_PING, STAND_IN, is_escalated
from relay.cards.storms import ChannelStorm
from relay.model.incident import Incident, State
from relay.model.struct import replace
from relay.routes.hours import SilentHours
from relay.routes.options import Options
from relay.routes.rulebook import Rulebook

REOPEN_PING = 1800.0
"""Seconds within which a second reopening pings nobody, and while an incident flaps is not reported by itself."""

BLOCKING_STATES = (AttemptState.IN_FLIGHT, AttemptState.IN_DOUBT)
"""An open attempt in such a state stops later posts of its card, never its edits."""

_MAX_STEPS = 50
"""How many reasons that follow one another are looked at: a longer hold is checked again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a decision depends on apart from the card and its incident.

    `rulebook` holds the live rules; without it no hours hold anything. `mutes` are those that are not over.
    `canonical_refs` maps the other references of a channel to the one that is used. `channel` is the card's channel,
    `attempt` its open attempt; `slack_paused` says that Slack accepts no calls now. `storm` is what the database knows
    about storms in the channel; without it no new card is held by one.
    """

    rulebook: Rulebook | None = None
    mutes: tuple[Mute, ...] = ()
    canonical_refs: Mapping[str, str] = field(default_factory=dict)
    channel: Channel | None = None
    attempt: Attempt | None = None
    slack_paused: bool = False
    storm: ChannelStorm | None = None


NO_SURROUNDINGS = Surroundings()
"""Nothing but the card and its incident counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """May this card be posted, or ping a target, at that moment (Unix seconds)?

    `occasion` is that of the ping (`Ping.occasion`). `worsens` says that the incident is worse now than its card has
    shown since it last reopened. `posts` says that its card is being posted, so that nothing holds the post itself any
    more.
    """

    card: Card
    incident: Incident
    surroundings: Surroundings
    at: float
    target: str = ""
    occasion: str = ""
    worsens: bool = False
    posts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonRow:
    """One reason: what it holds, when it ends, and what follows.

    `ends` gives the moment at which it ends: one that is over means that it does not hold, infinity that nobody knows.
    post              it holds the first post
    only_new          it holds no post of a card that was posted before, or that stands in for another
    pings             the pings that it holds
    pings_with_post   it holds them only as long as it holds the post
    broadcasts        it holds broadcasts, and relay does not send them later
    overlaps          a ping that another reason held waits for this one, too
    listed            what it holds is named in the held list of the channel
    paced             its end is when the first of what it holds may go: relay lets one after the other go
    catch_up          a catch-up sends the pings that it holds
    only_if_it_pings  that names the incident only if it would ping for its state then, and nobody has it
    words             why it holds pings, as the card says it while they wait
    """

    reason: Reason
    ends: Callable[[Question], float]
    post: bool = False
    only_new: bool = False
    pings: frozenset[Ping] = field(default=frozenset())
    pings_with_post: bool = False
    broadcasts: bool = False
    overlaps: bool = False
    listed: bool = False
    paced: bool = False
    catch_up: bool = True
    only_if_it_pings: bool = False
    words: str = ""


def _while(condition: Callable[[Question], bool]) -> Callable[[Question], float]:
    """It holds while the condition is true, and nobody knows how long that is."""
    return lambda question: inf if condition(question) else -inf


def _wait(question: Question) -> float:
    return question.card.first_matched_at + question.card.options.wait


def _was_never_posted(card: Card) -> bool:
    return card.ts is None and not card.generation


def _hold(question: Question) -> float:
    return _silent_until(question, question.card.route, lambda options: options.hold)


def _may_begin_storm(card: Card) -> bool:
    """Whether it is new in its channel (also as a stand-in): neither late nor released from another hold."""
    released = card.held is not None and card.held.reason is not Reason.STORM
    return _was_never_posted(card) and NO_PING not in card.notices and not released


def _storm(question: Question) -> float:
    """A card waits while its channel takes no more new cards.

    One that is held stays a line until its incident changes, even after the storm, unless it is critical. When it may
    be posted is known for what is critical or has changed.
    """
    card, storm = question.card, question.surroundings.storm
    if not _may_begin_storm(card) or not _takes_part(question):
        return -inf
    critical, held = question.incident.state is State.CRITICAL, card.held is not None
    if card.held is not None and card.held.until is None and not critical:
        return inf
    if storm is None or not storm.rules:
        return -inf
    free_at = storm.free_at(question.at, critical=critical)
    if held or critical:
        return free_at
    return inf if free_at > question.at or storm.others_wait else -inf


def _takes_part(question: Question) -> bool:
    """Whether the card counts for storms, by the live rules of its route."""
    if is_escalated(question.card.notices):
        return False
    rulebook = question.surroundings.rulebook
    if rulebook is None:
        return question.card.options.storm
    return rulebook.options_of(question.card.route, _refs(question)).storm


def _retry(question: Question) -> float:
    card = question.card
    return card.post.at if card.tries and card.post is not None else -inf


def _channel_rejected(question: Question) -> bool:
    channel = question.surroundings.channel
    return channel is not None and channel.state is ChannelState.REJECTED


def _adopting(question: Question) -> bool:
    channel = question.surroundings.channel
    return channel is not None and channel.waits_for == ADOPTING


def _in_doubt(question: Question) -> bool:
    attempt = question.surroundings.attempt
    return attempt is not None and attempt.state in BLOCKING_STATES


def _mute(question: Question) -> float:
    mute = covering(question.surroundings.mutes, question.incident, question.card.route, question.at)
    return -inf if mute is None else mute.end


def _quiet(question: Question) -> float:
    """A target that several routes ping is held while all of them are quiet."""
    mention, target = question.card.mention, question.target
    routes = mention.routes_to(target, question.incident.state, occasion=question.occasion)
    routes = routes or mention.routes_to(target)
    ends = (_silent_until(question, route, lambda options: options.quiet) for route in routes or [question.card.route])
    return min(ends)


def _snoozed(question: Question) -> float:
    """A snooze ends when BigPanda says so, at the latest at the moment that BigPanda has named."""
    snooze = question.incident.snooze
    return -inf if not snooze.snoozed else inf if snooze.wake is None else float(snooze.wake)


def _reopened_lately(question: Question) -> float:
    pinged_at = question.card.reopening_pinged_at
    return -inf if pinged_at is None or question.worsens else pinged_at + REOPEN_PING


def _silent_until(question: Question, route: str, hours: Callable[[Options], SilentHours]) -> float:
    """When the silent hours of a route end, by the live rules; those of the fallback without a route."""
    rulebook = question.surroundings.rulebook
    if rulebook is None or is_escalated(question.card.notices):
        return -inf
    silent, state = hours(rulebook.options_of(route, _refs(question))), question.incident.state
    if not silent or not silent.holds(state, question.at, rulebook.hours):
        return -inf
    until = silent.until(state, question.at, rulebook.hours)
    return inf if until is None else until


def _refs(question: Question) -> tuple[str, ...]:
    """The references of the card's channel."""
    canonical, channel = question.surroundings.canonical_refs, question.card.channel
    return (channel, *(ref for ref, other in canonical.items() if other == channel))


REASONS: Mapping[Reason, ReasonRow] = {
    row.reason: row
    for row in (
        ReasonRow(reason=Reason.WAIT, ends=_wait, post=True),
        ReasonRow(
            reason=Reason.HOLD,
            ends=_hold,
            post=True,
            only_new=True,
            pings=frozenset({Ping.FIRST_POST}),
            pings_with_post=True,
            listed=True,
        ),
        ReasonRow(reason=Reason.STORM, ends=_storm, post=True, listed=True, paced=True),
        ReasonRow(reason=Reason.RETRY, ends=_retry, post=True),
        ReasonRow(reason=Reason.CHANNEL_REJECTED, ends=_while(_channel_rejected), post=True),
        ReasonRow(reason=Reason.ADOPTING, ends=_while(_adopting), post=True),
        ReasonRow(reason=Reason.IN_DOUBT, ends=_while(_in_doubt), post=True),
        ReasonRow(
            reason=Reason.SLACK_PAUSED, ends=_while(lambda question: question.surroundings.slack_paused), post=True
        ),
        ReasonRow(
            reason=Reason.MUTE,
            ends=_mute,
            post=True,
            only_new=True,
            pings=frozenset(Ping),
            broadcasts=True,
            overlaps=True,
            listed=True,
            words="muted",
        ),
        ReasonRow(
            reason=Reason.QUIET,
            ends=_quiet,
            pings=frozenset(Ping),
            broadcasts=True,
            overlaps=True,
            words="quiet hours",
        ),
        ReasonRow(
            reason=Reason.SNOOZED,
            ends=_snoozed,
            pings=frozenset({Ping.FIRST_POST, Ping.REOPENED, Ping.REMINDER}),
            overlaps=True,
            only_if_it_pings=True,
            words="the incident is snoozed",
        ),
        ReasonRow(
            reason=Reason.FLAPPING,
            ends=_while(lambda question: question.incident.flapping),
            pings=frozenset({Ping.REOPENED}),
            overlaps=True,
            only_if_it_pings=True,
            words="the incident flaps",
        ),
        ReasonRow(
            reason=Reason.REOPENED_LATELY,
            ends=_reopened_lately,
            pings=frozenset({Ping.REOPENED}),
            only_if_it_pings=True,
            words="it reopened shortly before",
        ),
        ReasonRow(
            reason=Reason.LATE,
            ends=_while(lambda question: NO_PING in question.card.notices),
            pings=frozenset({Ping.FIRST_POST}),
            catch_up=False,
        ),
    )
}

POST_REASONS = tuple(reason for reason, row in REASONS.items() if row.post)
"""The reasons that hold a card which is not posted yet."""


@dataclass(frozen=True, kw_only=True)
class Attention:
    """The answer for one card at one moment. `post` and `listed` are lasting: what holds it for longest."""

    question: Question

    @cached_property
    def post(self) -> Hold | None:
        """What holds the first post; None if the card may be posted."""
        return _last_hold(filter(self._may_hold_post, REASONS.values()), self.question)

    @cached_property
    def listed(self) -> Hold | None:
        """What holds the first post and is shown in the channel's held list."""
        return _last_hold((row for row in REASONS.values() if row.listed and self._may_hold_post(row)), self.question)

    @cached_property
    def _is_new(self) -> bool:
        """Whether the card is posted for the first time, and for itself."""
        return _was_never_posted(self.question.card) and STAND_IN not in self.question.card.notices

    def _may_hold_post(self, row: ReasonRow) -> bool:
        return row.post and (self._is_new or not row.only_new)

    def _may_hold_pings(self, row: ReasonRow) -> bool:
        return not row.pings_with_post or (self._may_hold_post(row) and not self.question.posts)

    @cached_property
    def counts(self) -> bool:
        """Whether a card that is posted now counts as a new card of its channel, for storms."""
        return _may_begin_storm(self.question.card) and _takes_part(self.question)

    @cached_property
    def broadcast(self) -> Hold | None:
        """What holds a broadcast; None if a reply may be shown in the channel."""
        return _last_hold((row for row in REASONS.values() if row.broadcasts), self.question)

    def ping(self, ping: Ping, target: str = "", *, worsens: bool = False) -> Hold | None:
        """What holds such a ping of a target; None if it may be sent."""
        question = replace(self.question, target=target, occasion=ping.occasion, worsens=worsens)
        rows = (row for row in REASONS.values() if ping in row.pings and self._may_hold_pings(row))
        return _last_hold(rows, question)

    @property
    def posting(self) -> "Attention":
        """The same for a card that is being posted."""
        return Attention(question=replace(self.question, posts=True))

    def split(
        self, ping: Ping, targets: Iterable[str], *, worsens: bool = False
    ) -> tuple[tuple[str, ...], tuple[HeldPing, ...]]:
        """The targets that may be pinged, and the held pings of the others, which a catch-up sends later."""
        free, held = [], []
        for target in targets:
            hold = self.ping(ping, target, worsens=worsens)
            if hold is None:
                free.append(target)
            elif REASONS[hold.reason].catch_up:
                state, since = self.question.incident.state, self.question.at
                each = HeldPing(target=target, ping=ping, since=since, hold=hold, state=state, worsens=worsens)
                held.append(each)
        return tuple(free), tuple(held)

    def still_holds(self, held: HeldPing) -> Hold | None:
        """What holds a held ping now; None if a catch-up may send it."""
        rows = (
            row
            for row in filter(self._may_hold_pings, REASONS.values())
            if row.catch_up and (row.overlaps or held.ping in row.pings)
        )
        incident = replace(self.question.incident, state=held.state)
        occasion, worsens = held.ping.occasion, held.worsens
        question = replace(self.question, incident=incident, target=held.target, occasion=occasion, worsens=worsens)
        return _last_hold(rows, question)


def attend(card: Card, incident: Incident, surroundings: Surroundings, now: float) -> Attention:
    """What holds the card and its pings at that moment (Unix seconds)."""
    return Attention(question=Question(card=card, incident=incident, surroundings=surroundings, at=now))


def _last_hold(rows: Iterable[ReasonRow], question: Question) -> Hold | None:
    """The reason that ends last, if nothing else changes, where one begins before another ends; else the last row."""
    rows, last = tuple(rows), None
    for _ in range(_MAX_STEPS):
        end, number = max(((row.ends(question), number) for number, row in enumerate(rows)), default=(-inf, 0))
        if end <= question.at:
            break
        last = Hold(reason=rows[number].reason, until=None if end == inf else end)
        if last.until is None:
            break
        question = replace(question, at=last.until)
    return last
