"""`make release`: what it refuses, what it builds, and that users can install and use it."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import relay
from relay.model.struct import replace
from release import __main__ as release
from release.conditions import Checkout, newest_release, notes, obstacles
from release.files import run

ROOT = Path(__file__).resolve().parents[2]
CHANGELOG = "# Changelog\n\n## 1.2.3 (2026-12-01)\n\n### Upgrade\n\nNothing.\n\n## 1.2.2 (2026-11-01)\n\nOlder.\n"
READY = Checkout(
    version="1.2.3",
    changelog=CHANGELOG,
    uncommitted=(),
    tags=("v1.2.2", "v1.0.0", "before"),
    migrated=(),
    contact="security@example.com",
)


def test_a_release_ready_checkout_has_no_obstacle():
    assert obstacles(READY) == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"version": "1.2.3.dev1", "changelog": CHANGELOG.replace("1.2.3", "1.2.3.dev1")}, "1.2.3.dev1"),
        ({"tags": ("v1.2.3",)}, "v1.2.3 exists"),
        ({"tags": ("v1.10.0",)}, "v1.10.0 is released"),
        ({"uncommitted": ("a.py", "b.py")}, "2 files are not committed (a.py, b.py)"),
        ({"changelog": "# Changelog\n"}, "has no version"),
        ({"changelog": CHANGELOG.replace("1.2.3", "1.2.4")}, "begins with 1.2.4"),
        ({"changelog": CHANGELOG.replace("2026-12-01", "unreleased")}, "no date"),
        ({"changelog": CHANGELOG.replace(" (2026-12-01)", "")}, "no date"),
        ({"changelog": CHANGELOG.replace("### Upgrade", "### Cards")}, "### Upgrade"),
        ({"migrated": ("r0001.py",)}, "r0001.py"),
        ({"contact": ""}, "no address"),
        ({"contact": "me@users.noreply.example"}, "reaches nobody"),
    ],
)
def test_each_obstacle_is_named_with_what_to_do(changed, says):
    found = obstacles(replace(READY, **changed))
    assert any(says in each for each in found)
    assert len(found) == 1


def test_all_obstacles_are_named_at_once():
    assert len(obstacles(replace(READY, uncommitted=("x",), contact="", changelog="", migrated=("r0001.py",)))) == 4


def test_the_highest_version_is_the_newest_in_any_order_of_tags():
    assert newest_release(["v1.9.0", "v1.10.0", "v2", "nightly"]) == "v1.10.0"
    assert newest_release([]) is None


def test_the_release_notes_are_only_those_of_the_newest_version():
    assert notes(CHANGELOG) == "### Upgrade\n\nNothing."


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with this version's changelog, all of it committed."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    folder = tmp_path / "repository"
    (folder / release.MIGRATIONS).mkdir(parents=True)
    (folder / release.MIGRATIONS / "r0001.py").write_text("first\n")
    (folder / "CHANGELOG.md").write_text(CHANGELOG.replace("1.2.3", relay.__version__).replace("1.2.2", "0.0.2"))
    git(folder, "init", "--quiet")
    git(folder, "config", "user.name", "Ann")
    git(folder, "config", "user.email", "ann@example.com")
    commit(folder)
    return folder


def git(folder, *arguments):
    return run("git", *arguments, folder=folder)


def commit(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "x")


def check(folder, capsys):
    code = release.main(["check", "--repository", str(folder)])
    return code, capsys.readouterr().err


def test_only_committed_files_are_released(repository, capsys):
    assert check(repository, capsys) == (0, "")
    (repository / "new.py").touch()
    code, said = check(repository, capsys)
    assert (code, "1 files are not committed (new.py)" in said) == (1, True)


def test_a_released_migration_must_not_change_and_new_ones_are_allowed(repository, capsys):
    git(repository, "tag", "v0.0.1")
    (repository / release.MIGRATIONS / "r0002.py").write_text("second\n")
    commit(repository)
    assert check(repository, capsys) == (0, "")
    for change in (lambda file: file.write_text("changed\n"), Path.unlink):
        change(repository / release.MIGRATIONS / "r0001.py")
        commit(repository)
        code, said = check(repository, capsys)
        assert (code, "r0001.py" in said, "r0002.py" in said) == (1, True, False)


def test_the_tag_is_made_last_contains_the_contact_and_is_not_pushed(repository, capsys, monkeypatch):
    made = []

    def files(_repository, _commit, _epoch, folder, _version):
        made.append(git(repository, "tag", "--list"))
        (folder / "finished").mkdir()
        (folder / "finished" / "relay.whl").touch()
        return folder / "finished"

    monkeypatch.setattr(release, "_files", files)
    bare = repository.with_name("remote")
    git(repository, "init", "--quiet", "--bare", str(bare))
    git(repository, "remote", "add", "origin", str(bare))
    (repository / ".gitignore").write_text("dist/\n")
    commit(repository)
    assert release.main(["make", "--repository", str(repository), "--contact", "security@example.com"]) == 0
    tag = f"v{relay.__version__}"
    assert made == [""]
    message = git(repository, "tag", "--list", "--format=%(contents)", tag)
    assert "Security contact: security@example.com" in message.splitlines()
    assert "### Upgrade" in message.splitlines()
    assert (repository / "dist" / tag / "relay.whl").exists()
    assert git(bare, "tag", "--list") == ""
    assert release.main(["make", "--repository", str(repository)]) == 1
    assert "exists" in capsys.readouterr().err


def test_a_release_that_fails_leaves_no_tag(repository, monkeypatch):
    def fails(*_):
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(release, "_files", fails)
    with pytest.raises(subprocess.CalledProcessError):
        release.main(["make", "--repository", str(repository)])
    assert git(repository, "tag", "--list") == ""


def test_the_version_is_defined_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert ("version" in project, project["dynamic"]) == (False, ["version"])
    newest = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    assert newest == relay.__version__


def test_the_security_contact_is_found_by_the_command_in_the_document(repository):
    """The newest version's is printed, not that of the tag that was made last."""
    for tag, contact in (("v0.10.0", "new@example.com"), ("v0.9.0", "old@example.com")):
        git(repository, "tag", "--annotate", f"--message=relay\n\nSecurity contact: {contact}\n", tag)
    [command] = re.findall(r"^git tag --list .*$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert run("sh", "-c", command, folder=repository) == "Security contact: new@example.com\n"


def test_the_supported_python_versions_are_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    first, end = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"]).groups()
    pythons = [f"3.{minor}" for minor in range(int(first), int(end))]
    assert re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"])) == pythons
    promise = f"Python {pythons[0]} to {pythons[-1]}"
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", ".ci/run"):
        assert promise in (ROOT / page).read_text(), page


# Installs relay twice from the registry, which takes a minute.
@pytest.mark.soak
@pytest.mark.timeout(900)
def test_wheel_and_sdist_install_into_an_empty_environment_and_the_sbom_lists_what_is_in_it(tmp_path):
    pytest.importorskip("cyclonedx_py", reason="needs the extra `release`")
    head = git(ROOT, "rev-parse", "HEAD").strip()
    finished = release._files(ROOT, head, 1_700_000_000, tmp_path, relay.__version__)
    run("sha256sum", "--check", "--strict", "SHA256SUMS", folder=finished)
    assert sorted(file.suffix for file in finished.iterdir()) == ["", ".gz", ".json", ".txt", ".whl"]
    sbom = json.loads((finished / f"relay-{relay.__version__}.cdx.json").read_text())
    root = sbom["metadata"]["component"]
    assert (root["name"], root["version"]) == ("bigpanda-relay", relay.__version__)
    listed = {each["name"].lower() for each in sbom["components"]}
    assert {"aiohttp", "slack-sdk", "sqlalchemy"} <= listed
    assert "pytest" not in listed
