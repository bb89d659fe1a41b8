"""Messages about several incidents: lists of what is held, catch-ups, and the lines in their threads."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from relay.cards.batches import Batch, TaskEnd, batch_line, progress_of, with_titles
from relay.cards.bulletin_cards import bulletin_card
from relay.cards.bulletins import (
    Bulletin,
    BulletinChange,
    BulletinLine,
    BulletinState,
    LineEnd,
    catch_up_message,
    held_list,
    reminders_message,
)
from relay.cards.draw import draw_bulletin
from relay.cards.model import AttemptState, CardState
from relay.cards.storms import ChannelStorm, held_in_storm
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.config.template_files import load_packaged
from relay.model.incident import State
from relay.model.struct import replace
from relay.routes.options import Options
from relay.routes.storm import Storm
from relay.slack.message import Message
from tests.support.summary_samples import summary_samples

FOLDER, BROKEN = "bulletin", "broken-bulletin"
_ROUTES = "version: 1\nroutes: [{name: all, post: [C0DB], actions: [assign]}]\n"
_TITLES = (
    ("db-117 replication lag above 300 s", "database", State.CRITICAL),
    ("checkout: error rate above 5 %", "payments", State.CRITICAL),
    ("search latency p99 above 2 s in eu-central-1, and the queue of the indexer grows", "search", State.WARNING),
    ("disk of log-04 at 91 %", "platform", State.WARNING),
    ("certificate of api.example.com expires in 6 days", "platform", State.UNKNOWN),
)


@dataclass(frozen=True, kw_only=True)
class BulletinCase:
    """A bulletin, or with `entries` the reply that has its lines."""

    name: str
    change: BulletinChange
    closed_at: float | None = None
    pinged: tuple[str, ...] = ()
    entries: tuple[BulletinLine, ...] = ()
    worst: tuple[BulletinLine, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    folders: tuple[str, ...] = (FOLDER, BROKEN)

    def draw(self, folder: str) -> Message:
        """Render it, with the built-in texts if the templates are broken."""
        bulletin = replace(self.change.bulletin, closed_at=self.closed_at)
        state = BulletinState(
            bulletin=bulletin,
            lines=self.worst if bulletin.row.in_thread else self.change.lines,
            summary=self.summary,
            counts=Counter(line.ended for line in self.change.lines),
        )
        card = replace(
            bulletin_card(bulletin),
            state=CardState.POSTED,
            ts=f"{bulletin.opened_at:.6f}",
            slack_channel="C0DB",
            pinged=self.pinged,
        )
        now = bulletin.opened_at
        return draw_bulletin(
            _configuration(folder), state, card, link=_link, now=now, lines=self.entries, pinged=self.pinged
        ).message


@cache
def _configuration(folder: str) -> Configuration:
    own = {name: "{{ 1 // 0 }}" if folder == BROKEN else text for name, text in load_packaged().items()}
    return build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=_ROUTES, templates=own))


def _link(channel: str, ts: str) -> str:
    return f"https://team.slack.com/archives/{channel}/p{ts.replace('.', '')}"


def _line(number: int, now: int, **values: Any) -> BulletinLine:
    title, route, state = _TITLES[number % len(_TITLES)]
    data = {
        "title": title,
        "url": f"https://a.bigpanda.io/#/app/overview/{number}",
        "since": now - 3_600 * (number + 1),
        "owner": values.pop("owner", ""),
        "route": values.pop("route", route),
        "card": values.pop("card", None),
    }
    line = BulletinLine(key=f"{number}:1", at=now, incident=str(number), episode=1, state=state, data=data)
    return replace(line, ended_at=now - 60.0 if "ended" in values else None, **values)


def bulletins(now: int) -> Iterator[BulletinCase]:
    """All cases at that moment (Unix seconds)."""
    until = float(now + 5 * 3_600)
    every = [_line(number, now) for number in range(40)]
    ends = (LineEnd.RESOLVED, LineEnd.POSTED, LineEnd.UNMATCHED)
    card = ["C0DB", "1777778640.000100"]
    mixed = [
        *(_line(n, now, ended=end, card=card if end is LineEnd.POSTED else None) for n, end in enumerate(ends)),
        *every[3:12],
    ]
    yield BulletinCase(name="held-1", change=held_list("C0DB", "hold", until, every[:1], now))
    yield BulletinCase(name="held-12", change=held_list("C0DB", "hold", until, every[:12], now))
    yield BulletinCase(name="held-of-which-3-ended", change=held_list("C0DB", "hold", until, mixed, now))
    ended = [_line(number, now, ended=LineEnd.RESOLVED) for number in range(3)]
    yield BulletinCase(name="held-none-any-more", change=held_list("C0DB", "hold", until, ended, now))
    muted = held_list("C0DB", "mute", until, every[:3], now)
    why = replace(muted.bulletin, data={**muted.bulletin.data, "why": "Dana: deploy of checkout"})
    yield BulletinCase(name="held-by-a-mute", change=replace(muted, bulletin=why))
    yield BulletinCase(
        name="held-of-a-lost-database", change=_adopted(held_list("C0DB", "hold", until, every[:1], now))
    )
    yield BulletinCase(name="held-no-longer", change=held_list("C0DB", "hold", until, mixed, now), closed_at=until)
    yield BulletinCase(name="held-lines", change=held_list("C0DB", "hold", until, mixed, now), entries=tuple(mixed[:6]))
    for name, lines in (("1", every[:1]), ("7", every[:7]), ("40", every)):
        change = catch_up_message("C0DB", float(now), lines, (), now)
        assert change is not None
        yield BulletinCase(name=f"catch-up-{name}", change=change, pinged=("S0DBONCALL",))
    owned = [*every[:3], _line(3, now, owner="Ann Lee", card=card), _line(5, now, owner="Ben")]
    change = catch_up_message("C0DB", float(now), owned, (), now)
    assert change is not None
    yield BulletinCase(name="catch-up-late-with-owners", change=change, pinged=("S0DBONCALL",))
    change = catch_up_message("C0DB", float(now), [*mixed[:1], *every[1:4]], (), now)
    assert change is not None
    yield BulletinCase(name="catch-up-of-which-1-ended", change=change)
    yield from _storms(every, now)
    over = [replace(line, ended=LineEnd.RESOLVED, ended_at=now) for line in every[:3]]
    change = catch_up_message("C0DB", float(now), over, (), now)
    assert change is not None
    yield BulletinCase(name="catch-up-all-over", change=change, closed_at=float(now))
    yield from _reminders(every, card, now)
    for name, sample in summary_samples(now).items():
        yield BulletinCase(name=f"summary-{name}", change=sample)


def _reminders(every: Sequence[BulletinLine], card: list[str], now: int) -> Iterator[BulletinCase]:
    """Several reminders at once, soon after and when some or all are over."""
    lines = [
        replace(line, data={**line.data, "card": card, "number": 1 + n % 3, "of": 3}) for n, line in enumerate(every)
    ]
    over = [replace(line, ended=LineEnd.RESOLVED, ended_at=now) for line in lines[:4]]
    cases = (("4", lines[:4], None), ("40", lines, None), ("of-which-1-ended", [*over[:1], *lines[1:4]], None))
    for name, some, closed in (*cases, ("all-over", over, float(now))):
        change = reminders_message("C0DB", some, ("S0DBONCALL",), float(now))
        assert change is not None
        yield BulletinCase(name=f"reminders-{name}", change=change, pinged=("S0DBONCALL",), closed_at=closed)


def _storms(every: Sequence[BulletinLine], now: int) -> Iterator[BulletinCase]:
    """A flood while it lasts, when it is over, of one group, and the call in its thread."""
    storm = ChannelStorm(rules=Storm(), posted=(now - 240.0,))
    change = held_in_storm(storm, "C0DB", every[0], (), float(now), options=Options())
    groups = [{"name": name, "count": 96 - 9 * n, "open": 96 - 9 * n} for n, name in enumerate(_GROUPS)]
    worst = tuple(sorted(every[:5], key=lambda line: -line.state.rank))
    states = [{"state": "critical", "count": 12}, {"state": "warning", "count": 288}]
    summary = {"incidents": 342, "states": states, "groups": groups, "more_groups": 4}
    held = [
        *every,
        *(replace(every[0], ended=LineEnd.RESOLVED) for _ in range(7)),
        replace(every[1], ended=LineEnd.POSTED),
    ]
    flood = replace(change, lines=tuple(held))
    yield from _batches(flood, every, now)
    yield BulletinCase(name="storm", change=flood, worst=worst, summary=summary)
    ended = {**summary, "states": states[1:], "groups": [{**each, "open": each["count"] // 2} for each in groups[:3]]}
    yield BulletinCase(name="storm-over", change=flood, worst=worst[2:4], summary=ended, closed_at=now + 900.0)
    one = {"incidents": 31, "states": states[1:], "groups": groups[:1], "more_groups": 0}
    yield BulletinCase(name="storm-of-one-group", change=change, worst=every[2:3], summary=one)
    over = replace(change, lines=tuple(replace(line, ended=LineEnd.RESOLVED) for line in every[:9]))
    done = {"incidents": 39, "states": [], "groups": groups[:1], "more_groups": 0}
    yield BulletinCase(name="storm-all-resolved", change=over, summary=done, closed_at=now + 900.0)
    data = {"targets": ["S0DBONCALL"], "open": 300, "critical": 12}
    ping = BulletinLine(key="ping", at=now, incident="", episode=1, state=State.CRITICAL, data=data)
    yield BulletinCase(
        name="storm-ping", change=flood, worst=worst, summary=summary, entries=(ping,), pinged=("S0DBONCALL",)
    )


def _batches(flood: BulletinChange, every: Sequence[BulletinLine], now: int) -> Iterator[BulletinCase]:
    """Somebody takes the incidents of the storm: on the way, done, and with failures."""
    batch = Batch(key="take:V1", bulletin=1, lines=(), user="U1", name="Dana", channel="C0DB", message_ts="1", at=now)
    done, waits = TaskEnd(state=AttemptState.DONE), TaskEnd(state=AttemptState.WAITING)
    lost = [TaskEnd(state=AttemptState.REJECTED, reason="not_found", line=n) for n in range(2)]
    late = TaskEnd(state=AttemptState.DROPPED, reason="timed_out", line=2)
    over = [TaskEnd(state=AttemptState.DROPPED, reason=reason) for reason in ("taken", "already_resolved", "taken")]
    locked = [TaskEnd(state=AttemptState.REJECTED, reason="key_invalid", line=n) for n in range(14)]
    samples = {
        "on-the-way": [*[done] * 12, *lost, *[waits] * 23],
        "done": [done] * 37,
        "with-failures": [*[done] * 31, *lost, late, *over],
        "all-failed": locked,
    }
    for name, ends in samples.items():
        line = batch_line(batch, with_titles(progress_of(ends), dict(enumerate(every))))
        yield BulletinCase(name=f"storm-take-{name}", change=flood, entries=(line,))


_GROUPS = ("checkout", "payments-api", "search", "cart", "", "inventory", "notifications", "login", "billing", "edge")


def _adopted(change: BulletinChange) -> BulletinChange:
    bulletin: Bulletin = change.bulletin
    return replace(change, bulletin=replace(bulletin, data={**bulletin.data, "adopted": True}))
