"""A look at everything that relay stands on, before it is needed: configuration, database, Slack, BigPanda.

It changes nothing anywhere: it asks Slack and BigPanda what they tell anyway, and opens the database beside a relay
that may be running.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import aiohttp

from relay.clock import Clock
from relay.errors import ConfigurationError, RelayError, StoreError, StoreUnready
from relay.loading import Written, check, load
from relay.planning import Channel
from relay.rulebook import Rulebook
from relay.settings import Settings
from relay.slack import Slack
from relay.store import KeptConfiguration, Store
from relay.store.address import parse
from relay.wire import make_session, proxy_for
from relay.workshop import uses
from relay.workshop.diagnosis import Diagnosis, Finding, fine, listed, loss, note, warning
from relay.workshop.doctor_slack import Round

PATIENCE = 10.0
"""Seconds for an answer of BigPanda's."""

ENVIRONMENTS = "/resources/v2.0/environments"
"""A cheap question that needs a key: https://docs.bigpanda.io/reference/retrieve-all-environments."""


async def examine(settings: Settings, clock: Clock | None = None) -> Diagnosis:
    """Look at everything that these settings name. Nothing that is wrong is raised: it is found."""
    found = _settings(settings)
    database, kept, known = await _database(settings)
    configuration, rulebook = await asyncio.to_thread(_configuration, settings, kept)
    found += [*configuration, *database]
    async with make_session() as session:
        if settings.slack_bot_token is not None:
            slack = Slack(session, settings.token, base_url=settings.slack_api_url)
            found += await Round(slack, rulebook, known, clock or Clock()).findings()
        found += await _bigpanda(session, settings, rulebook)
    return Diagnosis(findings=tuple(found))


def _settings(settings: Settings) -> list[Finding]:
    """What `relay serve` refuses to start without."""
    try:
        settings.for_serving()
    except RelayError as error:
        return [loss("settings", "`relay serve` does not start with these.", str(error))]
    return [fine("settings", "`relay serve` can start with them.")]


def _configuration(settings: Settings, kept: KeptConfiguration | None) -> tuple[list[Finding], Rulebook | None]:
    """What is on disk; where that is faulty, what relay goes on with."""
    about = str(settings.routes)
    try:
        rulebook = load(settings.routes, settings.templates).rulebook
    except ConfigurationError as error:
        first, number = error.faults[0], len(error.faults)
        goes_on = "relay goes on with the last good one" if kept else "relay does not start on it"
        what = f"it has {number} fault{'s' if number > 1 else ''}, so {goes_on}. The first: {first}."
        return [loss(about, what, "Run `relay check`, and correct what it says.")], _revived(kept)
    found = [fine(about, f"it has no fault; {len(list(rulebook.routes.everyone()))} routes.")]
    if rulebook.fallback is None:
        remedy = "Name a channel under fallback: at the top of routes.yaml."
        found.append(warning(about, "there is no fallback: what no route takes is kept, and posted nowhere.", remedy))
    return found, rulebook


def _revived(kept: KeptConfiguration | None) -> Rulebook | None:
    if kept is None:
        return None
    try:
        return check(Written(file="routes.yaml", routes=kept.routes, templates=kept.templates)).rulebook
    except ConfigurationError:
        return None


async def _database(settings: Settings) -> tuple[list[Finding], KeptConfiguration | None, dict[str, Channel]]:
    """Whether it is there and ready; and what it knows of configurations and channels."""
    url = settings.database_url.get_secret_value()
    try:
        if (first := _first_start(url)) is not None:
            return [first], None, {}
        async with _opened(url) as store:
            known = {channel.ref: channel for channel in await store.channels()}
            return [fine("database", f"{store.name} is ready.")], await store.configuration(), known
    except StoreUnready:
        what = "it is not ready yet; `relay serve` brings it up to date at its next start."
        return [note("database", what)], None, {}
    except StoreError as error:
        return [loss("database", "relay cannot use it as it is.", str(error))], None, {}


def _first_start(url: str) -> Finding | None:
    """An SQLite file that is not there yet is made at the first start, if the folder allows that."""
    path = parse(url).path
    if path is None or path.exists() or not path.parent.is_dir():
        return None
    if not os.access(path.parent, os.W_OK):
        remedy = f"Let relay's user write in {path.parent}, or change RELAY_DATABASE_URL."
        return loss("database", f"{path} is not there, and nobody may make it.", remedy)
    return note("database", f"{path} is not there yet; `relay serve` makes it at its first start.")


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[Store]:
    store = await Store.open(url, exclusive=False)
    try:
        yield store
    finally:
        await store.close()


async def _bigpanda(session: aiohttp.ClientSession, settings: Settings, rulebook: Rulebook | None) -> list[Finding]:
    """The key and the region. Only what goes from Slack to BigPanda depends on them."""
    if settings.bigpanda_api_key is None:
        needed = rulebook is not None and uses.works_both_ways(rulebook)
        if needed:
            remedy = "Set BIGPANDA_API_KEY to the key of a BigPanda user who may act on incidents."
            return [loss("BigPanda", "routes have actions or sync_replies, and there is no key for them.", remedy)]
        return [note("BigPanda", "not looked at: BIGPANDA_API_KEY is not set, and no route needs it.")]
    status = await _asked(session, settings)
    if status == HTTPStatus.OK:
        return [fine("BigPanda", f"{settings.bigpanda_api_url} takes the key.")]
    bad = loss if rulebook is not None and uses.works_both_ways(rulebook) else warning
    return [bad("BigPanda", *_refusal(status, settings.bigpanda_api_url))]


async def _asked(session: aiohttp.ClientSession, settings: Settings) -> int | str:
    """The status of one answer, or why there was none."""
    key = settings.bigpanda_api_key.get_secret_value() if settings.bigpanda_api_key else ""
    address = settings.bigpanda_api_url + ENVIRONMENTS
    try:
        async with session.get(
            address,
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
            proxy=proxy_for(address),
            timeout=aiohttp.ClientTimeout(total=PATIENCE),
        ) as answer:
            return answer.status
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return type(error).__name__


def _refusal(status: int | str, url: str) -> tuple[str, str]:
    """What is wrong, and what to do. A wrong region answers 404."""
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            what = f"{url} does not take the key (HTTP {status})."
            return what, "Put the key of an active BigPanda user with access to the API into BIGPANDA_API_KEY."
        case HTTPStatus.NOT_FOUND:
            regions = listed(["https://api.bigpanda.io (US)", "https://eu-api.bigpanda.io (EU)"])
            return f"{url} knows no such account (HTTP 404).", f"Set BIGPANDA_API_URL to your region's: {regions}."
        case int():
            return f"{url} answers HTTP {status}.", "Try again later; if it stays so, ask BigPanda's support."
        case _:
            return (
                f"{url} cannot be reached ({status}).",
                "Check BIGPANDA_API_URL, and the network between here and it.",
            )
