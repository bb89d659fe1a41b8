"""The events of a real relay change every metric that Prometheus reads."""

import asyncio
import re
import resource
import secrets
import signal
import sqlite3
from collections import defaultdict
from contextlib import closing

import pytest
from prometheus_client.parser import text_string_to_metric_families

from relay.metrics import METRICS
from relay.sandbox.faults import SERVER_ERROR, InjectedFault, rate_limited
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.intervals import intervals
from tests.support.relay_process import KEY, running

POST = "chat.postMessage"
CHANNELS = {"all": "C0ALL00001", "gone": "C0GONE0001", "lost": "C0LOST0001", "noc": "C0NOC00001"}
ROUTES = "version: 1\nfallback: C0NOC00001\nroutes:\n" + "".join(
    f"  - {{name: {name}, match: {{tags: {{lane: {name}}}}}, template: broken,"
    f" post: [{{channel: {channel}, mention: {{critical: [here]}}}}]}}\n"
    for name, channel in CHANNELS.items()
)
BROKEN = "{% header %}{{ incident.state }}{% endheader %}{% section %}{{ incident.title / 0 }}{% endsection %}"
SOON = intervals({"relay.cards.outcomes.RETRY_AFTER": 0.01, "relay.ratelimit.budgets.EDIT_SPACING": 0.01})
"""A card that Slack's token kept from its channel, and a second edit of a card, are due at once."""
CONSTANT = {"relay_build_info", "relay_delivering", "relay_clock_skew_seconds", "relay_pg_notify_working"}
"""The metrics that do not change with one relay on SQLite: its version, that it delivers, and what PostgreSQL has."""


def series_of_times(series):
    """How often something was assigned, and resolved."""
    names = ("relay_time_to_assign_seconds_count", "relay_time_to_resolve_seconds_count")
    return tuple(sum(value for key, value in series.items() if key.startswith(name)) for name in names)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    (tmp_path / "templates" / "broken").mkdir(parents=True)
    (tmp_path / "templates" / "broken" / "card.j2").write_text(BROKEN)
    return tmp_path


@pytest.fixture
async def slack():
    workspace = FakeSlack()
    for name, channel in CHANNELS.items():
        workspace.add_channel(channel, name)
    async with serve_slack(workspace) as url:
        workspace.url = url
        yield workspace


class Prometheus:
    """Scrapes the metrics, and keeps the values of each series; a series that does not exist yet counts as 0."""

    def __init__(self, relay):
        self._relay = relay
        self._values = defaultdict(set)
        self._names = {}

    async def scrape(self):
        """Return the values of all series by name and labels."""
        async with self._relay.session.get(f"{self._relay.url}/metrics") as answer:
            text = await answer.text()
        series = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if not sample.name.endswith("_created"):
                    key = sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items()))
                    series[key] = sample.value
                    self._names[key] = sample.name
        if self._values:
            for key in series.keys() - self._values.keys():
                self._values[key].add(0.0)
        for key in series.keys() | self._values.keys():
            self._values[key].add(series.get(key, 0.0))
        return series

    async def until(self, condition):
        series = {}
        try:
            async with asyncio.timeout(100):
                while not condition(series := await self.scrape()):  # noqa: ASYNC110  Prometheus polls
                    await asyncio.sleep(0.05)
        except TimeoutError:
            lines = [f"{key} {value}" for key, value in series.items() if key.startswith("relay_") and value]
            raise AssertionError("\n".join(line for line in lines if "_bucket" not in line)) from None

    def changed(self):
        """Return the names of the metrics with a series that had several values."""
        return {self._names[key] for key, values in self._values.items() if len(values) > 1}


OWNER = {"metadata": {"assignee": {"name": "Ann"}}}


async def share(relay, lane, incident, status="critical", **more):
    body = {"incident": {"id": incident, "status": status}, "incidentTags": [{"id": "lane", "value": lane}], **more}
    async with relay.session.post(f"{relay.url}/shares", json=body, headers={"X-Relay-Key": KEY}) as answer:
        return answer.status


async def test_every_metric_changes_with_its_events(folder, slack):
    async with running(folder, slack.url, prepare=SOON) as relay:
        scraper = Prometheus(relay)
        await scraper.until(lambda series: series["relay_slack_credentials_valid"] == 1)

        # An incident, with a template that fails and a rate limit of Slack.
        slack.faults.add(InjectedFault(behaviour=rate_limited(1), method=POST, times=1))
        assert await share(relay, "all", "i1") == 202
        await scraper.until(lambda series: series.get("relay_cards_total message=root outcome=delivered", 0) > 0)
        assert await share(relay, "all", "i1", "warning", padding=secrets.token_hex(150_000)) == 202
        await scraper.until(
            lambda series: (
                series.get("relay_entries_total outcome=delivered", 0) > 0
                and series.get("relay_cards_total message=edit outcome=delivered", 0) > 0
                and series[f"relay_slack_rate_limited_total method={POST}"] > 0
                and series["relay_template_failures_total template=broken/card.j2"] > 0
            )
        )
        assert series_of_times(await scraper.scrape()) == (0, 0)
        assert await share(relay, "all", "i1", "warning", **OWNER) == 202
        assert await share(relay, "all", "i1", "ok", **OWNER) == 202
        await scraper.until(lambda series: series["relay_open_incidents state=warning"] == 0)
        assert series_of_times(await scraper.scrape()) == (1, 1)
        # An unknown sender, and an invalid body.
        assert (await relay.share(b"{}", **{"X-Relay-Key": "wrong"})).status == 401
        assert (await relay.share(b"{nonsense")).status == 400
        await scraper.until(lambda series: series["relay_quarantined_bodies"] == 1)
        # A lost answer, and an archived channel.
        slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, channel=CHANNELS["lost"]))
        slack.channel("gone").archive()
        assert await share(relay, "lost", "i2") == 202
        assert await share(relay, "gone", "i3") == 202
        await scraper.until(lambda series: series["relay_attempts_in_doubt"] == 1 and series["relay_dead_letters"] == 1)
        # Edits of the configuration: an invalid one, and a valid one.
        for edit, good in (("version: 1\nroutes: [{name: a, pots: []}]\n", 0), (ROUTES + "# changed\n", 1)):
            (folder / "routes.yaml").write_text(edit)
            relay.process.send_signal(signal.SIGHUP)
            await scraper.until(lambda series, good=good: series["relay_config_last_reload_successful"] == good)
        # A share that cannot be planned, since what is stored of its incident cannot be read.
        with closing(sqlite3.connect(folder / "relay.db", isolation_level=None)) as connection:
            connection.execute("UPDATE incident SET record = '{}' WHERE id = 'i3'")
        assert await share(relay, "gone", "i3", "warning") == 202
        await scraper.until(
            lambda series: (
                series["relay_failed_shares"] == series["relay_unplanned_shares"] == 1
                and series["relay_oldest_unplanned_share_age_seconds"] > 0
            )
        )
        # A full disk.
        _, hard_limit = resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (1, hard_limit))
        assert await share(relay, "all", "i4") == 503
        await scraper.until(lambda series: series["relay_database_up"] == 0)
        resource.prlimit(relay.process.pid, resource.RLIMIT_FSIZE, (hard_limit, hard_limit))
        await scraper.until(lambda series: series["relay_database_up"] == 1)
        # A revoked token: due work waits.
        slack.grants[slack.token].revoked = "token_revoked"
        assert await share(relay, "all", "i5") == 202
        lane = f"channel={CHANNELS['all']} work=post"
        await scraper.until(
            lambda series: (
                series["relay_slack_credentials_valid"] == 0
                and series.get(f"relay_due_work {lane}", 0) > 0
                and series[f"relay_oldest_due_age_seconds {lane}"] > 0
            )
        )
        status, readiness = await relay.get("/readyz")
        assert (status, readiness["slack"], readiness["held_cards"]["in_doubt"]) == (200, "token_revoked", 1)
        assert sum(readiness["held_cards"].values()) == 2
    histograms = {name for name, metric in METRICS.items() if metric.type == "histogram"}
    series = METRICS.keys() - histograms | {f"{name}_{part}" for name in histograms for part in ("count", "sum")}
    elsewhere = "bigpanda|clicks|commands|socket|shadow|summaries|held_pings|catch_up|storm|mutes|reminders"
    ours = {name for name in series if not re.search(elsewhere, name)}
    assert ours - CONSTANT - scraper.changed() == set()  # no buttons, commands, BigPanda, silent hours or storms
