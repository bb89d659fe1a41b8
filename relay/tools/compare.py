"""One incident under two configurations: where it would go, whom it would ping, how it would read."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum
from itertools import zip_longest

from relay.config.configuration import Configuration
from relay.tools.as_read import channel_label, channel_names, message_text
from relay.tools.simulate import SentMessage, SimulatedCard, Simulation

LINES = 12
"""Of a text that reads differently no more lines are shown than these."""


class DifferenceKind(StrEnum):
    """What would be different, from the worst on."""

    LOST = "lost"
    """It has a card, and would have none."""
    GAINED = "gained"
    """It has no card, and would have one."""
    ELSEWHERE = "elsewhere"
    """It would be shown in other channels."""
    PINGED = "pinged"
    """Others would be pinged, or more often, or less."""
    READS = "reads"
    """A card or a thread would read differently in a channel that it is shown in either way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentDifference:
    """One incident that would be different: how, and in words (lines; `-` is what is live, `+` the candidate)."""

    incident: str
    title: str
    differences: tuple[DifferenceKind, ...]
    live: tuple[str, ...]
    candidate: tuple[str, ...]
    details: tuple[str, ...] = ()


class Comparison:
    """Two configurations: the one that is live, and the one that may become so."""

    def __init__(self, live: Configuration, candidate: Configuration) -> None:
        """Take both."""
        self.live = live
        self.candidate = candidate
        self._names = {**channel_names(live.rulebook), **channel_names(candidate.rulebook)}
        self.drawn_alike = (
            live.templates == candidate.templates and live.rulebook.tag_labels == candidate.rulebook.tag_labels
        )
        """Whether what is alike is also drawn alike."""

    def compare(self, incident: str, live: Simulation, candidate: Simulation) -> IncidentDifference | None:
        """How one incident would differ, played by both and not drawn; None where it would not."""
        found = list(self._differences(live, candidate))
        if not found:
            return None
        return IncidentDifference(
            incident=incident,
            title=candidate.story.record.title if candidate.story else "",
            differences=tuple(difference for difference, _ in found),
            live=tuple(_places(live)),
            candidate=tuple(_places(candidate)),
            details=tuple(line for _, lines in found for line in lines),
        )

    def _differences(self, live: Simulation, candidate: Simulation) -> Iterator[tuple[DifferenceKind, list[str]]]:
        before, after = list(_places(live)), list(_places(candidate))
        if set(before) != set(after):
            yield _moved(before, after), list(self._moves(before, after, candidate))
        pinged, would_ping = _pings(live), _pings(candidate)
        if pinged != would_ping:
            yield DifferenceKind.PINGED, [*_counted("-", pinged - would_ping), *_counted("+", would_ping - pinged)]
        if lines := list(self._reads(live, candidate)):
            yield DifferenceKind.READS, lines

    def _moves(self, before: Sequence[str], after: Sequence[str], candidate: Simulation) -> Iterator[str]:
        yield from (f"- in {channel_label(ref, self._names)}" for ref in before if ref not in after)
        yield from (f"+ in {channel_label(ref, self._names)}" for ref in after if ref not in before)
        if before and not after:
            outcomes = dict.fromkeys(str(taken.outcome) for taken in candidate.shares if taken.plan)
            yield f"  what would become of its shares: {', '.join(outcomes)}"

    def _reads(self, live: Simulation, candidate: Simulation) -> Iterator[str]:
        """The texts that differ, of cards that both have; only what could differ is drawn."""
        other = {(played.card.channel, played.card.episode): played for played in candidate.cards if played.root}
        for played in live.cards:
            twin = other.get((played.card.channel, played.card.episode))
            if played.root is None or twin is None or (self.drawn_alike and _made_alike(played, twin)):
                continue
            if lines := list(self._texts(played, twin)):
                yield f"  in {channel_label(played.card.channel, self._names)}:"
                yield from (f"    {line}" for line in lines[:LINES])
                if len(lines) > LINES:
                    yield f"    ... and {len(lines) - LINES} more lines"

    def _texts(self, played: SimulatedCard, twin: SimulatedCard) -> Iterator[str]:
        """The card's difference; where the card reads the same, that of the first reply that does not."""
        for one, other in zip_longest((played.root, *played.replies), (twin.root, *twin.replies)):
            if _fingerprint(one) != _fingerprint(other):
                yield from _diff(self._text(one), self._text(other))
                return

    def _text(self, sent: SentMessage | None) -> list[str]:
        if sent is None:
            return []
        colours = [f"(colour {each['color']})" for each in sent.message.attachments if "color" in each]
        return [*message_text(sent.message, self._names).splitlines(), *colours, f"(notification) {sent.message.text}"]


def _moved(before: Sequence[str], after: Sequence[str]) -> DifferenceKind:
    if not after:
        return DifferenceKind.LOST
    return DifferenceKind.ELSEWHERE if before else DifferenceKind.GAINED


def _places(rehearsal: Simulation) -> Iterator[str]:
    """The channels in which it had a card at any time, each once."""
    return iter(dict.fromkeys(played.card.channel for played in rehearsal.cards if played.root is not None))


def _pings(rehearsal: Simulation) -> Counter[str]:
    """Who was pinged, and how often; `here` and `channel` mean the people of one channel."""
    return Counter(
        f"{target} in {played.card.channel}" if target in {"here", "channel"} else target
        for played in rehearsal.cards
        for targets in played.pings
        for target in targets
    )


def _counted(sign: str, pings: Counter[str]) -> Iterator[str]:
    for target, number in sorted(pings.items()):
        yield f"{sign} pings {target}" + (f", {number} times" if number > 1 else "")


def _made_alike(one: SimulatedCard, other: SimulatedCard) -> bool:
    """Whether the same templates make both cards and threads, of the same."""
    return _made_of(one) == _made_of(other)


def _made_of(played: SimulatedCard) -> tuple[object, ...]:
    card, options = played.card, played.card.options
    look = (options.template, options.show_tags, options.runbook_tags, options.actions)
    thread = [(sent.at, sent.entries, sent.pings, sent.broadcast) for sent in played.replies]
    return look, card.route, card.notices, card.pinged, card.previous, thread


def _fingerprint(sent: SentMessage | None) -> str:
    return sent.message.fingerprint if sent else ""


def _diff(one: Sequence[str], other: Sequence[str]) -> Iterator[str]:
    """What differs, each line after its sign, with nothing around it."""
    for line in list(unified_diff(one, other, n=0, lineterm=""))[2:]:
        if not line.startswith("@@"):
            yield f"{line[0]} {line[1:]}"
