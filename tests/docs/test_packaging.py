"""What `pip install .` and the image contain."""

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import relay
from relay.config.settings import Settings
from relay.model.buttons import Clicks
from release.files import build, digests

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


EPOCH = 1_700_000_000


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist of this checkout, and the wheel that is built from it."""
    return build(ROOT, tmp_path_factory.mktemp("release"), EPOCH)


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The wheel, unpacked as an installer would do it."""
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(built[1]).extractall(folder)
    return folder


def test_builds_are_reproducible_at_any_time_and_by_any_user(built, tmp_path):
    """The times of the files, the umask and the folder differ; the sdist has everything for building itself again."""
    with tarfile.open(built[0]) as sdist:
        sdist.extractall(tmp_path, filter="data")
    [source] = tmp_path.iterdir()
    (source / "PKG-INFO").unlink()  # the checkout has none
    for file in source.rglob("*"):
        os.utime(file, (EPOCH - 1e6, EPOCH - 1e6))
    before = os.umask(0o077)
    try:
        again = build(source, tmp_path / "again", EPOCH)
    finally:
        os.umask(before)
    assert digests(again) == digests(built)


def run(installed, folder, *command):
    """Run Python in a folder with the installed wheel alone, without access to the checkout."""
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


def test_the_wheel_alone_runs_the_demo(installed, tmp_path):
    """The demo uses the templates, the sample, the sandbox and the tables of the wheel."""
    played = run(installed, tmp_path, "-m", "relay", "demo", "--once")
    assert played.returncode == 0, played.stderr
    assert "Resolved after" in played.stdout


def test_the_wheel_has_every_template_sample_page_migration_and_schema_of_the_checkout(installed, tmp_path):
    program = "from relay.config.template_files import load_packaged; print(*sorted(load_packaged()))"
    templates = sorted(path.relative_to(ROOT / "templates").as_posix() for path in (ROOT / "templates").rglob("*.j2"))
    assert run(installed, tmp_path, "-c", program).stdout.split() == templates
    schema = run(installed, tmp_path, "-m", "relay", "schema").stdout
    assert json.loads(schema) == json.loads((ROOT / "ops" / "routes.schema.json").read_text()), "run `make tables`"
    for folder in ("samples", "sandbox", "store/migrations"):
        here = {path.relative_to(ROOT) for path in (ROOT / "relay" / folder).rglob("*") if path.is_file()}
        missing = [path for path in here if "__pycache__" not in path.parts and not (installed / path).is_file()]
        assert missing == []


def test_the_wheel_contains_the_licence(installed):
    assert list(installed.glob("*.dist-info/licenses/LICENSE"))


def test_the_image_contains_only_files_that_the_ignore_file_allows():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert {name for names in copied for name in names.split()} == allowed
    assert all((ROOT / name).exists() for name in allowed)


def test_the_image_sets_valid_settings_for_the_address_and_the_database():
    found = dict(re.findall(r"\b(RELAY_\w+)=(\S+)", DOCKERFILE.partition("ENV PATH")[2].partition("USER")[0]))
    settings = Settings.from_env(found)
    assert str(settings.listen) == "0.0.0.0:8080"
    assert settings.database_url.get_secret_value() == "sqlite:////data/relay.db"


def test_the_image_runs_without_privileges_and_has_a_health_check():
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last_stage, re.MULTILINE)
    assert re.search(r"^VOLUME /data$", last_stage, re.MULTILINE)
    assert "/healthz" in last_stage.partition("HEALTHCHECK")[2]
    assert 'ENTRYPOINT ["relay"]\nCMD ["serve"]' in last_stage


def test_the_health_check_of_the_image_fails_without_a_server():
    [program] = re.findall(r'"-c", "(.+)"\]$', DOCKERFILE, re.MULTILINE)
    environment = {"PATH": os.environ["PATH"], "RELAY_LISTEN": "0.0.0.0:9"}
    process = subprocess.run(
        [sys.executable, "-I", "-c", program], env=environment, capture_output=True, timeout=30, check=False
    )
    assert process.returncode == 1
    assert b"ConnectionRefusedError" in process.stderr


def test_compose_gives_relay_no_unneeded_privileges_and_no_secrets_in_the_environment():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    service = compose["services"]["relay"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not any(name in service["environment"] for name in ("SLACK_BOT_TOKEN", "RELAY_WEBHOOK_KEYS"))
    assert set(service["secrets"]) == set(compose["secrets"])


def test_the_commented_lines_for_buttons_in_compose_work_once_uncommented():
    text = re.sub(r"^( +)# (?=- \w+$|\w+: )", r"\1", (ROOT / "compose.yaml").read_text(), flags=re.MULTILINE)
    compose = yaml.safe_load(text)
    service = compose["services"]["relay"]
    assert set(service["secrets"]) == set(compose["secrets"])
    files = {Path(path) for name, path in service["environment"].items() if name.endswith("_FILE")}
    assert files == {Path("/run/secrets") / name for name in service["secrets"]}
    settings = Settings.from_env(service["environment"], lambda path: f"{path.name}\n")
    assert settings.clicks is Clicks.CARRIED_OUT
    assert settings.can_call_back("default")
    settings.for_serving()


def test_compose_with_postgresql_overrides_the_database_of_the_image():
    compose = yaml.safe_load((ROOT / "compose.postgresql.yaml").read_text())
    environment = compose["services"]["relay"]["environment"]
    secret = Path("/run/secrets/database_url")
    assert environment["RELAY_DATABASE_URL_FILE"] == str(secret)
    secrets = {secret: "postgresql://relay:s3cret@postgresql/relay\n"}
    assert (
        Settings.from_env(environment, secrets.__getitem__).database_url.get_secret_value() == secrets[secret].strip()
    )


def test_every_dependency_of_an_installation_is_pinned():
    """Check the direct and the indirect requirements; of the extra `release`, what is installed."""
    pinned = {
        name(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    }
    required, waiting = set(), [("bigpanda-relay", frozenset({"dev", "release"}))]
    while waiting:
        package, extras = waiting.pop()
        for requirement in map(Requirement, requirements_of(package)):
            applies = any(
                requirement.marker is None or requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}
            )
            if applies and name(requirement.name) not in required:
                required.add(name(requirement.name))
                waiting.append((requirement.name, frozenset(requirement.extras)))
    assert len(required) > 50
    assert required - pinned == set()


def requirements_of(package):
    try:
        return metadata.requires(package) or ()
    except metadata.PackageNotFoundError:
        return ()


def name(package):
    return re.sub(r"[-_.]+", "-", package).strip().lower()


def test_hadolint_accepts_the_dockerfile():
    hadolint = Path(sys.executable).with_name("hadolint")
    process = subprocess.run(
        [hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
