"""Which cards an incident has: where it goes, by what it is governed, how episodes begin and end."""

from dataclasses import replace

import pytest

from relay.cards.model import CardState, Due, ShareOutcome
from relay.cards.notices import POINTER, Notice, NoticeKind
from relay.model.incident import State
from relay.model.reading import read_episode
from relay.routes.parser.parse import parse_rulebook
from tests.support.share_sequences import START, Life, alert, share

NOC, DB = "C0NOC00001", "C0DB000001"
DATABASE = [{"id": "team", "value": "database"}]
PRODUCTION = {"environment": "Production"}


def where(life):
    return {channel: str(card.state) for (channel, _), card in life.cards.items() if card.is_current}


def test_an_incident_gets_one_card_where_a_route_takes_it():
    life = Life()
    plan = life.take(share(status="critical", incidentTags=DATABASE, metadata=PRODUCTION))
    assert where(life) == {DB: "pending"}
    assert (plan.outcome, plan.routes) == (ShareOutcome.FIRST, ("databases",))


def test_channels_only_add_up_and_a_card_is_followed_to_its_end():
    life = Life()
    life.take(share(0, status="critical", incidentTags=DATABASE, metadata=PRODUCTION))
    life.show(DB)
    life.take(share(60, incidentTags=[]))
    assert where(life) == {DB: "posted", NOC: "pending"}
    assert life.cards[DB, 1].edit is not None
    assert not life.cards[DB, 1].matched


def test_a_card_that_no_route_takes_now_pings_nobody():
    routes = """
version: 1
routes:
  - {name: db, match: {tags: {team: database}}, post: [{channel: C0DB000001, mention: {critical: [S0DB]}}]}
"""
    life = Life(rulebook=parse_rulebook(routes))
    life.take(share(0, status="warning", incidentTags=DATABASE))
    assert life.cards[DB, 1].mention.targets(State.CRITICAL) == ("S0DB",)
    life.take(share(60, status="critical", incidentTags=[]))
    assert not life.cards[DB, 1].mention
    assert life.cards[DB, 1].route == "db"


def test_where_its_route_is_gone_from_the_file_the_defaults_govern_a_card():
    life = Life(
        rulebook=parse_rulebook("version: 1\nroutes: [{name: a, post: [C0NOC00001], template: incident, gather: 9m}]\n")
    )
    life.take(share(0, status="critical"))
    assert life.cards[NOC, 1].options.gather == 540
    life.rulebook = parse_rulebook(
        "version: 1\ndefaults: {gather: 1m}\nroutes: [{name: b, match: {status: resolved}, post: []}]\n"
    )
    life.take(share(60, status="warning"))
    assert life.cards[NOC, 1].options.gather == 60


def test_what_no_route_takes_goes_to_the_fallback_and_without_one_it_is_kept_and_counted():
    life = Life()
    assert life.take(share(status="critical")).outcome is ShareOutcome.FIRST
    assert where(life) == {NOC: "pending"}
    assert life.cards[NOC, 1].route == ""
    bare = Life(rulebook=parse_rulebook("version: 1\nroutes: []\n"))
    assert bare.take(share(status="critical")).outcome is ShareOutcome.NO_ROUTE
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


def test_the_fallbacks_card_says_which_channel_could_not_be_named_for_as_long_as_it_cannot():
    life = Life(rulebook=parse_rulebook(NAMED))
    plan = life.take(share(0, status="critical"))
    assert life.cards[NOC, 1].notices == (UNNAMED,)
    assert plan.decision["unnamed"] == [{"route": "loud", "detail": UNNAMED.reason}]
    life.show(NOC)
    life.take(share(60, status="critical"))
    assert life.cards[NOC, 1].notices == (UNNAMED,)
    life.take(share(120, status="warning"))  # no route takes it: where it was meant to be has not changed
    assert life.cards[NOC, 1].notices == (UNNAMED,)
    life.take(share(180, status="critical", incidentTags=DATABASE))
    assert where(life) == {NOC: "posted", "#inc-database": "pending"}
    assert life.cards[NOC, 1].notices == ()
    assert life.cards["#inc-database", 1].notices == ()


def test_a_card_says_anew_what_a_reload_made_of_its_channel():
    life = Life(rulebook=parse_rulebook(NAMED))
    life.take(share(0, status="critical"))
    life.show(NOC)
    life.rulebook = parse_rulebook(NAMED.replace("tags.team", "tags.owner"))
    (card,) = life.take(share(60, status="critical")).cards
    assert card.notices == (replace(UNNAMED, reason=UNNAMED.reason.replace("team", "owner")),)
    assert card.edit is not None


def test_what_the_fallback_takes_anyway_says_what_else_was_meant_to_be():
    both = NAMED.replace("post: [", 'post: [C0NOC00001, "#own-{{ tags.owner }}", ')
    life = Life(rulebook=parse_rulebook(both))
    life.take(share(0, status="critical"))
    assert len(life.cards[NOC, 1].notices) == 2
    without = Life(rulebook=parse_rulebook(NAMED.replace("fallback: C0NOC00001", "")))
    plan = without.take(share(0, status="critical"))
    assert without.cards == {}
    assert len(plan.decision["unnamed"]) == 1


def test_a_route_without_channels_takes_the_share_and_drops_it():
    life = Life(rulebook=parse_rulebook("version: 1\nfallback: C0NOC00001\nroutes: [{name: quiet, post: []}]\n"))
    plan = life.take(share(status="critical"))
    assert (plan.outcome, plan.routes, life.cards) == (ShareOutcome.DROPPED, ("quiet",), {})


def test_a_fallback_s_card_that_is_not_posted_yet_gives_way_to_a_route_s():
    life = Life()
    life.take(share(0, status="critical"))
    life.take(share(1, incidentTags=DATABASE))
    assert where(life) == {NOC: "cancelled", DB: "pending"}
    assert life.cards[NOC, 1].post is None


def test_a_pointer_that_a_route_takes_over_is_a_card_again():
    life = Life()
    life.take(share(0, status="critical"))
    life.cards[NOC, 1] = replace(life.show(NOC), notices=(POINTER,))
    life.take(share(60, incidentTags=DATABASE))
    assert life.cards[NOC, 1].is_pointer
    life.take(share(120, incidentTags=[], metadata=PRODUCTION))
    assert not life.cards[NOC, 1].is_pointer
    assert life.cards[NOC, 1].edit is not None


def test_an_open_incident_whose_waiting_card_no_route_takes_any_more_is_the_fallback_s():
    routes = """
version: 1
fallback: C0NOC00001
routes: [{name: bad, match: {status: critical}, post: [{channel: C0DB000001, wait: 5m}]}]
"""
    life = Life(rulebook=parse_rulebook(routes))
    life.take(share(0, status="critical"))
    assert where(life) == {DB: "pending"}
    life.take(share(60, status="warning"))
    assert where(life) == {DB: "pending", NOC: "pending"}
    life.take(share(90, status="warning", incidentTags=DATABASE))
    assert where(life) == {DB: "pending", NOC: "pending"}
    assert [life.cards[DB, 1].matched, life.cards[NOC, 1].matched] == [False, True]
    life.take(share(120, status="critical"))
    assert where(life) == {DB: "pending", NOC: "cancelled"}


def test_a_fallback_s_card_that_lapsed_is_posted_when_the_incident_is_back():
    life = Life(rulebook=parse_rulebook("version: 1\nfallback: {channel: C0NOC00001, wait: 3m}\nroutes: []\n"))
    life.take(share(0, status="critical"))
    life.take(share(60, status="ok", endedOn=START + 60))
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], state=CardState.CANCELLED, post=None)
    life.take(share(90, status="ok", endedOn=START + 60, severity="critical"))
    assert where(life) == {NOC: "cancelled"}
    life.take(share(120, status="critical"))
    assert where(life) == {NOC: "pending"}
    assert life.cards[NOC, 1].reported_seq == len(life.entries)


def test_a_route_to_the_fallback_s_own_channel_takes_its_card_over_in_place():
    life = Life()
    life.take(share(0, status="critical"))
    life.show(NOC)
    life.take(share(60, metadata=PRODUCTION))
    assert where(life) == {NOC: "posted"}
    assert life.cards[NOC, 1].route == "everything"


def test_a_channel_that_cannot_be_made_from_the_incident_is_the_fallback_s():
    routes = 'version: 1\nfallback: C0NOC00001\nroutes: [{name: teams, post: ["#inc-{{ tags.team }}"]}]\n'
    life = Life(rulebook=parse_rulebook(routes))
    life.take(share(0, status="critical"))
    assert where(life) == {NOC: "pending"}
    life.take(share(60, incidentTags=[{"id": "team", "value": "Data Bases"}]))
    assert where(life) == {NOC: "pending", "#inc-data-bases": "pending"}


def test_two_routes_with_the_same_channel_make_one_card_and_mentions_add_up():
    routes = """
version: 1
routes:
  - {name: a, continue: true, post: [{channel: C0NOC00001, mention: {any: [S0A]}}]}
  - {name: b, post: [{channel: C0NOC00001, mention: {any: [S0B]}}]}
"""
    life = Life(rulebook=parse_rulebook(routes))
    life.take(share(status="critical"))
    assert life.cards[NOC, 1].route == "a"
    assert life.cards[NOC, 1].mention.targets(State.CRITICAL) == ("S0A", "S0B")
    spelled = Life(
        rulebook=parse_rulebook(routes.replace("C0NOC00001, mention: {any: [S0B]}", "'#noc', mention: {any: [S0B]}"))
    )
    spelled.same = {"#noc": NOC}
    spelled.take(share(status="critical"))
    assert list(spelled.cards) == [(NOC, 1)]
    assert spelled.cards[NOC, 1].mention.targets(State.CRITICAL) == ("S0A", "S0B")


def test_a_card_pings_whom_the_routes_name_that_take_it_there_now():
    routes = """
version: 1
routes:
  - {name: db, match: {tags: {team: database}}, post: [{channel: C0NOC00001, mention: {any: [S0DB]}, gather: 9m}]}
  - {name: rest, post: [{channel: C0NOC00001, mention: {any: [S0REST]}}]}
"""
    life = Life(rulebook=parse_rulebook(routes))
    life.take(share(0, status="warning"))
    life.show(NOC)
    life.take(share(60, incidentTags=DATABASE))
    card = life.cards[NOC, 1]
    assert (card.route, card.options.gather, card.mention.targets(State.WARNING)) == ("db", 540, ("S0DB",))


def test_an_incident_that_arrives_resolved_is_judged_by_its_severity_and_gets_its_card():
    life = Life(
        rulebook=parse_rulebook("version: 1\nroutes: [{name: bad, match: {status: critical}, post: [C0NOC00001]}]\n")
    )
    life.take(share(10, status="ok", severity="critical", endedOn=START))
    assert where(life) == {NOC: "pending"}


def test_severity_speaks_for_the_state_at_a_first_share_that_is_over_and_at_no_other():
    rulebook = parse_rulebook("version: 1\nroutes: [{name: bad, match: {status: critical}, post: [C0NOC00001]}]\n")
    assert Life(rulebook=rulebook).take(share(0, status="warning", severity="critical")).routes == ()
    life = Life(rulebook=rulebook)
    assert life.take(share(10, status="ok", severity="critical", endedOn=START)).routes == ("bad",)
    assert life.take(share(20, status="ok", severity="critical", endedOn=START)).routes == ()


def test_a_reopening_soon_after_an_end_without_a_time_is_not_judged_by_an_end_before_it():
    life = Life()
    life.take(share(0, status="critical", metadata=PRODUCTION))
    for at, told in [(120, {"status": "ok", "endedOn": START + 120}), (3000, {"status": "critical"})]:
        life.take(share(at, **told))
    life.show("C0NOC00001")
    life.take(share(200_000, status="ok"))
    life.show("C0NOC00001")
    life.take(share(201_000, status="critical"))
    assert (life.kinds, life.story.episode, len(life.cards)) == (["reopened"], 1, 1)


def test_one_that_ended_longer_ago_than_a_reopening_would_count_is_kept_and_not_posted():
    life = Life()
    plan = life.take(share(0, received=90_000, status="ok", endedOn=START, metadata=PRODUCTION))
    assert plan.outcome is ShareOutcome.ENDED_LONG_AGO
    assert life.cards == {}
    unrouted = Life(rulebook=parse_rulebook("version: 1\nfallback: C0NOC00001\nroutes: []\n"))
    assert unrouted.take(share(0, received=90_000, status="ok", endedOn=START)).outcome is ShareOutcome.ENDED_LONG_AGO


def test_later_shares_of_a_resolved_incident_add_no_channel():
    life = Life()
    life.take(share(0, status="critical", metadata=PRODUCTION))
    life.take(share(60, status="ok"))
    life.take(share(120, incidentTags=DATABASE))
    assert where(life) == {NOC: "pending"}


def test_a_reopening_within_the_window_lives_on_in_the_same_card():
    life = Life()
    life.take(share(0, status="critical", metadata=PRODUCTION))
    life.take(share(60, status="ok", endedOn=START + 60))
    life.show(NOC)
    life.take(share(3600, status="critical"))
    assert life.kinds == ["reopened"]
    assert list(life.cards) == [(NOC, 1)]
    assert life.cards[NOC, 1].edit.deadline == START + 3600


def test_a_later_reopening_is_a_new_episode_with_a_new_card_that_links_to_the_old():
    life = Life()
    life.take(share(0, status="critical", metadata=PRODUCTION))
    life.take(share(60, status="ok", endedOn=START + 60))
    life.show(NOC)
    life.take(share(60 + 86_401, status="critical"))
    assert life.cards[NOC, 1].state is CardState.SUPERSEDED
    assert life.cards[NOC, 2].state is CardState.PENDING
    assert life.cards[NOC, 2].previous.ts == "1.1"
    assert life.story.episode == 2
    life.take(share(60 + 86_500, status="warning"))
    assert life.cards[NOC, 1].edit is None


@pytest.mark.parametrize("state", [CardState.REJECTED, CardState.CANCELLED])
def test_of_a_card_that_shows_nothing_the_incident_s_own_end_counts_and_an_incident_that_is_still_over_begins_nothing(
    state,
):
    life = Life()
    life.take(share(0, status="critical", metadata=PRODUCTION))
    life.take(share(60, status="ok", endedOn=START + 60))
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], state=state, post=None)
    life.take(share(60 + 86_401, received=60 + 86_401, status="ok", endedOn=START + 60, severity="critical"))
    assert (life.story.episode, list(life.cards), str(life.cards[NOC, 1].state)) == (1, [(NOC, 1)], state)
    life.take(share(60 + 86_500, status="critical"))
    assert (life.story.episode, life.cards[NOC, 1].state) == (2, CardState.SUPERSEDED)


def test_an_end_is_measured_from_the_start_of_the_newest_episode_and_the_record_knows_when_each_began():
    life = Life()
    for number, at in enumerate((0, 100_000, 200_000), start=1):
        life.take(share(at, status="critical", startedOn=START - 30, metadata=PRODUCTION))
        life.show(NOC, number)
        life.take(share(at + 60, status="ok", endedOn=START + at + 60))
        life.show(NOC, number)
        [(kind, data)] = life.told()
        assert (kind, data["lasted"]) == ("resolved", 60 if number > 1 else 90)
    record = life.story.record
    assert record.episodes == ((2, START + 100_000), (3, START + 200_000))
    starts = [read_episode(record, episode).started - START for episode in (1, 2, 3)]
    assert starts == [-30, 100_000, 200_000]


def test_a_card_that_is_left_has_nothing_due():
    life = Life()
    life.take(share(0, status="critical", metadata=PRODUCTION))
    life.take(share(60, status="ok", endedOn=START + 60))
    due = Due(at=START + 60.0, deadline=START + 60.0)
    life.cards[NOC, 1] = replace(life.show(NOC), post=due, edit=due)
    life.take(share(60 + 86_401, status="critical"))
    assert (life.cards[NOC, 1].post, life.cards[NOC, 1].edit) == (None, None)


def test_a_card_that_never_showed_the_end_lives_on():
    life = Life()
    life.take(share(0, status="critical", metadata=PRODUCTION))
    life.show(NOC)
    life.take(share(60, status="ok", endedOn=START + 60))
    life.take(share(100_000, status="critical"))
    assert life.story.episode == 1


def test_a_card_made_late_starts_at_the_present():
    life = Life()
    life.take(share(0, status="warning", metadata=PRODUCTION))
    life.take(share(60, status="critical"))
    comment = {"comment": {"comment": "ours"}}
    life.take(share(120, status="warning", incidentTags=DATABASE, metadata=comment))
    assert [entry.seq for entry in life.entries if entry.seq > life.cards[DB, 1].reported_seq] == [3]
    assert life.entries[2].kind == "comment"
    silent = Life()
    silent.take(share(0, status="warning", metadata=PRODUCTION))
    silent.take(share(60, status="critical", snooze={"snoozed": True}, incidentTags=DATABASE))
    assert silent.cards[DB, 1].reported_seq == len(silent.entries) == 2


@pytest.mark.parametrize(("status", "urgent", "deadline"), [("critical", True, 0), ("warning", False, 30)])
def test_an_open_critical_root_is_due_at_once_and_before_all_else(status, urgent, deadline):
    life = Life()
    life.take(share(status=status))
    due = life.cards[NOC, 1].post
    assert (due.at - START, due.deadline - START, due.urgent) == (0, deadline, urgent)


def test_a_waiting_card_goes_at_once_when_a_route_that_does_not_wait_takes_it_to_that_channel():
    routes = """
version: 1
routes:
  - {name: bad, match: {status: critical}, post: [C0NOC00001]}
  - {name: rest, post: [{channel: C0NOC00001, wait: 10m}]}
"""
    life = Life(rulebook=parse_rulebook(routes))
    life.take(share(0, status="warning"))
    life.take(share(60, status="critical"))
    due = life.cards[NOC, 1].post
    assert (life.cards[NOC, 1].route, due.at - START, due.deadline - START, due.urgent) == ("bad", 60, 60, True)


def test_a_card_that_turns_critical_is_urgent_though_it_pauses_after_a_failed_try():
    life = Life()
    life.take(share(0, status="warning"))
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], post=Due(at=START + 300.0, deadline=START + 30.0), tries=1)
    life.take(share(60, status="critical"))
    assert life.cards[NOC, 1].post == Due(at=START + 300.0, deadline=START + 30.0, urgent=True)


def test_a_share_does_not_shorten_the_pause_after_a_failed_try():
    life = Life()
    life.take(share(0, status="warning"))
    paused = Due(at=START + 300.0, deadline=START + 30.0)
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], post=paused, tries=1)
    life.take(share(60, incidentTags=[{"id": "a", "value": "1"}]))
    assert life.cards[NOC, 1].post == paused


WAITING = "version: 1\nroutes: [{name: a, match: {active: true}, post: [{channel: C0NOC00001, wait: 5m}]}]\n"


def lapsed(reason="ended_while_waiting"):
    """An incident that was over before its card's time came."""
    life = Life(rulebook=parse_rulebook(WAITING))
    life.take(share(0, status="warning"))
    life.take(share(60, status="ok", endedOn=START + 60))
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], state=CardState.CANCELLED, reason=reason, post=None)
    return life


def test_a_card_that_was_never_posted_waits_anew_after_a_reopening():
    life = lapsed()
    life.take(share(3600, status="warning"))
    card = life.cards[NOC, 1]
    assert (card.state, card.episode, card.post.at - START, card.first_matched_at - START) == ("pending", 1, 3900, 3600)


def test_a_card_that_was_never_posted_is_a_new_episode_s_after_a_late_reopening():
    life = lapsed()
    life.take(share(60 + 86_401, status="warning"))
    assert life.cards[NOC, 1].state is CardState.SUPERSEDED
    card = life.cards[NOC, 2]
    assert (card.state, card.previous, card.post.at - START) == ("pending", None, 60 + 86_401 + 300)


def test_a_card_no_route_took_for_a_while_does_not_wait_anew():
    routes = "version: 1\nroutes: [{name: a, match: {status: warning}, post: [{channel: C0NOC00001, wait: 5m}]}]\n"
    life = Life(rulebook=parse_rulebook(routes))
    life.take(share(0, status="warning"))
    life.take(share(60, status="critical"))
    life.cards[NOC, 1] = replace(life.cards[NOC, 1], state=CardState.CANCELLED, reason="no_longer_matched", post=None)
    life.take(share(400, status="warning"))
    assert life.cards[NOC, 1].post.at - START == 400


def test_the_fallback_s_card_follows_the_fallback_s_options():
    life = Life(rulebook=parse_rulebook("version: 1\nfallback: C0NOC00001\nroutes: []\n"))
    life.take(share(0, status="critical"))
    life.rulebook = parse_rulebook(
        "version: 1\nfallback: {channel: C0NOC00001, wait: 1m}\ndefaults: {gather: 9m}\nroutes: []\n"
    )
    life.take(share(60, status="warning"))
    assert (life.cards[NOC, 1].options.gather, life.cards[NOC, 1].options.wait) == (540, 60)
    life.rulebook = parse_rulebook("version: 1\nfallback: C0DB000001\ndefaults: {gather: 8m, wait: 0s}\nroutes: []\n")
    life.take(share(90, status="critical"))
    assert (where(life), life.cards[NOC, 1].options.gather) == ({NOC: "pending"}, 480)


def test_a_waiting_card_is_due_after_its_wait_and_a_bump_does_not_push_it_back():
    life = Life(rulebook=parse_rulebook("version: 1\nroutes: [{name: a, post: [C0NOC00001], wait: 3m}]\n"))
    life.take(share(0, status="warning"))
    life.take(share(60, status="critical"))
    due = life.cards[NOC, 1].post
    assert (due.at - START, due.deadline - START, due.urgent) == (180, 180, True)


def test_an_edit_waits_three_seconds_after_the_last_unless_the_incident_worsens_or_ends():
    life = Life()
    life.take(share(0, status="warning"))
    life.cards[NOC, 1] = replace(life.show(NOC), edited_at=START + 99.0)
    life.take(share(100, incidentTags=DATABASE, status="warning"))
    assert life.cards[NOC, 1].edit.at == START + 102
    life.take(share(100, status="critical"))
    assert (life.cards[NOC, 1].edit.at, life.cards[NOC, 1].edit.deadline) == (START + 100, START + 100)
    life.cards[NOC, 1] = replace(life.show(NOC), edited_at=START + 199.0)
    life.take(share(200, status="warning"))
    assert life.cards[NOC, 1].edit.at == START + 202
    life.take(share(200, status="ok"))
    assert (life.cards[NOC, 1].edit.at, life.cards[NOC, 1].edit.deadline) == (START + 200, START + 200)


def test_what_waits_waits_since_it_was_first_wanted_and_nothing_waits_where_nothing_is_due():
    life = Life(rulebook=parse_rulebook("version: 1\nroutes: [{name: a, post: [C0NOC00001], thread: [comment]}]\n"))
    life.take(share(0, status="critical"))
    life.show(NOC)
    life.take(share(600, status="critical", snooze={"snoozed": True}))
    life.take(share(660, status="critical", snooze={"snoozed": False}))
    assert life.cards[NOC, 1].pending_since == START + 600
    life.show(NOC)
    plan = life.take(share(660, status="critical", event_types=[{"event": "incident#ticket-sync"}]))
    assert (plan.cards, plan.outcome) == ((), ShareOutcome.NOTHING_NEW)


def test_a_share_that_changes_nothing_makes_nothing_due():
    life = Life()
    life.take(share(0, status="critical", alerts=[alert()]))
    life.show(NOC)
    plan = life.take(share(0, status="critical", alerts=[alert()]))
    assert plan.cards == ()
    assert plan.outcome is ShareOutcome.NOTHING_NEW
