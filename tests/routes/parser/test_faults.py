"""Every fault of a routes.yaml is told at once, where it stands, with what was expected and what was found."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.model.errors import ConfigurationError, Fault
from relay.routes.parser.parse import parse_rulebook

ALL_AT_ONCE = """\
channels: {noc: C0123456789, old: nocc, noc: C0999999999}
fallback: nok
defaults:
  templat: incident
  gather: 2 minutes
routes:
  - name: a
    match:
      status: critcal
      tags: {host: "/db-(/", size: {min: big}}
      enviroment: Production
    post: [{channel: noc, template: paymnts, mention: {critical: [everyone]}}]
  - name: a
    continue: maybe
"""


def faults(text: str, templates=None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_rulebook(text, templates=templates)
    return [str(fault) for fault in caught.value.faults]


def test_all_faults_are_told_at_once_from_top_to_bottom_with_their_places():
    assert faults(ALL_AT_ONCE, templates=["payments"]) == [
        "routes.yaml:1:1: the version is missing; write version: 1",
        "routes.yaml:1:35: an alias stands for a channel's id (C... or G...) or its #name, found 'nocc'",
        "routes.yaml:1:41: 'noc' stands here twice; the first is in line 1",
        "routes.yaml:2:11: the channel 'nok' is not known; did you mean 'noc'?",
        "routes.yaml:4:3: 'templat' is no key that may stand in defaults; did you mean 'template'?",
        "routes.yaml:5:11: expected a duration such as 90s, 15m, 24h or 7d, found '2 minutes'",
        "routes.yaml:9:15: 'critcal' is not a state; did you mean 'critical'?",
        "routes.yaml:10:20: this is not a regular expression that RE2 takes: missing ): db-(",
        "routes.yaml:10:42: expected a number, found 'big'",
        "routes.yaml:11:7: 'enviroment' is not something that a match can look at; did you mean 'environment'?",
        "routes.yaml:12:37: there is no template 'paymnts'; did you mean 'payments'?",
        "routes.yaml:12:67: 'everyone' cannot be pinged: write 'channel' to ping all of a channel",
        "routes.yaml:13:5: the route has neither post nor routes; post: [] takes what it matches and drops it",
        "routes.yaml:13:11: there is a route 'a' in line 7 already; names are unique",
        "routes.yaml:14:15: expected true or false, found 'maybe'",
    ]


def test_faults_name_the_file_they_were_read_from():
    with pytest.raises(ConfigurationError) as caught:
        parse_rulebook("version: 3", file="conf/routes.yaml")
    assert str(caught.value) == "conf/routes.yaml:1:10: this relay reads version 1, found '3'"


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("", "1:1", "the file is empty; it begins with: version: 1"),
        ("# nothing but a comment\n", "1:1", "the file is empty"),
        ("- a\n- b\n", "1:1", "expected a mapping"),
        ("just words", "1:1", "expected a mapping"),
        ("version: 1\n---\nversion: 1\n", "2:1", "what follows --- is a file of its own"),
        ("version: 1\nroutes: *canary\n", "2:9", "a value that begins with * needs quotes"),
        ("version: 1\n# a\u00a0remark\nroutes: a\n  b: c\n", "4:4", "a key cannot stand here"),
        ("version: 1\nfallback: @noc\n", "2:11", 'a value that begins with @ needs quotes: "@noc"'),
        (
            "version: 1\nroutes:\n  - {name: a, post: [#noc]}\n",
            "3:21",
            'a value that begins with # needs quotes: "#noc"',
        ),
        ("version: 1\nroutes: [\n", "2:9", "not closed"),
        ("version: 1\nroutes: [{name: a]\n", "2:10", "not closed"),
        ("version: 1\nnote: a: b\n", "2:7", 'a text with a colon and a blank in it needs quotes: "a: b"'),
        ("version: 1\nnote: \x07\n", "2:7", "the character U+0007 may not stand in YAML"),
        ("version: 1\nnöte: é \x07\n", "2:9", "the character U+0007 may not stand in YAML"),
        ("version: 1\nnote: \ud800\n", "2:7", "the character U+D800 may not stand in YAML"),
        ("version: 1\nx-a: &a [*a]\n", "2:6", "contains itself"),
        ("version: 1\nx-a: " + "[" * 100_000, "2:65", "nested more than 60 levels deep"),
        (
            "version: 1\nx-a: !!python/object:os.system x\n",
            "2:6",
            "the tag tag:yaml.org,2002:python/object:os.system means",
        ),
        ("version: 1\nx-a: !mine {}\n", "2:6", "the tag !mine means nothing here"),
        ("version: 1\n[a]: b\n", "2:1", "a key is a word"),
        ("version: 1\ndefaults: {<<: 3}\n", "2:16", "<< merges a mapping"),
    ],
)
def test_what_is_no_rulebook_at_all_is_one_clear_fault(text, place, part):
    assert [fault for fault in faults(text) if fault.startswith(f"routes.yaml:{place}: ") and part in fault]


def test_a_bomb_of_aliases_is_a_fault_and_not_a_hang():
    lines = ["version: 1", "x-0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert any("with its aliases written out" in fault for fault in faults("\n".join(lines)))


def test_a_nesting_made_of_aliases_is_a_fault_and_not_a_crash():
    deep = "\n".join(f"x-{n}: &a{n} {{not: {{not: {{not: *a{n - 1}}}}}}}" for n in range(1, 600))
    text = f"version: 1\nx-0: &a0 {{status: critical}}\n{deep}\nroutes: [{{name: a, match: *a599, post: []}}]\n"
    assert any("nested more than 60 levels deep" in fault for fault in faults(text))


def in_route(body: str) -> str:
    return f"version: 1\nchannels: {{noc: C0111}}\nroutes:\n  - name: a\n    {body}\n"


def matching(match: str) -> str:
    return in_route(f"post: []\n    match: {match}")


def posting(item: str) -> str:
    return in_route(f"post: [{item}]")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        # keys and their places
        (in_route("psot: []\n    post: []"), "'psot' is no key that may stand in a route; did you mean 'post'?"),
        (in_route("post: []\n    mention: {}"), "'mention' does not stand in a route; it stands in a post item"),
        (posting("{channel: noc, name: b}"), "'name' does not stand in a post item; it stands in a route"),
        (
            "version: 1\ngather: 2m",
            "'gather' does not stand at the top; it stands in defaults or in a route or in a post",
        ),
        (
            "version: 1\nfallback: {channel: noc, gather: 2m}\nchannels: {noc: C0111}",
            "'gather' does not stand in fallback",
        ),
        ("version: 1\nroutes: [{post: []}]", "the route has no name"),
        (in_route("post: [{template: incident}]"), "the post item has no channel"),
        ("version: 1\nfallback: {wait: 3m}", "the fallback has no channel"),
        # types
        ("version: 1\nroutes: {}", "expected a list of routes, found a mapping"),
        ("version: 1\nroutes: [a]", "expected a mapping of a route's keys"),
        (in_route("post:"), "expected a list of channels (post: [] drops what it takes), found nothing"),
        (in_route("post: noc"), "expected a list of channels"),
        (in_route("post: []\n    enabled: yes"), "expected true or false, found 'yes'"),
        (in_route('post: []\n    enabled: "true"'), "expected true or false, found 'true'"),
        (in_route("post: []\n    note: [a]"), "expected a word, found a list"),
        ("version: 1\nroutes: [{name: , post: []}]", "expected a word, found nothing"),
        (in_route("post: []\n    show_tags: team"), "expected a list, found 'team'; one alone is written [team]"),
        (in_route("post: []\n    gather: 90"), "expected a duration such as 90s, 15m, 24h or 7d, found '90'"),
        (in_route("post: []\n    gather: -5m"), "expected a duration"),
        (in_route("post: []\n    gather: 1.5h"), "expected a duration"),
        (in_route("post: []\n    gather: 9999d"), "a duration is at most ten years"),
        (in_route("post: []\n    thread: [statuses]"), "'statuses' is not known here; did you mean 'status'?"),
        (in_route("post: []\n    thread: [reopened]"), "'reopened' is not known here"),
        (in_route("post: []\n    broadcast: [rises]"), "did you mean 'rise'?"),
        (in_route("post: []\n    in_doubt: retry"), "'retry' is not known here; there are: repost, hold"),
        (in_route("post: []\n    actions: [close]"), "there are: assign, comment, snooze, resolve"),
        (in_route("post: []\n    actors: [U0AAA]"), "expected the id of a user group (S...), found 'U0AAA'"),
        (in_route("post: []\n    template: ../etc"), "a template is the name of a folder under templates/"),
        # channels
        (posting("nok"), "the channel 'nok' is not known; did you mean 'noc'?"),
        (posting("NOC"), "did you mean 'noc'?"),
        (posting("GENERAL"), "the channel 'GENERAL' is not known"),
        (posting("D0123456"), "the channel 'D0123456' is not known"),
        (posting("'#bad name'"), "'#bad name' cannot be a channel's name"),
        (posting("'#'"), "'#' cannot be a channel's name"),
        (posting(f"'#{'x' * 81}'"), "80 at most"),
        (posting("'{{ tags.team }}'"), "begins with # and a constant"),
        (posting("'#{{ tags.team }}'"), "begins with # and a constant"),
        (posting("'#a-{{ teem }}'"), "'teem' is not a variable"),
        (posting("'#a-{{ tags.team }'"), "not valid Jinja"),
        (
            "version: 1\nroutes: [{name: a, post: [{channel: #noc\n}]}]",
            "expected a word, found nothing (a value that begins",
        ),
        ("version: 1\nchannels: {noc: C0111, b: noc}", "an alias stands for a channel's id"),
        ("version: 1\nchannels: {'#a': C0111}", "an alias is a plain word without #"),
        ("version: 1\nfallback: '#a-{{ tags.team }}'", "this channel must not depend on the incident"),
        # mentions
        (posting("{channel: noc, mention: [S0AAA]}"), "expected a mapping of states to lists"),
        (posting("{channel: noc, mention: {critical: S0AAA}}"), "one alone is written [S0AAA]"),
        (
            posting("{channel: noc, mention: {critcal: []}}"),
            "'critcal' is not a state that pings; did you mean 'critical'?",
        ),
        (posting("{channel: noc, mention: {resolved: []}}"), "nobody is pinged when an incident is resolved"),
        (
            posting("{channel: noc, mention: {any: [oncall]}}"),
            "'oncall' cannot be pinged: expected the id of a user group",
        ),
        (posting("{channel: noc, mention: {any: [SRE]}}"), "'SRE' cannot be pinged"),
        (posting("{channel: noc, mention: {any: [ann@x.org]}}"), "an address is no target"),
        # matches
        (matching(""), "expected a mapping of conditions"),
        (matching("{team: a}"), "'team' is not something that a match can look at"),
        (matching("{x-team: a}"), "'x-team' is not something that a match can look at"),
        (matching("{tags: team}"), "expected a mapping of names to values"),
        (matching("{tags: {team: }}"), "expected a value, found nothing (absence is {exists: false}"),
        (matching("{tags: {team: []}}"), "expected a list with at least one value, found an empty list"),
        (matching("{tags: {team: {}}}"), "expected an operator, found none; there are: not, any, all"),
        (matching("{tags: {team: {nto: a}}}"), "'nto' is not an operator here; did you mean 'not'?"),
        (matching("{tags: {team: {any: a}}}"), "expected a list with at least one value, found 'a'"),
        (matching("{tags: {team: {is: [a]}}}"), "'is' takes one word, found a list"),
        (matching("{tags: {team: {re: '('}}}"), "not a regular expression that RE2 takes"),
        (matching("{tags: {team: '/(?=a)/'}}"), "not a regular expression that RE2 takes: invalid perl operator"),
        (matching("{tags: {team: {exists: no}}}"), "expected true or false, found 'no'"),
        (matching("{tags: {team: {min: nan}}}"), "expected a number, found 'nan'"),
        (matching("{tags: {team: {min: 5, max: 3}}}"), "nothing lies between a min of '5' and a max of '3'"),
        (matching("{status: ok}"), "'ok' is not a state; did you mean 'resolved'?"),
        (matching("{status: {min: 3}}"), "expected a state, found '3'"),
        (matching("{status: {not: [critical, warn]}}"), "'warn' is not a state; did you mean 'warning'?"),
        (matching("{active: no}"), "expected true or false, found 'no'"),
        (matching("{flapping: 'true'}"), "expected true or false, found 'true'"),
        (matching("{flapping: {min: true}}"), "'min' is not an operator here"),
        (matching("{alerts: some}"), "expected a number, found 'some'"),
        (matching("{alerts: {re: x}}"), "'re' is not an operator here"),
        (matching("{any: {status: critical}}"), "'any' takes a list of matches"),
        (matching("{all: []}"), "'all' takes a list of matches"),
        (matching("{any: [critical]}"), "expected a mapping of conditions"),
        (matching("{not: [{status: critical}]}"), "expected a mapping of conditions"),
        # the rest
        ("version: 1\ntag_values: {p: 1}", "expected a mapping of raw values to words"),
        ("version: 1\ntag_values: {p: {1: a}, P: {2: b}}", "'P' stands here twice, in other letters"),
        ("version: 1\nusers: {ann: 1}", "expected an e-mail address, found 'ann'"),
        ("version: one", "this relay reads version 1, found 'one'"),
        ("version: [1]", "this relay reads version 1, found a list"),
    ],
)
def test_a_fault_is_a_sentence_that_can_be_acted_on(text, part):
    (fault,) = faults(text)
    assert part in fault


def test_a_disabled_route_is_checked_all_the_same():
    assert faults(in_route("enabled: false\n    post: [nok]"))


def test_a_fault_behind_an_anchor_is_told_once_however_often_it_is_used():
    text = "version: 1\nx-a: &a {gather: soon}\nroutes:\n" + "".join(
        f"  - {{name: r{each}, <<: *a, post: []}}\n" for each in range(5)
    )
    (fault,) = faults(text)
    assert fault.startswith("routes.yaml:2:18: ")


def test_the_built_in_template_is_always_there():
    assert parse_rulebook(in_route("post: [{channel: noc, template: incident}]"), templates=[])


def test_a_regular_expression_that_is_wrong_is_told_and_not_printed(capfd):
    faults(matching("{tags: {team: '/(/'}}"))
    assert capfd.readouterr() == ("", "")


@settings(max_examples=80)
@given(st.data())
def test_any_damage_to_a_file_is_a_rulebook_or_a_configuration_error(data):
    text = ALL_AT_ONCE.replace("critcal", "critical")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    what = data.draw(st.text(alphabet=st.sampled_from("{}[]:,#&*!|>'\"%@`- \n\tax1~<\x00\u2028é"), max_size=8))
    found = try_to_load(text[:start] + what + text[end:])
    assert all(fault.line >= 1 and fault.column >= 1 for fault in found)


def try_to_load(text: str) -> tuple[Fault, ...]:
    try:
        parse_rulebook(text)
    except ConfigurationError as error:
        return error.faults
    return ()
