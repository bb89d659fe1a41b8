"""The modals about mutes: within Slack's limits whatever people write, and what comes back is what was meant."""

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.actions.modals import build_modal
from relay.actions.mute_modal import MuteChoice, chosen, end_mute_inputs, lets_through, mute_choices, mute_inputs
from relay.actions.mute_preview import MutePreview
from relay.cards.mutes import Mute
from relay.model.incident import Incident, State, Tag
from relay.routes.match_keys import IncidentFacts
from relay.sandbox.slack.views import validate_view
from relay.slack.interactions import CRITICAL_INPUT

PLACE = {"title": "db-117: lag", "incident": "5e7f", "channel": "C1", "message_ts": "100.000100"}
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=600) | st.sampled_from(
    ["*", "/x/", "{a}", '"', "\\", "\\x", "(?i)", " ", "\u200b", "🔥" * 80, "a" * 512]
)
TAGS = st.lists(
    st.builds(Tag, id=TEXT, name=TEXT, values=st.lists(TEXT, max_size=3).map(tuple)),
    max_size=12,
    unique_by=lambda tag: tag.id.casefold(),
).map(tuple)


def incident(tags=(), state=State.WARNING):
    return Incident(id="i1", state=state, reported_status=state, severity=state, active=True, tags=tags)


@settings(max_examples=60, deadline=None)
@given(tags=TAGS, shown=st.lists(TEXT, max_size=2), count=st.integers(0, 10**9), longest=st.floats(60, 7 * 86400))
def test_the_mute_modal_is_valid_for_any_tags(tags, shown, count, longest):
    choices = mute_choices(incident(tags), shown)
    previews = dict.fromkeys(choices, MutePreview(open=count, recent=count, open_cut=True, recent_cut=True))
    inputs = mute_inputs(choices, previews, critical=True, routes=[tag.name for tag in tags], longest=max(longest, 60))
    validate_view(build_modal("mute", **PLACE, inputs=inputs))


@settings(max_examples=60, deadline=None)
@given(made=st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=12))
def test_the_end_mute_modal_is_valid_for_any_reason_and_name(made):
    mutes = [
        Mute(id=number, match=match, start=1.7e9, end=1.7e9 + 60, reason=reason, author=author, origin="cli")
        for number, (match, reason, author) in enumerate(made, 1)
    ]
    validate_view(build_modal("end_mute", **PLACE, inputs=end_mute_inputs(mutes)))


@settings(max_examples=60, deadline=None)
@given(tags=TAGS)
def test_each_choice_comes_back_unchanged_and_mutes_exactly_that(tags):
    about = incident(tags)
    for choice in mute_choices(about):
        assert chosen(about, choice.id) == choice
        if choice.tag and len(choice.value) <= 300 and about.tag(choice.tag).id == choice.tag:
            mute = choice.as_mute((), 0.0)
            assert mute.matches(IncidentFacts(about))
            assert not mute.matches(IncidentFacts(incident((Tag(id=choice.tag, name=choice.tag, values=("other",)),))))


def test_only_a_value_of_the_incident_is_a_valid_choice():
    assert chosen(incident(), MuteChoice(tag="service", name="service", value="checkout").id) is None
    assert chosen(incident(), "") is None


def test_critical_incidents_are_not_muted_unless_the_box_is_ticked_or_the_muted_incident_is_critical():
    tag, this = MuteChoice(tag="service", name="service", value="checkout"), MuteChoice()
    for choice, state, ticked, expected in [
        (tag, State.WARNING, False, State.CRITICAL),
        (tag, State.CRITICAL, False, State.CRITICAL),
        (tag, State.CRITICAL, True, None),
        (this, State.WARNING, False, State.CRITICAL),
        (this, State.CRITICAL, False, None),
        (this, State.WARNING, True, None),
    ]:
        assert lets_through(choice, state, {CRITICAL_INPUT: "yes"} if ticked else {}) is expected
