"""A short life of an incident, and what a reader must find of it in the end, whatever went wrong on the way."""

import re

from tests.support.relay_in_process import RelayInProcess

ALERT = {
    "id": "a",
    "status": "critical",
    "tags": [{"name": "host", "value": "db-1"}, {"name": "check", "value": "lag"}],
}

PHRASES = ("Warning → *Critical*", "looking at it", "Resolved")
"""What the thread tells, once each and in this order."""


async def live(house: RelayInProcess, incident: str, pause: float = 60.0) -> None:
    """Opened as a warning, worse, commented, resolved; then all has time to settle."""
    for told in LIFE:
        await house.share(incident, **told)
        await house.advance(pause)
    await house.advance(400)


LIFE = (
    {"status": "warning", "alerts": [ALERT]},
    {"status": "critical"},
    {"metadata": {"comment": {"comment": "looking at it"}, "sender": {"name": "Dana"}}},
    {"status": "ok"},
)


def cards(house: RelayInProcess, incident: str, channel: str = "all"):
    """The roots of that incident that stand in the channel."""
    found = house.slack.channel(channel).messages
    return [card for card in found if incident in str(card.metadata)]


def thread(house: RelayInProcess, card, channel: str = "all") -> str:
    return "\n".join(house.slack.text_of(reply) for reply in house.slack.channel(channel).thread(card.ts))


def faults(house: RelayInProcess, incident: str, channel: str = "all") -> list[str]:
    """What a reader would find wrong: not one card, a card that is not true, an entry lost, doubled or out of order."""
    standing = cards(house, incident, channel)
    if len(standing) != 1:
        return [f"{len(standing)} cards of {incident}"]
    told = thread(house, standing[0], channel)
    wrong = [f"{phrase!r} told {told.count(phrase)} times" for phrase in PHRASES if told.count(phrase) != 1]
    if not wrong and sorted(PHRASES, key=told.index) != list(PHRASES):
        wrong.append("out of order")
    if "✅" not in house.slack.text_of(standing[0]):
        wrong.append("the card does not show the end")
    strays = [each for each in house.slack.channel(channel).messages if "relay_entry" in str(each.metadata)]
    strays = [each for each in strays if incident in str(each.metadata) and not each.thread_ts]
    return wrong + [f"{len(strays)} strays"] * bool(strays)


_LATE = re.compile(r" \(\d{4}-\d\d-\d\d \d\d:\d\d UTC\)")
"""The mark of when a thing happened that is told late."""


def seen(house: RelayInProcess, *channels: str) -> dict[str, list[tuple[str, list[str]]]]:
    """All that a reader of the channels sees: each root's face, and what its thread tells, paragraph by paragraph.

    Left out is how paragraphs are grouped into replies, and the mark of when a thing happened that is told late.
    """
    return {channel: [_root(house, channel, root) for root in _roots(house, channel)] for channel in channels}


def _roots(house: RelayInProcess, channel: str):
    return [each for each in reversed(list(house.slack.channel(channel).visible_messages())) if each.thread_ts is None]


def _root(house: RelayInProcess, channel: str, root) -> tuple[str, list[str]]:
    replies = house.slack.channel(channel).thread(root.ts)
    told = [line for reply in replies for line in house.slack.text_of(reply).splitlines() if line.strip()]
    return house.slack.text_of(root), [_LATE.sub("", line) for line in told]
