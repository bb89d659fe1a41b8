"""The tables are brought to the shape that this relay knows: at start, in one transaction, one relay at a time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from relay.model.errors import StoreNotMigrated, StoreTooNew, StoreUnusable
from relay.store.address import Address
from relay.store.schema import metadata

NEWEST = "0001"
"""The shape that `schema` describes."""
VERSION_TABLE = "relay_version"
"""A name of its own, since a PostgreSQL database may be shared with others who use Alembic."""
LOCK = 0x72656C6179  # "relay"
"""The key of PostgreSQL's advisory lock under which relays migrate."""

_HERE = Path(__file__).parent / "migrations"


def bring_up(connection: Connection, address: Address) -> None:
    """Migrate to the newest shape, or do nothing where it is reached.

    On SQLite the file lock keeps other relays away; on PostgreSQL those that start together wait here for the first.

    Raises:
        StoreTooNew: a newer relay has migrated it.
        StoreUnusable: it holds somebody else's tables.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    found = version(connection)
    if found == NEWEST:
        return
    if found is None:
        _refuse_strangers(connection, address)
    elif not _known(found):
        raise too_new(found, address)
    settings = _settings()
    settings.attributes["connection"] = connection
    settings.attributes["version_table"] = VERSION_TABLE
    command.upgrade(settings, "head")


def must_be_newest(connection: Connection, address: Address) -> None:
    """Look only: whoever reads beside a running relay must not migrate under its feet.

    Raises:
        StoreTooNew: a newer relay has migrated it.
        StoreUnready: no relay has made its tables yet, or an older one has.
    """
    found = version(connection)
    if found == NEWEST:
        return
    if found is None or _known(found):
        what = "holds nothing of relay's yet" if found is None else "was written by an older relay"
        raise StoreNotMigrated(
            f"It cannot be read: {address.name} {what}. Start `relay serve` once, which makes it ready."
        )
    raise too_new(found, address)


def version(connection: Connection) -> str | None:
    """The name of the shape that the tables have; None where there are none."""
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def too_new(found: str, address: Address) -> StoreTooNew:
    """The sentence about a shape that this relay does not know."""
    return StoreTooNew(
        f"A newer relay has migrated {address.name} to version {found}, and this one knows versions up to {NEWEST}: "
        "run the newer relay, or restore a backup from before."
    )


def _known(found: str) -> bool:
    return any(script.revision == found for script in ScriptDirectory.from_config(_settings()).walk_revisions())


def _refuse_strangers(connection: Connection, address: Address) -> None:
    if taken := sorted(set(inspect(connection).get_table_names()) & metadata.tables.keys()):
        raise StoreUnusable(
            f"In {address.name} there are tables already that relay did not make ({', '.join(taken)}): "
            "give relay a database of its own."
        )


def _settings() -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    return settings
