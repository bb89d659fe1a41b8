"""`relay sandbox`: a simulated Slack and BigPanda with a web page, to try a configuration."""

import asyncio
import os
import re
import signal
from typing import Annotated

import typer

from relay.cli.loop import run
from relay.cli.options import DEFAULT_LISTEN, ListenAddress, parse_address
from relay.cli.output import say
from relay.config.settings import Listen, Settings
from relay.samples import read_sample
from relay.sandbox.bigpanda.server import FakeBigPanda, serve_bigpanda
from relay.sandbox.bigpanda.users import FakeBigPandaUser
from relay.sandbox.page.page import Page
from relay.sandbox.page.relay_client import RelayClient
from relay.sandbox.slack.interactivity import RequestUrl
from relay.sandbox.slack.server import FakeSlack, serve_slack

_USERS = (("U0SANDBOX1", "ann"), ("U0SANDBOX2", "ben"))
_CHANNEL = re.compile(r"#?(?P<name>[a-z0-9_-]{1,80})(=(?P<id>[CG][A-Z0-9]{2,20}))?")


def sandbox(
    *,
    listen: ListenAddress = DEFAULT_LISTEN,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=ID]",
            help="A public channel to create, optionally with its id. Repeatable; without it, only #alerts.",
        ),
    ] = None,
    rate_limits: Annotated[bool, typer.Option("--rate-limits", help="Apply Slack's rate limits.")] = False,
    relay: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The address of relay. The page then shows what relay knows (with RELAY_ADMIN_KEY), and can send it "
            "shares (with RELAY_WEBHOOK_KEYS).",
        ),
    ] = None,
) -> None:
    """Run a simulated Slack and BigPanda on this machine, to try a configuration.

    Example: `relay sandbox --channel noc --channel payments`.

    They keep everything in memory and send nothing anywhere. Give relay the settings that the command prints, name the
    channels in routes.yaml, and watch them on the page. Clicks and replies on the page reach relay over Socket Mode
    (SLACK_APP_TOKEN), or over HTTP with --relay and SLACK_SIGNING_SECRET. With --relay, the simulated BigPanda knows
    the incidents of the shares that you paste into the page, and sends updates of them. Ctrl-C or SIGTERM ends it.
    """
    slack = FakeSlack()
    slack.limits.enabled = rate_limits
    for number, text in enumerate(channel or ["alerts"], start=1):
        _add_channel(slack, text, f"C0SANDBOX{number}")
    bigpanda = FakeBigPanda()
    for user, name in _USERS:
        slack.add_user(user, name, email=f"{name}@example.com", channels=list(slack.channels))
        bigpanda.add_user(FakeBigPandaUser(id=user, name=name, email=f"{name}@example.com"))
    # Clicks and replies reach relay over HTTP if the environment has a signing secret, else over Socket Mode.
    secret = Settings.from_env(os.environ).slack_signing_secret if relay else None
    slack.interactivity = RequestUrl(relay, secret.get_secret_value()) if relay and secret else slack.socket_mode
    address = parse_address(listen)
    page = Page(slack, _relay_client(relay, bigpanda) if relay else None, host=address.host)
    run(_serve(slack, bigpanda, page, address))


def _relay_client(url: str, bigpanda: FakeBigPanda) -> RelayClient:
    settings = Settings.from_env(
        os.environ
    )  # not `read_settings`: the sandbox prints its own tokens, which may be here
    key = settings.webhook_keys[0].get_secret_value() if settings.webhook_keys else ""
    bigpanda.add_integration(f"{url.rstrip('/')}/shares", {"Authorization": f"Bearer {key}"})
    return RelayClient(
        url=url,
        on_accepted=bigpanda.learn_incident,
        webhook_key=key,
        admin_key=settings.admin_key.get_secret_value() if settings.admin_key else "",
        sample=read_sample("documented").decode(),
    )


def _add_channel(slack: FakeSlack, text: str, default_id: str) -> None:
    parts = _CHANNEL.fullmatch(text)
    if parts is None:
        expected = "a name of lower-case letters, digits, '-' and '_', or name=ID with an id such as C0123456789"
        raise typer.BadParameter(f"{text!r} is not a channel; expected {expected}.", param_hint="--channel")
    channel_id = parts["id"] or default_id
    if channel_id in slack.channels or slack.find_channel(parts["name"]):
        raise typer.BadParameter(f"{text!r} exists already.", param_hint="--channel")
    slack.add_channel(channel_id, parts["name"])


async def _serve(slack: FakeSlack, bigpanda: FakeBigPanda, page: Page, address: Listen) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):  # a process that a script starts in the background ignores SIGINT
        loop.add_signal_handler(number, stop.set)
    try:
        async with (
            serve_slack(slack, address.host, address.port, add_routes=page.add_routes) as slack_url,
            serve_bigpanda(bigpanda, address.host) as bigpanda_url,
        ):
            say(f"SLACK_API_URL={slack_url}")
            say(f"SLACK_BOT_TOKEN={slack.token}")
            say(f"SLACK_APP_TOKEN={slack.app_token}")
            say(f"BIGPANDA_API_URL={bigpanda_url}")
            say(f"BIGPANDA_API_KEY={bigpanda.key}")
            for channel in slack.channels.values():
                say(f"#{channel.name} {channel.id}")
            say(f"Page: {slack_url.removesuffix('api/')}")
            await stop.wait()
    except OSError as error:
        raise typer.BadParameter(f"Cannot listen on {address}: {error.strerror}.", param_hint="--listen") from error
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
