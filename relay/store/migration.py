"""Migrates the tables to the newest version: at start, in one transaction, one relay at a time.

Alembic runs the steps. If there are none to run, it is not even imported: that would take a tenth of relay's start, and
10 MB. This is so if the tables have the newest version or are made from `schema`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select, text

from relay.model.errors import StoreNotMigrated, StoreTooNew, StoreUnusable
from relay.store.address import Address
from relay.store.schema import metadata

if TYPE_CHECKING:
    from alembic.config import Config

NEWEST = "0008"
"""The version that `schema` describes."""
VERSION_TABLE = "relay_version"
"""Not Alembic's default: other programs may use Alembic in the same PostgreSQL database."""
LOCK = 0x72656C6179  # "relay"
"""The key of PostgreSQL's advisory lock under which relays migrate."""

SCRIPTS = Path(__file__).parent / "migrations"

_VERSION = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)
"""As Alembic makes it (`MigrationContext` in https://github.com/sqlalchemy/alembic)."""


def migrate(connection: Connection, address: Address) -> None:
    """Migrate to the newest version, if the tables do not have it.

    On SQLite the file lock keeps other relays away; on PostgreSQL relays that start together wait here for the first.

    Raises:
        StoreTooNew: a newer relay has migrated it.
        StoreUnusable: it has tables of another program.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    version = stored_version(connection)
    if version == NEWEST:
        return
    if version is None:
        _reject_foreign_tables(connection, address)
        _create(connection)
    elif version in versions():
        upgrade(connection)
    else:
        raise _too_new(version, address)


def upgrade(connection: Connection) -> None:
    """Run the steps from the version of the tables to the newest one; in an empty database, all of them."""
    from alembic import command  # noqa: PLC0415  this module's docstring says why

    settings = _settings()
    settings.attributes["connection"] = connection
    settings.attributes["version_table"] = VERSION_TABLE
    command.upgrade(settings, "head")


def _create(connection: Connection) -> None:
    """Make the newest tables in an empty database; tests compare them with what the steps make."""
    metadata.create_all(connection, checkfirst=False)
    _VERSION.create(connection, checkfirst=True)
    connection.execute(insert(_VERSION).values(version_num=NEWEST))


def require_newest(connection: Connection, address: Address) -> None:
    """Check the version only: a command beside a running relay must not migrate its tables.

    Raises:
        StoreTooNew: a newer relay has migrated it.
        StoreNotMigrated: relay has not created its tables yet, or an older relay has.
    """
    version = stored_version(connection)
    if version == NEWEST:
        return
    if version is not None and version not in versions():
        raise _too_new(version, address)
    what = "has no tables of relay yet" if version is None else "was written by an older relay"
    raise StoreNotMigrated(f"Cannot read {address.name}: it {what}. Start `relay serve` once, which migrates it.")


def stored_version(connection: Connection) -> str | None:
    """Return the version of the tables; None if there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(select(_VERSION.c.version_num)).scalar_one_or_none()


def versions() -> list[str]:
    """Return the versions that this relay knows, the newest first."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415  this module's docstring says why

    return [script.revision for script in ScriptDirectory.from_config(_settings()).walk_revisions()]


def _too_new(version: str, address: Address) -> StoreTooNew:
    return StoreTooNew(
        f"A newer relay has migrated {address.name} to version {version}; this relay knows versions up to {NEWEST}: "
        "run the newer relay, or restore an older backup."
    )


def _reject_foreign_tables(connection: Connection, address: Address) -> None:
    if tables := sorted(set(inspect(connection).get_table_names()) & metadata.tables.keys()):
        raise StoreUnusable(
            f"Cannot use {address.name}: it has tables that relay did not create ({', '.join(tables)}). "
            "Give relay a database of its own."
        )


def _settings() -> "Config":
    from alembic.config import Config  # noqa: PLC0415  this module's docstring says why

    settings = Config()
    settings.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return settings
