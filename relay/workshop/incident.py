"""`relay incident`: all that relay knows of an incident, and what it did: in words, or as JSON."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from relay.drawing import Link
from relay.incident import JSON, read
from relay.planning import Attempt, Card, CardState, Due, Entry, Outcome
from relay.store import Call, Dossier, ShareLine
from relay.workshop.moments import clock

_OUTCOMES = {
    Outcome.FIRST: "the incident's first",
    Outcome.UPDATE: "it changed something",
    Outcome.NOTHING_NEW: "it told nothing new",
    Outcome.REPEAT: "a repeat",
    Outcome.ENDED_LONG_AGO: "it had ended too long ago to be posted",
    Outcome.DROPPED: "taken, and dropped by the route",
    Outcome.NO_ROUTE: "no route took it, and it has no card",
}
_CARDS = {
    CardState.WANTED: "to be posted",
    CardState.TRYING: "being posted",
    CardState.SHOWN: "shown",
    CardState.IN_DOUBT: "in doubt: nobody knows whether Slack has it",
    CardState.REFUSED: "refused by Slack",
    CardState.LAPSED: "never posted: over, or not taken there any more, before its wait had passed",
    CardState.LEFT: "followed no more",
}

_NAMED, _SHORT = 3, 80
"""How many items of a list are named, and how many characters of a text, where a line has to hold them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One line of the incident's history; `more` stands below it."""

    at: float
    text: str
    more: tuple[str, ...] = ()


def as_json(dossier: Dossier, link: Link) -> dict[str, JSON]:
    """The dossier as `GET /incidents/{id}` gives it, with the address of each card under the card's number."""
    told: dict[str, JSON] = orjson.loads(orjson.dumps(dossier, option=orjson.OPT_NON_STR_KEYS))
    return told | {"links": {str(card.id): found for card in dossier.cards if (found := _link(card, link))}}


def in_words(dossier: Dossier, link: Link, names: Callable[[str], str] = str) -> Iterator[str]:
    """The same for people: what is known, where its cards are, and then all that happened, in the order of time."""
    yield from _known(dossier)
    for card in dossier.cards:
        yield ""
        yield from _card(card, link, names)
    yield ""
    yield "What happened"
    for happening in sorted(_history(dossier, names), key=lambda each: each.at):
        yield f"  {clock(happening.at)}  {happening.text}"
        yield from (f"      {line}" for line in happening.more)


def _known(dossier: Dossier) -> Iterator[str]:
    incident = read(dossier.story.record)
    yield f"incident {incident.id}: {incident.title}"
    state = f"{incident.state}"
    if incident.ended is not None:
        state += f" since {clock(incident.ended)}"
    elif incident.started is not None:
        state += f" since {clock(incident.started)}"
    flags = [word for word, holds in (("flapping", incident.flapping), ("snoozed", incident.snooze.snoozed)) if holds]
    parts = [state, *flags, incident.counts, f"episode {dossier.story.episode}"]
    yield "  " + ", ".join(part for part in parts if part)
    for word, told in (
        ("environments", ", ".join(each.name or each.id for each in incident.environments)),
        ("assigned to", incident.assignee.known_as if incident.assignee else ""),
        ("tags", "; ".join(f"{tag.name}: {tag.value}" for tag in incident.tags)),
        ("in BigPanda", incident.links.get("landing_page", "")),
    ):
        if told:
            yield f"  {word}: {told}"


def _card(card: Card, link: Link, names: Callable[[str], str]) -> Iterator[str]:
    why = f" ({card.reason})" if card.reason else ""
    yield f"card in {names(card.channel)}: {_CARDS[card.state]}{why}"
    for word, told in (
        ("route", card.route or "none took it, so it is the fallback's"),
        ("template", card.options.template),
        ("episode", str(card.episode) if card.episode > 1 else ""),
        ("pinged at its first post", ", ".join(card.pinged)),
        ("noted on it", ", ".join(card.notices)),
        ("a post is due", _due(card.post)),
        ("an edit is due", _due(card.edit)),
        ("message", _link(card, link) or (f"{card.ts} in {card.slack_channel}" if card.ts else "")),
    ):
        if told:
            yield f"  {word}: {told}"


def _due(due: Due | None) -> str:
    return f"from {clock(due.at)}, by {clock(due.deadline)}" if due else ""


def _link(card: Card, link: Link) -> str:
    return link(card.slack_channel, card.ts) if card.slack_channel and card.ts else ""


def _history(dossier: Dossier, names: Callable[[str], str]) -> Iterator[Happening]:
    cards = {card.id: names(card.channel) for card in dossier.cards}
    yield from (_share(share, names) for share in dossier.shares)
    yield from (_entry(entry) for entry in dossier.entries)
    for number, attempts in dossier.attempts.items():
        yield from (_attempt(attempt, cards.get(number, "")) for attempt in attempts)
    for number, calls in dossier.calls.items():
        yield from (_call(call, cards.get(number, "")) for call in calls)


def _share(share: ShareLine, names: Callable[[str], str]) -> Happening:
    taken = f"; taken by {', '.join(share.routes)}" if share.routes else ""
    again = f", seen {share.times_seen} times" if share.times_seen > 1 else ""
    return Happening(
        at=share.received,
        text=f"share {share.id}{again}: {_OUTCOMES[share.outcome]}{taken}",
        more=tuple(_decided(share.decided, names)),
    )


def _decided(decided: Mapping[str, JSON], names: Callable[[str], str]) -> Iterator[str]:
    """Where it was to go, and why, as it was written down when the share came."""
    if dropped := decided.get("dropped"):
        yield f"dropped by {', '.join(dropped)}"
    for card in decided.get("cards") or ():
        made = "new card" if card.get("new") else "card"
        why = f"by route {card['route']}" if card.get("route") else "by the fallback, since no route took it"
        yield f"{made} in {names(str(card.get('channel', '')))} {why}: {str(card.get('state', '')).replace('_', ' ')}"


def _entry(entry: Entry) -> Happening:
    shown = {name: value for name, value in entry.data.items() if value not in (None, "", [], {})}
    told = ", ".join(f"{name}: {_short(value)}" for name, value in shown.items())
    return Happening(at=entry.at, text=f"entry {entry.seq}, {entry.kind}" + (f" ({told})" if told else ""))


def _short(value: Any) -> str:
    """A value on a piece of a line."""
    if isinstance(value, list):
        more = f"; and {len(value) - _NAMED} more" if len(value) > _NAMED else ""
        return "; ".join(_short(each) for each in value[:_NAMED]) + more
    if isinstance(value, dict):
        return " ".join(str(each) for each in value.values() if each not in (None, ""))
    text = " ".join(str(value).split())
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _attempt(attempt: Attempt, channel: str) -> Happening:
    what = "the card" if attempt.what == "root" else f"a reply that tells up to entry {attempt.upto_seq}"
    pinging = f", pinging {', '.join(attempt.targets)}" if attempt.targets else ""
    tries = f", {attempt.tries} tries" if attempt.tries > 1 else ""
    state = str(attempt.state).replace("_", " ")
    return Happening(at=attempt.started, text=f"attempt at {what} in {channel}{pinging}{tries}: {state}")


def _call(call: Call, channel: str) -> Happening:
    answer = call.answer
    said = str(answer.get("answer", ""))
    reason = answer.get("code") or answer.get("reason")
    why = f", {reason}" if reason and reason != "ok" else ""
    where = f" ({answer['ts']})" if answer.get("ts") else ""
    more = [str(answer[name]) for name in ("remedy", "detail", "needed") if answer.get(name)]
    return Happening(
        at=call.at, text=f"Slack answered {call.method} in {channel}: {said}{why}{where}", more=tuple(more)
    )
