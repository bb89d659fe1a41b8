"""A database falls back to each of its commits, one by one: a reader then sees everything once, and no old ping.

Relay runs through the life of an incident. Each commit of its database is copied, as `relay backup` would. Relay then
dies, a copy is put back, and the rest of the life follows: a rise to critical, a comment, the end.
"""

import re
import shutil

import pytest

from relay.store.backup import backup
from tests.delivery.test_lost_databases import has_pinged
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT
from tests.support.relay_in_process import fake_workspace, run_relay

EVERY = 400.0
"""Seconds between two events: enough to deliver each."""


def said(text):
    return {"metadata": {"comment": {"comment": text}, "sender": {"name": "Dana"}}}


LIFE = (
    {"status": "warning", "alerts": [ALERT]},
    said("one"),
    {"status": "critical"},
    said("two"),
    {"status": "ok"},
    {"status": "warning", "event_types": ["incident#reopened"]},
)
LATER = (
    {"status": "warning", **said("three")},
    {"status": "critical"},
    {"status": "ok"},
    {"status": "ok", **said("four")},
)


async def live(folder, *, copies, slack, clock):
    """Run the life; copy the database before each of its commits; return how many there are."""
    number = 0
    async with run_relay(folder, slack=slack, clock=clock, dies=True) as relay:
        write = relay.store.database.write

        async def copied(work):
            nonlocal number
            backup(f"sqlite:///{folder}/relay.db", copies / f"{number}.db", now=clock.now)
            number += 1
            return await write(work)

        relay.store.database.write = copied
        for fields in LIFE:
            await relay.share("i1", **fields)
            await relay.advance(EVERY)
    return number


async def read_later(folder, slack, clock):
    """Run the rest of the life; return what a reader sees: each root, its thread, and how often it was pinged there."""
    async with run_relay(folder, slack=slack, clock=clock) as relay:
        await relay.advance(60)
        for fields in LATER:
            await relay.share("i1", **fields)
            await relay.advance(EVERY)
        channel = slack.channel("all")
        threads = [channel.thread(root.ts) for root in channel.messages]
        return [
            (
                slack.text_of(root),
                [seen for reply in thread for line in slack.text_of(reply).splitlines() if (seen := _seen(line))],
                sum(has_pinged(slack, reply) for reply in thread),
            )
            for root, thread in zip(channel.messages, threads, strict=True)
        ]


def _seen(line):
    """A line without what may differ: the time of a late one, a ping, and the end of a state that is over."""
    line = _LATE.sub("", line).strip()
    if line.startswith("@"):
        return ""
    return "Reopened" if "Reopened" in line else line.partition(", ")[0].replace("🔴", "🟠").replace("*", "")


_LATE = re.compile(r" \(\d{4}-\d\d-\d\d \d\d:\d\d UTC\)")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("every", [12, pytest.param(1, marks=pytest.mark.soak)])
async def test_a_copy_of_any_moment_reports_what_is_new_and_repeats_nothing(tmp_path, every):
    folders = [tmp_path / name for name in ("copies", "lost")]
    for folder in folders:
        folder.mkdir()
    clock = ManualClock()
    slack = fake_workspace(clock)
    number = await live(folders[1], copies=folders[0], slack=slack, clock=clock)
    left = [each.copy_messages() for each in slack.channels.values()]
    found = {}
    for nth in [*range(3, number, every), None]:
        folder = tmp_path / str(nth)
        folder.mkdir()
        shutil.copy(folders[1] / "relay.db" if nth is None else folders[0] / f"{nth}.db", folder / "relay.db")
        later = ManualClock(clock.now() + 60)
        workspace = fake_workspace(later)
        for channel, copied in zip(workspace.channels.values(), left, strict=True):
            channel.restore_messages(copied)
        found[nth] = await read_later(folder, workspace, later)
    expected = found.pop(None)
    assert {nth: read for nth, read in found.items() if read != expected} == {}
    [(root, lines, pinged)] = expected
    assert root.startswith("✅")
    assert [line for line in lines if "💬" in line] == [f"💬 Dana: {word}" for word in ("one", "two", "three", "four")]
    assert pinged == 3
