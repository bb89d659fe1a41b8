"""Messages about faults in routes.yaml: all at once, each with its place, what was found and what was expected."""

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


def test_all_faults_are_reported_at_once_in_the_order_of_the_file():
    assert faults(ALL_AT_ONCE, templates=["payments"]) == [
        "routes.yaml:1:1: missing key 'version'; write version: 1",
        "routes.yaml:1:35: expected a channel id (C... or G...) or a #name, found 'nocc'",
        "routes.yaml:1:41: duplicate key 'noc', first in line 1",
        "routes.yaml:2:11: unknown channel 'nok'; did you mean 'noc'?",
        "routes.yaml:4:3: unknown key 'templat' in defaults; did you mean 'template'?",
        "routes.yaml:5:11: expected a duration such as 90s, 15m, 24h or 7d, found '2 minutes'; write 2m",
        "routes.yaml:9:15: unknown state 'critcal'; did you mean 'critical'?",
        "routes.yaml:10:20: invalid regular expression (RE2): missing ): db-(",
        "routes.yaml:10:42: expected a number, found 'big'",
        "routes.yaml:11:7: unknown key 'enviroment' in match; did you mean 'environment'?",
        "routes.yaml:12:37: unknown template 'paymnts'; did you mean 'payments'?",
        "routes.yaml:12:67: invalid target 'everyone'; write channel to ping everyone in the channel",
        "routes.yaml:13:5: expected 'post' or 'routes' in the route, found neither; write post: [] to drop incidents",
        "routes.yaml:13:11: duplicate route name 'a', first used in line 7",
        "routes.yaml:14:15: expected true or false, found 'maybe'",
    ]


def test_faults_name_the_file():
    with pytest.raises(ConfigurationError) as caught:
        parse_rulebook("version: 3", file="conf/routes.yaml")
    assert str(caught.value) == "conf/routes.yaml:1:10: expected version 1, found '3'"


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        ("", "1:1", "the file is empty; write version: 1 in its first line"),
        ("# nothing but a comment\n", "1:1", "the file is empty"),
        ("- a\n- b\n", "1:1", "expected a mapping"),
        ("just words", "1:1", "expected a mapping"),
        ("version: 1\n---\nversion: 1\n", "2:1", "remove what follows ---"),
        ("version: 1\nroutes: *canary\n", "2:9", "a value that begins with * needs quotes"),
        ("version: 1\n# a\u00a0remark\nroutes: []\n  b: c\n", "4:3", "expected a key here"),
        ("version: 1\nfallback: @noc\n", "2:11", 'a value that begins with @ needs quotes: "@noc"'),
        (
            "version: 1\nroutes:\n  - {name: a, post: [#noc]}\n",
            "3:21",
            'a value that begins with # needs quotes: "#noc"',
        ),
        ("version: 1\nroutes: [\n", "2:9", "not closed"),
        ("version: 1\nroutes: [{name: a]\n", "2:10", "not closed"),
        ("version: 1\nnote: a: b\n", "2:7", 'text that contains a colon and a space needs quotes: "a: b"'),
        ("version: 1\nnote: \x07\n", "2:7", "YAML does not allow the character U+0007"),
        ("version: 1\nnöte: é \x07\n", "2:9", "YAML does not allow the character U+0007"),
        ("version: 1\nnote: \ud800\n", "2:7", "YAML does not allow the character U+D800"),
        ("version: 1\nx-a: &a [*a]\n", "2:6", "contains itself"),
        ("version: 1\nx-a: " + "[" * 100_000, "2:65", "nested more than 60 levels deep"),
        (
            "version: 1\nx-a: !!python/object:os.system x\n",
            "2:6",
            "unknown YAML tag tag:yaml.org,2002:python/object:os.system",
        ),
        ("version: 1\nx-a: !mine {}\n", "2:6", "unknown YAML tag !mine"),
        ("version: 1\n[a]: b\n", "2:1", "expected a plain key"),
        ("version: 1\ndefaults: {<<: 3}\n", "2:16", "expected a mapping or a list of mappings after <<"),
    ],
)
def test_text_that_is_not_a_rulebook_gives_a_clear_fault(text, place, part):
    assert [fault for fault in faults(text) if fault.startswith(f"routes.yaml:{place}: ") and part in fault]


def test_an_alias_bomb_is_a_fault_and_not_a_hang():
    lines = ["version: 1", "x-0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert any("counting what aliases repeat" in fault for fault in faults("\n".join(lines)))


def test_deep_nesting_by_aliases_is_a_fault_and_not_a_crash():
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
        (in_route("psot: []\n    post: []"), "unknown key 'psot' in route; did you mean 'post'?"),
        (in_route("post: []\n    mention: {}"), "key 'mention' is not allowed in route, only in post item"),
        (posting("{channel: noc, name: b}"), "key 'name' is not allowed in post item, only in route"),
        (
            "version: 1\ngather: 2m",
            "key 'gather' is not allowed in the top level, only in defaults or route or post item",
        ),
        (
            "version: 1\nfallback: {channel: noc, gather: 2m}\nchannels: {noc: C0111}",
            "key 'gather' is not allowed in fallback, only in defaults or route or post item",
        ),
        ("version: 1\nroutes: [{post: []}]", "missing key 'name' in route"),
        (in_route("post: [{template: incident}]"), "missing key 'channel' in post item"),
        ("version: 1\nfallback: {wait: 3m}", "missing key 'channel' in fallback"),
        # types
        ("version: 1\nroutes: {}", "expected a list of routes, found a mapping"),
        ("version: 1\nroutes: [a]", "expected a mapping of a route's keys"),
        (in_route("post:"), "expected a list of channels (post: [] drops incidents), found nothing"),
        (in_route("post: noc"), "expected a list of channels"),
        (in_route("post: []\n    enabled: yes"), "expected true or false, found 'yes'"),
        (in_route('post: []\n    enabled: "true"'), "expected true or false, found 'true'"),
        (in_route("post: []\n    note: [a]"), "expected text, found a list"),
        ("version: 1\nroutes: [{name: , post: []}]", "expected text, found nothing"),
        (in_route("post: []\n    show_tags: team"), "expected a list, found 'team'; write [team]"),
        (in_route("post: []\n    gather: 90"), "expected a duration such as 90s, 15m, 24h or 7d, found '90'"),
        (in_route("post: []\n    gather: -5m"), "expected a duration"),
        (in_route("post: []\n    gather: 1.5h"), "expected a duration"),
        (in_route("post: []\n    gather: 9999d"), "expected a duration of at most 3650d, found '9999d'"),
        (in_route("post: []\n    thread: [statuses]"), "unknown value 'statuses'; did you mean 'status'?"),
        (in_route("post: []\n    thread: [reopened]"), "unknown value 'reopened'"),
        (in_route("post: []\n    broadcast: [rises]"), "did you mean 'rise'?"),
        (in_route("post: []\n    in_doubt: retry"), "unknown value 'retry'; expected one of: repost, hold"),
        (in_route("post: []\n    actions: [close]"), "expected one of: assign, comment, snooze, mute, resolve"),
        (
            in_route("post: []\n    actors: [U0AAA]"),
            "expected an alias from people, or the id of a user group (S...), found 'U0AAA'",
        ),
        (in_route("post: []\n    template: ../etc"), "expected the name of a folder under templates/, found '../etc'"),
        # channels
        (posting("nok"), "unknown channel 'nok'; did you mean 'noc'?"),
        (posting("NOC"), "did you mean 'noc'?"),
        (posting("GENERAL"), "unknown channel 'GENERAL'"),
        (posting("D0123456"), "unknown channel 'D0123456'"),
        (posting("'#bad name'"), "invalid channel name '#bad name'"),
        (posting("'#'"), "invalid channel name '#'"),
        (posting(f"'#{'x' * 81}'"), "at most 80"),
        (posting("'{{ tags.team }}'"), "must begin with # and fixed text"),
        (posting("'#{{ tags.team }}'"), "must begin with # and fixed text"),
        (posting("'#a-{{ teem }}'"), "unknown variable 'teem'"),
        (posting("'#a-{{ tags.team }'"), "invalid Jinja in a channel"),
        (
            "version: 1\nroutes: [{name: a, post: [{channel: #noc\n}]}]",
            "expected text, found nothing (a value that begins",
        ),
        ("version: 1\nchannels: {noc: C0111, b: noc}", "expected a channel id"),
        ("version: 1\nchannels: {'#a': C0111}", "expected an alias without #"),
        ("version: 1\nfallback: '#a-{{ tags.team }}'", "expected a fixed channel, found"),
        # mentions
        (posting("{channel: noc, mention: [S0AAA]}"), "expected a mapping of states to lists"),
        (posting("{channel: noc, mention: {critical: S0AAA}}"), "write [S0AAA]"),
        (
            posting("{channel: noc, mention: {critcal: []}}"),
            "unknown key 'critcal' in mention; did you mean 'critical'?",
        ),
        (posting("{channel: noc, mention: {resolved: []}}"), "relay never pings for a resolved incident"),
        (
            posting("{channel: noc, mention: {any: [oncall]}}"),
            "invalid target 'oncall'; expected an alias from people, the id of a user group",
        ),
        (posting("{channel: noc, mention: {any: [SRE]}}"), "invalid target 'SRE'"),
        (posting("{channel: noc, mention: {any: [ann@x.org]}}"), "instead of an address"),
        # matches
        (matching(""), "expected a mapping of conditions"),
        (matching("{team: a}"), "unknown key 'team' in match"),
        (matching("{x-team: a}"), "unknown key 'x-team' in match"),
        (matching("{tags: team}"), "expected a mapping of names to values"),
        (matching("{tags: {team: }}"), "expected a value, found nothing (for an absent value write {exists: false}"),
        (matching("{tags: {team: []}}"), "expected a list with at least one value, found an empty list"),
        (
            matching("{tags: {team: {}}}"),
            "expected an operator, found an empty mapping; expected one of: not, any, all",
        ),
        (matching("{tags: {team: {nto: a}}}"), "unknown operator 'nto'; did you mean 'not'?"),
        (matching("{tags: {team: {any: a}}}"), "expected a list with at least one value, found 'a'"),
        (matching("{tags: {team: {is: [a]}}}"), "expected one value under 'is', found a list"),
        (matching("{tags: {team: {re: '('}}}"), "invalid regular expression (RE2)"),
        (matching("{tags: {team: '/(?=a)/'}}"), "invalid regular expression (RE2): invalid perl operator"),
        (matching("{tags: {team: {exists: no}}}"), "expected true or false, found 'no'"),
        (matching("{tags: {team: {min: nan}}}"), "expected a number, found 'nan'"),
        (matching("{tags: {team: {min: 5, max: 3}}}"), "min '5' is above max '3': no value matches"),
        (matching("{status: ok}"), "unknown state 'ok'; did you mean 'resolved'?"),
        (matching("{status: {min: 3}}"), "unknown state '3'"),
        (matching("{status: {not: [critical, warn]}}"), "unknown state 'warn'; did you mean 'warning'?"),
        (matching("{active: no}"), "expected true or false, found 'no'"),
        (matching("{flapping: 'true'}"), "expected true or false, found 'true'"),
        (matching("{flapping: {min: true}}"), "unknown operator 'min'"),
        (matching("{alerts: some}"), "expected a number, found 'some'"),
        (matching("{alerts: {re: x}}"), "unknown operator 're'"),
        (matching("{any: {status: critical}}"), "expected a list of matches, such as any:"),
        (matching("{all: []}"), "expected a list of matches, such as all:"),
        (matching("{any: [critical]}"), "expected a mapping of conditions"),
        (matching("{not: [{status: critical}]}"), "expected a mapping of conditions"),
        # the rest
        ("version: 1\ntag_values: {p: 1}", "expected a mapping of raw values to words"),
        ("version: 1\ntag_values: {p: {1: a}, P: {2: b}}", "duplicate tag 'P'"),
        ("version: 1\nusers: {ann: 1}", "expected an e-mail address, found 'ann'"),
        ("version: one", "expected version 1, found 'one'"),
        ("version: [1]", "expected version 1, found a list"),
    ],
)
def test_a_fault_says_what_was_found_and_what_to_write(text, part):
    (fault,) = faults(text)
    assert part in fault


def test_a_disabled_route_is_checked_too():
    assert faults(in_route("enabled: false\n    post: [nok]"))


def test_a_fault_in_an_anchor_is_reported_once():
    text = "version: 1\nx-a: &a {gather: soon}\nroutes:\n" + "".join(
        f"  - {{name: r{each}, <<: *a, post: []}}\n" for each in range(5)
    )
    (fault,) = faults(text)
    assert fault.startswith("routes.yaml:2:18: ")


def test_the_built_in_template_always_exists():
    assert parse_rulebook(in_route("post: [{channel: noc, template: incident}]"), templates=[])


def test_an_invalid_regular_expression_prints_nothing(capfd):
    faults(matching("{tags: {team: '/(/'}}"))
    assert capfd.readouterr() == ("", "")


@settings(max_examples=80)
@given(st.data())
def test_a_damaged_file_gives_a_rulebook_or_a_configuration_error(data):
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
