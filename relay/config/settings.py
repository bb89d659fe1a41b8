"""The environment as a value: each variable that relay reads, its default, and what is wrong with it in plain words.

Nothing here looks at the process: `Settings.from_env` is given the environment, and the only thing it reads besides is
the files that `*_FILE` variables name, through the `read_file` it is handed.

A variable that is set to nothing is not set. Variables that relay does not know are left alone, even `RELAY_...`:
Kubernetes puts `RELAY_PORT` and its kin into every pod that lives beside a service called relay.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from relay.model.errors import SettingsError

ReadFile = Callable[[Path], str]

SECRETS = (
    "RELAY_DATABASE_URL",  # may hold a password
    "RELAY_WEBHOOK_KEYS",
    "SLACK_BOT_TOKEN",
    "SLACK_SIGNING_SECRET",
    "SLACK_APP_TOKEN",
    "BIGPANDA_API_KEY",
    "BIGPANDA_APP_KEY",
    "RELAY_ADMIN_KEY",
)
"""The variables that hold a secret: each may also be given as `<name>_FILE`, and none is ever printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where the server listens: a name or an address (IPv6 without its brackets) and a port, 0 meaning any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        """Read as it is written in `RELAY_LISTEN`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_utf8(path: Path) -> str:
    """Read a small text file: the `read_file` of everyday life, and the only input of this module."""
    return path.read_text(encoding="utf-8")


_HOST_PORT = re.compile(r"(?:\[(?P<ipv6>[^\[\]\s]+)\]|(?P<host>[^\[\]:/\s]+)):(?P<port>[0-9]{1,5})")
_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
_DATABASES = ("sqlite", "postgresql")
_LAST_PORT = 65535
_A_CENTURY = 36500
_SHORTEST_KEY = 8
_A_KEY = "expected one that nobody guesses, such as `openssl rand -hex 32` makes"


def parse_listen(text: str) -> Listen:
    """Read `host:port`; an IPv6 address stands in brackets. Raises ValueError with a sentence."""
    expected = "expected host:port, such as 127.0.0.1:8080, 0.0.0.0:8080 for every interface, or [::1]:8080"
    parts = _HOST_PORT.fullmatch(text)
    if parts is None or int(parts["port"]) > _LAST_PORT:
        raise ValueError(f"is {text!r}; {expected}")
    if parts["ipv6"] is not None:
        try:
            ipaddress.IPv6Address(parts["ipv6"])
        except ValueError:
            raise ValueError(f"is {text!r}; {expected}") from None
    return Listen(host=parts["ipv6"] or parts["host"], port=int(parts["port"]))


def _parse_days(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= _A_CENTURY:
        raise ValueError(f"is {text!r}; expected a whole number of days from 1 to {_A_CENTURY}")
    return int(text)


def _parse_header(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError(f"is {text!r}; expected the name of an HTTP header, such as X-Relay-Key")
    return text


def _split_address(text: str) -> SplitResult | None:
    """Split an address; None where it is none (urllib objects to a lone bracket, for one)."""
    try:
        return urlsplit(text)
    except ValueError:
        return None


def _parse_web_address(text: str) -> str:
    # The address itself is not repeated: it may hold a password for a proxy.
    parts = _split_address(text)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("is no base address; expected http:// or https://, a host, and perhaps a path")
    return text.rstrip("/")


def _parse_slack_address(text: str) -> str:
    return _parse_web_address(text) + "/"  # slack-sdk appends the method's name as it is


def _parse_database(text: str) -> SecretStr:
    # Not repeated either, for the password's sake. `postgresql+psycopg` and the like name a driver: let through.
    parts = _split_address(text)
    if parts is None or parts.scheme.partition("+")[0] not in _DATABASES or "://" not in text:
        raise ValueError(
            "is no database relay can use; expected sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME"
        )
    return SecretStr(text)


def _parse_secret(text: str) -> SecretStr:
    if not text.isprintable():
        raise ValueError("holds a line break or a control character; expected the bare value on one line")
    return SecretStr(text)


def _parse_key(text: str) -> SecretStr:
    # Whoever is let in by it is not to guess it; and the log, which hides it wherever it stands, must stay legible.
    if len(text) < _SHORTEST_KEY:
        raise ValueError(f"holds a key of fewer than {_SHORTEST_KEY} characters; {_A_KEY}")
    return _parse_secret(text)


def _parse_keys(text: str) -> tuple[SecretStr, ...]:
    return tuple(_parse_key(key.strip()) for key in text.split(",") if key.strip())


def _parse_app_keys(text: str) -> dict[str, SecretStr]:
    items = [item.strip() for item in text.split(",") if item.strip()]
    if len(items) == 1 and "=" not in items[0]:
        return {"": _parse_secret(items[0])}
    keys: dict[str, SecretStr] = {}
    for name, equals, key in (item.partition("=") for item in items):
        if not equals or not key or not _WORD.fullmatch(name):
            raise ValueError("expected one key, or name=key,name=key with a name of letters, digits, '.', '_' and '-'")
        if name in keys:
            raise ValueError(f"names the integration {name!r} twice")
        keys[name] = _parse_secret(key)
    return keys


def _one_of(*words: str) -> BeforeValidator:
    def choose(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"is {text!r}; expected one of {', '.join(words)}")
        return text.lower()

    return BeforeValidator(choose)


_Secret = Annotated[SecretStr, BeforeValidator(_parse_secret)]


class Settings(BaseSettings):
    """What the environment says, checked. Made by `from_env`; the variable of each field is its `validation_alias`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", validate_default=False, hide_input_in_errors=True)

    listen: Annotated[Listen, BeforeValidator(parse_listen)] = Field(
        default=Listen(host="127.0.0.1", port=8080), validation_alias="RELAY_LISTEN"
    )
    routes: Path = Field(default=Path("routes.yaml"), validation_alias="RELAY_ROUTES")
    templates: Path = Field(default=Path("templates"), validation_alias="RELAY_TEMPLATES")
    database_url: Annotated[SecretStr, BeforeValidator(_parse_database)] = Field(
        default=SecretStr("sqlite:///relay.db"), validation_alias="RELAY_DATABASE_URL"
    )
    retention_days: Annotated[int, BeforeValidator(_parse_days)] = Field(
        default=30, validation_alias="RELAY_RETENTION_DAYS"
    )
    webhook_keys: Annotated[tuple[SecretStr, ...], BeforeValidator(_parse_keys)] = Field(
        default=(), validation_alias="RELAY_WEBHOOK_KEYS"
    )
    webhook_header: Annotated[str, BeforeValidator(_parse_header)] = Field(
        default="X-Relay-Key", validation_alias="RELAY_WEBHOOK_HEADER"
    )
    slack_bot_token: _Secret | None = Field(default=None, validation_alias="SLACK_BOT_TOKEN")
    slack_api_url: Annotated[str, BeforeValidator(_parse_slack_address)] = Field(
        default="https://slack.com/api/", validation_alias="SLACK_API_URL"
    )
    slack_signing_secret: _Secret | None = Field(default=None, validation_alias="SLACK_SIGNING_SECRET")
    slack_app_token: _Secret | None = Field(default=None, validation_alias="SLACK_APP_TOKEN")
    bigpanda_api_url: Annotated[str, BeforeValidator(_parse_web_address)] = Field(
        default="https://api.bigpanda.io", validation_alias="BIGPANDA_API_URL"
    )
    bigpanda_api_key: _Secret | None = Field(default=None, validation_alias="BIGPANDA_API_KEY")
    bigpanda_app_keys: Annotated[Mapping[str, SecretStr], BeforeValidator(_parse_app_keys)] = Field(
        default_factory=dict, validation_alias="BIGPANDA_APP_KEY"
    )
    admin_key: Annotated[SecretStr, BeforeValidator(_parse_key)] | None = Field(
        default=None, validation_alias="RELAY_ADMIN_KEY"
    )
    log_format: Annotated[Literal["auto", "console", "json"], _one_of("auto", "console", "json")] = Field(
        default="auto", validation_alias="RELAY_LOG_FORMAT"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _one_of("debug", "info", "warning", "error")] = (
        Field(default="info", validation_alias="RELAY_LOG_LEVEL")
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  pydantic-settings calls with all of these by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the same
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `from_env` was given and nothing else: never the process's own environment, never a .env file."""
        return (init_settings,)

    @classmethod
    def from_env(cls, environ: Mapping[str, str], read_file: ReadFile = read_utf8) -> Self:
        """Make the settings of `environ`; the files that `*_FILE` variables name are read with `read_file`.

        Raises SettingsError with one line for every variable that is wrong, never with a secret's value.
        """
        values, faults = _gather(environ, read_file)
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            faults += [f"{fault['loc'][0]} {_reason(fault)}" for fault in error.errors(include_url=False)]
            raise SettingsError("\n".join(faults)) from None
        if faults:
            raise SettingsError("\n".join(faults))
        return settings

    def for_serving(self) -> Self:
        """Return these settings where `relay serve` can start with them, else raise SettingsError."""
        missing = []
        if self.slack_bot_token is None:
            missing.append("SLACK_BOT_TOKEN (the Slack app's bot token, xoxb-...)")
        if not self.webhook_keys:
            missing.append("RELAY_WEBHOOK_KEYS (the keys BigPanda's webhook may show)")
        if missing:
            needed = " and ".join(missing)
            raise SettingsError(
                f"To serve, relay needs {needed}; set each, or name the file that holds it in ..._FILE."
            )
        return self

    @property
    def required_bot_token(self) -> str:
        """The Slack bot token in clear, for whoever has been through `for_serving`; else raises SettingsError."""
        if self.slack_bot_token is None:
            raise SettingsError("Slack can be reached with SLACK_BOT_TOKEN (xoxb-...) only, and it is not set.")
        return self.slack_bot_token.get_secret_value()

    def app_key(self, integration: str) -> SecretStr | None:
        """Find the BigPanda app key of an integration, by its name. A key given without a name is everybody's."""
        return self.bigpanda_app_keys.get(integration) or self.bigpanda_app_keys.get("")

    @property
    def buttons_enabled(self) -> bool:
        """Whether people can act from Slack: it reaches relay (by HTTP or a socket), and relay reaches BigPanda."""
        reached = self.slack_signing_secret is not None or self.slack_app_token is not None
        return reached and self.bigpanda_api_key is not None

    def can_call_back(self, integration: str) -> bool:
        """Whether BigPanda can be told that the cards of an integration exist."""
        return self.bigpanda_api_key is not None and self.app_key(integration) is not None

    def secret_values(self) -> tuple[str, ...]:
        """List every secret in clear, the database's password included, for whoever has to keep them out of sight."""
        single = (self.slack_bot_token, self.slack_signing_secret, self.slack_app_token, self.bigpanda_api_key)
        several = (self.admin_key, *self.webhook_keys, *self.bigpanda_app_keys.values())
        found = [secret.get_secret_value() for secret in (*single, *several) if secret is not None]
        return tuple(dict.fromkeys([*found, *_passwords(self.database_url.get_secret_value())]))


def _passwords(address: str) -> list[str]:
    """Find the password in a database's address, as written and as meant; libpq takes one from the query too."""
    parts = urlsplit(address)
    written = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    return [password for text in written for password in (text, unquote(text)) if password]


def _reason(fault: Any) -> str:
    """Say what a validator said, without pydantic's "Value error, " before it."""
    return str(fault.get("ctx", {}).get("error", fault["msg"]))


def _gather(environ: Mapping[str, str], read_file: ReadFile) -> tuple[dict[str, str], list[str]]:
    """Find the variables that are set, those in files included; and what is wrong with the files."""
    known = (str(field.validation_alias) for field in Settings.model_fields.values())
    values = {name: environ[name].strip() for name in known if environ.get(name, "").strip()}
    faults: list[str] = []
    for name in SECRETS:
        path = environ.get(f"{name}_FILE", "").strip()
        if path and name in values:
            faults.append(f"{name} and {name}_FILE are both set; keep one of them")
        elif path:
            try:
                values[name] = _read_secret(Path(path), read_file)
            except ValueError as error:
                faults.append(f"{name}_FILE {error}")
    return values, faults


def _read_secret(path: Path, read_file: ReadFile) -> str:
    try:
        text = read_file(path).strip()
    except OSError as error:
        raise ValueError(f"names {path}, which cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise ValueError(f"names {path}, which is not a text file") from None
    if not text:
        raise ValueError(f"names {path}, which is empty")
    return text
