"""Compares a simulation with what a test expects: every difference, at the position of the expectation."""

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches, unified_diff

from relay.cards.model import CardState
from relay.routes.yaml_reader.context import Position
from relay.tools.message_text import ChannelNames, channel_label, message_text, slack_error
from relay.tools.simulate import SentMessage, SimulatedCard, Simulation
from relay.tools.testing.model import (
    CardExpected,
    ExpectationFailure,
    Expected,
    ExpectedList,
    Phrase,
    ReplyExpected,
    Wording,
)

Failures = Iterator[ExpectationFailure]


def check_expectations(simulation: Simulation, expected: Expected, names: ChannelNames) -> Failures:
    """Yield every expectation that is not met."""
    yield from _check_list(expected.routes, simulation.routes, "the routes that matched the last share")
    cards = {
        each.card.channel: each
        for each in simulation.cards
        if each.root is not None and each.card.state is not CardState.SUPERSEDED
    }
    yield from _check_list(expected.channels, tuple(cards), "the channels with a card", names)
    for card in expected.cards:
        if (simulated := cards.get(card.ref)) is None:
            there = ", ".join(channel_label(ref, names) for ref in cards) or "none"
            yield _failure(card.position, f"expected a card in {card.source}; found cards in: {there}")
        else:
            yield from _check_card(simulated, card, names)


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
        yield from _check_list(each.tells, [str(entry.kind) for entry in reply.entries], f"the entries of {subject}")
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
