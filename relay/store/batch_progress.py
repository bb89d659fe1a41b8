"""How far the tasks of a batch are: a line of the storm card says it, and is saved with each task that is closed."""

from sqlalchemy import Connection, bindparam, select

from relay.cards.batches import BatchProgress, TaskEnd, progress_of, with_progress, with_titles
from relay.cards.model import AttemptState, Task, TaskKind
from relay.model.struct import replace
from relay.store import schema
from relay.store.bulletins import change_lines
from relay.store.locks import lock_bulletins
from relay.store.mappers import loads, to_bulletin_line

_line, _task = schema.bulletin_line, schema.bigpanda_task
_OF_BULLETIN = _line.c.bulletin == bindparam("of")
_WITH_KEY = select(_line).where(_OF_BULLETIN, _line.c.key == bindparam("key"))
TASKS = (
    select(_task.c.state, _task.c.reason, _task.c.payload)
    .where(_task.c.batch == bindparam("batch"), _task.c.kind != TaskKind.CHECK)
    .order_by(_task.c.id)
)
_NUMBERED = select(_line).where(_OF_BULLETIN, _line.c.seq.in_(bindparam("seqs", expanding=True)))


def record_progress(connection: Connection, task: Task, now: float) -> BatchProgress | None:
    """Say in the line of a batch how far it is, since this task of it was changed; None if there is no batch."""
    if not task.batch or "bulletin" not in task.payload:
        return None
    bulletin = int(task.payload["bulletin"])
    lock_bulletins(connection, [bulletin])  # before counting: of two last tasks, one sees both
    row = connection.execute(_WITH_KEY, {"of": bulletin, "key": task.batch}).mappings().one_or_none()
    if row is None:
        return None
    line, progress = to_bulletin_line(row), _progress(connection, bulletin, task.batch)
    change_lines(connection, bulletin, [replace(line, data=with_progress(line, progress))], now)
    return progress


def _progress(connection: Connection, bulletin: int, batch: str) -> BatchProgress:
    """Count the tasks of a batch; the failed ones get the titles of their lines."""
    ends = [
        TaskEnd(state=AttemptState(row.state), reason=row.reason, line=int(loads(row.payload)["line"]))
        for row in connection.execute(TASKS, {"batch": batch})
    ]
    progress = progress_of(ends)
    seqs = [end.line for end in progress.failures]
    lines = connection.execute(_NUMBERED, {"of": bulletin, "seqs": seqs}).mappings() if seqs else ()
    return with_titles(progress, {row["seq"]: to_bulletin_line(row) for row in lines})
