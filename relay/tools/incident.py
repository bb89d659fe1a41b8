"""`relay incident`: everything that relay knows about an incident and what it did, as text or JSON."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from relay.cards.draw import PermalinkBuilder, entry_variables, notice_lines, omission_lines
from relay.cards.holds import UNKNOWN_END, HeldPing, Hold, Reason
from relay.cards.model import Attempt, AttemptState, Card, CardState, Due, Entry, ShareOutcome, Task, TaskKind
from relay.cards.notices import NO_PING, POINTER, STAND_IN
from relay.cards.reminders import next_step
from relay.config.settings import Settings
from relay.config.template_files import load_packaged
from relay.http.session import make_session
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Incident
from relay.model.json_types import JSON
from relay.model.reading import placeholder_title, read_episode, read_incident
from relay.model.struct import plain
from relay.model.tag_labels import NO_TAG_LABELS, TagLabels
from relay.rendering.context import template_variables
from relay.rendering.library import TemplateLibrary
from relay.rendering.reply import render_reply
from relay.rendering.request import RenderRequest
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway
from relay.slack.outcomes import Read
from relay.slack.responses import identity_of
from relay.store.types import IncidentHistory, RecordedDeadLetter, ShareSummary, SlackCall
from relay.tools.message_text import ChannelNames, channel_label, format_time, message_text

_OUTCOMES = {
    ShareOutcome.FIRST: "first share of the incident",
    ShareOutcome.UPDATE: "update",
    ShareOutcome.NOTHING_NEW: "nothing new",
    ShareOutcome.REPEAT: "repeat",
    ShareOutcome.ENDED_LONG_AGO: "the incident ended too long ago to be posted",
    ShareOutcome.DROPPED: "dropped by the route",
    ShareOutcome.NO_ROUTE: "no route has a channel for it, and it has no card",
}
CARD_STATES = {
    CardState.PENDING: "waiting to be posted",
    CardState.POSTING: "being posted",
    CardState.POSTED: "posted",
    CardState.IN_DOUBT: "in doubt: Slack's answer was lost, so it may or may not have been posted",
    CardState.REJECTED: "rejected by Slack",
    CardState.CANCELLED: "never posted: the incident ended, or no route matched any more, before the post was due",
    CardState.SUPERSEDED: "replaced: relay updates another card of this incident",
}
_NOTICES = {
    POINTER: "only points to another card of the incident",
    NO_PING: "pings nobody when it is posted",
    STAND_IN: "on the fallback channel until its own channel works",
}
"""Notices that the card itself does not show."""

_TASKS = {TaskKind.REPLY: "copy a reply as a comment", TaskKind.CHECK: "check the incident's state"}
"""Tasks that their kind does not explain."""

_TASK_REASONS = {"taken": "somebody else has the incident"}
"""Reasons for the end of a task that do not read as words."""

_CHECK_CAUSES = {
    "after": "after {}",
    "taken": "somebody else has it",
    "silent": "no share came for `stale_after`",
    "reminder": "before a reminder",
}
"""First word of why a check was made -> how it reads."""

_PING_REASONS = {
    EntryKind.REMINDER: "nobody had the incident",
    EntryKind.REOPENED: "the incident was reopened",
    EntryKind.ASSIGNMENT: "they had the incident",
}
"""Kind of the entry that pings -> why; any other is a rise."""

_MAX_RENDERED = 50
"""The newest entries for which JSON contains the text."""

_POST = "chat.postMessage"

_SLACK_TIMEOUT = 5.0
"""Seconds to wait for Slack. Links are useful, but not required."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEvent:
    """One event of the incident's history; `details` are the lines below it."""

    at: float
    text: str
    details: tuple[str, ...] = ()


def as_json(history: IncidentHistory, link: PermalinkBuilder) -> dict[str, JSON]:
    """Convert the history for `GET /incidents/{id}`.

    `links` has the cards' addresses by card number, `words` the text (lines) of the newest entries by `seq`, rendered
    with relay's own templates. `omitted` counts what is left out: parts of the incident that are beyond relay's bounds,
    and older shares, entries, cards, attempts, calls and tasks.
    """
    document: dict[str, JSON] = orjson.loads(orjson.dumps(history, default=plain, option=orjson.OPT_NON_STR_KEYS))
    document["bigpanda_tasks"] = document.pop("tasks")
    if "tasks" in history.omitted:
        document["omitted"]["bigpanda_tasks"] = document["omitted"].pop("tasks")
    incident = read_incident(history.state.record)
    variables = template_variables(incident)
    left_out = {"alerts": sum(incident.omitted_alerts.values()), **incident.omitted}
    return document | {
        "omitted": {name: number for name, number in left_out.items() if number} | document["omitted"],
        "links": {str(card.id): url for card in history.cards if (url := _card_link(card, link))},
        "words": {str(entry.seq): entry_lines(entry, variables) for entry in history.entries[-_MAX_RENDERED:]},
    }


def describe(
    history: IncidentHistory,
    link: PermalinkBuilder,
    names: ChannelNames | None = None,
    labels: TagLabels = NO_TAG_LABELS,
) -> Iterator[str]:
    """Describe as text: the incident, its cards, all events by time. `labels` are the tag labels of the live routes."""
    incident = read_episode(history.state.record, history.state.episode, labels)
    yield from _incident(incident, history.state.episode)
    for card in history.cards:
        yield ""
        yield from _card(card, link, names or {})
    yield ""
    yield "History"
    if history.omitted:
        older = ", ".join(f"{number:,} {name}" for name, number in history.omitted.items())
        yield f"  older ones are not listed: {older}"
    for event in events(history, link, names or {}, labels):
        yield f"  {format_time(event.at)}  {event.text}"
        yield from (f"      {line}" for line in event.details)


def events(
    history: IncidentHistory, link: PermalinkBuilder, names: ChannelNames, labels: TagLabels = NO_TAG_LABELS
) -> list[HistoryEvent]:
    """List what happened, by time."""
    incident = read_episode(history.state.record, history.state.episode, labels)
    return sorted(_history(history, incident, link, names), key=lambda event: event.at)


def entry_lines(entry: Entry, variables: Mapping[str, Any]) -> list[str]:
    """Render the entry's text, line by line, with relay's own templates and the variables of its incident."""
    request = RenderRequest(variables=variables)
    reply = render_reply(_packaged_library(), "incident", request, [entry_variables(entry, entry.at)])
    return message_text(reply.message, {}).splitlines()


async def workspace_url(settings: Settings) -> str:
    """Ask Slack for the workspace's address; empty without a token, or if Slack does not answer."""
    if settings.slack_bot_token is None:
        return ""
    token, url = settings.required_bot_token, settings.slack_api_url
    async with make_session() as session:
        client = SlackGateway(session, token, Clock(), base_url=url, timeout=_SLACK_TIMEOUT)
        answer = await client.auth_test()
    return identity_of(answer).url if isinstance(answer, Read) else ""


@cache
def _packaged_library() -> TemplateLibrary:
    """Relay's own templates: they cover every entry, whatever the operator's templates show."""
    return TemplateLibrary({}, packaged=load_packaged())


def _incident(incident: Incident, episode: int) -> Iterator[str]:
    has_title = incident.title not in {"", placeholder_title(incident.id)}
    yield f"incident {incident.id}" + (f": {incident.title}" if has_title else "")
    since = incident.started if incident.ended is None else incident.ended
    parts = [
        f"{incident.state}" + (f" since {format_time(since)}" if since is not None else ""),
        "flapping" if incident.flapping else "",
        "snoozed" if incident.snooze.snoozed else "",
        incident.counts,
        f"episode {episode}" if episode > 1 else "",
    ]
    yield "  " + ", ".join(part for part in parts if part)
    yield from _fields(
        {
            "environments": ", ".join(each.name or each.id for each in incident.environments),
            "assigned to": incident.assignee.display_name if incident.assignee else "",
            "tags": "; ".join(f"{tag.name}: {tag.value}" for tag in incident.tags),
            "in BigPanda": incident.links.get("landing_page", ""),
            "note": "".join(omission_lines(incident)),
        }
    )


def _card(card: Card, link: PermalinkBuilder, names: ChannelNames) -> Iterator[str]:
    reason = f" ({card.reason})" if card.reason else ""
    yield f"card in {channel_label(card.channel, names)}: {CARD_STATES[card.state]}{reason}"
    notices = [*notice_lines(card, moment=format_time), *(_NOTICES[each] for each in card.notices if each in _NOTICES)]
    yield from _fields(
        {
            "route": card.route or "none matched, so it goes to the fallback channel",
            "template": card.options.template,
            "episode": str(card.episode) if card.episode > 1 else "",
            "pinged by its first post": ", ".join(card.pinged) if card.ts else "",
            "notices": "; ".join(notices),
            "held": held_until(card.held) if card.held else "",
            "pings held": "; ".join(f"{each.target} {held_since(each)}" for each in card.held_pings),
            "reminders": next_reminder(card),
            "post due": _due(card.post),
            "edit due": _due(card.edit),
            "message": _card_link(card, link) or (f"{card.ts} in {card.slack_channel}" if card.ts else ""),
        }
    )


def next_reminder(card: Card) -> str:
    """The next reminder of the series, and when it is due; empty if none is."""
    step = next_step(card)
    if card.reminder_due is None or step is None:
        return ""
    what = "escalation to another channel" if step.is_then else f"{step.number} of {step.of}"
    at = "when nothing holds it any more" if card.reminder_due >= UNKNOWN_END else format_time(card.reminder_due)
    asked = "; relay asks BigPanda who has the incident" if card.reminder_asked_at is not None else ""
    return f"{what}, due {at}{asked}"


def held_until(hold: Hold, moment: Callable[[float], str] = format_time) -> str:
    """What holds something, and until when; `moment` writes Unix seconds."""
    if hold.reason is Reason.STORM:
        until = "until it changes or ends" if hold.until is None else "until the channel takes new cards again"
        return f"{_words(hold.reason)}, {until}"
    until = "for an unknown time" if hold.until is None else f"until {moment(hold.until)}"
    return f"{_words(hold.reason)}, {until}"


def held_since(held: HeldPing, moment: Callable[[float], str] = format_time) -> str:
    """Since when a ping is held, by what, and until when; `moment` writes Unix seconds."""
    caught_up = ", and pinged by a catch-up" if held.caught_up else ""
    return f"since {moment(held.since)} ({held_until(held.hold, moment)}{caught_up})"


def _fields(values: Mapping[str, str]) -> Iterator[str]:
    return (f"  {name}: {value}" for name, value in values.items() if value)


def _due(due: Due | None) -> str:
    if due is None:
        return ""
    latest = "when no other edit waits" if due.is_reply_edit else f"at the latest {format_time(due.deadline)}"
    return f"from {format_time(due.at)}, {latest}"


def _card_link(card: Card, link: PermalinkBuilder) -> str:
    return link(card.slack_channel, card.ts) if card.slack_channel and card.ts else ""


def _history(
    history: IncidentHistory, incident: Incident, link: PermalinkBuilder, names: ChannelNames
) -> Iterator[HistoryEvent]:
    variables = template_variables(incident)
    channels = {card.id: channel_label(card.channel, names) for card in history.cards}
    entries = list(history.entries)
    for share in history.shares:
        reported = [entry for entry in entries if f":{share.hash}:" in entry.key]  # as relay.cards.diff makes keys
        entries = [entry for entry in entries if entry not in reported]
        yield _share(share, [line for entry in reported for line in _entry(entry, variables)], names)
    for entry in entries:  # of shares that were deleted
        first, *more = _entry(entry, variables)
        yield HistoryEvent(at=entry.at, text=first, details=tuple(more))
    yield from (_task(task) for task in history.tasks)
    for letter in history.dead_letters:
        yield from _dead_letter(letter, channels.get(letter.card, ""))
    for number, attempts in history.attempts.items():
        yield from _attempts(attempts, channels.get(number, ""))
    for number, calls in history.calls.items():
        attempts = history.attempts.get(number, ())
        yield from (_call(call, _posted(call, attempts), channels.get(number, ""), link) for call in calls)


def _entry(entry: Entry, variables: Mapping[str, Any]) -> list[str]:
    first, *more = entry_lines(entry, variables) or [str(entry.kind)]
    label = f"entry {entry.seq}: "
    return [label + first, *(" " * len(label) + line for line in more)]


def _share(share: ShareSummary, entries: Sequence[str], names: ChannelNames) -> HistoryEvent:
    state = f" ({share.decision['state']})" if share.decision.get("state") else ""
    matched = f"; matched by {', '.join(share.routes)}" if share.routes else ""
    outcome = (
        _OUTCOMES[share.outcome]
        if share.outcome
        else f"not planned: {share.error}"
        if share.error
        else "not planned yet"
    )
    times = f", received {share.times_seen} times" if share.times_seen > 1 else ""
    return HistoryEvent(
        at=share.received,
        text=f"share {share.id}{times}: {outcome}{state}{matched}",
        details=(*entries, *_decision(share.decision, names)),
    )


def _decision(decision: Mapping[str, JSON], names: ChannelNames) -> Iterator[str]:
    """What was decided when the share arrived. The edit of a card that is posted already is not mentioned."""
    if dropped := decision.get("dropped"):
        yield f"dropped by {', '.join(dropped)}"
    yield from (f"{each['detail']}: route {each['route']}" for each in decision.get("unnamed") or ())
    for card in (decision.get("shadow") or {}).get("cards", ()):
        channel = channel_label(str(card["channel"]), names)
        yield f"in shadow, so not sent: {' and '.join(card['routes'])} would have a card in {channel}"
    for card in decision.get("cards") or ():
        channel = channel_label(str(card.get("channel", "")), names)
        if card.get("new"):
            by = f"by route {card['route']}" if card.get("route") else "as the fallback, since no route matched"
            yield f"new card in {channel} {by}"
        elif (state := CardState(card.get("state"))) is not CardState.POSTED:
            yield f"card in {channel}: {CARD_STATES[state]}"


def _task(task: Task) -> HistoryEvent:
    user = task.payload.get("name") or task.payload.get("user")
    cause = task.payload.get("integration") or _cause(str(task.payload.get("why", "")))
    by = f" by {user}" if user else f" ({cause})" if cause else ""
    reason = f" ({_TASK_REASONS.get(task.reason, _words(task.reason))})" if task.reason else ""
    due = f"; due {format_time(task.due_at)}" if task.due_at is not None else ""
    text = f"{_TASKS.get(task.kind, task.kind)}{by}{_tries(task.tries)}: {_words(task.state)}{reason}{due}"
    return HistoryEvent(at=task.created, text=f"BigPanda task: {text}")


def _cause(why: str) -> str:
    """Why the state is checked: `after KIND:...` or `taken KIND:...`, or another word first."""
    word, _, rest = why.partition(" ")
    return _CHECK_CAUSES.get(word, word).format(_words(rest.partition(":")[0]))


def _dead_letter(letter: RecordedDeadLetter, channel: str) -> Iterator[HistoryEvent]:
    name = f"dead letter {letter.id} for {'a reply' if letter.unreported else 'the card'} in {channel}"
    yield HistoryEvent(at=letter.since, text=f"{name}: {letter.reason}", details=tuple(filter(None, [letter.remedy])))
    if letter.closed_at is not None:
        text = f"{name} discarded: {letter.discard_reason}" if letter.discard_reason else f"{name} closed"
        yield HistoryEvent(at=letter.closed_at, text=text)


def _attempts(attempts: Iterable[Attempt], channel: str) -> Iterator[HistoryEvent]:
    for attempt in attempts:
        if attempt.reads_thread:
            continue  # it posts nothing
        if attempt.state is AttemptState.DONE and attempt.tries <= 1 and not attempt.targets:
            continue  # it succeeded at once and pinged nobody: then the line with Slack's answer is enough
        pings = f", pinging {', '.join(attempt.targets)}" if attempt.targets else ""
        if attempt.targets and attempt.kind != "root":
            pings += f" because {' and '.join(_ping_reasons(attempt))}"
        state = f"{_tries(attempt.tries)}: {_words(attempt.state)}"
        text = f"attempt to post {_message(attempt)} in {channel}{pings}{state}"
        yield HistoryEvent(at=attempt.started_at, text=text)


def _ping_reasons(attempt: Attempt) -> Iterator[str]:
    for kind in attempt.data.get("pings_for") or [EntryKind.STATUS]:
        yield _PING_REASONS.get(kind, f"it rose to {attempt.data.get('worst')}")


def _message(attempt: Attempt) -> str:
    return "the card" if attempt.kind == "root" else f"a reply up to entry {attempt.upto_seq}"


def _tries(number: int) -> str:
    return f", {number} tries" if number > 1 else ""


def _words(name: str) -> str:
    return name.replace("_", " ")


def _posted(call: SlackCall, attempts: Sequence[Attempt]) -> str:
    """What the call posted. A card has one open attempt at a time, so it is the newest attempt before the call."""
    earlier = [attempt for attempt in attempts if attempt.started_at <= call.at]
    if call.method != _POST or not earlier:
        return ""
    return f"{_message(max(earlier, key=lambda attempt: attempt.started_at))}, "


def _call(call: SlackCall, posted: str, channel: str, link: PermalinkBuilder) -> HistoryEvent:
    answer = call.answer
    code = answer.get("code") or answer.get("reason")
    reason = f", {code}" if code and code != "ok" else ""
    ts = str(answer.get("ts") or "") if call.method == _POST else ""
    where = f" ({link(str(answer.get('channel') or ''), ts) or ts})" if ts else ""
    details = tuple(str(answer[name]) for name in ("remedy", "detail", "missing_scopes") if answer.get(name))
    text = f"Slack answered {call.method} ({posted}{channel}): {answer.get('answer', '')}{reason}{where}"
    return HistoryEvent(at=call.at, text=text, details=details)
