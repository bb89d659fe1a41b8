"""The card and the thread that stand in where a template fails as a whole: plain, complete, and without Jinja.

They print what a template would: text with relay's marks in it (`engine.marks`), so that all that keeps a
template's message in shape keeps these in shape, too.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from relay.rendering.blocks.characters import balanced
from relay.rendering.blocks.marks import NodeKind, part
from relay.rendering.engine.filters import color, duration, emoji, link, more, oneline, shorten, slack_time

Values = Mapping[str, Any]

_LINES: Final = 5
_COMMENT: Final = 1_500
_LINE: Final = 150
_FENCE: Final = "```"
"""A block of code in a quote would show the quote's marks in its lines."""


def card(variables: Values) -> str:
    """The whole card, open or resolved."""
    incident = variables.get("incident", {})
    title, state = _line(incident.get("title") or incident.get("id")), str(incident.get("state", ""))
    active = bool(incident.get("active"))
    counts = incident.get("counts", "") if active else ""
    status = [_status(variables, state), _since(incident)] if active else [_over(variables, state)]
    body = [
        part(NodeKind.ARGUMENT, color(state)),
        part(NodeKind.SECTION, "\n".join(filter(None, status))),
        part(NodeKind.SECTION, _alerts(incident.get("alerts")) if active else ""),
        part(NodeKind.ACTIONS, _open(variables) + part(NodeKind.RELAY_ACTIONS, "")),
    ]
    return "".join(
        [
            part(NodeKind.SUMMARY, f"{state.capitalize()}: {title}" + (f" ({counts})" if counts else "")),
            part(NodeKind.HEADER, f"{emoji(state)} {title}"),
            part(NodeKind.MENTIONS, ""),
            part(NodeKind.BAR, "".join(body)),
        ]
    )


def entry(values: Values) -> str:
    """One paragraph of a reply."""
    tell = _PARAGRAPHS.get(str(values.get("kind", "")), _other)
    told = tell(values) or _other(values)
    if tell is _comment:
        return told
    first, line_break, rest = told.partition("\n")
    return first + _when(values) + line_break + rest


def _when(values: Values) -> str:
    """When it happened, where that was long before it is told."""
    at = slack_time(values.get("at")) if values.get("late") else ""
    return f" ({at})" if at else ""


def _status(variables: Values, state: str) -> str:
    incident = variables.get("incident", {})
    told = [f"*{state.capitalize()}*", incident.get("counts"), _line(variables.get("environment"))]
    told += ["flapping"] if incident.get("flapping") else []
    if snooze := incident.get("snooze"):
        until = slack_time(snooze.get("until"))
        told.append(f"snoozed until {until}" if until else "snoozed")
    told.append(_before(variables, "again, last time"))
    return " · ".join(filter(None, told))


def _since(incident: Values) -> str:
    since = slack_time(incident.get("started"))
    who = _name(incident.get("assignee"))
    return " · ".join(filter(None, [f"since {since}" if since else "", f"*{who}* has it" if who else ""]))


def _over(variables: Values, state: str) -> str:
    """All that a reader wants of what is over, on one line."""
    incident = variables.get("incident", {})
    started, ended, who = incident.get("started"), incident.get("ended"), _name(incident.get("assignee"))
    lasted = duration(ended - started) if started and ended and ended >= started else ""
    told = [f"*{state.capitalize()}*" + (f" after {lasted}" if lasted else ""), _line(variables.get("environment"))]
    return " · ".join(filter(None, [*told, f"*{who}* had it" if who else "", _before(variables, "the time before")]))


def _before(variables: Values, words: str) -> str:
    """Where the episode before stands."""
    previous = variables.get("previous", {})
    when, thread = slack_time(previous.get("at"), "date"), link(previous.get("link"), "thread")
    return (f"{words} on {when}" + (f" ({thread})" if thread else "")) if when else ""


def _alerts(alerts: Any) -> str:
    worst = getattr(alerts, "worst", ())
    lines = [f"• {_line(alert.get('title'))}" for alert in worst[:_LINES]]
    return "\n".join([*lines, more(worst[_LINES:])])


def _open(variables: Values) -> str:
    page = variables.get("links", {}).get("landing_page", "")
    return part(NodeKind.BUTTON, part(NodeKind.ARGUMENT, page) + "Open in BigPanda") if page else ""


def _change_of_state(values: Values) -> str:
    if text := _line(values.get("text")):
        now = _line(values.get("now")).capitalize()
        return text[:1].upper() + text[1:] + (f", now *{now}*" if now else "")
    return _from_to(_line(values.get("old")).capitalize(), _line(values.get("new")).capitalize())


def _comment(values: Values) -> str:
    actor = _name(values.get("actor"))
    text = balanced(shorten(values.get("text"), _COMMENT, 12))
    head = (f"💬 *{actor}*" if actor else "💬") + _when(values) + (":" if actor else "")
    return head + ("\n" + text if _FENCE in text else part(NodeKind.QUOTE, text))


def _assignment(values: Values) -> str:
    new, old, actor = (_name(values.get(name)) for name in ("new", "old", "actor"))
    if not new:
        return "Nobody has it any more" + (f" (it was {old})" if old else "")
    return f"*{new}* has it" + (f", assigned by {actor}" if actor else "")


def _snooze(values: Values) -> str:
    until = slack_time(values.get("new"))
    if values.get("snoozed", bool(until)):
        return (f"Snoozed until {until}" if until else "Snoozed") + _by(values)
    return "Awake again"


def _by(values: Values) -> str:
    actor = _line(values.get("actor"))
    return f" by *{actor}*" if actor else ""


def _tags(values: Values) -> str:
    lines = [
        f"*{_line(item.get('label'))}* {_from_to(_line(item.get('old')), _line(item.get('new')) or 'removed')}"
        for item in _items(values)
    ]
    return "\n".join(lines)


def _alert_counts(values: Values) -> str:
    words = {"joined": "joined", "returned": "came back", "resolved": "resolved", "left": "left"}
    told = [f"{values[name]} {word}" for name, word in words.items() if values.get(name)]
    total = f" ({values['total']} active now)" if values.get("total") is not None else ""
    return (
        f"Alerts: {', '.join(told)}{total}" if told else "\n".join(_line(item.get("title")) for item in _items(values))
    )


def _changes(values: Values) -> str:
    return "\n".join(f"🔧 {link(item.get('url'), _change(item)) or _change(item)}" for item in _items(values))


def _change(item: Values) -> str:
    return " ".join(filter(None, [_line(item.get("identifier")), _line(item.get("summary"))])) or "A related change"


def _resolved(values: Values) -> str:
    lasted = duration(values.get("lasted"))
    note = balanced(shorten(values.get("text"), _COMMENT, 12))
    told = f"✅ Resolved{_by(values)}" + (f" after {lasted}" if lasted else "")
    return f"{told}:{part(NodeKind.QUOTE, note)}" if note else told


def _reopened(values: Values) -> str:
    return f"{emoji(values.get('new'))} Reopened: *{_line(values.get('new')).capitalize()}*"


def _other(values: Values) -> str:
    text = _line(values.get("text")) or _line(values.get("kind")) or "updated"
    return text[:1].upper() + text[1:]


_PARAGRAPHS: Final[Mapping[str, Callable[[Values], str]]] = {
    "status": _change_of_state,
    "comment": _comment,
    "assignment": _assignment,
    "snooze": _snooze,
    "tags": _tags,
    "alerts": _alert_counts,
    "changes": _changes,
    "resolved": _resolved,
    "reopened": _reopened,
}


def _from_to(old: str, new: str) -> str:
    return f"{old} → *{new}*" if old else f"*{new}*"


def _items(values: Values) -> list[Values]:
    return [item for item in values.get("items") or () if isinstance(item, Mapping)]


def _name(value: Any) -> str:
    """Somebody's name, which stands between stars."""
    return _line(value).replace("*", "")


def _line(value: Any) -> str:
    return balanced(oneline(value, _LINE))
