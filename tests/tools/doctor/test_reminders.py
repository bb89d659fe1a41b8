"""What `relay doctor`, `relay check` and /readyz say where nobody can know who has an incident."""

import pytest

from relay.cards.reminding import why_none_run
from relay.routes.parser.parse import parse_rulebook
from relay.tools.check.command import REMINDERS, check_routes, run_checks
from relay.tools.doctor.reminders import reminder_findings

ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - name: all
    post: [C0ALL00001]
    remind: {after: 15m}
"""
RULEBOOK = parse_rulebook(ROUTES)
WITHOUT = parse_rulebook(ROUTES.replace("    remind: {after: 15m}\n", ""))


@pytest.mark.parametrize(
    ("rulebook", "integrations", "can_ask", "levels"),
    [
        (RULEBOOK, [], False, ["error"]),
        (RULEBOOK, [], True, ["ok"]),
        (RULEBOOK, ["default"], False, ["ok"]),
        (WITHOUT, [], False, []),
    ],
    ids=["nobody-knows", "bigpanda-can-be-asked", "shares-say-so", "no-reminders"],
)
def test_doctor_finds_reminders_that_never_come(rulebook, integrations, can_ask, levels):
    found = list(reminder_findings(rulebook, integrations, can_ask=can_ask))
    assert [str(each.level) for each in found] == levels
    assert bool(why_none_run(rulebook, integrations, can_ask=can_ask)) == (levels == ["error"])


def test_check_explains_what_reminders_need(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    report = run_checks(tmp_path / "routes.yaml", tmp_path / "templates")
    assert report.notes == (REMINDERS,)
    assert not report.errors


def test_check_warns_if_then_names_the_channel_of_the_card():
    text = ROUTES.replace("{after: 15m}", "{after: 15m, then: {channel: C0ALL00001}}")
    _, findings = check_routes(text, "routes.yaml", None)
    [found] = [each for each in findings if "`then`" in each.message]
    assert (found.line, found.warning) == (7, True)
