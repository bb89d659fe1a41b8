"""What holds a card or a ping, and until when."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cards.attention import (
    REASONS,
    REOPEN_PING,
    Hold,
    Ping,
    Reason,
    Surroundings,
    attend,
)
from relay.cards.model import Attempt, AttemptState, Card, Channel, ChannelState, Due
from relay.cards.notices import NO_PING, STAND_IN
from relay.model.incident import Incident, Snooze, State
from relay.model.struct import replace
from relay.routes.mention import Mention, MentionPart
from relay.routes.options import Options
from relay.routes.parser.parse import parse_rulebook
from tests.support.documents import check_rows

NOW = 1_700_000_000.0
CARD = Card(incident="i1", channel="C0NOC00001", episode=1, options=Options(), first_matched_at=NOW)
INCIDENT = Incident(id="i1", state=State.CRITICAL, reported_status="critical", severity=State.CRITICAL, active=True)


def hold(reason, ping=None, *, card=CARD, incident=INCIDENT, at=NOW, worsens=False, **surroundings):
    """What holds the post, or that ping; None if it is another reason."""
    attention = attend(card, incident, Surroundings(**surroundings), at)
    found = attention.post if ping is None else attention.ping(ping, worsens=worsens)
    return found if found and found.reason is reason else None


def test_every_reason_has_one_row_and_holds_a_post_or_a_ping():
    check_rows("REASONS in relay/cards/attention.py", REASONS, Reason)
    assert all(row.post or row.pings for row in REASONS.values())


def test_every_reason_says_on_the_card_why_it_holds_pings_that_follow_later():
    silent = [row.reason for row in REASONS.values() if row.pings and row.catch_up and not row.pings_with_post]
    assert [reason for reason in silent if not REASONS[reason].words] == [], "add `words` to these rows"


def test_nothing_holds_a_card_that_is_due_in_an_open_channel():
    attention = attend(CARD, INCIDENT, Surroundings(channel=Channel(ref="C0NOC00001", state=ChannelState.OPEN)), NOW)
    assert attention.post is None
    assert [attention.ping(ping) for ping in Ping] == [None] * len(Ping)


def test_a_card_waits_as_long_as_its_routes_wait():
    waits = replace(CARD, options=Options(wait=300.0))
    assert hold(Reason.WAIT, card=waits) == Hold(reason=Reason.WAIT, until=NOW + 300)
    assert hold(Reason.WAIT, card=waits, at=NOW + 300) is None


def test_a_card_that_failed_is_held_until_the_next_try():
    failed = replace(CARD, tries=1, post=Due(at=NOW + 30, deadline=NOW + 30))
    assert hold(Reason.RETRY, card=failed) == Hold(reason=Reason.RETRY, until=NOW + 30)


@pytest.mark.parametrize(
    ("reason", "surroundings"),
    [
        (Reason.CHANNEL_REJECTED, {"channel": Channel(ref="C1", state=ChannelState.REJECTED)}),
        (Reason.ADOPTING, {"channel": Channel(ref="C1", slack_id="C1", state=ChannelState.OPEN, unread_since=NOW)}),
        (Reason.SLACK_PAUSED, {"slack_paused": True}),
        *(
            (
                Reason.IN_DOUBT,
                {"attempt": Attempt(key="k", kind="root", generation=0, upto_seq=0, started_at=NOW, state=state)},
            )
            for state in (AttemptState.IN_FLIGHT, AttemptState.IN_DOUBT)
        ),
    ],
)
def test_a_problem_holds_a_card_for_an_unknown_time_until_it_is_repaired(reason, surroundings):
    assert hold(reason, **surroundings) == Hold(reason=reason, until=None)


def test_a_snooze_holds_first_posts_reopenings_and_reminders_but_never_a_rise():
    snoozed = replace(INCIDENT, snooze=Snooze(snoozed=True))
    held = {ping for ping in Ping if hold(Reason.SNOOZED, ping, incident=snoozed)}
    assert held == {Ping.FIRST_POST, Ping.REOPENED, Ping.REMINDER}


def test_flapping_holds_only_reopenings():
    flapping = replace(INCIDENT, flapping=True)
    assert {ping for ping in Ping if hold(Reason.FLAPPING, ping, incident=flapping)} == {Ping.REOPENED}


def test_a_second_reopening_within_half_an_hour_pings_only_if_it_is_worse():
    pinged = replace(CARD, reopening_pinged_at=NOW)
    expected = Hold(reason=Reason.REOPENED_LATELY, until=NOW + REOPEN_PING)
    assert hold(Reason.REOPENED_LATELY, Ping.REOPENED, card=pinged, at=NOW + 60) == expected
    assert hold(Reason.REOPENED_LATELY, Ping.REOPENED, card=pinged, at=NOW + 60, worsens=True) is None
    assert hold(Reason.REOPENED_LATELY, Ping.REOPENED, card=pinged, at=NOW + REOPEN_PING) is None


def test_a_late_card_never_pings_even_if_its_incident_is_also_snoozed():
    late, snoozed = replace(CARD, notices=(NO_PING,)), replace(INCIDENT, snooze=Snooze(snoozed=True))
    assert hold(Reason.LATE, Ping.FIRST_POST, card=late, incident=snoozed) == Hold(reason=Reason.LATE)


@given(wait=st.floats(0, 600), retry=st.floats(0, 600), at=st.floats(0, 700))
def test_the_reason_that_ends_last_holds_the_card(wait, retry, at):
    due = Due(at=NOW + retry, deadline=NOW + retry)
    card = replace(CARD, options=Options(wait=wait), tries=1, post=due)
    found = attend(card, INCIDENT, Surroundings(), NOW + at).post
    if found is None:
        assert NOW + at >= max(NOW + wait, NOW + retry)
        return
    assert found.until == max(NOW + wait, NOW + retry)
    assert attend(card, INCIDENT, Surroundings(), found.until).post is None


HOURS = """
version: 1
zone: Etc/UTC
hours: {night: {from: "22:00", to: "07:00"}, early: {from: "05:00", to: "09:00"}}
defaults: {quiet: [early]}
fallback: {channel: C0FALLBACK1, mention: {any: [S0ALL]}}
routes:
  - {name: quiet, post: [{channel: C0NOC00001, quiet: [night], mention: {any: [S0ALL]}}]}
  - {name: loud, quiet: [], post: [{channel: "#noc", mention: {critical: [S0ALL]}}]}
  - {name: held, hold: [night], post: [{channel: C0NOC00001}]}
"""
WARNING = replace(INCIDENT, state=State.WARNING)
SEVEN, NINE = NOW - NOW % 86_400 + 86_400 + 7 * 3600, NOW - NOW % 86_400 + 86_400 + 9 * 3600


def in_hours(card, *, incident=WARNING, text=HOURS, at=NOW, target="S0ALL"):
    surroundings = Surroundings(rulebook=parse_rulebook(text), canonical_refs={"#noc": "C0NOC00001"})
    return attend(card, incident, surroundings, at).ping(Ping.RISE, target)


def mentioned_by(*routes):
    mention = Mention(parts=tuple(MentionPart(targets={"any": ("S0ALL",)}, route=route) for route in routes))
    return replace(CARD, route=routes[0], mention=mention)


def test_a_ping_is_held_by_the_quiet_hours_of_its_own_route():
    assert in_hours(mentioned_by("quiet")) == Hold(reason=Reason.QUIET, until=SEVEN)
    assert in_hours(mentioned_by("quiet"), incident=INCIDENT) is None  # critical
    assert in_hours(mentioned_by("loud")) is None


def test_a_target_of_several_routes_is_held_only_while_all_of_them_are_quiet():
    assert in_hours(mentioned_by("quiet", "loud")) is None
    assert in_hours(mentioned_by("loud", "quiet")) is None


def test_a_card_whose_route_is_gone_uses_the_defaults_and_a_fallback_card_its_own_options():
    early = NINE - 3600
    for card in (mentioned_by("deleted"), replace(mentioned_by(""), channel="C0FALLBACK1")):
        assert in_hours(card, at=early) == Hold(reason=Reason.QUIET, until=NINE)
        assert in_hours(card) is None


def test_hours_that_the_file_no_longer_defines_hold_nothing():
    rulebook = parse_rulebook(HOURS)
    without = replace(rulebook, hours={name: hours for name, hours in rulebook.hours.items() if name != "night"})
    card, surroundings = mentioned_by("quiet"), Surroundings(rulebook=without)
    assert attend(card, WARNING, surroundings, NOW).ping(Ping.RISE, "S0ALL") is None


def test_somebody_who_lost_an_incident_is_held_by_the_route_of_the_card():
    assert in_hours(mentioned_by("quiet"), target="U0ANN") == Hold(reason=Reason.QUIET, until=SEVEN)


def test_only_new_cards_are_held():
    surroundings = Surroundings(rulebook=parse_rulebook(HOURS))
    new = replace(CARD, route="held")
    assert attend(new, WARNING, surroundings, NOW).listed == Hold(reason=Reason.HOLD, until=SEVEN)
    others = [
        replace(new, generation=1),
        replace(new, notices=(STAND_IN,)),
        replace(new, ts="1.1", slack_channel="C1"),
    ]
    assert [attend(card, WARNING, surroundings, NOW).listed for card in others] == [None] * 3
    assert attend(new, INCIDENT, surroundings, NOW).listed is None  # critical


def test_the_table_of_reasons_in_the_documents_equals_the_one_in_the_code():
    text = (Path(__file__).parents[2] / "docs" / "behaviour.md").read_text(encoding="utf-8")
    table = text.partition("| reason | holds | ends | then |")[2].partition("\n\n")[0]
    check_rows("docs/behaviour.md", re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE), Reason)
