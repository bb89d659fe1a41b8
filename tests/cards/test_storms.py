"""Storms, decided: how many new cards a channel takes, whom a storm pings, when it is over."""

import itertools
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cards.attention import Surroundings, attend
from relay.cards.bulletins import Bulletin, BulletinKind
from relay.cards.holds import Hold, Reason
from relay.cards.model import Card, CardState
from relay.cards.notices import NO_PING, STAND_IN
from relay.cards.storms import (
    PING_EVERY,
    ChannelStorm,
    OpenStorm,
    StormPing,
    StormPings,
    allowance,
    group_of,
    next_turn,
)
from relay.model.incident import Incident, State, Tag
from relay.routes.mention import NO_MENTION
from relay.routes.options import Options
from relay.routes.storm import NO_STORM, Storm

RULES = Storm(over=30, within=300.0)
NOW = 10_000.0


def incident(state=State.WARNING, **tags):
    every = tuple(Tag(id=name, name=name, values=tuple(values)) for name, values in tags.items())
    return Incident(id="i1", state=state, severity=state, reported_status=str(state), active=True, tags=every)


def a_card(**values):
    return Card(incident="i1", channel="C1", episode=1, options=Options(), mention=NO_MENTION, **values)


def storm_card(*, closed_at=None, **data):
    return Bulletin(
        kind=BulletinKind.STORM, channel="C1", key="storm", opened_at=NOW - 60, closed_at=closed_at, data=data, id=1
    )


def held(storm, state=State.WARNING, card=None, at=NOW):
    return attend(card or a_card(), incident(state), Surroundings(storm=storm), at).listed


def posted(number, *, every=1.0, until=NOW):
    return tuple(until - every * each for each in range(number))[::-1]


def test_exactly_thirty_in_five_minutes_are_posted_and_the_next_is_held():
    assert held(ChannelStorm(rules=RULES, posted=posted(29))) is None
    assert held(ChannelStorm(rules=RULES, posted=posted(30))) == Hold(reason=Reason.STORM)


def test_what_was_posted_before_the_window_does_not_count():
    assert held(ChannelStorm(rules=RULES, posted=posted(30, every=10.35))) is None


def test_a_critical_incident_of_a_new_group_has_a_reserve():
    for number, expected in ((30, None), (39, None), (40, Reason.STORM)):
        hold = held(ChannelStorm(rules=RULES, posted=posted(number)), State.CRITICAL)
        assert (hold and hold.reason) == expected, number


def test_a_critical_incident_of_a_group_with_a_card_waits():
    storm = ChannelStorm(rules=RULES, posted=posted(30), group_posted_at=NOW - 5)
    assert held(storm, State.CRITICAL) == Hold(reason=Reason.STORM, until=NOW - 29 + 300)


def test_a_group_whose_card_is_older_than_the_storm_is_new():
    storm = ChannelStorm(
        rules=RULES, posted=posted(30), group_posted_at=NOW - 3600, bulletin=storm_card(since=NOW - 60)
    )
    assert held(storm, State.CRITICAL) is None


def test_an_unchanged_incident_stays_a_line_after_the_storm():
    line = a_card(held=Hold(reason=Reason.STORM))
    assert held(ChannelStorm(rules=RULES), card=line) == Hold(reason=Reason.STORM)
    assert held(ChannelStorm(rules=NO_STORM), card=line) == Hold(reason=Reason.STORM)


def test_a_changed_incident_is_posted_as_soon_as_the_channel_allows_it():
    changed = a_card(held=Hold(reason=Reason.STORM, until=NOW))
    assert held(ChannelStorm(rules=RULES, posted=posted(29)), card=changed) is None
    assert held(ChannelStorm(rules=RULES, posted=posted(30)), card=changed) == Hold(
        reason=Reason.STORM, until=NOW - 29 + 300
    )


def test_new_cards_do_not_overtake_waiting_ones():
    storm = ChannelStorm(rules=RULES, posted=posted(3), others_wait=True)
    assert held(storm) == Hold(reason=Reason.STORM)
    assert held(storm, State.CRITICAL) is None


def test_a_stand_in_counts_as_a_new_card_of_the_fallback_channel():
    card, storm = a_card(notices=(STAND_IN,)), ChannelStorm(rules=RULES, posted=posted(100))
    attention = attend(card, incident(), Surroundings(storm=storm), NOW)
    assert attention.listed == Hold(reason=Reason.STORM)
    assert attention.counts


@pytest.mark.parametrize(
    "card",
    [
        a_card(generation=1),
        a_card(notices=(NO_PING,)),
        a_card(held=Hold(reason=Reason.HOLD, until=NOW)),
        a_card(ts="1.1", slack_channel="C1", state=CardState.POSTED),
        Card(incident="i1", channel="C1", episode=1, options=Options(storm=False), mention=NO_MENTION),
    ],
    ids=["posted again", "late", "released from hold", "posted", "storm: off"],
)
def test_a_storm_holds_and_counts_only_new_cards(card):
    storm = ChannelStorm(rules=RULES, posted=posted(100))
    attention = attend(card, incident(), Surroundings(storm=storm), NOW)
    assert attention.listed is None
    assert not attention.counts


@given(
    over=st.integers(1, 40),
    arrivals=st.lists(st.tuples(st.floats(0, 120), st.booleans(), st.integers(0, 5)), max_size=120),
)
def test_no_window_ever_has_more_new_cards_than_allowed(over, arrivals):
    """Whatever comes when: ordinary cards use up to `over`, and all of them a third more."""
    rules, at = Storm(over=over, within=300.0), 0.0
    sent: list[tuple[float, bool, int]] = []
    for pause, critical, group in arrivals:
        at += pause
        moments = tuple(moment for moment, _, _ in sent)[-allowance(rules, reserve=True) :]
        of_group = [moment for moment, _, other in sent if other == group]
        storm = ChannelStorm(rules=rules, posted=moments, group_posted_at=max(of_group, default=None))
        if held(storm, State.CRITICAL if critical else State.WARNING, at=at) is None:
            before = sum(1 for moment, _, _ in sent if moment > at - rules.within)
            assert before < allowance(rules, reserve=critical)
            sent.append((at, critical, group))
    for end, _, _ in sent:
        window = [each for each in sent if end - rules.within < each[0] <= end]
        assert len(window) <= allowance(rules, reserve=True)


@given(over=st.integers(1, 40), moments=st.lists(st.floats(0, 1000), max_size=60), critical=st.booleans())
def test_a_card_is_allowed_at_the_announced_time_and_not_earlier(over, moments, critical):
    rules = Storm(over=over, within=300.0)
    storm = ChannelStorm(rules=rules, posted=tuple(sorted(moments)))
    free_at = storm.free_at(1000.0, critical=critical)
    if free_at > 1000.0:
        assert storm.free_at(free_at, critical=critical) <= free_at
        assert storm.free_at(free_at - 0.001, critical=critical) > free_at - 0.001


@pytest.mark.parametrize(
    ("by", "tags", "expected"),
    [
        ("service", {"service": ["checkout"], "host": ["a"]}, "checkout"),
        ("", {"host": ["a"]}, "a"),
        ("", {"host": ["a"], "service": ["checkout", "cart"]}, "checkout"),
        ("team", {"service": ["checkout"]}, ""),
        ("", {"service": [" "], "host": ["b"]}, "b"),
        ("", {"service": ["x" * 300]}, "x" * 80),
    ],
    ids=["by", "next shown tag", "several values", "absent", "blank", "long"],
)
def test_the_group_is_the_value_of_the_tag(by, tags, expected):
    assert group_of(incident(**tags), by, ["service", "host"]) == expected


# -- Pings -------------------------------------------------------------------------------------------------------------

states = st.sampled_from([State.WARNING, State.UNKNOWN, State.CRITICAL])
news = st.lists(st.tuples(st.floats(0, 400), st.sampled_from("abc"), states, st.sampled_from("xyz")), max_size=40)


def played(events):
    """What a storm pings for these events (pause, target, state, group), if it looks every second in between."""
    pings, at, sent = StormPings.of(None), 0.0, []
    for pause, target, state, group in [*events, (3000.0, "", State.UNKNOWN, "")]:
        until = at + pause
        while pings.due_at() <= until:
            at = max(at, pings.due_at())
            before = pings
            pings, targets = pings.send(at)
            sent += [(at, each, before.owed[each]) for each in targets]
        at = until
        if target:
            pings = pings.with_owed([target], StormPing.of(state, group, at))
    return pings, sent


@given(news)
def test_each_target_is_pinged_once_per_worse_state_and_group_and_not_too_often(events):
    pings, sent = played(events)
    assert not pings.owed
    for target in "abc":
        mine = [(at, ping) for at, each, ping in sent if each == target]
        assert all(after - before >= PING_EVERY - 0.001 for (before, _), (after, _) in itertools.pairwise(mine))
        wanted = [(state, group) for _, each, state, group in events if each == target]
        assert bool(mine) == bool(wanted)
        worst = max((state.rank for state, _ in wanted), default=0)
        assert max((ping.state.rank for _, ping in mine), default=0) == worst
        groups = {group for state, group in wanted if state is State.CRITICAL}
        assert {group for _, ping in mine for group in ping.groups} == groups
        told: set[str] = set()
        rank = -1
        for _, ping in mine:
            assert ping.state.rank > rank or set(ping.groups) - told, "nobody is pinged twice for the same"
            rank, told = max(rank, ping.state.rank), told | set(ping.groups)


@given(news)
def test_a_stored_storm_is_read_back_unchanged(events):
    pings, _ = played(events)
    assert StormPings.of(storm_card(**pings.as_json)) == pings


def test_a_person_whom_a_card_pinged_is_not_pinged_again_by_the_storm():
    pings = StormPings.of(None).with_owed(["a"], StormPing.of(State.CRITICAL, "x", NOW))
    pings = pings.with_sent(["a"], StormPing.of(State.CRITICAL, "x", 0.0))
    assert pings.owed == {}
    after = pings.with_owed(["a"], StormPing.of(State.CRITICAL, "y", NOW + 5))
    assert after.send(NOW + 10)[1] == ("a",), "only the storm's own pings have a pause between them"


# -- The end -----------------------------------------------------------------------------------------------------------


def turn(at, *, sent=(), candidates=(), releasing=0, held_at=NOW, rules=RULES, **data):
    storm = ChannelStorm(rules=rules, posted=tuple(sent))
    bulletin = storm_card(held_at=held_at, since=NOW - 60, **data)
    return next_turn(
        OpenStorm(
            storm=storm,
            bulletin=bulletin,
            candidates=tuple(candidates),
            releasing=releasing,
            open_lines={State.WARNING: 3, State.CRITICAL: 1},
        ),
        at,
    )


def test_as_many_cards_are_released_as_the_channel_takes_and_the_worst_first():
    assert turn(NOW, sent=posted(28), candidates=range(1, 10)).release == (1, 2)
    assert turn(NOW, sent=posted(28), candidates=range(1, 10), releasing=1).release == (1,)
    full = turn(NOW, sent=posted(30), candidates=range(1, 10))
    assert (full.release, full.look_at) == ((), NOW - 29 + 300)


def test_a_storm_is_over_when_nothing_was_held_for_a_while_and_few_cards_come():
    assert not turn(NOW + 299).is_over
    assert turn(NOW + 299).look_at == NOW + 300
    assert turn(NOW + 300).is_over
    busy = posted(15, until=NOW + 300)
    assert not turn(NOW + 300, sent=busy).is_over
    assert turn(NOW + 300, sent=posted(14, until=NOW + 300)).is_over
    assert turn(turn(NOW + 300, sent=busy).look_at, sent=busy).is_over


def test_a_storm_is_not_over_while_cards_or_pings_wait():
    owed = StormPings.of(None).with_owed(["a"], StormPing.of(State.WARNING, "", NOW)).as_json
    assert not turn(NOW + 400, candidates=[1]).is_over
    assert not turn(NOW + 400, releasing=1).is_over
    pinged = turn(NOW + 400, **owed)
    assert (pinged.is_over, pinged.targets) == (False, ("a",))


def test_switching_storms_off_releases_all_waiting_cards():
    switched = turn(NOW, candidates=[1, 2], sent=posted(100), rules=NO_STORM)
    assert switched.release == (1, 2)
    assert turn(NOW + 300, rules=NO_STORM).is_over


def test_an_idle_storm_is_checked_when_it_may_be_over():
    assert turn(NOW).look_at == NOW + 300
    assert turn(NOW, sent=posted(30, until=NOW)).look_at < inf
