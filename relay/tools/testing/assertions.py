"""What a rehearsal came to, against what was expected of it: every difference, at the place that expected otherwise."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, get_close_matches

from relay.cards.model import CardState
from relay.routes.parser.context import Position
from relay.tools.as_read import ChannelNames, channel_label, message_text, slack_error
from relay.tools.simulate import SentMessage, SimulatedCard, Simulation
from relay.tools.testing.model import (
    CardExpected,
    ExpectationFailure,
    Expected,
    ExpectedList,
    Phrase,
    ReplyExpected,
    Wording,
)


def check_expectations(rehearsal: Simulation, expected: Expected, names: ChannelNames) -> Iterator[ExpectationFailure]:
    """Every expectation that is not met."""
    if expected.routes is not None:
        yield from _list(expected.routes, rehearsal.routes, "the routes that took the last share")
    cards = {played.card.channel: played for played in rehearsal.cards if _stands(played)}
    if expected.channels is not None:
        yield from _list(expected.channels, tuple(cards), "the channels with a card", names)
    for card in expected.cards:
        if (played := cards.get(card.ref)) is None:
            there = ", ".join(channel_label(ref, names) for ref in cards) or "none"
            yield ExpectationFailure(
                spot=card.spot, message=f"there is no card in {card.written}; there are cards in: {there}"
            )
        else:
            yield from _card(played, card, names)


def check_messages(rehearsal: Simulation, spot: Position, names: ChannelNames) -> Iterator[ExpectationFailure]:
    """What holds for every message of every test: Slack takes it, and no template failed."""
    for played in rehearsal.cards:
        messages = (played.first, played.root, *played.replies)
        for sent in dict.fromkeys(sent for sent in messages if sent is not None):
            where = f"a message in {channel_label(played.card.channel, names)}"
            if found := slack_error(sent.message):
                yield ExpectationFailure(spot=spot, message=f"{where} does not fit: Slack would refuse it with {found}")
            for failure in sent.rendered.failures:
                yield ExpectationFailure(spot=spot, message=f"a template failed for {where}: {failure}")


def _stands(played: SimulatedCard) -> bool:
    return played.root is not None and played.card.state is not CardState.SUPERSEDED


def _card(played: SimulatedCard, expected: CardExpected, names: ChannelNames) -> Iterator[ExpectationFailure]:
    first, root = played.first, played.root
    if first is None or root is None:
        return
    what = f"the card in {expected.written}"
    if expected.route is not None:
        yield from _list(expected.route, (played.card.route,), f"the route of {what}")
    if expected.pings is not None:
        yield from _list(expected.pings, first.pings, f"whom {what} pinged")
    yield from _wording(expected.wording, message_text(root.message, names), what)
    yield from _wording(expected.notification, root.message.text, f"the notification of {what}")
    told = [str(entry.kind) for reply in played.replies for entry in reply.entries]
    if expected.entries is not None and expected.entries[0] != len(told):
        number, spot = expected.entries
        message = f"expected {number} entries in the thread of {what}, found {len(told)}: {', '.join(told) or 'none'}"
        yield ExpectationFailure(spot=spot, message=message)
    if expected.thread is not None:
        yield from _thread(played.replies, expected, names)


def _thread(
    replies: Sequence[SentMessage], expected: CardExpected, names: ChannelNames
) -> Iterator[ExpectationFailure]:
    wanted = expected.thread or ()
    if len(replies) != len(wanted):
        yield ExpectationFailure(
            spot=expected.thread_spot,
            message=f"expected {_counted(len(wanted))} under the card in {expected.written}, found {len(replies)}",
            diff=tuple(f"+ {' / '.join(message_text(reply.message, names).splitlines())}" for reply in replies),
        )
    for number, (reply, each) in enumerate(zip(replies, wanted, strict=False), start=1):
        yield from _reply(reply, each, f"reply {number} in {expected.written}", names)


def _reply(reply: SentMessage, expected: ReplyExpected, what: str, names: ChannelNames) -> Iterator[ExpectationFailure]:
    yield from _wording(expected.wording, message_text(reply.message, names), what)
    if expected.tells is not None:
        yield from _list(expected.tells, tuple(str(entry.kind) for entry in reply.entries), f"what {what} tells")
    if expected.pings is not None:
        yield from _list(expected.pings, reply.pings, f"whom {what} pings")
    if expected.broadcast is not None and expected.broadcast is not reply.broadcast:
        is_shown = "is shown" if reply.broadcast else "is not shown"
        yield ExpectationFailure(
            spot=expected.spot, message=f"{what} {is_shown} in the channel too; expected the opposite"
        )


def _counted(number: int) -> str:
    return "one reply" if number == 1 else f"{number or 'no'} replies"


def _list(
    expected: ExpectedList, found: Sequence[str], what: str, names: ChannelNames | None = None
) -> Iterator[ExpectationFailure]:
    """The same things, in whatever order."""
    wanted, there = sorted(expected.values), sorted(found)
    if wanted == there:
        return
    yield ExpectationFailure(
        spot=expected.spot, message=f"{what}: not as expected", diff=tuple(_diff(wanted, there, names or {}))
    )


def _diff(wanted: Sequence[str], there: Sequence[str], names: ChannelNames) -> Iterator[str]:
    for kind, one, one_end, other, other_end in SequenceMatcher(a=wanted, b=there, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (f"  {channel_label(each, names)}" for each in wanted[one:one_end])
            continue
        yield from (f"- {channel_label(each, names) or '(the fallback)'}" for each in wanted[one:one_end])
        yield from (f"+ {channel_label(each, names) or '(the fallback)'}" for each in there[other:other_end])


def _wording(expected: Wording, shown: str, what: str) -> Iterator[ExpectationFailure]:
    for phrase in expected.says:
        if not phrase.found_in(shown):
            message = f"{what} does not say {phrase.written!r}"
            yield ExpectationFailure(spot=phrase.spot, message=message, diff=tuple(_reads(phrase, shown)))
    for phrase in expected.lacks:
        if phrase.found_in(shown):
            diff = tuple(f"+ {line}" if phrase.found_in(line) else f"  {line}" for line in shown.splitlines())
            yield ExpectationFailure(spot=phrase.spot, message=f"{what} says {phrase.written!r}", diff=diff)


def _reads(phrase: Phrase, shown: str) -> Iterator[str]:
    """The message, with what was expected before the line that comes nearest to it."""
    lines = shown.splitlines()
    near = get_close_matches(phrase.written, lines, n=1, cutoff=0.5)
    place = lines.index(near[0]) if near else len(lines)
    for number, line in enumerate(lines):
        if number == place:
            yield f"- {phrase.written}"
            yield f"+ {line}"
        else:
            yield f"  {line}"
    if not near:
        yield f"- {phrase.written}"
