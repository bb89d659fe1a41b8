"""The words at the top of a card, and those on the lock screen of a person who is notified."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from relay.model.counting import plural
from relay.model.incident import Incident, shortened
from relay.rendering.wording import EMOJI
from relay.slack import limits

MANY_HOSTS: Final = 4
"""From so many hosts on, the headline says how many there are; the list of alerts names fewer."""

SIGNS: Final[tuple[tuple[str, Callable[[Incident], bool]], ...]] = (
    ("👤", lambda incident: incident.assignee is not None),
    ("💤", lambda incident: incident.snooze.snoozed),
)
"""The signs of an open incident that follow the state's, and when each is shown."""

_LONGEST_HEADLINE: Final = limits.HEADER - 10
"""Characters of a headline without its signs."""

_LOCK_SCREEN_TAGS: Final = 2
_LONGEST_TAG: Final = 24
"""How many tags a lock screen names, and the most characters of each: a phone shows about a hundred in all."""

_LONGEST_PLACE: Final = 60


def signs(incident: Incident, *, muted: bool = False) -> str:
    """Return the sign of the state; while it is open also 👤 when somebody has it, 💤 while snoozed, 🔇 if `muted`."""
    others = (sign for sign, applies in SIGNS if incident.active and applies(incident))
    return " ".join([EMOJI[incident.state], *others, *(["🔇"] if muted and incident.active else [])])


def headline(title: str, hosts: Collection[str]) -> str:
    """Return the title, with the number of hosts if there are many; the number is never cut."""
    if len(hosts) < MANY_HOSTS:
        return title
    words = {word.strip(".,:;()[]") for word in title.casefold().split()}
    is_named = any(host.casefold() in words for host in hosts)
    number = f" and {len(hosts) - 1} more hosts" if is_named else f" · {len(hosts)} hosts"
    return shortened(title, _LONGEST_HEADLINE - len(number)) + number


def lock_screen(variables: Mapping[str, Any]) -> str:
    """Return what a lock screen shows: `P1 Critical · checkout · db-117 · replication lag (3 alerts, Production)`.

    `variables` are those of a template.
    """
    incident = variables["incident"]
    state = str(incident["state"]).capitalize()
    if not incident["active"]:
        return f"{state} · {_title(incident)}"
    priorities, others = _tags(variables)
    details = ", ".join(filter(None, [_size(incident), _one_line(variables["environment"], _LONGEST_PLACE)]))
    line = " · ".join([" ".join([*priorities, state]), *others, _title(incident)])
    return f"{line} ({details})" if details else line


def reply_subject(variables: Mapping[str, Any]) -> str:
    """Return the subject of a reply, for its lock screen: `P1 · checkout · db-117 · replication lag`."""
    priorities, others = _tags(variables)
    return " · ".join([*priorities, *others, _title(variables["incident"])])


def _tags(variables: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The values of the first tags of `show_tags` that fit and that the title does not say: priorities, and others.

    A priority comes first, wherever `show_tags` has it.
    """
    title = _title(variables["incident"])
    values = ((tag, _one_line(tag)) for tag in variables["tags"].named)
    fitting = [(tag, value) for tag, value in values if len(value) <= _LONGEST_TAG and not _contains_word(title, value)]
    chosen = sorted(fitting, key=lambda each: not _is_priority(each[0]))[:_LOCK_SCREEN_TAGS]
    return (
        [value for tag, value in chosen if _is_priority(tag)],
        [value for tag, value in chosen if not _is_priority(tag)],
    )


def _contains_word(title: str, value: str) -> bool:
    """Whether the value is in the title as a word: `P1` is not in `web-p12`."""
    return re.search(rf"(?<!\w){re.escape(value.casefold())}(?!\w)", title.casefold()) is not None


def _is_priority(tag: Any) -> bool:
    return "priority" in tag.name.casefold()


def _size(incident: Mapping[str, Any]) -> str:
    active = incident["alerts"].active
    if not active.total:
        return ""
    alerts, hosts = f"{active.total} alert{plural(active.total)}", len(active.all_hosts)
    return f"{alerts} on {hosts} hosts" if hosts >= MANY_HOSTS else alerts


def _title(incident: Mapping[str, Any]) -> str:
    return " ".join(str(incident.get("title") or incident.get("id") or "").split())


def _one_line(value: Any, length: int = limits.HEADER) -> str:
    return shortened(" ".join(str(value).split()), length)
