"""Who did what a share confirms: the entry names the person who did it through relay, once."""

from dataclasses import replace

import pytest

from relay.cards.merge import comment_hash
from relay.cards.replies import reply_due
from relay.model.reading import read_incident
from relay.model.record import PendingAction
from tests.support.share_sequences import START, Life, alert, share

ANN = {"name": "Ann Lee", "email": "ann@example.com", "userId": "u1"}
RELAY = {"name": "relay", "email": "relay@example.com", "userId": "u9"}
SENT = "Ann Lee (Slack): failing over"


def a_life(*deeds: PendingAction) -> Life:
    life = Life()
    life.take(share(status="critical", alerts=[alert()], incidentTags=[{"id": "team", "value": "database"}]))
    life.story = replace(life.story, record=replace(life.story.record, pending_actions=deeds))
    return life


def deed(kind: str, **more) -> PendingAction:
    return PendingAction(key=f"{kind}:1", kind=kind, actor="Ann Lee", at=START + 600.0, **more)


def assigned(at: int, **who):
    return share(at, metadata={"assignee": who, "assigner": RELAY})


def test_an_assignment_by_oneself_is_told_without_relays_own_user():
    life = a_life(deed("assign", assignee_id="u1"))
    life.take(assigned(601, **ANN))
    assert life.told() == [("assignment", {"old": "", "new": "Ann Lee", "actor": ""})]
    assert life.story.record.pending_actions == ()


def test_an_assignment_to_an_account_that_is_shared_names_who_took_it():
    life = a_life(deed("assign", assignee_id="u7"))
    life.take(assigned(601, name="NOC", userId="u7"))
    assert life.told()[0][1]["actor"] == "Ann Lee"


def test_an_assignment_to_somebody_else_is_not_what_was_done():
    life = a_life(deed("assign", assignee_id="u1"))
    life.take(assigned(601, name="Bob", userId="u2"))
    assert life.told()[0][1]["actor"] == "relay"
    assert len(life.story.record.pending_actions) == 1


def test_a_snooze_names_who_asked_for_it_and_may_be_rounded():
    life = a_life(deed("snooze", until=START + 4200))
    life.take(share(601, snooze={"snoozed": True, "wake": START + 4260}))
    assert life.told()[0][1]["actor"] == "Ann Lee"


def test_a_snooze_until_another_hour_is_somebody_elses():
    life = a_life(deed("snooze", until=START + 4200))
    life.take(share(601, snooze={"snoozed": True, "wake": START + 90_000}))
    assert "actor" not in life.told()[0][1]


def test_an_awakening_is_no_snooze():
    life = a_life(deed("snooze", until=START + 4200))
    life.take(share(601, snooze={"snoozed": True, "wake": START + 90_000}))
    life.take(share(700, snooze={"snoozed": False}))
    assert "actor" not in life.told()[0][1]


@pytest.mark.parametrize("comes", ["with it", "after it", "before it"])
def test_a_resolution_is_told_once_with_its_note_by_whoever_did_it(comes):
    note = "failing over"
    life = a_life(deed("resolve", text=note, sent_hash=comment_hash(SENT)))
    comment = {"comment": {"comment": SENT}, "sender": RELAY}
    ends = {"resolved": True, "status": "ok"}
    if comes == "with it":
        life.take(share(601, metadata=comment, **ends))
    elif comes == "after it":
        life.take(share(601, **ends))
        life.take(share(602, metadata=comment))
    else:
        life.take(share(601, metadata=comment))
        life.take(share(602, **ends))
    told = [entry for entry in life.entries if entry.kind in {"resolved", "comment"}]
    assert [entry.data["actor"] for entry in told] == ["Ann Lee"] * len(told)
    assert [entry.data.get("text") for entry in told].count(note) == 1
    assert [entry.kind for entry in told].count("resolved") == 1
    assert life.story.record.pending_actions == ()


@pytest.mark.parametrize("first", ["comment", "resolution"])
def test_a_resolution_without_a_note_is_told_without_the_comment_that_bigpanda_asks_for(first):
    sent = "Resolved by Ann Lee from Slack"
    life = a_life(deed("resolve", sent_hash=comment_hash(sent)))
    comment = {"metadata": {"comment": {"comment": sent}, "sender": RELAY}}
    ends = {"resolved": True, "status": "ok"}
    one, other = (comment, ends) if first == "comment" else (ends, comment)
    life.take(share(601, **one))
    life.take(share(602, **other))
    [entry] = [entry for entry in life.entries if entry.kind in {"resolved", "comment"}]
    assert (entry.kind, entry.data["actor"]) == ("resolved", "Ann Lee")


def test_a_comment_is_told_in_the_words_of_whoever_wrote_it():
    life = a_life(deed("comment", text="failing over", sent_hash=comment_hash(SENT)))
    life.take(share(601, metadata={"comment": {"comment": SENT}, "sender": RELAY}))
    assert life.told() == [("comment", {"text": "failing over", "actor": "Ann Lee", "posted_in": []})]


def test_a_reply_is_not_told_again_in_the_thread_that_says_it_already():
    life = a_life(deed("reply", text="failing over", sent_hash=comment_hash(SENT), channel="C0DB000001"))
    card = life.show("C0DB000001")
    life.take(share(601, metadata={"comment": {"comment": SENT}, "sender": RELAY}))
    [entry] = life.plans[-1].entries
    incident = read_incident(life.story.record)
    assert reply_due(card, incident, [entry], START + 601) is None
    assert reply_due(replace(card, channel="C0NOC00001"), incident, [entry], START + 601) is not None


def test_somebody_elses_words_are_nobodys_deed():
    life = a_life(deed("comment", text="failing over", sent_hash=comment_hash(SENT)))
    life.take(share(601, metadata={"comment": {"comment": "failing over"}, "sender": {"name": "Bob"}}))
    assert life.told() == [("comment", {"text": "failing over", "actor": "Bob"})]
    assert len(life.story.record.pending_actions) == 1


def test_a_deed_that_nothing_confirms_is_forgotten_after_an_hour():
    life = a_life(deed("resolve"))
    life.take(share(601 + 3600, status="ok", resolved=True))
    assert "actor" not in life.told()[0][1]
    assert life.story.record.pending_actions == ()
