"""The simulation of docs/scaling.md counts correctly, and the document has the current limits."""

import re
from pathlib import Path

from benchmarks.scaling import EDIT, LIFE, POST, Load, counting, observe, schedule, simulate
from relay.ratelimit.budgets import CHANNEL_POSTS
from relay.sandbox.calls import ReceivedCall
from relay.slack.methods import RATE_LIMITS, Method
from relay.store.store import Store

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


def test_the_limits_in_the_document_equal_those_of_the_code():
    documented = dict(re.findall(r"^\| ([^|]+?) \| (\d+) a minute \|", PAGE, re.MULTILINE))
    limits = {
        "posts in one channel": CHANNEL_POSTS,
        "posts in a workspace": RATE_LIMITS[POST],
        "edits in a workspace": RATE_LIMITS[EDIT],
        "channels that relay joins": Method.JOIN.limit,
        "pages of history that relay reads": Method.HISTORY.limit,
    }
    assert documented == {name: f"{limit.steady:g}" for name, limit in limits.items()}


def test_a_load_is_deterministic_and_each_incident_stays_in_one_channel():
    load = Load(per_minute=6, channels=3, minutes=10)
    shares = schedule(load, ["a", "b", "c"])
    assert shares == schedule(load, ["a", "b", "c"])
    assert [share.at for share in shares] == sorted(share.at for share in shares)
    incidents = {share.incident for share in shares}
    assert 30 < len(incidents) < 90
    for incident in incidents:
        own = [share for share in shares if share.incident == incident]
        assert [share.fields for share in own] == [fields for _, fields in LIFE]
        assert len({share.channel for share in own}) == 1


def call(at, method, incident, state, *, status=200, kind="card"):
    payload = {"incident": incident, "kind": kind, "state": state}
    arguments = {"metadata": {"event_payload": payload}}
    found = ReceivedCall(method=method, arguments=arguments, at=at)
    found.status, found.took_effect = status, status == 200
    return found


def test_a_delay_ends_with_the_first_effective_call_and_absent_messages_count_as_missing():
    shares = schedule(Load(per_minute=30, channels=1, minutes=0.1), ["a"])
    first, *others = sorted({share.incident for share in shares})
    began, last = 1000.0, next(share for share in shares if share.incident == first and share.fields == LIFE[-1][1])
    shown = next(share for share in shares if share.incident == first and share.fields == LIFE[0][1])
    calls = [
        call(began + shown.at + 1, POST, first, "warning", status=429),
        call(began + shown.at + 3, POST, first, "warning"),
        call(began + shown.at + 4, POST, first, "resolved", kind="entry"),
        call(began + last.at + 7, EDIT, first, "resolved"),
        call(began + last.at + 9, EDIT, first, "resolved"),
    ]
    seen = observe(shares, calls, began)
    assert (seen.first_cards, seen.ends) == ([3.0], [7.0])
    assert (seen.rate_limited, seen.missing, seen.calls) == (1, 2 * len(others), {POST: 2, EDIT: 2})


async def test_statements_and_commits_are_counted_while_it_counts(tmp_path):
    store = await Store.open(f"sqlite:///{tmp_path}/relay.db")
    try:
        with counting(store.database) as counted:
            await store.add_channels(["C0ALL00001"])
            during = dict(counted)
        await store.add_channels(["C0ALL00002"])
        assert during["statement"] >= 1
        assert during["commit"] == 1
        assert dict(counted) == during
    finally:
        await store.close()


async def test_a_simulated_load_reaches_slack_completely(tmp_path):
    seen = await simulate(tmp_path, Load(per_minute=4, channels=2, minutes=1))
    assert seen.missing == seen.rate_limited == 0
    assert len(seen.first_cards) == len(seen.ends) > 0
    assert max(*seen.first_cards, *seen.ends) < 5
