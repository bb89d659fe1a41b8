"""Both sides of the comparison in one form: what `relay backtest` reports of a scenario, and what the reading says."""

from collections.abc import Mapping
from typing import Any

import orjson

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.cards.mutes import Mute
from relay.cards.plan import plan
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.incident import State
from relay.model.struct import replace
from relay.store.store import Store
from relay.tools.backtest import backtest
from tests.tools.week.reading import Reading
from tests.tools.week.scenario import MuteStory, Scenario, Story

Report = Mapping[str, Any]
BATCH = 200


def shares_of(story: Story) -> list[Share]:
    """The shares of an incident."""
    return [parse_share(orjson.dumps(body), {}, at) for at, body in story.bodies()]


def mute_of(story: MuteStory) -> Mute:
    """A mute as relay keeps it."""
    return Mute(
        match="" if story.incident else f"{{tags: {{{story.tag[0]}: {story.tag[1]}}}}}",
        incident=story.incident,
        start=story.start,
        end=story.end,
        reason="work",
        author="Ann",
        origin="cli",
        unless=State(story.unless) if story.unless else None,
        routes=story.routes,
    )


async def reported(scenario: Scenario, url: str) -> Report:
    """Store the shares and the mutes of the scenario, and return what `relay backtest` reports of them."""
    files = ConfigurationFiles(routes_file="routes.yaml", routes_text=scenario.rules.text())
    configuration = build_configuration(files)
    store = await Store.open(url)
    try:
        for mute in map(mute_of, scenario.mutes):
            await store.add_mute(replace(mute, created=mute.start))
        shares = [share for story in scenario.stories for share in shares_of(story)]
        for begin in range(0, len(shares), BATCH):
            await store.accept(
                shares[begin : begin + BATCH],
                lambda context: plan(configuration.rulebook, context.incident_state, context.cards, context.share, {}),
            )
        report = await backtest(store, configuration, configuration, since=0.0, processes=1)
    finally:
        await store.close()
    return of_report(report.as_json())


def of_report(report: Mapping[str, Any]) -> Report:
    """The part of a report that is compared, by channel, route and title."""
    speech = report["speech"]["live"]
    counts = ("posts", "pings", "reminders", "held", "held_pings")
    return {
        "routes": {(row["channel"], row["route"]): tuple(row[name] for name in counts) for row in speech["routes"]},
        "catch-ups": {(each["channel"], each["moment"]): tuple(each["pings"]) for each in speech["catch_ups"]},
        "storms": [
            (each["channel"], each["began"], each["last"], each["held"], each["critical"])
            for each in report["storms"]["live"]
        ],
        "summaries": {(each["channel"], each["title"]): each["moments"] for each in report["summaries"]["live"]},
    }


def of_reading(reading: Reading) -> Report:
    """The same of the reading."""
    return {
        "routes": reading.routes,
        "catch-ups": {
            (channel, moment): tuple(sorted(pings))
            for channel, messages in reading.catch_ups.items()
            for moment, pings in messages.items()
        },
        "storms": reading.storms,
        "summaries": reading.summaries,
    }
