"""The built-in card and thread texts, which replace a template that fails as a whole: plain, complete, without Jinja.

They print text with relay's marks, as a template does, so that composing and fitting keep them in shape too.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from relay.model.counting import plural
from relay.model.entry_kinds import EntryKind
from relay.rendering.blocks.marks import BOLD, part
from relay.rendering.blocks.tags import NodeKind
from relay.rendering.engine.filters import color, duration, emoji, link, more, oneline, shorten, slack_time

Values = Mapping[str, Any]

_MOST_ALERTS: Final = 5
_MOST_LINES: Final = 15
_COMMENT_LENGTH: Final = 800
_COMMENT_LINES: Final = 12
_LINE_LENGTH: Final = 150
_FENCE: Final = "```"
"""A block of code cannot be in a quote: its lines would show the quote's marks."""


def card(variables: Values) -> str:
    """Print the whole card, open or resolved."""
    incident = variables.get("incident", {})
    title, state = _line(incident.get("headline") or incident.get("id")), str(incident.get("state", ""))
    if incident.get("active"):
        status = _status(variables, state)
        worst = getattr(incident.get("alerts"), "worst", ())
        lines = [f"• {_line(alert.get('title'))}" for alert in worst[:_MOST_ALERTS]]
        alerts = "\n".join([*lines, more(worst[_MOST_ALERTS:])])
    else:
        status, alerts = _resolved_status(variables, state), ""
    links = variables.get("links", {})
    page, place = links.get("landing_page", ""), "BigPanda"
    if not page:
        page, place = links.get("relay", ""), "relay"
    button = part(NodeKind.BUTTON, part(NodeKind.ARGUMENT, page) + f"Open in {place}") if page else ""
    body = [
        part(NodeKind.ARGUMENT, color(state)),
        part(NodeKind.SECTION, status),
        part(NodeKind.SECTION, alerts),
        part(NodeKind.ACTIONS, part(NodeKind.RELAY_ACTIONS, "") + button),
    ]
    message = [
        part(NodeKind.SUMMARY, variables.get("lock_screen") or f"{state.capitalize()}: {title}"),
        part(NodeKind.HEADER, f"{incident.get('signs') or emoji(state)} {title}"),
        part(NodeKind.MENTIONS, ""),
        part(NodeKind.BAR, "".join(body)),
    ]
    return "".join(message)


def entry(values: Values) -> str:
    """Print one paragraph of a reply."""
    kind = str(values.get("kind", ""))
    text = _PARAGRAPHS.get(kind, _other)(values) or _other(values)
    if kind == EntryKind.COMMENT:
        return text
    first, line_break, rest = text.partition("\n")
    return first + _when(values) + line_break + rest


def bulletin_title(kind: str, values: Values) -> str:
    """What a message about several incidents is, in a few words."""
    if kind == "summary":
        return f"{_line(values.get('title'))}: {values.get('open', {}).get('all') or 'nothing'} open"
    counts = values.get("counts", {})
    number = counts.get("all", 0) if values.get("closed") and kind == "held" else counts.get("open", 0)
    incidents = f"{number} incident{plural(number)}" if number else "No incident"
    if kind == "storm":
        every = values.get("incidents") or counts.get("all", 0)
        return f"{'Storm over' if values.get('closed') else 'Storm'}: {every} incident{plural(every)}"
    if kind == "held":
        return f"No longer held: {incidents}" if values.get("closed") else f"{incidents} held"
    if kind == "reminders":
        return f"{incidents} that nobody has"
    return f"{incidents} still open"


def bulletin(kind: str, values: Values) -> str:
    """Print a message about several incidents: what it is, until when, and its lines."""
    until, is_list = slack_time(values.get("until") or values.get("moment")), kind in {"held", "storm"}
    head = _bold(bulletin_title(kind, values)) + (
        f" until {until}" if is_list and until and not values["closed"] else ""
    )
    every = values.get("lines", ())
    lines = "\n".join(filter(None, [*map(line, every[:_MOST_LINES]), more(every[_MOST_LINES:])]))
    where = "Each is named in the thread." if is_list else f"Pings were held until {until}." if until else ""
    if kind == "summary":
        lines, where = _summary_lines(values), "Posted late." if values.get("late") else ""
    buttons = part(NodeKind.ACTIONS, part(NodeKind.RELAY_ACTIONS, "")) if kind == "storm" else ""
    body = part(NodeKind.SECTION, f"{head}\n{lines}") + buttons + part(NodeKind.CONTEXT, where)
    return part(NodeKind.MENTIONS, "") + body


def ping(values: Values) -> str:
    """Print what calls people in the thread of a storm card."""
    number = values.get("open", 0)
    return f"{number} incident{plural(number)} without a card. This thread names each."


def batch(values: Values) -> str:
    """Print how far somebody is who takes many incidents at once."""
    how_far = values.get("batch") or {}
    done, total, failed = (how_far.get(name, 0) for name in ("done", "total", "failed"))
    counts = f"{done} of {total} incidents" + (f", {failed} failed" if failed else "")
    return f"{_line(how_far.get('name'))} {'takes' if how_far.get('left') else 'took'} {counts}"


def _summary_lines(values: Values) -> str:
    """The open incidents that a summary names, how many it leaves out, and the rest of it in numbers."""
    every, resolved, letters = values.get("lines", ()), values.get("resolved", {}).get("all"), values.get("letters")
    left_out = len(every[_MOST_LINES:]) + int(values.get("left_out", {}).get("all") or 0)
    rest = [
        f"and {left_out} more" if left_out else "",
        f"{resolved} resolved since {slack_time(values.get('since'))}" if resolved else "",
        f"{letters} rejected by Slack: relay letters" if letters else "",
    ]
    return "\n".join(filter(None, [*map(line, every[:_MOST_LINES]), *rest]))


def line(values: Values) -> str:
    """Print one incident of a list."""
    title = _line(values.get("title"))
    address = values.get("card") or values.get("url")
    words = [link(address, title) if address else title]
    if ended := values.get("ended"):
        words.append(_line(ended))
    else:
        words += [_line(values.get("owner")), slack_time(values.get("since"))]
    sign = "✅" if ended == "resolved" else emoji(values.get("state"))
    return f"{sign} {' · '.join(filter(None, words))}"


def _when(values: Values) -> str:
    """When it happened, if relay reports it late."""
    return _in_brackets(slack_time(values.get("at"))) if values.get("late") else ""


def _status(variables: Values, state: str) -> str:
    """Two lines on an open incident: what it is, and since when it is whose."""
    incident = variables.get("incident", {})
    words = [f"{_bold(state.capitalize())}", incident.get("counts"), _line(variables.get("environment"))]
    words += ["flapping"] if incident.get("flapping") else []
    if snooze := incident.get("snooze"):
        until = slack_time(snooze.get("until"))
        words.append(f"snoozed until {until}" if until else "snoozed")
    words.append(_previous(variables, "again, last time"))
    since, assignee = slack_time(incident.get("started")), _line(incident.get("assignee"))
    owner = [f"since {since}" if since else "", f"assigned to {_bold(assignee)}" if assignee else ""]
    lines = (" · ".join(filter(None, line)) for line in (words, owner))
    return "\n".join(filter(None, lines))


def _resolved_status(variables: Values, state: str) -> str:
    incident = variables.get("incident", {})
    started, ended, assignee = incident.get("started"), incident.get("ended"), _line(incident.get("assignee"))
    lasted = duration(ended - started) if started and ended and ended >= started else ""
    words = [
        f"{_bold(state.capitalize())}" + (f" after {lasted}" if lasted else ""),
        _line(variables.get("environment")),
        f"{_bold(assignee)} had it" if assignee else "",
        _previous(variables, "last time"),
    ]
    return " · ".join(filter(None, words))


def _previous(variables: Values, words: str) -> str:
    previous = variables.get("previous", {})
    when, thread = slack_time(previous.get("at"), "date"), link(previous.get("link"), "thread")
    return f"{words} on {when}{_in_brackets(thread)}" if when else ""


def _state_change(values: Values) -> str:
    old, new, became = (_line(values.get(name)).capitalize() for name in ("old", "new", "became"))
    if became:
        return f"{emoji(became)} {old} → {new}, {became.lower()} after {duration(values.get('over'))}"
    if text := _sentence(values.get("text")):
        now = _line(values.get("now")).capitalize()
        return text + (f", now {_bold(now)}" if now else "")
    return _from_to(old, new)


def _reopened(values: Values) -> str:
    if values.get("became"):
        return f"✅ Reopened, resolved again after {duration(values.get('over'))}"
    new = values.get("new")
    return f"{emoji(new)} Reopened: {_bold(_line(new).capitalize())}"


def _comment(values: Values) -> str:
    actor, text = _line(values.get("actor")), _long_text(values)
    head = (f"💬 {_bold(actor)}" if actor else "💬") + _when(values) + (":" if actor else "")
    return head + ("\n" + _with_code(text) if _FENCE in text else part(NodeKind.QUOTE, text))


def _with_code(text: str) -> str:
    """A comment whose blocks of code are drawn as such; a fence that nothing closes is text."""
    pieces = text.split(_FENCE)
    unclosed = [_FENCE + pieces.pop()] if len(pieces) % 2 == 0 else []
    drawn = (part(NodeKind.PRE, piece) if index % 2 else piece.strip("\n") for index, piece in enumerate(pieces))
    return "".join([*drawn, *unclosed])


def _assignment(values: Values) -> str:
    new, old, actor = (_line(values.get(name)) for name in ("new", "old", "actor"))
    if not new:
        return "Unassigned" + _in_brackets(f"was {old}" if old else "") + (f" by {actor}" if actor else "")
    if values.get("taken_over"):
        return f"{_bold(new)} took over from {old}"
    return f"Assigned to {_bold(new)}" + (f" by {actor}" if actor else "")


def _snooze(values: Values) -> str:
    until = slack_time(values.get("new"))
    if values.get("snoozed", bool(until)):
        return (f"Snoozed until {until}" if until else "Snoozed") + _by(values)
    return "Snooze ended" + _by(values)


def _by(values: Values) -> str:
    actor = _line(values.get("actor"))
    return f" by {_bold(actor)}" if actor else ""


def _tags(values: Values) -> str:
    lines = [
        f"{_bold(_line(item.get('label')))} {_from_to(_line(item.get('old')), _line(item.get('new')) or 'removed')}"
        for item in _items(values)
    ]
    return "\n".join([*lines, *_others(values, "tag")])


def _others(values: Values, noun: str) -> list[str]:
    """One line that counts the items that the entry does not name, if there are any."""
    number = values.get("more")
    return [f"and {number} more {noun}{plural(number)}"] if number else []


def _alert_counts(values: Values) -> str:
    words = {"joined": "joined", "returned": "came back", "resolved": "resolved", "left": "left"}
    counts = [f"{values[name]} {word}" for name, word in words.items() if values.get(name)]
    if not counts:
        return "\n".join(_line(item.get("title")) for item in _items(values))
    total = f" ({values['total']} now)" if values.get("total") is not None else ""
    return f"Alerts: {', '.join(counts)}{total}"


def _changes(values: Values) -> str:
    lines = []
    for item in _items(values):
        words = " ".join(filter(None, [_line(item.get("identifier")), _line(item.get("summary"))])) or "unnamed change"
        lines.append(f"🔧 {link(item.get('url'), words) or words}")
    return "\n".join([*lines, *_others(values, "change")])


def _resolved(values: Values) -> str:
    lasted, note = duration(values.get("lasted")), _long_text(values)
    head = f"✅ Resolved{_by(values)}" + (f" after {lasted}" if lasted else "")
    return f"{head}:{part(NodeKind.QUOTE, note)}" if note else head


def _reminder(values: Values) -> str:
    waited = duration(values.get("lasted"))
    head = "Still nobody has this" if values.get("escalated") else "Nobody has had this"
    step, last = values.get("number"), values.get("of") or 0
    number = f" · reminder {step} of {last}" if step and last > 1 else ""
    buttons = part(NodeKind.ACTIONS, part(NodeKind.RELAY_ACTIONS, ""))
    return f"🔔 {head}" + (f" for {_bold(waited)}" if waited else "") + number + buttons


def _other(values: Values) -> str:
    return _sentence(values.get("text")) or _sentence(values.get("kind")) or "Updated"


_PARAGRAPHS: Final[Mapping[str, Callable[[Values], str]]] = {
    EntryKind.STATUS: _state_change,
    EntryKind.COMMENT: _comment,
    EntryKind.ASSIGNMENT: _assignment,
    EntryKind.SNOOZE: _snooze,
    EntryKind.TAGS: _tags,
    EntryKind.ALERTS: _alert_counts,
    EntryKind.CHANGES: _changes,
    EntryKind.RESOLVED: _resolved,
    EntryKind.REOPENED: _reopened,
    EntryKind.REMINDER: _reminder,
    EntryKind.OTHER: _other,
}


def _from_to(old: str, new: str) -> str:
    return f"{old} → {_bold(new)}" if old else _bold(new)


def _bold(text: str) -> str:
    return f"{BOLD}{text}{BOLD}"


def _in_brackets(text: str) -> str:
    return f" ({text})" if text else ""


def _items(values: Values) -> list[Values]:
    return [item for item in values.get("items") or () if isinstance(item, Mapping)]


def _sentence(value: Any) -> str:
    line = _line(value)
    return line[:1].upper() + line[1:]


def _line(value: Any) -> str:
    return oneline(value, _LINE_LENGTH)


def _long_text(values: Values) -> str:
    return shorten(values.get("text"), _COMMENT_LENGTH, _COMMENT_LINES)
