"""Any shares, in any order, with any repeats: the record ends at the newest, and nothing is reported twice."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from relay.model.reading import read_incident
from relay.model.struct import replace
from tests.support.share_sequences import START, ShareSequence, alert, share

MOMENTS = st.lists(st.integers(0, 100_000), min_size=1, max_size=7, unique=True)
STATES = st.sampled_from(["critical", "warning", "ok", "acknowledged", "brand-new", None, 5])
FLAGS = st.sampled_from([True, False, None, "no"])
PEOPLE = st.sampled_from([{"name": "Ann", "userId": "u1"}, {"email": "bob@example.com"}, None, 7])
TAGS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["1", "2", ["1", "2"], ""]), max_size=3)
ALERTS = st.lists(st.builds(alert, st.sampled_from("xyz"), st.sampled_from(["critical", "ok"])), max_size=3)
CHANGES = st.lists(st.sampled_from("pq").map(lambda name: {"id": name, "summary": name}), max_size=2)
SHARE_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "status": STATES,
        "active": FLAGS,
        "resolved": FLAGS,
        "severity": STATES,
        "flapping": FLAGS,
        "snooze": st.sampled_from([{"snoozed": True, "wake": 2_000_000_000}, {"snoozed": False}, None, "x"]),
        "startedOn": st.sampled_from([START, START - 60, None]),
        "endedOn": st.sampled_from([START + 60, None]),
        "incidentTags": TAGS.map(lambda tags: [{"id": name, "value": value} for name, value in tags.items()]),
        "alerts": ALERTS | ALERTS.map(lambda several: several[0] if several else "none"),
        "relatedChanges": CHANGES,
        "links": st.sampled_from([{"landingPage": "https://a.example/1"}, "https://a.example/2", {}, 3]),
    },
)
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "assignee": PEOPLE,
        "environment": st.sampled_from(["Production", "Payments"]),
        "environment_id": st.just("e1"),
    },
)


@st.composite
def lives(draw):
    """Shares of one incident, each with an as_of of its own; some have a comment that no other has."""
    return [draw(one(moment)) for moment in draw(MOMENTS)]


@st.composite
def one(draw, moment):
    metadata = draw(METADATA)
    if draw(st.booleans()):
        metadata["comment"] = {"comment": f"said at {moment}"}
    return share(moment, received=200_000, metadata=metadata, **draw(SHARE_FIELDS))


def arriving(some, chance: random.Random):
    """In any order, some of them twice, and each so long after the one before that a new tag is reported."""
    several = [*some, *chance.choices(some, k=len(some))]
    chance.shuffle(several)
    return [replace(each, received=START + 200_000.0 + 400 * place) for place, each in enumerate(several)]


def seen(record):
    """All that is visible of a record, except what the first arrival fixes."""
    incident = read_incident(record)
    fixed = {"title": "", "environment": None, "sender": None, "alerts": (), "environments": (), "tags": ()}
    alerts = {each.id: each for each in incident.alerts}
    return replace(incident, **fixed), alerts, set(incident.environments), set(incident.tags)


@given(lives(), st.randoms(use_true_random=False))
def test_the_record_ends_at_the_newest_share_and_every_comment_is_reported_once(some, chance: random.Random):
    sequence = ShareSequence()
    for each in arriving(some, chance):
        sequence.add(each)
    ordered = ShareSequence()
    for each in sorted(some, key=lambda each: each.as_of):
        ordered.add(each)
    assert seen(sequence.incident_state.record) == seen(ordered.incident_state.record)
    comments = Counter(entry.data["text"] for entry in sequence.entries if entry.kind == "comment")
    assert comments == Counter({each.comment: 1 for each in some if each.comment})


@given(lives(), st.randoms(use_true_random=False))
def test_the_reported_entries_add_up_to_what_the_card_shows(some, chance: random.Random):
    """Each entry begins where the last one ended: nothing is reported twice, and nothing is left out."""
    sequence = ShareSequence()
    first, *rest = arriving(some, chance)
    sequence.add(first)
    known = facts(read_incident(sequence.incident_state.record))
    for each in rest:
        for entry in sequence.add(each).entries:
            for what, old, new in steps(entry):
                assert (known.get(what, ""), old != new) == (old, True)
                known[what] = new
    final = facts(read_incident(sequence.incident_state.record))
    assert {what: value for what, value in known.items() if value} == {
        what: value for what, value in final.items() if value
    }


def facts(incident):
    reported = {f"tag {tag.name.upper()}": tag.value for tag in incident.tags}
    return reported | {"state": str(incident.state), "who": incident.assignee.display_name if incident.assignee else ""}


def steps(entry):
    match entry.kind:
        case "status" | "resolved" | "reopened" if "old" in entry.data:
            yield "state", entry.data["old"], entry.data["new"]
        case "assignment":
            yield "who", entry.data["old"], entry.data["new"]
        case "tags":
            for item in entry.data["items"]:
                yield f"tag {item['label']}", item["old"], item["new"]


@given(lives())
def test_repeated_shares_report_nothing_new(some):
    sequence = ShareSequence()
    for each in sorted(some, key=lambda each: each.as_of):
        sequence.add(each)
    reported = len(sequence.entries)
    for each in some:
        sequence.add(each)
    assert len(sequence.entries) == reported


@given(lives())
def test_there_is_never_more_than_one_card_for_an_episode_and_a_channel(some):
    sequence = ShareSequence()
    for each in some:
        plan = sequence.add(each)
        places = [(card.channel, card.episode) for card in plan.cards]
        assert len(places) == len(set(places))
