"""What every answer needs: who asks, the live configuration, the database, the time."""

from dataclasses import dataclass

from relay.cards.draw import PermalinkBuilder
from relay.commands.viewer import Viewer
from relay.config.configuration import Configuration
from relay.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackQuestion:
    """Somebody asks at a moment (`now`, Unix seconds). `link` makes the address of a message."""

    viewer: Viewer
    store: Store
    live: Configuration
    link: PermalinkBuilder
    now: float
