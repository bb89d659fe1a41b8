"""What is live after an edit, good or bad, and after a restart on it."""

import asyncio
import itertools
import shutil

import pytest

from relay.ingest.service import IngestService
from relay.model.errors import ConfigurationError, StoreUnusable
from relay.reload import Reloader, reloader
from relay.routes.parser.parse import parse_rulebook
from relay.store.store import Store
from relay.tools.check.command import run_checks
from tests.support.reload_samples import BAD, BETTER, GOOD


def names(reload):
    return [route.name for route in reload.live.rulebook.routes]


@pytest.fixture
async def reload(desk, store):
    made = desk.reload(store)
    await made.begin()
    return made


async def test_a_start_on_a_good_configuration_keeps_it_and_wants_its_channels(desk, store, reload):
    assert names(reload) == ["all"]
    assert reload.state.successful
    kept = await store.configuration()
    assert (kept.routes, kept.hash) == (GOOD, reload.live.hash)
    assert {channel.ref for channel in await store.channels()} == {"C0ALL00001", "C0NOC00001"}


async def test_a_good_edit_is_live_and_kept_with_its_channels_wanted(desk, store, reload):
    desk.write(BETTER)
    assert await desk.run_with_time(reload.look())
    assert names(reload) == ["everything"]
    assert (await store.configuration()).hash == reload.live.hash == reload.state.hash
    assert "C0DB000001" in {channel.ref for channel in await store.channels()}


async def test_what_has_not_changed_is_not_read_again_unless_somebody_asks(desk, reload):
    before = reload.live
    assert not await desk.run_with_time(reload.look())
    desk.routes.touch()
    assert not await desk.run_with_time(reload.look())
    reload.ask()
    assert await desk.run_with_time(reload.look())
    assert reload.live.hash == before.hash
    assert not await desk.run_with_time(reload.look())


async def test_a_bad_edit_changes_nothing_and_says_where_the_fault_is(desk, store, reload):
    before = reload.live
    desk.write(BAD)
    desk.clock.advance(60)
    await desk.run_with_time(reload.look())
    assert reload.live is before
    assert not reload.state.successful
    assert reload.state.hash == before.hash
    assert reload.state.good_at < reload.state.at
    assert any(f"{desk.routes}:6:" in str(fault) for fault in reload.state.faults)
    assert (await store.configuration()).routes == GOOD


async def test_the_next_good_edit_clears_it(desk, reload):
    desk.write(BAD)
    await desk.run_with_time(reload.look())
    desk.write(BETTER)
    await desk.run_with_time(reload.look())
    assert reload.state.successful
    assert names(reload) == ["everything"]


async def test_taking_a_bad_edit_back_clears_it_too(desk, reload):
    desk.write(BAD)
    await desk.run_with_time(reload.look())
    desk.write(GOOD)
    await desk.run_with_time(reload.look())
    assert reload.state.successful


async def test_a_restart_on_a_bad_edit_starts_on_the_last_good_one(desk, store, reload):
    desk.template("{% header %}ours {{ incident.title }}{% endheader %}")
    await desk.run_with_time(reload.look())
    good = reload.live
    desk.write(BAD)
    restarted = desk.reload(store)
    await restarted.begin()
    assert restarted.live.hash == good.hash
    assert restarted.live.templates == good.templates
    assert not restarted.state.successful
    assert [fault.line for fault in restarted.state.faults] == [5, 6]
    desk.write(BETTER)
    await desk.run_with_time(restarted.look())
    assert names(restarted) == ["everything"]


async def test_a_start_on_a_bad_configuration_without_a_good_one_is_refused_with_every_fault(desk, store):
    desk.write(BAD)
    desk.template("{% section %}never closed")
    with pytest.raises(ConfigurationError) as raised:
        await desk.reload(store).begin()
    assert {fault.file for fault in raised.value.faults} == {
        str(desk.routes),
        str(desk.templates / "incident" / "card.j2"),
    }


async def test_where_the_kept_one_is_of_no_use_either_both_reasons_are_told(desk, store):
    await store.keep_configuration("old", "version: 7\n", {}, 1.0)
    desk.write(BAD)
    with pytest.raises(ConfigurationError) as raised:
        await desk.reload(store).begin()
    assert "pots" in str(raised.value)
    assert "the last good configuration" in str(raised.value)


async def test_a_bad_template_is_a_bad_edit_too(desk, reload):
    desk.template("{{ incident.title | no_such_filter }}", "payments/card.j2")
    await desk.run_with_time(reload.look())
    [fault] = reload.state.faults
    assert (fault.file, fault.line) == (str(desk.templates / "payments" / "card.j2"), 1)


async def test_a_folder_of_templates_that_somebody_named_must_be_there(desk, store, reload):
    mistyped = Reloader(store, desk.routes, desk.folder / "templtaes", desk.clock)
    await mistyped.start()
    [fault] = mistyped.state.faults
    assert fault.file == str(desk.folder / "templtaes")
    assert names(mistyped) == ["all"]  # the last good one


async def test_a_first_start_without_the_folder_that_somebody_named_is_refused(desk, store):
    with pytest.raises(ConfigurationError, match="templtaes:0:0: folder not found; set --templates or RELAY_TEMPLATES"):
        await Reloader(store, desk.routes, desk.folder / "templtaes", desk.clock).start()


async def test_routes_and_templates_change_together_or_not_at_all(desk, reload):
    before = reload.live
    desk.write(BETTER)
    desk.template("{% if %}")
    await desk.run_with_time(reload.look())
    assert reload.live is before


async def test_half_a_file_that_looks_whole_is_never_live(desk, reload):
    half, whole = BETTER.split("routes:")[0] + "routes: []\n", BETTER
    desk.write(half)
    await desk.run_with_time(reload.look(), meanwhile=lambda: desk.write(whole))
    assert names(reload) == ["everything"]


async def test_half_a_file_that_is_faulty_is_no_fault_while_the_rest_is_on_its_way(desk, reload):
    desk.write(BETTER[:40])
    await desk.run_with_time(reload.look(), meanwhile=lambda: desk.write(BETTER))
    assert reload.state.successful
    assert names(reload) == ["everything"]


async def test_a_file_that_an_editor_renames_over_the_old_one_is_live(desk, reload):
    desk.routes.rename(desk.folder / "routes.yaml~")
    fresh = desk.folder / ".routes.yaml.swp"
    fresh.write_text(BETTER)
    await desk.run_with_time(reload.look(), meanwhile=lambda: fresh.rename(desk.routes))
    assert names(reload) == ["everything"]
    assert reload.state.successful


async def test_a_file_that_vanishes_changes_nothing_and_is_a_fault(desk, reload):
    desk.routes.unlink()
    await desk.run_with_time(reload.look())
    assert names(reload) == ["all"]
    assert "file not found" in str(reload.state.faults[0])


async def test_a_folder_of_templates_that_vanishes_does_not_change_every_card_in_silence(desk, store, reload):
    desk.template("{% header %}ours{% endheader %}")
    await desk.run_with_time(reload.look())
    shutil.rmtree(desk.templates)
    await desk.run_with_time(reload.look())
    assert reload.live.templates
    assert "leave it there and empty" in str(reload.state.faults[0])
    restarted = desk.reload(store)
    await restarted.begin()
    assert restarted.live.templates
    desk.templates.mkdir()
    await desk.run_with_time(restarted.look())
    assert restarted.state.successful
    assert not restarted.live.templates


async def test_an_unreadable_template_is_told_and_no_template_is_missing_for_it(desk, reload):
    desk.template("x" * 300_000, "payments/card.j2")
    desk.write(BETTER.replace("[C0DB000001]", "[{channel: C0DB000001, template: payments}]"))
    await desk.run_with_time(reload.look())
    [fault] = reload.state.faults
    assert fault.file == str(desk.templates / "payments" / "card.j2")
    assert run_checks(desk.routes, desk.templates).findings == (fault,)  # told as `relay check` tells it


async def test_a_volume_of_kubernetes_is_read_through_its_links_and_swapped_as_a_whole(desk, store):
    desk.routes.unlink()
    volume(desk.folder, "one", GOOD, "{% header %}one{% endheader %}")
    reload = desk.reload(store)
    await reload.begin()
    assert list(reload.live.templates) == ["incident/card.j2"]
    first = reload.live.hash
    volume(desk.folder, "two", BETTER, "{% header %}two{% endheader %}")
    await desk.run_with_time(reload.look())
    assert names(reload) == ["everything"]
    assert reload.live.templates == {"incident/card.j2": "{% header %}two{% endheader %}"}
    assert reload.live.hash != first


def volume(folder, version, routes, card):
    """What the kubelet does: files in a dated folder, `..data` leading there, and links that lead through `..data`."""
    real = folder / f"..{version}"
    (real / "templates" / "incident").mkdir(parents=True)
    (real / "routes.yaml").write_text(routes)
    (real / "templates" / "incident" / "card.j2").write_text(card)
    (folder / "..data_tmp").symlink_to(real.name)
    (folder / "..data_tmp").rename(folder / "..data")
    for name in ("routes.yaml", "templates"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")


async def test_what_editors_leave_behind_and_links_that_lead_back_are_no_templates(desk, reload):
    desk.template("{% header %}ours{% endheader %}")
    (desk.templates / "incident" / ".#card.j2").symlink_to("nobody@nowhere.1")
    (desk.templates / "incident" / "again").symlink_to("..")
    (desk.templates / "self").symlink_to("self")
    await desk.run_with_time(reload.look())
    assert reload.state.successful
    assert list(reload.live.templates) == ["incident/card.j2"]


async def test_whatever_breaks_while_an_edit_is_checked_is_a_fault_of_the_edit(desk, reload, monkeypatch):
    monkeypatch.setattr(reloader, "check", lambda *_: 1 / 0)
    desk.write(BETTER)
    await desk.run_with_time(reload.look())
    assert names(reload) == ["all"]
    assert "ZeroDivisionError" in str(reload.state.faults[0])


async def test_an_edit_that_the_store_cannot_keep_is_not_live_until_it_can(desk, store, reload, monkeypatch):
    async def refuse(*_):
        raise StoreUnusable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(store, "keep_configuration", refuse)
        desk.write(BETTER)
        with pytest.raises(StoreUnusable):
            await desk.run_with_time(reload.look())
        assert names(reload) == ["all"]
    await desk.run_with_time(reload.look())
    assert names(reload) == ["everything"]


@pytest.fixture
async def other(desk, store, tmp_path, monkeypatch):
    """Another relay on the same store, with a disk of its own."""
    monkeypatch.setattr(Store, "shared", True)
    (tmp_path / "other").mkdir()
    desk_of_other = type(desk)(tmp_path / "other", desk.clock)
    desk_of_other.write(GOOD)
    return desk_of_other


async def test_of_several_relays_each_uses_the_newest_good_one(desk, store, reload, other):
    follower = other.reload(store)
    await follower.begin()
    await follower.follow()
    desk.clock.advance(1)
    desk.write(BETTER)
    await desk.run_with_time(reload.look())
    desk.clock.advance(1)
    await follower.follow()
    assert names(follower) == ["everything"]
    assert follower.state.hash == reload.live.hash
    assert not await other.moving(follower.look())
    assert names(follower) == ["everything"]


async def test_following_another_relay_does_not_mend_the_disk_of_this_one(desk, store, reload, other):
    follower = other.reload(store)
    await follower.begin()
    other.write(BAD)
    await other.moving(follower.look())
    desk.clock.advance(1)
    desk.write(BETTER)
    await desk.run_with_time(reload.look())
    await follower.follow()
    assert names(follower) == ["everything"]
    assert not follower.state.successful


async def test_what_a_newer_relay_can_read_and_this_one_cannot_is_left_to_it(desk, store, reload, other):
    await store.keep_configuration("newer", "version: 2\n", {}, desk.clock.now() + 1)
    before = reload.live
    await reload.follow()
    await reload.follow()
    assert reload.live is before


async def test_alone_on_its_store_a_relay_follows_its_disk(desk, store, reload):
    await store.keep_configuration("stranger", BETTER, {}, desk.clock.now() + 1)
    await reload.follow()
    assert names(reload) == ["all"]


async def test_a_share_is_routed_by_one_version_of_the_file_and_never_half_by_each(desk, store):
    versions = itertools.cycle([parse_rulebook(GOOD), parse_rulebook(BETTER)])
    asked = []

    def live():
        asked.append(next(versions))
        return asked[-1]

    intake = IngestService(store, live, desk.clock, lambda: None, "X-Relay-Key")
    committing = asyncio.create_task(intake.run())
    bodies = [b'{"incident": {"id": "i%d", "status": "critical", "active": true}}' % number for number in range(20)]
    accepted = await asyncio.gather(*(intake.accept(body, {}) for body in bodies))
    for each in accepted:
        dossier = await store.story(each.incident)
        [card] = dossier.cards
        assert (each.routes, card.channel) in {(("all",), "C0ALL00001"), (("everything",), "C0DB000001")}
    assert len(asked) == len(bodies)
    assert len({each.routes for each in accepted}) == 2
    committing.cancel()
