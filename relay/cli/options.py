"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from relay.config.settings import Listen, parse_listen

RoutesFile = Annotated[Path, typer.Option("--routes", metavar="FILE", envvar="RELAY_ROUTES", help="The routes file.")]
TemplatesFolder = Annotated[
    Path, typer.Option("--templates", metavar="DIR", envvar="RELAY_TEMPLATES", help="The folder of templates.")
]
Headers = Annotated[
    list[str] | None,
    typer.Option("--header", metavar="NAME=VALUE", help="An HTTP header of the shares. Repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ListenAddress = Annotated[
    str, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 means any free port.")
]
DEFAULT_LISTEN = "127.0.0.1:8090"


def parse_headers(values: list[str] | None) -> dict[str, str]:
    """Parse `--header name=value`. Raises typer.BadParameter if a value has another form."""
    headers = {}
    for text in values or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            message = f"{text!r} is not a header; expected name=value, such as X-Relay-Integration=emea."
            raise typer.BadParameter(message, param_hint="--header")
        headers[name.strip()] = value.strip()
    return headers


def parse_address(text: str) -> Listen:
    """Parse `--listen`. Raises typer.BadParameter if it is not HOST:PORT."""
    try:
        return parse_listen(text)
    except ValueError as error:
        raise typer.BadParameter(f"It {error}.", param_hint="--listen") from error
