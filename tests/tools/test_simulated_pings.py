"""Who is pinged and what the channel shows, compared with a simple model of the rules, for random incidents.

The model below is independent of relay's code. Shares are more than ten minutes apart, so that nothing is waiting when
the next one arrives.
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
class ShareContent:
    """The content of one share; `at` is seconds after the first."""

    at: int
    state: str
    flapping: bool
    snoozed: bool


@st.composite
def incidents(draw):
    at, content = 0, []
    for _ in range(draw(st.integers(1, 8))):
        state = draw(st.sampled_from(ORDER if not content or content[-1].state != "resolved" else ORDER[1:]))
        flapping, snoozed = (draw(st.sampled_from([False, False, True])) for _ in range(2))
        content.append(ShareContent(at, state, flapping, snoozed))
        at += draw(st.sampled_from([601, 1000, 1500, 5000, DAY + 5000]))
    return content


@dataclass
class Model:
    """The first post pings (unless snoozed), a rise, and a reopening (once in half an hour), and nothing else.

    A reopening that pinged nobody gets a catch-up when nothing holds its ping any more. Then the incident neither flaps
    nor is snoozed, and half an hour has passed. That counts as its ping, if the incident is open and nobody has it.

    `broadcasts` are the times at which the channel shows a reopening: every one, but while the incident flaps only a
    rise, or one in half an hour.
    """

    status_reported: bool
    pings: list[tuple[int, str]] = field(default_factory=list)
    broadcasts: list[int] = field(default_factory=list)
    old: str = ""
    recent: str = ""
    ever: str = ""
    ended: int = -DAY * 100
    reopening_pinged: int = -DAY * 100
    reopening_reported: int = -DAY * 100
    held: bool = False
    now: ShareContent | None = None

    def receive(self, content: ShareContent) -> None:
        free = self.reopening_pinged + HALF_AN_HOUR
        if self.now is not None and self.now.at < free < content.at:
            self.make_up(free)
        self.take(content)
        self.now = content
        if content.at >= self.reopening_pinged + HALF_AN_HOUR:
            self.make_up(content.at)

    def make_up(self, at: int) -> None:
        assert self.now is not None
        if self.held and not self.now.flapping and not self.now.snoozed:
            self.held = False
            if self.now.state not in ("resolved", "acknowledged"):
                self.reopening_pinged = at

    def take(self, content: ShareContent) -> None:
        late = self.old == "resolved" and content.at - self.ended > DAY
        if not self.old or late:
            self.first(content)
        elif content.state not in (self.old, "resolved"):
            self.change(content)
        if content.state == "resolved":
            self.ended = content.at
        self.old = content.state

    def first(self, content: ShareContent) -> None:
        self.recent = self.ever = content.state
        self.reopening_pinged = self.reopening_reported = -DAY * 100
        self.held = False
        self.ping(content.at, None if content.snoozed else PEOPLE.get(content.state))

    def change(self, content: ShareContent) -> None:
        rise = ORDER.index(content.state) > ORDER.index(self.ever if content.flapping else self.recent)
        reopened = self.old == "resolved"
        if not reopened or content.flapping or content.snoozed:
            pinged = self.ping(content.at, PEOPLE.get(content.state) if rise else None)
        else:
            pinged = self.ping(
                content.at, "S0BACK" if rise or content.at - self.reopening_pinged >= HALF_AN_HOUR else None
            )
        if pinged and reopened:
            self.reopening_pinged = content.at
            self.held = self.held and (content.flapping or content.snoozed)  # then it pinged others, as a rise
        elif reopened and not rise:
            self.held = True
        by_itself = rise or not content.flapping or content.at - self.reopening_reported >= HALF_AN_HOUR
        if reopened and by_itself and (pinged or self.status_reported):
            self.broadcasts.append(content.at)
            self.reopening_reported = content.at
        self.recent = content.state if reopened else max(self.recent, content.state, key=ORDER.index)
        self.ever = max(self.ever, content.state, key=ORDER.index)

    def ping(self, at: int, target: str | None) -> bool:
        if target:
            self.pings.append((at, target))
        return bool(target)


def expected(shares: list[ShareContent], *, status_reported: bool) -> Model:
    model = Model(status_reported=status_reported)
    for content in shares:
        model.receive(content)
    return model


def simulate_shares(rules: Configuration, shares: list[ShareContent]) -> list[SentMessage]:
    simulation = Simulation(rules, render=False)
    for content in shares:
        over = content.state == "resolved"
        incident = {
            "id": "i1",
            "status": "ok" if over else content.state,
            "flapping": content.flapping,
            "snooze": {"snoozed": content.snoozed},
            "changedOn": START + content.at,
            "endedOn": START + content.at if over else None,
        }
        simulation.receive(parse_share(orjson.dumps({"incident": incident}), {}, START + content.at))
    simulation.run()
    return [message for card in simulation.cards for message in (card.first, *card.replies) if message]


@pytest.mark.parametrize("thread", ["[status]", "[comment]"])
@given(shares=incidents())
@settings(max_examples=80)
def test_pings_and_broadcasts_follow_the_rules(thread, shares):
    model = expected(shares, status_reported=thread == "[status]")
    sent = simulate_shares(configuration(thread), shares)
    assert sorted((round(message.at) - START, target) for message in sent for target in message.pings) == model.pings
    assert [round(message.at) - START for message in sent if message.broadcast] == model.broadcasts
