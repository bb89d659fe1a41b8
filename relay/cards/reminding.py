"""Decide about the due reminders of a channel: what to ask BigPanda first, what to send, and what waits.

Before each reminder relay asks BigPanda for the incident, because many integrations share no assignments. A reminder
about an incident that somebody has is worse than no reminder.

    nothing is wrong any more, or somebody has it    no reminder
    something holds its pings                        it waits until that is over
    BigPanda was not asked for it lately             it is asked, with a task
    the answer, or a share, is not known yet         it waits a moment
    BigPanda cannot say, and the integration has     it is blocked, and tried again later
      never shared an assignment
    everything is known                              a reminder, or the turn of `then`
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

from relay.cards.attention import Attention, Surroundings, attend
from relay.cards.bulletins import BulletinChange, BulletinLine, incident_line, reminders_message
from relay.cards.holds import UNKNOWN_END, Ping
from relay.cards.model import AttemptState, Card, CardState, Channel, Due, Entry, IncidentState, Task, TaskKind
from relay.cards.notices import Notice, NoticeKind, is_escalated
from relay.cards.reminders import NextStep, after_step, follow, is_unattended, next_step, with_due
from relay.cards.replies import reminder_targets
from relay.cards.tasks import CHECK_FOR_REMINDER, CONFIRMATION_WAIT, check_task
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Incident
from relay.model.json_types import JSON
from relay.model.struct import replace
from relay.ratelimit.budgets import Urgency
from relay.routes.options import Options
from relay.routes.remind import Then
from relay.routes.rulebook import Rulebook

MOST_ALONE: Final = 3
"""The most reminders of a channel within `WINDOW` that go to their threads; more become one message."""

WINDOW: Final = 60.0
"""Seconds within which reminders of a channel come together."""

ASK_WITHIN: Final = 30.0
"""Seconds for which a reminder waits for BigPanda's answer."""

FRESH_FOR: Final = 120.0
"""Seconds for which an answer is good enough."""

BLOCKED_FOR: Final = 300.0
"""Seconds after which a reminder is tried again for which BigPanda could not be asked."""

LOOK_AGAIN_AFTER: Final = 3600.0
"""Seconds after which a card is looked at again whose reminder failed unexpectedly."""

DRAIN_PAUSE, POST_PAUSE = 1.0, 60.0
"""Seconds to wait for shares that are not planned yet, and for a message that is to go before."""

THEN_OPTIONS: Final = Options(storm=False)
"""The card of `then` takes nothing from `defaults` or from a route."""


class Blocked(StrEnum):
    """Why a reminder cannot be sent.

    no_access    relay has no key for BigPanda's API, and no share of the integration has ever carried an assignment
    no_answer    BigPanda did not return the incident, and no share of the integration carried an assignment
    """

    NO_ACCESS = "no_access"
    NO_ANSWER = "no_answer"


REMEDIES: Final[Mapping[Blocked, str]] = {
    Blocked.NO_ACCESS: (
        "Relay has no access to BigPanda, and no share has ever said who has an incident. Set BIGPANDA_API_KEY, or let "
        "the integration share assignments (addAssignments)."
    ),
    Blocked.NO_ANSWER: (
        "BigPanda did not say who has the incident, and no share ever did. Relay tries again in five minutes."
    ),
}


def why_none_run(rulebook: Rulebook, integrations: Collection[str], *, can_ask: bool) -> str:
    """Why no reminder of these rules is ever sent; empty if they are, or if there are none.

    `integrations` are those of which a share has carried an assignment.
    """
    if can_ask or integrations or not has_reminders(rulebook):
        return ""
    return f"Nobody is reminded. {REMEDIES[Blocked.NO_ACCESS]}"


def has_reminders(rulebook: Rulebook) -> bool:
    """Whether any card gets reminders."""
    posts = (post for route in rulebook.routes.flatten() for post in (*route.live_posts, *route.shadow_posts))
    fallback = rulebook.fallback is not None and bool(rulebook.fallback.options.remind)
    return fallback or any(post.options.remind for post in posts)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueReminder:
    """A card whose reminder is due or nearly due, with its incident and that incident's current cards.

    `asked` is the task that asks BigPanda for it. `unplanned`: shares of the incident wait to be planned.
    `shares_assignments`: a share of its integrations has carried an assignment.
    """

    card: Card
    state: IncidentState
    cards: tuple[Card, ...] = ()
    asked: Task | None = None
    unplanned: bool = False
    shares_assignments: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SentReminder:
    """A reminder that was decided: number 0 stands for `then`, which goes to another channel."""

    card: Card
    number: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminding:
    """What changes in a channel: cards (one without an id is new), entries by incident, tasks, and one message.

    Among the cards are the `failed` ones, which are looked at again later.
    """

    channel: str
    cards: tuple[Card, ...] = ()
    failed: tuple[Card, ...] = ()
    entries: tuple[tuple[str, Entry], ...] = ()
    tasks: tuple[Task, ...] = ()
    bulletin: BulletinChange | None = None
    sent: tuple[SentReminder, ...] = ()
    blocked: Mapping[Blocked, int] = field(default_factory=dict)


def asked_key(card: Card) -> str:
    """The key of the task that asks BigPanda for the reminder of a card."""
    return check_task(card.incident, _why(card.reminder_asked_at or 0.0), 0.0, 0.0).key


def _why(asked_at: float) -> str:
    return f"{CHECK_FOR_REMINDER}{asked_at:.3f}"


def remind(
    channel: Channel, reminders: Sequence[DueReminder], surroundings: Surroundings, now: float, *, can_ask: bool
) -> Reminding:
    """Decide about the reminders of a channel that are due within `WINDOW`; each incident has one card at most.

    `can_ask`: relay has access to BigPanda's API, and it works.
    """
    looks, failed = [], []
    for reminder in reminders:
        look = _Look(reminder, channel, surroundings, now, can_ask=can_ask)
        try:
            look.read()
        except Exception:  # noqa: BLE001  one card must not keep the others from theirs
            failed.append(replace(reminder.card, reminder_due=now + LOOK_AGAIN_AFTER, reminder_asked_at=None))
        else:
            looks.append(look)
    near = [look for look in looks if look.is_near]
    is_bundle = sum(look.reminds for look in near) > MOST_ALONE
    due = [look for look in near if look.is_due or (is_bundle and look.reminds)]
    moved = [look.moved() for look in looks if look not in due]
    ready = [look for look in due if look.readiness is _Readiness.READY]
    together = [look for look in ready if look.reminds] if is_bundle else []
    if together and any(look.readiness in {_Readiness.ASK_FIRST, _Readiness.WAITS} for look in due):
        ready = [look for look in ready if look not in together]  # the message waits for the last answer
        moved += [replace(look.card, reminder_due=now + DRAIN_PAUSE) for look in together]
        together = []
    if len(together) <= MOST_ALONE:
        together = []
    moved += [look.settled() for look in due if look.readiness is not _Readiness.READY]
    moved += [with_due(look.card, look.incident) for look in ready if not look.is_due and look not in together]
    changes = [look.done() for look in ready if look.is_due and look not in together]
    changed = [card for change in changes for card in change.cards]
    bundle = _bundle(channel.ref, together, now) if together else None
    changed += [look.counted() for look in together]
    before = {reminder.card.id: reminder.card for reminder in reminders}
    blocked = [look.blocked for look in due if look.blocked is not None]
    return Reminding(
        channel=channel.ref,
        failed=tuple(failed),
        cards=tuple(card for card in (*moved, *changed, *failed) if before.get(card.id) != card),
        entries=tuple(entry for change in changes for entry in change.entries),
        tasks=tuple(look.question() for look in due if look.readiness is _Readiness.ASK_FIRST),
        bulletin=bundle,
        sent=(*(sent for change in changes for sent in change.sent), *(look.sent() for look in together)),
        blocked={each: blocked.count(each) for each in dict.fromkeys(blocked)},
    )


class _Readiness(StrEnum):
    READY = "ready"
    WAITS = "waits"
    ASK_FIRST = "ask_first"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    cards: tuple[Card, ...] = ()
    entries: tuple[tuple[str, Entry], ...] = ()
    sent: tuple[SentReminder, ...] = ()


class _Look:
    """A reminder at this moment."""

    def __init__(
        self, reminder: DueReminder, channel: Channel, surroundings: Surroundings, now: float, *, can_ask: bool
    ) -> None:
        self.reminder = reminder
        self.channel = channel
        self.surroundings = surroundings
        self.now = now
        self.can_ask = can_ask and bool(reminder.state.record.environment_id)

    @cached_property
    def incident(self) -> Incident:
        return self.reminder.state.incident

    @cached_property
    def card(self) -> Card:
        return _by_live_rules(self.reminder.card, self.surroundings)

    @cached_property
    def step(self) -> NextStep | None:
        """What is done next, if it is wanted."""
        wanted = is_unattended(self.card, self.incident) and self.reminder.state.was_shared
        return next_step(self.card) if wanted else None

    def read(self) -> None:
        """Find out all that may fail: a strange record, or one of another version of relay."""
        if self.is_near:
            self.line()

    @cached_property
    def attention(self) -> Attention:
        return attend(self.card, self.incident, self.surroundings, self.now)

    @cached_property
    def waits_until(self) -> float | None:
        """Until when something holds it (Unix seconds); None if nothing does."""
        if not self.channel.is_open or (self.card.post is not None and self.card.post.urgent):
            return self.now + POST_PAUSE
        if self._is_being_taken:
            return self.now + POST_PAUSE
        targets = reminder_targets(self.card, self.incident)
        holds = [self.attention.ping(Ping.REMINDER, target) for target in targets or ("",)]
        free = [target for target, hold in zip(targets or ("",), holds, strict=True) if hold is None]
        if not free:
            ends = [hold.until for hold in holds if hold is not None and hold.until is not None]
            return min(ends, default=UNKNOWN_END)
        held, caught_up_at = (
            {each.target for each in self.card.held_pings if not each.caught_up},
            self.card.catch_up_due,
        )
        is_soon = caught_up_at is not None and caught_up_at <= self.now + POST_PAUSE
        return self.now + POST_PAUSE if is_soon and held.issuperset(free) else None  # a catch-up pings them first

    @property
    def _is_being_taken(self) -> bool:
        """Whether somebody has pressed the button to take it, and no share says so yet."""
        return any(
            each.kind == TaskKind.ASSIGN and self.now - each.at < CONFIRMATION_WAIT
            for each in self.reminder.state.record.pending_actions
        )

    @property
    def reminds(self) -> bool:
        """Whether its next step is a reminder, and not `then`."""
        return self.step is not None and not self.step.is_then

    @property
    def is_near(self) -> bool:
        """Whether it is due within the window, and nothing holds it."""
        return self.step is not None and self.step.at <= self.now + WINDOW and self.waits_until is None

    @property
    def is_due(self) -> bool:
        """Whether it is due now."""
        return self.step is not None and self.step.at <= self.now

    def moved(self) -> Card:
        """The card of a step that is not due, with the moment at which it is looked at again."""
        if self.step is None:
            return replace(self.card, reminder_due=None, reminder_asked_at=None)
        if not self.is_due:
            return replace(self.card, reminder_due=self.step.at)
        return replace(self.card, reminder_due=self.waits_until, reminder_asked_at=None)

    @cached_property
    def blocked(self) -> Blocked | None:
        """Why it cannot be sent."""
        if self.readiness is not _Readiness.BLOCKED:
            return None
        return Blocked.NO_ANSWER if self.can_ask else Blocked.NO_ACCESS

    @cached_property
    def readiness(self) -> _Readiness:
        """How far the question is, which is asked before it is sent."""
        if self.reminder.unplanned:
            return _Readiness.WAITS
        known = _Readiness.READY if self.reminder.shares_assignments else _Readiness.BLOCKED
        if not self.can_ask:
            return known
        asked_at, task = self.card.reminder_asked_at, self.reminder.asked
        if asked_at is None or task is None or not 0 <= self.now - asked_at <= FRESH_FOR:
            return _Readiness.ASK_FIRST
        if task.state is AttemptState.DONE:
            return _Readiness.READY
        return _Readiness.WAITS if task.state.open and self.now < asked_at + ASK_WITHIN else known

    def settled(self) -> Card:
        """The card of a step that is due, and that is not done now."""
        match self.readiness:
            case _Readiness.ASK_FIRST:
                return replace(self.card, reminder_asked_at=self.now, reminder_due=self.now + ASK_WITHIN)
            case _Readiness.BLOCKED:
                return replace(self.card, reminder_asked_at=None, reminder_due=self.now + BLOCKED_FOR)
            case _:
                asked_at = self.card.reminder_asked_at
                ends = self.now if self.reminder.unplanned or asked_at is None else asked_at + ASK_WITHIN
                return replace(self.card, reminder_due=max(self.now + DRAIN_PAUSE, ends))

    def question(self) -> Task:
        """The task that asks BigPanda."""
        return check_task(self.incident.id, _why(self.now), self.now, self.now)

    def done(self) -> _Change:
        """The step is done now."""
        if self.step is None:
            return _Change()
        then = self.card.options.remind.then
        return self._remind(self.step) if not self.step.is_then or then is None else self._escalate(then)

    def counted(self) -> Card:
        """The card after its step."""
        return with_due(after_step(self.card, self.step, self.now), self.incident) if self.step else self.card

    def sent(self) -> SentReminder:
        """What is counted and logged."""
        step = self.step or NextStep(at=self.now)
        return SentReminder(card=self.card, number=step.number, of=step.of)

    def line(self) -> BulletinLine:
        """How a message that lists several reminders names it."""
        card, step = self.card, self.step or NextStep(at=self.now)
        where = (card.slack_channel, card.ts) if card.slack_channel and card.ts else None
        line = incident_line(self.incident, card.episode, self.now, route=card.route, card=where)
        return replace(line, data={**line.data, "since": self.since, "number": step.number, "of": step.of})

    @property
    def targets(self) -> tuple[str, ...]:
        """Whom a reminder pings now."""
        free, _ = self.attention.split(Ping.REMINDER, reminder_targets(self.card, self.incident))
        return free

    @property
    def since(self) -> float | None:
        """Since when nobody has had it (Unix seconds)."""
        record = self.reminder.state.record
        began = dict(record.episodes).get(self.card.episode) or self.incident.started or record.first_received
        return self.card.unowned_since if self.card.unowned_since is not None else began

    def _entry(self, channel: str, step: NextStep, **more: JSON) -> Entry:
        since, least = self.since, self.card.options.remind.state
        lasted = None if since is None else max(0.0, self.now - since)
        return Entry(
            seq=self.reminder.state.next_seq,
            key=f"reminder:{channel}:{self.card.channel}:{self.card.episode}:{step.at:.3f}:{step.number}",
            kind=EntryKind.REMINDER,
            at=step.at,
            data={"channel": channel, "lasted": lasted, "least": str(least), **more},
        )

    def _remind(self, step: NextStep) -> _Change:
        entry = self._entry(self.card.channel, step, number=step.number, of=step.of, last=step.is_last)
        card = _with_reply(self.counted(), self.now)
        others = [_passing(each, entry) for each in self._others]
        return _Change(cards=(card, *others), entries=((self.incident.id, entry),), sent=(self.sent(),))

    @property
    def _others(self) -> list[Card]:
        return [each for each in self.reminder.cards if each.id != self.card.id]

    def _escalate(self, then: Then) -> _Change:
        """Escalate to another channel: with a card, or in the thread of the card that is there already."""
        ref, step = self.surroundings.canonical_refs.get(then.channel.ref, then.channel.ref), self.step
        if step is None:
            return _Change()
        updated = replace(self.counted(), escalated_at=self.card.escalated_at or self.now)
        sent = self.sent()
        there = [each for each in self.reminder.cards if each.episode == self.card.episode and _is_present(each)]
        known = next((each for each in there if each.channel == ref), None)
        if known is None and self.card.escalated_at is not None:
            known = next((each for each in there if is_escalated(each.notices)), None)
        if known is None:
            return _Change(cards=(updated, self._new_card(ref, then)), sent=(sent,))
        targets = then.mention.targets(self.incident.state)
        entry = self._entry(known.channel, step, targets=list(targets), escalated=True, last=True)
        if known.id == self.card.id:
            cards = (_with_reply(updated, self.now), *(_passing(each, entry) for each in self._others))
        else:
            others = [_passing(each, entry) for each in self._others if each.id != known.id]
            cards = (_passing(updated, entry), _with_reply(known, self.now), *others)
        return _Change(cards=cards, entries=((self.incident.id, entry),), sent=(sent,))

    def _new_card(self, ref: str, then: Then) -> Card:
        name = self.channel.slack_name or self.channel.ref
        why = Notice(kind=NoticeKind.ESCALATED, channel=self.card.channel, name=name, at=int(self.now))
        return Card(
            incident=self.incident.id,
            channel=ref,
            episode=self.card.episode,
            options=THEN_OPTIONS,
            mention=then.mention,
            route=self.card.route,
            first_matched_at=self.now,
            reported_seq=self.reminder.state.next_seq - 1,
            notices=(why,),
            pending_since=self.now,
            post=Due.root(self.incident.state, self.now),
        )


def _by_live_rules(card: Card, surroundings: Surroundings) -> Card:
    """The card with what the live rules say of its reminders. The card of `then` has none."""
    rulebook = surroundings.rulebook
    if rulebook is None or is_escalated(card.notices):
        return card
    refs = (card.channel, *(ref for ref, other in surroundings.canonical_refs.items() if other == card.channel))
    live = rulebook.options_of(card.route, refs).remind
    return card if live == card.options.remind else replace(card, options=replace(card.options, remind=live))


def begin_by_live_rules(card: Card, state: IncidentState, surroundings: Surroundings, now: float) -> Card:
    """The card after the rules have changed. A series that begins by that counts from now: nobody is pinged at once."""
    fresh = _by_live_rules(card, surroundings)
    return follow(fresh, card, state.incident, state.incident, now)


def _is_present(card: Card) -> bool:
    return card.state is not CardState.CANCELLED and card.is_current


def _with_reply(card: Card, now: float) -> Card:
    """The card whose thread has something to say at once."""
    since = now if card.pending_since is None else card.pending_since
    due = Due.on(Urgency.WORSENED, now, urgent=True).sooner(card.post)
    return replace(card, post=due, pending_since=since) if card.state is CardState.POSTED else card


def _passing(card: Card, entry: Entry) -> Card:
    """Another card of the incident, to which the entry says nothing; what it reports next does not wait for it."""
    return replace(card, reported_seq=entry.seq) if card.reported_seq == entry.seq - 1 else card


def _bundle(channel: str, looks: Iterable[_Look], now: float) -> BulletinChange | None:
    every = list(looks)
    targets = dict.fromkeys(target for look in every for target in look.targets)
    lines = [look.line() for look in every]
    return reminders_message(channel, lines, targets, now, options=every[0].card.options)
