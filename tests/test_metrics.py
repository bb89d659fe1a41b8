"""The metrics count what happens, and the guide, the dashboard and the alert rules use the same names."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from relay import metrics
from relay.cards.attention import POST_REASONS
from relay.cards.holds import Reason
from relay.metrics import MAX_CHANNELS, MAX_INTEGRATIONS, MAX_ROUTES, METRICS, OTHERS, SHARE_OUTCOMES, Metrics
from relay.model.board_links import BOARD, CHANNELS, LETTERS, ROUTES
from relay.model.incident import State
from relay.slack.methods import Method
from relay.slack.outcomes import Ambiguous, Delivered, Rejected, RejectionScope, Retryable
from relay.store.types import Backlog, ChannelBacklog
from tests.support.documents import check_rows

HERE = Path(__file__).parent.parent
RULES = HERE / "ops" / "relay.rules.yaml"
DASHBOARD = HERE / "ops" / "relay.dashboard.json"
GUIDE = HERE / "docs" / "operating.md"
DELIVERED = Delivered(channel="C1", ts="1.1")
NAMES = METRICS.keys()

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")


def samples(metrics: Metrics, backlog: Backlog | None = None) -> dict[str, float]:
    """Every sample by its name and labels."""
    text = metrics.exposition(backlog or Backlog(), writable=True, delivering=True)[0].decode()
    return {
        sample.name + "".join(f" {label}={value}" for label, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_share_counts_by_outcome_and_by_the_integration_in_its_header():
    metrics = Metrics()
    metrics.record_share("first", {"x-relay-integration": " payments "}, 7.0)
    metrics.record_share("repeat", {"X-Relay-Integration": "payments"}, 9.0)
    metrics.record_share("not_json", {})
    seen = samples(metrics)
    assert seen["relay_shares_total integration=payments outcome=first"] == 1
    assert seen["relay_shares_total integration=payments outcome=repeat"] == 1
    assert seen["relay_shares_total integration=default outcome=not_json"] == 1
    assert seen["relay_last_share_timestamp_seconds"] == 9


def test_the_operating_guide_explains_every_outcome_of_a_share():
    table = GUIDE.read_text(encoding="utf-8").partition("| outcome | meaning |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) == SHARE_OUTCOMES


def test_after_a_restart_the_last_share_is_the_one_in_the_database():
    metrics = Metrics()
    assert samples(metrics, Backlog(last_share_at=5.0))["relay_last_share_timestamp_seconds"] == 5
    metrics.record_share("repeat", {}, 8.0)
    assert samples(metrics, Backlog(last_share_at=5.0))["relay_last_share_timestamp_seconds"] == 8


def test_a_share_that_is_not_accepted_does_not_count_in_the_duration():
    metrics = Metrics()
    with metrics.time_accept():
        pass
    with pytest.raises(ValueError, match="no share"), metrics.time_accept():
        raise ValueError("no share")
    assert samples(metrics)["relay_accept_duration_seconds_count"] == 1


def test_calls_to_slack_are_counted_by_method_and_outcome():
    metrics = Metrics()
    metrics.record_slack_call(Method.POST, DELIVERED, 0.2)
    metrics.record_slack_call(Method.POST, Retryable(reason="rate_limited", pauses=True), 0.1)
    metrics.record_slack_call(Method.EDIT, Ambiguous(reason="timed_out"), 10.0)
    seen = samples(metrics)
    assert seen["relay_slack_calls_total method=chat.postMessage outcome=delivered reason=ok"] == 1
    assert seen["relay_slack_calls_total method=chat.update outcome=ambiguous reason=timed_out"] == 1
    assert seen["relay_slack_rate_limited_total method=chat.postMessage"] == 1
    assert seen["relay_slack_call_duration_seconds_sum method=chat.update"] == 10


def test_the_token_is_valid_from_the_first_answer_until_slack_rejects_it():
    metrics = Metrics()
    assert samples(metrics)["relay_slack_credentials_valid"] == 0
    metrics.record_slack_call(Method.POST, DELIVERED, 0.1)
    assert samples(metrics)["relay_slack_credentials_valid"] == 1
    metrics.record_slack_call(Method.POST, Ambiguous(reason="timed_out"), 0.1)
    assert samples(metrics)["relay_slack_credentials_valid"] == 1
    rejected = Rejected(code="token_revoked", scope=RejectionScope.CREDENTIALS, reason="token_revoked", remedy="")
    metrics.record_slack_call(Method.POST, rejected, 0.1)
    assert samples(metrics)["relay_slack_credentials_valid"] == 0


def test_cards_and_entries_count_by_outcome():
    metrics = Metrics()
    metrics.record_sent("root", DELIVERED, entries=0, delay=0.2)
    metrics.record_sent("reply", DELIVERED, entries=3, delay=61)
    metrics.record_sent("reply", Ambiguous(reason="timed_out"), entries=2, delay=0)
    metrics.record_skipped("edit", "unchanged")
    seen = samples(metrics)
    assert seen["relay_cards_total message=root outcome=delivered"] == 1
    assert seen["relay_cards_total message=edit outcome=unchanged"] == 1
    assert seen["relay_entries_total outcome=delivered"] == 3
    assert seen["relay_entries_total outcome=ambiguous"] == 2
    assert seen["relay_delivery_delay_seconds_sum message=reply"] == 61
    assert seen["relay_delivery_delay_seconds_count message=reply"] == 1


def test_a_channel_without_due_work_has_no_series():
    metrics = Metrics()
    busy = Backlog(channels=(ChannelBacklog(channel="C1", work="post", cards=2, age=9.0),), in_doubt=1, dead_letters=2)
    seen = samples(metrics, busy)
    assert seen["relay_due_work channel=C1 work=post"] == 2
    assert seen["relay_oldest_due_age_seconds channel=C1 work=post"] == 9
    assert (seen["relay_attempts_in_doubt"], seen["relay_dead_letters"]) == (1, 2)
    assert not [name for name in samples(metrics) if "channel=" in name]


def test_without_the_database_everything_else_is_still_shown():
    metrics = Metrics()
    metrics.record_share("first", {}, 7.0)
    text = metrics.exposition(None, writable=False, delivering=False)[0].decode()
    assert "relay_database_up 0.0" in text
    assert 'relay_shares_total{integration="default",outcome="first"} 1.0' in text


def test_labels_that_others_choose_have_a_limited_number_of_values():
    metrics = Metrics()
    for number in range(MAX_INTEGRATIONS + 30):
        metrics.record_share("first", {"X-Relay-Integration": f"made-up-{number}"})
    seen = samples(metrics)
    assert seen[f"relay_shares_total integration={OTHERS} outcome=first"] == 30
    lanes = [
        ChannelBacklog(channel=f"C{number}", work="post", cards=1, age=float(number))
        for number in range(MAX_CHANNELS + 30)
    ]
    seen = samples(metrics, Backlog(channels=tuple(lanes)))
    assert len([name for name in seen if name.startswith("relay_due_work")]) == MAX_CHANNELS + 1
    assert seen[f"relay_due_work channel={OTHERS} work=post"] == 30
    assert seen[f"relay_oldest_due_age_seconds channel={OTHERS} work=post"] == 29


def test_open_incidents_and_held_cards_have_a_series_for_every_state_and_reason():
    backlog = Backlog(open_incidents={State.CRITICAL: 3}, held_cards={Reason.WAIT: 2}, due_cards=4)
    seen = samples(Metrics(), backlog)
    states = {name: value for name, value in seen.items() if name.startswith("relay_open_incidents")}
    assert {name.partition("=")[2]: value for name, value in states.items()} == {
        "critical": 3,
        "warning": 0,
        "acknowledged": 0,
        "unknown": 0,
    }
    held = {name: value for name, value in seen.items() if name.startswith("relay_held_cards")}
    assert held.pop("relay_held_cards reason=wait") == 2
    assert set(held.values()) == {0}


def test_every_due_card_is_held_while_relay_makes_no_calls_to_slack():
    assert Backlog(due_cards=4).held(slack_paused=False) == {}
    assert Backlog(due_cards=4).held(slack_paused=True) == {Reason.SLACK_PAUSED: 4}
    again = {Reason.RETRY: 2, Reason.IN_DOUBT: 1}
    assert Backlog(held_cards=again).held(slack_paused=True) == {Reason.SLACK_PAUSED: 2, Reason.IN_DOUBT: 1}
    assert Backlog(held_cards=again).held(slack_paused=False) == again


def test_routes_have_a_limited_number_of_values_and_the_fallback_has_its_own():
    metrics = Metrics()
    for number in range(MAX_ROUTES + 5):
        metrics.record_ping(f"route-{number}")
    metrics.record_ping("")
    seen = {name: value for name, value in samples(metrics).items() if name.startswith("relay_pings_total")}
    assert (seen["relay_pings_total route=(others)"], seen["relay_pings_total route=(fallback)"]) == (6, 1)
    assert len(seen) == MAX_ROUTES + 1


def test_a_new_configuration_replaces_the_previous_one():
    metrics = Metrics()
    metrics.record_configuration("old", 5.0, successful=True)
    metrics.record_configuration("new", 6.0, successful=False)
    seen = samples(metrics)
    assert [name for name in seen if name.startswith("relay_config_info")] == ["relay_config_info hash=new"]
    assert seen["relay_config_last_reload_successful"] == 0
    assert seen["relay_config_last_reload_success_timestamp_seconds"] == 6


def test_series_for_alert_rules_exist_before_their_first_event():
    """For Prometheus, the step from no series to 1 is no increase."""
    seen = samples(Metrics())
    for status, reason in [
        (401, "unauthorized"),
        (404, "wrong_address"),
        (400, "not_json"),
        (503, "not_stored"),
        (503, "unexpected_error"),
    ]:
        assert seen[f"relay_http_problems_total reason={reason} status={status}"] == 0
    assert seen["relay_slack_rate_limited_total method=chat.update"] == 0
    assert seen["relay_shares_total integration=default outcome=not_stored"] == 0
    assert seen["relay_reminders_blocked_total reason=no_access"] == 0


def test_names_and_units_follow_prometheus():
    suffixes = {"counter": "_total", "histogram": "_seconds"}
    for name, metric in METRICS.items():
        assert name.startswith("relay_")
        assert name.endswith(suffixes.get(metric.type, ""))
        assert metric.type == "counter" or not name.endswith(("_total", "_count", "_sum", "_bucket"))


# --- alert rules, dashboard and guide ---


def metrics_in(text: str) -> set[str]:
    """The relay metrics that a text names, without the suffixes of histograms."""
    found = set(re.findall(r"\brelay_[a-z_]+\b", text))
    return {re.sub(r"_(bucket|count|sum)$", "", name) if name not in NAMES else name for name in found}


def test_the_guides_table_of_reasons_that_hold_cards_matches_the_code():
    table = GUIDE.read_text().partition("| reason | the card is not posted yet")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    check_rows("docs/operating.md (Held cards)", rows, POST_REASONS)


def test_the_dashboard_shows_every_metric_and_no_unknown_one():
    board = json.loads(DASHBOARD.read_text())
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel.get("targets", []))
    shown = metrics_in(asked) | metrics_in(board["templating"]["list"][1]["query"]["query"])
    check_rows("ops/relay.dashboard.json", shown, NAMES, in_order=False)
    described = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert [panel["title"] for panel in described if not panel.get("description")] == []
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    spots = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(spots) == len(set(spots))


def test_every_alert_uses_known_metrics_and_has_a_section_in_the_guide():
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    for rule in rules:
        assert metrics_in(rule["expr"]) <= NAMES, rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"docs/operating.md#{rule['alert'].lower()}"
    sections = re.findall(r"^### (\w+)$", GUIDE.read_text().partition("## When an alert fires")[2], re.MULTILINE)
    assert sections == [rule["alert"] for rule in rules]


def test_the_command_of_the_guide_makes_every_runbook_url_a_link(tmp_path):
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / RULES.name).write_text(RULES.read_text())
    [command] = set(re.findall(r"sed -i .*relay\.rules\.yaml$", GUIDE.read_text() + RULES.read_text(), re.MULTILINE))
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    rules = yaml.safe_load((tmp_path / "ops" / RULES.name).read_text())["groups"][0]["rules"]
    assert all(
        rule["annotations"]["runbook_url"].startswith("https://git.example.com/relay/blob/main/docs/operating.md#relay")
        for rule in rules
    )
    pages = {each for rule in rules if (each := rule["annotations"].get("board_url"))}
    assert pages == {f"https://relay.example.com{BOARD}{page}" for page in (CHANNELS, LETTERS, ROUTES)}


def test_every_alert_fires_in_the_tests_of_the_rules():
    rules = [rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    tested = (HERE / "ops" / "relay.rules.test.yaml").read_text()
    assert [alert for alert in rules if f'alertname="{alert}"' not in tested] == []


def run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(
        command, cwd=HERE / "ops", input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@promtool
def test_promtool_accepts_the_alert_rules():
    assert "FAILED" not in run("promtool", "check", "rules", "relay.rules.yaml")
    assert "SUCCESS" in run("promtool", "test", "rules", "relay.rules.test.yaml")


@promtool
def test_promtool_accepts_every_query_of_the_dashboard(tmp_path):
    board = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    filled = [expr.replace("$__rate_interval", "5m").replace("$job", "relay") for expr in asked]
    assert not [expr for expr in filled if "$" in expr]
    rules = [{"record": f"relay:{number}", "expr": expr} for number, expr in enumerate(filled)]
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    assert f"{len(asked)} rules found" in run("promtool", "check", "rules", str(tmp_path / "asked.yaml"))


@promtool
def test_promtool_accepts_the_metrics():
    metrics = Metrics()
    metrics.record_share("first", {}, 7.0)
    metrics.record_slack_call(Method.POST, DELIVERED, 0.2)
    busy = Backlog(channels=(ChannelBacklog(channel="C1", work="post", cards=2, age=9.0),))
    text = metrics.exposition(busy, writable=True, delivering=True)[0].decode()
    ours = "".join(line + "\n" for line in text.splitlines() if re.match(r"(# (HELP|TYPE) )?relay_", line))
    assert run("promtool", "check", "metrics", text=ours).strip() == ""


def test_no_other_module_creates_metrics():
    makers = [
        path.name
        for path in (HERE / "relay").rglob("*.py")
        if "prometheus_client" in path.read_text() and path != Path(metrics.__file__)
    ]
    assert makers == []


def test_shadow_cards_are_counted_by_route_and_held_pings_by_card():
    metrics = Metrics()
    metrics.record_shadow(["payments", "payments", "noc"])
    text = metrics.exposition(Backlog(cards_with_held_pings=3), writable=True, delivering=True)[0].decode()
    assert 'relay_shadow_cards_total{route="payments"} 2.0' in text
    assert 'relay_shadow_cards_total{route="noc"} 1.0' in text
    assert "relay_cards_with_held_pings 3.0" in text


def test_metrics_of_storms_mutes_and_catch_ups_equal_the_counts_of_the_database():
    seen = samples(Metrics(), Backlog(catch_up_age=1.0, open_storms=2, storm_change_age=3.0, active_mutes=4))
    assert seen["relay_oldest_due_catch_up_age_seconds"] == 1
    assert seen["relay_open_storms"] == 2
    assert seen["relay_oldest_storm_change_age_seconds"] == 3
    assert seen["relay_active_mutes"] == 4


def test_reminders_are_counted_by_route_and_kind():
    metrics = Metrics()
    metrics.record_reminder("db", "reminder")
    metrics.record_reminder("", "then")
    seen = samples(metrics)
    assert seen["relay_reminders_total kind=reminder route=db"] == 1
    assert seen["relay_reminders_total kind=then route=(fallback)"] == 1
