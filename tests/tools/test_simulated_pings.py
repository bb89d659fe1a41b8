"""Who is pinged, what the channel shows, and when, against a plain reading of the rules: on any life of an incident.

The reading below knows nothing of relay's. Shares are more than ten minutes apart, so that nothing waits any more when
the next one comes.
"""

from dataclasses import dataclass, field
from functools import cache

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.bigpanda.webhook.parsing import parse_share
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.tools.simulate import SentMessage, Simulation

START = 1_700_000_000
HALF_AN_HOUR, DAY = 1800, 86_400
ORDER = ["resolved", "unknown", "acknowledged", "warning", "critical"]
PEOPLE = {"critical": "S0CRIT", "warning": "S0WARN", "unknown": "S0UNK"}


@cache
def configuration(thread: str) -> Configuration:
    mention = "{critical: [S0CRIT], warning: [S0WARN], unknown: [S0UNK], reopened: [S0BACK]}"
    route = f"{{name: all, thread: {thread}, post: [{{channel: C0ALL00001, mention: {mention}}}]}}"
    return build_configuration(
        ConfigurationFiles(routes_file="routes.yaml", routes_text=f"version: 1\nroutes: [{route}]\n")
    )


@dataclass(frozen=True)
class Told:
    """What one share says; `at` is seconds after the first."""

    at: int
    state: str
    flapping: bool
    snoozed: bool


@st.composite
def lives(draw):
    at, told = 0, []
    for _ in range(draw(st.integers(1, 8))):
        state = draw(st.sampled_from(ORDER if not told or told[-1].state != "resolved" else ORDER[1:]))
        flapping, snoozed = (draw(st.sampled_from([False, False, True])) for _ in range(2))
        told.append(Told(at, state, flapping, snoozed))
        at += draw(st.sampled_from([601, 1000, 1500, 5000, DAY + 5000]))
    return told


@dataclass
class Reading:
    """The first post pings (unless snoozed), a rise, and a reopening (once in half an hour), and nothing else.

    `aloud` is when the channel shows a reopening: each one, and while it flaps a rise, or one in half an hour.
    """

    status_told: bool
    pings: list[tuple[int, str]] = field(default_factory=list)
    aloud: list[int] = field(default_factory=list)
    old: str = ""
    lately: str = ""
    ever: str = ""
    ended: int = -DAY * 100
    reopening_pinged: int = -DAY * 100
    reopening_told: int = -DAY * 100

    def take(self, told: Told) -> None:
        late = self.old == "resolved" and told.at - self.ended > DAY
        if not self.old or late:
            self.first(told)
        elif told.state not in (self.old, "resolved"):
            self.change(told)
        if told.state == "resolved":
            self.ended = told.at
        self.old = told.state

    def first(self, told: Told) -> None:
        self.lately = self.ever = told.state
        self.reopening_pinged = self.reopening_told = -DAY * 100
        self.ping(told.at, None if told.snoozed else PEOPLE.get(told.state))

    def change(self, told: Told) -> None:
        rise = ORDER.index(told.state) > ORDER.index(self.ever if told.flapping else self.lately)
        reopened = self.old == "resolved"
        if not reopened or told.flapping or told.snoozed:
            pinged = self.ping(told.at, PEOPLE.get(told.state) if rise else None)
        else:
            pinged = self.ping(told.at, "S0BACK" if rise or told.at - self.reopening_pinged >= HALF_AN_HOUR else None)
        if pinged and reopened:
            self.reopening_pinged = told.at
        by_itself = rise or not told.flapping or told.at - self.reopening_told >= HALF_AN_HOUR
        if reopened and by_itself and (pinged or self.status_told):
            self.aloud.append(told.at)
            self.reopening_told = told.at
        self.lately = told.state if reopened else max(self.lately, told.state, key=ORDER.index)
        self.ever = max(self.ever, told.state, key=ORDER.index)

    def ping(self, at: int, whom: str | None) -> bool:
        if whom:
            self.pings.append((at, whom))
        return bool(whom)


def as_the_contract_reads(life: list[Told], *, status_told: bool) -> Reading:
    reading = Reading(status_told=status_told)
    for told in life:
        reading.take(told)
    return reading


def rehearsed(rules: Configuration, life: list[Told]) -> list[SentMessage]:
    rehearsal = Simulation(rules, drawn=False)
    for told in life:
        over = told.state == "resolved"
        incident = {
            "id": "i1",
            "status": "ok" if over else told.state,
            "flapping": told.flapping,
            "snooze": {"snoozed": told.snoozed},
            "changedOn": START + told.at,
            "endedOn": START + told.at if over else None,
        }
        rehearsal.receive(parse_share(orjson.dumps({"incident": incident}), {}, START + told.at))
    rehearsal.run()
    return [message for played in rehearsal.cards for message in (played.first, *played.replies) if message]


@pytest.mark.parametrize("thread", ["[status]", "[comment]"])
@given(life=lives())
@settings(max_examples=80)
def test_whoever_is_pinged_is_pinged_when_the_contract_says_so_and_never_else(thread, life):
    reading = as_the_contract_reads(life, status_told=thread == "[status]")
    sent = rehearsed(configuration(thread), life)
    assert sorted((round(message.at) - START, target) for message in sent for target in message.pings) == reading.pings
    assert [round(message.at) - START for message in sent if message.broadcast] == reading.aloud
