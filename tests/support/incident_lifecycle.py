"""The lifecycle of an incident in a few shares, and what a reader of the channel must see in the end."""

import re

from tests.support.relay_in_process import RelayInProcess

ALERT = {
    "id": "a",
    "status": "critical",
    "tags": [{"name": "host", "value": "db-1"}, {"name": "check", "value": "lag"}],
}

THREAD_PHRASES = ("Warning → *Critical*", "looking at it", "Resolved")
"""What the thread reports, each once and in this order."""


async def share_lifecycle(relay: RelayInProcess, incident: str, pause: float = 60.0) -> None:
    """Send the shares of the lifecycle, with a pause after each, then wait until all is delivered."""
    for fields in LIFECYCLE:
        await relay.share(incident, **fields)
        await relay.advance(pause)
    await relay.advance(400)


LIFECYCLE = (
    {"status": "warning", "alerts": [ALERT]},
    {"status": "critical"},
    {"metadata": {"comment": {"comment": "looking at it"}, "sender": {"name": "Dana"}}},
    {"status": "ok"},
)


def cards(relay: RelayInProcess, incident: str, channel: str = "all"):
    """The roots of that incident in the channel."""
    found = relay.slack.channel(channel).messages
    return [card for card in found if f"'{incident}'" in str(card.metadata)]  # not a part of some key


def thread_text(relay: RelayInProcess, card, channel: str = "all") -> str:
    return "\n".join(relay.slack.text_of(reply) for reply in relay.slack.channel(channel).thread(card.ts))


def find_faults(relay: RelayInProcess, incident: str, channel: str = "all") -> list[str]:
    """What is wrong for a reader: not one card, a card that is not true, an entry lost, repeated or out of order."""
    standing = cards(relay, incident, channel)
    if len(standing) != 1:
        return [f"{len(standing)} cards of {incident}"]
    reported = thread_text(relay, standing[0], channel)
    wrong = [
        f"{phrase!r} reported {reported.count(phrase)} times"
        for phrase in THREAD_PHRASES
        if reported.count(phrase) != 1
    ]
    if not wrong and sorted(THREAD_PHRASES, key=reported.index) != list(THREAD_PHRASES):
        wrong.append("out of order")
    if "✅" not in relay.slack.text_of(standing[0]):
        wrong.append("the card does not show that the incident is resolved")
    strays = [each for each in relay.slack.channel(channel).messages if "relay_entry" in str(each.metadata)]
    strays = [each for each in strays if f"'{incident}'" in str(each.metadata) and not each.thread_ts]
    return wrong + [f"{len(strays)} strays"] * bool(strays)


_LATE = re.compile(r" \(\d{4}-\d\d-\d\d \d\d:\d\d UTC\)")
"""The time that an entry names when it is reported late."""


def visible_messages(relay: RelayInProcess, *channels: str) -> dict[str, list[tuple[str, list[str]]]]:
    """All that a reader of the channels sees: each root, and its thread, paragraph by paragraph.

    It leaves out how paragraphs are grouped into replies, and the time that a late entry names.
    """
    return {channel: [_root(relay, channel, root) for root in _roots(relay, channel)] for channel in channels}


def _roots(relay: RelayInProcess, channel: str):
    return [each for each in reversed(list(relay.slack.channel(channel).visible_messages())) if each.thread_ts is None]


def _root(relay: RelayInProcess, channel: str, root) -> tuple[str, list[str]]:
    replies = relay.slack.channel(channel).thread(root.ts)
    reported = [line for reply in replies for line in relay.slack.text_of(reply).splitlines() if line.strip()]
    return relay.slack.text_of(root), [_LATE.sub("", line) for line in reported]
