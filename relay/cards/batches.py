"""Decide about batches: one press of a button of a storm card starts a task for each of many incidents.

    choose ........ which of the listed incidents a press is about, and which are left out, why
    batch_line .... the line of the storm card with the progress of the batch; its reply has no other line
    progress_of ... how far it is, as the sum of the stored tasks

A task of a batch is the same as that of a card's button, but it asks the person nothing. The line reports the result.
A task skips an incident that somebody took meanwhile, or that is resolved.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import field

from relay.cards.bulletins import BulletinLine
from relay.cards.model import AttemptState, Task, TaskKind
from relay.cards.task_reasons import why
from relay.model.incident import State, worst_of
from relay.model.json_types import JSON
from relay.model.struct import Struct, replace

MOST_IN_BATCH: Final = 200
"""The most incidents of one press."""

MOST_NAMED: Final = 10
"""The most incidents that the report of a batch names as failed; the others are counted."""

_DONE: Final = frozenset({"already_assigned", "in_progress"})
"""Reasons of tasks that were not needed: the person has the incident, or is about to get it."""


class OfferedIncident(Struct, frozen=True, kw_only=True):
    """An incident that a storm card lists: the number of its line, its id, state and owner, the route of its card.

    `in_progress`: somebody is about to get it.
    """

    seq: int
    state: State
    incident: str = ""
    owner: str = ""
    route: str = ""
    in_progress: bool = False


class Choice(Struct, frozen=True, kw_only=True):
    """The lines that a press takes: their numbers, the worst first, and how many there are of each state.

    `owned`, `in_progress` and `beyond` count incidents that are left out: those that somebody has, those that somebody
    is about to get, and those beyond `MOST_IN_BATCH`. `denied` counts the incidents that this person may not take, by
    the user groups that may.
    """

    lines: tuple[int, ...] = ()
    states: Mapping[State, int] = field(default_factory=dict)
    owned: int = 0
    in_progress: int = 0
    denied: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    beyond: int = 0


def choose(
    listed: Iterable[OfferedIncident], denied: Mapping[str, tuple[str, ...]], *, only_critical: bool = False
) -> Choice:
    """Choose from the listed incidents; `denied` has the routes whose incidents this person may not take.

    Its values are the user groups that may; empty if nobody may.
    """
    wanted = [each for each in listed if not only_critical or each.state is State.CRITICAL]
    free = [each for each in wanted if not each.owner and not each.in_progress]
    allowed = sorted((each for each in free if each.route not in denied), key=lambda each: (-each.state.rank, each.seq))
    chosen = allowed[:MOST_IN_BATCH]
    states = Counter(each.state for each in chosen)
    return Choice(
        lines=tuple(each.seq for each in chosen),
        states={state: states[state] for state in sorted(states, key=lambda state: -state.rank)},
        owned=sum(bool(each.owner) for each in wanted),
        in_progress=sum(each.in_progress and not each.owner for each in wanted),
        denied=dict(Counter(denied[each.route] for each in free if each.route in denied)),
        beyond=len(allowed) - len(chosen),
    )


class Batch(Struct, frozen=True, kw_only=True):
    """One confirmed press; `key` names it, the same where Slack sends it again.

    `user` and `name` are the person in Slack. `channel` and `message_ts` say where the storm card is, `bulletin` which
    it is. `lines` are the numbers of its lines.
    """

    key: str
    bulletin: int
    lines: tuple[int, ...]
    user: str
    name: str
    channel: str
    message_ts: str
    at: float


def batch_task(batch: Batch, line: int, incident: str, card: str) -> Task:
    """The task of a batch for the incident of that line, with the channel of its card."""
    payload = {
        "user": batch.user,
        "name": batch.name,
        "channel": batch.channel,
        "message_ts": batch.message_ts,
        "card": card,
        "bulletin": batch.bulletin,
        "line": line,
    }
    return Task(
        key=f"{batch.key}:{incident}",
        kind=TaskKind.ASSIGN,
        incident=incident,
        created=batch.at,
        due_at=batch.at,
        payload=payload,
        batch=batch.key,
    )


class TaskEnd(Struct, frozen=True, kw_only=True):
    """The state of a task of a batch, with its incident's line, and that line's title and address if they are known."""

    state: AttemptState
    reason: str = ""
    line: int = 0
    title: str = ""
    url: str = ""


class BatchProgress(Struct, frozen=True, kw_only=True):
    """The progress of a batch: how many incidents are assigned to the person, were resolved, went to others, or failed.

    `left` counts those that are not settled yet. `failures` are the first that failed.
    """

    done: int = 0
    resolved: int = 0
    taken: int = 0
    failed: int = 0
    left: int = 0
    failures: tuple[TaskEnd, ...] = ()

    @property
    def total(self) -> int:
        """How many incidents it is about."""
        return self.done + self.resolved + self.taken + self.failed + self.left

    @property
    def is_over(self) -> bool:
        """Whether all is settled."""
        return not self.left


def progress_of(ends: Sequence[TaskEnd]) -> BatchProgress:
    """The progress of a batch with these tasks."""
    counts = Counter(map(_outcome, ends))
    failures = [end for end in ends if _outcome(end) == "failed"]
    return BatchProgress(**counts, failures=tuple(failures[:MOST_NAMED]))


def with_titles(progress: BatchProgress, lines: Mapping[int, BulletinLine]) -> BatchProgress:
    """The progress, whose failures have the titles and addresses of these lines."""
    failures = (
        replace(end, title=str(lines[end.line].data.get("title", "")), url=str(lines[end.line].data.get("url", "")))
        if end.line in lines
        else end
        for end in progress.failures
    )
    return replace(progress, failures=tuple(failures))


def _outcome(end: TaskEnd) -> str:
    """The count of `BatchProgress` in which a task is."""
    if end.state.open:
        return "left"
    if end.state is AttemptState.DONE or end.reason in _DONE:
        return "done"
    return {"already_resolved": "resolved", "taken": "taken"}.get(end.reason, "failed")


def batch_line(batch: Batch, progress: BatchProgress, states: Iterable[State] = ()) -> BulletinLine:
    """The line of the storm card with the progress of a batch."""
    return BulletinLine(
        key=batch.key,
        at=batch.at,
        incident="",
        episode=1,
        state=worst_of(State.UNKNOWN, *states),
        data={"batch": {"name": batch.name, **_as_json(progress)}},
    )


def with_progress(line: BulletinLine, progress: BatchProgress) -> dict[str, JSON]:
    """The data of a batch's line, with this progress."""
    return {**line.data, "batch": {**line.data["batch"], **_as_json(progress)}}


def batch_variables(data: Mapping[str, JSON]) -> dict[str, JSON]:
    """The line of a batch as its template gets it: each failure has its reason in words.

    `same_reason` is the reason of all failures, if they have only one.
    """
    batch = data["batch"]
    failures = [{**each, "reason": why(each["reason"], given_up=each["given_up"])} for each in batch["failures"]]
    reasons = {each["reason"] for each in failures}
    more = batch["failed"] - len(failures)
    same = reasons.pop() if len(reasons) == 1 and batch["failed"] > 1 else ""
    return {**batch, "failures": failures, "more": more, "same_reason": same}


def _as_json(progress: BatchProgress) -> dict[str, JSON]:
    names = ("total", "done", "resolved", "taken", "failed", "left")
    failures = [
        {"title": end.title, "url": end.url, "reason": end.reason, "given_up": end.state is AttemptState.DROPPED}
        for end in progress.failures
    ]
    return {**{name: getattr(progress, name) for name in names}, "failures": failures}
