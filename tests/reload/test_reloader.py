"""The live configuration after a valid or a faulty edit, and after a restart."""

import asyncio
import itertools
import os
import resource
import shutil
from contextlib import contextmanager

import pytest

from relay.config.template_files import load_templates
from relay.ingest.service import IngestService
from relay.model.errors import ConfigurationError, ConfigurationUnreadable, StoreUnusable
from relay.reload import reloader as reloader_module
from relay.reload.reloader import Reloader
from relay.routes.parser.parse import parse_rulebook
from relay.store.store import Store
from relay.tools.check.command import run_checks
from tests.support.reload_samples import BAD, BETTER, GOOD


def names(reloader):
    return [route.name for route in reloader.live.rulebook.routes]


@pytest.fixture
async def reloader(folder, store):
    made = folder.reloader(store)
    await made.start()
    return made


async def test_a_start_with_a_valid_configuration_stores_it_and_looks_up_its_channels(folder, store, reloader):
    assert names(reloader) == ["all"]
    assert reloader.state.successful
    kept = await store.latest_configuration()
    assert (kept.routes, kept.hash) == (GOOD, reloader.live.hash)
    assert {channel.ref for channel in await store.channels()} == {"C0ALL00001", "C0NOC00001"}


async def test_a_valid_edit_is_live_and_stored_and_its_channels_are_looked_up(folder, store, reloader):
    folder.write(BETTER)
    assert await folder.run_with_time(reloader.check_files())
    assert names(reloader) == ["everything"]
    assert (await store.latest_configuration()).hash == reloader.live.hash == reloader.state.hash
    assert "C0DB000001" in {channel.ref for channel in await store.channels()}


async def test_unchanged_files_are_not_read_again_without_a_request(folder, reloader):
    before = reloader.live
    assert not await folder.run_with_time(reloader.check_files())
    folder.routes.touch()
    assert not await folder.run_with_time(reloader.check_files())
    reloader.request()
    assert await folder.run_with_time(reloader.check_files())
    assert reloader.live.hash == before.hash
    assert not await folder.run_with_time(reloader.check_files())


async def test_a_faulty_edit_changes_nothing_and_is_reported_with_its_position(folder, store, reloader):
    before = reloader.live
    folder.write(BAD)
    folder.clock.advance(60)
    await folder.run_with_time(reloader.check_files())
    assert reloader.live is before
    assert not reloader.state.successful
    assert reloader.state.hash == before.hash
    assert any(f"{folder.routes}:6:" in str(fault) for fault in reloader.state.faults)
    assert (await store.latest_configuration()).routes == GOOD


async def test_the_next_valid_edit_clears_the_fault(folder, reloader):
    folder.write(BAD)
    await folder.run_with_time(reloader.check_files())
    folder.write(BETTER)
    await folder.run_with_time(reloader.check_files())
    assert reloader.state.successful
    assert names(reloader) == ["everything"]


async def test_undoing_a_faulty_edit_clears_the_fault(folder, reloader):
    folder.write(BAD)
    await folder.run_with_time(reloader.check_files())
    folder.write(GOOD)
    await folder.run_with_time(reloader.check_files())
    assert reloader.state.successful


async def test_a_restart_with_a_faulty_edit_uses_the_last_valid_configuration(folder, store, reloader):
    folder.template("{% header %}ours {{ incident.title }}{% endheader %}")
    await folder.run_with_time(reloader.check_files())
    good = reloader.live
    folder.write(BAD)
    restarted = folder.reloader(store)
    await restarted.start()
    assert restarted.live.hash == good.hash
    assert restarted.live.templates == good.templates
    assert not restarted.state.successful
    assert [fault.line for fault in restarted.state.faults] == [6]
    folder.write(BETTER)
    await folder.run_with_time(restarted.check_files())
    assert names(restarted) == ["everything"]


async def test_a_start_with_a_faulty_configuration_and_no_stored_one_fails_with_every_fault(folder, store):
    folder.write(BAD)
    folder.template("{% section %}never closed")
    with pytest.raises(ConfigurationError) as raised:
        await folder.reloader(store).start()
    assert {fault.file for fault in raised.value.faults} == {
        str(folder.routes),
        str(folder.templates / "incident" / "card.j2"),
    }


async def test_if_the_stored_configuration_is_invalid_too_both_reasons_are_reported(folder, store):
    await store.save_configuration("old", "version: 7\n", {}, 1.0)
    folder.write(BAD)
    with pytest.raises(ConfigurationError) as raised:
        await folder.reloader(store).start()
    assert "pots" in str(raised.value)
    assert "the last valid configuration" in str(raised.value)


async def test_a_faulty_template_is_a_faulty_edit(folder, reloader):
    folder.template("{{ incident.title | no_such_filter }}", "payments/card.j2")
    await folder.run_with_time(reloader.check_files())
    [fault] = reloader.state.faults
    assert (fault.file, fault.line) == (str(folder.templates / "payments" / "card.j2"), 1)


async def test_a_configured_folder_of_templates_must_exist(folder, store, reloader):
    mistyped = Reloader(store, folder.routes, folder.path / "templtaes", folder.clock)
    await mistyped.start()
    [fault] = mistyped.state.faults
    assert fault.file == str(folder.path / "templtaes")
    assert names(mistyped) == ["all"]  # the last good one


async def test_a_first_start_without_the_configured_folder_fails(folder, store):
    with pytest.raises(ConfigurationError, match="templtaes: folder not found; set --templates or RELAY_TEMPLATES"):
        await Reloader(store, folder.routes, folder.path / "templtaes", folder.clock).start()


async def test_routes_and_templates_change_together_or_not_at_all(folder, reloader):
    before = reloader.live
    folder.write(BETTER)
    folder.template("{% if %}")
    await folder.run_with_time(reloader.check_files())
    assert reloader.live is before


async def test_half_a_file_that_is_valid_is_never_live(folder, reloader):
    half, whole = BETTER.split("routes:")[0] + "routes: []\n", BETTER
    folder.write(half)
    await folder.run_with_time(reloader.check_files(), meanwhile=lambda: folder.write(whole))
    assert names(reloader) == ["everything"]


async def test_half_a_file_that_is_faulty_is_not_reported_while_it_is_being_written(folder, reloader):
    folder.write(BETTER[:40])
    await folder.run_with_time(reloader.check_files(), meanwhile=lambda: folder.write(BETTER))
    assert reloader.state.successful
    assert names(reloader) == ["everything"]


async def test_a_file_that_an_editor_renames_over_the_old_one_becomes_live(folder, reloader):
    folder.routes.rename(folder.path / "routes.yaml~")
    fresh = folder.path / ".routes.yaml.swp"
    fresh.write_text(BETTER)
    await folder.run_with_time(reloader.check_files(), meanwhile=lambda: fresh.rename(folder.routes))
    assert names(reloader) == ["everything"]
    assert reloader.state.successful


async def test_a_deleted_file_changes_nothing_and_is_a_fault(folder, reloader):
    folder.routes.unlink()
    await folder.run_with_time(reloader.check_files())
    assert names(reloader) == ["all"]
    assert "file not found" in str(reloader.state.faults[0])


async def test_a_deleted_folder_of_templates_changes_no_card_and_is_a_fault(folder, store, reloader):
    folder.template("{% header %}ours{% endheader %}")
    await folder.run_with_time(reloader.check_files())
    shutil.rmtree(folder.templates)
    await folder.run_with_time(reloader.check_files())
    assert reloader.live.templates
    assert "leave the folder there, empty" in str(reloader.state.faults[0])
    restarted = folder.reloader(store)
    await restarted.start()
    assert restarted.live.templates
    folder.templates.mkdir()
    await folder.run_with_time(restarted.check_files())
    assert restarted.state.successful
    assert not restarted.live.templates


async def test_an_unreadable_template_is_reported_and_does_not_count_as_missing(folder, reloader):
    folder.template("x" * 300_000, "payments/card.j2")
    folder.write(BETTER.replace("[C0DB000001]", "[{channel: C0DB000001, template: payments}]"))
    await folder.run_with_time(reloader.check_files())
    [fault] = reloader.state.faults
    assert fault.file == str(folder.templates / "payments" / "card.j2")
    assert run_checks(folder.routes, folder.templates).errors == (fault,)  # as `relay check` reports it


async def test_a_kubernetes_volume_is_read_through_its_links_and_updated_as_a_whole(folder, store):
    folder.routes.unlink()
    volume(folder.path, "one", GOOD, "{% header %}one{% endheader %}")
    reloader = folder.reloader(store)
    await reloader.start()
    assert list(reloader.live.templates) == ["incident/card.j2"]
    first = reloader.live.hash
    volume(folder.path, "two", BETTER, "{% header %}two{% endheader %}")
    await folder.run_with_time(reloader.check_files())
    assert names(reloader) == ["everything"]
    assert reloader.live.templates == {"incident/card.j2": "{% header %}two{% endheader %}"}
    assert reloader.live.hash != first


def volume(folder, version, routes, card):
    """Do what the kubelet does: files in a dated folder, the link `..data` to it, and links through `..data`."""
    real = folder / f"..{version}"
    (real / "templates" / "incident").mkdir(parents=True)
    (real / "routes.yaml").write_text(routes)
    (real / "templates" / "incident" / "card.j2").write_text(card)
    (folder / "..data_tmp").symlink_to(real.name)
    (folder / "..data_tmp").rename(folder / "..data")
    for name in ("routes.yaml", "templates"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


async def test_temporary_files_of_editors_and_circular_links_are_not_templates(folder, reloader):
    folder.template("{% header %}ours{% endheader %}")
    (folder.templates / "incident" / ".#card.j2").symlink_to("nobody@nowhere.1")
    (folder.templates / "incident" / "again").symlink_to("..")
    (folder.templates / "self").symlink_to("self")
    await folder.run_with_time(reloader.check_files())
    assert reloader.state.successful
    assert list(reloader.live.templates) == ["incident/card.j2"]


async def test_an_unexpected_error_during_the_check_is_a_fault_of_the_edit(folder, reloader, monkeypatch):
    monkeypatch.setattr(reloader_module, "build_configuration", lambda *_, **__: 1 / 0)
    folder.write(BETTER)
    await folder.run_with_time(reloader.check_files())
    assert names(reloader) == ["all"]
    assert "ZeroDivisionError" in str(reloader.state.faults[0])


async def test_an_edit_that_cannot_be_stored_is_not_live_until_it_can(folder, store, reloader, monkeypatch):
    async def fail(*_):
        raise StoreUnusable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(store, "save_configuration", fail)
        folder.write(BETTER)
        with pytest.raises(StoreUnusable):
            await folder.run_with_time(reloader.check_files())
        assert names(reloader) == ["all"]
    await folder.run_with_time(reloader.check_files())
    assert names(reloader) == ["everything"]


@pytest.fixture
async def other(folder, store, tmp_path, monkeypatch):
    """Another relay on the same store, with files of its own."""
    monkeypatch.setattr(Store, "shared", True)
    (tmp_path / "other").mkdir()
    other_folder = type(folder)(tmp_path / "other", folder.clock)
    other_folder.write(GOOD)
    return other_folder


async def test_each_of_several_relays_uses_the_newest_valid_configuration(folder, store, reloader, other):
    follower = other.reloader(store)
    await follower.start()
    await follower.adopt_stored()
    folder.clock.advance(1)
    folder.write(BETTER)
    await folder.run_with_time(reloader.check_files())
    folder.clock.advance(1)
    await follower.adopt_stored()
    assert names(follower) == ["everything"]
    assert follower.state.hash == reloader.live.hash
    assert not await other.run_with_time(follower.check_files())
    assert names(follower) == ["everything"]


async def test_using_the_configuration_of_another_relay_does_not_clear_the_fault_of_this_one(
    folder, store, reloader, other
):
    follower = other.reloader(store)
    await follower.start()
    other.write(BAD)
    await other.run_with_time(follower.check_files())
    folder.clock.advance(1)
    folder.write(BETTER)
    await folder.run_with_time(reloader.check_files())
    await follower.adopt_stored()
    assert names(follower) == ["everything"]
    assert not follower.state.successful


async def test_a_configuration_that_only_a_newer_relay_can_read_is_not_replaced(folder, store, reloader, other):
    await store.save_configuration("newer", "version: 2\n", {}, folder.clock.now() + 1)
    before = reloader.live
    await reloader.adopt_stored()
    await reloader.adopt_stored()
    assert reloader.live is before


async def test_a_relay_that_is_alone_uses_its_own_files(folder, store, reloader):
    await store.save_configuration("stranger", BETTER, {}, folder.clock.now() + 1)
    await reloader.adopt_stored()
    assert names(reloader) == ["all"]


async def test_a_share_is_routed_by_one_version_of_the_configuration(folder, store):
    versions = itertools.cycle([parse_rulebook(GOOD), parse_rulebook(BETTER)])
    asked = []

    def live():
        asked.append(next(versions))
        return asked[-1]

    intake = IngestService(store, live, folder.clock, lambda: None, "X-Relay-Key")
    committing = asyncio.create_task(intake.run())
    bodies = [b'{"incident": {"id": "i%d", "status": "critical", "active": true}}' % number for number in range(20)]
    accepted = await asyncio.gather(*(intake.accept(body, {}) for body in bodies))
    async with asyncio.timeout(30):
        while not intake.idle:  # noqa: ASYNC110  nothing tells it
            await asyncio.sleep(0.01)
    routes = set()
    for each in accepted:
        history = await store.incident_history(each.incident)
        [card], [share] = history.cards, history.shares
        routes.add(share.routes)
        assert (share.routes, card.channel) in {(("all",), "C0ALL00001"), (("everything",), "C0DB000001")}
    assert len(asked) == len(bodies)
    assert len(routes) == 2
    committing.cancel()


@contextmanager
def no_more_files():
    """Let every attempt to open a file fail: the next free number is the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_process_that_cannot_open_files_finds_no_fault_in_them(folder, reloader):
    folder.template("{% header %}own{% endheader %}")
    await folder.run_with_time(reloader.check_files())
    live = reloader.live
    with no_more_files(), pytest.raises(ConfigurationUnreadable):
        await reloader.check_files()
    assert reloader.live is live
    assert reloader.state.successful
    with no_more_files(), pytest.raises((ConfigurationUnreadable, OSError)):  # and no empty folder either
        load_templates(folder.templates)
    assert not await folder.run_with_time(reloader.check_files())
