"""A SQLite database on a network file system is refused; one that a restart of the machine would delete is reported."""

import re
from pathlib import Path

import pytest

from relay.config.settings import Settings
from relay.model.errors import StoreUnusable
from relay.store import file_system
from relay.store.file_system import NETWORK, file_system_at, find_file_system
from relay.store.store import Store

ROOT = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard"
MOUNTS = {
    "nfs": ("812 700 0:58 /relay /data rw,relatime shared:412 - nfs 10.0.0.7:/export rw,vers=3,hard,nolock", "nfs"),
    "EFS in a pod": ("1201 1180 0:361 / /data rw,relatime - nfs4 fs-1.efs.example.com:/ rw,vers=4.1", "nfs4"),
    "Azure Files": ("97 22 0:71 / /data rw,relatime shared:9 master:2 - cifs //a.file.example.com/relay rw", "cifs"),
    "a bucket": ("98 22 0:72 / /data rw,nosuid,nodev - fuse.gcsfuse bucket rw,user_id=0", "fuse.gcsfuse"),
    "a disk": ("99 22 259:3 / /data rw,relatime - xfs /dev/nvme1n1 rw,attr2", "xfs"),
    "memory": ("98 22 0:44 / /data rw - tmpfs tmpfs rw", "tmpfs"),
    "elsewhere": ("98 22 0:44 / /database rw - nfs4 server:/ rw", "ext4"),
}


def mounted(*lines):
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", MOUNTS)
def test_the_file_system_is_that_of_the_mount_above_the_database(name):
    line, kind = MOUNTS[name]
    for mounts in (mounted(ROOT, line), mounted(line, ROOT)):
        assert find_file_system(Path("/data/relay.db"), mounts) == kind


def test_the_deepest_mount_counts_and_the_newest_of_several():
    inside = "120 99 259:4 / /data/local rw - ext4 /dev/nvme2n1 rw"
    nfs = MOUNTS["nfs"][0]
    assert find_file_system(Path("/data/local/relay.db"), mounted(ROOT, inside, nfs)) == "ext4"
    disk = MOUNTS["a disk"][0]
    assert find_file_system(Path("/data/relay.db"), mounted(ROOT, nfs, disk)) == "xfs"
    assert find_file_system(Path("/data/relay.db"), mounted(ROOT, disk, nfs)) == "nfs"


def test_a_mount_point_may_contain_a_space_and_a_backslash():
    line = r"98 22 0:72 / /mnt/a\040share\134x rw - cifs //server/a\040share rw"
    assert find_file_system(Path("/mnt/a share\\x/relay.db"), mounted(ROOT, line)) == "cifs"


@pytest.mark.parametrize("mounts", ["", "\n", "nonsense\n", "1 2 3 - ext4\n"])
def test_without_information_about_mounts_nothing_is_refused(mounts):
    assert find_file_system(Path("/data/relay.db"), mounts) == ""


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="only Linux lists its mounts there")
def test_the_file_systems_of_this_machine_are_found():
    assert file_system_at(Path("/proc/self/maps")) == "proc"
    assert file_system_at(Path("/sys/new.db")) == "sysfs"


@pytest.fixture
def on(monkeypatch, tmp_path):
    """Make a folder of this test look as if such a file system was mounted there; return the database's URL."""

    def mount(kind):
        folder = tmp_path / "mounted"
        folder.mkdir()
        mounts = tmp_path / "mountinfo"
        mounts.write_text(mounted(ROOT, f"98 22 0:72 / {folder} rw - {kind} source rw"))
        monkeypatch.setattr(file_system, "_MOUNTS", mounts)
        return f"sqlite:///{folder}/relay.db"

    return mount


@pytest.mark.parametrize("kind", sorted(NETWORK))
async def test_a_database_on_a_network_file_system_is_refused_and_nothing_is_created(kind, on, tmp_path):
    remedy = r"use PostgreSQL\..* set RELAY_NETWORK_FILE_SYSTEM=allow"
    with pytest.raises(StoreUnusable, match=rf"network file system \({re.escape(kind)}\).*{remedy}"):
        await Store.open(on(kind))
    assert list((tmp_path / "mounted").iterdir()) == []


async def test_a_command_also_refuses_a_network_file_system_even_through_a_link(on, tmp_path):
    await (await Store.open(on("nfs4"), network=True)).close()
    (tmp_path / "relay.db").symlink_to(tmp_path / "mounted" / "relay.db")
    with pytest.raises(StoreUnusable, match=r"network file system \(nfs4\)"):
        await Store.open(f"sqlite:///{tmp_path}/relay.db", exclusive=False)


async def test_the_setting_allows_a_network_file_system(on):
    assert not Settings.from_env({}).network_allowed
    allowed = Settings.from_env({"RELAY_NETWORK_FILE_SYSTEM": "allow"}).network_allowed
    store = await Store.open(on("nfs4"), network=allowed)
    await store.check_writable()
    await store.close()


@pytest.mark.parametrize(
    ("kind", "problem"), [("tmpfs", "in memory"), ("overlay", "inside the container"), ("ext4", ""), ("xfs", "")]
)
async def test_a_database_that_a_restart_deletes_is_reported(kind, problem, on):
    store = await Store.open(on(kind))
    assert problem in store.volatile_problem
    assert bool(store.volatile_problem) == bool(problem)
    await store.close()
