"""The settings from the environment."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from relay.config.settings import SECRETS, Listen, Settings, parse_listen
from relay.model.errors import SettingsError

VARIABLE_NAMES = {str(field.validation_alias): name for name, field in Settings.model_fields.items()}

WRONG = {
    "RELAY_LISTEN": "8080",
    "RELAY_DATABASE_URL": "mysql://relay:hush-hush@db/relay",
    "RELAY_NETWORK_FILE_SYSTEM": "maybe",
    "RELAY_RETENTION_DAYS": "0",
    "RELAY_WEBHOOK_KEYS": "hush\x00hush",
    "RELAY_WEBHOOK_HEADER": "X Relay Key",
    "SLACK_BOT_TOKEN": "xoxb-hush\nhush",
    "SLACK_API_URL": "slack.com/api",
    "SLACK_SIGNING_SECRET": "hush\thush",
    "SLACK_APP_TOKEN": "hush\thush",
    "BIGPANDA_API_URL": "ftp://relay:hush@panda.example",
    "BIGPANDA_API_KEY": "hush\thush",
    "BIGPANDA_APP_KEY": "hush,hush",
    "RELAY_ADMIN_KEY": "hush\thush",
    "RELAY_HEARTBEAT_URL": "ftp://hush.example",
    "RELAY_LOG_FORMAT": "xml",
    "RELAY_LOG_LEVEL": "loud",
}


def nothing_to_read(path: Path) -> str:
    raise AssertionError(f"{path} was read")


def fault(environ: dict[str, str], **options) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ, **options)
    return str(caught.value)


def test_an_empty_environment_gives_the_defaults():
    settings = Settings.from_env({}, nothing_to_read)
    assert str(settings.listen) == "127.0.0.1:8080"
    assert (settings.routes, settings.templates) == (Path("routes.yaml"), Path("templates"))
    assert settings.database_url.get_secret_value() == "sqlite:///relay.db"
    assert settings.retention_days == 30
    assert (settings.webhook_keys, settings.webhook_header) == ((), "X-Relay-Key")
    assert settings.slack_api_url == "https://slack.com/api/"
    assert settings.bigpanda_api_url == "https://api.bigpanda.io"
    assert (settings.log_format, settings.log_level) == ("auto", "info")
    optional = (settings.slack_bot_token, settings.slack_signing_secret, settings.slack_app_token)
    assert optional == (None, None, None)
    assert (settings.bigpanda_api_key, settings.admin_key, settings.bigpanda_app_keys) == (None, None, {})


def test_an_empty_variable_is_not_set():
    blank = dict.fromkeys(VARIABLE_NAMES, "  ") | {f"{name}_FILE": "" for name in SECRETS}
    assert Settings.from_env(blank, nothing_to_read) == Settings.from_env({}, nothing_to_read)


def test_the_process_and_field_names_set_nothing(monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-of-the-process")
    assert Settings.from_env({"slack_bot_token": "xoxb-no", "log_level": "loud"}).slack_bot_token is None


def test_variables_that_kubernetes_adds_are_ignored():
    added = {"RELAY_PORT": "tcp://10.0.0.1:8080", "RELAY_SERVICE_HOST": "10.0.0.1"}
    assert Settings.from_env(added) == Settings.from_env({})


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("0.0.0.0:0", "0.0.0.0", 0),
        ("relay.internal:65535", "relay.internal", 65535),
        ("[::1]:9", "::1", 9),
        ("[::]:8080", "::", 8080),
    ],
)
def test_a_listen_address_is_host_and_port(text, host, port):
    assert parse_listen(text) == Listen(host=host, port=port)
    assert str(parse_listen(text)) == text


@pytest.mark.parametrize(
    "text",
    ["8080", ":8080", "localhost", "host:", "host:65536", "host:-1", "::1:80", "[::1]", "[x]:1", "http://a:1", "a:٨"],
)
def test_an_invalid_listen_address_is_rejected_with_what_was_expected(text):
    message = fault({"RELAY_LISTEN": text})
    assert message.startswith(f"RELAY_LISTEN is {text!r}; expected host:port")


@given(st.text(max_size=40))
def test_any_listen_text_is_an_address_or_an_error(text):
    try:
        assert parse_listen(str(parse_listen(text))) == parse_listen(text)
    except ValueError as error:
        assert "expected host:port" in str(error)  # noqa: PT017  one of the two outcomes


@pytest.mark.parametrize("days", ["0", "-1", "1.5", "thirty", "+3", "1_000", "99999", "٣"])
def test_retention_is_a_positive_whole_number_of_days(days):
    assert f"is {days!r}; expected a whole number of days" in fault({"RELAY_RETENTION_DAYS": days})


def test_webhook_keys_are_split_at_commas_without_empty_ones():
    keys = Settings.from_env({"RELAY_WEBHOOK_KEYS": " older-key , newer key ,, "}).webhook_keys
    assert [key.get_secret_value() for key in keys] == ["older-key", "newer key"]


@pytest.mark.parametrize("name", ["RELAY_WEBHOOK_KEYS", "RELAY_ADMIN_KEY"])
@given(key=st.text("ж%", min_size=1, max_size=12))
def test_a_short_key_is_rejected_and_the_message_does_not_show_it(name, key):
    if len(key) >= 8:
        assert key in Settings.from_env({name: key}).secret_values()
        return
    message = fault({name: key})
    assert message.startswith(f"{name} contains a key of fewer than 8 characters; expected one that cannot be guessed")
    assert key not in message
    if name == "RELAY_WEBHOOK_KEYS":
        assert fault({name: f"long-enough-key,{key}"}) == message


def test_one_app_key_applies_to_every_integration():
    settings = Settings.from_env({"BIGPANDA_APP_KEY": "k1"})
    assert settings.app_key("default") == settings.app_key("emea") == SecretStr("k1")


def test_a_named_app_key_applies_to_its_integration():
    settings = Settings.from_env({"BIGPANDA_APP_KEY": "default=k1, emea=k2="})
    assert settings.app_key("default") == SecretStr("k1")
    assert settings.app_key("emea") == SecretStr("k2=")
    assert settings.app_key("apac") is None


@pytest.mark.parametrize("text", ["k1,k2", "a=1,k2", "=k", "a=", "a b=k"])
def test_app_keys_in_mixed_forms_are_rejected_without_being_repeated(text):
    assert fault({"BIGPANDA_APP_KEY": text}).startswith("BIGPANDA_APP_KEY expected one key, or name=key")


def test_a_duplicate_integration_is_rejected():
    assert fault({"BIGPANDA_APP_KEY": "a=1,a=2"}) == "BIGPANDA_APP_KEY names the integration 'a' twice"


def test_base_addresses_end_as_their_clients_need():
    settings = Settings.from_env(
        {"SLACK_API_URL": "http://[::1]:9/api", "BIGPANDA_API_URL": "https://eu-api.bigpanda.io/"}
    )
    assert settings.slack_api_url == "http://[::1]:9/api/"
    assert settings.bigpanda_api_url == "https://eu-api.bigpanda.io"


def test_choices_are_case_insensitive():
    settings = Settings.from_env({"RELAY_LOG_LEVEL": "DEBUG", "RELAY_LOG_FORMAT": "Json"})
    assert (settings.log_level, settings.log_format) == ("debug", "json")


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_may_be_in_a_file(name, tmp_path):
    addresses = {"RELAY_DATABASE_URL": "sqlite:///elsewhere.db", "RELAY_HEARTBEAT_URL": "https://beat.example/1"}
    value = addresses.get(name, "from-a-file")
    (tmp_path / "secret").write_text(f"{value}\n")
    by_file = Settings.from_env({f"{name}_FILE": str(tmp_path / "secret")})
    assert by_file == Settings.from_env({name: value})
    assert by_file != Settings.from_env({})


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_set_twice_is_an_error(name):
    message = fault({name: "hush", f"{name}_FILE": "/run/secrets/one"}, read_file=nothing_to_read)
    assert f"{name} and {name}_FILE are both set" in message
    assert "hush" not in message


def test_only_secrets_are_read_from_files():
    assert Settings.from_env({"RELAY_ROUTES_FILE": "/etc/passwd"}, nothing_to_read).routes == Path("routes.yaml")


def test_an_unusable_file_is_reported_with_its_path_and_the_reason(tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path, reason in [
        (tmp_path / "missing", "which cannot be read: No such file or directory"),
        (tmp_path, "which cannot be read: a folder, not a regular file"),
        (tmp_path / "empty", "which is empty"),
        (tmp_path / "binary", "which is not a text file"),
    ]:
        assert fault({"RELAY_ADMIN_KEY_FILE": str(path)}) == f"RELAY_ADMIN_KEY_FILE names {path}, {reason}"


def test_every_invalid_variable_is_reported_and_no_secret_is_shown():
    message = fault({**WRONG, "RELAY_ROUTES": "fine.yaml"})
    assert sorted(line.split()[0] for line in message.splitlines()) == sorted(WRONG)
    assert "hush" not in message
    assert "Value error" not in message
    assert "pydantic" not in message


def test_faults_of_files_and_values_are_reported_together():
    message = fault({"RELAY_ADMIN_KEY_FILE": "/nowhere/at/all", "RELAY_LOG_LEVEL": "loud"})
    assert len(message.splitlines()) == 2


def given_secrets():
    addresses = {
        "RELAY_DATABASE_URL": "postgresql://u:hush@h/n",
        "RELAY_HEARTBEAT_URL": "https://hush.example/hush?a=b",
    }
    return {name: addresses.get(name, f"hush-hush-{name}") for name in SECRETS}


def test_the_admin_key_and_the_operator_key_must_differ():
    message = fault({"RELAY_ADMIN_KEY": "one-key-for-both", "RELAY_OPERATOR_KEY": "one-key-for-both"})
    assert message.startswith("RELAY_OPERATOR_KEY is the same as RELAY_ADMIN_KEY")
    assert "one-key" not in message


def test_printed_settings_show_no_secret():
    settings = Settings.from_env(given_secrets())
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "hush" not in shown


def test_exactly_the_secret_fields_may_be_in_files():
    dumped = Settings.from_env(given_secrets()).model_dump()
    concealing = {name for name, field in VARIABLE_NAMES.items() if "SecretStr" in repr(dumped[field])}
    assert concealing == set(SECRETS)


def test_all_secrets_can_be_listed_for_the_log():
    settings = Settings.from_env(
        {
            "RELAY_WEBHOOK_KEYS": "webhook-1,webhook-2",
            "SLACK_BOT_TOKEN": "xoxb-1",
            "SLACK_SIGNING_SECRET": "sign",
            "SLACK_APP_TOKEN": "xapp-1",
            "BIGPANDA_API_KEY": "api",
            "BIGPANDA_APP_KEY": "a=app1,b=app2",
            "RELAY_ADMIN_KEY": "admin-key",
            "RELAY_OPERATOR_KEY": "operator-key",
            "RELAY_HEARTBEAT_URL": "https://beat.example/1",
            "RELAY_DATABASE_URL": "postgresql://u:p%40ss@h/n?password=query",
        }
    )
    expected = {
        "xoxb-1",
        "sign",
        "xapp-1",
        "api",
        "app1",
        "app2",
        "admin-key",
        "operator-key",
        "https://beat.example/1",
        "p%40ss",
        "p@ss",
        "query",
    }
    assert set(settings.secret_values()) == {"webhook-1", "webhook-2", *expected}
    assert Settings.from_env({}).secret_values() == ()


class MoreSettings(Settings):
    """The settings, and more secrets."""

    pager_token: SecretStr | None = None
    pager_keys: tuple[SecretStr, ...] = ()


def test_a_new_setting_with_a_secret_is_listed_without_another_line():
    more = MoreSettings.model_validate({"RELAY_PAGER_TOKEN": "new", "RELAY_PAGER_KEYS": ("one", "two")})
    assert more.secret_values() == ("new", "one", "two")


def test_serving_needs_a_bot_token_and_a_webhook_key():
    both = {"SLACK_BOT_TOKEN": "xoxb-1", "RELAY_WEBHOOK_KEYS": "webhook-key"}
    settings = Settings.from_env(both)
    assert settings.for_serving() is settings
    assert settings.required_bot_token == "xoxb-1"
    for missing in both:
        given_one = {name: value for name, value in both.items() if name != missing}
        with pytest.raises(SettingsError, match=f"To serve, relay needs {missing}") as caught:
            Settings.from_env(given_one).for_serving()
        assert "and" not in str(caught.value).split(";")[0].split("(")[0]
    with pytest.raises(SettingsError, match="SLACK_BOT_TOKEN"):
        _ = Settings.from_env({}).required_bot_token
    with pytest.raises(SettingsError, match=r"SLACK_BOT_TOKEN .* and RELAY_WEBHOOK_KEYS"):
        Settings.from_env({"RELAY_WEBHOOK_KEYS": " , "}).for_serving()


@pytest.mark.parametrize("quoted", ['"xoxb-1-2"', "'xoxb-1-2'", "\u201cxoxb-1-2\u201d"])
@pytest.mark.parametrize("name", ["SLACK_BOT_TOKEN", "RELAY_WEBHOOK_KEYS", "RELAY_DATABASE_URL", "RELAY_LISTEN"])
def test_a_value_in_quotes_is_named(name, quoted):
    with pytest.raises(SettingsError) as raised:
        Settings.from_env({name: quoted})
    assert str(raised.value) == f"{name} begins and ends with a quote; expected the value without quotes"
    assert "xoxb" not in str(raised.value)


def test_a_star_means_every_ipv4_and_ipv6_address():
    assert parse_listen("*:8080") == parse_listen("[::]:8080") == Listen(host="::", port=8080)
