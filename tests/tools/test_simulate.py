"""What is rehearsed is what live work does, for the same shares; and what a rehearsal tells of it."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.cards.model import CardState, ShareOutcome
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.config.template_files import load_packaged
from relay.sandbox.slack.apps import TEAM_URL
from relay.tools.simulate import WORKSPACE, Simulation, simulate
from tests.support.relay_in_process import ROUTES, START, run_relay

BY_TEAM = """
version: 1
fallback: C0NOC00001
routes:
  - name: waiting
    match: {tags: {team: slow}}
    post: [{channel: C0ALL00001, wait: 5m}]
  - name: database
    match: {tags: {team: database}}
    post: [{channel: C0DB000001, mention: {critical: [S0CRIT]}}, {channel: C0ALL00001, reopen_within: 10m}]
"""


def configuration(routes: str = ROUTES) -> Configuration:
    return build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=routes))


def body(at: float, incident: str = "i1", **told: Any) -> bytes:
    beside = {name: told.pop(name) for name in ("incidentTags", "metadata", "event_types") if name in told}
    return orjson.dumps({"incident": {"id": incident, "changedOn": int(START + at), **told}, **beside})


def share(at: float, incident: str = "i1", **told: Any) -> Share:
    return parse_share(body(at, incident, **told), {}, START + at)


DATABASE = [{"id": "team", "value": "database"}]
SLOW = [{"id": "team", "value": "slow"}]
OVER = {"resolved": True, "active": False}
OPEN = {"resolved": False, "active": True}

LIVES: dict[str, list[tuple[float, dict[str, Any]]]] = {
    "worse, commented, resolved": [
        (0, {"status": "warning"}),
        (60, {"status": "critical"}),
        (120, {"metadata": {"comment": {"comment": "looking"}}, "status": "critical"}),
        (500, OVER),
    ],
    "from the fallback to a route": [
        (0, {"status": "critical"}),
        (100, {"status": "critical", "incidentTags": DATABASE}),
    ],
    "over before its wait": [(0, {"status": "critical", "incidentTags": SLOW}), (200, OVER)],
    "longer than its wait": [(0, {"status": "critical", "incidentTags": SLOW}), (400, OVER)],
    "a later episode in one of two channels": [
        (0, {"status": "critical", "incidentTags": DATABASE}),
        (300, OVER),
        (1500, {"status": "critical", **OPEN}),
    ],
    "tags and alerts wait for company": [
        (0, {"status": "critical", "alerts": [{"id": "a", "status": "critical", "active": True}]}),
        (400, {"status": "critical", "incidentTags": [{"id": "zone", "value": "a"}]}),
        (450, {"alerts": [{"id": x, "status": "critical", "active": True} for x in "ab"], "status": "critical"}),
    ],
    "flapping": [
        (0, {"status": "critical"}),
        (60, {"status": "warning", "flapping": True}),
        (90, {"status": "critical", "flapping": True}),
        (120, {"status": "warning", "flapping": True}),
    ],
    "over and back while it flaps, three times": [
        (0, {"status": "critical", "flapping": True}),
        *(
            (at, told)
            for end in (60, 1500, 3000)
            for at, told in ((end, OVER), (end + 700, {"status": "warning"} | OPEN))
        ),
    ],
    "told late, and again": [
        (0, {"status": "critical"}),
        (300, {"changedOn": START - 50, "status": "warning"}),
        (301, {}),
    ],
}


@pytest.mark.parametrize("life", LIVES)
async def test_a_rehearsal_sends_what_live_work_sends(life, tmp_path):
    bodies = [(at, body(at, **told)) for at, told in LIVES[life]]
    routes = BY_TEAM if "incidentTags" in orjson.dumps(LIVES[life]).decode() else ROUTES
    async with run_relay(tmp_path, routes=routes) as house:
        passed = 0.0
        for at, each in bodies:
            await house.advance(at - passed)
            passed = at
            await house.ingest.accept(each, {})
        await house.advance(900)
        live = {
            channel.id: [
                (said(root), [(said(reply), reply.broadcast) for reply in channel.thread(root.ts)])
                for root in channel.messages
            ]
            for channel in house.slack.channels.values()
        }
    rehearsal = simulate(configuration(routes), [parse_share(each, {}, START + at) for at, each in bodies])["i1"]
    rehearsed: dict[str, list[Any]] = {channel: [] for channel in live}
    for played in rehearsal.cards:
        if played.root is not None:
            replies = [(said(sent.message), sent.broadcast) for sent in played.replies]
            rehearsed[played.card.channel].append((said(played.root.message), replies))
    assert rehearsed == live
    assert any(live.values()) is (life != "over before its wait")
    if life == "over and back while it flaps, three times":
        [(_, replies)] = live["C0ALL00001"]
        assert [aloud for _, aloud in replies] == [False, True, False, False, False, True]


def said(message: Any) -> str:
    """What a message says, whichever workspace its links lead to."""
    told = orjson.dumps([message.text, list(message.blocks), list(message.attachments)]).decode()
    return told.replace(TEAM_URL, "https://there/").replace(WORKSPACE, "https://there/")


def test_pings_are_those_of_the_first_post_and_of_a_rise():
    rehearsal = simulate(configuration(), [share(0, status="warning"), share(60, status="critical")])["i1"]
    assert rehearsal.cards[0].pings == (("here",), ("S0CRIT", "here"))
    assert rehearsal.cards[0].replies[0].pings == ("S0CRIT", "here")


def test_a_burst_is_one_card_and_its_entries_are_told():
    rehearsal = simulate(configuration(), [share(0, status="warning"), share(0, status="critical")])["i1"]
    (played,) = rehearsal.cards
    assert (played.edits, played.first.pings) == (0, ("S0CRIT", "here"))
    assert "Critical" in played.root.message.text


LASTING = """
version: 1
routes:
  - name: all
    post:
      - {channel: C0ALL00001}
      - {channel: C0COMPACT1, template: compact}
      - {channel: C0BROKEN01, template: broken}
      - {channel: C0LONG0001, reopen_within: 7d}
"""
BROKEN = {f"broken/{kind}.j2": "{{ 1 // 0 }}" for kind in ("card", "resolved")}
DAY = 86_400


@pytest.mark.parametrize("told", [{"startedOn": START}, {}])
def test_each_card_counts_from_the_start_of_its_own_episode_and_a_later_one_leads_to_the_one_before(told):
    rules = build_configuration(
        ConfigurationFiles(routes_file="routes.yaml", routes_text=LASTING, templates=load_packaged() | BROKEN)
    )
    rehearsal = Simulation(rules)
    for at, status in [(0, "critical"), (120, "ok"), (DAY + 3600, "warning")]:
        rehearsal.receive(share(at, status=status, **told))
    rehearsal.run(until=START + DAY + 3700)
    later = [played for played in rehearsal.cards if played.card.episode == 2]
    assert {played.card.channel for played in later} == {"C0ALL00001", "C0COMPACT1", "C0BROKEN01"}
    since, before = f"<!date^{START + DAY + 3600}^", "https://there/archives/"
    assert all(since in said(played.root.message) and before in said(played.root.message) for played in later)

    rehearsal.receive(share(DAY + 3700, status="ok", endedOn=START + DAY + 3700, **told))
    rehearsal.run()
    for played in later:
        [now] = [each for each in rehearsal.cards if each.card.id == played.card.id]
        assert "after 1 min 40 s" in said(now.root.message)
        assert before in said(now.root.message)
        assert "after 1 min 40 s" in said(now.replies[-1].message)
    [long] = [played for played in rehearsal.cards if played.card.channel == "C0LONG0001"]
    for message in (long.root.message, long.replies[-1].message):
        assert ("after 1 d 1 h" in said(message)) is bool(told)


def test_a_repeat_has_no_plan_and_changes_nothing():
    rehearsal = simulate(
        configuration(), [share(0, status="critical"), replace(share(0, status="critical"), received=START + 9)]
    )["i1"]
    assert [taken.outcome for taken in rehearsal.shares] == [ShareOutcome.FIRST, ShareOutcome.REPEAT]
    assert rehearsal.routes == ("all",)
    assert rehearsal.cards[0].edits == 0


def test_a_share_that_comes_before_its_time_comes_now():
    rehearsal = Simulation(configuration())
    rehearsal.receive(share(100, status="critical"))
    rehearsal.receive(share(0, status="warning"))
    assert [taken.share.received for taken in rehearsal.shares] == [START + 100, START + 100]


def test_time_passes_only_as_far_as_it_is_let():
    rehearsal = Simulation(configuration(BY_TEAM))
    rehearsal.receive(share(0, status="critical", incidentTags=SLOW))
    rehearsal.run(until=START + 299)
    assert rehearsal.cards[0].card.state is CardState.PENDING
    rehearsal.run(until=START + 300)
    assert rehearsal.cards[0].first.at == START + 300


def test_incidents_are_played_apart():
    shares = [share(0, "i1", status="critical"), share(1, "i2", status="warning"), share(2, "i1", status="warning")]
    incidents = simulate(configuration(), shares)
    assert {incident: len(each.shares) for incident, each in incidents.items()} == {"i1": 2, "i2": 1}


def test_two_spellings_of_a_channel_make_one_card():
    routes = BY_TEAM.replace("{channel: C0DB000001,", '{channel: "#all",')
    shares = [share(0, status="critical", incidentTags=DATABASE)]
    cards = simulate(configuration(routes), shares, same={"#all": "C0ALL00001"})["i1"].cards
    assert [played.card.channel for played in cards] == ["C0ALL00001"]


def test_of_the_episode_before_a_new_card_has_a_link():
    shares = [
        share(0, status="critical", incidentTags=DATABASE),
        share(300, **OVER),
        share(1500, status="critical", **OPEN),
    ]
    card = simulate(configuration(BY_TEAM), shares)["i1"].cards[-1]
    assert card.card.episode == 2
    assert f"{WORKSPACE}archives/C0ALL00001/p" in said_raw(card.root.message)


def said_raw(message: Any) -> str:
    return orjson.dumps(list(message.attachments)).decode()


# --- what makes a backtest fast changes nothing ---

TOLD = st.fixed_dictionaries(
    {"status": st.sampled_from(["critical", "warning", "unknown", "ok"])},
    optional={
        "resolved": st.booleans(),
        "flapping": st.booleans(),
        "incidentTags": st.sampled_from([DATABASE, SLOW, [], [{"id": "zone", "value": "a"}]]),
        "metadata": st.sampled_from([{"comment": {"comment": "looking"}}, {"environment": "Production"}]),
    },
)
SHARES = st.lists(st.tuples(st.sampled_from([0, 1, 30, 130, 400, 5000, 100_000]), TOLD), min_size=1, max_size=6)


def in_sequence(told: list[tuple[int, dict[str, Any]]]) -> list[Share]:
    shares, at = [], 0
    for after, each in told:
        at += after
        shares.append(share(at, **each))
    return shares


ONE, TEAMS = configuration(), configuration(BY_TEAM)


@settings(max_examples=8)
@given(SHARES)
def test_what_is_not_drawn_comes_out_the_same_but_for_the_number_of_edits(told):
    drawn, undrawn = (simulate(TEAMS, in_sequence(told), drawn=each)["i1"] for each in (True, False))
    assert [taken.plan.decision if taken.plan else None for taken in drawn.shares] == [
        taken.plan.decision if taken.plan else None for taken in undrawn.shares
    ]
    for one, other in zip(drawn.cards, undrawn.cards, strict=True):
        assert (one.card.state, one.pings, one.edits <= other.edits) == (other.card.state, other.pings, True)
        assert [sent.entries for sent in one.replies] == [sent.entries for sent in other.replies]
        if one.root is not None:
            assert one.root.message.fingerprint == other.root.message.fingerprint
            assert [sent.message.fingerprint for sent in one.replies] == [
                sent.message.fingerprint for sent in other.replies
            ]


OTHERS = [
    configuration(BY_TEAM + "  - {name: zones, match: {tags: {zone: a}}, post: [C0ALL00001]}\n"),
    configuration(BY_TEAM.replace("wait: 5m", "wait: 6m")),
    configuration(BY_TEAM.replace("S0CRIT", "S0ELSE")),
    configuration(BY_TEAM.replace("reopen_within: 10m", "reopen_within: 2h")),
    configuration("# the same\n" + BY_TEAM),
]


@settings(max_examples=25)
@given(SHARES, st.sampled_from(OTHERS))
def test_where_another_rulebook_decides_alike_it_comes_to_the_same_cards(told, other):
    shares = in_sequence(told)
    rehearsal = Simulation(TEAMS, drawn=False, beside=other.rulebook)
    for each in shares:
        rehearsal.receive(each)
    rehearsal.run()
    cards = [played.card for played in rehearsal.cards]
    if rehearsal.alike:
        assert [played.card for played in simulate(other, shares, drawn=False)["i1"].cards] == cards
    if other is OTHERS[-1]:
        assert rehearsal.alike


def test_other_words_for_tags_are_never_alike():
    words = configuration(BY_TEAM + "tag_values: {zone: {a: A}}\n")
    assert not Simulation(TEAMS, beside=words.rulebook).alike
