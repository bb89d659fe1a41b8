"""Mutes: whom they cover, from when, until when, and what cannot be one."""

import pytest

from relay.cards.draw import notice_lines
from relay.cards.holding import with_mute
from relay.cards.model import Card
from relay.cards.mutes import InvalidMute, Mute, MuteState, check_mute, covering
from relay.model.errors import ConfigurationError
from relay.model.incident import Incident, State, Tag
from relay.model.struct import replace
from relay.routes.mutes import LONGEST_MUTE
from relay.routes.options import Options

NOW = 1_700_000_000.0
MUTE = Mute(
    id=1,
    match="{tags: {service: checkout}}",
    start=NOW,
    end=NOW + 3600,
    reason="deploy",
    author="Dana",
    origin="cli",
)


def incident(service="checkout", state=State.WARNING):
    tag = Tag(id="service", name="service", values=(service,))
    return Incident(id="i1", state=state, reported_status=state, severity=state, active=True, tags=(tag,))


@pytest.mark.parametrize(
    ("at", "state"),
    [(-1, MuteState.PENDING), (0, MuteState.ACTIVE), (3599, MuteState.ACTIVE), (3600, MuteState.OVER)],
)
def test_a_mute_holds_from_its_start_until_before_its_end(at, state):
    assert MUTE.state(NOW + at) is state
    assert (covering([MUTE], incident(), "all", NOW + at) is MUTE) == (state is MuteState.ACTIVE)


def test_the_overlapping_mute_that_ends_last_counts():
    later = replace(MUTE, id=2, start=NOW + 1800, end=NOW + 5400)
    assert covering([MUTE, later], incident(), "all", NOW + 1000) is MUTE
    assert covering([MUTE, later], incident(), "all", NOW + 2000) is later


@pytest.mark.parametrize(
    ("changes", "service", "state", "route", "covered"),
    [
        ({}, "checkout", State.CRITICAL, "all", True),
        ({}, "CHECKOUT", State.WARNING, "all", True),
        ({}, "web", State.WARNING, "all", False),
        ({"unless": State.CRITICAL}, "checkout", State.CRITICAL, "all", False),
        ({"unless": State.CRITICAL}, "checkout", State.WARNING, "all", True),
        ({"routes": ("payments",)}, "checkout", State.WARNING, "all", False),
        ({"routes": ("payments",)}, "checkout", State.WARNING, "payments", True),
        ({"incident": "i1", "match": ""}, "web", State.WARNING, "all", True),
        ({"incident": "i2", "match": ""}, "checkout", State.WARNING, "all", False),
    ],
)
def test_a_mute_covers_exactly_what_its_match_says(changes, service, state, route, covered):
    found = covering([replace(MUTE, **changes)], incident(service, state), route, NOW)
    assert (found is not None) == covered


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"end": NOW}, "end in the past"),
        ({"end": NOW - 1}, "end in the past"),
        ({"start": NOW + 10, "end": NOW + 10}, "end before it begins"),
        ({"end": NOW + LONGEST_MUTE + 1}, "longer than 7 d"),
        ({"reason": "  "}, "Say why"),
        ({"reason": "x" * 201}, "more than 200 characters"),
        ({"author": "x" * 61}, "more than 60 characters"),
        ({"start": NOW + 367 * 86400, "end": NOW + 367 * 86400 + 60}, "more than a year"),
        ({"unless": State.RESOLVED}, "it would mute none"),
        ({"unless": State.UNKNOWN}, "it would mute none"),
        *[({"reason": f"a{each}b"}, "reason has control characters") for each in "\0\n\x1b\ud800\u202e\u2066"],
        ({"author": "Da\nna"}, "author has control characters"),
    ],
)
def test_an_invalid_mute_is_rejected_with_the_reason(changes, said):
    with pytest.raises(InvalidMute, match=said):
        check_mute(replace(MUTE, **changes), NOW)


def test_a_faulty_match_cannot_be_a_mute():
    with pytest.raises(ConfigurationError):
        check_mute(replace(MUTE, match="{tagz: x}"), NOW)
    check_mute(replace(MUTE, match="", incident="i1"), NOW)


def test_a_mute_may_be_as_long_as_seven_days_and_begin_later():
    check_mute(replace(MUTE, start=NOW + 86400, end=NOW + 86400 + LONGEST_MUTE), NOW)


def test_a_card_says_who_muted_it_until_when_and_why_while_it_is_open():
    card = Card(incident="i1", channel="C1", episode=1, options=Options(), route="all")
    muted = with_mute(card, incident(), [MUTE], NOW)
    assert list(notice_lines(muted, moment=lambda _: "14:00")) == ["🔇 muted by Dana until 14:00: deploy"]
    assert with_mute(muted, incident(), [MUTE], NOW + 1) is muted
    assert with_mute(muted, incident(), [MUTE], NOW + 3600) == card
    assert with_mute(muted, replace(incident(), active=False), [MUTE], NOW) == card


def test_a_reason_may_have_any_words_and_emoji():
    check_mute(replace(MUTE, reason="деплой 👩\u200d💻 <!channel> & more"), NOW)


def test_an_unreadable_match_mutes_nothing_and_breaks_nothing():
    assert covering([replace(MUTE, match="{a key of a later relay: x}")], incident(), "all", NOW) is None
