"""`relay letters`: what Slack would not have and what could not be read, in words or as JSON; and its way back.

A letter is redriven by the judgement that relay itself has when a channel works again. One whose channel takes nothing
yet is not torn from there: the channel is asked again at once, and relay redrives the letter if the answer is yes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain, repeat
from typing import Any

import orjson

from relay.cards.failures import EXTERNAL, is_external, retry_card, retry_reply
from relay.cards.model import Attempt, AttemptState, CardContext, CardState, CardUpdate, Channel, ChannelState
from relay.cards.recovery import retry_in_doubt
from relay.cards.send import REPLY, ROOT
from relay.model.json_types import JSON
from relay.model.reading import read_incident
from relay.model.tag_labels import TagLabels
from relay.slack.error_codes import CHANNEL_REASONS
from relay.store import IncidentHistory, OpenDeadLetter, QuarantinedBody, SlackCall, Store
from relay.tools.incident import entry_lines
from relay.tools.times import format_time

Names = Callable[[str], str]
"""What a channel (its reference) is called for people."""

_CALLS = 5
"""So many of Slack's last answers about a card are shown with its letter."""


class RetryOutcome(StrEnum):
    """What became of the wish to redrive a letter."""

    RETRIED = "redriven"
    REPLY_RETRIED = "retold"
    SEARCHING = "sought"
    CLOSED = "over"
    BUSY = "busy"
    ALREADY_RETRIED = "on_its_way"
    CHANNEL_CHECKED = "asked"
    EXTERNAL_CHANNEL = "foreign"
    UNKNOWN_CHANNEL = "unknown_channel"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryResult:
    """A letter, and what became of the wish to redrive it."""

    letter: OpenDeadLetter
    outcome: RetryOutcome

    @property
    def done(self) -> bool:
        """Whether everything was done that can be."""
        return self.outcome not in {RetryOutcome.BUSY, RetryOutcome.EXTERNAL_CHANNEL, RetryOutcome.UNKNOWN_CHANNEL}


_SENTENCES = {
    RetryOutcome.RETRIED: "redriven: it is shown with its newest state as soon as it is its turn, and pings nobody",
    RetryOutcome.REPLY_RETRIED: "redriven: the thread tells it as soon as it is its turn, late and without a ping",
    RetryOutcome.SEARCHING: "redriven: it is looked for in {channel} first, and posted only where it is not found "
    "(where relay "
    "may not look, it says that it may be a repeat); it pings nobody",
    RetryOutcome.CLOSED: "closed: the incident is over, and nothing of it was ever shown in {channel}, so nothing "
    "is posted",
    RetryOutcome.BUSY: "left as it is: another reply of this card is on its way or in doubt; redrive it when that "
    "is over",
    RetryOutcome.ALREADY_RETRIED: "left as it is: relay has redriven it by itself, and it is on its way",
    RetryOutcome.CHANNEL_CHECKED: "{channel} took nothing when it was last asked: it is asked again "
    "now, and the letter is "
    "redriven "
    "by itself if it takes messages",
    RetryOutcome.EXTERNAL_CHANNEL: "left as it is: {channel} is shared with another organisation; "
    "set allow_external: true "
    "where "
    "that may read incidents, or choose another channel, and the card's next share settles it",
    RetryOutcome.UNKNOWN_CHANNEL: "left as it is: {channel} is known no more",
}


def select(
    letters: Sequence[OpenDeadLetter], *, number: int | None = None, reason: str = ""
) -> tuple[OpenDeadLetter, ...]:
    """Those of one number, or of one reason (`in_doubt` stands for every `in_doubt: ...`); without either, all."""
    return tuple(
        letter
        for letter in letters
        if number in (None, letter.id) and reason in ("", letter.reason, letter.reason.partition(":")[0])
    )


async def retry(store: Store, letters: Sequence[OpenDeadLetter], words: TagLabels, now: float) -> list[RetryResult]:
    """Redrive letters beside a running relay, and wake it; `words` are those of its configuration (`tag_values`).

    Raises:
        StoreError: the database failed; the letters before it are redriven.
    """
    channels = {channel.ref: channel for channel in await store.channels()}
    done = []
    for letter in letters:
        channel = _home(channels, letter.card.channel)
        outcome = retry_outcome(letter, channel)
        if outcome is RetryOutcome.RETRIED:
            outcome = await _redrive(store, letter, words, now)
        elif outcome is RetryOutcome.CHANNEL_CHECKED and channel is not None and channel.retry_at != now:
            channels[channel.ref] = await _ask_again(store, channel, now)
        done.append(RetryResult(letter=letter, outcome=outcome))
    await store.notify()
    return done


def retry_outcome(letter: OpenDeadLetter, channel: Channel | None) -> RetryOutcome:
    """What can be done for a letter, its channel being as it is now."""
    if channel is None:
        return RetryOutcome.UNKNOWN_CHANNEL
    if letter.reason == EXTERNAL and is_external(letter.card, channel):
        return RetryOutcome.EXTERNAL_CHANNEL
    if letter.reason in CHANNEL_REASONS | {EXTERNAL} and channel.state is not ChannelState.OPEN:
        return RetryOutcome.CHANNEL_CHECKED
    return RetryOutcome.RETRIED


async def _redrive(store: Store, letter: OpenDeadLetter, words: TagLabels, now: float) -> RetryOutcome:
    """By the case as it is then: relay may have redriven it in the same moment."""
    held = await _held(store, letter) if letter.in_doubt else ()
    outcome = RetryOutcome.RETRIED

    def decide(case: CardContext) -> CardUpdate:
        nonlocal outcome
        outcome, change = _way_back(case, letter, held, words, now)
        return change

    await store.update_card(letter.card.id, decide)
    return outcome


def _way_back(
    case: CardContext, letter: OpenDeadLetter, held: Sequence[Attempt], words: TagLabels, now: float
) -> tuple[RetryOutcome, CardUpdate]:
    if case.card.is_current and case.card.ts is None:
        if case.card.state is not CardState.REJECTED:
            return RetryOutcome.ALREADY_RETRIED, CardUpdate()
        if held:
            return RetryOutcome.SEARCHING, retry_in_doubt(case, held, letter, now)
    elif case.card.is_current and letter.unreported:
        if case.attempt is not None:
            return RetryOutcome.BUSY, CardUpdate()
        if held:
            return RetryOutcome.SEARCHING, retry_in_doubt(case, held, letter, now)
        return RetryOutcome.REPLY_RETRIED, retry_reply(case, letter.unreported, now)
    change = retry_card(case, words, now)
    lapsed = any(card.id == case.card.id and card.state is CardState.CANCELLED for card in change.cards)
    return RetryOutcome.CLOSED if lapsed else RetryOutcome.RETRIED, change


async def _held(store: Store, letter: OpenDeadLetter) -> tuple[Attempt, ...]:
    """What of the card was held in doubt: it is that which may be in Slack, and by its marker that it is found."""
    dossier = await store.incident_history(letter.card.incident)
    attempts = dossier.attempts.get(letter.card.id, ()) if dossier else ()
    what, after = (REPLY, letter.unreported[0]) if letter.unreported else (ROOT, -1)
    return tuple(
        each
        for each in attempts
        if each.state is AttemptState.REJECTED
        and (each.kind, each.generation) == (what, letter.card.generation)
        and each.upto_seq > after
    )


async def _ask_again(store: Store, channel: Channel, now: float) -> Channel:
    """Relay asks Slack about the channel at its next look, instead of minutes later."""
    await store.update_channel(
        channel.ref,
        slack_id=channel.slack_id,
        facts=channel.facts,
        state=channel.state,
        reason=channel.reason,
        retry_at=now,
    )
    return replace(channel, retry_at=now)


def _home(channels: dict[str, Channel], ref: str) -> Channel | None:
    found = channels.get(ref)
    return channels.get(found.canonical_ref, found) if found and found.canonical_ref else found


# -- In words ----------------------------------------------------------------------------------------------------------


def describe_result(each: RetryResult, names: Names) -> str:
    """One sentence: which letter, and what became of it."""
    channel = names(each.letter.card.channel)
    sentence = _SENTENCES[each.outcome].format(channel=channel)
    return f"letter {each.letter.id} (incident {each.letter.card.incident} in {channel}): {sentence}"


def describe_letter(letter: OpenDeadLetter, dossier: IncidentHistory | None, names: Names) -> Iterator[str]:
    """A letter with its incident, its card, and what Slack said of it last."""
    card = letter.card
    yield f"letter {letter.id}: incident {card.incident} in {names(card.channel)}"
    if dossier is not None:
        yield f"  title    {dossier.state.record.title}"
    yield f"  since    {format_time(letter.since)}"
    yield f"  reason   {letter.reason}"
    yield f"  remedy   {letter.remedy or 'none is known'}"
    yield f"  route    {card.route or 'none: the fallback'}"
    yield f"  card     {card.state}, episode {card.episode}" + (f", shown at {card.ts}" if card.ts else ", never shown")
    if letter.unreported and dossier is not None:
        after, upto = letter.unreported
        untold = [entry for entry in dossier.entries if after < entry.seq <= upto]
        lines = [line for entry in untold for line in entry_lines(entry, read_incident(dossier.state.record))]
        yield from (f"  {word:8} {line}" for word, line in zip(chain(["untold"], repeat("")), lines, strict=False))
    calls = dossier.calls.get(card.id, ()) if dossier is not None else ()
    for call in calls[-_CALLS:]:
        yield f"  Slack    {format_time(call.at)}  {call.method}: {_answer(call)}"
    yield f"  then     relay letters redrive {letter.id}"


def _answer(call: SlackCall) -> str:
    said = {str(name): value for name, value in call.answer.items() if name not in {"answer", "remedy", "channel"}}
    return ", ".join([str(call.answer.get("answer", "?")), *(f"{name} {value}" for name, value in said.items())])


def describe_body(refused: QuarantinedBody) -> Iterator[str]:
    """A refused body: what is known of it, and then it itself."""
    yield f"body q{refused.id}: {refused.reason}, came {format_time(refused.received)}, {len(refused.body)} bytes"
    yield from (f"  {name}: {value}" for name, value in refused.headers.items() if value)
    yield ""
    yield refused.body.decode(errors="replace")


# -- As JSON -----------------------------------------------------------------------------------------------------------


def letter_as_json(letter: OpenDeadLetter, dossier: IncidentHistory | None = None) -> dict[str, JSON]:
    """A letter with its card; with a dossier, the incident's title and Slack's answers about the card as well."""
    told: dict[str, Any] = orjson.loads(orjson.dumps(letter, option=orjson.OPT_NON_STR_KEYS))
    if dossier is not None:
        told["title"] = dossier.state.record.title
        told["calls"] = orjson.loads(orjson.dumps(dossier.calls.get(letter.card.id, ())))
    return told


def body_as_json(refused: QuarantinedBody, *, whole: bool = False) -> dict[str, JSON]:
    """A refused body by its facts; `whole` with its text, where what is no UTF-8 is replaced."""
    told: dict[str, JSON] = {
        "id": f"q{refused.id}",
        "received": refused.received,
        "reason": refused.reason,
        "headers": dict(refused.headers),
        "size": refused.size,
    }
    return told | {"body": refused.body.decode(errors="replace")} if whole else told
