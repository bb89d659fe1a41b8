"""`relay sandbox`: the stand-ins of Slack and BigPanda and their page, to try a configuration against."""

import asyncio
import os
import re
import signal
from importlib.resources import files
from typing import Annotated

import typer

from relay.cli.loop import run
from relay.config.settings import Listen, Settings, parse_listen
from relay.sandbox.bigpanda.server import FakeBigPanda, serve_bigpanda
from relay.sandbox.bigpanda.users import FakeBigPandaUser
from relay.sandbox.page.page import Page
from relay.sandbox.page.relay_client import RelayClient
from relay.sandbox.slack.interactivity import AppTransport, RequestUrl
from relay.sandbox.slack.server import FakeSlack, serve_slack

_PEOPLE = (("U0SANDBOX1", "ann"), ("U0SANDBOX2", "ben"))
_CHANNEL = re.compile(r"#?(?P<name>[a-z0-9_-]{1,80})(=(?P<id>[CG][A-Z0-9]{2,20}))?")


def sandbox(
    *,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 takes any free one.")
    ] = "127.0.0.1:8090",
    channel: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=ID]", help="A public channel to have, with the id that it shall have. Repeatable."),
    ] = None,
    rate_limits: Annotated[
        bool, typer.Option("--rate-limits", help="Refuse what comes too fast, as Slack does.")
    ] = False,
    relay: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where relay listens, so that the page can show what it knows (by RELAY_ADMIN_KEY) and send it "
            "shares (by RELAY_WEBHOOK_KEYS).",
        ),
    ] = None,
) -> None:
    """Run stand-ins of Slack and BigPanda on this machine, to try a configuration against.

    They keep everything in memory and send nothing anywhere. Give relay the settings that they print, let routes.yaml
    name the channels, and watch them on the page. What you press and write there reaches relay over the socket that
    SLACK_APP_TOKEN opens; with --relay and a SLACK_SIGNING_SECRET over HTTP. With --relay, BigPanda's stand-in has the
    incidents of the shares that you paste into the page, and shares what becomes of them. Ctrl-C or a SIGTERM ends it.
    """
    slack = FakeSlack()
    slack.rate_limits = rate_limits
    for number, text in enumerate(channel or ["alerts"], start=1):
        _add_channel(slack, text, f"C0SANDBOX{number}")
    for user, name in _PEOPLE:
        slack.add_user(user, name, email=f"{name}@example.com", channels=list(slack.channels))
    slack.interactivity = _way(slack, relay)
    address = parse_address(listen)
    panda = FakeBigPanda()
    for user, name in _PEOPLE:
        panda.add_user(FakeBigPandaUser(id=user, name=name, email=f"{name}@example.com"))
    page = Page(slack, _backstage(relay, panda) if relay else None, host=address.host)
    run(_serve(slack, panda, page, address))


def parse_address(text: str) -> Listen:
    """The address of `--listen`.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return parse_listen(text)
    except ValueError as error:
        raise typer.BadParameter(f"It {error}.", param_hint="--listen") from error


def _backstage(url: str, panda: FakeBigPanda) -> RelayClient:
    """The relay at that address, asked with the keys that it was given in the environment."""
    settings = Settings.from_env(os.environ)
    key = settings.webhook_keys[0].get_secret_value() if settings.webhook_keys else ""
    panda.add_integration(f"{url.rstrip('/')}/shares", {"Authorization": f"Bearer {key}"})
    return RelayClient(
        url=url,
        on_accepted=panda.learn_incident,
        webhook_key=key,
        admin_key=settings.admin_key.get_secret_value() if settings.admin_key else "",
        sample=(files("relay") / "samples" / "documented-sample.json").read_text(encoding="utf-8"),
    )


def _way(slack: FakeSlack, relay: str | None) -> AppTransport:
    """How relay hears of what people do: signed with the secret that it has in the environment, else by its socket."""
    secret = Settings.from_env(os.environ).slack_signing_secret if relay else None
    return RequestUrl(relay, secret.get_secret_value()) if relay and secret else slack.socket_mode


def _add_channel(slack: FakeSlack, text: str, otherwise: str) -> None:
    parts = _CHANNEL.fullmatch(text)
    if parts is None:
        expected = "a name of small letters, digits, '-' and '_', or name=ID with an id such as C0123456789"
        raise typer.BadParameter(f"{text!r} is no channel; expected {expected}.", param_hint="--channel")
    wanted = parts["id"] or otherwise
    if wanted in slack.channels or slack.find_channel(parts["name"]):
        raise typer.BadParameter(f"{text!r} is there already.", param_hint="--channel")
    slack.add_channel(wanted, parts["name"])


async def _serve(slack: FakeSlack, panda: FakeBigPanda, page: Page, address: Listen) -> None:
    over, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):  # the first is ignored by what a script starts in the background
        loop.add_signal_handler(number, over.set)
    try:
        async with (
            serve_slack(slack, address.host, address.port, add_routes=page.add_routes) as base,
            serve_bigpanda(panda, address.host) as bigpanda,
        ):
            _introduce(slack, base, panda, bigpanda)
            await over.wait()
    except OSError as error:
        raise typer.BadParameter(f"Cannot listen on {address}: {error.strerror}.", param_hint="--listen") from error
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _introduce(slack: FakeSlack, base: str, panda: FakeBigPanda, bigpanda: str) -> None:
    typer.echo(f"SLACK_API_URL={base}")
    typer.echo(f"SLACK_BOT_TOKEN={slack.token}")
    typer.echo(f"SLACK_APP_TOKEN={slack.app_token}")
    typer.echo(f"BIGPANDA_API_URL={bigpanda}")
    typer.echo(f"BIGPANDA_API_KEY={panda.key}")
    for channel in slack.channels.values():
        typer.echo(f"#{channel.name} {channel.id}")
    typer.echo(f"Its page: {base.removesuffix('api/')}")
