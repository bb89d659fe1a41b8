"""Which cards an incident has, what governs them, and how episodes begin and end."""

import pytest

from relay.cards.model import CardState, Due, ShareOutcome
from relay.cards.notices import POINTER, Notice, NoticeKind
from relay.model.incident import State
from relay.model.reading import read_episode
from relay.model.struct import replace
from relay.routes.parser.parse import parse_rulebook
from tests.support.share_sequences import START, ShareSequence, alert, share

NOC, DB = "C0NOC00001", "C0DB000001"
DATABASE = [{"id": "team", "value": "database"}]
PRODUCTION = {"environment": "Production"}


def where(sequence):
    return {channel: str(card.state) for (channel, _), card in sequence.cards.items() if card.is_current}


def test_a_matching_route_makes_one_card():
    sequence = ShareSequence()
    plan = sequence.add(share(status="critical", incidentTags=DATABASE, metadata=PRODUCTION))
    assert where(sequence) == {DB: "pending"}
    assert (plan.outcome, plan.routes) == (ShareOutcome.FIRST, ("databases",))


def test_an_incident_gains_channels_and_never_loses_one():
    sequence = ShareSequence()
    sequence.add(share(0, status="critical", incidentTags=DATABASE, metadata=PRODUCTION))
    sequence.post_card(DB)
    sequence.add(share(60, incidentTags=[]))
    assert where(sequence) == {DB: "posted", NOC: "pending"}
    assert sequence.cards[DB, 1].edit is not None
    assert not sequence.cards[DB, 1].matched


def test_a_card_without_a_matching_route_pings_nobody():
    routes = """
version: 1
routes:
  - {name: db, match: {tags: {team: database}}, post: [{channel: C0DB000001, mention: {critical: [S0DB]}}]}
"""
    sequence = ShareSequence(rulebook=parse_rulebook(routes))
    sequence.add(share(0, status="warning", incidentTags=DATABASE))
    assert sequence.cards[DB, 1].mention.targets(State.CRITICAL) == ("S0DB",)
    sequence.add(share(60, status="critical", incidentTags=[]))
    assert not sequence.cards[DB, 1].mention
    assert sequence.cards[DB, 1].route == "db"


def test_a_card_whose_route_was_removed_has_the_default_options():
    sequence = ShareSequence(
        rulebook=parse_rulebook("version: 1\nroutes: [{name: a, post: [C0NOC00001], template: incident, gather: 9m}]\n")
    )
    sequence.add(share(0, status="critical"))
    assert sequence.cards[NOC, 1].options.gather == 540
    sequence.rulebook = parse_rulebook(
        "version: 1\ndefaults: {gather: 1m}\nroutes: [{name: b, match: {status: resolved}, post: []}]\n"
    )
    sequence.add(share(60, status="warning"))
    assert sequence.cards[NOC, 1].options.gather == 60


def test_an_incident_that_no_route_matches_goes_to_the_fallback_or_is_only_counted():
    sequence = ShareSequence()
    assert sequence.add(share(status="critical")).outcome is ShareOutcome.FIRST
    assert where(sequence) == {NOC: "pending"}
    assert sequence.cards[NOC, 1].route == ""
    bare = ShareSequence(rulebook=parse_rulebook("version: 1\nroutes: []\n"))
    assert bare.add(share(status="critical")).outcome is ShareOutcome.NO_ROUTE
    assert bare.cards == {}


NAMED = """
version: 1
fallback: C0NOC00001
routes:
  - {name: loud, match: {status: critical}, post: ["#inc-{{ tags.team }}"]}
"""
UNNAMED = Notice(
    kind=NoticeKind.UNNAMED,
    reason="meant for #inc-{{ tags.team }}, which names no channel (the incident has no tag team)",
)


def test_the_fallbacks_card_names_the_unnamed_channel_while_it_has_no_name():
    sequence = ShareSequence(rulebook=parse_rulebook(NAMED))
    plan = sequence.add(share(0, status="critical"))
    assert sequence.cards[NOC, 1].notices == (UNNAMED,)
    assert plan.decision["unnamed"] == [{"route": "loud", "detail": UNNAMED.reason}]
    sequence.post_card(NOC)
    sequence.add(share(60, status="critical"))
    assert sequence.cards[NOC, 1].notices == (UNNAMED,)
    sequence.add(share(120, status="warning"))  # no route takes it: where it was meant to be has not changed
    assert sequence.cards[NOC, 1].notices == (UNNAMED,)
    sequence.add(share(180, status="critical", incidentTags=DATABASE))
    assert where(sequence) == {NOC: "posted", "#inc-database": "pending"}
    assert sequence.cards[NOC, 1].notices == ()
    assert sequence.cards["#inc-database", 1].notices == ()


def test_a_card_shows_a_change_of_its_channel_after_a_reload():
    sequence = ShareSequence(rulebook=parse_rulebook(NAMED))
    sequence.add(share(0, status="critical"))
    sequence.post_card(NOC)
    sequence.rulebook = parse_rulebook(NAMED.replace("tags.team", "tags.owner"))
    (card,) = sequence.add(share(60, status="critical")).cards
    assert card.notices == (replace(UNNAMED, reason=UNNAMED.reason.replace("team", "owner")),)
    assert card.edit is not None


def test_a_card_of_a_route_to_the_fallback_also_names_channels_without_a_name():
    both = NAMED.replace("post: [", 'post: [C0NOC00001, "#own-{{ tags.owner }}", ')
    sequence = ShareSequence(rulebook=parse_rulebook(both))
    sequence.add(share(0, status="critical"))
    assert len(sequence.cards[NOC, 1].notices) == 2
    without = ShareSequence(rulebook=parse_rulebook(NAMED.replace("fallback: C0NOC00001", "")))
    plan = without.add(share(0, status="critical"))
    assert without.cards == {}
    assert len(plan.decision["unnamed"]) == 1


def test_a_route_without_channels_drops_the_share():
    sequence = ShareSequence(
        rulebook=parse_rulebook("version: 1\nfallback: C0NOC00001\nroutes: [{name: quiet, post: []}]\n")
    )
    plan = sequence.add(share(status="critical"))
    assert (plan.outcome, plan.routes, sequence.cards) == (ShareOutcome.DROPPED, ("quiet",), {})


def test_a_fallbacks_card_that_is_not_posted_yet_is_cancelled_for_a_routes_card():
    sequence = ShareSequence()
    sequence.add(share(0, status="critical"))
    sequence.add(share(1, incidentTags=DATABASE))
    assert where(sequence) == {NOC: "cancelled", DB: "pending"}
    assert sequence.cards[NOC, 1].post is None


def test_a_pointer_that_a_route_matches_becomes_a_card_again():
    sequence = ShareSequence()
    sequence.add(share(0, status="critical"))
    sequence.cards[NOC, 1] = replace(sequence.post_card(NOC), notices=(POINTER,))
    sequence.add(share(60, incidentTags=DATABASE))
    assert sequence.cards[NOC, 1].is_pointer
    sequence.add(share(120, incidentTags=[], metadata=PRODUCTION))
    assert not sequence.cards[NOC, 1].is_pointer
    assert sequence.cards[NOC, 1].edit is not None


def test_an_open_incident_goes_to_the_fallback_when_no_route_matches_its_pending_card_any_more():
    routes = """
version: 1
fallback: C0NOC00001
routes: [{name: bad, match: {status: critical}, post: [{channel: C0DB000001, wait: 5m}]}]
"""
    sequence = ShareSequence(rulebook=parse_rulebook(routes))
    sequence.add(share(0, status="critical"))
    assert where(sequence) == {DB: "pending"}
    sequence.add(share(60, status="warning"))
    assert where(sequence) == {DB: "pending", NOC: "pending"}
    sequence.add(share(90, status="warning", incidentTags=DATABASE))
    assert where(sequence) == {DB: "pending", NOC: "pending"}
    assert [sequence.cards[DB, 1].matched, sequence.cards[NOC, 1].matched] == [False, True]
    sequence.add(share(120, status="critical"))
    assert where(sequence) == {DB: "pending", NOC: "cancelled"}


def test_a_cancelled_card_of_the_fallback_is_posted_when_the_incident_reopens():
    sequence = ShareSequence(
        rulebook=parse_rulebook("version: 1\nfallback: {channel: C0NOC00001, wait: 3m}\nroutes: []\n")
    )
    sequence.add(share(0, status="critical"))
    sequence.add(share(60, status="ok", endedOn=START + 60))
    sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], state=CardState.CANCELLED, post=None)
    sequence.add(share(90, status="ok", endedOn=START + 60, severity="critical"))
    assert where(sequence) == {NOC: "cancelled"}
    sequence.add(share(120, status="critical"))
    assert where(sequence) == {NOC: "pending"}
    assert sequence.cards[NOC, 1].reported_seq == len(sequence.entries)


def test_a_route_to_the_fallbacks_channel_governs_its_card():
    sequence = ShareSequence()
    sequence.add(share(0, status="critical"))
    sequence.post_card(NOC)
    sequence.add(share(60, metadata=PRODUCTION))
    assert where(sequence) == {NOC: "posted"}
    assert sequence.cards[NOC, 1].route == "everything"


def test_a_channel_that_cannot_be_named_goes_to_the_fallback():
    routes = 'version: 1\nfallback: C0NOC00001\nroutes: [{name: teams, post: ["#inc-{{ tags.team }}"]}]\n'
    sequence = ShareSequence(rulebook=parse_rulebook(routes))
    sequence.add(share(0, status="critical"))
    assert where(sequence) == {NOC: "pending"}
    sequence.add(share(60, incidentTags=[{"id": "team", "value": "Data Bases"}]))
    assert where(sequence) == {NOC: "pending", "#inc-data-bases": "pending"}


def test_two_routes_to_one_channel_make_one_card_that_has_both_mentions():
    routes = """
version: 1
routes:
  - {name: a, continue: true, post: [{channel: C0NOC00001, mention: {any: [S0A]}}]}
  - {name: b, post: [{channel: C0NOC00001, mention: {any: [S0B]}}]}
"""
    sequence = ShareSequence(rulebook=parse_rulebook(routes))
    sequence.add(share(status="critical"))
    assert sequence.cards[NOC, 1].route == "a"
    assert sequence.cards[NOC, 1].mention.targets(State.CRITICAL) == ("S0A", "S0B")
    spelled = ShareSequence(
        rulebook=parse_rulebook(routes.replace("C0NOC00001, mention: {any: [S0B]}", "'#noc', mention: {any: [S0B]}"))
    )
    spelled.canonical_refs = {"#noc": NOC}
    spelled.add(share(status="critical"))
    assert list(spelled.cards) == [(NOC, 1)]
    assert spelled.cards[NOC, 1].mention.targets(State.CRITICAL) == ("S0A", "S0B")


def test_a_card_pings_the_people_of_the_routes_that_match_now():
    routes = """
version: 1
routes:
  - {name: db, match: {tags: {team: database}}, post: [{channel: C0NOC00001, mention: {any: [S0DB]}, gather: 9m}]}
  - {name: rest, post: [{channel: C0NOC00001, mention: {any: [S0REST]}}]}
"""
    sequence = ShareSequence(rulebook=parse_rulebook(routes))
    sequence.add(share(0, status="warning"))
    sequence.post_card(NOC)
    sequence.add(share(60, incidentTags=DATABASE))
    card = sequence.cards[NOC, 1]
    assert (card.route, card.options.gather, card.mention.targets(State.WARNING)) == ("db", 540, ("S0DB",))


def test_an_incident_that_arrives_resolved_is_matched_by_its_severity():
    sequence = ShareSequence(
        rulebook=parse_rulebook("version: 1\nroutes: [{name: bad, match: {status: critical}, post: [C0NOC00001]}]\n")
    )
    sequence.add(share(10, status="ok", severity="critical", endedOn=START))
    assert where(sequence) == {NOC: "pending"}


def test_severity_replaces_the_state_only_for_a_first_share_that_is_resolved():
    rulebook = parse_rulebook("version: 1\nroutes: [{name: bad, match: {status: critical}, post: [C0NOC00001]}]\n")
    assert ShareSequence(rulebook=rulebook).add(share(0, status="warning", severity="critical")).routes == ()
    sequence = ShareSequence(rulebook=rulebook)
    assert sequence.add(share(10, status="ok", severity="critical", endedOn=START)).routes == ("bad",)
    assert sequence.add(share(20, status="ok", severity="critical", endedOn=START)).routes == ()


def test_a_reopening_after_an_end_without_a_time_does_not_use_the_end_before_it():
    sequence = ShareSequence()
    sequence.add(share(0, status="critical", metadata=PRODUCTION))
    for at, fields in [(120, {"status": "ok", "endedOn": START + 120}), (3000, {"status": "critical"})]:
        sequence.add(share(at, **fields))
    sequence.post_card("C0NOC00001")
    sequence.add(share(200_000, status="ok"))
    sequence.post_card("C0NOC00001")
    sequence.add(share(201_000, status="critical"))
    assert (sequence.kinds, sequence.incident_state.episode, len(sequence.cards)) == (["reopened"], 1, 1)


def test_a_first_share_that_ended_longer_than_reopen_within_ago_is_not_posted():
    sequence = ShareSequence()
    plan = sequence.add(share(0, received=90_000, status="ok", endedOn=START, metadata=PRODUCTION))
    assert plan.outcome is ShareOutcome.ENDED_LONG_AGO
    assert sequence.cards == {}
    unrouted = ShareSequence(rulebook=parse_rulebook("version: 1\nfallback: C0NOC00001\nroutes: []\n"))
    assert unrouted.add(share(0, received=90_000, status="ok", endedOn=START)).outcome is ShareOutcome.ENDED_LONG_AGO


def test_later_shares_of_a_resolved_incident_add_no_channel():
    sequence = ShareSequence()
    sequence.add(share(0, status="critical", metadata=PRODUCTION))
    sequence.add(share(60, status="ok"))
    sequence.add(share(120, incidentTags=DATABASE))
    assert where(sequence) == {NOC: "pending"}


def test_a_reopening_within_the_window_keeps_the_same_card():
    sequence = ShareSequence()
    sequence.add(share(0, status="critical", metadata=PRODUCTION))
    sequence.add(share(60, status="ok", endedOn=START + 60))
    sequence.post_card(NOC)
    sequence.add(share(3600, status="critical"))
    assert sequence.kinds == ["reopened"]
    assert list(sequence.cards) == [(NOC, 1)]
    assert sequence.cards[NOC, 1].edit.deadline == START + 3600


def test_a_later_reopening_begins_an_episode_whose_card_links_to_the_old_one():
    sequence = ShareSequence()
    sequence.add(share(0, status="critical", metadata=PRODUCTION))
    sequence.add(share(60, status="ok", endedOn=START + 60))
    sequence.post_card(NOC)
    sequence.add(share(60 + 86_401, status="critical"))
    assert sequence.cards[NOC, 1].state is CardState.SUPERSEDED
    assert sequence.cards[NOC, 2].state is CardState.PENDING
    assert sequence.cards[NOC, 2].previous.ts == "1.1"
    assert sequence.incident_state.episode == 2
    sequence.add(share(60 + 86_500, status="warning"))
    assert sequence.cards[NOC, 1].edit is None


@pytest.mark.parametrize("state", [CardState.REJECTED, CardState.CANCELLED])
def test_a_card_that_shows_no_end_uses_the_incidents_end_and_a_resolved_incident_begins_no_episode(
    state,
):
    sequence = ShareSequence()
    sequence.add(share(0, status="critical", metadata=PRODUCTION))
    sequence.add(share(60, status="ok", endedOn=START + 60))
    sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], state=state, post=None)
    sequence.add(share(60 + 86_401, received=60 + 86_401, status="ok", endedOn=START + 60, severity="critical"))
    assert (sequence.incident_state.episode, list(sequence.cards), str(sequence.cards[NOC, 1].state)) == (
        1,
        [(NOC, 1)],
        state,
    )
    sequence.add(share(60 + 86_500, status="critical"))
    assert (sequence.incident_state.episode, sequence.cards[NOC, 1].state) == (2, CardState.SUPERSEDED)


def test_an_end_is_measured_from_the_start_of_the_newest_episode():
    sequence = ShareSequence()
    for number, at in enumerate((0, 100_000, 200_000), start=1):
        sequence.add(share(at, status="critical", startedOn=START - 30, metadata=PRODUCTION))
        sequence.post_card(NOC, number)
        sequence.add(share(at + 60, status="ok", endedOn=START + at + 60))
        sequence.post_card(NOC, number)
        [(kind, data)] = sequence.entry_data()
        assert (kind, data["lasted"]) == ("resolved", 60 if number > 1 else 90)
    record = sequence.incident_state.record
    assert record.episodes == ((2, START + 100_000), (3, START + 200_000))
    starts = [read_episode(record, episode).started - START for episode in (1, 2, 3)]
    assert starts == [-30, 100_000, 200_000]


def test_a_superseded_card_has_nothing_due():
    sequence = ShareSequence()
    sequence.add(share(0, status="critical", metadata=PRODUCTION))
    sequence.add(share(60, status="ok", endedOn=START + 60))
    due = Due(at=START + 60.0, deadline=START + 60.0)
    sequence.cards[NOC, 1] = replace(sequence.post_card(NOC), post=due, edit=due)
    sequence.add(share(60 + 86_401, status="critical"))
    assert (sequence.cards[NOC, 1].post, sequence.cards[NOC, 1].edit) == (None, None)


def test_a_card_that_never_showed_the_end_stays_current():
    sequence = ShareSequence()
    sequence.add(share(0, status="critical", metadata=PRODUCTION))
    sequence.post_card(NOC)
    sequence.add(share(60, status="ok", endedOn=START + 60))
    sequence.add(share(100_000, status="critical"))
    assert sequence.incident_state.episode == 1


def test_a_new_card_reports_nothing_that_came_before_it():
    sequence = ShareSequence()
    sequence.add(share(0, status="warning", metadata=PRODUCTION))
    sequence.add(share(60, status="critical"))
    comment = {"comment": {"comment": "ours"}}
    sequence.add(share(120, status="warning", incidentTags=DATABASE, metadata=comment))
    assert [entry.seq for entry in sequence.entries if entry.seq > sequence.cards[DB, 1].reported_seq] == [3]
    assert sequence.entries[2].kind == "comment"
    silent = ShareSequence()
    silent.add(share(0, status="warning", metadata=PRODUCTION))
    silent.add(share(60, status="critical", snooze={"snoozed": True}, incidentTags=DATABASE))
    assert silent.cards[DB, 1].reported_seq == len(silent.entries) == 2


@pytest.mark.parametrize(("status", "urgent", "deadline"), [("critical", True, 0), ("warning", False, 30)])
def test_a_critical_root_is_due_at_once_and_urgent(status, urgent, deadline):
    sequence = ShareSequence()
    sequence.add(share(status=status))
    due = sequence.cards[NOC, 1].post
    assert (due.at - START, due.deadline - START, due.urgent) == (0, deadline, urgent)


def test_a_pending_card_is_due_at_once_when_a_route_without_wait_governs_it():
    routes = """
version: 1
routes:
  - {name: bad, match: {status: critical}, post: [C0NOC00001]}
  - {name: rest, post: [{channel: C0NOC00001, wait: 10m}]}
"""
    sequence = ShareSequence(rulebook=parse_rulebook(routes))
    sequence.add(share(0, status="warning"))
    sequence.add(share(60, status="critical"))
    due = sequence.cards[NOC, 1].post
    assert (sequence.cards[NOC, 1].route, due.at - START, due.deadline - START, due.urgent) == ("bad", 60, 60, True)


def test_a_card_that_becomes_critical_is_urgent_during_the_pause_after_a_failed_try():
    sequence = ShareSequence()
    sequence.add(share(0, status="warning"))
    sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], post=Due(at=START + 300.0, deadline=START + 30.0), tries=1)
    sequence.add(share(60, status="critical"))
    assert sequence.cards[NOC, 1].post == Due(at=START + 300.0, deadline=START + 30.0, urgent=True)


def test_a_share_does_not_shorten_the_pause_after_a_failed_try():
    sequence = ShareSequence()
    sequence.add(share(0, status="warning"))
    paused = Due(at=START + 300.0, deadline=START + 30.0)
    sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], post=paused, tries=1)
    sequence.add(share(60, incidentTags=[{"id": "a", "value": "1"}]))
    assert sequence.cards[NOC, 1].post == paused


WAITING = "version: 1\nroutes: [{name: a, match: {active: true}, post: [{channel: C0NOC00001, wait: 5m}]}]\n"


def lapsed(reason="ended_while_waiting"):
    """An incident that ended before its card was due."""
    sequence = ShareSequence(rulebook=parse_rulebook(WAITING))
    sequence.add(share(0, status="warning"))
    sequence.add(share(60, status="ok", endedOn=START + 60))
    sequence.cards[NOC, 1] = replace(sequence.cards[NOC, 1], state=CardState.CANCELLED, reason=reason, post=None)
    return sequence


def test_a_card_that_was_never_posted_waits_again_after_a_reopening():
    sequence = lapsed()
    sequence.add(share(3600, status="warning"))
    card = sequence.cards[NOC, 1]
    assert (card.state, card.episode, card.post.at - START, card.first_matched_at - START) == ("pending", 1, 3900, 3600)


def test_a_card_that_was_never_posted_is_superseded_after_a_late_reopening():
    sequence = lapsed()
    sequence.add(share(60 + 86_401, status="warning"))
    assert sequence.cards[NOC, 1].state is CardState.SUPERSEDED
    card = sequence.cards[NOC, 2]
    assert (card.state, card.previous, card.post.at - START) == ("pending", None, 60 + 86_401 + 300)


def test_a_card_that_no_route_matched_for_a_while_does_not_wait_again():
    routes = "version: 1\nroutes: [{name: a, match: {status: warning}, post: [{channel: C0NOC00001, wait: 5m}]}]\n"
    sequence = ShareSequence(rulebook=parse_rulebook(routes))
    sequence.add(share(0, status="warning"))
    sequence.add(share(60, status="critical"))
    sequence.cards[NOC, 1] = replace(
        sequence.cards[NOC, 1], state=CardState.CANCELLED, reason="no_longer_matched", post=None
    )
    sequence.add(share(400, status="warning"))
    assert sequence.cards[NOC, 1].post.at - START == 400


def test_the_fallbacks_card_has_the_fallbacks_options():
    sequence = ShareSequence(rulebook=parse_rulebook("version: 1\nfallback: C0NOC00001\nroutes: []\n"))
    sequence.add(share(0, status="critical"))
    sequence.rulebook = parse_rulebook(
        "version: 1\nfallback: {channel: C0NOC00001, wait: 1m}\ndefaults: {gather: 9m}\nroutes: []\n"
    )
    sequence.add(share(60, status="warning"))
    assert (sequence.cards[NOC, 1].options.gather, sequence.cards[NOC, 1].options.wait) == (540, 60)
    sequence.rulebook = parse_rulebook(
        "version: 1\nfallback: C0DB000001\ndefaults: {gather: 8m, wait: 0s}\nroutes: []\n"
    )
    sequence.add(share(90, status="critical"))
    assert (where(sequence), sequence.cards[NOC, 1].options.gather) == ({NOC: "pending"}, 480)


PINGING = """
version: 1
fallback: {channel: C0NOC00001, mention: {critical: [S0NOC]}}
routes:
  - {name: db, match: {tags: {team: database}}, post: [{channel: C0DB000001, mention: {any: [S0DB]}}]}
  - name: named
    match: {tags: {service: {exists: true}}}
    post: [{channel: "#inc-{{ tags.team }}", mention: {any: [S0TEAM]}}]
"""


@pytest.mark.parametrize("tags", [[], [{"id": "service", "value": "web"}]])
def test_a_stand_in_card_pings_only_the_people_of_the_fallback(tags):
    sequence = ShareSequence(rulebook=parse_rulebook(PINGING))
    sequence.add(share(0, status="critical", incidentTags=tags))
    assert sequence.cards[NOC, 1].mention.all_targets == ("S0NOC",)


def test_the_fallbacks_card_follows_an_edit_of_its_mention_and_pings_nobody_once_a_route_matches():
    sequence = ShareSequence(rulebook=parse_rulebook(PINGING))
    sequence.add(share(0, status="warning"))
    sequence.post_card(NOC)
    sequence.rulebook = parse_rulebook(PINGING.replace("S0NOC", "S0OTHERS"))
    sequence.add(share(60, status="critical"))
    assert sequence.cards[NOC, 1].mention.targets(State.CRITICAL) == ("S0OTHERS",)
    sequence.add(share(120, incidentTags=DATABASE))
    assert not sequence.cards[NOC, 1].mention
    assert sequence.cards[DB, 1].mention.all_targets == ("S0DB",)


def test_a_pending_card_is_due_after_its_wait_and_a_share_does_not_postpone_it():
    sequence = ShareSequence(rulebook=parse_rulebook("version: 1\nroutes: [{name: a, post: [C0NOC00001], wait: 3m}]\n"))
    sequence.add(share(0, status="warning"))
    sequence.add(share(60, status="critical"))
    due = sequence.cards[NOC, 1].post
    assert (due.at - START, due.deadline - START, due.urgent) == (180, 180, True)


def test_an_edit_waits_three_seconds_after_the_last_unless_the_incident_worsens_or_ends():
    sequence = ShareSequence()
    sequence.add(share(0, status="warning"))
    sequence.cards[NOC, 1] = replace(sequence.post_card(NOC), edited_at=START + 99.0)
    sequence.add(share(100, incidentTags=DATABASE, status="warning"))
    assert sequence.cards[NOC, 1].edit.at == START + 102
    sequence.add(share(100, status="critical"))
    assert (sequence.cards[NOC, 1].edit.at, sequence.cards[NOC, 1].edit.deadline) == (START + 100, START + 100)
    sequence.cards[NOC, 1] = replace(sequence.post_card(NOC), edited_at=START + 199.0)
    sequence.add(share(200, status="warning"))
    assert sequence.cards[NOC, 1].edit.at == START + 202
    sequence.add(share(200, status="ok"))
    assert (sequence.cards[NOC, 1].edit.at, sequence.cards[NOC, 1].edit.deadline) == (START + 200, START + 200)


def test_pending_since_is_the_time_when_the_oldest_work_began_to_wait():
    sequence = ShareSequence(
        rulebook=parse_rulebook("version: 1\nroutes: [{name: a, post: [C0NOC00001], thread: [comment]}]\n")
    )
    sequence.add(share(0, status="critical"))
    sequence.post_card(NOC)
    sequence.add(share(600, status="critical", snooze={"snoozed": True}))
    sequence.add(share(660, status="critical", snooze={"snoozed": False}))
    assert sequence.cards[NOC, 1].pending_since == START + 600
    sequence.post_card(NOC)
    plan = sequence.add(share(660, status="critical", event_types=[{"event": "incident#ticket-sync"}]))
    assert (plan.cards, plan.outcome) == ((), ShareOutcome.NOTHING_NEW)


def test_a_share_that_changes_nothing_makes_nothing_due():
    sequence = ShareSequence()
    sequence.add(share(0, status="critical", alerts=[alert()]))
    sequence.post_card(NOC)
    plan = sequence.add(share(0, status="critical", alerts=[alert()]))
    assert plan.cards == ()
    assert plan.outcome is ShareOutcome.NOTHING_NEW
