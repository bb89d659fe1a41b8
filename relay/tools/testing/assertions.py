"""Compares a simulation with what a test expects: every difference, at the position of the expectation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from difflib import get_close_matches, unified_diff
from math import inf

from relay.cards.holds import Hold
from relay.cards.model import CardState
from relay.routes.yaml_reader.context import Position
from relay.tools.message_text import ChannelNames, channel_label, format_local, message_text, slack_error
from relay.tools.simulate import SentMessage, SimulatedCard, Simulation
from relay.tools.testing.model import (
    CardExpected,
    ExpectationFailure,
    Expected,
    ExpectedList,
    HeldExpected,
    Phrase,
    ReplyExpected,
    Wording,
)

Failures = Iterator[ExpectationFailure]


@dataclass(frozen=True, slots=True)
class Observed:
    """What a test looks at: an incident's simulation at a moment; `first` is when the first share arrived.

    Moments are Unix seconds, `at` is infinity when nothing is due any more. `storms` counts the cards held by storms.
    """

    simulation: Simulation
    _: KW_ONLY
    at: float
    first: float
    zone: str
    names: ChannelNames
    storms: Mapping[str, int]

    @property
    def now(self) -> float:
        """The moment, or when the last thing happened."""
        return self.simulation.now if self.at == inf else self.at


def check_expectations(seen: Observed, expected: Expected) -> Failures:
    """Yield every expectation that is not met."""
    simulation, names = seen.simulation, seen.names
    yield from _check_list(expected.routes, simulation.routes, "the routes that matched the last share")
    cards = {
        each.card.channel: each
        for each in simulation.cards
        if each.root is not None and each.card.state is not CardState.SUPERSEDED
    }
    yield from _check_list(expected.channels, tuple(cards), "the channels with a card", names)
    if expected.storms is not None:
        wanted, position = expected.storms
        counts = [
            tuple(f"{channel_label(ref, names)}: {number}" for ref, number in each.items())
            for each in (wanted, seen.storms)
        ]
        yield from _check_list(
            ExpectedList(values=counts[0], position=position), counts[1], "the new cards that storms hold"
        )
    for card in expected.cards:
        if card.held is not None:
            yield from _check_held_card(seen, card, card.held)
        elif (simulated := cards.get(card.ref)) is None:
            there = ", ".join(channel_label(ref, names) for ref in cards) or "none"
            yield _failure(card.position, f"expected a card in {card.source}; found cards in: {there}")
        else:
            yield from _check_card(simulated, card, names)
            yield from _check_held_pings(seen, simulated, card)


def check_messages(simulation: Simulation, position: Position, names: ChannelNames) -> Failures:
    """Yield what is wrong with any message: Slack would reject it, or a template failed."""
    for card in simulation.cards:
        for sent in dict.fromkeys(each for each in (card.first, card.root, *card.replies) if each is not None):
            message = f"a message in {channel_label(card.card.channel, names)}"
            if error := slack_error(sent.message):
                yield _failure(position, f"Slack would reject {message}: {error}")
            for failure in sent.rendered.failures:
                yield _failure(position, f"a template failed for {message}: {failure}")


def _failure(position: Position, message: str, diff: Iterable[str] = ()) -> ExpectationFailure:
    return ExpectationFailure(position=position, message=message, diff=tuple(diff))


def _check_card(simulated: SimulatedCard, expected: CardExpected, names: ChannelNames) -> Failures:
    first, root = simulated.first, simulated.root
    if first is None or root is None:
        return
    subject = f"the card in {expected.source}"
    yield from _check_list(expected.route, (simulated.card.route,), f"the route of {subject}")
    yield from _check_list(expected.pings, first.pings, f"the pings of {subject}", names)
    caught_up = tuple(dict.fromkeys(target for each in simulated.catch_ups for target in each.pings))
    yield from _check_list(expected.catch_up, caught_up, f"the catch-up for {subject}", names)
    yield from _check_wording(expected.wording, message_text(root.message, names), subject)
    yield from _check_wording(expected.notification, root.message.text, f"the notification of {subject}")
    kinds = [str(entry.kind) for reply in simulated.replies for entry in reply.entries]
    if expected.entries is not None and expected.entries[0] != len(kinds):
        number, position = expected.entries
        found = f"{len(kinds)} ({', '.join(kinds)})" if kinds else "0"
        yield _failure(
            position,
            f"expected {number} {'entry' if number == 1 else 'entries'} in the thread of {subject}, found {found}",
        )
    if expected.thread is not None:
        yield from _check_thread(simulated.replies, expected.thread, expected, names)


def _check_held_card(seen: Observed, expected: CardExpected, held: HeldExpected) -> Failures:
    """A card that is not posted yet: what holds it, and its pings."""
    subject = f"the card in {expected.source}"
    waiting = [each for each in seen.simulation.cards if each.card.channel == expected.ref and each.card.is_current]
    holds = [(each, seen.simulation.held(each, seen.now)) for each in waiting]
    simulated, hold = next(((each, hold) for each, hold in holds if hold is not None), (None, None))
    if simulated is None or hold is None:
        found = "it is posted" if any(each.root for each in waiting) else "there is none"
        yield _failure(held.position, f"expected {subject} to be held ({held.reason}), but {found}")
        return
    yield from _check_hold(seen, held, hold, subject)
    yield from _check_list(expected.route, (simulated.card.route,), f"the route of {subject}")
    yield from _check_held_pings(seen, simulated, expected)


def _check_held_pings(seen: Observed, simulated: SimulatedCard, expected: CardExpected) -> Failures:
    """Whose pings are held, and who was pinged."""
    subject = f"the card in {expected.source}"
    pinged = tuple(dict.fromkeys(target for targets in simulated.pings for target in targets))
    yield from _check_list(expected.pinged, pinged, f"those whom {subject} has pinged", seen.names)
    if (wanted := expected.held_pings) is None:
        return
    holds = {each.target: each.hold for each in simulated.card.held_pings if not each.caught_up}
    targets = ExpectedList(values=tuple(wanted.targets), position=wanted.position)
    yield from _check_list(targets, tuple(holds), f"the held pings of {subject}", seen.names)
    for target, held in wanted.targets.items():
        if target in holds:
            yield from _check_hold(seen, held, holds[target], f"the ping of {channel_label(target, seen.names)}")


def _check_hold(seen: Observed, expected: HeldExpected, found: Hold, subject: str) -> Failures:
    wanted, until = [expected.reason], None
    if expected.until is not None:
        until = expected.until.resolve(seen.first, seen.now, seen.zone)
        wanted.append(f"until {format_local(until, seen.zone)}")
    there = [str(found.reason)]
    if until is not None:
        there.append(f"until {format_local(found.until, seen.zone)}" if found.until is not None else "without an end")
    if wanted != there:
        yield _failure(expected.position, f"{subject} is held: {', '.join(there)}; expected: {', '.join(wanted)}")


def _check_thread(
    replies: Sequence[SentMessage], expected: Sequence[ReplyExpected], card: CardExpected, names: ChannelNames
) -> Failures:
    if len(replies) != len(expected):
        count = "1 reply" if len(expected) == 1 else f"{len(expected)} replies"
        message = f"expected {count} to the card in {card.source}, found {len(replies)}"
        texts = (f"+ {' / '.join(message_text(reply.message, names).splitlines())}" for reply in replies)
        yield _failure(card.thread_position, message, texts)
    for number, (reply, each) in enumerate(zip(replies, expected, strict=False), start=1):
        subject = f"reply {number} in {card.source}"
        yield from _check_wording(each.wording, message_text(reply.message, names), subject)
        yield from _check_list(each.kinds, [str(entry.kind) for entry in reply.entries], f"the entries of {subject}")
        yield from _check_list(each.pings, reply.pings, f"the pings of {subject}", names)
        if each.broadcast is not None and each.broadcast is not reply.broadcast:
            found = f"expected broadcast: {str(each.broadcast).lower()}, found {str(reply.broadcast).lower()}"
            yield _failure(each.position, f"{subject}: {found}")


def _check_list(
    expected: ExpectedList | None, found: Sequence[str], subject: str, names: ChannelNames | None = None
) -> Failures:
    """Compare without regard to order; None accepts anything."""
    if expected is None or sorted(expected.values) == sorted(found):
        return
    wanted, there = (
        [channel_label(each, names or {}) or "(the fallback)" for each in sorted(values)]
        for values in (expected.values, found)
    )
    _, _, _, *diff = unified_diff(wanted, there, n=len(wanted), lineterm="")  # the first lines name files and places
    yield _failure(expected.position, f"{subject}: not as expected", (f"{line[0]} {line[1:]}" for line in diff))


def _check_wording(expected: Wording, text: str, subject: str) -> Failures:
    for phrase in expected.says:
        if not phrase.is_in(text):
            yield _failure(phrase.position, f"{subject} does not say {phrase.source!r}", _text_diff(phrase, text))
    for phrase in expected.lacks:
        if phrase.is_in(text):
            lines = (f"+ {line}" if phrase.is_in(line) else f"  {line}" for line in text.splitlines())
            yield _failure(phrase.position, f"{subject} says {phrase.source!r}", lines)


def _text_diff(phrase: Phrase, text: str) -> list[str]:
    """The message, with the expected text before the most similar line."""
    lines = text.splitlines()
    similar = get_close_matches(phrase.source, lines, n=1, cutoff=0.5)
    place = lines.index(similar[0]) if similar else len(lines)
    shown = [f"{'+' if number == place else ' '} {line}" for number, line in enumerate(lines)]
    return [*shown[:place], f"- {phrase.source}", *shown[place:]]
