"""The incidents of a press on a storm card, and its progress, for any list and any order of events."""

from hypothesis import given
from hypothesis import strategies as st

from relay.cards.batches import (
    MOST_IN_BATCH,
    MOST_NAMED,
    Batch,
    OfferedIncident,
    TaskEnd,
    batch_line,
    batch_variables,
    choose,
    progress_of,
    with_progress,
)
from relay.cards.model import AttemptState
from relay.model.incident import State

ROUTES = ("open", "guarded", "locked")
DENIED = {"guarded": ("S0ONCALL",), "locked": ()}
OFFERED = st.builds(
    OfferedIncident,
    seq=st.integers(1, 10**6),
    state=st.sampled_from(State),
    owner=st.sampled_from(["", "", "", "Ann"]),
    route=st.sampled_from(ROUTES),
    in_progress=st.booleans(),
)
LISTS = st.lists(OFFERED, max_size=12, unique_by=lambda each: each.seq)
ENDS = st.lists(
    st.builds(
        TaskEnd,
        state=st.sampled_from(AttemptState),
        reason=st.sampled_from(["", "taken", "already_resolved", "already_assigned", "in_progress", "not_found"]),
    ),
    max_size=40,
)
BATCH = Batch(key="take:V1", bulletin=1, lines=(1,), user="U1", name="Dana", channel="C1", message_ts="1.2", at=0.0)


@given(LISTS, st.booleans())
def test_each_listed_incident_is_either_chosen_or_counted_with_a_reason(listed, only_critical):
    choice = choose(listed, DENIED, only_critical=only_critical)
    wanted = [each for each in listed if each.state is State.CRITICAL or not only_critical]
    left_out = choice.owned + choice.in_progress + sum(choice.denied.values()) + choice.beyond
    assert len(choice.lines) + left_out == len(wanted)
    assert sum(choice.states.values()) == len(choice.lines)
    by_seq = {each.seq: each for each in wanted}
    chosen = [by_seq[seq] for seq in choice.lines]
    assert all(not each.owner and not each.in_progress and each.route == "open" for each in chosen)
    assert [each.state.rank for each in chosen] == sorted((each.state.rank for each in chosen), reverse=True)


@given(st.integers(MOST_IN_BATCH - 2, MOST_IN_BATCH + 50), st.integers(0, 5))
def test_at_most_two_hundred_are_chosen_and_the_worst_are_among_them(number, criticals):
    state = [State.WARNING] * (number - criticals) + [State.CRITICAL] * criticals
    listed = [OfferedIncident(seq=seq, state=each, route="open") for seq, each in enumerate(state, 1)]
    choice = choose(listed, {})
    assert len(choice.lines) == min(number, MOST_IN_BATCH)
    assert choice.beyond == max(0, number - MOST_IN_BATCH)
    assert choice.states.get(State.CRITICAL, 0) == criticals


@given(ENDS)
def test_every_task_is_counted_once_and_the_batch_is_over_with_the_last_one(ends):
    progress = progress_of(ends)
    assert progress.total == len(ends)
    assert progress.is_over == (not any(end.state.open for end in ends))
    assert progress.done == sum(
        end.state is AttemptState.DONE or (not end.state.open and end.reason in {"already_assigned", "in_progress"})
        for end in ends
    )
    assert len(progress.failures) == min(progress.failed, MOST_NAMED)


@given(ENDS)
def test_the_line_gives_the_reason_of_each_failure_and_counts_the_others(ends):
    progress = progress_of(ends)
    line = batch_line(BATCH, progress_of([TaskEnd(state=AttemptState.WAITING)] * len(ends)))
    values = batch_variables(with_progress(line, progress))
    assert values["name"] == "Dana"
    assert len(values["failures"]) + values["more"] == progress.failed
    assert all(each["reason"] and "_" not in each["reason"] for each in values["failures"])
