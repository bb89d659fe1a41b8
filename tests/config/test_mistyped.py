"""Variables that look like a setting and are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.settings import SECRETS, Settings, mistyped

NAMES = [str(field.validation_alias) for field in Settings.model_fields.values()]
SETTINGS = [*NAMES, *(f"{name}_FILE" for name in SECRETS)]


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("RELAY_WEBHOOK_KEY", "RELAY_WEBHOOK_KEYS"),
        ("RELAY_WEBHOOK_KEY_FILE", "RELAY_WEBHOOK_KEYS_FILE"),
        ("SLACK_TOKEN", "SLACK_BOT_TOKEN"),
        ("SLACK_BOTTOKEN", "SLACK_BOT_TOKEN"),
        ("SLACK_SIGNING_SECRETS", "SLACK_SIGNING_SECRET"),
        ("BIGPANDA_APIKEY", "BIGPANDA_API_KEY"),
        ("BIGPANDA_APP_KEYS", "BIGPANDA_APP_KEY"),
        ("RELAY_DATABASE", "RELAY_DATABASE_URL"),
        ("relay_listen", "RELAY_LISTEN"),
        ("RELAY_LOGLEVEL", "RELAY_LOG_LEVEL"),
        ("RELAY_SLACK_BOT_TOKEN", "SLACK_BOT_TOKEN"),
        ("RELAY_COLOUR", ""),
    ],
)
def test_a_mistyped_setting_gets_a_suggestion(name, setting):
    assert mistyped({name: "x"}) == {name: setting}


@pytest.mark.parametrize(
    "name",
    [
        *SETTINGS,
        "RELAY_PORT",
        "RELAY_SERVICE_HOST",
        "RELAY_SERVICE_PORT",
        "RELAY_SERVICE_PORT_HTTP",
        "RELAY_PORT_8080_TCP",
        "RELAY_PORT_8080_TCP_ADDR",
        "RELAY_POSTGRESQL_PORT_5432_TCP_PROTO",
        "RELAY_POSTGRESQL_SERVICE_HOST",
        "SLACK_WEBHOOK_URL_FOR_CI",
        "PATH",
        "MY_RELAY_WEBHOOK_KEY",
    ],
)
def test_valid_settings_service_links_and_other_variables_cause_no_warning(name):
    assert mistyped({name: "x"}) == {}


@given(st.sampled_from(SETTINGS), st.data())
def test_a_name_with_one_letter_less_is_found(name, data):
    at = data.draw(st.integers(len(name.split("_", maxsplit=1)[0]) + 1, len(name) - 1))
    typed = name[:at] + name[at + 1 :]
    if typed not in SETTINGS:
        assert mistyped({typed: "x"})[typed] != ""
