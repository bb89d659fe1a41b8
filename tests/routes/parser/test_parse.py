"""Valid routes.yaml files and their rulebooks."""

from pathlib import Path

import pytest

from relay.model.incident import State
from relay.model.reading import read_incident
from relay.model.record import Block, Record
from relay.routes.evaluate import evaluate_routes
from relay.routes.options import InDoubtPolicy, Options
from relay.routes.parser.parse import parse_rulebook
from relay.routes.rulebook import Rulebook

EXAMPLE = """\
version: 1

channels:                      # names for people; ids survive a rename
  noc: C0123456789
  payments: C0PAYMENTS1

fallback: noc                  # for incidents that no route matches; or {channel: noc, wait: 3m}

tag_values:                    # BigPanda's internal ranks, as people know them
  itd_priority_1: {1000: P1, 2000: P2}

defaults:
  show_tags: [priority, service, team]

routes:
  - name: payments-critical
    match:
      environment: [Production, "Payments *"]
      status: critical
      tags:
        team: payments
        service: {not: "*-canary"}
        priority: [P1, P2]
    post:
      - channel: payments
        template: payments
        mention:
          critical: [S0PAYONCALL]
    continue: true

  - name: databases
    match: {tags: {team: database}}
    post: ["#db-oncall"]        # a bare channel is short for {channel: ...}
    routes:
      - name: databases-staging
        match: {environment: "/(?i)stag.*/"}
        post: [noc]
"""


def only(routes: str, top: str = "") -> Rulebook:
    return parse_rulebook(f"version: 1\n{top}\nroutes:\n  {routes}\n")


def test_the_example_gives_the_expected_rulebook():
    rules = parse_rulebook(EXAMPLE, templates=["payments"])
    payments, databases = rules.routes
    assert rules.fallback is not None
    assert rules.fallback.ref == "C0123456789"
    assert rules.tag_values == {"itd_priority_1": {"1000": "P1", "2000": "P2"}}
    assert rules.defaults == Options(show_tags=("priority", "service", "team"))
    assert (payments.name, payments.continue_, payments.line) == ("payments-critical", True, 16)
    assert payments.posts[0].options.template == "payments"
    assert payments.posts[0].mention.targets(State.CRITICAL) == ("S0PAYONCALL",)
    assert databases.posts[0].channel.resolve(dict) == "#db-oncall"
    assert databases.routes[0].posts[0].channel.source == "noc"
    assert rules.channel_refs == ("C0123456789", "C0PAYMENTS1", "#db-oncall")
    assert rules.templates == {"incident", "payments"}


def test_routes_match_the_labels_of_tag_values():
    rules = parse_rulebook(EXAMPLE)
    blocks = {
        "tags": Block(as_of=1.0, value=[["itd_priority_1", ["1000"]], ["team", ["Payments"]]]),
        "state": Block(as_of=1.0, value={"status": "critical", "resolved": None, "active": None}),
    }
    record = Record(incident="i1", blocks=blocks)
    assert not evaluate_routes(rules, read_incident(record, rules.tag_labels), variables=dict).matched
    here = parse_rulebook(EXAMPLE.replace('environment: [Production, "Payments *"]', "active: true"))
    assert evaluate_routes(here, read_incident(record, here.tag_labels), variables=dict).routes == (
        "payments-critical",
    )


def test_the_projects_own_routes_are_valid():
    rules = parse_rulebook(
        (Path(__file__).parents[3] / "routes.yaml").read_text(encoding="utf-8"), templates=["incident", "compact"]
    )
    assert rules.fallback is not None
    assert rules.route("payments-critical")


def test_a_rulebook_knows_its_text():
    assert parse_rulebook(EXAMPLE).text == EXAMPLE


def test_an_option_is_inherited_from_routes_and_defaults():
    rules = only(
        """- name: a
    gather: 10s
    wait: 1m
    reopen_within: 7d
    post: [C0111, {channel: C0222, gather: 1s, x-why: it is loud}]
    routes:
      - name: b
        wait: 2m
        post: [{channel: C0333, stale_after: 1h}]""",
        "defaults: {gather: 90s, wait: 3m, stale_after: 60s, in_doubt: hold, sync_replies: true}",
    )
    (a,) = rules.routes
    (b,) = a.routes
    assert [post.options.gather for post in a.posts] == [10, 1]
    assert [post.options.wait for post in a.posts] == [60, 60]
    deepest = b.posts[0].options
    assert (deepest.gather, deepest.wait, deepest.reopen_within, deepest.stale_after) == (10, 120, 604800, 3600)
    assert (deepest.in_doubt, deepest.sync_replies, deepest.allow_external) == (InDoubtPolicy.HOLD, True, False)
    assert (rules.defaults.gather, rules.defaults.stale_after) == (90, 60)


def test_every_option_can_be_set():
    rules = only(
        """- name: a
    post:
      - channel: C0111
        template: payments
        thread: [status, comment, status]
        broadcast: [rise, resolved, reopened, comment]
        gather: 0s
        wait: 5m
        reopen_within: 2h
        show_tags: [no, 012]
        runbook_tags: []
        in_doubt: hold
        allow_external: true
        actions: [assign, comment, snooze, resolve]
        actors: [S0AAAA]
        sync_replies: true
        stale_after: 1d""",
    )
    assert rules.routes[0].posts[0].options == Options(
        template="payments",
        thread=("status", "comment"),
        broadcast=("rise", "resolved", "reopened", "comment"),
        gather=0,
        wait=300,
        reopen_within=7200,
        show_tags=("no", "012"),
        runbook_tags=(),
        in_doubt=InDoubtPolicy.HOLD,
        allow_external=True,
        actions=("assign", "comment", "snooze", "resolve"),
        actors=("S0AAAA",),
        sync_replies=True,
        stale_after=86400,
    )


def test_post_may_be_missing_empty_or_set():
    rules = only("""- {name: group, routes: [{name: drop, post: []}]}
  - {name: send, post: [C0111]}""")
    group, send = rules.routes
    assert (group.groups_only, group.routes[0].groups_only, send.groups_only) == (True, False, False)


def test_anchors_aliases_and_merge_keys_work_in_x_keys():
    rules = parse_rulebook("""
version: 1
x-loud: &loud {gather: 30s, wait: 1m, x-note: merged too}
x-slow: &slow {gather: 5m, stale_after: 1h}
x-team: &team {team: database}
defaults: {<<: *slow}
routes:
  - name: a
    <<: [*loud, *slow]
    wait: 2m
    match: {tags: {<<: *team, service: x}}
    post: [C0111]
  - &b
    name: b
    post: [C0222]
  - <<: *b
    name: c
""")
    a, b, c = rules.routes
    assert (a.options.gather, a.options.wait, a.options.stale_after) == (30, 120, 3600)
    assert rules.defaults.gather == 300
    assert sorted(condition.subject.label for condition in a.match.conditions) == ["tags.service", "tags.team"]
    assert (b.posts[0].channel, c.name) == (c.posts[0].channel, "c")


@pytest.mark.parametrize(
    ("written", "wait", "default"),
    [("noc", 0, 0), ("{channel: noc, wait: 3m}", 180, 0), ("'#noc'", 60, 60), ("{channel: C0AAA1}", 60, 60)],
)
def test_the_fallback_is_a_channel_with_or_without_a_wait(written, wait, default):
    rules = parse_rulebook(
        f"version: 1\nchannels: {{noc: C0111}}\ndefaults: {{wait: {default}s, gather: 9s}}\nfallback: {written}\n"
    )
    assert rules.fallback is not None
    assert (rules.fallback.options.wait, rules.fallback.options.gather) == (wait, 9)


def test_routes_and_fallback_are_optional():
    rules = parse_rulebook("version: 1\n")
    assert (tuple(rules.routes), rules.fallback, rules.channel_refs) == ((), None, ())


def test_a_card_has_the_options_of_its_post_or_defaults_if_the_route_is_gone():
    rules = only(
        """- name: a
    gather: 2s
    post: [{channel: C0111, gather: 1s}, {channel: "#inc-{{ tags.team }}", gather: 3s}]""",
        "defaults: {gather: 4s}",
    )
    assert rules.options_for("a", "C0111").gather == 1
    assert rules.options_for("a", "#inc-payments").gather == 3
    assert rules.options_for("a", "C0999").gather == 2
    assert rules.options_for("gone", "C0111").gather == 4
    assert rules.route("a") is not None
    assert rules.route("gone") is None


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("S0AAA", "S0AAA"),
        ("U0AAA", "U0AAA"),
        ("W0AAA", "W0AAA"),
        ("here", "here"),
        ("channel", "channel"),
        ("'@here'", "here"),
        ("<!channel>", "channel"),
        ("<@U0AAA>", "U0AAA"),
        ("<!subteam^S0AAA|@oncall>", "S0AAA"),
    ],
)
def test_a_target_may_be_written_as_slack_does(written, target):
    rules = only(f'- {{name: a, post: [{{channel: C0111, mention: {{any: ["{written.strip(chr(39))}"]}}}}]}}')
    assert rules.routes[0].posts[0].mention.targets(State.CRITICAL) == (target,)


def test_users_and_tag_values_ignore_case():
    rules = parse_rulebook(
        "version: 1\nusers: {Ann@Example.org: 5f3a, bob@example.org: 012}\ntag_values: {Priority: {01: one, no: none}}"
    )
    assert rules.users == {"ann@example.org": "5f3a", "bob@example.org": "012"}
    assert rules.tag_values == {"priority": {"01": "one", "no": "none"}}


def test_an_alias_takes_precedence_over_an_id():
    rules = only("- {name: a, post: [C0111, '#Noc']}", "channels: {C0111: '#Real'}")
    assert [post.channel.resolve(dict) for post in rules.routes[0].posts] == ["#real", "#noc"]


def test_other_line_endings_and_a_byte_order_mark_are_accepted():
    assert parse_rulebook("\ufeff" + EXAMPLE.replace("\n", "\r\n")).route("databases")
