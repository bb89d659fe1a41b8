"""What belongs to this database alone: the secret of its markers, and the Slack workspace and bot that it is used with.

One row. Relay never changes the workspace by itself: the cards in the database are messages of that bot.
"""

import secrets

from sqlalchemy import Connection, bindparam, select, update

from relay.slack.workspace import SlackWorkspace
from relay.store import schema
from relay.store.execution import execute
from relay.store.upsert import insert_or_keep

_installation = schema.installation
_ROW = select(_installation)
_READ_FIRST = update(schema.channel).values(unread_since=bindparam("since"))
_WORKSPACE = ("team_id", "team", "bot_id")
_BIND = (
    update(_installation)
    .where(_installation.c.team_id.is_(None))
    .values({name: bindparam(name) for name in _WORKSPACE})
)


def marker_secret(connection: Connection, fresh: str, *, adopt_since: float | None = None) -> str:
    """Return the secret; `fresh` becomes it if there is none yet.

    Then the database is new, or replaces a lost one. Before relay posts in a channel, it reads there what it posted
    since `adopt_since` (Unix seconds).
    """
    row = {"id": 1, "marker_secret": fresh, "adopt_since": adopt_since}
    statement = insert_or_keep(connection, _installation, ("id",), returning=("id",))
    if execute(connection, statement, row).first() is not None:
        execute(connection, _READ_FIRST, {"since": adopt_since})
    return str(execute(connection, _ROW).first().marker_secret)


def end_adoption(connection: Connection, before: float) -> None:
    """Where relay has read since a moment before `before`: from now on a new channel is not read first."""
    connection.execute(update(_installation).where(_installation.c.adopt_since < before).values(adopt_since=None))


def bind_workspace(connection: Connection, workspace: SlackWorkspace) -> SlackWorkspace:
    """Return the workspace that the database belongs to; `workspace` becomes it if there is none yet."""
    marker_secret(connection, secrets.token_hex(32))  # the row may not exist yet
    execute(connection, _BIND, {name: getattr(workspace, name) for name in _WORKSPACE})
    return bound_workspace(connection) or workspace


def bound_workspace(connection: Connection) -> SlackWorkspace | None:
    """Return the workspace that the database belongs to; None before relay first reached Slack."""
    row = execute(connection, _ROW).first()
    if row is None or row.team_id is None:
        return None
    return SlackWorkspace(team_id=row.team_id, team=row.team or "", bot_id=row.bot_id or "")


def release_workspace(connection: Connection) -> None:
    """Forget the workspace: the database belongs to the next one that relay reaches."""
    connection.execute(update(_installation).values(team_id=None, team=None, bot_id=None))
