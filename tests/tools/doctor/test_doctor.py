"""What `relay doctor` finds when something that relay depends on is broken."""

import json
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from relay.cards.model import Channel, ChannelState
from relay.cli import app
from relay.config import files
from relay.config.settings import Settings
from relay.model import zones
from relay.sandbox.faults import InjectedFault, rate_limited
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.store import file_system
from relay.store.store import Store
from relay.tools.check import slack_validation
from relay.tools.check.slack_validation import surfaces
from relay.tools.doctor.doctor import examine
from tests.support.clocks import SkippingClock
from tests.support.pgbouncer import needs_pgbouncer, pgbouncer
from tests.support.postgres import postgresql_with_tables, shared_server

ROUTES = """
version: 1
channels: {noc: C0NOC00001}
fallback: noc
routes:
  - name: payments
    post: [{channel: "#payments", mention: {critical: [S0PAYONCALL, U0ANN00001]}}]
  - name: databases
    post: [C0DB000001]
"""


class Environment:
    """The environment of a relay, in which everything works until a test breaks something."""

    def __init__(self, folder, slack):
        self.folder, self.slack = folder, slack
        self.clock = SkippingClock()
        self.settings = {
            "RELAY_ROUTES": str(folder / "routes.yaml"),
            "RELAY_TEMPLATES": str(folder / "templates"),
            "RELAY_DATABASE_URL": f"sqlite:///{folder}/relay.db",
            "RELAY_LISTEN": "127.0.0.1:0",  # the usual port may be in use on this machine
            "RELAY_WEBHOOK_KEYS": "webhook-key",
            "SLACK_BOT_TOKEN": slack.token,
            "SLACK_API_URL": "",
        }
        self.routes(ROUTES)

    def routes(self, text):
        (self.folder / "routes.yaml").write_text(text)

    @asynccontextmanager
    async def store(self):
        store = await Store.open(self.settings["RELAY_DATABASE_URL"])
        try:
            yield store
        finally:
            await store.close()

    async def diagnose(self):
        return await examine(Settings.from_env(self.settings), self.clock)

    async def examine(self):
        """Return whether all is well, and (level, subject) -> message and remedy of every finding that is not ok."""
        diagnosis = await self.diagnose()
        return diagnosis.ok, {
            (str(finding.level), finding.subject): f"{finding.message} {finding.remedy}"
            for finding in diagnosis.findings
            if finding.level != "ok"
        }


def one_of_each_kind(sources):
    """A message and a modal; `tests/tools/check/test_slack_validation.py` lets Slack check all of them."""
    first = {}
    for surface in surfaces(sources):
        first.setdefault(surface.kind, surface)
        if first.keys() == {"message", "view"}:
            return first.values()
    raise AssertionError("relay makes no message or no modal")


@pytest.fixture(autouse=True)
def few_messages(monkeypatch):
    """What relay makes does not matter here, and packaged templates have no faults."""
    monkeypatch.setattr(files, "load_packaged", dict)
    monkeypatch.setattr(slack_validation, "surfaces", one_of_each_kind)


@pytest.fixture
async def environment(tmp_path):
    slack = FakeSlack()
    slack.add_channel("C0NOC00001", "noc", member=True)
    slack.add_channel("C0PAY00001", "payments")
    slack.add_channel("C0DB000001", "db")
    slack.add_usergroup("S0PAYONCALL", "payments-oncall")
    slack.add_user("U0ANN00001", "ann")
    created = Environment(tmp_path, slack)
    async with serve_slack(slack) as url:
        created.settings["SLACK_API_URL"] = url
        yield created


USUAL_NOTES = {("note", "database"), ("note", "BigPanda")}
"""The notes for a relay that was never started, and has no key for BigPanda."""


async def test_a_working_environment_has_no_problems_and_is_not_changed(environment):
    ok, found = await environment.examine()
    assert ok
    assert found.keys() == USUAL_NOTES
    assert {call.method for call in environment.slack.calls} == {
        "auth.test",
        "blocks.validate",
        "conversations.list",
        "usergroups.list",
        "users.info",
    }
    assert not (environment.folder / "relay.db").exists()


@pytest.mark.parametrize(
    ("breaks", "subject", "says"),
    [
        (lambda slack: slack.revoke(), "Slack token", "SLACK_BOT_TOKEN"),
        (lambda slack: slack.remove_scope("chat:write"), "Slack scope chat:write", "relay manifest"),
        (lambda slack: slack.remove_scope("channels:read"), "channels", "channels:read"),
        (lambda slack: slack.remove_scope("channels:join"), "channel #payments", "/invite @relay"),
        (lambda slack: slack.channel("db").archive(), "channel C0DB000001", "Unarchive"),
        (lambda slack: slack.channel("db").share(), "channel C0DB000001", "allow_external"),
        (lambda slack: slack.channels.pop("C0DB000001"), "channel C0DB000001", "Check the channel's id"),
        (lambda slack: slack.channels.pop("C0PAY00001"), "channel #payments", "relay can see no channel"),
        (lambda slack: setattr(slack.channel("payments"), "private", True), "channel #payments", "/invite @relay"),
        (lambda slack: setattr(slack.channel("db"), "private", True), "channel C0DB000001", "/invite @relay"),
        (lambda slack: slack.channel("noc").archive(), "channel noc (C0NOC00001)", "fallback"),
        (lambda slack: slack.remove_scope("usergroups:read"), "user groups", "usergroups:read"),
        (lambda slack: slack.usergroups.clear(), "user group S0PAYONCALL", "payments would ping nobody"),
        (
            lambda slack: setattr(slack.usergroups["S0PAYONCALL"], "disabled", True),
            "user group S0PAYONCALL",
            "enable the group again",
        ),
        (lambda slack: slack.users.clear(), "user U0ANN00001", "Slack knows no such user (payments)"),
        (lambda slack: slack.remove_scope("users:read"), "user U0ANN00001", "users:read"),
        (lambda slack: setattr(slack.users["U0ANN00001"], "deleted", True), "user U0ANN00001", "deactivated"),
    ],
)
async def test_a_problem_that_loses_messages_is_an_error_with_a_remedy(environment, breaks, subject, says):
    breaks(environment.slack)
    ok, found = await environment.examine()
    assert not ok
    assert says in found["error", subject]


@pytest.mark.parametrize(
    ("breaks", "subject", "says"),
    [
        (lambda slack: slack.remove_scope("groups:history"), "Slack scope groups:history", "reinstall it"),
    ],
)
async def test_a_problem_that_loses_nothing_is_a_warning(environment, breaks, subject, says):
    breaks(environment.slack)
    ok, found = await environment.examine()
    assert ok
    assert says in found["warning", subject]


async def test_an_unknown_user_group_in_mutes_is_an_error(environment):
    environment.routes(ROUTES.replace("version: 1\n", "version: 1\nmutes: {actors: [S0NOBODY00]}\n", 1))
    ok, found = await environment.examine()
    assert not ok
    assert "mutes would ping nobody" in found["error", "user group S0NOBODY00"]


async def test_past_holidays_are_a_warning(environment):
    hours = "{over: {dates: [2020-12-24, 2020-12-25..2020-12-26]}, ahead: {dates: [2020-01-01, 2900-01-01]}}"
    environment.routes(ROUTES.replace("version: 1\n", f"version: 1\nzone: UTC\nhours: {hours}\n", 1))
    ok, found = await environment.examine()
    assert ok
    assert [subject for level, subject in found if level == "warning"] == ["hours over"]
    assert "2020-12-26" in found["warning", "hours over"]


async def test_old_time_zone_data_is_a_warning(environment, monkeypatch):
    monkeypatch.setattr(zones, "tzdata_version", lambda: "2020a")
    ok, found = await environment.examine()
    assert ok
    assert "pip install --upgrade tzdata" in found["warning", "time zones"]


async def test_a_renamed_channel_is_used_by_its_id_and_reported(environment):
    async with environment.store() as store:
        for ref, slack_id, name in (("#payments", "C0PAY00001", "payments"), ("C0DB000001", "C0DB000001", "db")):
            await store.add_channels([ref])
            await store.update_channel(
                Channel(ref=ref, slack_id=slack_id, state=ChannelState.OPEN, facts={"name": name})
            )
    environment.slack.channel("payments").rename("money")
    environment.slack.channel("db").rename("databases")
    ok, found = await environment.examine()
    assert ok
    assert "#money now" in found["warning", "channel #payments"]
    assert "C0PAY00001" in found["warning", "channel #payments"]
    assert "from #db to #databases" in found["note", "channel C0DB000001"]
    environment.slack.add_channel("C0PAY00002", "payments")
    _, found = await environment.examine()
    assert "another channel (C0PAY00002)" in found["warning", "channel #payments"]


async def test_an_archived_channel_with_the_same_name_is_ignored(environment):
    environment.slack.add_channel("C0PAY00000", "payments", archived=True)
    environment.slack.add_channel("C0PAY00009", "payments", archived=True)
    assert (await environment.examine())[0]


async def test_a_shared_channel_is_ok_if_the_routes_allow_it(environment):
    environment.slack.channel("db").share()
    environment.routes(ROUTES.replace("[C0DB000001]", "[{channel: C0DB000001, allow_external: true}]"))
    assert (await environment.examine())[0]


async def test_the_channels_of_disabled_routes_are_not_checked(environment):
    environment.slack.channel("db").archive()
    environment.routes(ROUTES + "    enabled: false\n")
    assert (await environment.examine())[0]


@pytest.mark.parametrize(("made", "name"), [("#inc-{{ tags.team }}", "inc-web"), ("#{{ tags.a }}-noc", "db-noc")])
async def test_for_a_computed_channel_doctor_lists_the_channels_that_incidents_may_choose(environment, made, name):
    environment.routes(ROUTES.replace("C0DB000001", f'"{made}"') + 'channels_allowed: ["#inc-*", "#*-noc"]\n')
    ok, found = await environment.examine()
    assert ok
    assert "relay can see no channel that it may name" in found["warning", f"channel {made}"]
    environment.slack.add_channel("C0MADE0001", name)
    findings = (await environment.diagnose()).findings
    assert [each.level for each in findings if each.subject == f"channel {made}"] == ["ok"]


async def test_many_ids_are_read_from_one_list(environment):
    for number in range(30):
        environment.slack.add_channel(f"C0MANY{number:04}", f"many-{number}")
    posts = ", ".join(f"C0MANY{number:04}" for number in range(30))
    environment.routes(f"version: 1\nfallback: C0NOC00001\nroutes: [{{name: many, post: [{posts}]}}]\n")
    assert (await environment.examine())[0]
    assert not environment.slack.calls_to("conversations.info")


async def test_doctor_waits_if_slack_limits_the_rate(environment):
    environment.slack.faults.add(InjectedFault(behaviour=rate_limited(30), method="conversations.list", times=2))
    assert (await environment.examine())[0]
    assert environment.clock.now() - 1_700_000_000 >= 60


async def test_unreachable_slack_is_an_error_and_the_rest_is_still_checked(environment):
    environment.settings["SLACK_API_URL"] = "http://127.0.0.1:9/api/"
    ok, found = await environment.examine()
    assert not ok
    assert "SLACK_API_URL" in found["error", "Slack token"]
    assert ("note", "BigPanda") in found


async def test_an_invalid_configuration_is_an_error_and_the_stored_one_is_checked(environment):
    async with environment.store() as store:
        await store.save_configuration("good", ROUTES, {}, 1.0)
    environment.routes("version: 1\nroutes: [{name: a, pots: []}]\n")
    environment.slack.channel("db").archive()
    ok, found = await environment.examine()
    subject = str(environment.folder / "routes.yaml")
    assert not ok
    assert "previous configuration stays active" in found["error", subject]
    assert "relay check" in found["error", subject]
    assert ("error", "channel C0DB000001") in found


async def test_a_missing_templates_folder_is_an_error(environment):
    environment.settings["RELAY_TEMPLATES"] += "s"
    ok, found = await environment.examine()
    assert not ok
    assert "templatess: folder not found" in found["error", str(environment.folder / "routes.yaml")]


async def test_a_missing_fallback_is_a_warning(environment):
    environment.routes(ROUTES.replace("fallback: noc", ""))
    ok, found = await environment.examine()
    assert ok
    assert "no fallback" in found["warning", str(environment.folder / "routes.yaml")]


async def test_settings_that_prevent_serve_from_starting_are_an_error(environment):
    environment.settings |= {"RELAY_WEBHOOK_KEYS": "", "SLACK_BOT_TOKEN": ""}
    ok, found = await environment.examine()
    assert not ok
    assert "RELAY_WEBHOOK_KEYS" in found["error", "settings"]
    assert not environment.slack.calls


async def test_the_database_may_be_in_use(environment):
    async with environment.store():
        ok, found = await environment.examine()
    assert ok
    assert ("note", "database") not in found


@pytest.mark.parametrize(
    ("url", "level", "says"),
    [
        ("sqlite:////no/such/folder/relay.db", "error", "does not exist"),
        ("postgresql://relay:secret@127.0.0.1:9/relay", "error", "PostgreSQL"),
    ],
)
async def test_an_unreachable_database_is_an_error_without_its_password(environment, url, level, says):
    environment.settings["RELAY_DATABASE_URL"] = url
    ok, found = await environment.examine()
    assert not ok
    assert says in found[level, "database"]
    assert "secret" not in str(found)


@needs_pgbouncer
@pytest.mark.parametrize(("mode", "found"), [("transaction", True), ("session", False)])
async def test_notifications_that_do_not_arrive_are_a_warning(environment, monkeypatch, mode, found):
    monkeypatch.setattr("relay.store.notify.TEST_SECONDS", 0.2 if found else 20.0)
    with postgresql_with_tables() as direct, pgbouncer(shared_server(), mode) as pooled:
        environment.settings["RELAY_DATABASE_URL"] = pooled.replace("/postgres", urlsplit(direct).path)
        ok, findings = await environment.examine()
    assert ok
    assert ("pool_mode = session" in findings.get(("warning", "notifications"), "")) is found


@pytest.mark.parametrize(
    ("kind", "level", "says"),
    [("tmpfs", "warning", "is lost when that ends"), ("nfs4", "error", "network file system")],
)
async def test_a_database_on_a_volatile_file_system_is_reported(environment, monkeypatch, kind, level, says):
    async with environment.store():
        pass
    mounts = environment.folder / "mountinfo"
    mounts.write_text(f"98 22 0:72 / {environment.folder} rw - {kind} source rw\n")
    monkeypatch.setattr(file_system, "_MOUNTS", mounts)
    ok, found = await environment.examine()
    assert ok is (level == "warning")
    assert says in found[level, "database"]


async def test_a_file_that_is_not_a_database_is_an_error(environment):
    (environment.folder / "relay.db").write_bytes(b"this is no database" * 100)
    ok, found = await environment.examine()
    assert not ok
    assert "relay.db" in found["error", "database"]


async def test_an_empty_database_is_migrated_at_the_next_start(environment):
    (environment.folder / "relay.db").touch()
    ok, found = await environment.examine()
    assert ok
    assert "when it starts" in found["note", "database"]


@asynccontextmanager
async def bigpanda(status):
    requests = []

    async def definitions(request):
        requests.append(request.headers["Authorization"])
        return web.json_response([], status=status)

    application = web.Application()
    application.router.add_get("/resources/v2.0/incidents/tags/definitions", definitions)
    async with TestServer(application) as server:
        yield str(server.make_url("")), requests


@pytest.mark.parametrize(
    ("status", "says"),
    [(401, "BIGPANDA_API_KEY"), (403, "permission"), (404, "eu-api.bigpanda.io"), (500, "server error"), (200, "")],
)
async def test_bigpandas_key_and_region_are_checked(environment, status, says):
    async with bigpanda(status) as (url, requests):
        environment.settings |= {"BIGPANDA_API_URL": url, "BIGPANDA_API_KEY": "BPU-secret"}
        ok, found = await environment.examine()
        assert requests == ["Bearer BPU-secret"]
        assert ok
        assert says in found.get(("warning", "BigPanda"), "")
        assert (("warning", "BigPanda") in found) is (status != 200)
        environment.routes(ROUTES + "    sync_replies: true\n")
        environment.settings |= {"SLACK_SIGNING_SECRET": "secret"}
        assert (await environment.examine())[0] is (status == 200)


async def test_buttons_need_a_signing_secret_or_an_app_token(environment):
    async with bigpanda(200) as (url, _):
        environment.settings |= {"BIGPANDA_API_URL": url, "BIGPANDA_API_KEY": "BPU-secret"}
        environment.routes(ROUTES + "    actions: [resolve]\n")
        ok, found = await environment.examine()
        assert not ok
        assert "SLACK_SIGNING_SECRET" in found["error", "Slack interactivity"]
        environment.settings |= {"SLACK_APP_TOKEN": "xapp-wrong"}
        ok, found = await environment.examine()
        assert not ok
        assert "connections:write" in found["error", "Slack interactivity"]
        environment.settings |= {"SLACK_APP_TOKEN": environment.slack.app_token}
        ok, found = await environment.examine()
        assert ok
        assert ("error", "Slack interactivity") not in found


async def test_actions_need_the_scopes_that_identify_the_user(environment):
    async with bigpanda(200) as (url, _):
        environment.settings |= {"BIGPANDA_API_URL": url, "BIGPANDA_API_KEY": "BPU-secret"}
        environment.settings |= {"SLACK_APP_TOKEN": environment.slack.app_token}
        environment.slack.remove_scope("users:read.email")
        assert (await environment.examine())[0]
        environment.routes(ROUTES + "    actions: [assign]\n")
        ok, found = await environment.examine()
        assert not ok
        assert ("error", "Slack scope users:read.email") in found


async def test_a_missing_commands_scope_is_reported_only_if_slack_can_reach_relay(environment):
    environment.slack.remove_scope("commands")
    assert ("warning", "Slack scope commands") not in (await environment.examine())[1]
    environment.settings |= {"SLACK_APP_TOKEN": environment.slack.app_token}
    ok, found = await environment.examine()
    assert ok
    assert "slash command" in found["warning", "Slack scope commands"]


async def test_bigpanda_is_unreachable_or_its_key_is_missing(environment):
    environment.settings |= {"BIGPANDA_API_URL": "http://127.0.0.1:9", "BIGPANDA_API_KEY": "key"}
    _, found = await environment.examine()
    assert "BIGPANDA_API_URL" in found["warning", "BigPanda"]
    del environment.settings["BIGPANDA_API_KEY"]
    environment.routes(ROUTES + "    actions: [resolve]\n")
    ok, found = await environment.examine()
    assert not ok
    assert "BIGPANDA_API_KEY" in found["error", "BigPanda"]


def test_the_command_prints_each_finding_with_its_remedy_and_exits_with_1(tmp_path, monkeypatch):
    monkeypatch.setattr("relay.tools.doctor.slack.MAX_WAIT", 0.0)
    (tmp_path / "routes.yaml").write_text(ROUTES)
    environment = {
        "RELAY_ROUTES": str(tmp_path / "routes.yaml"),
        "RELAY_DATABASE_URL": f"sqlite:///{tmp_path}/relay.db",
        "RELAY_WEBHOOK_KEYS": "webhook-key",
        "SLACK_BOT_TOKEN": "xoxb-nobody",
        "SLACK_API_URL": "http://127.0.0.1:9/api/",
    }
    result = CliRunner().invoke(app, ["doctor"], env=environment)
    assert result.exit_code == 1
    assert "✗ Slack token: Slack does not accept it" in result.output
    assert "\n  Check the network" in result.output
    assert "This may take a minute." in result.stderr
    result = CliRunner().invoke(app, ["doctor", "--json"], env=environment)
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert {"level", "subject", "message", "remedy"} == document["findings"][0].keys()


def test_outside_a_terminal_a_long_remedy_is_one_line(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    environment = {
        "RELAY_ROUTES": str(tmp_path / "routes.yaml"),
        "RELAY_DATABASE_URL": f"sqlite:///{tmp_path}/relay.db",
    }
    printed = CliRunner().invoke(app, ["doctor"], env=environment).output
    findings = json.loads(CliRunner().invoke(app, ["doctor", "--json"], env=environment).output)["findings"]
    remedies = [finding["remedy"] for finding in findings if len(finding["remedy"]) > 100]
    assert remedies
    assert all(remedy in printed for remedy in remedies)


async def test_a_mistyped_setting_is_a_warning_with_a_suggestion(environment):
    diagnosis = await examine(
        Settings.from_env(environment.settings), environment.clock, unknown={"SLACK_TOKEN": "SLACK_BOT_TOKEN"}
    )
    [found] = [finding for finding in diagnosis.findings if "SLACK_TOKEN" in finding.message]
    assert (found.level, diagnosis.ok) == ("warning", True)
    assert "Rename it to SLACK_BOT_TOKEN" in found.remedy


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_a_file_of_authorities_that_cannot_be_read_is_an_error(environment, tmp_path, content):
    file = tmp_path / "authorities.pem"
    if content:
        file.write_text(content)
    diagnosis = await examine(Settings.from_env(environment.settings), environment.clock, authorities=str(file))
    [found] = [finding for finding in diagnosis.findings if finding.level == "error"]
    assert f"SSL_CERT_FILE is {file}" in found.message


async def test_an_org_wide_token_for_several_workspaces_needs_a_setting(environment):
    slack = environment.slack
    slack.grants[slack.token].org_wide = True
    assert (await environment.examine())[0]  # there is one workspace
    slack.teams["T0OTHER"] = "other"
    ok, found = await environment.examine()
    assert not ok
    assert "SLACK_TEAM_ID" in found["error", "channels"]
    assert "T0OTHER (other)" in found["error", "user groups"]
    environment.settings["SLACK_TEAM_ID"] = "T0SANDBOX"
    assert (await environment.examine())[0]
