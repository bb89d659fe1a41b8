"""What is silent now, until when and by whom: mutes, which people make here, and the hours of the live routes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from relay.actions.mute_preview import MutePreview, preview
from relay.cards.mutes import InvalidMute, Mute, check_mute
from relay.cards.summaries import OUTCOME_WORDS, SummaryProgress, key_of, next_slot
from relay.model.errors import ConfigurationError
from relay.model.incident import State
from relay.routes.rulebook import Rulebook
from relay.tools import mutes as tool
from relay.tools.board.source import BoardSource
from relay.tools.message_text import format_time
from relay.tools.share_source import parse_moment

FIELDS = ("match", "incident", "route", "for", "from", "reason", "unless")
"""Of the form that makes a mute, and of an address that fills it in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownMute:
    """A mute with its state and what it covers, in words."""

    mute: Mute
    state: str
    covers: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownHours:
    """Hours of the live routes: whether it is that time now, and when that changes (Unix seconds)."""

    name: str
    is_on: bool
    changes_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSummary:
    """A summary of the live routes: the result of its last slot, in words, and both moments (Unix seconds)."""

    title: str
    channel: str
    last: str
    last_at: float | None
    next_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MutesPage:
    """The page. `given` is what a form held; `preview` asks whether that is meant, `problem` says why it cannot be."""

    mutes: tuple[ShownMute, ...]
    hours: tuple[ShownHours, ...]
    summaries: tuple[ShownSummary, ...]
    zone: str
    given: Mapping[str, str] = field(default_factory=dict)
    preview: MutePreview | None = None
    problem: str = ""


async def read_mutes(
    source: BoardSource,
    given: Mapping[str, str] | None = None,
    preview: MutePreview | None = None,
    problem: str = "",
) -> MutesPage:
    """Read the page. Raises StoreError: the database failed."""
    rulebook, now = source.live().rulebook, source.clock.now()
    found = await tool.listed(source.store, now)
    return MutesPage(
        mutes=tuple(
            ShownMute(mute=each, state=tool.state_words(each, now), covers=tool.covers_words(each)) for each in found
        ),
        hours=tuple(
            ShownHours(name=name, is_on=each.is_on(now), changes_at=each.next_change(now))
            for name, each in rulebook.hours.items()
        ),
        summaries=tuple(_shown_summaries(rulebook, await source.store.summary_progress(), now)),
        zone=rulebook.zone,
        given=dict.fromkeys(FIELDS, "") | dict(given or {}),
        preview=preview,
        problem=problem,
    )


def _shown_summaries(rulebook: Rulebook, progress: Iterable[SummaryProgress], now: float) -> Iterator[ShownSummary]:
    known = {each.key: each for each in progress}
    for summary in rulebook.summaries:
        last, coming = known.get(key_of(summary)), next_slot(summary, now, rulebook.hours)
        outcome = last.outcome if last is not None else None
        yield ShownSummary(
            title=summary.title,
            channel=summary.channel.source,
            last=OUTCOME_WORDS[outcome] if outcome is not None else "",
            last_at=last.decided if last is not None and outcome is not None else None,
            next_at=coming.at if coming else None,
        )


async def make_mute(source: BoardSource, form: Mapping[str, str], author: str) -> tuple[MutesPage, Mute | None]:
    """Make the mute of a form. One that matches nothing, or very much, is made only if the form says `sure`.

    Raises StoreError: the database failed.
    """
    given = {name: " ".join(form.get(name, "").split()) for name in FIELDS}
    now = source.clock.now()
    try:
        wanted = _mute(given, author, now)
        _check_route(source.live().rulebook, given["route"])
        if wanted.incident:
            await _check_known(source, wanted.incident)
        else:
            [found] = await preview(source.store, [wanted], source.live().rulebook, now, at_once=True)
            if found.doubtful and not form.get("sure"):
                return await read_mutes(source, given, found), None
        made = await tool.add(source.store, wanted, now)
    except InvalidMute as error:
        return await read_mutes(source, given, problem=str(error)), None
    except ConfigurationError as error:
        problem = "; ".join(fault.message for fault in error.faults)
        return await read_mutes(source, given, problem=f"{problem}."), None
    source.wake()
    return await read_mutes(source), made


async def extend_mute(source: BoardSource, number: int, duration: str) -> str:
    """Extend a mute by this time; return the result as a sentence. Raises StoreError."""
    try:
        changed = await tool.extend(source.store, number, tool.read_duration(duration), source.clock.now())
    except InvalidMute as error:
        return str(error)
    source.wake()
    if changed is None:
        return f"Mute {number} is over, or does not exist."
    return f"Mute {number} lasts {duration} longer, until {format_time(changed.end)}."


async def end_mute(source: BoardSource, number: int, author: str) -> str:
    """End a mute now; the same."""
    ended = await source.store.end_mute(number, source.clock.now(), author)
    source.wake()
    return f"Mute {number} is over{'.' if ended else ' already, or does not exist.'}"


def _mute(given: Mapping[str, str], author: str, now: float) -> Mute:
    seconds = tool.read_duration(given["for"])
    try:
        start = parse_moment(given["from"]) if given["from"] else now
    except ValueError as error:
        raise InvalidMute(f"{error}.") from None
    if given["unless"] and given["unless"] not in set(State):
        raise InvalidMute(f"{given['unless']!r} is not a state.")
    if bool(given["match"]) == bool(given["incident"]):
        raise InvalidMute("Give either a match or an incident.")
    mute = Mute(
        match=given["match"],
        incident=given["incident"],
        routes=(given["route"],) if given["route"] else (),
        start=start,
        end=start + seconds,
        reason=given["reason"],
        author=author,
        origin="board",
        unless=State(given["unless"]) if given["unless"] else None,
    )
    check_mute(mute, now)
    return mute


def _check_route(rulebook: Rulebook, name: str) -> None:
    if name and rulebook.route(name) is None:
        raise InvalidMute(f"There is no route {name!r}.")


async def _check_known(source: BoardSource, incident: str) -> None:
    if await source.store.incident_state(incident) is None:
        raise InvalidMute(f"Relay knows no incident {incident!r}.")
