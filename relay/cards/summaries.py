"""Summaries: at fixed times, one message without pings shows the state of a channel.

Each such time is a *slot*. `SummaryProgress` says which slots of a summary are done, so that each is decided once, by
the relay that delivers then:

    outcome           of its newest slot
    begun             its message is on its way to Slack
    posted            its message is in Slack
    nothing_to_say    nothing was open, resolved or rejected
    skipped           its message came too late

A summary shows the state at the moment when it was made; it is never edited.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from relay.cards.bulletins import BulletinChange, BulletinLine, incident_line, summary_bulletin
from relay.cards.model import Card, IncidentState
from relay.cards.mutes import Mute, covering
from relay.model.incident import Incident, State
from relay.model.json_types import JSON
from relay.model.struct import Struct, replace
from relay.routes.hour_types import clock, days_text
from relay.routes.hours import Hours
from relay.routes.summary import Slot, Summary

LATEST: Final = 7_200.0
"""Seconds after its slot up to which a summary is still posted."""

FIRST_SPAN: Final = 86_400.0
"""Seconds before the first summary: what was resolved since then is in it."""

MOST_LINES: Final = 20
"""The most open incidents that a summary names; of more, the worst are named, and the others counted."""

LEAST_OWNED: Final = 5
"""So many of these lines are for incidents that somebody has."""

_NAMED: Final = (State.CRITICAL, State.WARNING)

SummaryKey = tuple[str, str]
"""What a summary is known by: the reference of its channel in the file, and its title."""


class SummaryOutcome(StrEnum):
    """The outcome of the newest slot of a summary; metrics, logs and `relay doctor` use these words."""

    BEGUN = "begun"
    POSTED = "posted"
    NOTHING_TO_SAY = "nothing_to_say"
    SKIPPED = "skipped"


OUTCOME_WORDS: Final[Mapping[SummaryOutcome, str]] = {
    SummaryOutcome.BEGUN: "is on its way",
    SummaryOutcome.POSTED: "was posted",
    SummaryOutcome.NOTHING_TO_SAY: "had nothing to say",
    SummaryOutcome.SKIPPED: "was skipped, since it came more than two hours late",
}
"""The outcome of a slot, as the end of a sentence about the summary."""


class SummaryProgress(Struct, frozen=True, kw_only=True):
    """How far a summary is; times are Unix seconds.

    `channel` is its reference in the file. `times` describes its times: if they change, it starts again. The slots up
    to `decided` are done; `outcome` is that of the slot at `decided`, None before the first one. `posted_as_of` is the
    moment that its newest posted message describes; None if there is none.
    """

    channel: str
    title: str
    times: str
    decided: float
    outcome: SummaryOutcome | None = None
    posted_as_of: float | None = None

    @property
    def key(self) -> SummaryKey:
        """The key of the summary."""
        return self.channel, self.title


class DueSlots(NamedTuple):
    """The slots of a summary that are not decided: the one to be posted now, and those that are too late."""

    due: Slot | None
    skipped: tuple[Slot, ...]


class ResolvedIncident(NamedTuple):
    """An incident that was resolved, the worst state of its episode, and its card in the channel, if it had one."""

    state: IncidentState
    worst: State
    card: Card | None


class ChannelContent(Struct, frozen=True, kw_only=True):
    """What a channel shows at a moment: its open incidents, each with its card or named in a list (None); and so on.

    `resolved` were resolved since the last summary. `letters` counts the open dead letters. `mutes` are those that
    are not over.
    """

    open: tuple[tuple[IncidentState, Card | None], ...] = ()
    resolved: tuple[ResolvedIncident, ...] = ()
    letters: int = 0
    mutes: tuple[Mute, ...] = ()

    @property
    def says_something(self) -> bool:
        """Whether a summary of it has anything to say."""
        return bool(self.open or self.resolved or self.letters)


def times_text(summary: Summary) -> str:
    """The times of a summary in words: `mon-fri 09:00 Europe/Berlin, except holidays`."""
    left_out = f", except {' and '.join(summary.minus)}" if summary.minus else ""
    return f"{days_text(summary.days).strip('[]')} {clock(summary.at)} {summary.zone or 'UTC'}{left_out}"


def key_of(summary: Summary) -> SummaryKey:
    """The key of a summary."""
    return summary.channel.ref, summary.title


def progress_of(
    summaries: Iterable[Summary], known: Iterable[SummaryProgress], now: float
) -> Mapping[SummaryKey, SummaryProgress]:
    """The progress of each summary. A new one, or one with changed times, begins now: no earlier slot is posted."""
    before, progress = {each.key: each for each in known}, {}
    for summary in summaries:
        key, times = key_of(summary), times_text(summary)
        old = before.get(key) or SummaryProgress(channel=key[0], title=key[1], times=times, decided=now)
        progress[key] = old if old.times == times else replace(old, times=times, decided=now, outcome=None)
    return progress


def due_slots(summary: Summary, progress: SummaryProgress, now: float, hours: Mapping[str, Hours]) -> DueSlots:
    """The slots that nobody has decided. A missed slot is done once, and only if it is not too late."""
    slots = tuple(summary.slots(progress.decided, now, hours))
    if slots and now - slots[-1].at <= LATEST:
        return DueSlots(slots[-1], slots[:-1])
    return DueSlots(None, slots)


def next_slot(summary: Summary, after: float, hours: Mapping[str, Hours]) -> Slot | None:
    """Its next slot after a moment; None if it has none within a year."""
    return next(summary.slots(after, after + 366 * 86_400.0, hours), None)


def described_since(progress: SummaryProgress, now: float) -> float:
    """The moment from which a summary counts resolved incidents: that of the last posted summary."""
    return now - FIRST_SPAN if progress.posted_as_of is None else progress.posted_as_of


def summary_message(
    summary: Summary, slot: Slot, content: ChannelContent, since: float, now: float
) -> BulletinChange | None:
    """The message of a slot, for the channel as the file names it; None if there is nothing to say."""
    if not (content.says_something or summary.always):
        return None
    return described(
        summary,
        slot,
        lines=[open_line(*each, content.mutes, now) for each in content.open],
        resolved=[resolved_line(each, now) for each in content.resolved],
        letters=content.letters,
        since=since,
        now=now,
    )


def described(  # noqa: PLR0913  each has a name
    summary: Summary,
    slot: Slot,
    *,
    lines: Iterable[BulletinLine],
    resolved: Sequence[BulletinLine],
    letters: int,
    since: float,
    now: float,
) -> BulletinChange:
    """The message that has these lines: of what is open, and of what was resolved (`lasted`: for how many seconds)."""
    data = {
        "title": summary.title,
        "ref": summary.channel.ref,
        "moment": slot.at,
        **described_values(lines, resolved, letters, since),
    }
    return summary_bulletin(summary.channel.ref, f"{slot.day} {clock(summary.at)} {summary.title}", data, now)


def described_values(
    lines: Iterable[BulletinLine], resolved: Sequence[BulletinLine], letters: int, since: float
) -> dict[str, JSON]:
    """The values of such a message: the lines that it names, and the counts of all."""
    every = sorted(lines, key=_worst_first)
    owned, unowned = ([line for line in every if bool(line.owner) is has_owner] for has_owner in (True, False))
    unowned_shown = unowned[: MOST_LINES - min(len(owned), LEAST_OWNED)]
    owned_shown = owned[: MOST_LINES - len(unowned_shown)]
    left_out = [*unowned[len(unowned_shown) :], *owned[len(owned_shown) :]]
    open_now = {"unowned": len(unowned), "owned": len(owned)}
    open_now |= {word: sum(bool(line.data.get(word)) for line in every) for word in ("snoozed", "muted")}
    return {
        "since": since,
        "open": {**_tally(every), **open_now},
        "lines": [_values(line) for line in (*unowned_shown, *sorted(owned_shown, key=_by_owner))],
        "left_out": _tally(left_out),
        "resolved": _resolved(resolved),
        "letters": letters,
    }


def open_line(state: IncidentState, card: Card | None, mutes: Sequence[Mute], now: float) -> BulletinLine:
    """An open incident: its card, who has it, and until when it is snoozed or muted."""
    incident = state.incident
    line, mute = _line(incident, state.episode, card, now), covering(mutes, incident, card.route if card else "", now)
    return _with(
        line,
        owner=line.owner or ("acknowledged" if incident.is_owned else ""),
        snoozed=incident.snooze.snoozed,
        snoozed_until=incident.snooze.wake if incident.snooze.snoozed else None,
        muted=mute is not None,
        muted_until=mute.end if mute else None,
    )


def resolved_line(resolved: ResolvedIncident, now: float) -> BulletinLine:
    """A resolved incident, in the worst state that it had."""
    incident = resolved.state.incident
    line = _line(incident, resolved.state.episode, resolved.card, now)
    ended = incident.ended or resolved.state.ended_at or 0.0
    lasted = max(0.0, ended - (incident.started or ended))
    return _with(replace(line, state=resolved.worst), lasted=lasted)


def _line(incident: Incident, episode: int, card: Card | None, now: float) -> BulletinLine:
    where = (card.slack_channel, card.ts) if card is not None and card.slack_channel and card.ts else None
    return incident_line(incident, episode, now, route=card.route if card else "", card=where)


def _with(line: BulletinLine, **values: JSON) -> BulletinLine:
    return replace(line, data={**line.data, **values})


def _values(line: BulletinLine) -> dict[str, JSON]:
    return {**line.data, "state": str(line.state)}


def _worst_first(line: BulletinLine) -> tuple[int, float, str]:
    return -line.state.rank, float(line.data.get("since") or line.at), line.key


def _by_owner(line: BulletinLine) -> tuple[Any, ...]:
    return line.owner.casefold(), *_worst_first(line)


def _tally(lines: Sequence[BulletinLine]) -> dict[str, JSON]:
    """How many they are, and how many of the worse states."""
    return {"all": len(lines), **{str(state): sum(line.state is state for line in lines) for state in _NAMED}}


def _resolved(lines: Sequence[BulletinLine]) -> dict[str, JSON]:
    """How many were resolved, which was the worst, and which took longest."""
    if not lines:
        return {"all": 0}
    worst = max(lines, key=lambda line: (line.state.rank, line.data["lasted"]))
    longest = max(lines, key=lambda line: line.data["lasted"])
    return {"all": len(lines), "worst": _values(worst), "longest": _values(longest)}
