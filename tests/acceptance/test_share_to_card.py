"""The real process from a share to a card and its thread, and how it starts and stops."""

import asyncio
import json
import signal
import sqlite3
from pathlib import Path

import pytest

import relay
from relay.sandbox.faults import SERVER_ERROR, InjectedFault, NoAnswer
from relay.sandbox.slack.mentions import pings
from tests.support.intervals import intervals
from tests.support.relay_process import failed_start, running, until
from tests.support.stop_limits import with_stop_limits

SAMPLE = Path(relay.__file__).parent / "samples" / "documented-sample.json"
ROUTES = """
version: 1
channels: {noc: C0123456789}
tag_values: {itd_priority_1: {1000: P1}}
defaults: {show_tags: [priority]}
routes:
  - name: everything
    post: [{channel: noc, mention: {critical: [S0ONCALL]}}]
"""
CHANNELS = {"C0123456789": "noc"}


async def test_the_documented_sample_becomes_a_card_and_its_changes_become_replies(folder, slack):
    sample = json.loads(SAMPLE.read_text())
    async with running(folder, slack.url) as relay:
        answer = await relay.share(sample)
        assert answer.status == 202
        assert await answer.json() == {
            "share": 1,
            "incident": "5555370aabc20a001145d6g9",
            "planned": True,
            "routes": ["everything"],
        }
        noc = slack.channel("noc")
        await until(lambda: noc.messages)
        [card] = noc.messages
        assert "Evyatar-11 · CPU" in slack.text_of(card)
        assert "P1" in slack.text_of(card)
        assert list(pings(card)) == ["S0ONCALL"]
        assert card.metadata["event_type"] == "relay_card"

        sample["incident"] |= {"status": "Ok", "active": False, "changedOn": 1697124000, "endedOn": 1697124000}
        sample["event_types"] = [{"event": "incident#closed", "time": 1697124000}]
        assert (await relay.share(sample)).status == 202
        await until(lambda: noc.thread(card.ts) and "✅" in slack.text_of(noc.messages[0]))
        assert len(noc.messages) == 1
        [reply] = noc.thread(card.ts)
        assert "Resolved" in slack.text_of(reply)
        assert not pings(reply)


async def test_a_repeated_share_gets_the_same_answer_and_changes_nothing(folder, slack):
    async with running(folder, slack.url) as relay:
        first = await (await relay.share(SAMPLE.read_bytes())).json()
        again = await (await relay.share(SAMPLE.read_bytes())).json()
        assert again == first
        await until(lambda: slack.channel("noc").messages)
        assert await relay.stop() == 0
    assert len(slack.calls_to("chat.postMessage")) == 1


async def test_a_share_without_a_valid_key_is_rejected(folder, slack):
    async with running(folder, slack.url) as relay:
        for headers in ({"X-Relay-Key": "wrong"}, {"X-Relay-Key": "", "Authorization": "Bearer wrong"}):
            answer = await relay.share(SAMPLE.read_bytes(), **headers)
            assert answer.status == 401
            assert answer.content_type == "application/problem+json"
        answer = await relay.share(SAMPLE.read_bytes(), **{"X-Relay-Key": "an-older-key"})
        assert answer.status == 202


async def test_an_invalid_share_is_rejected_with_a_reason_and_quarantined(folder, slack):
    async with running(folder, slack.url) as relay:
        answer = await relay.share(b"{nonsense")
        assert answer.status == 400
        problem = await answer.json()
        assert {"type", "title", "status", "detail"} <= problem.keys()
        await relay.stop()
    with sqlite3.connect(folder / "relay.db") as database:
        assert database.execute("select count(*) from quarantine").fetchone() == (1,)


async def test_healthz_and_readyz_report_a_healthy_relay(folder, slack):
    async with running(folder, slack.url) as relay:
        assert (await relay.get("/healthz"))[0] == 200
        await relay.line("delivering")
        status, body = await relay.get("/readyz")
        assert (status, body["ready"]) == (200, True)


async def test_a_stop_finishes_the_running_call_and_the_next_start_sends_what_waits(folder, slack):
    slack.faults.add(InjectedFault(behaviour=NoAnswer(), method="chat.postMessage", times=1))
    async with running(folder, slack.url) as relay:
        await relay.share(SAMPLE.read_bytes())
        await slack.faults.wait_until_blocked()
        stopping = asyncio.create_task(relay.stop())
        await relay.line("stopping")
        slack.faults.release()
        assert await stopping == 0
    slack.faults.clear()
    other = json.loads(SAMPLE.read_text())
    other["incident"]["id"] = "another"
    async with running(folder, slack.url) as relay:
        await relay.share(other)
        await until(lambda: any("another" in str(message.metadata) for message in slack.channel("noc").messages))


@with_stop_limits
async def test_relay_stops_within_ten_seconds_although_slack_hangs_and_half_a_body_arrives(folder, slack, limits):
    slack.faults.add(InjectedFault(behaviour=NoAnswer(), method="chat.postMessage"))
    async with running(folder, slack.url, prepare=intervals(limits.intervals)) as relay:
        await relay.share(SAMPLE.read_bytes())
        await slack.faults.wait_until_blocked()
        host, port = relay.url.removeprefix("http://").split(":")
        answer, half = await asyncio.open_connection(host, int(port))
        half.write(b"POST /shares HTTP/1.1\r\nHost: x\r\nX-Relay-Key: an-older-key\r\nContent-Length: 99\r\n\r\n{")
        await half.drain()
        assert (await relay.get("/healthz"))[0] == 200  # by now the half body is inside
        await relay.stop_within(limits.seconds)
        assert (await answer.readline()).startswith(b"HTTP/1.1 503")
        assert b'"reason":"stopping"' in await answer.read()
        await relay.line("stopped")
        assert [line for line in relay.logged if line.get("event") == "request_failed"] == []
        half.close()
        slack.faults.release()


async def test_a_relay_killed_between_its_answer_and_the_post_posts_after_the_next_start(folder, slack):
    slack.pause("chat.postMessage", 3600)
    async with running(folder, slack.url) as relay:
        assert (await relay.share(SAMPLE.read_bytes())).status == 202
        await relay.stop(signal.SIGKILL)
    slack.pause("chat.postMessage", 0)
    async with running(folder, slack.url):
        await until(lambda: slack.channel("noc").messages)
    assert len(slack.channel("noc").messages) == 1


async def test_a_post_with_a_lost_answer_is_not_repeated_without_a_search(folder, slack):
    slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method="chat.postMessage", times=1))
    async with running(folder, slack.url) as relay:
        await relay.share(SAMPLE.read_bytes())
        await until(lambda: slack.channel("noc").messages)
        await relay.stop()
    async with running(folder, slack.url) as relay:
        await relay.line("delivering")
        await relay.stop()
    assert len(slack.calls_to("chat.postMessage")) == 1


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("SLACK_BOT_TOKEN", "SLACK_BOT_TOKEN"),
        ("RELAY_WEBHOOK_KEYS", "RELAY_WEBHOOK_KEYS"),
    ],
)
async def test_a_start_without_a_token_or_keys_fails_with_one_sentence(folder, setting, expected):
    code, stderr = await failed_start(folder, **{setting: ""})
    assert code == 2
    assert expected in stderr
    assert "Traceback" not in stderr


async def test_a_start_with_an_unreadable_database_fails(folder):
    (folder / "relay.db").write_bytes(b"this is no database at all" * 100)
    code, stderr = await failed_start(folder)
    assert (code, len(stderr.splitlines())) == (2, 1)
    assert "relay.db" in stderr


async def test_a_start_with_the_database_of_a_newer_relay_fails(folder, slack):
    async with running(folder, slack.url) as relay:
        await relay.stop()
    with sqlite3.connect(folder / "relay.db") as database:
        database.execute("update relay_version set version_num = '9999'")
    code, stderr = await failed_start(folder)
    assert (code, len(stderr.splitlines())) == (2, 1)
    assert "newer" in stderr


async def test_a_second_relay_on_the_same_file_fails_to_start(folder, slack):
    async with running(folder, slack.url):
        code, stderr = await failed_start(folder, slack.url)
    assert (code, len(stderr.splitlines())) == (2, 1)


async def test_an_invalid_routes_file_is_reported_with_every_fault_and_its_line(folder):
    (folder / "routes.yaml").write_text(
        "version: 1\nroutes:\n  - {name: a, pots: [noc]}\n  - {name: a, post: [nowhere]}\n"
    )
    code, stderr = await failed_start(folder)
    assert code == 2
    assert "routes.yaml:3:" in stderr
    assert "routes.yaml:4:" in stderr
