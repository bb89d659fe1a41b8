"""Compares one incident under two configurations: its channels, its pings, and its texts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum
from itertools import zip_longest

from relay.config.configuration import Configuration
from relay.tools.message_text import alias_names, channel_label, message_text
from relay.tools.simulate import SentMessage, SimulatedCard, Simulation

MAX_LINES = 12
"""How many lines of a text that differs are shown."""


class DifferenceKind(StrEnum):
    """How an incident differs, the worst first."""

    LOST = "lost"
    """It has a card, and would have none."""
    GAINED = "gained"
    """It has no card, and would have one."""
    ELSEWHERE = "elsewhere"
    """Its cards would be in other channels."""
    PINGED = "pinged"
    """Others would be pinged, or more often, or less often."""
    READS = "reads"
    """The text of a card or thread would differ, in a channel that both use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentDifference:
    """One incident that differs: how, its channels, and details as lines (`-` is live, `+` is the candidate)."""

    incident: str
    title: str
    differences: tuple[DifferenceKind, ...]
    live: tuple[str, ...]
    candidate: tuple[str, ...]
    details: tuple[str, ...] = ()


class ConfigurationComparison:
    """Compares the live configuration with a candidate."""

    def __init__(self, live: Configuration, candidate: Configuration) -> None:
        self.live = live
        self.candidate = candidate
        self._names = {**alias_names(live.rulebook), **alias_names(candidate.rulebook)}
        self.renders_same = (
            live.templates == candidate.templates and live.rulebook.tag_labels == candidate.rulebook.tag_labels
        )
        """Whether equal cards also have equal texts."""

    def compare(self, incident: str, live: Simulation, candidate: Simulation) -> IncidentDifference | None:
        """Compare the simulations of one incident, which are not rendered yet; None if there is no difference."""
        found = list(self._differences(live, candidate))
        if not found:
            return None
        return IncidentDifference(
            incident=incident,
            title=candidate.incident_state.record.title if candidate.incident_state else "",
            differences=tuple(kind for kind, _ in found),
            live=_channels(live),
            candidate=_channels(candidate),
            details=tuple(line for _, lines in found for line in lines),
        )

    def _differences(self, live: Simulation, candidate: Simulation) -> Iterator[tuple[DifferenceKind, list[str]]]:
        before, after = _channels(live), _channels(candidate)
        if set(before) != set(after):
            moved = DifferenceKind.ELSEWHERE if before else DifferenceKind.GAINED
            yield (moved if after else DifferenceKind.LOST), list(self._moves(before, after, candidate))
        pings, new_pings = _pings(live), _pings(candidate)
        if pings != new_pings:
            changes = [("-", pings - new_pings), ("+", new_pings - pings)]
            yield (
                DifferenceKind.PINGED,
                [
                    f"{sign} pings {channel_label(target, self._names)}" + (f", {number} times" if number > 1 else "")
                    for sign, counts in changes
                    for target, number in sorted(counts.items())
                ],
            )
        if lines := list(self._text_differences(live, candidate)):
            yield DifferenceKind.READS, lines

    def _moves(self, before: Sequence[str], after: Sequence[str], candidate: Simulation) -> Iterator[str]:
        yield from (f"- in {channel_label(ref, self._names)}" for ref in before if ref not in after)
        yield from (f"+ in {channel_label(ref, self._names)}" for ref in after if ref not in before)
        if before and not after:
            outcomes = dict.fromkeys(str(share.outcome) for share in candidate.shares if share.plan)
            yield f"  the outcome of its shares would be: {', '.join(outcomes)}"

    def _text_differences(self, live: Simulation, candidate: Simulation) -> Iterator[str]:
        """The texts that differ, of cards that both have. Only what can differ is rendered."""
        others = {(each.card.channel, each.card.episode): each for each in candidate.cards if each.root}
        for card in live.cards:
            other = others.get((card.card.channel, card.card.episode))
            if card.root is None or other is None or (self.renders_same and _inputs(card) == _inputs(other)):
                continue
            if lines := list(self._text_diff(card, other)):
                yield f"  in {channel_label(card.card.channel, self._names)}:"
                yield from (f"    {line}" for line in lines[:MAX_LINES])
                if len(lines) > MAX_LINES:
                    yield f"    ... and {len(lines) - MAX_LINES} more lines"

    def _text_diff(self, card: SimulatedCard, other: SimulatedCard) -> Iterator[str]:
        """The difference of the cards; if they are equal, that of the first replies that differ."""
        for one, two in zip_longest((card.root, *card.replies), (other.root, *other.replies)):
            if _fingerprint(one) != _fingerprint(two):
                for line in list(unified_diff(self._text(one), self._text(two), n=0, lineterm=""))[2:]:
                    if not line.startswith("@@"):
                        yield f"{line[0]} {line[1:]}"
                return

    def _text(self, sent: SentMessage | None) -> list[str]:
        if sent is None:
            return []
        colours = [f"(colour {each['color']})" for each in sent.message.attachments if "color" in each]
        return [*message_text(sent.message, self._names).splitlines(), *colours, f"(notification) {sent.message.text}"]


def _channels(simulation: Simulation) -> tuple[str, ...]:
    """The channels in which the incident had a card at any time."""
    return tuple(dict.fromkeys(each.card.channel for each in simulation.cards if each.root is not None))


def _pings(simulation: Simulation) -> Counter[str]:
    """How often each target was pinged; `here` and `channel` are different targets in each channel."""
    return Counter(
        f"{target} in {each.card.channel}" if target in {"here", "channel"} else target
        for each in simulation.cards
        for targets in each.pings
        for target in targets
    )


def _inputs(simulated: SimulatedCard) -> tuple[object, ...]:
    """Everything of which a card and its thread are rendered, beside the incident."""
    card = simulated.card
    thread = [(sent.at, sent.entries, sent.pings, sent.broadcast) for sent in simulated.replies]
    return card.options.drawn, card.route, card.notices, card.pinged, card.previous, thread


def _fingerprint(sent: SentMessage | None) -> str:
    return sent.message.fingerprint if sent else ""
