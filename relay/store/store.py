"""The verbs of the store, each one transaction, and where each is implemented.

Every verb may be awaited in the event loop: the work runs in the database's threads. Each raises `StoreError` if the
database fails (`StoreUnusable`, with a remedy if one is known). Then nothing was saved, unless the connection was lost
during the commit. A verb that decides something calls a pure function, `decide(context) -> update`, inside its
transaction; PostgreSQL may undo the transaction, and then the function runs again. The verbs of delivery take the
`lease` and raise `LeaseLost`, without writing anything, if another relay has it now.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from functools import partial, wraps
from math import inf
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import Connection

from relay.bigpanda.webhook.share import ReceivedShare, Share
from relay.model.errors import StoreUnusable
from relay.model.record import Record
from relay.store import (
    accepting,
    adoption,
    attempts,
    batches,
    board,
    card_queue,
    clock_step,
    configurations,
    health,
    held,
    inbox,
    late_cards,
    leases,
    mute_changes,
    mutes,
    notices,
    reminders,
    retention,
    storms,
    summaries,
    tasks,
)
from relay.store.backlog import backlog
from relay.store.bulletins import save_bulletin_changes
from relay.store.card_context import card_context, update_card
from relay.store.card_queue import UNKNOWN, LentPick, Started, Unknown
from relay.store.channel_merge import update_channel
from relay.store.channels import (
    add_channels,
    canonical_refs,
    channels,
    channels_due_by_id,
    next_channel_lookup_at,
    unresolved_names,
    update_names,
    waiting_channels,
)
from relay.store.database import CLOSE_SECONDS, Database
from relay.store.dead_letters import dead_letters, discard_dead_letter
from relay.store.file_system import VOLATILE, file_system_at
from relay.store.incident_history import incident_at, incident_history
from relay.store.incident_list import incident_batch
from relay.store.installation import (
    bind_workspace,
    bound_workspace,
    end_adoption,
    marker_secret,
    release_workspace,
)
from relay.store.integrations import integrations_with_owners
from relay.store.migration import migrate, require_newest
from relay.store.mute_preview import incidents_to_compare
from relay.store.notify import NotificationListener, OnNotify, notify
from relay.store.open_cards import change_open_cards
from relay.store.planning import Decide
from relay.store.quarantine import (
    delete_quarantined_body,
    quarantine,
    quarantine_row,
    quarantined_bodies,
    quarantined_body,
)
from relay.store.recorded_incidents import (
    RecordedIncidents,
    count_recorded_incidents,
    newest_shares,
    next_batch,
    recorded_incident,
)
from relay.store.restore import is_newly_marked, mark_restored, restore_window
from relay.store.rows import current_cards
from relay.store.tag_definitions import save_tag_definitions, tag_definitions
from relay.store.types import AcceptedShare, RetentionResult

WRITTEN_FOR_A_SHARE, WRITTEN_PER_BYTE = 64 * 1024, 4
"""What a share writes to the database at most, in bytes: so many in any case, and so many for each byte of its body."""

T = TypeVar("T")
P = ParamSpec("P")


def _write(work: Callable[Concatenate[Connection, P], T]) -> Callable[Concatenate["Store", P], Coroutine[Any, Any, T]]:
    """Make a verb of a function: it runs in one transaction, which is committed when the verb returns."""

    @wraps(work)
    async def verb(store: "Store", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await store.database.write(lambda connection: work(connection, *args, **kwargs))

    return verb


def _read(work: Callable[Concatenate[Connection, P], T]) -> Callable[Concatenate["Store", P], Coroutine[Any, Any, T]]:
    """Make a verb of a function: it sees one consistent state of the database, and changes nothing."""

    @wraps(work)
    async def verb(store: "Store", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await store.database.read(lambda connection: work(connection, *args, **kwargs))

    return verb


class Store:
    """An open database and its verbs. Open it with `Store.open`; close it after everything else."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._listener = NotificationListener(database)
        self.lend_pick: Callable[[], LentPick[Any] | None] = lambda: None
        self._data_version: int | None = None
        self._check_size = health.USUAL_SIZE

    @classmethod
    async def open(cls, url: str, *, exclusive: bool = True, network: bool = False) -> Self:
        """Open a database.

        A relay that serves opens it `exclusive`: the tables are migrated, and on SQLite a second relay is rejected.
        Without it (for commands beside a running relay) nothing is locked, created or migrated. `network` allows a
        SQLite file on a network file system.

        Raises:
            StoreUnusable: the database is missing, damaged, read-only, out of reach, or not relay's.
            StoreTooNew: a newer relay has migrated it.
            StoreInUse: another relay has the SQLite file open.
        """
        database = await asyncio.to_thread(Database.open, url, exclusive=exclusive, network=network)
        store = cls(database)
        try:
            if exclusive:
                await database.write(partial(migrate, address=database.address))
                await store.check_writable()
                await database.watch_files()
            else:
                await database.read(partial(require_newest, address=database.address))
        except BaseException:
            store.discard_if_new()
            await store.close()
            raise
        return store

    def discard_if_new(self) -> None:
        """Delete the SQLite file at the end, if `open` created it: relay could not start, so nothing is in it."""
        self.database.discard_if_new()

    async def close(self, within: float = CLOSE_SECONDS) -> bool:
        """Finish the running transactions and close the database; returns whether that took at most `within` seconds.

        If it takes longer, it continues in the background while the process lives.
        """
        return await self.database.close(within)

    @property
    def name(self) -> str:
        """The name of the database in sentences; it holds no password."""
        return self.database.address.name

    @property
    def file(self) -> Path | None:
        """The SQLite file; None on PostgreSQL."""
        return self.database.address.path

    @property
    def volatile_problem(self) -> str:
        """A sentence if the database is gone when the machine or the container ends; else empty."""
        where = VOLATILE.get(file_system_at(self.file)) if self.file is not None else None
        return f"{self.name} is {where}: what relay accepts is lost when that ends." if where else ""

    @property
    def shared(self) -> bool:
        """Whether several relays may have the database open, so that a lease decides which one delivers."""
        return self.file is None

    def unresponsive(self, seconds: float) -> StoreUnusable:
        """The error for a database that neither works nor fails: a frozen server, or a lock that another holds."""
        return StoreUnusable(f"{self.name[0].upper()}{self.name[1:]} has not answered within {seconds:g} seconds.")

    # Shares and incidents
    _accept = _write(accepting.accept)
    _accept_and_start = _write(accepting.accept_and_start)

    async def accept(
        self, shares: Sequence[ReceivedShare], decide: Decide, *, basis: str = "", within: float = inf
    ) -> list[AcceptedShare]:
        """Do what `relay.store.accepting.accept` does, and remember how much could not be saved.

        Where the scheduler of posts has nothing else to do, the first post that the shares make due is begun as well.
        """
        lent = self.lend_pick() if any(isinstance(each, Share) for each in shares) else None
        started: Started[Any] | Unknown | None = UNKNOWN
        try:
            if lent is None:
                accepted = await self._accept(shares, decide, basis=basis, within=within)
            else:
                accepted, started = await self._accept_and_start(shares, lent, decide, basis=basis, within=within)
        except StoreUnusable:
            body_bytes = sum(len(each.body) for each in shares)
            self._check_size = health.USUAL_SIZE + WRITTEN_FOR_A_SHARE + WRITTEN_PER_BYTE * body_bytes
            raise
        finally:
            if lent is not None:
                lent.give_back(started)
        self._check_size = health.USUAL_SIZE
        return accepted

    # The inbox
    due_shares = _read(inbox.due_shares)
    next_plan_due = _read(inbox.next_plan_due)
    start_planning = _write(inbox.start_planning)
    renew_claims = _write(inbox.renew_claims)
    inbox_shares = _read(inbox.inbox_shares)
    plan_shares = _write(inbox.plan_shares)
    set_aside = _write(inbox.set_aside)
    retry_failed = _write(inbox.retry_failed)
    resume_inbox = _write(inbox.resume_inbox)
    failed_shares = _read(inbox.failed_shares)
    unplanned_body = _read(inbox.unplanned_body)
    discard_share = _write(inbox.discard_share)
    incidents_in_shadow = _read(late_cards.incidents_in_shadow)
    add_late_cards = _write(late_cards.add_late_cards)

    # Bodies that are no shares
    async def quarantine(self, body: bytes, headers: Mapping[str, str], reason: str, received: float) -> None:
        """Store a body that is no valid share; delete the oldest ones beyond the limits."""
        row = await asyncio.to_thread(quarantine_row, body, headers, reason, received)
        await self.database.write(partial(quarantine, row=row))

    quarantined_bodies = _read(quarantined_bodies)
    quarantined_body = _read(quarantined_body)
    delete_quarantined_body = _write(delete_quarantined_body)
    incident_state = _write(tasks.incident_state)
    incident_history = _read(incident_history)
    incident_at = _read(incident_at)
    incident_batch = _read(incident_batch)
    recorded_incident = _read(recorded_incident)
    newest_shares = _read(newest_shares)
    open_incidents = _read(board.open_incidents)
    last_cards = _read(board.last_cards)
    open_lists = _read(board.open_lists)
    route_hits = _read(board.route_hits)
    count_recorded_incidents = _read(count_recorded_incidents)

    async def recorded_incidents(self, since: float) -> AsyncIterator[RecordedIncidents]:
        """Yield the incidents with a share since then, in batches, each with all its stored shares.

        Every batch is a transaction of its own.
        """
        after = ""
        while page := await self.database.read(partial(next_batch, since=since, after=after)):
            after, batch = page
            yield batch

    # Cards
    start_next_card = _write(card_queue.start_next_card)
    update_card = _write(update_card)
    card_context = _write(card_context)
    card_at = _read(card_queue.card_at)
    due_cards = _read(card_queue.due_cards)
    open_cards = _read(card_queue.open_cards)
    stalled_channels = _read(card_queue.stalled_channels)
    dead_letters = _read(dead_letters)
    discard_dead_letter = _write(discard_dead_letter)

    # Messages about several incidents
    change_bulletins = _write(save_bulletin_changes)

    # Many incidents at once
    listed_incidents = _read(batches.listed_incidents)
    current_records = _read(batches.current_records)
    add_batch = _write(batches.add_batch)

    # Changes of all open cards
    change_open_cards = _write(change_open_cards)

    # What is held
    look_at_held = _write(held.look_at_held)
    next_catch_up_due = _read(held.next_catch_up_due)
    catch_up_next = _write(held.catch_up_next)
    close_held_lists = _write(held.close_held_lists)
    tend_storms = _write(storms.tend_storms)

    # Reminders
    next_reminder_due = _read(reminders.next_reminder_due)
    remind_next = _write(reminders.remind_next)
    has_reminders = _read(reminders.has_reminders)
    integrations_with_owners = _read(integrations_with_owners)

    # Summaries
    summary_progress = _read(summaries.summary_progress)
    save_summary_progress = _write(summaries.save_summary_progress)
    channel_content = _read(summaries.channel_content)
    decide_slots = _write(summaries.decide_slots)
    settle_summaries = _write(summaries.settle_summaries)

    # Posts whose result is unknown
    recover_attempts = _write(attempts.recover_attempts)
    attempts_in_doubt = _read(attempts.attempts_in_doubt)
    attempts_to_recheck = _read(attempts.attempts_to_recheck)
    rejected_attempts = _read(attempts.rejected_attempts)
    restore_window = _write(restore_window)
    is_newly_marked = _read(is_newly_marked)
    mark_restored = _write(mark_restored)

    # A new database in the place of a lost one
    adopt_cards = _write(adoption.adopt_cards)
    adopt_bulletins = _write(adoption.adopt_bulletins)
    unread_channels = _read(adoption.unread_channels)
    mark_read = _write(adoption.mark_read)
    end_adoption = _write(end_adoption)

    # BigPanda
    add_tasks = _write(tasks.add_tasks)
    next_due_task = _write(tasks.next_due_task)
    open_tasks = _read(tasks.open_tasks)
    update_task = _write(tasks.update_task)
    recover_tasks = _write(tasks.recover_tasks)
    update_silent_incident = _write(tasks.update_silent_incident)
    save_tag_definitions = _write(save_tag_definitions)
    tag_definitions = _read(tag_definitions)

    # Channels
    channels = _read(channels)
    add_channels = _write(add_channels)
    update_channel = _write(update_channel)
    update_names = _write(update_names)
    channels_due_by_id = _read(channels_due_by_id)
    waiting_channels = _read(waiting_channels)
    unresolved_names = _read(unresolved_names)
    canonical_refs = _read(canonical_refs)
    next_channel_lookup_at = _read(next_channel_lookup_at)

    # The workspace in Slack
    marker_secret = _write(marker_secret)
    bind_workspace = _write(bind_workspace)
    bound_workspace = _read(bound_workspace)
    release_workspace = _write(release_workspace)

    # Configurations
    save_configuration = _write(configurations.save_configuration)
    latest_configuration = _read(configurations.latest_configuration)
    latest_configuration_hash = _read(configurations.latest_configuration_hash)

    # Notices about relay itself
    notice = _read(notices.notice)
    claim_notice = _write(notices.claim_notice)
    update_notice = _write(notices.update_notice)
    close_notice = _write(notices.close_notice)

    # Mutes
    mutes_to_apply = _read(mute_changes.mutes_to_apply)
    mark_applied = _write(mute_changes.mark_applied)
    add_mute = _write(mutes.add_mute)
    incidents_to_compare = _read(incidents_to_compare)
    current_cards = _read(current_cards)
    mute_with_key = _read(mutes.mute_with_key)
    mutes_after = _read(mutes.mutes_after)
    mute = _read(mutes.mute)
    extend_mute = _write(mute_changes.extend_mute)
    end_mute = _write(mute_changes.end_mute)

    # Which relay delivers, and how relays wake each other
    acquire_lease = _write(leases.acquire_lease)
    release_lease = _write(leases.release_lease)
    _clock_offset = _read(leases.clock_offset)
    notify = _write(notify)

    async def listen(self, on_notify: OnNotify) -> None:
        """On PostgreSQL: call `on_notify` whenever a relay has saved due work, until cancelled.

        On SQLite there is nothing to listen to, and this returns at once.
        """
        if self.shared:
            await self._listener.run(on_notify)

    @property
    def notify_problem(self) -> str:
        """Why the notifications of other relays do not arrive while this one listens, and what to do; empty if they do.

        Work is noticed anyway: see `changed_elsewhere`.
        """
        return self._listener.problem

    async def test_notifications(self) -> str:
        """Return why the notifications of other relays do not arrive here; empty if they do, and on SQLite.

        Raises:
            StoreError: the database failed.
        """
        return await self._listener.test() if self.shared else ""

    async def changed_elsewhere(self) -> bool:
        """Return whether another program may have written since the last call.

        On SQLite that is another program than relay (the command line). SQLite counts for each connection what others
        commit; asked on the writer's connection, it leaves out what relay writes itself
        (https://sqlite.org/pragma.html#pragma_data_version). PostgreSQL counts nothing of this kind: always True.
        """
        if self.shared:
            return True
        before, self._data_version = self._data_version, await self.database.probe("PRAGMA data_version")
        return before is not None and before != self._data_version

    # Operations
    async def check_files(self) -> None:
        """Make sure that SQLite's files are those that relay has open.

        Raises:
            StoreUnusable: somebody has deleted, moved or replaced one; with what to do.
        """
        await self.database.check_files()

    seconds_ahead = _read(clock_step.seconds_ahead)
    move_back = _write(clock_step.move_back)

    async def clock_offset(self) -> float:
        """Return by how many seconds the clock that all relays share is ahead of this machine's.

        That is PostgreSQL's. A relay on SQLite is alone, and its machine's clock counts.
        """
        return await self._clock_offset() if self.shared else 0.0

    async def now(self) -> float:
        """Return the time by the clock that all relays share (Unix seconds), for a command beside them."""
        return time.time() + await self.clock_offset()

    _check_writable = _write(health.check_writable)

    async def check_writable(self) -> None:
        """Write about as much as a usual share needs, or as the last share needed, if that was not saved.

        Raises:
            StoreUnusable: the database does not take writes.
        """
        await self._check_writable(self._check_size)
        self._check_size = health.USUAL_SIZE

    backlog = _read(backlog)

    async def apply_retention(self, now: float, days: float, stub: Callable[[Record], Record]) -> RetentionResult:
        """Delete what is older than `days`: shares, the details of ended incidents, and Slack's answers.

        The cards and the row of an incident stay, with the record that `stub` makes of it. Shares in the inbox stay;
        only if failed ones take too much space, the oldest of them are deleted. The work is done in batches, each one
        transaction. One run never deletes more than the oldest day of each, whatever the clock says.
        """
        # All cutoffs are read before anything is deleted: one deletion must not move the cutoff of the next.
        cutoffs = await self.database.read(lambda connection: retention.find_cutoffs(connection, now, days))
        calls = await self._delete_all(partial(retention.delete_calls, before=cutoffs.calls))
        await self._delete_all(partial(retention.delete_bulletins, before=cutoffs.bulletins))
        incidents = shares = 0
        reduce = partial(
            retention.reduce_incidents, before=cutoffs.incidents, quiet_since=cutoffs.quiet_since, stub=stub
        )
        while any(counts := await self.database.write(reduce)):
            incidents, shares = incidents + counts[0], shares + counts[1]
        shares += await self._delete_all(partial(retention.delete_shares, before=cutoffs.shares))
        failed = await self.database.write(partial(inbox.delete_failed_beyond, most=inbox.MAX_FAILED_BYTES))
        return RetentionResult(shares=shares, incidents=incidents, calls=calls, failed=failed)

    async def _delete_all(self, delete_batch: Callable[[Connection], int]) -> int:
        total = 0
        while deleted := await self.database.write(delete_batch):
            total += deleted
        return total
