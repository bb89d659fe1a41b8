"""A look at everything that relay stands on, before it is needed: configuration, database, Slack, BigPanda.

It changes nothing anywhere: it asks Slack and BigPanda what they tell anyway, and opens the database beside a relay
that may be running.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp

from relay.bigpanda.client import BigPandaClient
from relay.bigpanda.outcomes import TaskDone, TaskOutcome
from relay.bigpanda.responses import tag_definitions_of
from relay.cards.model import Channel
from relay.config.files import ConfigurationFiles, build_configuration, load_configuration
from relay.config.settings import Settings
from relay.http.session import make_session
from relay.model.errors import ConfigurationError, RelayError, SettingsError, StoreError, StoreNotMigrated
from relay.routes.rulebook import Rulebook
from relay.runtime.clock import Clock
from relay.slack.client import SlackClient
from relay.slack.outcomes import Read
from relay.store import Store, StoredConfiguration
from relay.store.address import parse_database_url
from relay.tools.doctor import references
from relay.tools.doctor.report import Diagnosis, Finding, error, listed, note, ok, warning
from relay.tools.doctor.slack import SlackChecks


async def examine(settings: Settings, clock: Clock | None = None) -> Diagnosis:
    """Look at everything that these settings name. Nothing that is wrong is raised: it is found."""
    found = _settings(settings)
    database, kept, known = await _database(settings)
    configuration, rulebook = await asyncio.to_thread(_configuration, settings, kept)
    found += [*configuration, *database]
    async with make_session() as session:
        if settings.slack_bot_token is not None:
            slack = SlackClient(session, settings.required_bot_token, base_url=settings.slack_api_url)
            found += await SlackChecks(slack, rulebook, known, clock or Clock()).findings()
        found += await _bigpanda(session, settings, rulebook)
    return Diagnosis(findings=tuple(found))


def _settings(settings: Settings) -> list[Finding]:
    """What `relay serve` refuses to start without."""
    try:
        settings.for_serving()
    except RelayError as raised:
        return [error("settings", "`relay serve` does not start with these.", str(raised))]
    return [ok("settings", "`relay serve` can start with them.")]


def _configuration(settings: Settings, kept: StoredConfiguration | None) -> tuple[list[Finding], Rulebook | None]:
    """What is on disk; where that is faulty, what relay goes on with."""
    about = str(settings.routes)
    try:
        rulebook = load_configuration(settings.routes, settings.templates).rulebook
    except ConfigurationError as raised:
        first, number = raised.faults[0], len(raised.faults)
        goes_on = "relay goes on with the last good one" if kept else "relay does not start on it"
        what = f"it has {number} fault{'s' if number > 1 else ''}, so {goes_on}. The first: {first}."
        return [error(about, what, "Run `relay check`, and correct what it says.")], _revived(kept)
    found = [ok(about, f"it has no fault; {len(list(rulebook.routes.flatten()))} routes.")]
    if rulebook.fallback is None:
        remedy = "Name a channel under fallback: at the top of routes.yaml."
        found.append(warning(about, "there is no fallback: what no route takes is kept, and posted nowhere.", remedy))
    return found, rulebook


def _revived(kept: StoredConfiguration | None) -> Rulebook | None:
    if kept is None:
        return None
    try:
        return build_configuration(
            ConfigurationFiles(routes_file="routes.yaml", routes_text=kept.routes, templates=kept.templates)
        ).rulebook
    except ConfigurationError:
        return None


async def _database(settings: Settings) -> tuple[list[Finding], StoredConfiguration | None, dict[str, Channel]]:
    """Whether it is there and ready; and what it knows of configurations and channels."""
    url = settings.database_url.get_secret_value()
    try:
        if (first := _first_start(url)) is not None:
            return [first], None, {}
        async with _opened(url) as store:
            known = {channel.ref: channel for channel in await store.channels()}
            return [ok("database", f"{store.name} is ready.")], await store.latest_configuration(), known
    except StoreNotMigrated:
        what = "it is not ready yet; `relay serve` brings it up to date at its next start."
        return [note("database", what)], None, {}
    except StoreError as raised:
        return [error("database", "relay cannot use it as it is.", str(raised))], None, {}


def _first_start(url: str) -> Finding | None:
    """An SQLite file that is not there yet is made at the first start, if the folder allows that."""
    path = parse_database_url(url).path
    if path is None or path.exists() or not path.parent.is_dir():
        return None
    if not os.access(path.parent, os.W_OK):
        remedy = f"Let relay's user write in {path.parent}, or change RELAY_DATABASE_URL."
        return error("database", f"{path} is not there, and nobody may make it.", remedy)
    return note("database", f"{path} is not there yet; `relay serve` makes it at its first start.")


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Store]:
    store = await Store.open(url, exclusive=False)
    try:
        yield store
    finally:
        await store.close()


async def _bigpanda(session: aiohttp.ClientSession, settings: Settings, rulebook: Rulebook | None) -> list[Finding]:
    """The key and the region, and what people need to act from Slack."""
    acts = rulebook is not None and references.accepts_actions(rulebook)
    found = await _way_in(session, settings) if acts else []
    if settings.bigpanda_api_key is None:
        if acts:
            remedy = "Set BIGPANDA_API_KEY to the key of a BigPanda user who may act on incidents."
            return [
                *found,
                error("BigPanda", "routes have actions or sync_replies, and there is no key for them.", remedy),
            ]
        return [note("BigPanda", "not looked at: BIGPANDA_API_KEY is not set, and no route needs it.")]
    bad = error if acts else warning
    try:
        panda = BigPandaClient(
            session, settings.bigpanda_api_key.get_secret_value(), base_url=settings.bigpanda_api_url
        )
    except SettingsError as raised:
        return [*found, bad("BigPanda", "relay cannot use it as it is set.", str(raised))]
    ruling = await panda.tag_definitions()
    if isinstance(ruling, TaskDone):
        tags = len(tag_definitions_of(ruling.body))
        return [
            *found,
            ok("BigPanda", f"{settings.bigpanda_api_url} takes the key, and defines {tags} tags."),
            *_callback(settings),
        ]
    remedy = getattr(ruling, "remedy", "") or "Check BIGPANDA_API_URL, and the network between here and it."
    return [
        *found,
        bad("BigPanda", f"{settings.bigpanda_api_url} does not answer as it should: {_plainly(ruling)}.", remedy),
    ]


def _plainly(ruling: TaskOutcome) -> str:
    detail = getattr(ruling, "detail", "")
    return ruling.reason.replace("_", " ") + (f" ({detail})" if detail else "")


async def _way_in(session: aiohttp.ClientSession, settings: Settings) -> list[Finding]:
    """Clicks and replies reach relay over HTTP or over a socket; without either, buttons are not shown."""
    about, token = "Slack interactivity", settings.slack_app_token
    if settings.slack_signing_secret is None and token is None:
        what = "routes have actions or sync_replies, and Slack has no way to tell relay: no card has buttons."
        remedy = "Set SLACK_SIGNING_SECRET (Slack calls relay's address), or SLACK_APP_TOKEN (Socket Mode)."
        return [error(about, what, remedy)]
    if token is not None:
        answer = await SlackClient(session, token.get_secret_value(), base_url=settings.slack_api_url).open_socket()
        if not isinstance(answer, Read):
            what = f"Slack opens no socket for SLACK_APP_TOKEN: {answer.reason.replace('_', ' ')}."
            remedy = (
                "It must be an app-level token (xapp-...) with connections:write; switch Socket Mode on in the app."
            )
            return [error(about, what, remedy)]
        return [ok(about, "what people do in Slack comes over a socket; Slack opens one.")]
    return [ok(about, "what people do in Slack comes over HTTP, where the app's settings name relay's address.")]


def _callback(settings: Settings) -> Iterator[Finding]:
    """With the callback service switched on in BigPanda, updates wait for relay's word."""
    if not settings.bigpanda_app_keys:
        what = (
            "the callback service is off: BIGPANDA_APP_KEY is not set. It is needed where BigPanda has it switched on."
        )
        yield note("BigPanda callback", what)
    else:
        names = listed(name or "every integration" for name in settings.bigpanda_app_keys)
        yield ok("BigPanda callback", f"BigPanda is told when cards exist, for {names}.")
