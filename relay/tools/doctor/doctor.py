"""Checks everything that relay depends on: settings, configuration, database, Slack, BigPanda.

It only reads from Slack and BigPanda. It opens the database beside a relay that may be running, and writes nothing
there but what each health check writes.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

import aiohttp

from relay.bigpanda.gateway import BigPandaGateway
from relay.bigpanda.outcomes import TaskDone
from relay.bigpanda.responses import tag_definitions_of
from relay.cards.model import Channel
from relay.cards.summaries import SummaryProgress
from relay.config.files import build_configuration, read_files
from relay.config.settings import Settings, did_you_mean
from relay.http.session import make_session
from relay.model.buttons import Clicks
from relay.model.counting import counted
from relay.model.errors import ConfigurationError, RelayError, SettingsError, StoreError, StoreNotMigrated
from relay.model.zones import TZDATA_REMEDY, tzdata_is_old, tzdata_version
from relay.routes.rulebook import Rulebook
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway
from relay.slack.outcomes import Read
from relay.slack.workspace import SlackWorkspace
from relay.store.address import parse_database_url
from relay.store.database import missing_database
from relay.store.file_system import KEEP_IT
from relay.store.store import Store
from relay.store.types import StoredConfiguration
from relay.tools.check.slack_validation import ValidationUnavailable, slack_complaints
from relay.tools.doctor.references import accepts_actions
from relay.tools.doctor.reminders import reminder_findings
from relay.tools.doctor.report import Diagnosis, Finding, error, join_names, note, ok, warning
from relay.tools.doctor.slack import SlackChecks, slack_works
from relay.tools.doctor.summaries import summary_findings
from relay.tools.live_slack import slack_gateway
from relay.tools.live_store import build_stored, open_live_store


async def examine(
    settings: Settings,
    clock: Clock | None = None,
    *,
    unknown: Mapping[str, str] = MappingProxyType({}),
    authorities: str = "",
) -> Diagnosis:
    """Check everything that these settings name. Every problem becomes a finding; none is raised.

    `unknown` are variables that look like a setting and are none, each with the nearest setting. `authorities` is the
    value of SSL_CERT_FILE.
    """
    clock = clock or Clock()
    findings = [
        *_settings(settings),
        *map(_unknown, unknown, unknown.values()),
        *_authorities(authorities),
        _time_zones(clock.now()),
        await asyncio.to_thread(_listen, settings),
    ]
    database, stored, known, workspace, progress, sharing = await _database(settings)
    configuration, rulebook = await asyncio.to_thread(_configuration, settings, stored, clock.now())
    findings += [*configuration, *database]
    if rulebook is not None:
        findings += summary_findings(rulebook, progress, clock.now())
        findings += reminder_findings(rulebook, sharing, can_ask=settings.bigpanda_api_key is not None)
    async with make_session() as session:
        if settings.slack_bot_token is not None:
            slack = slack_gateway(session, settings, clock)
            reachable = settings.clicks is not Clicks.UNSEEN
            findings += await SlackChecks(slack, rulebook, known, clock, workspace, reachable).findings()
            if slack_works(findings):
                findings.append(await _messages(slack, settings))
        if rulebook is not None and accepts_actions(rulebook):
            findings += [await _interactivity(session, settings), *await _bigpanda(session, settings, needed=True)]
        else:
            findings += await _bigpanda(session, settings, needed=False)
    return Diagnosis(findings=tuple(findings))


def _settings(settings: Settings) -> list[Finding]:
    try:
        settings.for_serving()
    except RelayError as raised:
        return [error("settings", "`relay serve` cannot start with them.", str(raised))]
    return [ok("settings", "`relay serve` can start with them.")]


def _unknown(name: str, near: str) -> Finding:
    remedy = f"Rename it to {near}, or remove it." if near else "Remove it; docs/reference.md lists the settings."
    message = f"{name} is set, but no setting has this name{did_you_mean(near) or '.'}"
    return warning("settings", message, remedy)


def _authorities(file: str) -> list[Finding]:
    """OpenSSL ignores a file that it cannot read, and then trusts no authority at all."""
    try:
        ssl.create_default_context(cafile=file or None)
    except OSError as raised:  # ssl.SSLError is one
        remedy = "Set it to a PEM file with the certificates of your authorities, or remove it."
        return [error("certificates", f"SSL_CERT_FILE is {file}, which cannot be read: {raised}.", remedy)]
    return []


def _time_zones(now: float) -> Finding:
    message = f"relay uses the package tzdata, version {tzdata_version()}."
    if tzdata_is_old(now):
        return warning("time zones", f"{message} It is older than a year.", TZDATA_REMEDY)
    return ok("time zones", message)


def _past_dates(rulebook: Rulebook, now: float) -> list[Finding]:
    """Hours that consist of dates, such as holidays, are soon forgotten: nobody adds those of the next year."""
    today = datetime.fromtimestamp(now, UTC).date()
    last = {
        name: max(end for window in hours.windows for _, end in window.dates or ())
        for name, hours in rulebook.hours.items()
        if any(window.dates for window in hours.windows)
    }
    return [
        warning(
            f"hours {name}", f"they are over: their last date was {day}.", "Add the next dates, or remove these hours."
        )
        for name, day in last.items()
        if day < today
    ]


def _listen(settings: Settings) -> Finding:
    """Bind the address for a moment, without listening: a relay that runs may have it already."""
    address = settings.listen
    remedy = "Change RELAY_LISTEN."
    try:
        for family, kind, protocol, _, target in socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as server:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6 and address.host == "::" and socket.has_dualstack_ipv6():
                    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # as relay does
                server.bind(target)
    except OSError as raised:
        if raised.errno == errno.EADDRINUSE:
            message = f"a process listens on {address} already: a running relay, or another program."
            return note("RELAY_LISTEN", message)
        message = f"relay cannot listen on {address}: {raised.strerror or raised}."
        return error("RELAY_LISTEN", message, remedy)
    return ok("RELAY_LISTEN", f"relay can listen on {address}.")


def _configuration(
    settings: Settings, stored: StoredConfiguration | None, now: float
) -> tuple[list[Finding], Rulebook | None]:
    """The findings about the files on disk, and the rulebook to check: the stored one, if the files are invalid."""
    subject = str(settings.routes)
    try:
        files = read_files(settings.routes, settings.templates)
        rulebook = build_configuration(files, had_templates=bool(stored and stored.templates)).rulebook
    except ConfigurationError as raised:
        first, number = raised.faults[0], len(raised.faults)
        effect = "the previous configuration stays active" if stored else "relay cannot start"
        message = f"it has {counted(number, 'error')}, so {effect}. The first: {first}."
        return [error(subject, message, "Run `relay check`, and fix what it reports.")], _stored_rulebook(stored)
    findings = [ok(subject, f"it is valid; {counted(len(list(rulebook.routes.flatten())), 'route')}.")]
    if rulebook.fallback is None:
        message = "there is no fallback channel: incidents that no route matches are stored, but not posted."
        findings.append(warning(subject, message, "Name a channel under `fallback:` at the top of routes.yaml."))
    return findings + _past_dates(rulebook, now), rulebook


def _stored_rulebook(stored: StoredConfiguration | None) -> Rulebook | None:
    try:
        return build_stored(stored).rulebook if stored else None
    except ConfigurationError:
        return None


class _Database(NamedTuple):
    """The findings about the database, and what it contains."""

    findings: list[Finding]
    configuration: StoredConfiguration | None = None
    channels: Mapping[str, Channel] = MappingProxyType({})
    workspace: SlackWorkspace | None = None
    summaries: tuple[SummaryProgress, ...] = ()
    integrations: frozenset[str] = frozenset()


async def _database(settings: Settings) -> _Database:
    try:
        if (missing := _missing_file(settings.database_url.get_secret_value())) is not None:
            return _Database([missing])
        async with open_live_store(settings) as store:
            await store.check_writable()
            known = {channel.ref: channel for channel in await store.channels()}
            found = [ok("database", f"{store.name} takes writes."), *await _notifications(store)]
            if problem := store.volatile_problem:
                found.append(warning("database", problem, KEEP_IT))
            configuration, workspace = await store.latest_configuration(), await store.bound_workspace()
            progress, sharing = await store.summary_progress(), await store.integrations_with_owners()
            return _Database(found, configuration, known, workspace, progress, sharing)
    except StoreNotMigrated:
        return _Database([note("database", "it is not migrated yet; `relay serve` migrates it when it starts.")])
    except StoreError as raised:
        return _Database([error("database", "relay cannot use it.", str(raised))])


async def _notifications(store: Store) -> list[Finding]:
    """Check whether relays can wake each other. Behind a pooler in transaction mode they cannot, and look for work."""
    if not store.shared:
        return []
    if problem := await store.test_notifications():
        return [warning("notifications", problem)]
    return [ok("notifications", "relays that share this database can wake each other.")]


def _missing_file(url: str) -> Finding | None:
    """A finding if the SQLite file does not exist. Relay creates it if it may write to the folder."""
    path = parse_database_url(url).path
    if path is None or path.exists() or not path.parent.is_dir():
        return None
    if not os.access(path.parent, os.W_OK):
        remedy = f"Allow relay's user to write to {path.parent}, or change RELAY_DATABASE_URL."
        return error("database", f"{path} does not exist, and relay may not create it.", remedy)
    if lost := missing_database(path):
        return error("database", f"{path} does not exist, and relay would not start.", lost)
    return note("database", f"{path} does not exist yet; `relay serve` creates it.")


async def _bigpanda(session: aiohttp.ClientSession, settings: Settings, *, needed: bool) -> list[Finding]:
    """Check the key and the region; `needed` if a route needs them for actions."""
    if settings.bigpanda_api_key is None:
        if needed:
            message = "routes have actions or sync_replies, but BIGPANDA_API_KEY is not set."
            remedy = "Set BIGPANDA_API_KEY to the key of a BigPanda user who may act on incidents."
            return [error("BigPanda", message, remedy)]
        return [note("BigPanda", "not checked: BIGPANDA_API_KEY is not set, and no route needs it.")]
    problem = error if needed else warning
    key, url = settings.bigpanda_api_key.get_secret_value(), settings.bigpanda_api_url
    try:
        client = BigPandaGateway(session, key, Clock(), base_url=url)
    except SettingsError as raised:
        return [problem("BigPanda", "relay cannot use its settings.", str(raised))]
    outcome = await client.tag_definitions()
    if isinstance(outcome, TaskDone):
        tags = len(tag_definitions_of(outcome.body))
        return [ok("BigPanda", f"{url} accepts the key, and defines {counted(tags, 'tag')}."), _callback(settings)]
    remedy = outcome.remedy or "Check BIGPANDA_API_URL, and the network from here to it."
    reason = outcome.reason.replace("_", " ") + (f" ({outcome.detail})" if outcome.detail else "")
    return [problem("BigPanda", f"{url} did not answer the request for tag definitions: {reason}.", remedy)]


async def _messages(slack: SlackGateway, settings: Settings) -> Finding:
    """Let Slack check every message and modal that relay makes."""
    subject, templates = "messages", read_files(settings.routes, settings.templates).templates
    try:
        complaints = await slack_complaints(slack, templates)
    except ValidationUnavailable as raised:
        return note(subject, str(raised))
    if not complaints:
        return ok(subject, "Slack accepts every message and modal that relay makes.")
    message = f"Slack rejects {counted(len(complaints), 'message')}. The first: {complaints[0]}."
    return error(subject, message, "Run `relay check --slack`, and correct the templates that it names.")


async def _interactivity(session: aiohttp.ClientSession, settings: Settings) -> Finding:
    """Check how clicks and replies reach relay: over HTTP or Socket Mode. Without either, no card has buttons."""
    subject, token = "Slack interactivity", settings.slack_app_token
    if token is not None:
        gateway = SlackGateway(session, token.get_secret_value(), Clock(), base_url=settings.slack_api_url)
        answer = await gateway.open_socket()
        if isinstance(answer, Read):
            return ok(subject, "clicks and replies arrive over Socket Mode; Slack accepts SLACK_APP_TOKEN.")
        message = f"Slack opens no Socket Mode connection for SLACK_APP_TOKEN: {answer.reason.replace('_', ' ')}."
        remedy = "Use an app-level token (xapp-...) with connections:write, and enable Socket Mode in the app."
        return error(subject, message, remedy)
    if settings.slack_signing_secret is None:
        message = "routes have actions or sync_replies, but Slack cannot send clicks to relay: no card has buttons."
        remedy = "Set SLACK_SIGNING_SECRET (Slack calls relay's address), or SLACK_APP_TOKEN (Socket Mode)."
        return error(subject, message, remedy)
    return ok(subject, "clicks and replies arrive over HTTP, if the app's settings contain relay's address.")


def _callback(settings: Settings) -> Finding:
    """If the callback service is enabled in BigPanda, updates wait until relay has called back."""
    if settings.bigpanda_app_keys:
        names = join_names(name or "every integration" for name in settings.bigpanda_app_keys)
        return ok("BigPanda callback", f"relay tells BigPanda when cards exist, for {names}.")
    message = "off: BIGPANDA_APP_KEY is not set. It is required only if the service is enabled in BigPanda."
    return note("BigPanda callback", message)
