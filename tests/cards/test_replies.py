"""What replies say: together, in order, within their lines, each entry once; who is pinged, and when."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.cards.model import Entry
from relay.cards.replies import MAX_LINES, next_reply, reply_due
from relay.model.entry_kinds import EntryKind
from relay.model.incident import State
from relay.model.reading import read_incident
from relay.routes.parser.parse import parse_rulebook
from tests.support.share_sequences import START, Life, alert, share

NOC = "C0NOC00001"
ROUTES = """
version: 1
routes:
  - name: all
    post: [{channel: C0NOC00001, mention: {critical: [S0CRIT], warning: [S0WARN], reopened: [S0BACK], any: [here]}}]
"""


def living(routes=ROUTES, **told):
    """An incident whose card is shown as a warning."""
    life = Life(rulebook=parse_rulebook(routes))
    life.take(share(0, **{"status": "warning", "alerts": [alert(status="warning")], **told}))
    life.show(NOC)
    return life


def replies(life, at):
    """All replies that the card owes, one after the other, as delivery would send them."""
    card, sent = life.cards[NOC, 1], []
    while True:
        untold = [entry for entry in life.entries if entry.seq > card.reported_seq]
        reply = next_reply(card, read_incident(life.story.record), untold, START + at)
        if reply is None:
            return sent
        sent.append(reply)
        card = replace(card, reported_seq=reply.upto_seq, worst=reply.worst.recent, episode_worst=reply.worst.episode)
        card = replace(
            card, reopening_reported_at=START + at if reply.reports_reopening else card.reopening_reported_at
        )


def kinds(reply):
    return [str(entry.kind) for entry in reply.entries]


def test_several_things_at_once_make_one_reply_in_order():
    life = living()
    life.take(share(60, status="critical"))
    life.take(share(61, snooze={"snoozed": True, "wake": START + 900}))
    life.take(share(62, metadata={"comment": {"comment": "on it"}}))
    [reply] = replies(life, 63)
    assert kinds(reply) == ["status", "snooze", "comment"]


def test_a_rise_pings_whom_the_state_names_and_is_due_within_five_seconds():
    life = living()
    life.take(share(60, status="critical"))
    [reply] = replies(life, 61)
    assert reply.targets == ("S0CRIT", "here")
    due = life.cards[NOC, 1].post
    assert (due.at - START, due.deadline - START, due.urgent) == (60, 65, True)


def test_a_rise_that_has_passed_before_it_is_told_pings_nobody():
    life = living()
    life.take(share(60, status="critical"))
    life.take(share(61, status="warning"))
    [reply] = replies(life, 62)
    assert reply.targets == ()


def test_a_state_no_worse_than_one_told_before_is_no_rise():
    life = living(status="critical")
    life.take(share(60, status="warning"))
    life.take(share(120, status="critical"))
    assert replies(life, 121)[0].targets == ()


def test_a_step_that_was_over_before_the_first_post_does_not_hide_a_later_rise():
    life = living()
    life.take(share(60, status="critical"))
    life.take(share(120, status="warning"))
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], root_seq=2)  # what the root shows was the state by then
    life.take(share(600, status="critical"))
    [reply] = replies(life, 601)
    assert (kinds(reply), reply.targets) == (["status"], ("S0CRIT", "here"))


def test_a_reopening_pings_its_people_once_in_half_an_hour_and_is_broadcast_alone():
    life = living()
    life.take(share(60, status="ok"))
    life.take(share(120, status="warning", metadata={"comment": {"comment": "again"}}))
    first, second, third = replies(life, 121)
    assert (kinds(first), first.targets, first.broadcast) == (["resolved"], (), False)
    assert (kinds(second), second.targets, second.broadcast) == (["reopened"], ("S0BACK", "here"), True)
    assert kinds(third) == ["comment"]
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], reopening_pinged_at=START + 100.0)
    assert all(not reply.targets for reply in replies(life, 121))


@pytest.mark.parametrize(
    ("flapped", "ended", "reopened", "told_last", "aloud"),
    [
        pytest.param(False, 60, 120, None, True, id="the end was told at once, the flag came with the reopening"),
        pytest.param(True, 60, 10_860, None, True, id="the end flapped too, and has been told for hours"),
        pytest.param(True, 60, 660, None, True, id="the end flapped too, and has just been told"),
        pytest.param(True, 60, 659, None, False, id="the end flapped too, and still waits for company"),
        pytest.param(True, 4000, 5799, 4000, False, id="another reopening was told within half an hour"),
        pytest.param(True, 4000, 5800, 4000, True, id="another reopening was told half an hour ago"),
        pytest.param(False, 4000, 5799, 4000, False, id="another was told within half an hour, the end at once"),
    ],
)
def test_what_is_back_after_its_end_was_told_is_broadcast_at_once_though_it_flaps_and_pings_nobody(
    flapped, ended, reopened, told_last, aloud
):
    life = living(flapping=flapped)
    life.take(share(ended, status="ok"))
    at = None if told_last is None else START + told_last
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], reported_seq=1, post=None, reopening_reported_at=at)
    life.take(share(reopened, status="warning", flapping=True))
    first = replies(life, reopened + 1)[0]
    assert (kinds(first)[0], first.broadcast, first.reports_reopening, first.targets) == ("reopened", aloud, aloud, ())
    began_to_flap = not flapped  # which is told at once, and takes along what waits
    assert life.cards[NOC, 1].post.at - START == (reopened if aloud or began_to_flap else reopened + 600)


def test_of_two_reopenings_that_wait_together_while_it_flaps_one_is_broadcast():
    life = living(flapping=True)
    for at, status in [(60, "ok"), (700, "warning"), (760, "ok"), (1500, "warning")]:
        life.take(share(at, status=status))
    assert [(kinds(reply), reply.broadcast) for reply in replies(life, 1501)] == [
        (["resolved"], False),
        (["reopened"], True),
        (["status"], False),
    ]


def test_a_reopening_that_is_over_again_before_it_is_told_is_not_broadcast_while_it_flaps():
    life = living(flapping=True)
    for at, status in [(60, "ok"), (700, "warning"), (701, "ok")]:
        life.take(share(at, status=status))
    [reply] = replies(life, 702)
    assert (kinds(reply), reply.broadcast) == (["status"], False)


def test_a_rise_is_broadcast_where_a_route_says_so_though_it_flaps():
    life = living(ROUTES + "    broadcast: [rise]\n", flapping=True)
    life.take(share(60, status="critical"))
    [reply] = replies(life, 61)
    assert (kinds(reply), reply.targets, reply.broadcast) == (["status"], ("S0CRIT", "here"), True)


def test_an_end_pings_nobody_and_is_due_within_a_minute():
    life = living()
    life.take(share(60, status="ok"))
    [reply] = replies(life, 61)
    assert reply.targets == ()
    assert life.cards[NOC, 1].post.deadline == START + 120


def test_tags_and_alerts_wait_for_company_and_anything_else_takes_them_along():
    life = living()
    life.take(share(400, incidentTags=[{"id": "a", "value": "1"}]))
    assert life.cards[NOC, 1].post.at == START + 520
    life.take(share(410, metadata={"comment": {"comment": "hm"}}))
    assert life.cards[NOC, 1].post.at == START + 410
    assert [kinds(reply) for reply in replies(life, 411)] == [["tags", "comment"]]


def test_tags_that_changed_twice_are_told_from_the_first_to_the_last_value():
    life = living(incidentTags=[{"id": "a", "value": "1"}, {"id": "b", "value": "1"}])
    life.take(share(400, incidentTags=[{"id": "a", "value": "2"}, {"id": "b", "value": "2"}]))
    life.take(share(401, incidentTags=[{"id": "a", "value": "3"}, {"id": "b", "value": "1"}]))
    [reply] = replies(life, 402)
    assert reply.entries[0].data["items"] == [{"label": "A", "old": "1", "new": "3"}]


def test_tags_that_are_back_where_they_were_are_told_by_no_reply():
    life = living(incidentTags=[{"id": "a", "value": "1"}])
    life.take(share(400, incidentTags=[{"id": "a", "value": "2"}]))
    life.take(share(401, incidentTags=[{"id": "a", "value": "1"}]))
    [reply] = replies(life, 402)
    assert reply.entries == ()


def test_thread_silences_a_kind_but_never_a_reply_that_pings():
    routes = ROUTES + "    thread: [comment]\n"
    life = living(routes)
    life.take(share(400, incidentTags=[{"id": "a", "value": "1"}], snooze={"snoozed": True}))
    assert life.cards[NOC, 1].post is None
    assert replies(life, 401) == []
    life.take(share(402, snooze={"snoozed": False}, status="critical"))
    [reply] = replies(life, 403)
    assert (kinds(reply), reply.targets) == (["status"], ("S0CRIT", "here"))


def test_a_reopening_that_pings_is_as_urgent_as_a_rise_and_one_that_does_not_has_a_minute():
    def due(reopening_pinged_at):
        life = living()
        life.take(share(60, status="ok"))
        told = {"reported_seq": 1, "post": None, "reopening_pinged_at": reopening_pinged_at}
        life.cards[NOC, 1] = replace(life.cards[NOC, 1], **told)
        life.take(share(120, status="warning"))
        return life.cards[NOC, 1].post

    assert (due(None).deadline - START, due(None).urgent) == (125, True)
    assert (due(START + 100.0).deadline - START, due(START + 100.0).urgent) == (180, False)


def test_what_the_first_post_shows_is_not_told_again_but_a_comment_is():
    life = living()
    life.take(share(60, status="critical", metadata={"comment": {"comment": "on it"}}))
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], root_seq=2)
    [reply] = replies(life, 61)
    assert (kinds(reply), reply.targets) == (["comment"], ())


def test_a_reopening_that_was_passed_over_in_silence_is_not_told_by_a_later_reply():
    life = living(ROUTES + "    thread: [comment]\n")
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], reopening_pinged_at=START + 60.0)
    life.take(share(100, status="ok"))
    life.take(share(120, status="warning"))
    assert (life.cards[NOC, 1].post, life.cards[NOC, 1].reported_seq) == (None, 2)
    life.take(share(5000, status="warning", metadata={"comment": {"comment": "hm"}}))
    [reply] = replies(life, 5001)
    assert (kinds(reply), reply.targets) == (["comment"], ())
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], reported_seq=3)
    life.take(share(5060, status="critical"))
    assert replies(life, 5061)[0].targets == ("S0CRIT", "here")


def test_what_is_passed_over_in_silence_still_counts_as_shown():
    life = living(
        "version: 1\nroutes: [{name: a, thread: [], post: [{channel: C0NOC00001, mention: {warning: [S0WARN]}}]}]\n",
        status="unknown",
    )
    for number, status in enumerate(["critical", "unknown", "warning"]):
        life.take(share(60 + number, status=status))
    assert life.cards[NOC, 1].post is None
    assert replies(life, 70) == []


def test_while_it_flaps_changes_of_state_wait_and_become_one_line_with_their_number():
    life = living(flapping=True, status="critical")
    for number, status in enumerate(["warning", "critical", "ok", "critical"]):
        life.take(share(60 + number, status=status))
    assert life.cards[NOC, 1].post.at == START + 660
    [reply] = replies(life, 700)
    assert kinds(reply) == ["status"]
    assert reply.entries[0].data == {"text": "changed state 4 times while flapping", "now": "critical", "times": 4}
    assert (reply.targets, reply.broadcast) == ((), False)


def test_while_it_flaps_only_a_rise_above_all_the_episode_knew_pings():
    life = living(flapping=True)
    life.take(share(60, status="ok"))
    life.take(share(61, status="warning"))
    life.take(share(62, status="critical"))
    [reply] = replies(life, 63)
    assert kinds(reply) == ["status", "status"]
    assert reply.targets == ("S0CRIT", "here")
    assert life.cards[NOC, 1].post.urgent


def test_snoozed_a_reopening_pings_nobody_but_a_rise_does():
    life = living(snooze={"snoozed": True})
    life.take(share(60, status="ok"))
    life.take(share(61, status="warning"))
    assert [reply.targets for reply in replies(life, 62)] == [(), ()]
    life.take(share(63, status="critical"))
    assert replies(life, 64)[-1].targets == ("S0CRIT", "here")


def test_snoozed_a_reopening_to_a_state_worse_than_any_before_is_a_rise():
    life = living(snooze={"snoozed": True})
    life.take(share(60, status="ok"))
    life.take(share(61, status="critical"))
    assert [reply.targets for reply in replies(life, 62)] == [(), ("S0CRIT", "here")]


def test_what_was_told_while_it_flapped_does_not_hide_a_rise_after_it():
    life = living()
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], episode_worst=State.CRITICAL)  # before a reopening as a warning
    life.take(share(60, status="unknown", flapping=True))
    [reply] = replies(life, 61)
    assert (reply.worst.recent, reply.worst.episode) == (State.WARNING, State.CRITICAL)
    shown = {"reported_seq": reply.upto_seq, "worst": reply.worst.recent, "episode_worst": reply.worst.episode}
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], **shown)
    life.take(share(120, status="critical", flapping=False))
    assert replies(life, 121)[0].targets == ("S0CRIT", "here")


def test_a_reply_has_no_more_lines_than_it_may_and_the_rest_follows():
    life = living()
    for number in range(30):
        life.take(share(400 + number, metadata={"comment": {"comment": f"line {number}"}}))
    sent = replies(life, 500)
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
@settings(max_examples=80)
def test_every_entry_is_told_exactly_once_and_in_order(some, thread, broadcast):
    life = living()
    options = replace(
        life.cards[NOC, 1].options, thread=thread or ("status", "comment", "tags", "alerts"), broadcast=broadcast
    )
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], options=options, reported_seq=0)
    life.entries = some
    sent = replies(life, 10)
    ranges = [reply.upto_seq for reply in sent]
    assert ranges == sorted(set(ranges))
    told = [entry.seq for reply in sent for entry in reply.entries]
    assert told == sorted(set(told))
    assert all(len(reply.entries) <= MAX_LINES for reply in sent)
    comments = [entry.seq for entry in some if entry.kind is EntryKind.COMMENT and "comment" in options.thread]
    assert [seq for seq in told if some[seq - 1].kind is EntryKind.COMMENT] == comments


@given(entries())
@settings(max_examples=100)
def test_a_reply_is_due_exactly_when_there_is_one(some):
    life = living()
    card = replace(life.cards[NOC, 1], reported_seq=0)
    incident = read_incident(life.story.record)
    assert (reply_due(card, incident, some, START) is None) == (next_reply(card, incident, some, START) is None)
