"""What the doctor finds when each thing that relay stands on is as it should not be."""

import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner

from relay.cards.model import ChannelState
from relay.cli import app
from relay.config import files
from relay.config.settings import Settings
from relay.sandbox.faults import InjectedFault, rate_limited
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.store import Store
from relay.tools.doctor.doctor import examine
from tests.support.clocks import ManualClock

ROUTES = """
version: 1
channels: {noc: C0NOC00001}
fallback: noc
routes:
  - name: payments
    post: [{channel: "#payments", mention: {critical: [S0PAYONCALL]}}]
  - name: databases
    post: [C0DB000001]
"""


class Patient(ManualClock):
    """Whoever waits has waited."""

    async def sleep(self, seconds):
        self.advance(seconds)


class Practice:
    """The surroundings of a relay, all of them fine until a test spoils one."""

    def __init__(self, folder, slack):
        self.folder, self.slack = folder, slack
        self.clock = Patient()
        self.settings = {
            "RELAY_ROUTES": str(folder / "routes.yaml"),
            "RELAY_TEMPLATES": str(folder / "templates"),
            "RELAY_DATABASE_URL": f"sqlite:///{folder}/relay.db",
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

    async def examined(self):
        """(level, about) -> what was said, in one text with the remedy; only what is not fine."""
        diagnosis = await examine(Settings.from_env(self.settings), self.clock)
        return diagnosis.ok, {
            (str(finding.level), finding.about): f"{finding.message} {finding.remedy}"
            for finding in diagnosis.findings
            if finding.level != "fine"
        }


@pytest.fixture(autouse=True)
def few_templates(monkeypatch):
    """Nothing is rendered here, so what relay is packaged with need not be compiled each time."""
    monkeypatch.setattr(files, "load_packaged", dict)


@pytest.fixture
async def practice(tmp_path):
    slack = FakeSlack()
    slack.add_channel("C0NOC00001", "noc", member=True)
    slack.add_channel("C0PAY00001", "payments")
    slack.add_channel("C0DB000001", "db")
    slack.add_usergroup("S0PAYONCALL", "payments-oncall")
    made = Practice(tmp_path, slack)
    async with serve_slack(slack) as url:
        made.settings["SLACK_API_URL"] = url
        yield made


QUIET = {("note", "database"), ("note", "BigPanda")}
"""What is noted of a relay that was never started, and has no key for BigPanda."""


async def test_where_all_is_as_it_should_be_there_is_nothing_to_mend_and_nothing_is_changed(practice):
    ok, found = await practice.examined()
    assert ok
    assert found.keys() == QUIET
    assert {call.method for call in practice.slack.calls} == {
        "auth.test",
        "conversations.list",
        "usergroups.list",
    }
    assert not (practice.folder / "relay.db").exists()


@pytest.mark.parametrize(
    ("spoil", "about", "says"),
    [
        (lambda slack: slack.revoke(), "Slack token", "SLACK_BOT_TOKEN"),
        (lambda slack: slack.remove_scope("chat:write"), "Slack scope chat:write", "relay manifest"),
        (lambda slack: slack.remove_scope("channels:read"), "channels", "channels:read"),
        (lambda slack: slack.remove_scope("channels:join"), "channel #payments", "/invite @relay"),
        (lambda slack: slack.channel("db").archive(), "channel C0DB000001", "Unarchive"),
        (lambda slack: slack.channel("db").share(), "channel C0DB000001", "allow_external"),
        (lambda slack: slack.channels.pop("C0DB000001"), "channel C0DB000001", "Check the channel's id"),
        (lambda slack: slack.channels.pop("C0PAY00001"), "channel #payments", "no channel that relay can see"),
        (lambda slack: setattr(slack.channel("payments"), "private", True), "channel #payments", "/invite @relay"),
        (lambda slack: setattr(slack.channel("db"), "private", True), "channel C0DB000001", "/invite @relay"),
        (lambda slack: slack.channel("noc").archive(), "channel noc (C0NOC00001)", "fallback"),
    ],
)
async def test_what_would_lose_messages_is_found_with_its_remedy(practice, spoil, about, says):
    spoil(practice.slack)
    ok, found = await practice.examined()
    assert not ok
    assert says in found["loss", about]


@pytest.mark.parametrize(
    ("spoil", "about", "says"),
    [
        (lambda slack: slack.remove_scope("groups:history"), "Slack scope groups:history", "install it again"),
        (lambda slack: slack.remove_scope("usergroups:read"), "user groups", "usergroups:read"),
        (lambda slack: slack.usergroups.clear(), "user group S0PAYONCALL", "payments would ping nobody"),
        (
            lambda slack: setattr(slack.usergroups["S0PAYONCALL"], "disabled", True),
            "user group S0PAYONCALL",
            "enable the group again",
        ),
    ],
)
async def test_what_loses_nothing_is_a_warning(practice, spoil, about, says):
    spoil(practice.slack)
    ok, found = await practice.examined()
    assert ok
    assert says in found["warning", about]


async def test_a_channel_that_was_renamed_is_followed_by_its_id_and_told(practice):
    async with practice.store() as store:
        for ref, slack_id, name in (("#payments", "C0PAY00001", "payments"), ("C0DB000001", "C0DB000001", "db")):
            await store.want_channels([ref])
            await store.found_channel(ref, slack_id=slack_id, state=ChannelState.OPEN, facts={"name": name})
    practice.slack.channel("payments").rename("money")
    practice.slack.channel("db").rename("databases")
    ok, found = await practice.examined()
    assert ok
    assert "#money now" in found["warning", "channel #payments"]
    assert "C0PAY00001" in found["warning", "channel #payments"]
    assert "from #db to #databases" in found["note", "channel C0DB000001"]
    practice.slack.add_channel("C0PAY00002", "payments")
    _, found = await practice.examined()
    assert "another channel (C0PAY00002)" in found["warning", "channel #payments"]


async def test_an_archived_channel_of_the_same_name_is_not_taken_for_the_living_one(practice):
    practice.slack.add_channel("C0PAY00000", "payments", archived=True)
    practice.slack.add_channel("C0PAY00009", "payments", archived=True)
    assert (await practice.examined())[0]


async def test_a_shared_channel_is_fine_where_the_routes_allow_it(practice):
    practice.slack.channel("db").share()
    practice.routes(ROUTES.replace("[C0DB000001]", "[{channel: C0DB000001, allow_external: true}]"))
    assert (await practice.examined())[0]


async def test_what_disabled_routes_name_is_not_looked_at(practice):
    practice.slack.channel("db").archive()
    practice.routes(ROUTES + "    enabled: false\n")
    assert (await practice.examined())[0]


async def test_a_channel_made_from_the_incident_is_noted(practice):
    practice.routes(ROUTES.replace("C0DB000001", '"#inc-{{ tags.team }}"'))
    ok, found = await practice.examined()
    assert ok
    assert ("note", "channel #inc-{{ tags.team }}") in found


async def test_many_ids_are_read_from_one_list(practice):
    for number in range(30):
        practice.slack.add_channel(f"C0MANY{number:04}", f"many-{number}")
    posts = ", ".join(f"C0MANY{number:04}" for number in range(30))
    practice.routes(f"version: 1\nfallback: C0NOC00001\nroutes: [{{name: many, post: [{posts}]}}]\n")
    assert (await practice.examined())[0]
    assert not practice.slack.calls_to("conversations.info")


async def test_it_waits_where_slack_asks_it_to(practice):
    practice.slack.faults.add(InjectedFault(behaviour=rate_limited(30), method="conversations.list", times=2))
    assert (await practice.examined())[0]
    assert practice.clock.now() - 1_700_000_000 == pytest.approx(60, abs=1)


async def test_slack_out_of_reach_is_said_and_the_rest_is_still_looked_at(practice):
    practice.settings["SLACK_API_URL"] = "http://127.0.0.1:9/api/"
    ok, found = await practice.examined()
    assert not ok
    assert "SLACK_API_URL" in found["loss", "Slack token"]
    assert ("note", "BigPanda") in found


async def test_a_faulty_configuration_is_found_and_the_last_good_one_is_looked_at(practice):
    async with practice.store() as store:
        await store.keep_configuration("good", ROUTES, {}, 1.0)
    practice.routes("version: 1\nroutes: [{name: a, pots: []}]\n")
    practice.slack.channel("db").archive()
    ok, found = await practice.examined()
    about = str(practice.folder / "routes.yaml")
    assert not ok
    assert "the last good one" in found["loss", about]
    assert "relay check" in found["loss", about]
    assert ("loss", "channel C0DB000001") in found


async def test_a_folder_of_templates_that_is_not_there_is_found(practice):
    practice.settings["RELAY_TEMPLATES"] += "s"
    ok, found = await practice.examined()
    assert not ok
    assert "templatess:0:0: there is no such folder" in found["loss", str(practice.folder / "routes.yaml")]


async def test_without_a_fallback_it_warns(practice):
    practice.routes(ROUTES.replace("fallback: noc", ""))
    ok, found = await practice.examined()
    assert ok
    assert "no fallback" in found["warning", str(practice.folder / "routes.yaml")]


async def test_settings_that_serve_would_refuse_are_found(practice):
    practice.settings |= {"RELAY_WEBHOOK_KEYS": "", "SLACK_BOT_TOKEN": ""}
    ok, found = await practice.examined()
    assert not ok
    assert "RELAY_WEBHOOK_KEYS" in found["loss", "settings"]
    assert not practice.slack.calls


async def test_a_database_that_is_ready_may_be_in_use(practice):
    async with practice.store():
        ok, found = await practice.examined()
    assert ok
    assert ("note", "database") not in found


@pytest.mark.parametrize(
    ("url", "level", "says"),
    [
        ("sqlite:////no/such/folder/relay.db", "loss", "does not exist"),
        ("postgresql://relay:secret@127.0.0.1:9/relay", "loss", "PostgreSQL"),
    ],
)
async def test_a_database_out_of_reach_is_found_and_no_password_is_shown(practice, url, level, says):
    practice.settings["RELAY_DATABASE_URL"] = url
    ok, found = await practice.examined()
    assert not ok
    assert says in found[level, "database"]
    assert "secret" not in str(found)


async def test_a_database_that_is_none_is_found(practice):
    (practice.folder / "relay.db").write_bytes(b"this is no database" * 100)
    ok, found = await practice.examined()
    assert not ok
    assert "relay.db" in found["loss", "database"]


async def test_an_empty_database_is_made_ready_at_the_next_start(practice):
    (practice.folder / "relay.db").touch()
    ok, found = await practice.examined()
    assert ok
    assert "next start" in found["note", "database"]


@asynccontextmanager
async def bigpanda(status):
    asked = []

    async def definitions(request):
        asked.append(request.headers["Authorization"])
        return web.json_response([], status=status)

    application = web.Application()
    application.router.add_get("/resources/v2.0/incidents/tags/definitions", definitions)
    async with TestServer(application) as server:
        yield str(server.make_url("")), asked


@pytest.mark.parametrize(
    ("status", "says"),
    [(401, "BIGPANDA_API_KEY"), (403, "permission"), (404, "eu-api.bigpanda.io"), (500, "server error"), (200, "")],
)
async def test_bigpandas_key_and_region(practice, status, says):
    async with bigpanda(status) as (url, asked):
        practice.settings |= {"BIGPANDA_API_URL": url, "BIGPANDA_API_KEY": "BPU-secret"}
        ok, found = await practice.examined()
        assert asked == ["Bearer BPU-secret"]
        assert ok
        assert says in found.get(("warning", "BigPanda"), "")
        assert (("warning", "BigPanda") in found) is (status != 200)
        practice.routes(ROUTES + "    sync_replies: true\n")
        practice.settings |= {"SLACK_SIGNING_SECRET": "secret"}
        assert (await practice.examined())[0] is (status == 200)


async def test_buttons_need_a_way_in(practice):
    async with bigpanda(200) as (url, _):
        practice.settings |= {"BIGPANDA_API_URL": url, "BIGPANDA_API_KEY": "BPU-secret"}
        practice.routes(ROUTES + "    actions: [resolve]\n")
        ok, found = await practice.examined()
        assert not ok
        assert "SLACK_SIGNING_SECRET" in found["loss", "Slack interactivity"]
        practice.settings |= {"SLACK_APP_TOKEN": "xapp-wrong"}
        ok, found = await practice.examined()
        assert not ok
        assert "connections:write" in found["loss", "Slack interactivity"]
        practice.settings |= {"SLACK_APP_TOKEN": practice.slack.app_token}
        ok, found = await practice.examined()
        assert ok
        assert ("loss", "Slack interactivity") not in found


async def test_who_acts_needs_the_scopes_that_tell_who_that_is(practice):
    async with bigpanda(200) as (url, _):
        practice.settings |= {"BIGPANDA_API_URL": url, "BIGPANDA_API_KEY": "BPU-secret"}
        practice.settings |= {"SLACK_APP_TOKEN": practice.slack.app_token}
        practice.slack.remove_scope("users:read.email")
        assert (await practice.examined())[0]
        practice.routes(ROUTES + "    actions: [assign]\n")
        ok, found = await practice.examined()
        assert not ok
        assert ("loss", "Slack scope users:read.email") in found


async def test_bigpanda_out_of_reach_or_without_a_key_that_is_needed(practice):
    practice.settings |= {"BIGPANDA_API_URL": "http://127.0.0.1:9", "BIGPANDA_API_KEY": "key"}
    _, found = await practice.examined()
    assert "BIGPANDA_API_URL" in found["warning", "BigPanda"]
    del practice.settings["BIGPANDA_API_KEY"]
    practice.routes(ROUTES + "    actions: [resolve]\n")
    ok, found = await practice.examined()
    assert not ok
    assert "BIGPANDA_API_KEY" in found["loss", "BigPanda"]


def test_the_command_prints_each_finding_with_its_remedy_and_leaves_with_1(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    environment = {
        "RELAY_ROUTES": str(tmp_path / "routes.yaml"),
        "RELAY_DATABASE_URL": f"sqlite:///{tmp_path}/relay.db",
        "RELAY_WEBHOOK_KEYS": "webhook-key",
        "SLACK_BOT_TOKEN": "xoxb-nobody",
        "SLACK_API_URL": "http://127.0.0.1:9/api/",
    }
    told = CliRunner().invoke(app, ["doctor"], env=environment)
    assert told.exit_code == 1
    assert "✗ Slack token: Slack does not let relay in" in told.output
    assert "\n  Check the network" in told.output
    told = CliRunner().invoke(app, ["doctor", "--json"], env=environment)
    assert told.exit_code == 1
    document = json.loads(told.output)
    assert document["ok"] is False
    assert {"level", "about", "message", "remedy"} == document["findings"][0].keys()


def test_where_no_terminal_is_narrow_a_long_remedy_is_printed_whole(tmp_path):
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
