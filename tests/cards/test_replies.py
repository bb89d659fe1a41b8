"""Replies: what is in one, in which order, how many lines, whom it pings, and when it is due."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cards.model import Entry
from relay.cards.replies import MAX_LINES, next_reply, reply_due
from relay.model.entry_kinds import EntryKind
from relay.model.incident import State
from relay.model.reading import read_incident
from relay.model.struct import replace
from relay.routes.parser.parse import parse_rulebook
from tests.support.share_sequences import START, ShareSequence, alert, share

NOC = "C0NOC00001"
ROUTES = """
version: 1
routes:
  - name: all
    post: [{channel: C0NOC00001, mention: {critical: [S0CRIT], warning: [S0WARN], reopened: [S0BACK], any: [here]}}]
"""


def with_posted_card(routes=ROUTES, **reported):
    """An incident whose card is posted as a warning."""
    sequence = ShareSequence(rulebook=parse_rulebook(routes))
    sequence.add(share(0, **{"status": "warning", "alerts": [alert(status="warning")], **reported}))
    sequence.post_card(NOC)
    return sequence


def replies(sequence, at):
    """All due replies of the card, one after the other, as delivery sends them."""
    card, sent = sequence.cards[NOC, 1], []
    while True:
        unreported = [entry for entry in sequence.entries if entry.seq > card.reported_seq]
        reply = next_reply(card, read_incident(sequence.incident_state.record), unreported, START + at)
        if reply is None:
            return sent
        sent.append(reply)
        card = replace(card, reported_seq=reply.upto_seq, worst=reply.worst.recent, episode_worst=reply.worst.episode)
        card = replace(
            card, reopening_reported_at=START + at if reply.reports_reopening else card.reopening_reported_at
        )


def kinds(reply):
    return [str(entry.kind) for entry in reply.entries]


def test_several_entries_make_one_reply_in_order():
    sequence = with_posted_card()
    sequence.add(share(60, status="critical"))
    sequence.add(share(61, snooze={"snoozed": True, "wake": START + 900}))
    sequence.add(share(62, metadata={"comment": {"comment": "on it"}}))
    [reply] = replies(sequence, 63)
    assert kinds(reply) == ["status", "snooze", "comment"]


def test_a_rise_pings_the_people_of_its_state_and_is_due_within_five_seconds():
    sequence = with_posted_card()
    sequence.add(share(60, status="critical"))
    [reply] = replies(sequence, 61)
    assert reply.targets == ("S0CRIT", "here")
    due = sequence.cards[NOC, 1].post
    assert (due.at - START, due.deadline - START, due.urgent) == (60, 65, True)


def test_a_rise_that_is_over_before_it_is_reported_pings_nobody():
    sequence = with_posted_card()
    sequence.add(share(60, status="critical"))
    sequence.add(share(61, status="warning"))
    [reply] = replies(sequence, 62)
    assert reply.targets == ()


def test_a_state_not_worse_than_a_reported_one_is_not_a_rise():
    sequence = with_posted_card(status="critical")
    sequence.add(share(60, status="warning"))
    sequence.add(share(120, status="critical"))
    assert replies(sequence, 121)[0].targets == ()


def test_a_state_that_was_over_before_the_first_post_does_not_hide_a_later_rise():
    sequence = with_posted_card()
    sequence.add(share(60, status="critical"))
    sequence.add(share(120, status="warning"))
    sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], root_seq=2)  # what the root shows was the state by then
    sequence.add(share(600, status="critical"))
    [reply] = replies(sequence, 601)
    assert (kinds(reply), reply.targets) == (["status"], ("S0CRIT", "here"))


def test_a_reopening_pings_once_in_half_an_hour_and_is_broadcast_alone():
    sequence = with_posted_card()
    sequence.add(share(60, status="ok"))
    sequence.add(share(120, status="warning", metadata={"comment": {"comment": "again"}}))
    first, second, third = replies(sequence, 121)
    assert (kinds(first), first.targets, first.broadcast) == (["resolved"], (), False)
    assert (kinds(second), second.targets, second.broadcast) == (["reopened"], ("S0BACK", "here"), True)
    assert kinds(third) == ["comment"]
    sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], reopening_pinged_at=START + 100.0)
    assert all(not reply.targets for reply in replies(sequence, 121))


@pytest.mark.parametrize(
    ("flapped", "ended", "reopened", "told_last", "aloud"),
    [
        pytest.param(False, 60, 120, None, True, id="the end was reported at once, the flag came with the reopening"),
        pytest.param(True, 60, 10_860, None, True, id="the end flapped too, and was reported hours ago"),
        pytest.param(True, 60, 660, None, True, id="the end flapped too, and was just reported"),
        pytest.param(True, 60, 659, None, False, id="the end flapped too, and still waits for company"),
        pytest.param(True, 4000, 5799, 4000, False, id="another reopening was reported within half an hour"),
        pytest.param(True, 4000, 5800, 4000, True, id="another reopening was reported half an hour ago"),
        pytest.param(False, 4000, 5799, 4000, False, id="another was reported within half an hour, the end at once"),
    ],
)
def test_a_reopening_after_a_reported_end_is_broadcast_at_once_while_it_flaps(
    flapped, ended, reopened, told_last, aloud
):
    sequence = with_posted_card(flapping=flapped)
    sequence.add(share(ended, status="ok"))
    at = None if told_last is None else START + told_last
    sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], reported_seq=1, post=None, reopening_reported_at=at)
    sequence.add(share(reopened, status="warning", flapping=True))
    first = replies(sequence, reopened + 1)[0]
    assert (kinds(first)[0], first.broadcast, first.reports_reopening, first.targets) == ("reopened", aloud, aloud, ())
    began_to_flap = not flapped  # which is reported at once, with what waits
    assert sequence.cards[NOC, 1].post.at - START == (reopened if aloud or began_to_flap else reopened + 600)


def test_only_one_of_two_waiting_reopenings_is_broadcast_while_it_flaps():
    sequence = with_posted_card(flapping=True)
    for at, status in [(60, "ok"), (700, "warning"), (760, "ok"), (1500, "warning")]:
        sequence.add(share(at, status=status))
    assert [(kinds(reply), reply.broadcast) for reply in replies(sequence, 1501)] == [
        (["resolved"], False),
        (["reopened"], True),
        (["status"], False),
    ]


def test_a_reopening_that_is_over_before_it_is_reported_is_not_broadcast_while_it_flaps():
    sequence = with_posted_card(flapping=True)
    for at, status in [(60, "ok"), (700, "warning"), (701, "ok")]:
        sequence.add(share(at, status=status))
    [reply] = replies(sequence, 702)
    assert (kinds(reply), reply.broadcast) == (["status"], False)


def test_a_rise_is_broadcast_while_it_flaps_if_the_route_says_so():
    sequence = with_posted_card(ROUTES + "    broadcast: [rise]\n", flapping=True)
    sequence.add(share(60, status="critical"))
    [reply] = replies(sequence, 61)
    assert (kinds(reply), reply.targets, reply.broadcast) == (["status"], ("S0CRIT", "here"), True)


def test_an_end_pings_nobody_and_is_due_within_a_minute():
    sequence = with_posted_card()
    sequence.add(share(60, status="ok"))
    [reply] = replies(sequence, 61)
    assert reply.targets == ()
    assert sequence.cards[NOC, 1].post.deadline == START + 120


def test_tags_and_alerts_are_batched_and_any_other_entry_sends_them_at_once():
    sequence = with_posted_card()
    sequence.add(share(400, incidentTags=[{"id": "a", "value": "1"}]))
    assert sequence.cards[NOC, 1].post.at == START + 520
    sequence.add(share(410, metadata={"comment": {"comment": "hm"}}))
    assert sequence.cards[NOC, 1].post.at == START + 410
    assert [kinds(reply) for reply in replies(sequence, 411)] == [["tags", "comment"]]


def test_a_tag_that_changed_twice_is_reported_from_its_first_to_its_last_value():
    sequence = with_posted_card(incidentTags=[{"id": "a", "value": "1"}, {"id": "b", "value": "1"}])
    sequence.add(share(400, incidentTags=[{"id": "a", "value": "2"}, {"id": "b", "value": "2"}]))
    sequence.add(share(401, incidentTags=[{"id": "a", "value": "3"}, {"id": "b", "value": "1"}]))
    [reply] = replies(sequence, 402)
    assert reply.entries[0].data["items"] == [{"label": "A", "old": "1", "new": "3"}]


def test_a_tag_that_has_its_first_value_again_is_not_reported():
    sequence = with_posted_card(incidentTags=[{"id": "a", "value": "1"}])
    sequence.add(share(400, incidentTags=[{"id": "a", "value": "2"}]))
    sequence.add(share(401, incidentTags=[{"id": "a", "value": "1"}]))
    [reply] = replies(sequence, 402)
    assert reply.entries == ()


def test_the_thread_option_omits_kinds_but_never_a_reply_that_pings():
    routes = ROUTES + "    thread: [comment]\n"
    sequence = with_posted_card(routes)
    sequence.add(share(400, incidentTags=[{"id": "a", "value": "1"}], snooze={"snoozed": True}))
    assert sequence.cards[NOC, 1].post is None
    assert replies(sequence, 401) == []
    sequence.add(share(402, snooze={"snoozed": False}, status="critical"))
    [reply] = replies(sequence, 403)
    assert (kinds(reply), reply.targets) == (["status"], ("S0CRIT", "here"))


def test_a_reopening_that_pings_is_as_urgent_as_a_rise_and_another_has_a_minute():
    def due(reopening_pinged_at):
        sequence = with_posted_card()
        sequence.add(share(60, status="ok"))
        reported = {"reported_seq": 1, "post": None, "reopening_pinged_at": reopening_pinged_at}
        sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], **reported)
        sequence.add(share(120, status="warning"))
        return sequence.cards[NOC, 1].post

    assert (due(None).deadline - START, due(None).urgent) == (125, True)
    assert (due(START + 100.0).deadline - START, due(START + 100.0).urgent) == (180, False)


def test_a_reply_repeats_nothing_that_the_first_post_shows_except_a_comment():
    sequence = with_posted_card()
    sequence.add(share(60, status="critical", metadata={"comment": {"comment": "on it"}}))
    sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], root_seq=2)
    [reply] = replies(sequence, 61)
    assert (kinds(reply), reply.targets) == (["comment"], ())


def test_a_skipped_reopening_is_not_in_a_later_reply():
    sequence = with_posted_card(ROUTES + "    thread: [comment]\n")
    sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], reopening_pinged_at=START + 60.0)
    sequence.add(share(100, status="ok"))
    sequence.add(share(120, status="warning"))
    assert (sequence.cards[NOC, 1].post, sequence.cards[NOC, 1].reported_seq) == (None, 2)
    sequence.add(share(5000, status="warning", metadata={"comment": {"comment": "hm"}}))
    [reply] = replies(sequence, 5001)
    assert (kinds(reply), reply.targets) == (["comment"], ())
    sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], reported_seq=3)
    sequence.add(share(5060, status="critical"))
    assert replies(sequence, 5061)[0].targets == ("S0CRIT", "here")


def test_a_skipped_state_still_counts_as_shown():
    sequence = with_posted_card(
        "version: 1\nroutes: [{name: a, thread: [], post: [{channel: C0NOC00001, mention: {warning: [S0WARN]}}]}]\n",
        status="unknown",
    )
    for number, status in enumerate(["critical", "unknown", "warning"]):
        sequence.add(share(60 + number, status=status))
    assert sequence.cards[NOC, 1].post is None
    assert replies(sequence, 70) == []


def test_state_changes_while_it_flaps_wait_and_become_one_line_with_their_number():
    sequence = with_posted_card(flapping=True, status="critical")
    for number, status in enumerate(["warning", "critical", "ok", "critical"]):
        sequence.add(share(60 + number, status=status))
    assert sequence.cards[NOC, 1].post.at == START + 660
    [reply] = replies(sequence, 700)
    assert kinds(reply) == ["status"]
    assert reply.entries[0].data == {"text": "changed state 4 times while flapping", "now": "critical", "times": 4}
    assert (reply.targets, reply.broadcast) == ((), False)


def test_while_it_flaps_only_a_state_worse_than_any_in_the_episode_pings():
    sequence = with_posted_card(flapping=True)
    sequence.add(share(60, status="ok"))
    sequence.add(share(61, status="warning"))
    sequence.add(share(62, status="critical"))
    [reply] = replies(sequence, 63)
    assert kinds(reply) == ["status", "status"]
    assert reply.targets == ("S0CRIT", "here")
    assert sequence.cards[NOC, 1].post.urgent


def test_while_it_is_snoozed_a_rise_pings_and_a_reopening_does_not():
    sequence = with_posted_card(snooze={"snoozed": True})
    sequence.add(share(60, status="ok"))
    sequence.add(share(61, status="warning"))
    assert [reply.targets for reply in replies(sequence, 62)] == [(), ()]
    sequence.add(share(63, status="critical"))
    assert replies(sequence, 64)[-1].targets == ("S0CRIT", "here")


def test_while_it_is_snoozed_a_reopening_to_the_worst_state_yet_is_a_rise():
    sequence = with_posted_card(snooze={"snoozed": True})
    sequence.add(share(60, status="ok"))
    sequence.add(share(61, status="critical"))
    assert [reply.targets for reply in replies(sequence, 62)] == [(), ("S0CRIT", "here")]


def test_a_state_reported_while_it_flapped_does_not_hide_a_later_rise():
    sequence = with_posted_card()
    sequence.cards[NOC, 1] = replace(
        sequence.cards[NOC, 1], episode_worst=State.CRITICAL
    )  # before a reopening as a warning
    sequence.add(share(60, status="unknown", flapping=True))
    [reply] = replies(sequence, 61)
    assert (reply.worst.recent, reply.worst.episode) == (State.WARNING, State.CRITICAL)
    shown = {"reported_seq": reply.upto_seq, "worst": reply.worst.recent, "episode_worst": reply.worst.episode}
    sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], **shown)
    sequence.add(share(120, status="critical", flapping=False))
    assert replies(sequence, 121)[0].targets == ("S0CRIT", "here")


def test_a_reply_has_at_most_twenty_lines_and_the_rest_follows():
    sequence = with_posted_card()
    for number in range(30):
        sequence.add(share(400 + number, metadata={"comment": {"comment": f"line {number}"}}))
    sent = replies(sequence, 500)
    assert [len(reply.entries) for reply in sent] == [10, 10, 10]


KINDS = st.sampled_from(list(EntryKind))
DATA = st.fixed_dictionaries(
    {"new": st.sampled_from([str(state) for state in State]), "text": st.text(max_size=5)},
)


@st.composite
def entries(draw):
    made = []
    for seq, kind in enumerate(draw(st.lists(KINDS, max_size=40)), start=1):
        data = {"items": [{"label": str(seq), "old": "", "new": "x"}]} | draw(DATA)
        if draw(st.booleans()):
            data["while_flapping"] = True
        made.append(Entry(seq=seq, key=str(seq), kind=kind, at=START, data=data))
    return made


@given(entries(), st.sampled_from([(), ("comment",), ("status", "tags")]), st.sampled_from([(), ("reopened", "rise")]))
def test_every_entry_is_reported_exactly_once_and_in_order(some, thread, broadcast):
    sequence = with_posted_card()
    options = replace(
        sequence.cards[NOC, 1].options, thread=thread or ("status", "comment", "tags", "alerts"), broadcast=broadcast
    )
    sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], options=options, reported_seq=0)
    sequence.entries = some
    sent = replies(sequence, 10)
    ranges = [reply.upto_seq for reply in sent]
    assert ranges == sorted(set(ranges))
    reported = [entry.seq for reply in sent for entry in reply.entries]
    assert reported == sorted(set(reported))
    assert all(len(reply.entries) <= MAX_LINES for reply in sent)
    comments = [entry.seq for entry in some if entry.kind is EntryKind.COMMENT and "comment" in options.thread]
    assert [seq for seq in reported if some[seq - 1].kind is EntryKind.COMMENT] == comments


@given(entries())
def test_a_reply_is_due_exactly_when_there_is_one(some):
    sequence = with_posted_card()
    card = replace(sequence.cards[NOC, 1], reported_seq=0)
    incident = read_incident(sequence.incident_state.record)
    assert (reply_due(card, incident, some, START) is None) == (next_reply(card, incident, some, START) is None)
