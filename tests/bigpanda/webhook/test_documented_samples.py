"""What BigPanda documents: its sample, and the fragments that each dataset option adds."""

from pathlib import Path

import orjson
import pytest

import relay
from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import ShareEvent
from relay.model.incident import Environment, Person, State
from relay.model.reading import read_incident
from relay.model.record import Block, Record

SAMPLE = (Path(relay.__file__).parent / "samples" / "documented-sample.json").read_bytes()
RECEIVED = 1_700_000_000.0


def test_the_documented_sample_is_parsed_completely():
    share = parse_share(SAMPLE, {"X-Relay-Integration": "noc"}, RECEIVED)

    assert share.incident == "5555370aabc20a001145d6g9"
    assert share.received == RECEIVED
    assert share.as_of == 1_697_123_964
    assert share.headers == {"x-relay-integration": "noc"}
    assert share.environment == Environment(name="All", id="55550bc8c481fd1100abc398")
    assert share.sender == Person(name="Engineer", email="[email protected]")
    assert share.comment is None
    assert share.events == (
        ShareEvent(name="incident#new", at=1_697_123_962),
        ShareEvent(name="incident-tag#upserted", at=1_697_123_963),
        ShareEvent(name="incident-tag#upserted", at=1_697_123_964),
    )


def test_the_documented_sample_has_every_block_but_the_assignment():
    blocks = dict(parse_share(SAMPLE, {}, RECEIVED).blocks)

    alerts = blocks.pop("alerts")
    assert blocks == {
        "state": {"status": "Critical", "resolved": False, "active": True},
        "severity": "Critical",
        "flapping": False,
        "snooze": {"snoozed": False, "wake": None},
        "started": 1_649_576_282,
        "changed": 1_649_576_282,
        "updated": 1_652_897_578,
        "ended": None,
        "tags": [["itd_priority_1", ["1000"]]],
        "links": {"landing_page": "http://bigp.io/9ad55554d5c116e4"},
        "changes": [
            {
                "id": "6501f5ac064d3de47a2dd3de",
                "identifier": "Mando-001",
                "summary": "change.summary",
                "status": "Done",
                "url": "https://your.url",
                "certainty": "SUSPECT",
                "comment": "The Host dev-Billing-02 has similar occurrences "
                "in both incident tag host and change tag summary",
                "source": "changes.changesintegration",
                "start": 1_540_884_139,
                "end": 1_580_369_039,
            }
        ],
    }
    assert [alert["id"] for alert in alerts] == ["5555370aabc20a001145c5e9", "555537133ec0020012c96a28"]
    assert alerts[0] == {
        "id": "5555370aabc20a001145c5e9",
        "status": "Critical",
        "active": True,
        "started": 1_649_576_282,
        "changed": 1_649_576_282,
        "ended": None,
        "primary": "host",
        "secondary": "check",
        "source": "nagios.est",
        "description": "CPU is 98%",
        "tags": [
            ["check", ["CPU"]],
            ["_cluster", ["modiin-prod"]],
            ["run-book", ["https://mywiki.com/Evyatar-11/modiin-prod"]],
            ["host", ["Evyatar-11"]],
        ],
    }


def test_the_documented_sample_reads_as_an_incident():
    share = parse_share(SAMPLE, {}, RECEIVED)
    blocks = {name: Block(as_of=share.as_of, value=value) for name, value in share.blocks.items()}

    incident = read_incident(Record(incident=share.incident, blocks=blocks))

    assert incident.state is State.CRITICAL
    assert incident.counts == "2 alerts: 2 critical"
    assert [alert.title for alert in incident.alerts] == ["Evyatar-11 · CPU", "web3 · CPU"]
    assert incident.tags[0].name == "priority"
    assert incident.changes[0].identifier == "Mando-001"


def with_fragment(fragment: str) -> bytes:
    return orjson.dumps({"incident": {"id": "i1"}} | orjson.loads(fragment))


def test_a_share_without_dataset_options_has_only_the_incident():
    share = parse_share(b'{"incident": {"id": "i1", "status": "Warning"}}', {}, RECEIVED)

    assert share.blocks == {"state": {"status": "Warning", "resolved": None, "active": None}}
    assert (share.environment, share.sender, share.comment, share.events) == (None, None, None, ())
    assert share.as_of == RECEIVED


def test_the_option_send_comments_adds_the_comment():
    fragment = """{"metadata": {"sender": {"name": "Dana", "email": "d@example.com"},
                                "comment": {"comment": "Hello World", "environment": "All"}}}"""
    share = parse_share(with_fragment(fragment), {}, RECEIVED)

    assert share.comment == "Hello World"
    assert share.sender == Person(name="Dana", email="d@example.com")
    assert share.environment is None, "the comment's environment is not the one that shared the incident"


def test_the_option_add_assignments_adds_the_assignment():
    someone = '{"email": "a@example.com", "name": "Ann", "userId": "u1"}'
    share = parse_share(
        with_fragment(f'{{"metadata": {{"assignee": {someone}, "assigner": {someone}}}}}'), {}, RECEIVED
    )

    ann = {"name": "Ann", "email": "a@example.com", "id": "u1"}
    assert share.blocks["assignment"] == {"assignee": ann, "assigner": ann}


@pytest.mark.parametrize("place", ["beside", "inside", "metadata"])
def test_event_types_are_read_from_every_documented_place(place):
    events = {"event_types": [{"event": "incident#new", "time": 1_674_571_309}]}
    body = {
        "beside": {"incident": {"id": "i1"}} | events,
        "inside": {"incident": {"id": "i1"} | events},
        "metadata": {"incident": {"id": "i1"}, "metadata": events},
    }[place]

    assert parse_share(orjson.dumps(body), {}, RECEIVED).events == (ShareEvent(name="incident#new", at=1_674_571_309),)
