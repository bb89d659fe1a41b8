"""A decision about a card sees only the first of very many entries: nothing is lost, repeated or forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from relay.cards import send
from relay.cards.failures import retry_card
from relay.cards.model import CardContext, Channel, ChannelState, Entry
from relay.cards.send import begin_post
from relay.cards.steps import PostReply, ShownRoot
from relay.model.entry_kinds import EntryKind
from relay.model.struct import replace
from relay.routes.parser.parse import parse_rulebook
from relay.slack.outcomes import Delivered
from tests.support.share_sequences import START, ShareSequence, alert, share

NOC = "C0NOC00001"
ROUTES = "{version: 1, routes: [{name: all, thread: [status, comment], post: [C0NOC00001]}]}"
POSTED = Delivered(channel=NOC, ts="1700000000.000200")
SHOWN = ShownRoot(fingerprint="x", version=1, ended=None)

entry_kinds = st.sampled_from(["comment", "snooze", "state", "silent"])


def entry(seq, kind):
    match kind:
        case "comment":
            data, of = {"text": f"says {seq}\n" * (seq % 3 + 1), "author": ""}, EntryKind.COMMENT
        case "state":
            data, of = {"old": "critical", "new": "warning"}, EntryKind.STATUS
        case "snooze":
            data, of = {"snoozed": True}, EntryKind.SNOOZE
        case _:
            data, of = {"items": [], "more": 1}, EntryKind.TAGS
    return Entry(seq=seq, key=f"k{seq}", kind=of, at=START + seq, data=data)


def posted(entries):
    """The context of a card that is posted, with entries that it has not reported."""
    sequence = ShareSequence(rulebook=parse_rulebook(ROUTES))
    sequence.add(share(0, status="warning", alerts=[alert(status="warning")]))
    sequence.post_card(NOC)
    card = sequence.cards[NOC, 1]
    state = replace(sequence.incident_state, next_seq=card.reported_seq + len(entries) + 1)
    return CardContext(
        topic=state,
        card=replace(card, post=None),
        cards=(card,),
        entries=(),
        channel=Channel(ref=NOC, slack_id=NOC, state=ChannelState.OPEN),
    )


def window(context, entries, most):
    """The context as the store loads it."""
    rest = [each for each in entries if each.seq > context.card.reported_seq]
    return replace(context, entries=tuple(rest[:most]), more_entries=len(rest) > most)


def drained(context, entries, most):
    """The comments that replies report, in order, until nothing is due any more; and the last card."""
    comments = []
    context = replace(
        context, card=replace(context.card, post=send.next_due(window(context, entries, most), context.card, START))
    )
    for _ in range(2 * len(entries) + 2):
        if context.card.post is None:
            return comments, context.card
        context = window(context, entries, most)
        step = begin_post(context, START + 10_000)
        update = step.update
        if isinstance(step, PostReply):
            comments += [each.seq for each in step.reply.entries if each.kind is EntryKind.COMMENT]
            context = replace(context, attempt=step.attempt)
            update = send.apply_delivery(context, step, POSTED, SHOWN, START + 10_000)
        [card, *_] = update.cards
        assert card.reported_seq > context.card.reported_seq
        context = replace(context, card=card, attempt=None)
    raise AssertionError("it never ends")


@given(st.lists(entry_kinds, max_size=60), st.integers(1, 25))
def test_replies_report_the_same_comments_even_if_a_decision_sees_few_entries(kinds, most):
    start = posted(kinds)
    entries = [entry(start.card.reported_seq + 1 + number, kind) for number, kind in enumerate(kinds)]
    wanted = [each.seq for each in entries if each.kind is EntryKind.COMMENT]
    comments, card = drained(start, entries, most)
    assert comments == wanted
    assert drained(start, entries, len(entries) + 1)[0] == wanted
    if wanted:
        assert card.reported_seq >= wanted[-1]


def test_a_retried_card_also_reports_entries_that_its_decision_does_not_see():
    start = posted(["silent"] * 3 + ["comment"])
    seqs = range(start.card.reported_seq + 1, start.card.reported_seq + 5)
    entries = [entry(seq, kind) for seq, kind in zip(seqs, ["silent"] * 3 + ["comment"], strict=True)]
    update = retry_card(window(start, entries, 2), START)
    assert update.cards[0].post is not None
    assert retry_card(window(start, entries[:3], 5), START).cards[0].post is None
