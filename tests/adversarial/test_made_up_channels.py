"""Channel names from alerts do not delay the lookup of a channel that exists."""

from types import SimpleNamespace

import pytest

from relay.cards.model import ChannelState
from relay.delivery.channels import LONGEST_PROBE, PROBE_EVERY, ChannelResolver
from relay.slack.outcomes import Read
from relay.store.store import Store

MADE_UP = 1_500
PAGES = 3
HOUR = 3600.0


class ListOfChannels:
    """A workspace with a list of three pages; counts the calls, each of which takes three seconds (Slack's limit)."""

    def __init__(self, clock):
        self.clock, self.calls, self.names = clock, 0, ["noc"]

    async def channels(self, cursor):
        self.calls += 1
        self.clock.time += 3.0
        page = int(cursor or 0)
        names = self.names if page == PAGES - 1 else [f"page-{page}"]
        channels = [{"id": f"C0{name.upper().replace('-', '')}", "name": name, "is_member": True} for name in names]
        following = "" if page == PAGES - 1 else str(page + 1)
        return Read(body={"ok": True, "channels": channels, "response_metadata": {"next_cursor": following}})


@pytest.fixture
async def rig(tmp_path):
    clock = SimpleNamespace(time=1_700_000_000.0)
    clock.now = lambda: clock.time
    store = await Store.open(f"sqlite:///{tmp_path}/relay.db")
    slack = ListOfChannels(clock)
    rejected = []
    shared = SimpleNamespace(
        store=store,
        slack=slack,
        clock=clock,
        wake_all=lambda: None,
        fixed_channels=lambda: {"#fixed"},
        on_channel_changed=lambda: rejected.append("fixed"),
    )
    yield SimpleNamespace(store=store, slack=slack, clock=clock, resolver=ChannelResolver(shared), rejected=rejected)
    await store.close()


async def state_of(rig, ref):
    return {channel.ref: channel for channel in await rig.store.channels()}[ref]


async def test_one_reading_of_the_channel_list_answers_all_waiting_names(rig):
    rig.slack.names.append("inc-zebra")
    await rig.store.add_channels([*(f"#inc-a{number}" for number in range(MADE_UP)), "#inc-zebra"])
    await rig.resolver.resolve_due()
    assert (await state_of(rig, "#inc-zebra")).state is ChannelState.OPEN
    assert rig.slack.calls == PAGES


async def test_a_new_channel_name_does_not_wait_for_names_that_were_missing_before(rig):
    await rig.store.add_channels([f"#inc-a{number}" for number in range(MADE_UP)])
    due = await rig.resolver.resolve_due()
    rig.clock.time = due  # all made-up names are due again
    rig.slack.names.append("inc-payments")
    await rig.store.add_channels(["#inc-payments"])
    before = rig.slack.calls
    await rig.resolver.resolve_due()
    assert (await state_of(rig, "#inc-payments")).state is ChannelState.OPEN
    assert rig.slack.calls - before == PAGES


async def test_names_that_stay_missing_are_looked_up_less_and_less_often(rig):
    for number in range(20):
        await rig.store.add_channels([f"#inc-a{number}"])
        await rig.resolver.resolve_due()
        rig.clock.time += 11.0
    readings = []
    for _ in range(5):
        before, until = rig.slack.calls, rig.clock.time + HOUR
        while (due := await rig.resolver.resolve_due()) <= until:
            rig.clock.time = max(rig.clock.time, due)
        rig.clock.time = until
        readings.append((rig.slack.calls - before) / PAGES)
    assert readings[0] <= HOUR / PROBE_EVERY
    assert readings[-1] <= 1 + HOUR / LONGEST_PROBE


async def test_any_reading_of_the_list_finds_a_name_that_has_appeared(rig):
    await rig.store.add_channels(["#inc-later"])
    await rig.resolver.resolve_due()
    assert (await state_of(rig, "#inc-later")).state is ChannelState.REJECTED
    rig.slack.names.append("inc-later")
    await rig.store.add_channels(["#inc-other"])
    await rig.resolver.resolve_due()
    assert (await state_of(rig, "#inc-later")).state is ChannelState.OPEN


async def test_a_name_of_routes_yaml_is_looked_up_every_few_minutes(rig):
    await rig.store.add_channels(["#fixed"])
    for _ in range(30):
        due = await rig.resolver.resolve_due()
        assert 0 < due - rig.clock.time <= 2 * PROBE_EVERY
        rig.clock.time = due


async def test_only_missing_names_of_routes_yaml_are_reported_in_slack(rig):
    await rig.store.add_channels(["#fixed", *(f"#inc-a{number}" for number in range(50))])
    await rig.resolver.resolve_due()
    assert rig.rejected == ["fixed"]
