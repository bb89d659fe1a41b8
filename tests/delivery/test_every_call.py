"""Every fault at every call: in a lifecycle with many faults, one more happens at the n-th call."""

import pytest

from relay.sandbox.faults import (
    BAD_GATEWAY,
    BROKEN_JSON,
    EMPTY,
    PLAIN_TEXT,
    SERVER_ERROR,
    UNAVAILABLE,
    DropConnection,
    ErrorCode,
    InjectedFault,
    rate_limited,
)
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, find_faults, visible_messages
from tests.support.relay_in_process import fake_workspace, run_relay

POST = "chat.postMessage"
OTHERS = (
    SERVER_ERROR,
    BAD_GATEWAY,
    UNAVAILABLE,
    BROKEN_JSON,
    PLAIN_TEXT,
    EMPTY,
    ErrorCode("internal_error"),
    ErrorCode("fatal_error"),
    ErrorCode("service_unavailable"),
)
"""Whatever leaves relay without an answer, as the cut connection does (`test_slack_door` shows that it is the same)."""

METHODS = {
    "auth.test",
    "chat.delete",
    "chat.postMessage",
    "chat.update",
    "conversations.history",
    "conversations.info",
    "conversations.join",
    "conversations.replies",
}


async def troubled(relay, incident):
    """A lifecycle in which the root and a reply are lost, one appears late, and the card is deleted under a reply."""
    slack = relay.slack
    slack.history_lag = 30
    slack.faults.add(InjectedFault(behaviour=DropConnection(), method=POST, after_effect=True))
    await relay.share(incident, status="warning", alerts=[ALERT])
    await relay.advance(70)
    slack.history_lag = 3
    await relay.advance(200)
    slack.faults.add(InjectedFault(behaviour=DropConnection(), method=POST, after_effect=True))
    await relay.share(incident, metadata={"comment": {"comment": "lost and found"}})
    await relay.advance(120)
    for card in slack.channel("all").messages:
        slack.channel("all").delete(card.ts)
    await relay.share(incident, status="critical")
    await relay.advance(120)
    await relay.share(incident, metadata={"comment": {"comment": "looking at it"}, "sender": {"name": "Dana"}})
    await relay.advance(120)
    await relay.share(incident, status="ok")
    await relay.advance(900)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("does", "after_effect"),
    [
        ((DropConnection(),), True),
        # A call that did nothing leaves less to find than one that did something and whose answer is lost.
        pytest.param((DropConnection(),), False, marks=pytest.mark.soak),
        # What else Slack answers is classified as one of these or as a rejection (`tests/slack/test_classify.py`).
        pytest.param(OTHERS, True, marks=pytest.mark.soak),
        pytest.param((rate_limited(3),), False, marks=pytest.mark.soak),
        pytest.param((ErrorCode("request_timeout"),), False, marks=pytest.mark.soak),
        pytest.param((ErrorCode("invalid_auth"),), False, marks=pytest.mark.soak),
    ],
    ids=["cut after", "cut before", "others in turn", "429", "rejected", "credentials"],
)
async def test_one_more_fault_at_any_call_of_a_lifecycle_with_many_faults_changes_nothing_in_the_end(
    tmp_path, does, after_effect
):
    """Each root and each thread has the text of the lifecycle without the additional fault."""
    called_methods, nth, found = set(), 0, {}
    while True:
        nth += 1
        folder = tmp_path / str(nth)
        folder.mkdir()
        clock = ManualClock()
        slack = fake_workspace(clock)
        slack.channel("all").kick()
        armed = slack.faults.add(InjectedFault(behaviour=does[nth % len(does)], nth=nth, after_effect=after_effect))
        async with run_relay(folder, slack=slack, clock=clock) as relay:
            await troubled(relay, "i1")
            found[nth] = visible_messages(relay, "all", "noc")
            assert find_faults(relay, "i1") == [], (nth, relay.transcript())
        if not armed.applied:
            break
        called_methods.add(slack.calls[nth - 1].method)
    as_ever = found.pop(nth)
    assert {number: read for number, read in found.items() if read != as_ever} == {}
    assert [len(as_ever[channel]) for channel in ("all", "noc")] == [2, 0]
    assert called_methods == METHODS
