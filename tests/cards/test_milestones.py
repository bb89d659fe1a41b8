"""How long it took to assign and to resolve an incident: once for each episode, whatever arrives again or late."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from relay.cards.milestones import Milestone
from relay.model.struct import replace
from tests.support.share_sequences import START, ShareSequence, share

ANN = {"metadata": {"assignee": {"name": "Ann"}}}
NOBODY = {"metadata": {"assignee": None}}
HOUR = 3600


def times(*shares):
    """What each share reached, in the order of arrival; each card is posted as soon as it is there."""
    sequence = ShareSequence()
    taken = []
    for each in shares:
        taken.append(dict(sequence.add(each).times_taken))
        for channel, episode in list(sequence.cards):
            if sequence.cards[channel, episode].is_current:
                sequence.post_card(channel, episode)
    return taken


def test_the_time_runs_from_the_first_share_to_the_first_assignment_and_resolution():
    assert times(
        share(0, status="critical", **NOBODY),
        share(120, status="critical", **ANN),
        share(200, status="ok", endedOn=START + 180, **ANN),
    ) == [{}, {Milestone.ASSIGNED: 120}, {Milestone.RESOLVED: 180}]


def test_an_assignment_in_the_first_share_does_not_count():
    assert times(share(0, status="critical", **ANN), share(60, status="warning", **ANN)) == [{}, {}]
    assert times(share(0, status="ok", endedOn=START)) == [{}]


def test_a_second_owner_or_a_second_end_of_the_same_episode_does_not_count():
    assert times(
        share(0, status="critical"),
        share(60, status="critical", **ANN),
        share(120, status="critical", **NOBODY),
        share(180, status="critical", **ANN),
        share(240, status="ok", endedOn=START + 240),
        share(300, status="critical"),
        share(360, status="ok", endedOn=START + 360),
    ) == [{}, {Milestone.ASSIGNED: 60}, {}, {}, {Milestone.RESOLVED: 240}, {}, {}]


def test_a_new_episode_counts_from_the_share_that_reopened_it():
    again = 40 * HOUR
    taken = times(
        share(0, status="critical"),
        share(60, status="ok", endedOn=START + 60),
        share(again, status="critical"),
        share(again + 30, status="critical", **ANN),
        share(again + 90, status="ok", endedOn=START + again + 90),
    )
    assert taken == [{}, {Milestone.RESOLVED: 60}, {}, {Milestone.ASSIGNED: 30}, {Milestone.RESOLVED: 90}]


def test_a_late_share_from_before_the_first_gives_no_negative_time():
    assert times(share(100, status="critical"), share(40, status="critical", **ANN)) == [{}, {Milestone.ASSIGNED: 0}]


MOMENTS = st.lists(st.integers(0, 200 * HOUR), min_size=1, max_size=8, unique=True)
LIVES = MOMENTS.flatmap(
    lambda moments: st.tuples(
        *(
            st.builds(
                lambda status, owner, at=at: share(at, status=status, **owner),
                st.sampled_from(["critical", "warning", "ok"]),
                st.sampled_from([ANN, NOBODY, {}]),
            )
            for at in moments
        )
    )
)


@given(LIVES, st.randoms(use_true_random=False))
def test_in_any_order_and_repeated_each_milestone_counts_at_most_once_an_episode(life, chance: random.Random):
    arriving = [*life, *life]
    chance.shuffle(arriving)
    sequence, counted = ShareSequence(), Counter()
    for place, each in enumerate(arriving):
        planned = sequence.add(replace(each, received=START + 200 * HOUR + place))
        assert all(seconds >= 0 for seconds in planned.times_taken.values())
        counted.update((planned.incident_state.episode, milestone) for milestone in planned.times_taken)
        for channel, episode in list(sequence.cards):
            if sequence.cards[channel, episode].is_current:
                sequence.post_card(channel, episode)
    assert all(number == 1 for number in counted.values())
