"""The settings, from environment variables: one row for each in `Settings`, with its default and its check.

Nothing here reads the process: `Settings.from_env` gets the environment, and reads the files that `*_FILE` variables
name with the `read_file` that it gets.

A variable that is empty is not set. Unknown variables are ignored; `mistyped` finds those that look like a setting.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args
from urllib.parse import SplitResult, urlsplit

from pydantic import AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from yarl import URL

from relay.config.database_url import check_database_url, secrets_in
from relay.config.regular_file import read_regular_file
from relay.model.board_links import BOARD
from relay.model.buttons import Clicks
from relay.model.errors import SettingsError
from relay.runtime.secrets import SETTING_PREFIXES

ReadFile = Callable[[Path], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """The address of the server: a name or an address (IPv6 without brackets) and a port; port 0 is any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


MAX_SECRET_BYTES: Final = 64 * 1024
"""The size of a file with a secret: far more than any key or list of keys."""


def _read_secret(path: Path) -> str:
    return read_regular_file(path, MAX_SECRET_BYTES).decode()


_HOST_PORT = re.compile(r"(?:\[(?P<ipv6>[^\[\]\s]+)\]|(?P<host>[^\[\]:/\s]+)):(?P<port>[0-9]{1,5})")
_QUOTED = re.compile(r"([\"'])(?s:.*)\1|[\u201c\u2018](?s:.*)[\u201d\u2019]")
"""`docker run --env-file` keeps the quotes that a shell removes."""

_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
_LAST_PORT = 65535
_MAX_DAYS = 36500
_MAX_NAME_LENGTH = 64
_MIN_KEY_LENGTH = 8


def parse_listen(text: str) -> Listen:
    """Parse `host:port`, with brackets around an IPv6 address; `*` is `[::]`, every address of both families.

    Raises ValueError with a message for operators.
    """
    parts = _HOST_PORT.fullmatch(text)
    with suppress(ipaddress.AddressValueError):
        if parts and int(parts["port"]) <= _LAST_PORT:
            if parts["ipv6"]:
                ipaddress.IPv6Address(parts["ipv6"])
            host = parts["ipv6"] or parts["host"]
            return Listen(host="::" if host == "*" else host, port=int(parts["port"]))
    expected = "expected host:port, such as 127.0.0.1:8080, [::1]:8080, or *:8080 for every interface"
    raise ValueError(f"is {text!r}; {expected}")


def _parse_team(text: str) -> str:
    if not re.fullmatch("T[A-Z0-9]{1,31}", text):
        raise ValueError(f"is {text!r}; expected the id of a workspace, such as T0123456789")
    return text


def _parse_days(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= _MAX_DAYS:
        raise ValueError(f"is {text!r}; expected a whole number of days from 1 to {_MAX_DAYS}")
    return int(text)


def _parse_name(text: str) -> str:
    if not _WORD.fullmatch(text) or len(text) > _MAX_NAME_LENGTH:
        raise ValueError(
            f"is {text!r}; expected at most {_MAX_NAME_LENGTH} letters, digits, '.', '_' and '-', such as relay-staging"
        )
    return text


def _parse_header(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError(f"is {text!r}; expected the name of an HTTP header, such as X-Relay-Key")
    return text


def _split_address(text: str) -> SplitResult | None:
    try:
        return urlsplit(text)
    except ValueError:  # a lone bracket, for example
        return None


def _parse_web_address(text: str) -> str:
    # The message does not repeat the address: it may contain a password.
    try:
        address = URL(text)  # the clients parse it in the same way
    except ValueError:
        address = URL()
    is_web = address.scheme in {"http", "https"} and address.host and text.isprintable() and " " not in text
    if not is_web or address.query_string or address.fragment:
        raise ValueError("is not a base address; expected http:// or https://, a host, and an optional path")
    return text.rstrip("/")


def _parse_secret(text: str) -> SecretStr:
    if not text.isprintable():
        raise ValueError("contains a line break or a control character; expected the plain value on one line")
    return SecretStr(text)


def _parse_secret_address(text: str) -> SecretStr:
    # The message does not repeat it: anybody who knows the address can use it.
    try:
        address = URL(text)
    except ValueError:
        address = URL()
    if address.scheme not in {"http", "https"} or not address.host or not text.isprintable() or " " in text:
        raise ValueError("is not an address; expected http:// or https:// and a host")
    return SecretStr(text)


def _parse_token(text: str) -> SecretStr:
    # A header carries it (https://www.rfc-editor.org/rfc/rfc9110#section-5.5).
    if not text.isascii():
        raise ValueError("contains a character that is not ASCII; expected the value as its service shows it")
    return _parse_secret(text)


def _parse_key(text: str) -> SecretStr:
    # A short key can be guessed. The log replaces keys, so a short one would make it unreadable.
    if len(text) < _MIN_KEY_LENGTH:
        raise ValueError(
            f"contains a key of fewer than {_MIN_KEY_LENGTH} characters; "
            "expected one that cannot be guessed, for example from `openssl rand -hex 32`"
        )
    return _parse_secret(text)


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


def _choice(*words: str) -> BeforeValidator:
    def choose(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"is {text!r}; expected one of {', '.join(words)}")
        return text.lower()

    return BeforeValidator(choose)


_Secret = Annotated[SecretStr, BeforeValidator(_parse_secret)] | None
_Token = Annotated[SecretStr, BeforeValidator(_parse_token)] | None


def _variable(field: str) -> str:
    """The variable of a field: its name in capitals, with `RELAY_` unless it belongs to Slack or BigPanda."""
    return field.upper() if field.startswith(("slack_", "bigpanda_")) else f"RELAY_{field.upper()}"


class Settings(BaseModel):
    """The checked settings, made by `from_env`. Each field is one variable; see `_variable` for its name."""

    model_config = ConfigDict(
        frozen=True, hide_input_in_errors=True, alias_generator=AliasGenerator(validation_alias=_variable)
    )

    name: Annotated[str, BeforeValidator(_parse_name)] = "relay"
    listen: Annotated[Listen, BeforeValidator(parse_listen)] = Listen(host="127.0.0.1", port=8080)
    routes: Path = Path("routes.yaml")
    templates: Path = Path("templates")
    database_url: Annotated[SecretStr, BeforeValidator(lambda text: SecretStr(check_database_url(text)))] = SecretStr(
        "sqlite:///relay.db"
    )
    network_file_system: Annotated[Literal["refuse", "allow"], _choice("refuse", "allow")] = "refuse"
    retention_days: Annotated[int, BeforeValidator(_parse_days)] = 30
    webhook_keys: Annotated[
        tuple[SecretStr, ...],
        BeforeValidator(lambda text: tuple(_parse_key(key.strip()) for key in text.split(",") if key.strip())),
    ] = ()
    webhook_header: Annotated[str, BeforeValidator(_parse_header)] = "X-Relay-Key"
    slack_bot_token: _Token = None
    slack_api_url: Annotated[  # slack-sdk appends the method's name as it is
        str, BeforeValidator(lambda text: _parse_web_address(text) + "/")
    ] = "https://slack.com/api/"
    slack_signing_secret: _Secret = None
    slack_app_token: _Token = None
    slack_team_id: Annotated[str, BeforeValidator(_parse_team)] = ""
    bigpanda_api_url: Annotated[str, BeforeValidator(_parse_web_address)] = "https://api.bigpanda.io"
    bigpanda_api_key: _Token = None
    bigpanda_app_keys: Annotated[Mapping[str, SecretStr], BeforeValidator(_parse_app_keys)] = Field(
        default_factory=dict, validation_alias="BIGPANDA_APP_KEY"
    )
    admin_key: Annotated[SecretStr, BeforeValidator(_parse_key)] | None = None
    operator_key: Annotated[SecretStr, BeforeValidator(_parse_key)] | None = None
    admin_listen: Annotated[Listen, BeforeValidator(parse_listen)] | None = None
    public_url: Annotated[str, BeforeValidator(_parse_web_address)] = ""
    heartbeat_url: Annotated[SecretStr, BeforeValidator(_parse_secret_address)] | None = None
    log_format: Annotated[Literal["auto", "console", "json"], _choice("auto", "console", "json")] = "auto"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _choice("debug", "info", "warning", "error")] = (
        "info"
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str], read_file: ReadFile = _read_secret) -> Self:
        """Read the settings from `environ`, and the files that `*_FILE` variables name with `read_file`.

        Raises SettingsError with one line for each invalid variable, never with the value of a secret.
        """
        values, faults = _variables(environ, read_file)
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            # A validator's own message is in `ctx`; pydantic's begins with "Value error, ".
            for fault in error.errors(include_url=False):
                faults.append(f"{fault['loc'][0]} {fault.get('ctx', {}).get('error', fault['msg'])}")
            raise SettingsError("\n".join(faults)) from None
        if settings.operator_key is not None and settings.operator_key == settings.admin_key:
            faults.append(
                "RELAY_OPERATOR_KEY is the same as RELAY_ADMIN_KEY, whose holders may only read; choose another"
            )
        if faults:
            raise SettingsError("\n".join(faults))
        return settings

    def for_serving(self) -> Self:
        """Return these settings if `relay serve` can start with them; else raise SettingsError."""
        required = {
            "SLACK_BOT_TOKEN (the Slack app's bot token, xoxb-...)": self.slack_bot_token,
            "RELAY_WEBHOOK_KEYS (the keys that BigPanda's webhook may send)": self.webhook_keys,
        }
        if missing := " and ".join(name for name, value in required.items() if not value):
            raise SettingsError(
                f"To serve, relay needs {missing}; set each, or set ..._FILE to the path of a file with it."
            )
        return self

    @property
    def required_bot_token(self) -> str:
        """The Slack bot token in clear text; raises SettingsError if it is not set."""
        if self.slack_bot_token is None:
            raise SettingsError("SLACK_BOT_TOKEN (xoxb-...) is not set; relay needs it to call Slack.")
        return self.slack_bot_token.get_secret_value()

    def app_key(self, integration: str) -> SecretStr | None:
        """The BigPanda app key of an integration; a key without a name applies to all integrations."""
        return self.bigpanda_app_keys.get(integration) or self.bigpanda_app_keys.get("")

    @property
    def network_allowed(self) -> bool:
        """Whether the SQLite database may be on a network file system."""
        return self.network_file_system == "allow"

    @property
    def clicks(self) -> Clicks:
        """What relay can do with a click: Slack must reach relay (by HTTP or a socket), and relay BigPanda."""
        if self.slack_signing_secret is None and self.slack_app_token is None:
            return Clicks.UNSEEN
        return Clicks.ACKNOWLEDGED if self.bigpanda_api_key is None else Clicks.CARRIED_OUT

    @property
    def board_address(self) -> str:
        """The address of the board for people; empty if it is off, or nobody knows its public address."""
        is_on = self.admin_key is not None or self.operator_key is not None
        return f"{self.public_url.rstrip('/')}{BOARD}" if is_on and self.public_url else ""

    def can_call_back(self, integration: str) -> bool:
        """Whether relay can report the cards of an integration to BigPanda."""
        return self.bigpanda_api_key is not None and self.app_key(integration) is not None

    def secret_values(self) -> tuple[str, ...]:
        """Every secret in clear text, with those in the database's address: what leaves relay shows none of them."""
        values = [value for name, value in self if name != "database_url"]
        secrets = [*_secrets_of(values), *secrets_in(self.database_url.get_secret_value())]
        return tuple(dict.fromkeys(secrets))


def _secrets_of(value: Any) -> Iterator[str]:
    """The secrets in a field: one, several in a list, or several with names."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, Mapping):
        yield from _secrets_of(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _secrets_of(each)


def _has_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_has_secret, get_args(annotation)))


SECRETS: Final = tuple(
    str(field.validation_alias) for field in Settings.model_fields.values() if _has_secret(field.annotation)
)
"""The variables with a secret: each may also be set as `<name>_FILE`, and relay never prints one."""


def _variables(environ: Mapping[str, str], read_file: ReadFile) -> tuple[dict[str, str], list[str]]:
    """The variables that are set, also by files, and the faults of the files."""
    known = [str(field.validation_alias) for field in Settings.model_fields.values()]
    values = {name: environ[name].strip() for name in known if environ.get(name, "").strip()}
    faults: list[str] = []
    for name in SECRETS:
        path = environ.get(f"{name}_FILE", "").strip()
        if path and name in values:
            faults.append(f"{name} and {name}_FILE are both set; keep one of them")
        elif path:
            problem = "is empty"
            try:
                if text := read_file(Path(path)).strip():
                    values[name] = text
                    continue
            except OSError as error:
                problem = f"cannot be read: {error.strerror or error}"
            except UnicodeDecodeError:
                problem = "is not a text file"
            faults.append(f"{name}_FILE names {Path(path)}, which {problem}")
    for name in [name for name, value in values.items() if _QUOTED.fullmatch(value)]:
        del values[name]
        faults.append(f"{name} begins and ends with a quote; expected the value without quotes")
    return values, faults


_SERVICE_LINK = re.compile(
    r"[A-Z0-9_]+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
"""What Kubernetes sets in every pod for a service, such as one named relay
(https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables)."""

_SIMILAR = 0.8
"""How similar two names are, from 0 to 1, if one of them may be the other, mistyped."""


def mistyped(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that are set and look like a setting, but are none: name -> the name of the nearest setting.

    A name under relay's own prefix, `RELAY_`, is always one of them; then the suggestion may be empty. Names under
    those of Slack and BigPanda may belong to another program: they must be near a setting. Kubernetes' service links
    are not meant.
    """
    known = [str(field.validation_alias) for field in Settings.model_fields.values()]
    known += [f"{name}_FILE" for name in SECRETS]
    found = {}
    for name in environ:
        upper = name.upper()
        if not upper.startswith(SETTING_PREFIXES) or name in known or _SERVICE_LINK.fullmatch(upper):
            continue
        near = _nearest(upper, known)
        if near or upper.startswith(SETTING_PREFIXES[0]):
            found[name] = near
    return found


def did_you_mean(near: str) -> str:
    """The end of a message about an unknown setting."""
    return f"; did you mean {near}?" if near else ""


def _nearest(name: str, known: Sequence[str]) -> str:
    """`name` itself, or the setting that has all its words, or of which it has all words, else the most similar one."""
    if name in known:
        return name
    words = set(name.split("_"))
    inside = [each for each in known if words < (own := set(each.split("_"))) or own < words]
    ranked = get_close_matches(name, inside or known, n=1, cutoff=0.0 if inside else _SIMILAR)
    return ranked[0] if ranked else ""
