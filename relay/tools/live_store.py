"""What the database of a running relay tells commands that work beside it."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.config.settings import Settings
from relay.model.errors import ConfigurationError
from relay.model.tag_labels import TagDefinition, TagLabels
from relay.routes.parser.parse import parse_rulebook
from relay.routes.rulebook import Rulebook
from relay.store.store import Store
from relay.store.types import StoredConfiguration
from relay.tools.message_text import ChannelNames, slack_names


@asynccontextmanager
async def open_live_store(settings: Settings) -> AsyncIterator[Store]:
    """Open the database of the settings, which a running relay may use, and close it at the end.

    Raises StoreError if it does not exist, is not migrated, or cannot be used.
    """
    url = settings.database_url.get_secret_value()
    store = await Store.open(url, exclusive=False, network=settings.network_allowed)
    try:
        yield store
    finally:
        await store.close()


async def stored_tag_definitions(store: Store) -> Mapping[str, TagDefinition]:
    """BigPanda's definitions of tags as relay has stored them, by their ids (casefolded)."""
    definitions, _ = await store.tag_definitions()
    return {definition.id.casefold(): definition for definition in definitions}


async def stored_rulebook(store: Store) -> Rulebook:
    """The live routes with BigPanda's definitions of tags; no routes if none are stored, or none that can be read."""
    stored = await store.latest_configuration()
    rulebook = Rulebook(text="")
    with suppress(ConfigurationError):  # of another version of relay
        rulebook = parse_rulebook(stored.routes) if stored else rulebook
    return rulebook.with_tag_definitions(await stored_tag_definitions(store))


async def stored_tag_labels(store: Store) -> TagLabels:
    """The names of tags and the labels of their values: the live routes' `tag_values`, and BigPanda's definitions."""
    return (await stored_rulebook(store)).tag_labels


async def live_configuration(store: Store, on_disk: Callable[[], Configuration]) -> Configuration:
    """The newest configuration that worked, as relay has stored it; the one on disk if none is stored."""
    stored = await store.latest_configuration()
    return on_disk() if stored is None else build_stored(stored)


def build_stored(stored: StoredConfiguration) -> Configuration:
    """Build the configuration that relay has stored.

    Raises ConfigurationError if it is of another version of relay, for which it is invalid.
    """
    name = "routes.yaml (the live version)"
    return build_configuration(
        ConfigurationFiles(routes_file=name, routes_text=stored.routes, templates=stored.templates)
    )


async def slack_channel_names(store: Store) -> ChannelNames:
    """The names of channels in Slack, by reference, as far as relay knows them."""
    return slack_names(await store.channels())
