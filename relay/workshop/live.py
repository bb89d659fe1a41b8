"""What a running relay lives by, as its database tells those who work beside it."""

from relay.errors import ConfigurationError
from relay.incident import NO_WORDS, Words
from relay.rulebook import load
from relay.store import Store


async def live_words(store: Store) -> Words:
    """How tags are called and what their values mean: the live routes' `tag_values`, and BigPanda's definitions."""
    kept = await store.configuration()
    definitions, _ = await store.definitions()
    try:
        rulebook = load(kept.routes) if kept else None
    except ConfigurationError:  # of another version of relay
        rulebook = None
    known = {definition.id.casefold(): definition for definition in definitions}
    return rulebook.taught(known).words if rulebook else Words(definitions=known) if known else NO_WORDS
