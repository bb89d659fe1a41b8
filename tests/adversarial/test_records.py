"""Whatever a share holds, its incident's record stays small, counts what it leaves out, and costs others nothing."""

import asyncio
import io
import itertools

import orjson
import pytest
from yarl import URL

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards import merge
from relay.cards.draw import draw_step
from relay.cards.model import Card, CardContext, Channel, ChannelState, Entry
from relay.cards.plan import plan
from relay.cards.replies import next_reply
from relay.cards.send import begin_post
from relay.config.files import load_configuration
from relay.model import bounds
from relay.model.entry_kinds import EntryKind
from relay.model.incident import State
from relay.model.reading import read_incident
from relay.model.record import Record
from relay.model.struct import replace
from relay.routes.options import Options
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.message import Message
from relay.store.mappers import dumps, record_text, to_record
from tests.support.load_probe import load_probe
from tests.support.relay_process import KEY, running, until

NOW = 1_700_000_000.0
LARGEST_RECORD = 2_500_000
"""Characters of JSON: a million of text, which JSON may write in more, and the structure around it."""
LARGEST_ENTRY = 70_000
MANY, LONG = 4_000, 200_000

ROUTES = """
version: 1
channels: {noc: C0123456789}
routes:
  - name: everything
    post: [{channel: noc}]
"""


def pairs(number: int, value: str = "v") -> list[dict[str, str]]:
    return [{"id": f"t{each}", "value": f"{value}{each}"} for each in range(number)]


def alerts(number: int, **more: object) -> list[dict[str, object]]:
    return [{"id": f"a{each}", "status": "critical", **more} for each in range(number)]


INCIDENTS = {
    "many alerts": {"alerts": alerts(MANY)},
    "alerts with many tags": {"alerts": alerts(510, tags=[{"name": f"n{each}", "value": "v"} for each in range(110)])},
    "alerts with long texts": {"alerts": alerts(600, description="d" * 9_000, tags={"host": "h" * 9_000})},
    "one alert with everything": {"alerts": alerts(1, tags={f"n{each}": ["v" * 3_100] * 60 for each in range(110)})},
    "an alert with a long status": {"alerts": [{"id": "a", "status": "s" * LONG, "primaryProperty": "p" * LONG}]},
    "an alert with a long id": {"alerts": [{"id": "a" * LONG, "status": "critical"}]},
    "a map of alerts": {"alerts": {f"a{each}": {"status": "critical"} for each in range(MANY)}},
    "many tags": {"incidentTags": pairs(MANY)},
    "tags with long values": {"incidentTags": pairs(300, "v" * 5_000)},
    "tags with long names": {"incidentTags": [{"id": f"{each}" * LONG, "value": "v"} for each in range(9)]},
    "a tag with many values": {"incidentTags": [{"id": "t", "value": [f"v{each}" for each in range(MANY)]}]},
    "a deep tag": {"incidentTags": [{"id": "t", "value": orjson.loads(b"[" * 200 + b"1" + b"]" * 200)}]},
    "many links": {"links": {f"l{each}": "https://example.com" for each in range(MANY)}},
    "a long link": {"links": {"landingPage": "https://example.com/" + "x" * LONG}},
    "many changes": {"relatedChanges": [{"id": f"c{each}", "summary": "s" * 200} for each in range(MANY)]},
    "changes with long texts": {"relatedChanges": [{"id": f"c{each}", "summary": "s" * LONG} for each in range(20)]},
    "a long status": {"status": "s" * LONG, "severity": "s" * LONG},
    "long people": {"assignee": {"name": "n" * LONG, "email": "e" * LONG, "id": "i" * LONG}, "sender": "s" * LONG},
    "a long environment": {"environment": "e" * LONG, "environmentId": "i" * LONG},
    "a long comment": {"comment": "c" * LONG},
    "many events": {"eventTypes": [f"incident#event-{each}" for each in range(MANY)]},
    "long events": {"eventTypes": [str(each) * LONG for each in range(9)]},
}
"""What is said of the incident, by what is strange about it."""

COUNTED = {"many alerts", "a map of alerts", "many tags", "a tag with many values", "many links", "many changes"}
"""Where whole parts are left out, the card says so. A text that was cut says so itself."""


def share(said, at=NOW, incident="i1", headers=None):
    body = orjson.dumps({"incident": {"id": incident, "status": "Critical", "updatedOn": int(at), **said}})
    return parse_share(body, headers or {}, at)


@pytest.fixture
async def slack():
    workspace = FakeSlack()
    workspace.add_channel("C0123456789", "noc")
    async with serve_slack(workspace) as url:
        workspace.url = url
        yield workspace


@pytest.fixture(scope="module")
def configuration(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configuration")
    (folder / "routes.yaml").write_text(ROUTES)
    return load_configuration(folder / "routes.yaml", folder / "templates")


def planned(configuration, *shares):
    """Plan these shares one after the other, each with the record as it is stored; return all entries and the last."""
    state, cards, entries = None, (), []
    for each in shares:
        last = plan(configuration.rulebook, state, cards, each, {})
        entries += last.entries
        stored = to_record(record_text(last.incident_state.record))
        assert stored == last.incident_state.record
        state = replace(last.incident_state, record=stored)
        cards = last.cards or cards
    return last, entries


def drawn(configuration, planned_last) -> Message:
    card = planned_last.cards[0]
    channel = Channel(ref=card.channel, slack_id="C0123456789", state=ChannelState.OPEN)
    context = CardContext(
        topic=planned_last.incident_state, card=card, cards=planned_last.cards, entries=(), channel=channel
    )
    step = begin_post(context, NOW)
    return draw_step(configuration, context, step, lambda channel, ts: "", NOW).rendered.message


@pytest.mark.parametrize("name", INCIDENTS)
def test_the_record_entries_and_card_of_any_incident_have_a_bounded_size(configuration, name):
    strange = share(INCIDENTS[name])
    first, _ = planned(configuration, strange)
    incident = read_incident(first.incident_state.record)
    says_so = "relay left out" in dumps(drawn(configuration, first).payload())
    assert says_so == bool(incident.omitted or incident.omitted_alerts)
    assert says_so or name not in COUNTED
    last, entries = planned(
        configuration,
        share({}),
        replace(strange, hash="2", as_of=NOW + 1_000, received=NOW + 1_000),
        replace(strange, hash="3", as_of=NOW + 2_000, received=NOW + 2_000, comment="another"),
        share({"alerts": [], "incidentTags": [], "links": {}, "relatedChanges": []}, NOW + 3_000),
    )
    for record in (first.incident_state.record, last.incident_state.record):
        assert len(record_text(record)) < LARGEST_RECORD
    assert max((len(dumps(entry.data)) for entry in entries), default=0) < LARGEST_ENTRY
    assert len(entries) < 40
    assert not read_incident(last.incident_state.record).omitted_alerts


def test_the_worst_and_then_the_newest_alerts_are_kept_and_all_are_counted(configuration):
    said = alerts(3_000, status="warning")
    for number, alert in enumerate(said):
        alert["startedOn"] = int(NOW) - 10_000 + number
    for number in (700, 1_400):
        said[number]["status"] = "critical"
    said += [{"id": f"over{each}", "status": "ok", "startedOn": int(NOW)} for each in range(100)]
    first, _ = planned(configuration, share({"alerts": said}))
    incident = read_incident(first.incident_state.record)
    assert len(incident.alerts) == bounds.BOUNDS["alerts"].items
    assert [alert.id for alert in incident.worst_alerts[:2]] == ["a700", "a1400"]
    assert {alert.id for alert in incident.alerts} >= {f"a{each}" for each in range(2_600, 3_000)}
    assert incident.counts == "3100 alerts: 2 critical, 2998 warning, 100 resolved"
    assert incident.active_alert_count == 3_000


def test_the_worst_and_the_primary_alert_are_kept_if_long_texts_fill_the_record(configuration):
    """The last two of 300: the oldest is the primary alert."""
    said = alerts(298, status="warning", description="d" * 3_000, startedOn=int(NOW))
    said += [{"id": "worst", "status": "critical", "description": "d" * 3_000, "startedOn": int(NOW)}]
    said += [{"id": "primary", "status": "critical", "description": "d" * 3_000, "startedOn": int(NOW) - 9_000}]
    first, _ = planned(configuration, share({"alerts": said}))
    incident = read_incident(first.incident_state.record)
    assert len(incident.alerts) < 300
    assert {alert.id for alert in incident.alerts} >= {"worst", "primary"}
    assert incident.primary_alert.id == "primary"
    assert incident.counts == "300 alerts: 2 critical, 298 warning"


FEW = {
    "alerts": [{"id": f"few{each}", "status": "critical"} for each in range(20)],
    "incidentTags": [{"id": f"few{each}", "value": "v"} for each in range(20)],
    "links": {"landingPage": "https://example.com", **{f"few{each}": "https://example.com" for each in range(20)}},
    "relatedChanges": [{"id": f"few{each}", "certainty": "MATCH", "summary": "s"} for each in range(20)],
}
LONG_VALUES = [f"{number}" + "v" * 2_990 for number in range(40)]
MANY_LARGE = {
    "alerts": [
        {
            "id": f"large{each}",
            "status": "warning",
            "description": "d" * 3_000,
            "tags": [{"name": "host", "value": LONG_VALUES[:16]}],
        }
        for each in range(60)
    ],
    "incidentTags": [{"id": f"large{each}", "value": LONG_VALUES} for each in range(60)],
    "links": {f"large{each}": "https://example.com/" + "x" * 2_900 for each in range(60)},
    "relatedChanges": [{"id": f"large{each}", "summary": "s" * 3_000, "notes": "n" * 3_000} for each in range(60)],
}


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("large_first", [True, False])
def test_large_values_never_replace_useful_small_ones_in_any_order(configuration, name, large_first):
    """The worst alerts, the confirmed changes, the short tags and links, the landing page."""
    parts = [MANY_LARGE[name], FEW[name]] if large_first else [FEW[name], MANY_LARGE[name]]
    said = {**parts[0], **parts[1]} if name == "links" else [*parts[0], *parts[1]]
    first, _ = planned(configuration, share({name: said}))
    record = first.incident_state.record
    kept = {
        "alerts": lambda: [alert.id for alert in read_incident(record).alerts],
        "incidentTags": lambda: [tag.id for tag in read_incident(record).tags],
        "links": lambda: list(read_incident(record).links),
        "relatedChanges": lambda: [change.id for change in read_incident(record).changes],
    }[name]()
    assert set(kept) >= {f"few{number}" for number in range(20)}
    assert 0 < len([each for each in kept if each.startswith("large")]) < 60
    assert name != "links" or "landing_page" in kept
    assert "relay left out" in dumps(drawn(configuration, first).payload())


def test_the_primary_alert_is_always_kept(configuration):
    """BigPanda's primary alert is the oldest of the worst, so it is not among the newest."""
    said = [alert | {"startedOn": int(NOW) - 5_000 + number} for number, alert in enumerate(alerts(3_000))]
    first, _ = planned(configuration, share({"alerts": said}))
    assert read_incident(first.incident_state.record).primary_alert.id == "a0"


def test_very_many_joined_or_resolved_alerts_are_only_counted(configuration):
    """Alerts that come into the part that relay keeps are not new to the incident."""
    said = alerts(3_000)
    some = [alert | {"status": "ok"} for alert in said[:5]] + said[5:] + [{"id": "new", "status": "critical"}]
    _, entries = planned(configuration, share({"alerts": said}), share({"alerts": some}, NOW + 10))
    [entry] = entries
    assert (entry.kind, entry.data["joined"], entry.data["left"], entry.data["total"]) == (
        EntryKind.ALERTS,
        1,
        0,
        2_996,
    )


def test_tags_that_enter_the_kept_part_are_not_reported_as_new(configuration):
    said = pairs(2_000)
    first, last = share({"incidentTags": said}), share({"incidentTags": said[1_000:]}, NOW + 10_000)
    assert planned(configuration, first, last)[1] == []


def test_a_record_does_not_grow_over_the_life_of_its_incident(configuration, monkeypatch):
    for name in ("MAX_SINGLE_ALERTS", "ENVIRONMENTS_REMEMBERED", "COMMENTS_REMEMBERED", "HEADER_VALUES_REMEMBERED"):
        monkeypatch.setattr(merge, name, 30)

    def report(number):
        said = {
            "primaryAlert": {"id": f"a{number}", "status": "critical", "description": "d" * 500},
            "environment": f"environment {number}",
            "comment": f"comment {number}",
        }
        return share(said, NOW + number, headers={f"x-custom-{number % 90}": f"{number}" * 400})

    sizes = []
    state = None
    for number in range(300):
        state = plan(configuration.rulebook, state, (), report(number), {}).incident_state
        if number in {199, 299}:
            sizes.append(len(record_text(state.record)))
    assert sizes[1] < sizes[0] * 1.05
    incident = read_incident(state.record)
    assert incident.counts == "300 alerts: 300 critical"
    assert len(incident.alerts) == 30


def test_a_thread_with_thousands_of_entries_is_reported_in_linear_time():
    """Comparing each with every other one takes minutes, and the suite's time limit ends it."""
    card = Card(incident="i1", channel="C1", episode=1, options=Options())
    incident = read_incident(Record(incident="i1", worst=State.WARNING))
    states = itertools.cycle(("warning", "critical"))
    entries = [
        Entry(seq=seq, key=f"{seq}", kind=EntryKind.STATUS, at=NOW + seq, data={"old": "unknown", "new": next(states)})
        for seq in range(1, 30_000)
    ]
    reply = next_reply(card, incident, entries, NOW)
    assert reply.upto_seq == 29_999
    assert [entry.data["times"] for entry in reply.entries] == [29_999]


async def test_a_huge_share_costs_others_nothing(tmp_path, slack):
    """Before there were bounds: 0.7 s of blocked loop, 1.6 GB, 8 s for each small update, and an answer of 18 MB."""
    (tmp_path / "routes.yaml").write_text(ROUTES)
    huge = orjson.dumps(
        {"incident": {"id": "{huge}\n1", "status": "Critical", "alerts": alerts(60_000, tags={"host": "h"})}}
    )
    admin = {"Authorization": "Bearer key-of-the-admin"}
    async with running(tmp_path, slack.url, RELAY_ADMIN_KEY="key-of-the-admin") as relay, load_probe(relay) as probe:

        async def small(incident: str, number: int) -> int:
            said = {"id": incident, "status": "Warning" if number % 2 else "Critical", "updatedOn": int(NOW) + number}
            return (await relay.share({"incident": said})).status

        posting = asyncio.create_task(
            relay.session.post(f"{relay.url}/shares", data=io.BytesIO(huge), headers={"X-Relay-Key": KEY})
        )
        others = 0
        while not posting.done():
            assert await small("other", others) == 202
            others += 1
            await asyncio.sleep(0.05)
        assert (await posting).status == 202
        assert others > 1
        for number in range(10):
            assert await small("{huge}\n1", number) == 202
        await until(
            lambda: any("relay left out 59,500 alerts" in slack.text_of(each) for each in slack.channel("noc").messages)
        )
        async with relay.session.get(
            URL(f"{relay.url}/incidents/%7Bhuge%7D%0A1", encoded=True), headers=admin
        ) as answer:
            document = await answer.read()
        assert answer.status == 200
        assert len(document) < LARGEST_RECORD
        assert orjson.loads(document)["omitted"] == {"alerts": 59_500}
        for unknown in ("%7B%7D", "i%001", "%ED%A0%80", "a" * 5_000):
            async with relay.session.get(
                URL(f"{relay.url}/incidents/{unknown}", encoded=True), headers=admin
            ) as answer:
                assert answer.status == 404
        assert probe.slowest < 2.0
        assert probe.peak_memory < 300 << 20
