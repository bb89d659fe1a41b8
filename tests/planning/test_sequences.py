"""Any shares, in any order, with any repeats: the record ends at the newest, and nothing is told twice."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from lives import Life, alert, share

from relay.incident import read

MOMENTS = st.lists(st.integers(0, 100_000), min_size=1, max_size=7, unique=True)
STATES = st.sampled_from(["critical", "warning", "ok", "acknowledged"])


@st.composite
def lives(draw):
    """Shares of one incident, each with news of its own; some carry a comment that only they carry."""
    return [draw(one(moment)) for moment in draw(MOMENTS)]


@st.composite
def one(draw, moment):
    told = {"status": draw(STATES)} if draw(st.booleans()) else {}
    if draw(st.booleans()):
        told["metadata"] = {"comment": {"comment": f"said at {moment}"}}
    if draw(st.booleans()):
        told["incidentTags"] = [{"id": "team", "value": draw(st.sampled_from("abc"))}]
    if draw(st.booleans()):
        told["alerts"] = [alert(name) for name in draw(st.lists(st.sampled_from("xy"), min_size=1, unique=True))]
    return share(moment, received=200_000, **told)


@given(lives(), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_record_ends_at_the_newest_and_every_comment_is_told_once(some, chance: random.Random):
    arriving = [*some, *chance.choices(some, k=len(some))]
    chance.shuffle(arriving)
    life = Life()
    for each in arriving:
        life.take(each)
    ordered = Life()
    for each in sorted(some, key=lambda each: each.news):
        ordered.take(each)
    seen, newest = read(life.story.record), read(ordered.story.record)
    assert (seen.state, seen.severity, set(seen.tags)) == (newest.state, newest.severity, set(newest.tags))
    comments = Counter(entry.data["text"] for entry in life.entries if entry.kind == "comment")
    assert comments == Counter({each.comment: 1 for each in some if each.comment})


@given(lives())
@settings(max_examples=100, deadline=None)
def test_a_life_told_again_from_the_beginning_tells_nothing_new(some):
    life = Life()
    for each in sorted(some, key=lambda each: each.news):
        life.take(each)
    told = len(life.entries)
    for each in some:
        life.take(each)
    assert len(life.entries) == told


@given(lives())
@settings(max_examples=100, deadline=None)
def test_there_is_never_more_than_one_card_for_an_episode_and_a_channel(some):
    life = Life()
    for each in some:
        plan = life.take(each)
        places = [(card.channel, card.episode) for card in plan.cards]
        assert len(places) == len(set(places))
