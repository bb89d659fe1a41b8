"""Bulletins for tests: lines of incidents, and what is done to them."""

from relay.cards.bulletins import BulletinLine, EndedLines, LineEnd, catch_up_message, held_list, held_list_over
from relay.model.incident import State

CHANNEL = "C0ALL00001"


def a_line(incident="i1", state=State.CRITICAL, *, at=1.0, episode=1, **data) -> BulletinLine:
    """The line of an incident."""
    values = {
        "title": f"Trouble with {incident}",
        "url": "",
        "since": None,
        "owner": "",
        "route": "all",
        "card": None,
        **data,
    }
    return BulletinLine(
        key=f"{incident}:{episode}", at=at, incident=incident, episode=episode, state=state, data=values
    )


def hold(*incidents, at=1.0, channel=CHANNEL, reason="hold", until=None, state=State.CRITICAL):
    """Add these incidents to the held list."""
    return held_list(channel, reason, until, [a_line(each, state, at=at) for each in incidents], at)


def release(*, at, channel=CHANNEL, reason="hold"):
    """The hold is over."""
    return held_list_over(channel, reason, at)


def catch(*incidents, at=1.0, channel=CHANNEL, moment=None, targets=("S0CRIT",), **data):
    """Report at that moment that these incidents are still open."""
    lines = [a_line(each, at=at, **data) for each in incidents]
    return catch_up_message(channel, at if moment is None else moment, lines, targets, at)


def resolved(incident, at=2.0, **values):
    """The lines of the incident end."""
    return EndedLines(**{"incident": incident, "episode": 1, "end": LineEnd.RESOLVED, "at": at, **values})
