"""One fault in each file of `faults/`: `relay check` reports it, alone, at its place.

The first line of a file has the expected message, and says whether editors report the fault too.
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
from relay.config.template_files import load_packaged
from relay.model.entry_kinds import ENTRY_TEMPLATES
from relay.model.errors import Fault
from relay.rendering.context import ENTRY_NAMES, ITEM_NAMES
from relay.rendering.library import BULLETIN_FOLDER
from relay.routes.parser.parse import parse_rulebook
from relay.tools.check.command import check_routes, run_checks
from relay.tools.check.template_trial import failures_of
from relay.tools.check.trial_simulation import Trial, bare_shares, full_shares
from tests.support.share_sequences import ShareSequence, share

FAULTS = Path(__file__).parent / "faults"
FIRST_LINE = re.compile(r"\{?# (?P<kind>fault|warning)(, also in editors)?: (?P<message>.*?)( #\})?")

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
fallback: {channel: noc, mention: {any: [here]}}
routes:
  - {name: open, match: {active: true}, post: [noc]}
"""


def expected(path: Path) -> list[str]:
    first = FIRST_LINE.fullmatch(path.read_text(encoding="utf-8").splitlines()[0])
    assert first, f"the first line of {path} has no message"
    return [f"{first['kind']} {first['message']}"]


def reported(findings: Sequence[Fault], path: Path) -> list[str]:
    assert all(finding.file == str(path) for finding in findings)
    return [
        f"{'warning' if finding.warning else 'fault'} {finding.line}:{finding.column}: {finding.message}"
        for finding in findings
    ]


@pytest.mark.parametrize("path", sorted(FAULTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_fault_in_routes_is_reported_at_its_place(path):
    _, findings = check_routes(path.read_text(encoding="utf-8"), str(path), ["incident"])
    assert reported(findings, path) == expected(path)


@pytest.mark.parametrize("path", sorted((FAULTS / "templates").rglob("*.j2")), ids=lambda path: path.stem)
def test_a_fault_in_a_template_is_reported_at_its_place(path, tmp_path):
    """Files in `templates/status` are templates of entries; the others are cards."""
    file = "status.j2" if path.parent.name == "status" else "card.j2"
    routes, template = tmp_path / "routes.yaml", tmp_path / "templates" / "incident" / file
    template.parent.mkdir(parents=True)
    routes.write_text(ROUTES, encoding="utf-8")
    template.write_bytes(path.read_bytes())
    assert reported(run_checks(routes, tmp_path / "templates").findings, template) == expected(path)


def test_every_value_of_an_entry_is_known():
    sequences = [(share(at, **changes) for at, changes in enumerate(ENTRIES)), full_shares(), bare_shares()]
    for shares in map(list, sequences):
        sequence = ShareSequence(rulebook=parse_rulebook("version: 1\nfallback: C0NOC00001\nroutes: []"))
        for each in shares:
            sequence.add(each)
        for entry in (*sequence.entries, *merge_entries(sequence.entries), *merge_entries(sequence.entries * 3)):
            values = entry_variables(entry, 0.0)
            assert values.keys() <= ENTRY_NAMES, entry
            assert {name for item in values["items"] for name in item} <= ITEM_NAMES, entry


@pytest.mark.parametrize("stem", ["card", *ENTRY_TEMPLATES])
def test_every_kind_of_template_is_rendered_by_the_check(stem):
    source = "{% section %}x{% endsection %}\n{% section %}{{ 1 / 0 }}{% endsection %}"
    failures = list(failures_of(Trial({f"payments/{stem}.j2": source})))
    assert failures, f"no share in `full_shares` of relay/tools/check/trial_simulation.py leads to an entry {stem!r}"
    [found] = failures
    assert (found.file, found.line, found.warning) == (f"payments/{stem}.j2", 2, False)
    assert found.message.endswith("division by zero; check the divisor with {% if %} first")


def test_built_in_messages_about_several_incidents_use_no_file_of_the_operator():
    """So the check draws these messages only if the operator has templates of them."""
    built_in = {name: source for name, source in load_packaged().items() if name.startswith(f"{BULLETIN_FOLDER}/")}
    assert built_in
    assert [name for name, source in built_in.items() if re.search(r"\b(include|import|extends)\b", source)] == []


@pytest.mark.parametrize(
    "name", ["My Team/card.j2", 'a"b/card.j2', "alone.j2", "relay/card.j2", "incident/deep/card.j2"]
)
def test_a_template_that_no_route_can_name_is_not_rendered(name):
    assert list(failures_of(Trial({name: "{{ 1 / 0 }}"}))) == []


def test_a_failure_only_with_few_details_is_a_warning():
    [found] = failures_of(Trial({"incident/status.j2": "{{ entry.old }} {{ (incident.started + 1) | slack_time }}"}))
    assert (found.line, found.warning) == (1, True)
    assert "an incident with few details" in found.message


def test_a_card_without_a_place_for_its_buttons_is_a_warning(tmp_path):
    routes = tmp_path / "routes.yaml"
    routes.write_text(
        'version: 1\nfallback: {channel: "#noc", mention: {any: [here]}}\nroutes:\n'
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
fallback: {channel: noc, mention: {any: [here]}}
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


def test_invalid_yaml_hides_no_other_fault():
    rulebook, findings = check_routes(BROKEN_EVERYWHERE, "routes.yaml", ["incident"])
    assert rulebook is None
    assert [(each.line, each.column, each.message.partition(";")[0][:60]) for each in findings] == [
        (3, 7, "expected text, found nothing (a value that begins with # nee"),
        (7, 5, "unknown key 'enabld' in route"),
        (9, 23, "invalid YAML: no anchor has this name"),
        (9, 39, "invalid YAML: no anchor has this name"),
        (10, 7, "unknown key 'statsu' in match"),
        (11, 7, "'alerts: {all: [1, 2]}' never matches"),
        (12, 21, "min 'critical' is above max 'warning': no value matches"),
        (13, 12, 'invalid YAML: a value that begins with @ needs quotes: "@pay'),
        (13, 23, 'invalid YAML: a value that begins with ` needs quotes: "`web'),
        (13, 40, 'a value that begins with {{ needs quotes: "{{ tags.team }}"'),
        (14, 11, "duplicate route name 'a', first used in line 6"),
        (15, 11, "invalid YAML: unknown escape \\d in double quotes"),
        (16, 12, "unknown channel 'nok'"),
    ]


@settings(max_examples=60)
@given(traps=st.lists(st.sampled_from(["*-x", "@y", "`z`", "%p", "!q", '"\\d"', "*v"]), max_size=4), data=st.data())
def test_each_yaml_problem_is_reported_at_its_place(traps, data):
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
fallback: {channel: noc, mention: {any: [here]}}
routes:
  - {name: critical, match: {status: critical}, post: [noc, both]}
  - {name: late, match: {status: critical, alerts: 2}, post: [old, "#late", both]}
  - {name: "off", enabled: false, post: [off]}
"""


def test_a_channel_without_reachable_routes_is_reported_at_its_definition():
    _, findings = check_routes(UNREACHED, "routes.yaml", ["incident"])
    reason = "its route (line 6) never gets an incident"
    assert [(each.line, each.column, each.message) for each in findings if "is ever posted" in each.message] == [
        (2, 30, f"nothing is ever posted to 'old': {reason}"),
        (6, 68, f"nothing is ever posted to '#late': {reason}"),
    ]
    assert all(each.warning for each in findings)


LITERAL = r"""
'[EU] Production'   '[EU-WEST] web*'   'disk[0]'   'US$'   a.b   CORP\svc   C:\data   /var/log   /db-1/   '>'   'a (b)'
{is: '^a$'}   {is: null}   {is: 'a|b'}   {re: 'a/b'}   '/https?:.*/'   'what?'   '*(prod)*'   '{"x": 1}'   'null'
"""


@pytest.mark.parametrize("value", re.split(r"\s{3,}|\n", LITERAL.strip()))
def test_usual_values_are_not_reported_as_lookalikes(value):
    text = ROUTES.replace("{active: true}", f"{{tags: {{team: {value}}}}}")
    assert check_routes(text, "routes.yaml", ["incident"])[1] == []
