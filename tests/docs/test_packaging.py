"""What `pip install .` and the image hold."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import relay
from relay.config.settings import Settings

HERE = Path(__file__).resolve().parents[2]
DOCKERFILE = (HERE / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel of this checkout, unpacked where an installer would put it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(build, cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    [wheel] = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


def run(installed, folder, *command):
    """Run it there, with an empty home and nothing of the checkout in reach."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(installed), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_wheel_alone_is_a_working_relay(installed, tmp_path):
    where = run(installed, tmp_path, "-c", "import relay; print(relay.__file__)")
    assert where.stdout.strip() == str(installed / "relay" / "__init__.py")
    version = run(installed, tmp_path, "-m", "relay", "--version")
    assert (version.returncode, version.stdout) == (0, f"relay {relay.__version__}\n")
    assert list(tmp_path.iterdir()) == []


def test_the_wheel_alone_plays_the_demo_where_nothing_else_is(installed, tmp_path):
    """Its templates, its sample, its stand-in, its tables: all of it is used."""
    played = run(installed, tmp_path, "-m", "relay", "demo", "--once")
    assert played.returncode == 0, played.stderr
    assert "Resolved after" in played.stdout


def test_the_wheel_has_every_template_sample_and_migration_of_the_checkout(installed, tmp_path):
    program = "from relay.config.template_files import load_packaged; print(*sorted(load_packaged()))"
    templates = sorted(path.relative_to(HERE / "templates").as_posix() for path in (HERE / "templates").rglob("*.j2"))
    assert run(installed, tmp_path, "-c", program).stdout.split() == templates
    for folder in ("samples", "sandbox", "store/migrations"):
        here = {path.relative_to(HERE) for path in (HERE / "relay" / folder).rglob("*") if path.is_file()}
        missing = [path for path in here if "__pycache__" not in path.parts and not (installed / path).is_file()]
        assert missing == []


def test_the_licence_goes_along(installed):
    assert list(installed.glob("*.dist-info/licenses/LICENSE"))


def test_the_image_is_built_from_what_the_ignore_file_lets_through():
    let_through = {line[1:] for line in (HERE / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert {name for names in copied for name in names.split()} == let_through
    assert all((HERE / name).exists() for name in let_through)


def test_the_images_settings_are_settings_and_two_of_them_are_the_contracts():
    found = dict(re.findall(r"\b(RELAY_\w+)=(\S+)", DOCKERFILE.partition("ENV PATH")[2].partition("USER")[0]))
    settings = Settings.from_env(found)
    assert str(settings.listen) == "0.0.0.0:8080"
    assert settings.database_url.get_secret_value() == "sqlite:////data/relay.db"


def test_the_image_runs_as_nobody_special_and_says_whether_it_lives():
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last_stage, re.MULTILINE)
    assert re.search(r"^VOLUME /data$", last_stage, re.MULTILINE)
    assert "/healthz" in last_stage.partition("HEALTHCHECK")[2]
    assert 'ENTRYPOINT ["relay"]\nCMD ["serve"]' in last_stage


def test_the_health_check_of_the_image_is_a_program_that_tells_a_server_that_is_not_there():
    [program] = re.findall(r'"-c", "(.+)"\]$', DOCKERFILE, re.MULTILINE)
    environment = {"PATH": os.environ["PATH"], "RELAY_LISTEN": "0.0.0.0:9"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], env=environment, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert b"ConnectionRefusedError" in done.stderr


def test_compose_gives_relay_nothing_that_it_does_not_need():
    house = yaml.safe_load((HERE / "compose.yaml").read_text())
    service = house["services"]["relay"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not any(name in service["environment"] for name in ("SLACK_BOT_TOKEN", "RELAY_WEBHOOK_KEYS"))
    assert set(service["secrets"]) == set(house["secrets"])


def test_what_compose_has_ready_for_both_ways_works_once_its_signs_are_taken_away():
    text = re.sub(r"^( +)# (?=- \w+$|\w+: )", r"\1", (HERE / "compose.yaml").read_text(), flags=re.MULTILINE)
    house = yaml.safe_load(text)
    service = house["services"]["relay"]
    assert set(service["secrets"]) == set(house["secrets"])
    files = {Path(path) for name, path in service["environment"].items() if name.endswith("_FILE")}
    assert files == {Path("/run/secrets") / name for name in service["secrets"]}
    settings = Settings.from_env(service["environment"], lambda path: f"{path.name}\n")
    assert settings.buttons_enabled
    assert settings.can_call_back("default")
    settings.for_serving()


def test_with_postgresql_the_images_own_database_is_taken_back():
    house = yaml.safe_load((HERE / "compose.postgresql.yaml").read_text())
    environment = house["services"]["relay"]["environment"]
    secret = Path("/run/secrets/database_url")
    assert environment["RELAY_DATABASE_URL_FILE"] == str(secret)
    told = {secret: "postgresql://relay:s3cret@postgresql/relay\n"}
    assert Settings.from_env(environment, told.__getitem__).database_url.get_secret_value() == told[secret].strip()


def test_all_that_an_installation_brings_is_pinned():
    """What is asked for, and what that asks for in its turn."""
    pinned = {
        name(line.partition("==")[0]) for line in (HERE / "constraints.txt").read_text().splitlines() if "==" in line
    }
    brought, waiting = set(), [("bigpanda-relay", frozenset({"dev"}))]
    while waiting:
        package, extras = waiting.pop()
        for asked in map(Requirement, metadata.requires(package) or ()):
            wanted = any(asked.marker is None or asked.marker.evaluate({"extra": extra}) for extra in extras | {""})
            if wanted and name(asked.name) not in brought:
                brought.add(name(asked.name))
                waiting.append((asked.name, frozenset(asked.extras)))
    assert len(brought) > 50
    assert brought - pinned == set()


def name(package):
    return re.sub(r"[-_.]+", "-", package).strip().lower()


def test_hadolint_finds_no_fault_with_the_dockerfile():
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "Dockerfile"], cwd=HERE, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_newest_section_of_the_changelog_is_this_version():
    version = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["version"]
    assert re.findall(r"^## (\S+)", (HERE / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == version
    assert relay.__version__ == version
