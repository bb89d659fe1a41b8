"""One fault a file, in `faults/`: each is told, alone, at its place, with what was expected.

The first line of a file says what `relay check` is to say of it, and whether the schema that editors use objects too.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.cards.draw import entry_variables
from relay.cards.replies import merge_entries
from relay.model.entry_kinds import ENTRY_TEMPLATES
from relay.model.errors import Fault
from relay.rendering.context import ENTRY_NAMES, ITEM_NAMES
from relay.routes.parser.parse import parse_rulebook
from relay.tools.check.command import check_routes, run_checks
from relay.tools.check.template_trial import _bare, _full, trial
from tests.support.share_sequences import ShareSequence, share

FAULTS = Path(__file__).parent / "faults"
FIRST_LINE = re.compile(r"\{?# (?P<kind>fault|warning)(, to editors too)?: (?P<told>.*?)( #\})?")

ENTRIES: list[dict[str, Any]] = [
    {"status": "warning"},
    {"status": "critical", "flapping": True},
    {"status": "warning", "flapping": True},
    {"status": "critical", "flapping": True},
    {"status": "critical", "flapping": False},
    {"resolved": True, "active": False},
    {"resolved": False, "active": True, "status": "critical"},
]
ROUTES = """\
version: 1
channels: {noc: C0123456789}
fallback: noc
routes:
  - {name: open, match: {active: true}, post: [noc]}
"""


def expected(path: Path) -> list[str]:
    first = FIRST_LINE.fullmatch(path.read_text(encoding="utf-8").splitlines()[0])
    assert first, f"{path} does not say what is wrong with it"
    return [f"{first['kind']} {first['told']}"]


def told(findings: Sequence[Fault], path: Path) -> list[str]:
    assert all(finding.file == str(path) for finding in findings)
    return [
        f"{'warning' if finding.warning else 'fault'} {finding.line}:{finding.column}: {finding.message}"
        for finding in findings
    ]


@pytest.mark.parametrize("path", sorted(FAULTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_fault_of_the_routes_is_told_where_it_stands(path):
    _, findings = check_routes(path.read_text(encoding="utf-8"), str(path), ["incident"])
    assert told(findings, path) == expected(path)


@pytest.mark.parametrize("path", sorted((FAULTS / "templates").rglob("*.j2")), ids=lambda path: path.stem)
def test_a_fault_of_a_template_is_told_where_it_stands(path, tmp_path):
    """What stands in `templates/status` is an entry's; the others are cards."""
    file = "status.j2" if path.parent.name == "status" else "card.j2"
    routes, template = tmp_path / "routes.yaml", tmp_path / "templates" / "incident" / file
    template.parent.mkdir(parents=True)
    routes.write_text(ROUTES, encoding="utf-8")
    template.write_bytes(path.read_bytes())
    assert told(run_checks(routes, tmp_path / "templates").findings, template) == expected(path)


def test_whatever_an_entry_holds_is_known():
    lives = [(share(at, **told) for at, told in enumerate(ENTRIES)), _full(), _bare()]
    for shares in map(list, lives):
        sequence = ShareSequence(rulebook=parse_rulebook("version: 1\nfallback: C0NOC00001\nroutes: []"))
        for each in shares:
            sequence.add(each)
        for entry in (*sequence.entries, *merge_entries(sequence.entries), *merge_entries(sequence.entries * 3)):
            values = entry_variables(entry, 0.0)
            assert values.keys() <= ENTRY_NAMES, entry
            assert {name for item in values["items"] for name in item} <= ITEM_NAMES, entry


@pytest.mark.parametrize("stem", ["card", *ENTRY_TEMPLATES])
def test_whatever_a_template_is_for_it_is_run_before_it_is_live(stem):
    [found] = trial({f"payments/{stem}.j2": "{% section %}x{% endsection %}\n{% section %}{{ 1 / 0 }}{% endsection %}"})
    assert (found.file, found.line, found.warning) == (f"payments/{stem}.j2", 2, False)
    assert found.message.endswith("division by zero; check the divisor with {% if %} first")


@pytest.mark.parametrize(
    "name", ["My Team/card.j2", 'a"b/card.j2', "alone.j2", "relay/card.j2", "incident/deep/card.j2"]
)
def test_what_no_route_can_name_is_not_run(name):
    assert list(trial({name: "{{ 1 / 0 }}"})) == []


def test_what_fails_only_where_little_is_known_is_a_warning():
    [found] = trial({"incident/status.j2": "{{ entry.old }} {{ (incident.started + 1) | slack_time }}"})
    assert (found.line, found.warning) == (1, True)
    assert "an incident of which little is known" in found.message


def test_a_card_that_has_no_place_for_the_buttons_of_its_route_is_told(tmp_path):
    routes = tmp_path / "routes.yaml"
    routes.write_text(
        'version: 1\nfallback: "#noc"\nroutes:\n'
        '  - {name: a, match: {status: critical}, post: ["#a"], template: plain, actions: [assign]}\n'
        '  - {name: b, match: {status: warning}, post: ["#a"], template: pressed, actions: [assign]}\n'
        '  - {name: c, match: {status: unknown}, post: ["#a"], template: quiet}\n'
    )
    header = "{% header %}{{ incident.title }}{% endheader %}"
    cards = {"plain": header, "pressed": header + "{% actions %}{% relay_actions %}{% endactions %}", "quiet": header}
    for folder, source in cards.items():
        (tmp_path / "templates" / folder).mkdir(parents=True)
        (tmp_path / "templates" / folder / "card.j2").write_text(source)
    [found] = run_checks(routes, tmp_path / "templates").findings
    assert (found.file, found.warning) == (str(tmp_path / "templates" / "plain" / "card.j2"), True)
    assert "{% relay_actions %}" in found.message


BROKEN_EVERYWHERE = """\
version: 1
channels:
  noc: #noc
fallback: noc
routes:
  - name: a
    enabld: true
    match:
      tags: {service: *-canary, host: *web}
      statsu: critical
      alerts: {all: [1, 2]}
      status: {min: critical, max: warning}
    post: [@payments, `web`, {channel: {{ tags.team }}}, noc]
  - name: a
    note: "a \\d"
    post: [nok]
"""


def test_what_is_no_yaml_hides_no_other_fault():
    rulebook, findings = check_routes(BROKEN_EVERYWHERE, "routes.yaml", ["incident"])
    assert rulebook is None
    assert [(each.line, each.column, each.message.partition(";")[0][:60]) for each in findings] == [
        (3, 7, "expected a word, found nothing (a value that begins with # n"),
        (7, 5, "'enabld' is no key that may stand in a route"),
        (9, 23, "this is not YAML: no anchor has that name"),
        (9, 39, "this is not YAML: no anchor has that name"),
        (10, 7, "'statsu' is not something that a match can look at"),
        (11, 7, "'alerts: {all: [1, 2]}' can never hold"),
        (12, 21, "nothing lies between a min of 'critical' and a max of 'warni"),
        (13, 12, 'this is not YAML: a value that begins with @ needs quotes: "'),
        (13, 23, 'this is not YAML: a value that begins with ` needs quotes: "'),
        (13, 40, 'a value that begins with {{ needs quotes: "{{ tags.team }}"'),
        (14, 11, "there is a route 'a' in line 6 already"),
        (15, 11, "this is not YAML: in double quotes \\d is an escape that YAML"),
        (16, 12, "the channel 'nok' is not known"),
    ]


@settings(max_examples=60)
@given(traps=st.lists(st.sampled_from(["*-x", "@y", "`z`", "%p", "!q", '"\\d"', "*v"]), max_size=4), data=st.data())
def test_each_trap_of_yaml_is_told_at_its_place_and_nothing_else_is(traps, data):
    lines, places = ROUTES.splitlines(), []
    for number, trap in enumerate(traps):
        before = f"  - {{name: r{number}, match: {{tags: {{team: "
        lines.append(
            f"{before}{trap}}}}}, post: [noc]}}" if data.draw(st.booleans()) else f"{before}fine}}}}, note: {trap}}}"
        )
        places.append((len(lines), lines[-1].index(trap) + 1))
    _, findings = check_routes("\n".join(lines), "routes.yaml", ["incident"])
    wrong = [each for each in findings if not each.warning]
    assert [(each.line, each.column) for each in wrong if "YAML" in each.message] == places


UNREACHED = """\
version: 1
channels: {noc: C0123456789, old: C0999999999, off: C0888888888, both: C0777777777}
fallback: noc
routes:
  - {name: critical, match: {status: critical}, post: [noc, both]}
  - {name: late, match: {status: critical, alerts: 2}, post: [old, "#late", both]}
  - {name: "off", enabled: false, post: [off]}
"""


def test_a_channel_that_nobody_can_post_to_is_told_where_it_is_named():
    _, findings = check_routes(UNREACHED, "routes.yaml", ["incident"])
    told_of = "what posts there (line 6) never gets an incident"
    assert [(each.line, each.column, each.message) for each in findings if "can post" in each.message] == [
        (2, 30, f"nothing can post to 'old': {told_of}"),
        (6, 68, f"nothing can post to '#late': {told_of}"),
    ]
    assert all(each.warning for each in findings)


LITERAL = r"""
'[EU] Production'   '[EU-WEST] web*'   'disk[0]'   'US$'   a.b   CORP\svc   C:\data   /var/log   /db-1/   '>'   'a (b)'
{is: '^a$'}   {is: null}   {is: 'a|b'}   {re: 'a/b'}   '/https?:.*/'   'what?'   '*(prod)*'   '{"x": 1}'   'null'
"""


@pytest.mark.parametrize("value", re.split(r"\s{3,}|\n", LITERAL.strip()))
def test_what_people_do_call_things_is_not_taken_for_something_else(value):
    text = ROUTES.replace("{active: true}", f"{{tags: {{team: {value}}}}}")
    assert check_routes(text, "routes.yaml", ["incident"])[1] == []
