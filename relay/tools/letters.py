"""`relay letters`: shows, retries and discards dead letters, shares that could not be planned, and quarantined bodies.

One space of ids names all of them: a dead letter is `7`, a failed share `s7`, a quarantined body `q7`. `LetterKind` has
a row for each kind.

An operator's retry decides as relay does when a channel works again. If the channel does not accept messages yet, the
card stays on the fallback channel. Relay checks the channel at once, and retries the dead letter if it works.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import orjson
from rich.table import Table

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.failures import EXTERNAL, is_external, retry_card, retry_reply
from relay.cards.model import Attempt, CardContext, CardState, CardUpdate, Channel, ChannelState
from relay.cards.recovery import retry_in_doubt
from relay.cards.steps import REPLY, ROOT
from relay.model.errors import ShareError
from relay.model.json_types import JSON
from relay.model.reading import read_incident
from relay.model.struct import plain, replace
from relay.rendering.context import template_variables
from relay.slack.error_codes import CHANNEL_REASONS
from relay.store.planning import Decide, describe_error
from relay.store.store import Store
from relay.store.types import FailedShare, IncidentHistory, OpenDeadLetter, QuarantinedBody, ShareBody
from relay.tools.incident import entry_lines
from relay.tools.message_text import ChannelNames, channel_label, format_time

_MAX_CALLS = 5
"""How many of Slack's last answers about a card are shown with its dead letter."""

_NOT_SHOWN = {"answer", "remedy", "channel"}
"""The fields of an answer that the dead letter shows elsewhere."""


class LetterKind(StrEnum):
    """The kinds of letters; the value is the beginning of their ids."""

    DEAD_LETTER = ""
    FAILED_SHARE = "s"
    QUARANTINED_BODY = "q"

    @property
    def noun(self) -> str:
        """The kind in a sentence."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True, order=True)
class LetterId:
    """The id of a letter, as people write it."""

    kind: LetterKind
    number: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an id. Raises ValueError, with what is expected."""
        form = _ID.fullmatch(text.strip().lower())
        if form is None:
            raise ValueError(
                f"It is {text!r}; expected the id of a letter: 7 (a dead letter), s7 (a failed share) or q7 (a body)"
            )
        return cls(LetterKind(form["kind"]), int(form["number"]))

    def __str__(self) -> str:
        return f"{self.kind}{self.number}"

    @property
    def description(self) -> str:
        """The letter in a sentence: `dead letter 7`."""
        return f"{self.kind.noun} {self}"


_ID = re.compile(rf"(?P<kind>{'|'.join(sorted(LetterKind, reverse=True))})(?P<number>[0-9]{{1,18}})")


class RetryOutcome(StrEnum):
    """The result of an operator's retry."""

    RETRIED = "retried"
    REPLY_RETRIED = "reply_retried"
    SEARCHING = "searching"
    CLOSED = "closed"
    BUSY = "busy"
    ALREADY_RETRIED = "already_retried"
    CHANNEL_CHECKED = "channel_checked"
    EXTERNAL_CHANNEL = "external_channel"
    UNKNOWN_CHANNEL = "unknown_channel"
    ACCEPTED = "accepted"
    NOT_A_SHARE = "not_a_share"
    PLANNED = "planned"
    NOT_PLANNED = "not_planned"
    DISCARDED = "discarded"
    UNKNOWN_LETTER = "unknown_letter"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryResult:
    """A letter, and the result of its retry or of its end; `detail` is what the sentence about it needs."""

    id: LetterId
    outcome: RetryOutcome
    letter: OpenDeadLetter | None = None
    detail: str = ""

    @property
    def done(self) -> bool:
        """Whether everything possible was done."""
        return self.outcome not in _NOT_DONE


_NOT_DONE = {
    RetryOutcome.BUSY,
    RetryOutcome.EXTERNAL_CHANNEL,
    RetryOutcome.UNKNOWN_CHANNEL,
    RetryOutcome.NOT_A_SHARE,
    RetryOutcome.NOT_PLANNED,
    RetryOutcome.UNKNOWN_LETTER,
}
_SENTENCES = {
    RetryOutcome.RETRIED: "retrying: the card is posted soon, with its newest state, and pings nobody",
    RetryOutcome.REPLY_RETRIED: "retrying: the reply is posted soon, late and without a ping",
    RetryOutcome.SEARCHING: "retrying: relay searches {channel} first, and posts only if the message is not there (if "
    "relay may not read the channel, the message says that it may be a repeat); it pings nobody",
    RetryOutcome.CLOSED: "closed: the incident ended and was never shown in {channel}, so nothing is posted",
    RetryOutcome.BUSY: "not retried: another reply of this card is being posted or in doubt; retry after that",
    RetryOutcome.ALREADY_RETRIED: "not retried: relay has retried it already, and is posting it",
    RetryOutcome.CHANNEL_CHECKED: "{channel} rejected messages when relay last checked: relay checks it again now, and "
    "retries the dead letter if the channel works",
    RetryOutcome.EXTERNAL_CHANNEL: "not retried: {channel} is shared with another organisation; set allow_external: "
    "true if it may read incidents, or choose another channel, and the next share of the incident fixes the card",
    RetryOutcome.UNKNOWN_CHANNEL: "not retried: relay does not know {channel} any more",
    RetryOutcome.ACCEPTED: "accepted as a share of incident {detail}, and out of quarantine",
    RetryOutcome.NOT_A_SHARE: "not retried: {detail} If nobody needs it, discard it",
    RetryOutcome.PLANNED: "planned: it is part of incident {detail} now",
    RetryOutcome.NOT_PLANNED: "not planned: {detail}. Relay keeps the share",
    RetryOutcome.DISCARDED: "discarded: {detail}",
    RetryOutcome.UNKNOWN_LETTER: "it does not exist, or no longer exists",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """All letters: open dead letters, shares that could not be planned, and quarantined bodies."""

    dead: tuple[OpenDeadLetter, ...] = ()
    shares: tuple[FailedShare, ...] = ()
    bodies: tuple[QuarantinedBody, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.dead or self.shares or self.bodies)

    def as_json(self) -> list[dict[str, JSON]]:
        """All letters as JSON."""
        return [*map(letter_as_json, self.dead), *map(share_as_json, self.shares), *map(body_as_json, self.bodies)]


async def load_letters(store: Store, *, most_dead: int | None = None) -> Letters:
    """Load the letters to show, of the dead ones at most so many. Raises StoreError if the database failed."""
    return Letters(
        dead=listed(await store.dead_letters(most=most_dead)),
        shares=await store.failed_shares(),
        bodies=await store.quarantined_bodies(),
    )


def listed(letters: Sequence[OpenDeadLetter]) -> tuple[OpenDeadLetter, ...]:
    """The dead letters to show: one where both a card's channel and the fallback channel reject messages."""
    return tuple(letter for letter in letters if not letter.of_stand_in)


def select(
    letters: Sequence[OpenDeadLetter], *, number: int | None = None, reason: str = ""
) -> tuple[OpenDeadLetter, ...]:
    """Select dead letters by number or reason (`in_doubt` means every `in_doubt: ...`); without either, select all."""
    return tuple(
        letter
        for letter in letters
        if number in (None, letter.id) and reason in ("", letter.reason, letter.reason.partition(":")[0])
    )


async def retry(store: Store, letters: Sequence[OpenDeadLetter], now: float) -> list[RetryResult]:
    """Retry dead letters beside a running relay, and wake it.

    Raises StoreError if the database failed; the dead letters before the failure are retried.
    """
    channels = {channel.ref: channel for channel in await store.channels()}
    results = []
    for letter in letters:
        channel = channels.get(letter.card.channel)
        if channel is not None and channel.canonical_ref:
            channel = channels.get(channel.canonical_ref, channel)
        outcome = retry_outcome(letter, channel)
        if outcome is RetryOutcome.RETRIED:
            outcome = await _retry(store, letter, now)
        elif outcome is RetryOutcome.CHANNEL_CHECKED and channel is not None and channel.retry_at != now:
            # Let relay check the channel at once, instead of minutes later.
            channels[channel.ref] = replace(channel, retry_at=now)
            await store.update_channel(channels[channel.ref])
        results.append(RetryResult(id=dead_letter_id(letter), letter=letter, outcome=outcome))
    await store.notify()
    return results


async def retry_body(store: Store, number: int, decide: Decide) -> RetryResult:
    """Read a quarantined body again, as this version of relay does; `decide` plans it if it is a share.

    Raises StoreError if the database failed. A share that was stored before that is a repeat at the next retry.
    """
    letter = LetterId(LetterKind.QUARANTINED_BODY, number)
    body = await store.quarantined_body(number)
    if body is None:
        return RetryResult(id=letter, outcome=RetryOutcome.UNKNOWN_LETTER)
    try:
        share = parse_share(body.body, body.headers, body.received)
    except ShareError as error:
        return RetryResult(id=letter, outcome=RetryOutcome.NOT_A_SHARE, detail=str(error))
    [accepted] = await store.accept([share], decide)
    await store.delete_quarantined_body(number)
    await store.notify()
    return RetryResult(id=letter, outcome=RetryOutcome.ACCEPTED, detail=accepted.incident)


async def retry_share(store: Store, number: int, decide: Decide, now: float) -> RetryResult:
    """Plan a share again that could not be planned, as this version of relay does.

    Raises StoreError if the database failed.
    """
    letter = LetterId(LetterKind.FAILED_SHARE, number)
    body = await store.unplanned_body(number)
    if body is None:
        return RetryResult(id=letter, outcome=RetryOutcome.UNKNOWN_LETTER)
    try:
        share = parse_share(body.body, body.headers, body.received)
    except Exception as error:  # noqa: BLE001  whatever it is, the share stays, and the operator learns why
        return RetryResult(id=letter, outcome=RetryOutcome.NOT_PLANNED, detail=describe_error(error).rstrip("."))
    accepted = await store.plan_shares({number: share}, decide, now)
    await store.notify()
    for each in accepted:
        if each.error:
            return RetryResult(id=letter, outcome=RetryOutcome.NOT_PLANNED, detail=each.error.rstrip("."))
        return RetryResult(id=letter, outcome=RetryOutcome.PLANNED, detail=each.incident)
    return RetryResult(id=letter, outcome=RetryOutcome.UNKNOWN_LETTER)  # relay has planned it meanwhile


async def discard(store: Store, letters: Sequence[LetterId], reason: str, now: float) -> list[RetryResult]:
    """Close dead letters, and delete failed shares and quarantined bodies, that nobody needs.

    Raises StoreError if the database failed.
    """
    results = []
    for letter in letters:
        if letter.kind is LetterKind.DEAD_LETTER:
            found = await store.discard_dead_letter(letter.number, reason, now)
        elif letter.kind is LetterKind.FAILED_SHARE:
            found = await store.discard_share(letter.number)
        else:
            found = await store.delete_quarantined_body(letter.number)
        outcome = RetryOutcome.DISCARDED if found else RetryOutcome.UNKNOWN_LETTER
        results.append(RetryResult(id=letter, outcome=outcome, detail=reason))
    return results


def dead_letter_id(letter: OpenDeadLetter) -> LetterId:
    """The id of a dead letter."""
    return LetterId(LetterKind.DEAD_LETTER, letter.id)


def body_id(body: QuarantinedBody) -> LetterId:
    """The id of a quarantined body."""
    return LetterId(LetterKind.QUARANTINED_BODY, body.id)


def share_id(share: FailedShare) -> LetterId:
    """The id of a failed share."""
    return LetterId(LetterKind.FAILED_SHARE, share.id)


def retry_outcome(letter: OpenDeadLetter, channel: Channel | None) -> RetryOutcome:
    """Decide what a retry can do, given the current state of its channel."""
    if channel is None:
        return RetryOutcome.UNKNOWN_CHANNEL
    if letter.reason == EXTERNAL and is_external(letter.card, channel):
        return RetryOutcome.EXTERNAL_CHANNEL
    if letter.reason in CHANNEL_REASONS | {EXTERNAL} and channel.state is not ChannelState.OPEN:
        return RetryOutcome.CHANNEL_CHECKED
    return RetryOutcome.RETRIED


async def _retry(store: Store, letter: OpenDeadLetter, now: float) -> RetryOutcome:
    """Retry by the card's state inside the transaction: relay may have retried it a moment ago."""
    in_doubt = await _attempts_in_doubt(store, letter) if letter.in_doubt else ()
    outcome = RetryOutcome.RETRIED

    def decide(context: CardContext) -> CardUpdate:
        nonlocal outcome
        outcome, update = _decide(context, letter, in_doubt, now)
        return update

    await store.update_card(letter.card.id, decide)
    return outcome


def _decide(
    context: CardContext, letter: OpenDeadLetter, in_doubt: Sequence[Attempt], now: float
) -> tuple[RetryOutcome, CardUpdate]:
    card = context.card
    unposted = card.is_current and card.ts is None
    late_reply = letter.unreported if card.is_current and card.ts is not None else None
    if unposted and card.state is not CardState.REJECTED:
        return RetryOutcome.ALREADY_RETRIED, CardUpdate()
    if late_reply and context.attempt is not None:
        return RetryOutcome.BUSY, CardUpdate()
    if in_doubt and (unposted or late_reply):
        return RetryOutcome.SEARCHING, retry_in_doubt(context, in_doubt, letter, now)
    if late_reply:
        return RetryOutcome.REPLY_RETRIED, retry_reply(context, late_reply, now)
    update = retry_card(context, now)
    cancelled = any(each.id == card.id and each.state is CardState.CANCELLED for each in update.cards)
    return RetryOutcome.CLOSED if cancelled else RetryOutcome.RETRIED, update


async def _attempts_in_doubt(store: Store, letter: OpenDeadLetter) -> tuple[Attempt, ...]:
    """The given-up attempts of the dead letter that may be in Slack; relay finds their messages by key."""
    kind, after = (REPLY, letter.unreported[0]) if letter.unreported else (ROOT, -1)
    return tuple(
        each
        for each in await store.rejected_attempts(letter.card.id)
        if (each.kind, each.generation) == (kind, letter.card.generation) and each.upto_seq > after
    )


# -- As text -----------------------------------------------------------------------------------------------------------


def tables(letters: Letters, names: ChannelNames) -> Iterator[Table]:
    """One table of each kind of letters; none for an empty list."""
    if letters.dead:
        table = Table("id", "since", "channel", "incident", "reason and remedy", title="Dead letters", box=None)
        for letter in letters.dead:
            reason = f"{letter.reason}: {letter.remedy}" if letter.remedy else letter.reason
            channel = channel_label(letter.card.channel, names)
            table.add_row(
                str(letter.id), format_time(letter.since), channel, letter.card.incident or letter.card.subject, reason
            )
        yield table
    if letters.shares:
        table = Table("id", "received", "incident", "tries", "error", title="Failed shares (not planned)", box=None)
        for share in letters.shares:
            received = format_time(share.received)
            table.add_row(str(share_id(share)), received, share.incident, str(share.tries), share.error)
        yield table
    if letters.bodies:
        table = Table("id", "received", "size", "reason", title="Quarantined bodies (not shares)", box=None)
        for body in letters.bodies:
            table.add_row(str(body_id(body)), format_time(body.received), f"{body.size} bytes", body.reason)
        yield table


def describe_result(result: RetryResult, names: ChannelNames) -> str:
    """One sentence: which letter, and the result."""
    channel = channel_label(result.letter.card.channel, names) if result.letter else ""
    where = f" ({result.letter.card.subject} in {channel})" if result.letter else ""
    sentence = _SENTENCES[result.outcome].format(channel=channel, detail=result.detail)
    return f"{result.id.description}{where}: {sentence}"


def describe_letter(letter: OpenDeadLetter, history: IncidentHistory | None, names: ChannelNames) -> Iterator[str]:
    """A dead letter with its incident, its card, and Slack's last answers."""
    card = letter.card
    yield f"dead letter {letter.id}: {card.subject} in {channel_label(card.channel, names)}"
    if history is not None:
        yield f"  title    {history.state.record.title}"
    yield f"  since    {format_time(letter.since)}"
    yield f"  reason   {letter.reason}"
    yield f"  remedy   {letter.remedy or 'unknown'}"
    yield f"  route    {card.route or 'none: the fallback'}"
    yield f"  card     {card.state}, episode {card.episode}" + (
        f", posted as {card.ts}" if card.ts else ", never posted"
    )
    if letter.unreported and history is not None:
        after, upto = letter.unreported
        variables = template_variables(read_incident(history.state.record))
        unreported = [entry for entry in history.entries if after < entry.seq <= upto]
        for line in (line for entry in unreported for line in entry_lines(entry, variables)):
            yield f"  missing  {line}"
    calls = history.calls.get(card.id, ()) if history is not None else ()
    for call in calls[-_MAX_CALLS:]:
        fields = (f", {name} {value}" for name, value in call.answer.items() if name not in _NOT_SHOWN)
        answer = call.answer.get("answer", "?")
        yield f"  Slack    {format_time(call.at)}  {call.method}: {answer}{''.join(fields)}"
    yield f"  retry    relay letters retry {letter.id}"
    yield f'  discard  relay letters discard {letter.id} --reason "why nobody needs it"'


def describe_share(share: FailedShare, body: ShareBody) -> Iterator[str]:
    """A share that could not be planned: its error, and then its text."""
    yield f"{share_id(share).description}: incident {share.incident}, received {format_time(share.received)}"
    yield f"  error    {share.error}"
    yield f"  tries    {share.tries}; {_next_try(share)}"
    yield f"  retry    relay letters retry {share_id(share)}"
    yield f'  discard  relay letters discard {share_id(share)} --reason "why nobody needs it"'
    yield ""
    yield body.body.decode(errors="replace")


def _next_try(share: FailedShare) -> str:
    if share.retry_at is None:
        return "relay tries again only after an upgrade, a change of the configuration, or a retry"
    return f"relay tries again at {format_time(share.retry_at)}"


def describe_body(body: QuarantinedBody) -> Iterator[str]:
    """A quarantined body: what is known about it, and then its text."""
    yield f"{body_id(body).description}: {body.reason}, received {format_time(body.received)}, {len(body.body)} bytes"
    yield from (f"  {name}: {value}" for name, value in body.headers.items() if value)
    yield ""
    yield body.body.decode(errors="replace")


# -- As JSON -----------------------------------------------------------------------------------------------------------


def letter_as_json(letter: OpenDeadLetter, history: IncidentHistory | None = None) -> dict[str, JSON]:
    """A dead letter with its card; with a history, also the incident's title and Slack's answers about the card."""
    document: dict[str, Any] = orjson.loads(orjson.dumps(letter, default=plain, option=orjson.OPT_NON_STR_KEYS))
    document |= {"id": str(dead_letter_id(letter)), "kind": LetterKind.DEAD_LETTER.name.lower()}
    if history is not None:
        document["title"] = history.state.record.title
        document["calls"] = orjson.loads(orjson.dumps(history.calls.get(letter.card.id, ())))
    return document


def share_as_json(share: FailedShare, body: ShareBody | None = None) -> dict[str, JSON]:
    """A share that could not be planned, with its text if the body is given."""
    document: dict[str, JSON] = orjson.loads(orjson.dumps(share))
    document |= {"id": str(share_id(share)), "kind": LetterKind.FAILED_SHARE.name.lower()}
    return document | ({} if body is None else {"body": body.body.decode(errors="replace")})


def body_as_json(body: QuarantinedBody, *, whole: bool = False) -> dict[str, JSON]:
    """A quarantined body; `whole` with its text, in which bytes that are not UTF-8 are replaced."""
    document: dict[str, JSON] = {
        "id": str(body_id(body)),
        "kind": LetterKind.QUARANTINED_BODY.name.lower(),
        "received": body.received,
        "reason": body.reason,
        "headers": dict(body.headers),
        "size": body.size,
    }
    return document | {"body": body.body.decode(errors="replace")} if whole else document
