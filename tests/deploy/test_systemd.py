"""systemd itself checks its units: they are valid, deny everything that relay does not need, and fit its settings."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from relay.config.settings import SECRETS, Settings

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "deploy" / "systemd"
SERVICE = (UNITS / "relay.service").read_text(encoding="utf-8")
MOST_EXPOSED = 15
"""Tenths: the worst mark that `systemd-analyze security` may give, from 0 (closed) to 100 (everything is allowed)."""

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def uncommented():
    """The unit with every optional secret."""
    return re.sub(r"^#(?=[A-Z]\w+=)", "", SERVICE, flags=re.MULTILINE)


def analyze(folder, service, *arguments):
    """Run systemd-analyze on the units, with a program that exists on this machine; return its code and its output."""
    for unit in UNITS.glob("*.s*"):
        shutil.copy(unit, folder)
    unit = folder / "relay.service"
    unit.write_text(service.replace("/opt/relay/bin/relay", sys.executable), encoding="utf-8")
    command = ("systemd-analyze", *arguments, str(unit))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@needs_systemd
@pytest.mark.parametrize("service", [SERVICE, uncommented()], ids=["as it is", "with every option"])
def test_systemd_analyze_verify_reports_nothing(service, tmp_path):
    assert analyze(tmp_path, service, "verify") == (0, "")


@needs_systemd
def test_the_unit_denies_everything_that_relay_does_not_need(tmp_path):
    arguments = ("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}")
    code, report = analyze(tmp_path, SERVICE, *arguments)
    assert code == 0, report


def pairs(service):
    """The credentials, and the settings that name their files."""
    credentials = re.findall(r"^LoadCredential=(\w+):(\S+)$", service, re.MULTILINE)
    files = re.findall(r"^Environment=.*?\b([A-Z_]+)_FILE=%d/(\w+)$", service, re.MULTILINE)
    return dict(credentials), {name: setting for setting, name in files}


def test_each_secret_is_a_credential_that_its_setting_names():
    credentials, settings = pairs(uncommented())
    assert credentials.keys() == settings.keys()
    assert set(settings.values()) <= set(SECRETS)
    assert all(path == f"/etc/relay/secrets/{name}" for name, path in credentials.items())
    assert {"RELAY_WEBHOOK_KEYS", "SLACK_BOT_TOKEN"} == set(pairs(SERVICE)[1].values())


@pytest.mark.parametrize(
    ("service", "database"), [(SERVICE, "sqlite:////var/lib/relay/relay.db"), (uncommented(), "postgresql://db/relay")]
)
def test_relay_can_serve_with_the_settings_of_the_unit(service, database):
    environ = {}
    for line in re.findall(r"^Environment=(.*)$", service, re.MULTILINE):
        environ |= dict(pair.split("=", 1) for pair in line.split(" "))
    values = {"database_url": "postgresql://db/relay", "operator_key": "another-key-of-the-test"}
    settings = Settings.from_env(environ, lambda path: values.get(path.name, "a-secret-of-the-test")).for_serving()
    assert settings.database_url.get_secret_value() == database


def test_every_setting_in_the_unit_exists():
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert set(re.findall(r"\b((?:RELAY|SLACK|BIGPANDA)_[A-Z_]+?)(?:_FILE)?=", uncommented())) <= known


def test_the_unit_runs_only_relay_under_a_static_user():
    """In systemd 252 the secrets are gone after a unit's first command; a dynamic user hides the database."""
    keys = [line.partition("=")[0] for line in uncommented().splitlines() if not line.startswith("#")]
    assert [key for key in keys if key.startswith("ExecStart")] == ["ExecStart"]
    assert "DynamicUser" not in keys
    assert re.search(r"^u relay ", (UNITS / "relay.sysusers").read_text(encoding="utf-8"), re.MULTILINE)
