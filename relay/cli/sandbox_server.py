"""What `relay sandbox` runs. It is apart from the command, since `relay --help` need not load it."""

import asyncio
import os
import re
import signal
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import typer

from relay.cli.loop import run
from relay.cli.options import port_note
from relay.cli.output import say
from relay.config.settings import Listen, Settings
from relay.samples import read_sample
from relay.sandbox.bigpanda.server import FakeBigPanda, serve_bigpanda
from relay.sandbox.bigpanda.users import FakeBigPandaUser
from relay.sandbox.guide import ADMIN_KEY, WEBHOOK_KEY, SandboxGuide
from relay.sandbox.page.page import Page
from relay.sandbox.page.relay_client import RelayClient
from relay.sandbox.slack.interactivity import RequestUrl
from relay.sandbox.slack.server import FakeSlack, serve_slack

_USERS: Final = (("ann", "U0SANDBOX1"), ("ben", "U0SANDBOX2"))
_CHANNEL = re.compile(r"#?(?P<name>[a-z0-9_-]{1,80})(=(?P<id>[CG][A-Z0-9]{2,20}))?")
_GROUP = re.compile(r"@?(?P<name>[a-z0-9_-]{1,80})(=(?P<id>S[A-Z0-9]{2,20}))?")


def run_sandbox(  # noqa: PLR0913  each is an option of its own
    address: Listen,
    *,
    bigpanda_port: int,
    routes: Path,
    channels: Iterable[str],
    groups: Iterable[str],
    rate_limits: bool,
    relay: str,
) -> None:
    """Run it until it is interrupted.

    Raises RelayError: the routes cannot be read. typer.BadParameter: an option is invalid, or the port is taken.
    """
    slack = FakeSlack()
    slack.limits.enabled = rate_limits
    bigpanda = FakeBigPanda()
    _fill(slack, bigpanda, channels, groups, routes)
    settings = Settings.from_env(os.environ)  # not `read_settings`: the sandbox's own tokens may be here
    # Clicks and replies reach relay over HTTP if the environment has a signing secret, else over Socket Mode.
    secret = settings.slack_signing_secret
    slack.interactivity = RequestUrl(relay, secret.get_secret_value()) if secret else slack.socket_mode
    client = _relay_client(relay, settings)
    bigpanda.add_integration(f"{relay.rstrip('/')}/shares", {"Authorization": f"Bearer {client.webhook_key}"})
    bigpanda.find_share = client.newest_share
    run(_serve(slack, bigpanda, client, address, bigpanda_port))


def _relay_client(url: str, settings: Settings) -> RelayClient:
    return RelayClient(
        url=url,
        webhook_key=settings.webhook_keys[0].get_secret_value() if settings.webhook_keys else WEBHOOK_KEY,
        admin_key=settings.admin_key.get_secret_value() if settings.admin_key else ADMIN_KEY,
        sample=read_sample("documented").decode(),
    )


# --- what exists ---


def _fill(
    slack: FakeSlack, bigpanda: FakeBigPanda, channels: Iterable[str], groups: Iterable[str], routes: Path
) -> None:
    """Make the channels, user groups and users: those of the options, and those that the routes name.

    Raises RelayError: the routes cannot be read. typer.BadParameter: an option is invalid.
    """
    named, people = _named_in(routes) if routes.exists() else ([], {})
    for text in channels:
        _add_channel(slack, text)
    for text in named or ([] if slack.channels else ["alerts"]):
        _add_named_channel(slack, text)
    users, zone = _users(people), _local_zone()
    for name, user in users.items():
        slack.add_user(user, name, email=f"{name}@example.com", timezone=zone, channels=list(slack.channels))
        bigpanda.add_user(FakeBigPandaUser(id=user, name=name, email=f"{name}@example.com"))
    ann = next(iter(users.values()))
    for text in groups:
        _add_group(slack, text, ann)
    unknown = [f"{name}={id_}" for id_, name in people.items() if id_[0] == "S" and id_ not in slack.usergroups]
    for text in unknown or ([] if slack.usergroups else ["oncall"]):
        _add_group(slack, text, ann)


def _users(people: Mapping[str, str]) -> dict[str, str]:
    """Ann, Ben and the users of the routes: name to id. Where the routes name an Ann, she is the Ann of the sandbox."""
    return dict(_USERS) | {name: id_ for id_, name in people.items() if id_[0] in "UW"}


def _local_zone() -> str:
    """This machine's time zone: 09:00 is then the same in Slack's profiles and in the browser."""
    from relay.model.zones import zone_names

    name = os.environ.get("TZ", "").lstrip(":") or str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]
    return name if name in zone_names() else "Etc/UTC"


def _named_in(routes: Path) -> tuple[list[str], dict[str, str]]:
    """What a routes file names: the channels, as for `--channel`, and user groups and users by id.

    Each has its alias in the file as its name, or else its id.
    """
    from relay.tools.check.command import read_rulebook
    from relay.tools.doctor import references
    from relay.tools.message_text import alias_names

    rulebook = read_rulebook(routes)
    aliases = alias_names(rulebook)
    refs = dict.fromkeys(each.ref for each in references.channels(rulebook))
    channels = [ref if ref.startswith("#") else f"{_name(ref, aliases)}={ref}" for ref in refs]
    return channels, {id_: _name(id_, aliases) for id_ in references.people(rulebook)}


def _name(id_: str, aliases: Mapping[str, str]) -> str:
    """A name as Slack allows it."""
    alias = aliases.get(id_, id_).lower()
    return alias if _CHANNEL.fullmatch(alias) else id_.lower()


def _add_channel(slack: FakeSlack, text: str) -> None:
    parts = _CHANNEL.fullmatch(text)
    if parts is None:
        expected = "a name of lower-case letters, digits, '-' and '_', or name=ID with an id such as C0123456789"
        raise typer.BadParameter(f"{text!r} is not a channel; expected {expected}.", param_hint="--channel")
    channel_id = parts["id"] or f"C0SANDBOX{len(slack.channels) + 1}"
    if channel_id in slack.channels or slack.find_channel(parts["name"]):
        raise typer.BadParameter(f"{text!r} exists already.", param_hint="--channel")
    slack.add_channel(channel_id, parts["name"])


def _add_named_channel(slack: FakeSlack, text: str) -> None:
    """Make a channel of the routes, unless an option made it. Where two have one name, the second has its id."""
    name, _, id_ = text.partition("=")
    if slack.find_channel(id_ or name) is None:
        _add_channel(slack, f"{id_.lower()}={id_}" if slack.find_channel(name) else text)


def _add_group(slack: FakeSlack, text: str, member: str) -> None:
    parts = _GROUP.fullmatch(text)
    if parts is None:
        expected = "a name of lower-case letters, digits, '-' and '_', or name=ID with an id such as S0123456789"
        raise typer.BadParameter(f"{text!r} is not a user group; expected {expected}.", param_hint="--group")
    group_id = parts["id"] or f"S0SANDBOX{len(slack.usergroups) + 1}"
    if group_id in slack.usergroups or parts["name"] in {each.handle for each in slack.usergroups.values()}:
        raise typer.BadParameter(f"{text!r} exists already.", param_hint="--group")
    slack.add_usergroup(group_id, parts["name"], users=[member])


# --- serving ---


async def _serve(
    slack: FakeSlack, bigpanda: FakeBigPanda, client: RelayClient, address: Listen, bigpanda_port: int
) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):  # a process that a script starts in the background ignores SIGINT
        loop.add_signal_handler(number, stop.set)
    page = Page(slack, client, host=address.host)
    at_bigpanda = Listen(host=address.host, port=bigpanda_port)
    try:
        async with AsyncExitStack() as stack:
            serving = serve_slack(slack, address.host, address.port, next_free=True, add_routes=page.add_routes)
            slack_url = await stack.enter_async_context(serving)
            serving_bigpanda = serve_bigpanda(bigpanda, at_bigpanda.host, at_bigpanda.port, next_free=True)
            bigpanda_url = await stack.enter_async_context(serving_bigpanda)
            for asked, url in ((address, slack_url), (at_bigpanda, bigpanda_url)):
                if (message := port_note(asked, url)) is not None:
                    say(message, err=True)
            guide = SandboxGuide(
                slack=slack,
                slack_url=slack_url,
                bigpanda=bigpanda,
                bigpanda_url=bigpanda_url,
                relay_url=client.url,
                webhook_key=client.webhook_key if client.webhook_key == WEBHOOK_KEY else "",
                admin_key=client.admin_key if client.admin_key == ADMIN_KEY else "",
            )
            say("\n".join(guide.lines()))
            await stop.wait()
    except OSError as error:
        raise typer.BadParameter(f"Cannot listen on {address}: {error.strerror}.", param_hint="--listen") from error
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
