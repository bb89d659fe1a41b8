"""What shares would make: their cards and threads, played out over virtual time with every judgement that is live.

A rehearsal calls what live work calls: `plan` for each share, `begin_post` and `begin_edit` for each card whose turn it
is, `draw` for what they send, `delivered` for what follows. Only the surroundings are ideal: there is no budget to wait
for, every channel is found and open, and Slack takes each message in the instant in which it falls due.

Time is data: a share comes at its `received`, and before it everything has been done that was due until then.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf

from relay.bigpanda.webhook.share import Share
from relay.cards import send
from relay.cards.draw import DrawnStep, draw_step, permalink
from relay.cards.eligibility import WorkKind, due_work, is_due
from relay.cards.model import (
    Card,
    CardContext,
    CardUpdate,
    Channel,
    ChannelState,
    Entry,
    IncidentState,
    Plan,
    ShareOutcome,
)
from relay.cards.plan import plan
from relay.cards.send import Edit, NothingToSend, PostReply, PostRoot, ShownRoot, SlackStep
from relay.config.configuration import Configuration
from relay.rendering.request import RenderedMessage
from relay.routes.rulebook import Rulebook
from relay.slack.message import Message
from relay.slack.outcomes import Delivered

WORKSPACE = "https://workspace.slack.com/"
"""Stands for the address of the workspace, which only Slack knows."""

_MICRO = 1_000_000
_TRACKS: tuple[WorkKind, ...] = ("post", "edit")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedShare:
    """A share that was played, and what was decided about it; a repeat has no plan."""

    share: Share
    plan: Plan | None = None

    @property
    def outcome(self) -> ShareOutcome:
        """What became of it."""
        return self.plan.outcome if self.plan else ShareOutcome.REPEAT

    @property
    def routes(self) -> tuple[str, ...]:
        """The routes that took it."""
        return self.plan.routes if self.plan else ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SentMessage:
    """One message that Slack was given, at that moment (Unix seconds).

    `pings` are those whom its sending notified: an edit notifies nobody. `entries` are what a reply tells, merged as
    the template gets them. The message is drawn when it is asked for.
    """

    at: float
    pings: tuple[str, ...] = ()
    broadcast: bool = False
    entries: tuple[Entry, ...] = ()
    _draw: Callable[[], RenderedMessage] = field(repr=False)

    @property
    def rendered(self) -> RenderedMessage:
        """The message, with what failed on the way to it."""
        return self._draw()

    @property
    def message(self) -> Message:
        """The message."""
        return self.rendered.message


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCard:
    """A card as it ends up: its root as posted, as it reads since the last of its `edits`, and its thread.

    A card without a root was never posted; the card's `state` and `reason` say why.
    """

    card: Card
    first: SentMessage | None = None
    root: SentMessage | None = None
    edits: int = 0
    replies: tuple[SentMessage, ...] = ()

    @property
    def pings(self) -> tuple[tuple[str, ...], ...]:
        """Whom each message that pinged has notified, in the order in which they were sent."""
        messages = (self.first, *self.replies) if self.first else self.replies
        return tuple(sent.pings for sent in messages if sent.pings)


class Simulation:
    """One incident's life under one configuration."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        same: Mapping[str, str] | None = None,
        drawn: bool = True,
        beside: Rulebook | None = None,
    ) -> None:
        """`same` tells the canonical spelling of channels that have several.

        `beside` is another rulebook, with the same words for tags. While `alike`, it has decided the same about every
        share, so that its rehearsal would have come to the same cards: what follows from a plan asks no rulebook.

        Where not `drawn`, a message is drawn only when it is asked for. That is much faster, and all else comes out the
        same but for edits: each change of the record counts as one, though the card may not show it.
        """
        self.shares: list[SimulatedShare] = []
        self._configuration = configuration
        self._words = configuration.rulebook.tag_labels
        self._same = same or {}
        self._drawn = drawn
        self._beside = beside
        self.alike = beside is not None and beside.tag_labels == self._words
        self._now = -inf
        self._story: IncidentState | None = None
        self._entries: list[Entry] = []
        self._cards: dict[int, SimulatedCard] = {}
        self._seen: set[str] = set()
        self._last_ts: dict[str, int] = {}

    @property
    def story(self) -> IncidentState | None:
        """The incident as it is known by now; None before its first share."""
        return self._story

    @property
    def cards(self) -> tuple[SimulatedCard, ...]:
        """Its cards, in the order in which they were made."""
        return tuple(self._cards.values())

    @property
    def routes(self) -> tuple[str, ...]:
        """The routes that took the last share that was no repeat."""
        return next((taken.routes for taken in reversed(self.shares) if taken.plan), ())

    def receive(self, share: Share) -> SimulatedShare:
        """A share comes in, after everything that was due before it. One that came before its time comes now."""
        if share.received < self._now:
            share = replace(share, received=self._now)
        self._run_until(lambda moment: moment < share.received)
        self._now = share.received
        taken = SimulatedShare(share=share, plan=None if share.hash in self._seen else self._plan(share))
        self._seen.add(share.hash)
        self.shares.append(taken)
        return taken

    def run(self, until: float = inf) -> None:
        """Let time pass until that moment, or until nothing is left to do."""
        self._run_until(lambda moment: moment <= until)

    def _plan(self, share: Share) -> Plan:
        followed = [played.card for played in self._cards.values() if played.card.is_current]
        made = plan(self._configuration.rulebook, self._story, followed, share, self._same)
        if self.alike and self._beside is not None:
            self.alike = plan(self._beside, self._story, followed, share, self._same) == made
        self._story = made.incident_state
        self._entries += made.entries
        self._keep(made.cards)
        return made

    def _keep(self, cards: Iterable[Card]) -> None:
        for card in cards:
            if before := self._cards.get(card.id):
                self._cards[card.id] = replace(before, card=card)
            else:
                number = len(self._cards) + 1
                self._cards[number] = SimulatedCard(card=replace(card, id=number))

    def _run_until(self, reached: Callable[[float], bool]) -> None:
        while (turn := self._next_turn()) is not None and reached(turn[0]):
            moment, number, track = turn
            self._now = max(self._now, moment)
            self._do(number, track)

    def _next_turn(self) -> tuple[float, int, WorkKind] | None:
        """Whose turn it is first: of what is due together posts come first, then the older card."""
        waiting = [
            (due.at, order, number)
            for number, played in self._cards.items()
            for order, track in enumerate(_TRACKS)
            if (due := due_work(played.card, track)) is not None and is_due(self._case(played.card), track, due.at)
        ]
        if not waiting:
            return None
        moment, order, number = min(waiting)
        return moment, number, _TRACKS[order]

    def _do(self, number: int, track: WorkKind) -> None:
        """One turn of one card: what live work does in three transactions, with Slack's answer between them."""
        case = self._case(self._cards[number].card)
        step = send.begin_post(case, self._words, self._now) if track == "post" else send.begin_edit(case, self._now)
        self._keep(step.update.cards)
        if isinstance(step, NothingToSend):
            return
        sent, shown, called = self._sent(case, step)
        case = replace(self._case(self._cards[number].card), attempt=step.update.attempt)
        self._keep(self._followed_by(case, step, shown, called=called).cards)
        if called:
            self._cards[number] = _with(self._cards[number], step, sent)

    def _followed_by(self, case: CardContext, step: SlackStep, shown: ShownRoot, *, called: bool) -> CardUpdate:
        if isinstance(step, Edit):
            case = send.without_edit_doubt(case, step)
        if not called:
            return send.apply_edit_delivery(case, shown, self._now, called=False)
        posted = Delivered(channel=case.channel.ref, ts=self._ts(case.channel.ref))
        return send.apply_delivery(case, step, posted, shown, tag_labels=self._words, now=self._now)

    def _sent(self, case: CardContext, step: SlackStep) -> tuple[SentMessage, ShownRoot, bool]:
        """The message of a step, what Slack then shows, and whether that is any news to it."""
        moment = self._now
        made: list[DrawnStep] = []

        def drawing() -> DrawnStep:
            if not made:
                made.append(draw_step(self._configuration, case, step, _link, moment))
            return made[0]

        sent = SentMessage(
            at=moment,
            pings=() if isinstance(step, Edit) else step.attempt.targets,
            broadcast=isinstance(step, PostReply) and step.reply.broadcast,
            entries=step.reply.entries if isinstance(step, PostReply) else (),
            _draw=lambda: drawing().rendered,
        )
        if self._drawn:
            return sent, drawing().shown, drawing().called
        return sent, send.shown_root(case, f"version {case.incident_state.version}", self._words), True

    def _case(self, card: Card) -> CardContext:
        if self._story is None:
            raise ValueError("a card without a share")
        return CardContext(
            incident_state=self._story,
            card=card,
            cards=tuple(played.card for played in self._cards.values() if played.card.is_current),
            entries=tuple(entry for entry in self._entries if entry.seq > card.reported_seq),
            channel=Channel(ref=card.channel, slack_id=card.channel, state=ChannelState.OPEN),
        )

    def _ts(self, channel: str) -> str:
        """A message's `ts`: Unix seconds to the microsecond, and later than any before it in its channel."""
        ts = max(self._last_ts.get(channel, 0) + 1, round(self._now * _MICRO))
        self._last_ts[channel] = ts
        return f"{ts // _MICRO}.{ts % _MICRO:06d}"


def simulate(
    configuration: Configuration, shares: Iterable[Share], *, same: Mapping[str, str] | None = None, drawn: bool = True
) -> dict[str, Simulation]:
    """Play shares to the end, each incident in a rehearsal of its own, in the order in which incidents came."""
    incidents: dict[str, Simulation] = {}
    for share in shares:
        if share.incident not in incidents:
            incidents[share.incident] = Simulation(configuration, same=same, drawn=drawn)
        incidents[share.incident].receive(share)
    for rehearsal in incidents.values():
        rehearsal.run()
    return incidents


def _with(played: SimulatedCard, step: SlackStep, sent: SentMessage) -> SimulatedCard:
    match step:
        case PostRoot():
            return replace(played, first=sent, root=sent)
        case PostReply():
            return replace(played, replies=(*played.replies, sent))
        case Edit():
            return replace(played, root=sent, edits=played.edits + 1)


def _link(channel: str, ts: str) -> str:
    return permalink(WORKSPACE, channel, ts)
