"""Simulates shares: the cards and threads that they would produce, in virtual time, with the decisions of live work.

A simulation calls what live work calls: `plan` for each share, `begin_post` and `begin_edit` for each card that is due,
`draw_step` for the messages, `apply_delivery` for what follows. Only the environment is ideal. There are no rate
limits, every channel exists and is open, and Slack accepts each message at the moment when it is due.

Time is data: a share arrives at its `received`, after everything that was due before.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from math import inf
from typing import Literal, Self

from relay.bigpanda.webhook.share import Share
from relay.cards import send
from relay.cards.attention import Surroundings, attend
from relay.cards.draw import DrawnStep, draw_step, permalink
from relay.cards.eligibility import WorkKind, due_work, is_due
from relay.cards.holding import catch_up, catch_up_bulletin, may_be_caught_up, say_muted
from relay.cards.holds import UNKNOWN_END, Hold, Reason
from relay.cards.model import (
    Card,
    CardContext,
    CardState,
    CardUpdate,
    Channel,
    ChannelState,
    Entry,
    IncidentState,
    Plan,
    ShareOutcome,
)
from relay.cards.mutes import Mute
from relay.cards.plan import plan
from relay.cards.reminding import DueReminder, remind
from relay.cards.steps import Edit, EditBroadcast, NothingToSend, PostReply, PostRoot, ShownRoot, SlackStep, shown_root
from relay.config.configuration import Configuration
from relay.model.incident import Incident
from relay.model.struct import replace
from relay.rendering.request import RenderedMessage
from relay.routes.rulebook import Rulebook
from relay.slack.message import Message
from relay.slack.outcomes import Delivered

WORKSPACE = "https://workspace.slack.com/"
"""A placeholder for the workspace's address, which only Slack knows."""

_MICRO = 1_000_000
_SimulatedWork = WorkKind | Literal["mutes", "catch_up", "remind"]
_WORK_KINDS: tuple[WorkKind, ...] = ("post", "edit")
_ORDER: tuple[_SimulatedWork, ...] = ("mutes", *_WORK_KINDS, "catch_up", "remind")
"""Work that is due at the same moment is done in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedShare:
    """A share of the simulation, and what was decided about it; a repeated share has no plan."""

    share: Share
    plan: Plan | None = None

    @property
    def outcome(self) -> ShareOutcome:
        """The outcome of the share."""
        return self.plan.outcome if self.plan else ShareOutcome.REPEAT

    @property
    def routes(self) -> tuple[str, ...]:
        """The routes that matched."""
        return self.plan.routes if self.plan else ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SentMessage:
    """One message that was sent to Slack at `at` (Unix seconds).

    `pings` are the targets that it notified: an edit notifies nobody. `entries` are the entries of a reply, merged as
    the template gets them. A broadcast reply that was edited since shows its new text; `ts` names it. The
    message is rendered when it is read.
    """

    at: float
    ts: str = ""
    pings: tuple[str, ...] = ()
    broadcast: bool = False
    entries: tuple[Entry, ...] = ()
    _draw: Callable[[], RenderedMessage] = field(repr=False)

    @property
    def rendered(self) -> RenderedMessage:
        """The message, with the template failures."""
        return self._draw()

    @property
    def message(self) -> Message:
        """The rendered message."""
        return self.rendered.message


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCatchUp:
    """A message that named the incident at `at`, since its pings had been held until `moment`: whom it pinged.

    Both are Unix seconds. All incidents of a channel whose pings are free at the same moment have one such message.
    """

    at: float
    moment: float
    pings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedCard:
    """A card at the end: its `first` post with the incident as it was then, its `root` after the last of its `edits`.

    `replies` is its thread, `catch_ups` are those that named its incident. `holds` are the reasons that have held its
    post in a list, and since when; `pings_held` are the pings that were held: whose, since when, and why.

    A card without a root was never posted; the card's `state` and `reason` say why.
    """

    card: Card
    first: SentMessage | None = None
    root: SentMessage | None = None
    edits: int = 0
    replies: tuple[SentMessage, ...] = ()
    catch_ups: tuple[SimulatedCatchUp, ...] = ()
    holds: Mapping[Reason, float] = field(default_factory=dict)
    pings_held: frozenset[tuple[str, float, Reason]] = frozenset()
    first_incident: Incident | None = None

    def changed(self, card: Card, now: float) -> Self:
        """This card after a change."""
        if card.held is None and not card.held_pings:
            return replace(self, card=card)
        holds = self.holds if card.held is None else {card.held.reason: now, **self.holds}
        held = {(each.target, each.since, each.hold.reason) for each in card.held_pings}
        return replace(self, card=card, holds=holds, pings_held=self.pings_held | held)

    @property
    def pings(self) -> tuple[tuple[str, ...], ...]:
        """The targets of each message that pinged, in the order of sending; also those of catch-ups."""
        messages = [each for each in (self.first, *self.replies) if each]
        sent = [(each.at, each.pings) for each in messages] + [(each.at, each.pings) for each in self.catch_ups]
        in_order = sorted(sent, key=lambda each: each[0])
        return tuple(targets for _, targets in in_order if targets)


class Simulation:
    """The simulation of one incident under one configuration."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        canonical_refs: Mapping[str, str] | None = None,
        render: bool = True,
        alternative: Rulebook | None = None,
        mutes: tuple[Mute, ...] = (),
    ) -> None:
        """`canonical_refs` are the canonical references of channels that have several. `mutes` are all of that time.

        `alternative` is another rulebook with the same tag labels. While `is_same`, it has decided the same about every
        share, so its simulation would have the same cards: without hours, nothing after the plan depends on a rulebook.

        Without `render`, a message is rendered only when it is read. This is much faster. Everything else is the same,
        except for edits: every change of the record counts as one, even if the card does not show it.
        """
        self.shares: list[SimulatedShare] = []
        self._configuration = configuration
        self._canonical_refs = canonical_refs or {}
        self._render = render
        self._alternative = alternative
        self._mutes = mutes
        self._muted_at = -inf
        self._mute_changes = sorted({moment for each in mutes for moment in (each.start, each.end)})
        self._surroundings = Surroundings(
            rulebook=configuration.rulebook, canonical_refs=self._canonical_refs, mutes=mutes
        )
        self.is_same = alternative is not None and _may_be_same(configuration.rulebook, alternative)
        self._now = -inf
        self.incident_state: IncidentState | None = None
        self._entries: list[Entry] = []
        self._cards: dict[int, SimulatedCard] = {}
        self._hashes: set[str] = set()
        self._last_ts: dict[str, int] = {}

    @property
    def cards(self) -> tuple[SimulatedCard, ...]:
        """The incident's cards, in the order of creation."""
        return tuple(self._cards.values())

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What happened, as the threads may report it."""
        return tuple(self._entries)

    @property
    def now(self) -> float:
        """When something happened last (Unix seconds)."""
        return self._now

    def held(self, simulated: SimulatedCard, at: float) -> Hold | None:
        """What holds a card that is not posted yet, at that moment (Unix seconds); None for any other."""
        if self.incident_state is None or simulated.card.state is not CardState.PENDING:
            return None
        return attend(simulated.card, self.incident_state.incident, self._surroundings, at).post

    @property
    def routes(self) -> tuple[str, ...]:
        """The routes that matched the last share that was not a repeat."""
        return next((share.routes for share in reversed(self.shares) if share.plan), ())

    def receive(self, share: Share) -> None:
        """Receive a share, after everything that was due before it. If its time has passed already, it arrives now."""
        if share.received < self._now:
            share = replace(share, received=self._now)
        self._run_until(lambda moment: moment < share.received)
        self._now = share.received
        self.shares.append(SimulatedShare(share=share, plan=None if share.hash in self._hashes else self._plan(share)))
        self._hashes.add(share.hash)

    def receive_all(self, shares: Iterable[Share]) -> Self:
        """Receive the shares, then let time pass until nothing is due any more; return the simulation."""
        for share in shares:
            self.receive(share)
        self.run()
        return self

    def run(self, until: float = inf) -> None:
        """Let time pass until that moment, or until nothing is due any more."""
        self._run_until(lambda moment: moment <= until)

    def _plan(self, share: Share) -> Plan:
        known = (self.incident_state, self._current_cards(), share, self._canonical_refs)
        result = plan(self._configuration.rulebook, *known, mutes=self._mutes)
        if self.is_same and self._alternative is not None:
            self.is_same = plan(self._alternative, *known, mutes=self._mutes) == result
        self.incident_state = result.incident_state
        self._entries += result.entries
        self._store(result.cards)
        self._muted_at = max(self._muted_at, share.received)
        return result

    def _current_cards(self) -> tuple[Card, ...]:
        return tuple(each.card for each in self._cards.values() if each.card.is_current)

    def _store(self, cards: Iterable[Card]) -> None:
        for card in cards:
            if before := self._cards.get(card.id):
                self._cards[card.id] = before.changed(card, self._now)
            else:
                number = len(self._cards) + 1
                self._cards[number] = SimulatedCard(card=replace(card, id=number))

    def _run_until(self, reached: Callable[[float], bool]) -> None:
        while (work := self._next_work()) is not None and reached(work[0]):
            moment, number, kind = work
            self._now = max(self._now, moment)
            match kind:
                case "mutes":
                    self._say_muted(moment)
                case "catch_up":
                    self._catch_up(number)
                case "remind":
                    self._remind(number)
                case _:
                    self._do(number, kind)

    def _next_work(self) -> tuple[float, int, _SimulatedWork] | None:
        """What is due first, and of which card; of what is due at once the first of `_ORDER`."""
        work = [
            (due.at, _ORDER.index(kind), number)
            for number, each in self._cards.items()
            for kind in _WORK_KINDS
            if (due := due_work(each.card, kind)) is not None and is_due(self._context(each.card), kind, due.at)
        ]
        work += [(at, _ORDER.index("catch_up"), number) for number, at in self._catch_ups_due()]
        work += [(at, _ORDER.index("remind"), number) for number, at in self._reminders_due()]
        if self._cards and (moments := [each for each in self._mute_changes if each > self._muted_at]):
            work.append((moments[0], _ORDER.index("mutes"), 0))
        if not work:
            return None
        moment, order, number = min(work)
        return moment, number, _ORDER[order]

    def _say_muted(self, moment: float) -> None:
        """Mutes begin or end: the cards say so."""
        self._muted_at = moment
        cards = self._current_cards()
        incidents = (self._context(card).incident for card in cards)
        self._store(
            say_muted(card, incident, self._mutes, moment) for card, incident in zip(cards, incidents, strict=True)
        )

    def _catch_ups_due(self) -> Iterator[tuple[int, float]]:
        for number, each in self._cards.items():
            due = each.card.catch_up_due
            if due is not None and due < UNKNOWN_END and may_be_caught_up(each.card):
                yield number, due

    def _catch_up(self, number: int) -> None:
        """Make up for held pings. The simulation knows one incident, so a catch-up names one."""
        card, state = self._cards[number].card, self._context(self._cards[number].card).incident_state
        made = catch_up(card.channel, [(card, state)], self._surroundings, self._now)
        self._store(made.cards)
        if (message := catch_up_bulletin(made, self._now, lambda _: False)) is not None:
            sent = SimulatedCatchUp(at=self._now, moment=made.moment, pings=message.bulletin.mention.all_targets)
            self._cards[number] = replace(self._cards[number], catch_ups=(*self._cards[number].catch_ups, sent))

    def _reminders_due(self) -> Iterator[tuple[int, float]]:
        for number, each in self._cards.items():
            due = each.card.reminder_due
            if due is not None and due < UNKNOWN_END and each.card.state is CardState.POSTED:
                yield number, due

    def _remind(self, number: int) -> None:
        """Remind people. The simulation knows one incident, and that the shares say who has it."""
        context = self._context(self._cards[number].card)
        state = context.incident_state
        due = DueReminder(card=context.card, state=state, cards=context.cards, shares_assignments=True)
        made = remind(context.channel, [due], self._surroundings, self._now, can_ask=False)
        self._entries += [entry for _, entry in made.entries]
        self.incident_state = replace(state, next_seq=state.next_seq + len(made.entries))
        self._store(made.cards)

    def _do(self, number: int, kind: WorkKind) -> None:
        """Do what live work does in three transactions, with Slack's answer between them."""
        context = self._context(self._cards[number].card)
        if kind == "post":
            step = send.begin_post(context, self._now, self._surroundings)
        else:
            step = send.begin_edit(context, self._now)
        self._store(step.update.cards)
        if isinstance(step, NothingToSend):
            return
        sent, shown, needs_call = self._send(context, step)
        context = replace(self._context(self._cards[number].card), attempt=step.update.attempt)
        self._store(self._apply(context, step, shown, needs_call=needs_call).cards)
        if needs_call:
            card = self._cards[number]
            match step:
                case PostRoot():
                    self._cards[number] = replace(card, first=sent, root=sent, first_incident=context.incident)
                case PostReply():
                    sent = replace(sent, ts=self._newest_ts(context.channel.ref))
                    self._cards[number] = replace(card, replies=(*card.replies, sent))
                case Edit():
                    self._cards[number] = replace(card, root=sent, edits=card.edits + 1)
                case EditBroadcast():
                    replies = tuple(
                        replace(each, _draw=lambda: sent.rendered) if each.ts == step.ts else each
                        for each in card.replies
                    )
                    self._cards[number] = replace(card, replies=replies)

    def _apply(self, context: CardContext, step: SlackStep, shown: ShownRoot, *, needs_call: bool) -> CardUpdate:
        if isinstance(step, Edit):
            context = send.without_edit_doubt(context, step)
        if not needs_call:
            return send.apply_edit_delivery(context, shown, self._now, called=False)
        # The `ts` of a message is Unix seconds with microseconds, later than any other in the channel.
        channel = context.channel.ref
        self._last_ts[channel] = max(self._last_ts.get(channel, 0) + 1, round(self._now * _MICRO))
        posted = Delivered(channel=channel, ts=self._newest_ts(channel))
        return send.apply_delivery(context, step, posted, shown, self._now)

    def _newest_ts(self, channel: str) -> str:
        ts = self._last_ts[channel]
        return f"{ts // _MICRO}.{ts % _MICRO:06d}"

    def _send(self, context: CardContext, step: SlackStep) -> tuple[SentMessage, ShownRoot, bool]:
        """The message of a step, what Slack then shows, and whether Slack has to be called for it."""
        moment = self._now

        @cache
        def draw() -> DrawnStep:
            return draw_step(self._configuration, context, step, partial(permalink, WORKSPACE), moment)

        sent = SentMessage(
            at=moment,
            pings=step.attempt.targets if isinstance(step, PostRoot | PostReply) else (),
            broadcast=isinstance(step, PostReply) and step.reply.broadcast,
            entries=step.reply.entries if isinstance(step, PostReply) else (),
            _draw=lambda: draw().rendered,
        )
        if self._render:
            return sent, draw().shown, draw().needs_call
        version = context.incident_state.version
        return sent, shown_root(context, f"version {version}"), True

    def _context(self, card: Card) -> CardContext:
        if self.incident_state is None:
            raise ValueError("a card without a share")
        return CardContext(
            topic=self.incident_state,
            card=card,
            cards=self._current_cards(),
            entries=tuple(entry for entry in self._entries if entry.seq > card.reported_seq),
            channel=Channel(ref=card.channel, slack_id=card.channel, state=ChannelState.OPEN),
            mutes=self._mutes,
        )


def _may_be_same(rulebook: Rulebook, alternative: Rulebook) -> bool:
    return rulebook.tag_labels == alternative.tag_labels and not (rulebook.hours or alternative.hours)


def simulate(configuration: Configuration, shares: Iterable[Share], *, render: bool = True) -> dict[str, Simulation]:
    """Simulate shares to the end; one simulation per incident, in the order of their first shares.

    `render` as `Simulation` has it.
    """
    incidents: defaultdict[str, list[Share]] = defaultdict(list)
    for share in shares:
        incidents[share.incident].append(share)
    return {
        incident: Simulation(configuration, render=render).receive_all(each) for incident, each in incidents.items()
    }
