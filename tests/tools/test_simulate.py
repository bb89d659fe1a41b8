"""A simulation does what live work does with the same shares."""

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
from relay.model.struct import replace
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


def body(at: float, incident: str = "i1", **fields: Any) -> bytes:
    beside = {name: fields.pop(name) for name in ("incidentTags", "metadata", "event_types") if name in fields}
    return orjson.dumps({"incident": {"id": incident, "changedOn": int(START + at), **fields}, **beside})


def share(at: float, incident: str = "i1", **fields: Any) -> Share:
    return parse_share(body(at, incident, **fields), {}, START + at)


DATABASE = [{"id": "team", "value": "database"}]
SLOW = [{"id": "team", "value": "slow"}]
OVER = {"resolved": True, "active": False}
OPEN = {"resolved": False, "active": True}

INCIDENTS: dict[str, list[tuple[float, dict[str, Any]]]] = {
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
    "ended before its wait": [(0, {"status": "critical", "incidentTags": SLOW}), (200, OVER)],
    "longer than its wait": [(0, {"status": "critical", "incidentTags": SLOW}), (400, OVER)],
    "a later episode in one of two channels": [
        (0, {"status": "critical", "incidentTags": DATABASE}),
        (300, OVER),
        (1500, {"status": "critical", **OPEN}),
    ],
    "tags and alerts are batched": [
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
    "ended and reopened while it flaps, three times": [
        (0, {"status": "critical", "flapping": True}),
        *(
            (at, fields)
            for end in (60, 1500, 3000)
            for at, fields in ((end, OVER), (end + 700, {"status": "warning"} | OPEN))
        ),
    ],
    "sent late, and repeated": [
        (0, {"status": "critical"}),
        (300, {"changedOn": START - 50, "status": "warning"}),
        (301, {}),
    ],
}


@pytest.mark.parametrize("name", INCIDENTS)
async def test_a_simulation_sends_what_live_work_sends(name, tmp_path):
    bodies = [(at, body(at, **fields)) for at, fields in INCIDENTS[name]]
    routes = BY_TEAM if "incidentTags" in orjson.dumps(INCIDENTS[name]).decode() else ROUTES
    async with run_relay(tmp_path, routes=routes) as running:
        passed = 0.0
        for at, each in bodies:
            await running.advance(at - passed)
            passed = at
            await running.ingest.accept(each, {})
        await running.advance(900)
        live = {
            channel.id: [
                (text_of(root), [(text_of(reply), reply.broadcast) for reply in channel.thread(root.ts)])
                for root in channel.messages
            ]
            for channel in running.slack.channels.values()
        }
    simulation = simulate(configuration(routes), [parse_share(each, {}, START + at) for at, each in bodies])["i1"]
    simulated: dict[str, list[Any]] = {channel: [] for channel in live}
    for card in simulation.cards:
        if card.root is not None:
            replies = [(text_of(sent.message), sent.broadcast) for sent in card.replies]
            simulated[card.card.channel].append((text_of(card.root.message), replies))
    assert simulated == live
    assert any(live.values()) is (name != "ended before its wait")
    if name == "ended and reopened while it flaps, three times":
        [(_, replies)] = live["C0ALL00001"]
        assert [broadcast for _, broadcast in replies] == [False, True, False, False, False, True]


def text_of(message: Any) -> str:
    """What a message says, whatever workspace its links lead to."""
    fields = orjson.dumps([message.text, list(message.blocks), list(message.attachments)]).decode()
    return fields.replace(TEAM_URL, "https://there/").replace(WORKSPACE, "https://there/")


def test_the_first_post_and_a_rise_ping():
    simulation = simulate(configuration(), [share(0, status="warning"), share(60, status="critical")])["i1"]
    assert simulation.cards[0].pings == (("here",), ("S0CRIT", "here"))
    assert simulation.cards[0].replies[0].pings == ("S0CRIT", "here")


def test_a_burst_makes_one_card_with_its_entries():
    simulation = simulate(configuration(), [share(0, status="warning"), share(0, status="critical")])["i1"]
    (card,) = simulation.cards
    assert (card.edits, card.first.pings) == (0, ("S0CRIT", "here"))
    assert "Critical" in card.root.message.text


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


@pytest.mark.parametrize("fields", [{"startedOn": START}, {}])
def test_each_card_counts_from_the_start_of_its_episode_and_links_to_the_previous_one(fields):
    rules = build_configuration(
        ConfigurationFiles(routes_file="routes.yaml", routes_text=LASTING, templates=load_packaged() | BROKEN)
    )
    simulation = Simulation(rules)
    for at, status in [(0, "critical"), (120, "ok"), (DAY + 3600, "warning")]:
        simulation.receive(share(at, status=status, **fields))
    simulation.run(until=START + DAY + 3700)
    later = [card for card in simulation.cards if card.card.episode == 2]
    assert {card.card.channel for card in later} == {"C0ALL00001", "C0COMPACT1", "C0BROKEN01"}
    since, before = f"<!date^{START + DAY + 3600}^", "https://there/archives/"
    assert all(since in text_of(card.root.message) and before in text_of(card.root.message) for card in later)

    simulation.receive(share(DAY + 3700, status="ok", endedOn=START + DAY + 3700, **fields))
    simulation.run()
    for card in later:
        [now] = [each for each in simulation.cards if each.card.id == card.card.id]
        assert "after 1 min 40 s" in text_of(now.root.message)
        assert before in text_of(now.root.message)
        assert "after 1 min 40 s" in text_of(now.replies[-1].message)
    [long] = [card for card in simulation.cards if card.card.channel == "C0LONG0001"]
    for message in (long.root.message, long.replies[-1].message):
        assert ("after 1 d 1 h" in text_of(message)) is bool(fields)


def test_a_repeat_has_no_plan_and_changes_nothing():
    simulation = simulate(
        configuration(), [share(0, status="critical"), replace(share(0, status="critical"), received=START + 9)]
    )["i1"]
    assert [each.outcome for each in simulation.shares] == [ShareOutcome.FIRST, ShareOutcome.REPEAT]
    assert simulation.routes == ("all",)
    assert simulation.cards[0].edits == 0


def test_a_share_whose_time_has_passed_arrives_now():
    simulation = Simulation(configuration())
    simulation.receive(share(100, status="critical"))
    simulation.receive(share(0, status="warning"))
    assert [each.share.received for each in simulation.shares] == [START + 100, START + 100]


def test_time_passes_only_until_the_given_time():
    simulation = Simulation(configuration(BY_TEAM))
    simulation.receive(share(0, status="critical", incidentTags=SLOW))
    simulation.run(until=START + 299)
    assert simulation.cards[0].card.state is CardState.PENDING
    simulation.run(until=START + 300)
    assert simulation.cards[0].first.at == START + 300


def test_incidents_are_simulated_separately():
    shares = [share(0, "i1", status="critical"), share(1, "i2", status="warning"), share(2, "i1", status="warning")]
    incidents = simulate(configuration(), shares)
    assert {incident: len(each.shares) for incident, each in incidents.items()} == {"i1": 2, "i2": 1}


def test_two_references_to_a_channel_make_one_card():
    routes = BY_TEAM.replace("{channel: C0DB000001,", '{channel: "#all",')
    shares = [share(0, status="critical", incidentTags=DATABASE)]
    cards = Simulation(configuration(routes), canonical_refs={"#all": "C0ALL00001"}).receive_all(shares).cards
    assert [card.card.channel for card in cards] == ["C0ALL00001"]


def test_a_new_card_links_to_the_card_of_the_previous_episode():
    shares = [
        share(0, status="critical", incidentTags=DATABASE),
        share(300, **OVER),
        share(1500, status="critical", **OPEN),
    ]
    card = simulate(configuration(BY_TEAM), shares)["i1"].cards[-1]
    assert card.card.episode == 2
    assert f"{WORKSPACE}archives/C0ALL00001/p" in attachments_of(card.root.message)


def attachments_of(message: Any) -> str:
    return orjson.dumps(list(message.attachments)).decode()


# --- the shortcuts of a backtest change nothing ---

FIELDS = st.fixed_dictionaries(
    {"status": st.sampled_from(["critical", "warning", "unknown", "ok"])},
    optional={
        "resolved": st.booleans(),
        "flapping": st.booleans(),
        "incidentTags": st.sampled_from([DATABASE, SLOW, [], [{"id": "zone", "value": "a"}]]),
        "metadata": st.sampled_from([{"comment": {"comment": "looking"}}, {"environment": "Production"}]),
    },
)
SHARES = st.lists(st.tuples(st.sampled_from([0, 1, 30, 130, 400, 5000, 100_000]), FIELDS), min_size=1, max_size=6)


def in_sequence(fields: list[tuple[int, dict[str, Any]]]) -> list[Share]:
    shares, at = [], 0
    for after, each in fields:
        at += after
        shares.append(share(at, **each))
    return shares


ONE, TEAMS = configuration(), configuration(BY_TEAM)


@settings(max_examples=8)
@given(SHARES)
def test_without_rendering_only_the_number_of_edits_differs(fields):
    rendered, plain = (Simulation(TEAMS, render=each).receive_all(in_sequence(fields)) for each in (True, False))
    assert [each.plan.decision if each.plan else None for each in rendered.shares] == [
        each.plan.decision if each.plan else None for each in plain.shares
    ]
    for one, other in zip(rendered.cards, plain.cards, strict=True):
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
def test_a_rulebook_that_decides_the_same_produces_the_same_cards(fields, other):
    shares = in_sequence(fields)
    simulation = Simulation(TEAMS, render=False, alternative=other.rulebook).receive_all(shares)
    cards = [card.card for card in simulation.cards]
    if simulation.is_same:
        assert [card.card for card in Simulation(other, render=False).receive_all(shares).cards] == cards
    if other is OTHERS[-1]:
        assert simulation.is_same


def test_a_rulebook_with_other_tag_labels_is_never_the_same():
    labelled = configuration(BY_TEAM + "tag_values: {zone: {a: A}}\n")
    assert not Simulation(TEAMS, alternative=labelled.rulebook).is_same
