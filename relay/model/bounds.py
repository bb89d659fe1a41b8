"""How much of an incident relay keeps: the one place for these limits.

BigPanda's largest incidents are within them. Beyond them, relay keeps what a reader needs first and counts what it
leaves out. The card, `relay incident` and `GET /incidents/{id}` say so. The body of a share is stored whole.

So the work for one share is bounded, whatever a sender puts into it. A record has at most about 20,000 values and a
million characters.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, filterfalse
from typing import Any, Final, TypeVar

from relay.model.incident import State, parse_state
from relay.model.json_types import JSON

MAX_ID_LENGTH: Final = 255
"""Characters of an id and of the name of a tag, a link, a person or an environment."""

LONGEST_TEXT: Final = 20_000
"""Characters of a text: more than a message of Slack can hold, and few enough to read many times."""

LONGEST_VALUE: Final = 3_000
"""Characters of a text of which an incident may have many: as many as one block of a message can hold."""

LONGEST_WORD: Final = 200
"""Characters of a status, a severity or the name of an event."""

LONGEST_COMMENT: Final = 60_000
"""Characters of a comment. One that somebody wrote in Slack is recognised by all of it, and has at most 40,000."""

MAX_VALUES: Final = 50
"""Values of one tag."""

MAX_ALERT_TAGS: Final = 100
"""Tags of one alert."""

MAX_EVENTS: Final = 20
"""Events of one share."""

MAX_NAMED: Final = 20
"""Alerts, tags or changes that one entry of a thread names; it counts all of them."""

LONGEST_NAMED: Final = 300
"""Characters of a text of one of them."""

MAX_SINGLE_ALERTS: Final = 500
"""Alerts that were reported one by one."""

COMMENTS_REMEMBERED: Final = 300
ENVIRONMENTS_REMEMBERED: Final = 500
INTEGRATIONS_REMEMBERED: Final = 50
EPISODES_REMEMBERED: Final = 50
HEADERS_REMEMBERED: Final = 50
HEADER_VALUES_REMEMBERED: Final = 200
"""Values of all custom headers together."""
LONGEST_HEADER: Final = 500
"""Characters of the value of a custom header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The most items of a block, and the most values and characters of all its items together."""

    items: int
    values: int
    characters: int


BOUNDS: Final[Mapping[str, Bound]] = {
    "alerts": Bound(items=500, values=10_000, characters=600_000),
    "tags": Bound(items=500, values=2_000, characters=200_000),
    "changes": Bound(items=100, values=1_000, characters=100_000),
    "links": Bound(items=50, values=50, characters=50_000),
}
"""By the name of the block in `relay.model.record`."""

Item = TypeVar("Item")
Omitted = Mapping[str, int]
"""What was left out of a block, by what it is: alerts by their state, `tags`, `values`, `changes`, `links`."""


def bound_text(text: str, most: int = LONGEST_TEXT) -> str:
    """Return the text; a longer one is cut and says so."""
    over = len(text) - most
    return text if over <= 0 else f"{text[:most]}… ({over:,} characters were left out)"


def bound_blocks(blocks: Mapping[str, JSON]) -> tuple[dict[str, JSON], dict[str, Omitted]]:
    """Return the blocks of a share within the bounds, and what was left out of each block that was cut.

    The order of what stays is kept. These stay: the primary alert, the worst and then the newest alerts; short tags and
    links, and the landing page; confirmed changes and then the newest ones.
    """
    bounded: dict[str, JSON] = {}
    omitted: dict[str, Omitted] = {}
    for name, value in blocks.items():
        bound = _BLOCKS.get(name.partition(":")[0]) if value else None
        if bound is None:
            bounded[name] = value
            continue
        left_out: Counter[str] = Counter()
        bounded[name] = bound(value, left_out)
        if left_out:
            omitted[name] = dict(left_out)
    return bounded, omitted


def _take(
    items: Sequence[Item],
    bound: Bound,
    cost: Callable[[Item], tuple[int, int]],
    rank: Callable[[Item], Any] | None = None,
) -> list[Item]:
    """The items that fit, in their own order: all, or the most useful.

    `cost` returns the values and characters of an item. Those of the lowest rank are the most useful; of the same rank,
    the large ones come last, so that a few do not replace many. One that does not fit is skipped.
    """
    values, characters = bound.values, bound.characters
    if len(items) <= bound.items:
        costs = [cost(item) for item in items]
        if sum(one for one, _ in costs) <= values and sum(one for _, one in costs) <= characters:
            return list(items)

    def is_large(index: int) -> bool:
        return _is_large(cost(items[index]), bound)

    indexes = range(len(items))
    order: Iterable[int] = (
        sorted(indexes, key=lambda index: (rank(items[index]), is_large(index)))
        if rank
        else chain(filterfalse(is_large, indexes), filter(is_large, indexes))  # not sorted: there may be a million
    )
    kept: list[int] = []
    for index in order:
        item_values, item_characters = cost(items[index])
        if item_values <= values and item_characters <= characters:
            values, characters = values - item_values, characters - item_characters
            kept.append(index)
        if len(kept) == bound.items:
            break
    return [items[index] for index in sorted(kept)]


def _is_large(cost: tuple[int, int], bound: Bound) -> bool:
    """Whether an item needs more than its share of a full block."""
    values, characters = cost
    return values * bound.items > bound.values or characters * bound.items > bound.characters


def _alerts(alerts: Sequence[JSON], left_out: Counter[str]) -> list[JSON]:
    """The alerts that fit, each bounded: the primary alert, then the worst, of these the last that changed."""
    distinct = list({alert["id"]: alert for alert in alerts}.values())
    primary, cut = min(distinct, key=_primary_first)["id"], Counter[str]()
    kept = _take(
        [_alert(alert, cut) for alert in distinct],
        BOUNDS["alerts"],
        _alert_cost,
        lambda alert: (alert["id"] != primary, _by_importance(alert)),
    )
    if len(kept) == len(distinct):
        left_out.update(cut)
        return kept
    ids = {alert["id"] for alert in kept}
    left_out.update(str(alert_state(alert)) for alert in distinct if alert["id"] not in ids)
    return [_alert(alert, left_out) for alert in distinct if alert["id"] in ids]


def alert_state(alert: Mapping[str, JSON]) -> State:
    """The state of an alert: resolved where it is not active any more."""
    return State.RESOLVED if alert["active"] is False else parse_state(alert["status"][:LONGEST_WORD])


def _by_importance(alert: Mapping[str, JSON]) -> tuple[int, int, str]:
    return -alert_state(alert).rank, -(alert["changed"] or alert["started"] or 0), alert["id"]


def _primary_first(alert: Mapping[str, JSON]) -> tuple[int, bool, int, str]:
    """BigPanda's primary alert is the oldest of the worst; one whose start is unknown does not count as the oldest."""
    return -alert_state(alert).rank, alert["started"] is None, alert["started"] or 0, alert["id"]


_ALERT_TEXTS: Final = (
    ("status", LONGEST_WORD),
    ("primary", MAX_ID_LENGTH),
    ("secondary", MAX_ID_LENGTH),
    ("source", LONGEST_VALUE),
    ("description", LONGEST_VALUE),
)
_ALERT_TAGS: Final = Bound(items=MAX_ALERT_TAGS, values=1_000, characters=50_000)


def _alert(alert: Mapping[str, JSON], left_out: Counter[str]) -> Mapping[str, JSON]:
    texts = {name: bound_text(alert[name], most) for name, most in _ALERT_TEXTS if len(alert[name]) > most}
    tags = _bound_tags(alert["tags"], _ALERT_TAGS, left_out)
    return alert if not texts and tags is alert["tags"] else {**alert, **texts, "tags": tags}


def _alert_cost(alert: Mapping[str, JSON]) -> tuple[int, int]:
    values, characters = _tags_cost(alert["tags"])
    return values, characters + len(alert["id"]) + sum(len(alert[name]) for name, _ in _ALERT_TEXTS)


def _tags(tags: list[JSON], left_out: Counter[str]) -> list[JSON]:
    return _bound_tags(tags, BOUNDS["tags"], left_out)


def _bound_tags(tags: list[JSON], bound: Bound, left_out: Counter[str]) -> list[JSON]:
    """The tags that fit. Nearly all lists are small, and come back as they are."""
    values, characters = _tags_cost(tags)
    is_small = len(tags) <= bound.items and values <= MAX_VALUES and characters <= LONGEST_VALUE
    if is_small and max((len(tag[0]) for tag in tags), default=0) <= MAX_ID_LENGTH:
        return tags
    usable = [tag for tag in tags if len(tag[0]) <= MAX_ID_LENGTH]
    kept = _take(usable, bound, lambda tag: _tags_cost([_tag(tag, Counter())]))
    if len(kept) < len(tags):
        left_out["tags"] += len(tags) - len(kept)
    bounded = [_tag(tag, left_out) for tag in kept]
    return tags if bounded == tags else bounded


def _tag(tag: Sequence[JSON], left_out: Counter[str]) -> Sequence[JSON]:
    name, values = tag
    if len(values) > MAX_VALUES:
        left_out["values"] += len(values) - MAX_VALUES
    return [name, [bound_text(value, LONGEST_VALUE) for value in values[:MAX_VALUES]]]


def _tags_cost(tags: Iterable[Sequence[JSON]]) -> tuple[int, int]:
    """The number of their values and of their characters. It is called often, and nearly all tags have one value."""
    values = characters = 0
    for name, each in tags:
        values += len(each)
        characters += len(name) + (len(each[0]) if len(each) == 1 else sum(map(len, each)))
    return values, characters


def _links(links: Mapping[str, str], left_out: Counter[str]) -> dict[str, str]:
    """The links that fit. A part of an address is useless, so a long one is left out."""
    usable = [each for each in links.items() if len(each[0]) <= MAX_ID_LENGTH and len(each[1]) <= LONGEST_VALUE]
    # The landing page first: the card's button needs it.
    kept = _take(
        usable, BOUNDS["links"], lambda each: (1, len(each[0]) + len(each[1])), lambda each: each[0] != "landing_page"
    )
    if len(kept) < len(links):
        left_out["links"] = len(links) - len(kept)
    return dict(kept)


def _changes(changes: Sequence[Mapping[str, JSON]], left_out: Counter[str]) -> list[JSON]:
    """The changes that fit: the confirmed ones, then the newest."""
    kept = _take(
        [bound_texts(change, LONGEST_VALUE) for change in changes],
        BOUNDS["changes"],
        lambda each: (len(each), sum(len(text) for text in each.values() if _is_text(text))),
        lambda each: (each["certainty"].upper() != "MATCH", -(each["start"] or 0)),
    )
    if len(kept) < len(changes):
        left_out["changes"] = len(changes) - len(kept)
    return kept


def _assignment(assignment: Mapping[str, JSON], _left_out: Counter[str]) -> dict[str, JSON]:
    return {role: person and bound_texts(person, MAX_ID_LENGTH) for role, person in assignment.items()}


def bound_texts(values: Mapping[str, JSON], most: int) -> dict[str, JSON]:
    """Return these values, with each text within that many characters."""
    return {name: bound_text(value, most) if _is_text(value) else value for name, value in values.items()}


def _is_text(value: JSON) -> bool:
    return isinstance(value, str)


_BLOCKS: Final[Mapping[str, Callable[[Any, Counter[str]], JSON]]] = {
    "alerts": _alerts,
    "alert": _alert,
    "tags": _tags,
    "links": _links,
    "changes": _changes,
    "assignment": _assignment,
    "state": lambda state, _left_out: bound_texts(state, LONGEST_WORD),
    "severity": lambda severity, _left_out: bound_text(severity, LONGEST_WORD),
}
"""How each block is bounded, by its name up to a colon. The other blocks are flags and times."""
