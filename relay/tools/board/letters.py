"""Dead letters, failed shares and quarantined bodies: what the page shows, and what its buttons do."""

from collections.abc import Sequence
from dataclasses import dataclass

from relay.store.types import FailedShare, OpenDeadLetter, QuarantinedBody
from relay.tools import letters as tool
from relay.tools.board.source import BoardSource
from relay.tools.letters import LetterId, LetterKind, RetryResult, describe_result
from relay.tools.message_text import channel_label

MAX_LETTERS = 200
"""Letters of a kind that are listed."""

MAX_REASON = 300
"""Characters of the reason why nobody needs a letter, with the person's name."""

MOST_READ = 2 * MAX_LETTERS
"""Dead letters that are read: some are of cards that only stand in for others, and are not listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LettersPage:
    """The page, each kind with the oldest first. `omitted` counts what is not listed."""

    dead: tuple[tuple[OpenDeadLetter, str], ...]
    shares: tuple[FailedShare, ...]
    bodies: tuple[QuarantinedBody, ...]
    omitted: int

    @property
    def empty(self) -> bool:
        """Whether there is no letter."""
        return not (self.dead or self.shares or self.bodies)


async def read_letters(source: BoardSource) -> LettersPage:
    """Read the page; each dead letter with its channel in words. Raises StoreError: the database failed."""
    letters, names = await tool.load_letters(source.store, most_dead=MOST_READ), await source.names()
    backlog = await source.store.backlog(source.clock.now())
    dead = letters.dead[:MAX_LETTERS]
    left_out = max(0, backlog.dead_letters - len(dead))
    return LettersPage(
        dead=tuple((each, channel_label(each.card.channel, names)) for each in dead),
        shares=letters.shares[:MAX_LETTERS],
        bodies=letters.bodies[:MAX_LETTERS],
        omitted=left_out + sum(len(each[MAX_LETTERS:]) for each in (letters.shares, letters.bodies)),
    )


async def retry_letter(source: BoardSource, letter: LetterId) -> str:
    """Retry a letter; return what happened, in a sentence. Raises StoreError: the database failed."""
    store, now = source.store, source.clock.now()
    results: Sequence[RetryResult]
    match letter.kind:
        case LetterKind.FAILED_SHARE:
            results = [await tool.retry_share(store, letter.number, source.decide, now)]
        case LetterKind.QUARANTINED_BODY:
            results = [await tool.retry_body(store, letter.number, source.decide)]
        case LetterKind.DEAD_LETTER:
            found = await store.dead_letters(number=letter.number)
            results = await tool.retry(store, found, now) or [_unknown(letter)]
    source.wake()
    return describe_result(results[0], await source.names())


async def discard_letter(source: BoardSource, letter: LetterId, reason: str) -> str:
    """Close a letter that nobody needs; the same."""
    if len(reason) > MAX_REASON:
        return f"The reason has more than {MAX_REASON} characters; {letter.description} is kept."
    [result] = await tool.discard(source.store, [letter], reason, source.clock.now())
    return describe_result(result, await source.names())


async def letter_body(source: BoardSource, letter: LetterId) -> bytes | None:
    """Return a failed share or a quarantined body as it was sent; None if there is none with that id (any more)."""
    if letter.kind is LetterKind.FAILED_SHARE:
        share = await source.store.unplanned_body(letter.number)
        return None if share is None else share.body
    if letter.kind is LetterKind.QUARANTINED_BODY:
        body = await source.store.quarantined_body(letter.number)
        return None if body is None else body.body
    return None


def _unknown(letter: LetterId) -> RetryResult:
    return RetryResult(id=letter, outcome=tool.RetryOutcome.UNKNOWN_LETTER)
