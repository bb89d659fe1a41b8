"""`relay incident`: all that relay knows of an incident, and what it did: in words, or as JSON."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import orjson

from relay.cards.draw import PermalinkBuilder, entry_variables, notice_lines
from relay.cards.model import Attempt, AttemptState, Card, CardState, Due, Entry, ShareOutcome, Task, TaskKind
from relay.cards.notices import NO_PING, POINTER, STAND_IN
from relay.config.template_files import load_packaged
from relay.model.incident import Incident
from relay.model.json_types import JSON
from relay.model.reading import placeholder_title, read_episode, read_incident
from relay.model.tag_labels import NO_TAG_LABELS, TagLabels
from relay.rendering.context import template_variables
from relay.rendering.library import TemplateLibrary
from relay.rendering.reply import render_reply
from relay.rendering.request import RenderRequest
from relay.store import IncidentHistory, ShareSummary, SlackCall
from relay.tools.as_read import message_text
from relay.tools.times import format_time

_OUTCOMES = {
    ShareOutcome.FIRST: "the incident's first",
    ShareOutcome.UPDATE: "it changed something",
    ShareOutcome.NOTHING_NEW: "it told nothing new",
    ShareOutcome.REPEAT: "a repeat",
    ShareOutcome.ENDED_LONG_AGO: "it had ended too long ago to be posted",
    ShareOutcome.DROPPED: "taken, and dropped by the route",
    ShareOutcome.NO_ROUTE: "no route has a channel for it, and it has no card",
}
_CARDS = {
    CardState.PENDING: "to be posted",
    CardState.POSTING: "being posted",
    CardState.POSTED: "shown",
    CardState.IN_DOUBT: "in doubt: nobody knows whether Slack has it",
    CardState.REJECTED: "refused by Slack",
    CardState.CANCELLED: "never posted: it was over, or not taken there any more, before it could be",
    CardState.SUPERSEDED: "followed no more",
}
_NOTED = {
    POINTER: "a pointer only, since the incident is followed elsewhere",
    NO_PING: "pings nobody when it is posted",
    STAND_IN: "the fallback's, until the one that it stands in for is shown",
}
"""What a card's face does not say."""

_WORDED = 50
"""Of so many entries, the newest, JSON says the words, too: they are drawn where relay works."""
_POST = "chat.postMessage"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent:
    """One line of the incident's history; `more` stands below it."""

    at: float
    text: str
    more: tuple[str, ...] = ()


def as_json(dossier: IncidentHistory, link: PermalinkBuilder) -> dict[str, JSON]:
    """The dossier as `GET /incidents/{id}` gives it.

    `links` are the addresses of the cards under their numbers, `words` what the newest entries say in relay's own words
    (lines), under their `seq`.
    """
    told: dict[str, JSON] = orjson.loads(orjson.dumps(dossier, option=orjson.OPT_NON_STR_KEYS))
    told["bigpanda_tasks"] = told.pop("tasks")
    incident = read_incident(dossier.state.record)
    return told | {
        "links": {str(card.id): found for card in dossier.cards if (found := _link(card, link))},
        "words": {str(entry.seq): entry_lines(entry, incident) for entry in dossier.entries[-_WORDED:]},
    }


def describe(
    dossier: IncidentHistory,
    link: PermalinkBuilder,
    names: Callable[[str], str] = str,
    words: TagLabels = NO_TAG_LABELS,
) -> Iterator[str]:
    """The same for people: what is known, where its cards are, and then all that happened, in the order of time.

    `names` calls a channel by its reference, `words` are those of the live routes.
    """
    incident = read_episode(dossier.state.record, dossier.state.episode, words)
    yield from _known(incident, dossier.state.episode)
    for card in dossier.cards:
        yield ""
        yield from _card(card, link, names)
    yield ""
    yield "What happened"
    for happening in sorted(_history(dossier, incident, link, names), key=lambda each: each.at):
        yield f"  {format_time(happening.at)}  {happening.text}"
        yield from (f"      {line}" for line in happening.more)


@cache
def _library() -> TemplateLibrary:
    """Relay's own templates: they are complete, and say the same whatever the operator's say."""
    return TemplateLibrary({}, packaged=load_packaged())


def entry_lines(entry: Entry, incident: Incident) -> list[str]:
    """What the entry says, line by line, as a thread tells it at once."""
    scene = RenderRequest(variables=template_variables(incident))
    reply = render_reply(_library(), "incident", scene, [entry_variables(entry, entry.at)])
    return message_text(reply.message, {}).splitlines()


def _known(incident: Incident, episode: int) -> Iterator[str]:
    yield f"incident {incident.id}" + (
        f": {incident.title}" if incident.title != placeholder_title(incident.id) else ""
    )
    state = f"{incident.state}"
    if incident.ended is not None:
        state += f" since {format_time(incident.ended)}"
    elif incident.started is not None:
        state += f" since {format_time(incident.started)}"
    flags = [word for word, holds in (("flapping", incident.flapping), ("snoozed", incident.snooze.snoozed)) if holds]
    parts = [state, *flags, incident.counts, f"episode {episode}" if episode > 1 else ""]
    yield "  " + ", ".join(part for part in parts if part)
    for word, told in (
        ("environments", ", ".join(each.name or each.id for each in incident.environments)),
        ("assigned to", incident.assignee.display_name if incident.assignee else ""),
        ("tags", "; ".join(f"{tag.name}: {tag.value}" for tag in incident.tags)),
        ("in BigPanda", incident.links.get("landing_page", "")),
    ):
        if told:
            yield f"  {word}: {told}"


def _card(card: Card, link: PermalinkBuilder, names: Callable[[str], str]) -> Iterator[str]:
    why = f" ({card.reason})" if card.reason else ""
    yield f"card in {names(card.channel)}: {_CARDS[card.state]}{why}"
    for word, told in (
        ("route", card.route or "none took it, so it is the fallback's"),
        ("template", card.options.template),
        ("episode", str(card.episode) if card.episode > 1 else ""),
        ("pinged at its first post", ", ".join(card.pinged) if card.ts else ""),
        (
            "noted on it",
            "; ".join([*notice_lines(card, format_time), *(_NOTED[each] for each in card.notices if each in _NOTED)]),
        ),
        ("a post is due", _due(card.post)),
        ("an edit is due", _due(card.edit)),
        ("message", _link(card, link) or (f"{card.ts} in {card.slack_channel}" if card.ts else "")),
    ):
        if told:
            yield f"  {word}: {told}"


def _due(due: Due | None) -> str:
    return f"from {format_time(due.at)}, by {format_time(due.deadline)}" if due else ""


def _link(card: Card, link: PermalinkBuilder) -> str:
    return link(card.slack_channel, card.ts) if card.slack_channel and card.ts else ""


def _history(
    dossier: IncidentHistory, incident: Incident, link: PermalinkBuilder, names: Callable[[str], str]
) -> Iterator[HistoryEvent]:
    cards = {card.id: names(card.channel) for card in dossier.cards}
    entries = list(dossier.entries)
    for share in dossier.shares:
        told = [entry for entry in entries if _is_of(entry, share)]
        entries = [entry for entry in entries if entry not in told]
        yield _share(share, [line for entry in told for line in _entry(entry, incident)], names)
    for entry in entries:  # of shares that are kept no more
        first, *more = _entry(entry, incident)
        yield HistoryEvent(at=entry.at, text=first, more=tuple(more))
    yield from (_errand(errand) for errand in dossier.tasks)
    for number, attempts in dossier.attempts.items():
        yield from (_attempt(attempt, cards.get(number, "")) for attempt in attempts if not _is_plain(attempt))
    for number, calls in dossier.calls.items():
        attempts = dossier.attempts.get(number, ())
        yield from (_call(call, _posted(call, attempts), cards.get(number, ""), link) for call in calls)


def _is_of(entry: Entry, share: ShareSummary) -> bool:
    """Whether the share told it: its key says so (`relay.cards.diff`)."""
    return f":{share.hash}:" in entry.key


def _entry(entry: Entry, incident: Incident) -> list[str]:
    first, *more = entry_lines(entry, incident) or [str(entry.kind)]
    label = f"entry {entry.seq}: "
    return [label + first, *(" " * len(label) + line for line in more)]


def _share(share: ShareSummary, told: Sequence[str], names: Callable[[str], str]) -> HistoryEvent:
    state = str(share.decision.get("state") or "")
    taken = f"; taken by {', '.join(share.routes)}" if share.routes else ""
    again = f", seen {share.times_seen} times" if share.times_seen > 1 else ""
    return HistoryEvent(
        at=share.received,
        text=f"share {share.id}{again}: {_OUTCOMES[share.outcome]}{f' ({state})' if state else ''}{taken}",
        more=(*told, *_decided(share.decision, names)),
    )


def _decided(decided: Mapping[str, JSON], names: Callable[[str], str]) -> Iterator[str]:
    """Where it was to go, and why, as it was written down when the share came.

    That a card which is shown is to be edited goes without saying.
    """
    if dropped := decided.get("dropped"):
        yield f"dropped by {', '.join(dropped)}"
    yield from (f"{each['detail']}: route {each['route']}" for each in decided.get("unnamed") or ())
    for card in decided.get("cards") or ():
        where = names(str(card.get("channel", "")))
        if card.get("new"):
            yield f"new card in {where} " + (
                f"by route {card['route']}" if card.get("route") else "by the fallback, since no route took it"
            )
        elif (state := CardState(card.get("state"))) is not CardState.POSTED:
            yield f"card in {where}: {_CARDS[state]}"


_ERRANDS = {
    TaskKind.CALLBACK: "BigPanda is told that the card exists",
    TaskKind.ASSIGN: "assign",
    TaskKind.COMMENT: "comment",
    TaskKind.SNOOZE: "snooze",
    TaskKind.RESOLVE: "resolve",
    TaskKind.REPLY: "a reply becomes a comment",
    TaskKind.CHECK: "BigPanda is asked how it stands",
}


def _errand(errand: Task) -> HistoryEvent:
    """What BigPanda was told or asked, for whom, and what came of it."""
    payload = errand.payload
    who = payload.get("name") or payload.get("user")
    through = payload.get("integration") or payload.get("why")
    about = f" by {who}" if who else f" ({through})" if through else ""
    tries = f", {errand.tries} tries" if errand.tries > 1 else ""
    why = f" ({errand.reason.replace('_', ' ')})" if errand.reason else ""
    due = f"; due {format_time(errand.due_at)}" if errand.due_at is not None else ""
    state = str(errand.state).replace("_", " ")
    return HistoryEvent(at=errand.created, text=f"{_ERRANDS[errand.kind]}{about}{tries}: {state}{why}{due}")


def _is_plain(attempt: Attempt) -> bool:
    """Whether it went well at once and pinged nobody: what Slack answered says all there is to say."""
    return attempt.state is AttemptState.DONE and attempt.tries <= 1 and not attempt.targets


def _attempt(attempt: Attempt, channel: str) -> HistoryEvent:
    what = "the card" if attempt.kind == "root" else f"a reply that tells up to entry {attempt.upto_seq}"
    pinging = f", pinging {', '.join(attempt.targets)}{_why_pinged(attempt)}" if attempt.targets else ""
    tries = f", {attempt.tries} tries" if attempt.tries > 1 else ""
    state = str(attempt.state).replace("_", " ")
    return HistoryEvent(at=attempt.started_at, text=f"attempt at {what} in {channel}{pinging}{tries}: {state}")


def _why_pinged(attempt: Attempt) -> str:
    """A reply pings for two reasons; that the first post does needs none."""
    if attempt.kind == "root":
        return ""
    return (
        " since it is back"
        if attempt.data.get("pings_for_reopening")
        else f" since it rose to {attempt.data.get('worst')}"
    )


def _posted(call: SlackCall, attempts: Sequence[Attempt]) -> str:
    """What was posted: a card has one open attempt at a time, so it is the one that was begun last."""
    begun = [attempt for attempt in attempts if attempt.started_at <= call.at]
    if call.method != _POST or not begun:
        return ""
    last = max(begun, key=lambda attempt: attempt.started_at)
    return "the card, " if last.kind == "root" else f"a reply up to entry {last.upto_seq}, "


def _call(call: SlackCall, posted: str, channel: str, link: PermalinkBuilder) -> HistoryEvent:
    answer = call.answer
    said = str(answer.get("answer", ""))
    reason = answer.get("code") or answer.get("reason")
    why = f", {reason}" if reason and reason != "ok" else ""
    ts = str(answer.get("ts") or "") if call.method == _POST else ""
    where = f" ({link(str(answer.get('channel') or ''), ts) or ts})" if ts else ""
    more = [str(answer[name]) for name in ("remedy", "detail", "needed") if answer.get(name)]
    return HistoryEvent(
        at=call.at, text=f"Slack answered {call.method} ({posted}{channel}): {said}{why}{where}", more=tuple(more)
    )
