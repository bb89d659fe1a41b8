"""What a running relay lives by, as its database tells those who work beside it."""

from collections.abc import Mapping

from relay.model.errors import ConfigurationError
from relay.model.tag_labels import NO_TAG_LABELS, TagDefinition, TagLabels
from relay.routes.parser.parse import parse_rulebook
from relay.store import Store

Definitions = Mapping[str, TagDefinition]


async def stored_tag_definitions(store: Store) -> Definitions:
    """BigPanda's definitions of tags as relay has kept them, by their ids (casefolded)."""
    found, _ = await store.tag_definitions()
    return {definition.id.casefold(): definition for definition in found}


async def stored_words(store: Store) -> TagLabels:
    """How tags are called and what their values mean: the live routes' `tag_values`, and BigPanda's definitions."""
    kept = await store.latest_configuration()
    try:
        rulebook = parse_rulebook(kept.routes) if kept else None
    except ConfigurationError:  # of another version of relay
        rulebook = None
    known = await stored_tag_definitions(store)
    return (
        rulebook.with_tag_definitions(known).tag_labels
        if rulebook
        else TagLabels(definitions=known)
        if known
        else NO_TAG_LABELS
    )
