"""What Prometheus is told, and that docs, dashboard and alert rules speak of the same."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from relay import metrics
from relay.metrics import COUNTERS, GAUGES, HISTOGRAMS, MOST_INTEGRATIONS, MOST_LANES, OTHERS, Metrics
from relay.slack.methods import Method
from relay.slack.outcomes import Ambiguous, Delivered, Rejected, RejectionScope, Retryable
from relay.store import Backlog, ChannelBacklog

HERE = Path(__file__).parent.parent
RULES = HERE / "ops" / "relay.rules.yaml"
DASHBOARD = HERE / "ops" / "relay.dashboard.json"
GUIDE = HERE / "docs" / "operating.md"
DELIVERED = Delivered(channel="C1", ts="1.1")
TABLES = {"counter": COUNTERS, "histogram": HISTOGRAMS, "gauge": GAUGES}
NAMES = {name for table in TABLES.values() for name in table}

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")


def samples(told: Metrics, backlog: Backlog | None = None) -> dict[str, float]:
    """Every sample by its name and labels, as they are written."""
    text = told.exposition(backlog or Backlog(), writable=True, delivering=True)[0].decode()
    return {
        sample.name + "".join(f" {label}={value}" for label, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_share_counts_by_outcome_and_by_the_integration_that_its_header_names():
    told = Metrics()
    told.record_share("first", {"x-relay-integration": " payments "}, 7.0)
    told.record_share("repeat", {"X-Relay-Integration": "payments"}, 9.0)
    told.record_share("not_json", {})
    seen = samples(told)
    assert seen["relay_shares_total integration=payments outcome=first"] == 1
    assert seen["relay_shares_total integration=payments outcome=repeat"] == 1
    assert seen["relay_shares_total integration=default outcome=not_json"] == 1
    assert seen["relay_last_share_timestamp_seconds"] == 9


def test_after_a_restart_the_last_share_is_the_one_that_the_database_knows():
    told = Metrics()
    assert samples(told, Backlog(last_share_at=5.0))["relay_last_share_timestamp_seconds"] == 5
    told.record_share("repeat", {}, 8.0)
    assert samples(told, Backlog(last_share_at=5.0))["relay_last_share_timestamp_seconds"] == 8


def test_what_fails_while_it_is_being_accepted_does_not_count_among_the_times():
    told = Metrics()
    with told.time_accept():
        pass
    with pytest.raises(ValueError, match="no share"), told.time_accept():
        raise ValueError("no share")
    assert samples(told)["relay_accept_duration_seconds_count"] == 1


def test_a_call_counts_by_what_slack_said():
    told = Metrics()
    told.record_slack_call(Method.POST, DELIVERED, 0.2)
    told.record_slack_call(Method.POST, Retryable(reason="rate_limited", pauses=True), 0.1)
    told.record_slack_call(Method.EDIT, Ambiguous(reason="timed_out"), 10.0)
    seen = samples(told)
    assert seen["relay_slack_calls_total method=chat.postMessage outcome=delivered reason=ok"] == 1
    assert seen["relay_slack_calls_total method=chat.update outcome=ambiguous reason=timed_out"] == 1
    assert seen["relay_slack_rate_limited_total method=chat.postMessage"] == 1
    assert seen["relay_slack_call_duration_seconds_sum method=chat.update"] == 10


def test_the_token_is_valid_from_the_first_answer_until_slack_refuses_it():
    told = Metrics()
    assert samples(told)["relay_slack_credentials_valid"] == 0
    told.record_slack_call(Method.POST, DELIVERED, 0.1)
    assert samples(told)["relay_slack_credentials_valid"] == 1
    told.record_slack_call(Method.POST, Ambiguous(reason="timed_out"), 0.1)
    assert samples(told)["relay_slack_credentials_valid"] == 1
    refused = Rejected(code="token_revoked", scope=RejectionScope.CREDENTIALS, reason="token_revoked", remedy="")
    told.record_slack_call(Method.POST, refused, 0.1)
    assert samples(told)["relay_slack_credentials_valid"] == 0


def test_cards_and_entries_count_by_what_became_of_them():
    told = Metrics()
    told.record_sent("root", DELIVERED, entries=0, delay=0.2)
    told.record_sent("reply", DELIVERED, entries=3, delay=61)
    told.record_sent("reply", Ambiguous(reason="timed_out"), entries=2, delay=0)
    told.record_skipped("edit", "unchanged")
    seen = samples(told)
    assert seen["relay_cards_total outcome=delivered what=root"] == 1
    assert seen["relay_cards_total outcome=unchanged what=edit"] == 1
    assert seen["relay_entries_total outcome=delivered"] == 3
    assert seen["relay_entries_total outcome=ambiguous"] == 2
    assert seen["relay_shown_delay_seconds_sum what=reply"] == 61
    assert seen["relay_shown_delay_seconds_count what=reply"] == 1


def test_work_that_is_done_leaves_no_lane_behind():
    told = Metrics()
    busy = Backlog(channels=(ChannelBacklog(channel="C1", track="post", cards=2, age=9.0),), in_doubt=1, dead_letters=2)
    seen = samples(told, busy)
    assert seen["relay_due_work lane=C1 track=post"] == 2
    assert seen["relay_oldest_due_age_seconds lane=C1 track=post"] == 9
    assert (seen["relay_attempts_in_doubt"], seen["relay_dead_letters"]) == (1, 2)
    assert not [name for name in samples(told) if "lane=" in name]


def test_with_the_database_silent_all_that_does_not_need_it_is_told():
    told = Metrics()
    told.record_share("first", {}, 7.0)
    text = told.exposition(None, writable=False, delivering=False)[0].decode()
    assert "relay_database_up 0.0" in text
    assert 'relay_shares_total{integration="default",outcome="first"} 1.0' in text


def test_labels_that_others_choose_are_bounded_in_number():
    told = Metrics()
    for number in range(MOST_INTEGRATIONS + 30):
        told.record_share("first", {"X-Relay-Integration": f"made-up-{number}"})
    seen = samples(told)
    assert seen[f"relay_shares_total integration={OTHERS} outcome=first"] == 30
    lanes = [
        ChannelBacklog(channel=f"C{number}", track="post", cards=1, age=float(number))
        for number in range(MOST_LANES + 30)
    ]
    seen = samples(told, Backlog(channels=tuple(lanes)))
    assert len([name for name in seen if name.startswith("relay_due_work")]) == MOST_LANES + 1
    assert seen[f"relay_due_work lane={OTHERS} track=post"] == 30
    assert seen[f"relay_oldest_due_age_seconds lane={OTHERS} track=post"] == 29


def test_a_new_configuration_takes_the_place_of_the_one_before():
    told = Metrics()
    told.record_configuration("old", 5.0, successful=True)
    told.record_configuration("new", 6.0, successful=False)
    seen = samples(told)
    assert [name for name in seen if name.startswith("relay_config_info")] == ["relay_config_info hash=new"]
    assert seen["relay_config_last_reload_successful"] == 0
    assert seen["relay_config_last_reload_success_timestamp_seconds"] == 6


def test_what_an_alert_counts_is_there_before_it_happens():
    """To Prometheus the step from nothing to 1 is no increase."""
    seen = samples(Metrics())
    for status, reason in [(401, "unauthorized"), (400, "not_json"), (503, "not_stored"), (503, "unexpected_error")]:
        assert seen[f"relay_http_problems_total reason={reason} status={status}"] == 0
    assert seen["relay_slack_rate_limited_total method=chat.update"] == 0
    assert seen["relay_shares_total integration=default outcome=not_kept"] == 0


def test_names_and_units_are_prometheus_own():
    assert all(name.startswith("relay_") for name in NAMES)
    assert all(name.endswith("_total") for name in COUNTERS)
    assert all(name.endswith("_seconds") for name in HISTOGRAMS)
    assert not any(name.endswith(("_total", "_count", "_sum", "_bucket")) for name in GAUGES)


# --- what operators are given ---


def speaks_of(text: str) -> set[str]:
    """The relay metrics that a text names, without what Prometheus puts behind a histogram's name."""
    found = set(re.findall(r"\brelay_[a-z_]+\b", text))
    return {re.sub(r"_(bucket|count|sum)$", "", name) if name not in NAMES else name for name in found}


def test_the_guides_table_of_metrics_is_the_code():
    rows = re.findall(r"^\| `(relay_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", GUIDE.read_text(), re.MULTILINE)
    written = {name: (kind, tuple(re.findall(r"`(\w+)`", labels)), told) for name, kind, labels, told in rows}
    assert written == {
        name: (kind, told.labels, told.meaning) for kind, table in TABLES.items() for name, told in table.items()
    }


def test_the_dashboard_shows_every_metric_and_none_that_is_not():
    board = json.loads(DASHBOARD.read_text())
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel.get("targets", []))
    shown = speaks_of(asked) | speaks_of(board["templating"]["list"][1]["query"]["query"])
    assert shown == NAMES
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    spots = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(spots) == len(set(spots))


def test_every_alert_asks_for_metrics_that_there_are_and_has_a_section_in_the_guide():
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    for rule in rules:
        assert speaks_of(rule["expr"]) <= NAMES, rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"docs/operating.md#{rule['alert'].lower()}"
    sections = re.findall(r"^### (\w+)$", GUIDE.read_text().partition("## When an alert fires")[2], re.MULTILINE)
    assert sections == [rule["alert"] for rule in rules]


def test_every_alert_is_seen_firing_in_its_own_tests():
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
def test_promtool_finds_no_fault_with_the_alert_rules():
    assert "FAILED" not in run("promtool", "check", "rules", "relay.rules.yaml")
    assert "SUCCESS" in run("promtool", "test", "rules", "relay.rules.test.yaml")


@promtool
def test_promtool_reads_every_question_of_the_dashboard(tmp_path):
    board = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    filled = [expr.replace("$__rate_interval", "5m").replace("$job", "relay") for expr in asked]
    assert not [expr for expr in filled if "$" in expr]
    rules = [{"record": f"relay:{number}", "expr": expr} for number, expr in enumerate(filled)]
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    assert f"{len(asked)} rules found" in run("promtool", "check", "rules", str(tmp_path / "asked.yaml"))


@promtool
def test_promtool_finds_no_fault_with_the_metrics():
    told = Metrics()
    told.record_share("first", {}, 7.0)
    told.record_slack_call(Method.POST, DELIVERED, 0.2)
    busy = Backlog(channels=(ChannelBacklog(channel="C1", track="post", cards=2, age=9.0),))
    text = told.exposition(busy, writable=True, delivering=True)[0].decode()
    ours = "".join(line + "\n" for line in text.splitlines() if re.match(r"(# (HELP|TYPE) )?relay_", line))
    assert run("promtool", "check", "metrics", text=ours).strip() == ""


def test_no_other_module_makes_metrics():
    makers = [
        path.name
        for path in (HERE / "relay").rglob("*.py")
        if "prometheus_client" in path.read_text() and path != Path(metrics.__file__)
    ]
    assert makers == []
