"""A database is deleted at each of its commits, one by one: relay takes its cards over, and a reader sees all once.

Only shares that were accepted and not posted yet are lost with the database. Then relay is killed at each step of
taking its cards over, and goes on.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from relay.model.struct import replace
from relay.sandbox.slack.mentions import pings
from tests.delivery.test_crashes import Crash, stopped
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT
from tests.support.postgres import postgresql
from tests.support.relay_in_process import fake_workspace, run_relay

EVERY = 400.0
"""Seconds between two events: enough to deliver each."""


def snapshot(status, comment="", **fields):
    """A share says everything about its incident, as BigPanda's do."""
    alert = ALERT if status == "critical" else ALERT | {"status": "ok" if status == "ok" else "warning"}
    said = {"metadata": {"comment": {"comment": comment}, "sender": {"name": "Dana"}}} if comment else {}
    return {"status": status, "alerts": [alert], **said, **fields}


LIFE = (
    (snapshot("warning"), ()),
    (snapshot("warning", "one"), ("one",)),
    (snapshot("critical"), ("critical",)),
    (snapshot("critical", "two"), ("two",)),
    (snapshot("ok"), ("resolved",)),
    (snapshot("critical", event_types=["incident#reopened"]), ("reopened",)),
    (snapshot("critical", "three"), ("three",)),
    (snapshot("ok"), ("resolved",)),
    (snapshot("ok", "four"), ("four",)),
)
"""Each event, and what it adds to the thread."""

STATES = ("critical", "resolved", "reopened")
_SAYS = {
    "critical": re.compile(r"→ \*Critical\*"),
    "resolved": re.compile(r"^\W*\*?Resolved"),
    "reopened": re.compile(r"^\W*\*?Reopened"),
    **{word: re.compile(rf"\b{word}$") for word in ("one", "two", "three", "four")},
}


@dataclass
class Moment:
    """What stands in Slack at a moment of the life, and the events that are still to come."""

    number: int
    time: float
    slack: list
    rest: tuple
    interrupted: tuple = ()


def stored(slack):
    return [each.copy_messages() for each in slack.channels.values()]


def workspace(moment, clock):
    slack = fake_workspace(clock)
    for channel, copied in zip(slack.channels.values(), moment.slack, strict=True):
        channel.restore_messages(copied)
    return slack


async def lived(folder):
    """Return what `live` does; it is run once for all tests."""
    if not _LIVED:
        _LIVED.append(await live(folder))
    return _LIVED[0]


_LIVED = []


async def live(folder):
    """Run the life; return each moment before a commit, and what a reader sees at the end."""
    folder.mkdir()
    clock, moments, rest, last = ManualClock(), [], list(LIFE), ()
    slack = fake_workspace(clock)
    async with run_relay(folder, slack=slack, clock=clock) as relay:
        write = relay.store.database.write

        async def noted(work):
            moments.append(Moment(len(moments), clock.now(), stored(slack), tuple(rest), last))
            return await write(work)

        relay.store.database.write = noted
        while rest:
            fields, last = rest[0]
            await relay.share("i1", **fields)
            rest.pop(0)
            await relay.advance(EVERY)
        moments.append(Moment(len(moments), clock.now(), stored(slack), (), ()))
    return moments, seen(slack)


async def go_on(folder, moment, *, crash=None):
    """Begin with an empty database at that moment, and run the rest of the life; return what a reader sees then."""
    folder.mkdir(exist_ok=True)
    clock = ManualClock(moment.time + 60)
    slack = workspace(moment, clock)
    if crash is not None:
        async with run_relay(folder, slack=slack, clock=clock, is_new=True, dies=True, begin=crash.install) as relay:
            await stopped(relay.settle(), crash)
    async with run_relay(folder, slack=slack, clock=clock, is_new=True) as relay:
        await relay.advance(EVERY)
        for fields, _ in moment.rest:
            await relay.share("i1", **fields)
            await relay.advance(EVERY)
    return seen(slack)


def seen(slack):
    """What a reader sees: each root, what its thread says, and which of that pinged."""
    channel = slack.channel("all")
    return [(slack.text_of(root).splitlines()[0], *said(slack, channel.thread(root.ts))) for root in channel.messages]


def said(slack, replies):
    words, pinged = [], []
    for reply in replies:
        found = [
            word
            for line in slack.text_of(reply).splitlines()
            for word, pattern in _SAYS.items()
            if pattern.search(line)
        ]
        words += found
        pinged += [word for word in found if word in STATES] if has_pinged(slack, reply) else []
    return words, pinged


def has_pinged(slack, reply):
    """Whether it pings, or did before relay edited it because its state was over, which a lost database leaves out."""
    return bool(pings(reply)) or "again after" in slack.text_of(reply)


def without(seen_all, lost):
    """The same without what an event adds that was lost with the database."""
    [(root, words, pinged)] = seen_all
    for word in lost:
        words, pinged = (
            [*each[: each.index(word)], *each[each.index(word) + 1 :]] if word in each else each
            for each in (words, pinged)
        )
    return [(root, words, pinged)]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.soak)])
async def test_losing_the_database_at_any_moment_loses_at_most_what_was_not_posted_yet(tmp_path, every):
    moments, expected = await lived(tmp_path / "life")
    assert [words for _, words, _ in expected] == [[word for _, words in LIFE for word in words]]
    wrong = {}
    for moment in [*moments[2::every], moments[-1]]:
        found = await go_on(tmp_path / str(moment.number), moment)
        # If an end was lost that no reader saw, there is no reopening either.
        unseen = (*moment.interrupted, "reopened") if moment.interrupted == ("resolved",) else ()
        if found not in [without(expected, lost) for lost in ((), moment.interrupted, unseen)]:
            wrong[moment.number] = found
    assert wrong == {}


class Kill(Crash):
    """Kills relay before or after the n-th effect of taking cards over."""

    def install(self, relay):
        for name in ("adopt_cards", "mark_read", "update_channel", "marker_secret", "unread_channels"):
            setattr(relay.store, name, self._around(getattr(relay.store, name)))
        relay.gateway.history = self._around(relay.gateway.history)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("after", [pytest.param(False, marks=pytest.mark.soak), True])
async def test_a_relay_killed_during_adoption_continues_after_its_restart(tmp_path, after):
    moments, _ = await lived(tmp_path / "life")
    moment = next(each for each in moments if len(each.rest) == 2)
    expected = await go_on(tmp_path / "calm", moment)
    assert len(expected) == 1
    wrong, nth = {}, 0
    while True:
        nth += 1
        crash = Kill(nth, after=after)
        found = await go_on(tmp_path / f"killed{nth}", moment, crash=crash)
        if not crash.happened.is_set():
            break
        if found != expected:
            wrong[nth] = found
    assert nth > 5
    assert wrong == {}


# One relay that is killed at each of these points, and goes on by itself, is in the suite (above).
@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_the_leader_adopts_cards_and_the_next_leader_continues(tmp_path):
    moments, _ = await lived(tmp_path / "life")
    moment = next(each for each in moments if len(each.rest) == 2)
    expected = await go_on(tmp_path / "calm", moment)
    wrong, nth = {}, 1
    with postgresql() as server:
        while (found := await change_leader(tmp_path / f"pg{nth}", moment, new_database(server, nth), nth)) is not None:
            if found != expected:
                wrong[nth] = found
            nth += 1
    assert nth > 5
    assert wrong == {}


def new_database(server, number):
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE relay{number}")
    address = urlsplit(server)
    return urlunsplit(address._replace(path=f"/relay{number}"))


async def change_leader(folder, moment, url, nth):
    """The leader dies at that point, and another relay leads; None if there is no such point."""
    for name in ("first", "second"):
        (folder / name).mkdir(parents=True)
    clock, crash = ManualClock(moment.time + 60), Kill(nth, after=True)
    slack = workspace(moment, clock)
    common = {"slack": slack, "clock": clock, "url": url, "is_new": True}
    async with run_relay(folder / "first", dies=True, begin=crash.install, **common) as first:
        await stopped(first.settle(), crash)
        if not crash.happened.is_set():
            return None
        await first.end_lease()
    async with run_relay(folder / "second", **common) as second:
        await second.advance(EVERY)
        for fields, _ in moment.rest:
            await second.share("i1", **fields)
            await second.advance(EVERY)
    return seen(slack)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("after", [pytest.param(False, marks=pytest.mark.soak), True])
async def test_a_share_during_an_interrupted_adoption_is_neither_lost_nor_duplicated(tmp_path, after):
    moments, _ = await lived(tmp_path / "life")
    calm = [each for each in moments if len(each.rest) == 7][-1]  # all is delivered; the rise comes next
    moment = replace(calm, rest=calm.rest[:3])
    expected = await go_on(tmp_path / "calm", moment)
    wrong, nth = {}, 0
    while True:
        nth += 1
        crash = Kill(nth, after=after)
        found = await share_first(tmp_path / f"killed{nth}", moment, crash)
        if not crash.happened.is_set():
            break
        if found != expected:
            wrong[nth] = found
    assert wrong == {}


async def share_first(folder, moment, crash):
    """The first share comes before relay reads the channel; relay is killed, and begins again."""
    folder.mkdir()
    clock = ManualClock(moment.time + 60)
    slack = workspace(moment, clock)
    common = {"slack": slack, "clock": clock, "is_new": True}
    async with run_relay(folder, dies=True, begin=crash.install, **common) as relay:
        relay.gateway.breaker.is_open = True  # nothing is read until the share is stored
        await relay.share("i1", **moment.rest[0][0])
        relay.gateway.breaker.is_open = False
        relay.leader.wake(everything=True)
        await stopped(relay.settle(), crash)
    async with run_relay(folder, **common) as relay:
        await relay.advance(EVERY)
        for fields, _ in moment.rest[1:]:
            await relay.share("i1", **fields)
            await relay.advance(EVERY)
    return seen(slack)
