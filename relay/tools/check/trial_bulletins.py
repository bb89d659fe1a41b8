"""Draw messages about several incidents with the operator's templates: usual ones, bare ones, very large ones."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from relay.cards.batches import Batch, TaskEnd, batch_line, progress_of, with_titles
from relay.cards.bulletin_cards import bulletin_card
from relay.cards.bulletins import (
    BulletinChange,
    BulletinLine,
    BulletinState,
    LineEnd,
    catch_up_message,
    held_list,
    reminders_message,
)
from relay.cards.draw import draw_bulletin
from relay.cards.model import AttemptState
from relay.cards.replies import MAX_LINES
from relay.cards.storms import LONGEST_GROUP, ChannelStorm, held_in_storm
from relay.cards.summaries import described
from relay.config.configuration import Configuration
from relay.model.incident import State
from relay.model.json_types import JSON
from relay.model.struct import replace
from relay.rendering.library import BATCH, BULLETIN_FOLDER, LINE, PING
from relay.rendering.request import RenderedMessage
from relay.routes.channel_template import FixedChannel
from relay.routes.options import Options
from relay.routes.storm import Storm
from relay.routes.summary import Slot, Summary

_AT: Final = 1_700_000_000.0
_PINGED: Final = ("S0123456789",)
_USUAL: Final[Mapping[str, JSON]] = {
    "title": "db-117 replication lag",
    "url": "https://a.bigpanda.io/#/app/overview/1",
    "since": int(_AT) - 3_600,
    "route": "database",
}


_PING: Final = BulletinLine(
    key="ping",
    at=_AT,
    incident="",
    episode=1,
    state=State.CRITICAL,
    data={"targets": list(_PINGED), "open": 120, "critical": 40},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnBulletin:
    """A message, and the template that makes it (`bulletin/held.j2`)."""

    template: str
    rendered: RenderedMessage


def usual_lines() -> list[BulletinLine]:
    """Lines of every kind: open, with an owner, with a card, and ended in each way."""
    lines = [_line(0, _USUAL), _line(1, {**_USUAL, "owner": "Ann Lee", "route": "payments"})]
    ended = [replace(_line(2 + number, _USUAL), ended=end, ended_at=_AT) for number, end in enumerate(LineEnd)]
    return [*lines, *ended, _line(9, {**_USUAL, "card": ["C0123456789", "1700000000.000001"]})]


def bare_lines() -> list[BulletinLine]:
    """One incident with nothing but a title."""
    return [_line(0, {"title": "Incident 1"})]


def extreme_lines(long_text: str) -> list[BulletinLine]:
    """More lines than a message shows, each with longer values than it shows."""
    return [_line(number, {**_USUAL, "title": long_text, "owner": long_text * (number % 2)}) for number in range(120)]


def draw_bulletins(configuration: Configuration, lines: Sequence[BulletinLine]) -> Iterator[DrawnBulletin]:
    """Every message with these lines, open and over, and the reply that has them."""
    held, caught, reminders = (
        held_list("C0123456789", "hold", _AT, lines, _AT),
        catch_up_message("C0123456789", _AT, lines, _PINGED, _AT),
        reminders_message("C0123456789", lines, _PINGED, _AT),
    )
    for change in filter(None, (held, caught, reminders, _summary(lines))):
        for closed_at in (None, _AT):
            state, template = _state(change, closed_at), f"{BULLETIN_FOLDER}/{change.bulletin.kind}.j2"
            yield DrawnBulletin(template=template, rendered=_draw(configuration, state))
    storm = held_in_storm(ChannelStorm(rules=Storm()), "C0123456789", lines[0], (), _AT, options=Options())
    for closed_at in (None, _AT):
        state = _storm_state(replace(storm, lines=tuple(lines)), closed_at)
        yield DrawnBulletin(
            template=f"{BULLETIN_FOLDER}/{storm.bulletin.kind}.j2", rendered=_draw(configuration, state)
        )
    batch = _draw(configuration, _storm_state(storm, None), [_batch(lines)])
    yield DrawnBulletin(template=f"{BULLETIN_FOLDER}/{BATCH}.j2", rendered=batch)
    ping = _draw(configuration, _storm_state(storm, None), [_PING])
    yield DrawnBulletin(template=f"{BULLETIN_FOLDER}/{PING}.j2", rendered=ping)
    reply = _draw(configuration, _state(held, None), lines[:MAX_LINES])
    yield DrawnBulletin(template=f"{BULLETIN_FOLDER}/{LINE}.j2", rendered=reply)


def _batch(lines: Sequence[BulletinLine]) -> BulletinLine:
    """Somebody takes the incidents of these lines; every second one failed, each for another reason."""
    reasons = ("not_found", "timed_out")
    ends = [
        TaskEnd(state=AttemptState.REJECTED, reason=reasons[number % 4 // 2], line=number)
        if number % 2
        else TaskEnd(state=AttemptState.WAITING)
        for number, _ in enumerate(lines)
    ]
    progress = with_titles(progress_of(ends), dict(enumerate(lines)))
    name = str(lines[0].data.get("owner") or "Dana")
    batch = Batch(key="take:V1", bulletin=1, lines=(), user="U1", name=name, channel="C1", message_ts="1.2", at=_AT)
    return batch_line(batch, progress)


def _storm_state(change: BulletinChange, closed_at: float | None) -> BulletinState:
    """The storm card with these lines; each is a group of its own, by its title."""
    lines = change.lines
    groups = [{"name": str(line.data["title"])[:LONGEST_GROUP], "count": 12, "open": 9} for line in lines[:10]]
    summary = {
        "incidents": len(lines),
        "states": [{"state": str(state), "count": len(lines)} for state in {line.state for line in lines}],
        "groups": groups,
        "more_groups": max(0, len(lines) - len(groups)),
    }
    return replace(_state(change, closed_at), lines=tuple(lines[:5]), summary=summary)


def _summary(lines: Sequence[BulletinLine]) -> BulletinChange:
    """A summary of which these lines are open and resolved; every third of them is snoozed."""
    summary = Summary(
        title="Morning", channel=FixedChannel(source="C0123456789", ref="C0123456789"), at=540, zone="UTC"
    )
    open_now = [
        replace(line, data={**line.data, "snoozed": not number % 3, "snoozed_until": None if number % 3 else _AT})
        for number, line in enumerate(lines)
        if line.ended is None
    ]
    resolved = [replace(line, data={**line.data, "lasted": 3_600.0}) for line in lines]
    slot = Slot(_AT, date(2023, 11, 14))
    return described(summary, slot, lines=open_now, resolved=resolved, letters=1, since=_AT - 86_400.0, now=_AT)


def _line(number: int, data: Mapping[str, JSON]) -> BulletinLine:
    state = list(State)[-1 - number % 3]
    return BulletinLine(key=f"{number}:1", at=_AT, incident=str(number), episode=1, state=state, data=data)


def _state(change: BulletinChange, closed_at: float | None) -> BulletinState:
    bulletin = replace(change.bulletin, closed_at=closed_at)
    counts = Counter(line.ended for line in change.lines)
    return BulletinState(bulletin=bulletin, lines=() if bulletin.row.in_thread else change.lines, counts=counts)


def _draw(configuration: Configuration, state: BulletinState, lines: Sequence[BulletinLine] = ()) -> RenderedMessage:
    card = replace(bulletin_card(state.bulletin), pinged=_PINGED)
    return draw_bulletin(configuration, state, card, link=_link, now=_AT, lines=lines)


def _link(channel: str, ts: str) -> str:
    return f"https://example.slack.com/archives/{channel}/p{ts}"
