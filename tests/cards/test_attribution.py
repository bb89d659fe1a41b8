"""Who did what a share confirms: the entry names the person who did it through relay, once."""

import pytest

from relay.cards.attribution import is_awaited
from relay.cards.merge import comment_hash
from relay.cards.replies import reply_due
from relay.model.reading import read_incident
from relay.model.record import PendingAction
from relay.model.struct import replace
from tests.support.share_sequences import START, ShareSequence, alert, share

ANN = {"name": "Ann Lee", "email": "ann@example.com", "userId": "u1"}
RELAY = {"name": "relay", "email": "relay@example.com", "userId": "u9"}
SENT = "Ann Lee (Slack): failing over"


def a_sequence(*actions: PendingAction) -> ShareSequence:
    sequence = ShareSequence()
    sequence.add(share(status="critical", alerts=[alert()], incidentTags=[{"id": "team", "value": "database"}]))
    sequence.incident_state = replace(
        sequence.incident_state, record=replace(sequence.incident_state.record, pending_actions=actions)
    )
    return sequence


def pending_action(kind: str, **more) -> PendingAction:
    return PendingAction(key=f"{kind}:1", kind=kind, actor="Ann Lee", at=START + 600.0, **more)


def assigned(at: int, **who):
    return share(at, metadata={"assignee": who, "assigner": RELAY})


def test_an_assignment_to_oneself_does_not_name_relays_own_user():
    sequence = a_sequence(pending_action("assign", assignee_id="u1"))
    sequence.add(assigned(601, **ANN))
    assert sequence.entry_data() == [("assignment", {"old": "", "new": "Ann Lee", "actor": "", "taken_over": False})]
    assert sequence.incident_state.record.pending_actions == ()


def test_an_assignment_to_a_shared_account_names_the_person_who_did_it():
    sequence = a_sequence(pending_action("assign", assignee_id="u7"))
    sequence.add(assigned(601, name="NOC", userId="u7"))
    assert sequence.entry_data()[0][1]["actor"] == "Ann Lee"


def test_an_assignment_to_somebody_else_does_not_confirm_the_action():
    sequence = a_sequence(pending_action("assign", assignee_id="u1"))
    sequence.add(assigned(601, name="Bob", userId="u2"))
    assert sequence.entry_data()[0][1]["actor"] == "relay"
    assert len(sequence.incident_state.record.pending_actions) == 1


def test_a_snooze_names_the_person_who_did_it_and_its_end_may_be_rounded():
    sequence = a_sequence(pending_action("snooze", until=START + 4200))
    sequence.add(share(601, snooze={"snoozed": True, "wake": START + 4260}))
    assert sequence.entry_data()[0][1]["actor"] == "Ann Lee"


def test_a_snooze_until_another_time_does_not_confirm_the_action():
    sequence = a_sequence(pending_action("snooze", until=START + 4200))
    sequence.add(share(601, snooze={"snoozed": True, "wake": START + 90_000}))
    assert "actor" not in sequence.entry_data()[0][1]


def test_the_end_of_a_snooze_does_not_confirm_a_snooze():
    sequence = a_sequence(pending_action("snooze", until=START + 4200))
    sequence.add(share(601, snooze={"snoozed": True, "wake": START + 90_000}))
    sequence.add(share(700, snooze={"snoozed": False}))
    assert "actor" not in sequence.entry_data()[0][1]


@pytest.mark.parametrize("comes", ["with it", "after it", "before it"])
def test_a_resolution_is_reported_once_with_its_note_and_its_person(comes):
    note = "failing over"
    sequence = a_sequence(pending_action("resolve", text=note, sent_hash=comment_hash(SENT)))
    comment = {"comment": {"comment": SENT}, "sender": RELAY}
    ends = {"resolved": True, "status": "ok"}
    if comes == "with it":
        sequence.add(share(601, metadata=comment, **ends))
    elif comes == "after it":
        sequence.add(share(601, **ends))
        sequence.add(share(602, metadata=comment))
    else:
        sequence.add(share(601, metadata=comment))
        sequence.add(share(602, **ends))
    reported = [entry for entry in sequence.entries if entry.kind in {"resolved", "comment"}]
    assert [entry.data["actor"] for entry in reported] == ["Ann Lee"] * len(reported)
    assert [entry.data.get("text") for entry in reported].count(note) == 1
    assert [entry.kind for entry in reported].count("resolved") == 1
    record = sequence.incident_state.record
    assert (record.pending_actions, read_incident(record).note) == ((), note)
    sequence.add(share(700, resolved=False, status="critical"))
    assert read_incident(sequence.incident_state.record).note == ""


@pytest.mark.parametrize("first", ["comment", "resolution"])
def test_a_resolution_without_a_note_is_reported_without_the_comment_that_bigpanda_requires(first):
    sent = "Resolved by Ann Lee from Slack"
    sequence = a_sequence(pending_action("resolve", sent_hash=comment_hash(sent)))
    comment = {"metadata": {"comment": {"comment": sent}, "sender": RELAY}}
    ends = {"resolved": True, "status": "ok"}
    one, other = (comment, ends) if first == "comment" else (ends, comment)
    sequence.add(share(601, **one))
    sequence.add(share(602, **other))
    [entry] = [entry for entry in sequence.entries if entry.kind in {"resolved", "comment"}]
    assert (entry.kind, entry.data["actor"]) == ("resolved", "Ann Lee")


def test_a_comment_is_reported_as_its_author_wrote_it():
    sequence = a_sequence(pending_action("comment", text="failing over", sent_hash=comment_hash(SENT)))
    sequence.add(share(601, metadata={"comment": {"comment": SENT}, "sender": RELAY}))
    assert sequence.entry_data() == [("comment", {"text": "failing over", "actor": "Ann Lee", "posted_in": []})]


def test_a_reply_is_not_reported_in_the_thread_that_already_has_it():
    sequence = a_sequence(
        pending_action("reply", text="failing over", sent_hash=comment_hash(SENT), channel="C0DB000001")
    )
    card = sequence.post_card("C0DB000001")
    sequence.add(share(601, metadata={"comment": {"comment": SENT}, "sender": RELAY}))
    [entry] = sequence.plans[-1].entries
    incident = read_incident(sequence.incident_state.record)
    assert reply_due(card, incident, [entry], START + 601) is None
    assert reply_due(replace(card, channel="C0NOC00001"), incident, [entry], START + 601) is not None


def test_a_comment_by_somebody_else_does_not_confirm_the_action():
    sequence = a_sequence(pending_action("comment", text="failing over", sent_hash=comment_hash(SENT)))
    sequence.add(share(601, metadata={"comment": {"comment": "failing over"}, "sender": {"name": "Bob"}}))
    assert sequence.entry_data() == [("comment", {"text": "failing over", "actor": "Bob"})]
    assert len(sequence.incident_state.record.pending_actions) == 1


def test_an_action_that_nothing_confirms_is_forgotten_after_an_hour():
    sequence = a_sequence(pending_action("resolve"))
    sequence.add(share(601 + 3600, status="ok", resolved=True))
    assert "actor" not in sequence.entry_data()[0][1]
    assert sequence.incident_state.record.pending_actions == ()


def test_a_confirmed_resolution_is_not_waited_for_again():
    sequence = a_sequence(pending_action("resolve", text="failing over", sent_hash=comment_hash(SENT)))
    assert is_awaited(sequence.incident_state.record, "resolve:1")
    sequence.add(share(601, resolved=True, status="ok"))
    assert not is_awaited(sequence.incident_state.record, "resolve:1")


def test_a_second_snooze_until_the_same_time_is_not_waited_for_because_it_changes_nothing():
    second = replace(pending_action("snooze", until=START + 4201), key="snooze:2")
    later = replace(pending_action("snooze", until=START + 9000), key="snooze:3")
    sequence = a_sequence(pending_action("snooze", until=START + 4200))
    sequence.add(share(601, snooze={"snoozed": True, "wake": START + 4200}))
    record = replace(sequence.incident_state.record, pending_actions=(second, later))
    assert [is_awaited(record, key) for key in ("snooze:2", "snooze:3", "snooze:4")] == [False, True, False]
