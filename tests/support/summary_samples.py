"""Summaries for tests: what stands in a channel, few or many."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from relay.cards.bulletins import BulletinChange, BulletinLine
from relay.cards.summaries import described
from relay.model.incident import State
from relay.routes.channel_template import FixedChannel
from relay.routes.summary import Slot, Summary

MORNING = Summary(title="Morning", channel=FixedChannel(source="C0DB", ref="C0DB"), at=540, zone="Etc/UTC")
DAY = date(2026, 5, 3)
_TITLES = (
    ("db-117 replication lag above 300 s", State.CRITICAL),
    ("checkout: error rate above 5 %", State.CRITICAL),
    ("search latency p99 above 2 s in eu-central-1, and the queue of the indexer grows", State.WARNING),
    ("disk of log-04 at 91 %", State.WARNING),
    ("certificate of api.example.com expires in 6 days", State.UNKNOWN),
)


def summary_line(number: int, now: float, **values: Any) -> BulletinLine:
    """An incident as a summary names it."""
    title, state = _TITLES[number % len(_TITLES)]
    data = {
        "title": title,
        "url": f"https://a.bigpanda.io/#/app/overview/{number}",
        "since": int(now) - 3_600 * (number + 1),
        "owner": "",
        "route": "database",
        "card": ["C0DB", f"1777778640.{number:06}"],
        **values,
    }
    return BulletinLine(key=f"{number}:1", at=now, incident=str(number), episode=1, state=state, data=data)


def summary_of(
    now: float, number: int = 0, *extra: BulletinLine, resolved: int = 0, letters: int = 0, late: float = 0.0
) -> BulletinChange:
    """A summary of so many open incidents, and of `extra` ones, made so many seconds late."""
    return described(
        MORNING,
        Slot(now - late, DAY),
        lines=[*(summary_line(each, now) for each in range(number)), *extra],
        resolved=[summary_line(each, now, lasted=600.0 * (each + 1)) for each in range(resolved)],
        letters=letters,
        since=now - 86_400.0,
        now=now,
    )


def summary_samples(now: float) -> Mapping[str, BulletinChange]:
    """The usual one, a short one, a late one, a very long one, and one with nothing to say."""
    owned = (
        summary_line(5, now, owner="Ben Okafor"),
        summary_line(6, now, owner="Ann Lee", snoozed=True, snoozed_until=int(now) + 18_000),
        summary_line(8, now, owner="Ann Lee"),
    )
    muted = summary_line(9, now, muted=True, muted_until=int(now) + 7_200)
    return {
        "usual": summary_of(now, 4, *owned, muted, resolved=7, letters=2),
        "short": summary_of(now, 1, resolved=1),
        "late": summary_of(now, 2, late=2_400.0),
        "of-500": summary_of(
            now,
            479,
            summary_line(479, now, snoozed=True),
            *(summary_line(n, now, owner=f"Person {n % 7}") for n in range(480, 500)),
        ),
        "nothing": summary_of(now),
    }
