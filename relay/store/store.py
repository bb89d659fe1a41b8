"""Relay's memory: verbs of the domain, each one transaction.

Blocking work runs in the database's two threads, so every verb may be awaited in the event loop. Each raises StoreError
where the database fails (StoreUnusable, with the remedy as far as one is known); then nothing of it was kept, unless
the connection was lost in the very moment of the commit.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from math import inf
from typing import Self, TypeVar

from sqlalchemy import Connection

from relay.bigpanda.webhook.share import Share
from relay.cards.eligibility import WorkKind
from relay.cards.model import Card, CardContext, CardUpdate, Channel, ChannelState, IncidentState, Task
from relay.cards.staleness import StalenessUpdate
from relay.cards.tasks import TaskContext, TaskUpdate
from relay.model.errors import StoreUnusable
from relay.model.json_types import JSON
from relay.model.record import Record
from relay.model.tag_labels import TagDefinition
from relay.store import (
    accepting,
    backlog,
    card_context,
    channel_merge,
    channels,
    config_history,
    dossier,
    health,
    leases,
    letters,
    migration,
    notify,
    picking,
    replay,
    restore_detection,
    results,
    retention,
    tasks,
)
from relay.store.accepting import Planner
from relay.store.database import CLOSING, Database
from relay.store.types import (
    AcceptedShare,
    Backlog,
    IncidentHistory,
    Lease,
    OpenDeadLetter,
    QuarantinedBody,
    RetentionResult,
    SearchTarget,
    ShareBody,
    SlackCall,
    StoredConfiguration,
)

T = TypeVar("T")


class Store:
    """The verbs. Open it with `Store.open`; close it last of all."""

    def __init__(self, database: Database) -> None:
        """Own an open database."""
        self._database = database
        self._data_version: int | None = None

    @classmethod
    async def open(cls, url: str, *, exclusive: bool = True) -> Self:
        """Open a database and bring its tables up to date.

        `exclusive` is how a relay that serves opens it: a second one is refused on SQLite, where two cannot share.
        Without it (for whoever looks beside a running relay) nothing is locked, made or migrated.

        Raises:
            StoreUnusable: it is missing, damaged, not to be written, out of reach, or not relay's.
            StoreTooNew: a newer relay has migrated it.
            StoreInUse: another relay holds it.
        """
        database = await asyncio.to_thread(Database.open, url, exclusive=exclusive)
        store = cls(database)
        try:
            if exclusive:
                await database.write(partial(migration.bring_up, address=database.address))
                await store.check_writable()
            else:
                await database.read(partial(migration.must_be_newest, address=database.address))
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self, within: float = CLOSING) -> bool:
        """Finish what is under way, then let everything go; whether that took no longer than so many seconds.

        Where it does, it goes on by itself for as long as the process lives.
        """
        return await self._database.close(within)

    @property
    def name(self) -> str:
        """What the database is called in sentences; without a password."""
        return self._database.address.name

    def unresponsive(self, seconds: float) -> StoreUnusable:
        """What to say where it neither works nor fails: a server that is frozen or cut off, a lock that is held."""
        return StoreUnusable(f"{self.name[0].upper()}{self.name[1:]} has not answered within {seconds:g} seconds.")

    @property
    def shared(self) -> bool:
        """Whether several relays may have it open at once, so that they have to agree who delivers."""
        return not self._database.sqlite

    # The way in

    async def accept(self, shares: Sequence[Share], plan: Planner, *, within: float = inf) -> list[AcceptedShare]:
        """Keep shares, and what follows from them, all in one commit: when this returns they are on disk.

        `plan` is called in the order of arrival, with the incident's story (None for a new one), its followed cards,
        the share, and the spellings of channels that are another one's (ref -> canonical ref). Shares of one incident
        see what the ones before them came to. A share that was kept before is counted, not planned, and answered as
        it was.
        Once planning has taken more seconds than `within`, no more are taken: then what is returned is shorter than
        `shares` (but never empty), and of the rest nothing is kept.
        `plan` must be pure: a transaction that PostgreSQL undid for another's sake is run again.

        Raises:
            StoreError, or whatever `plan` raises: nothing of the whole group is kept.
        """
        return await self._database.write(lambda connection: accepting.accept(connection, shares, plan, within))

    async def quarantine(self, body: bytes, headers: Mapping[str, str], reason: str, received: float) -> None:
        """Keep a body that is no share, for the operator; the oldest go that are too many or too much."""
        await self._database.write(
            lambda connection: config_history.quarantine(connection, body, headers, reason, received)
        )

    # The way out

    async def start_next_card(  # noqa: PLR0913  the search has that many conditions
        self,
        track: WorkKind,
        now: float,
        *,
        begin: Callable[[CardContext], T],
        change: Callable[[T], CardUpdate],
        skip_cards: Collection[int] = (),
        skip_channels: Collection[str] = (),
        oldest_first: bool = False,
        lease: Lease | None = None,
    ) -> tuple[CardContext, T] | float | None:
        """Take the next card that has work due, and write down that it is begun, in one transaction.

        A post is due of a wanted or shown card without an attempt that is trying or in doubt, an edit of a shown one,
        both in an open channel. Urgent ones come first, then the earliest deadline; with `oldest` the one that waited
        longest. `begin` decides on the case, inside the transaction; `change(step)` is what is written of it.

        Returns the case as it was with the step; or, where nothing is due, when the next work will be (None: never).

        Raises:
            LeaseLost: another relay delivers now; nothing was written.
            CardTrouble: something unforeseen happened with one card; nothing was written.
        """
        skipped = (
            frozenset(skip_cards),
            frozenset(skip_channels),
        )  # the caller's may change while this waits for its turn
        return await self._database.write(
            lambda connection: picking.pick(
                connection,
                track,
                now,
                skip_cards=skipped[0],
                skip_lanes=skipped[1],
                oldest=oldest_first,
                begin=begin,
                change=change,
                lease=lease,
            )
        )

    async def update_card(
        self,
        card: int,
        decide: Callable[[CardContext], CardUpdate],
        call: SlackCall | None = None,
        *,
        lease: Lease | None = None,
    ) -> CardContext:
        """Write down what came of a call; `finish` sees the case as it is by now, inside the transaction.

        Returns the case as it is afterwards.

        Raises:
            LeaseLost: another relay delivers now; nothing was written.
        """
        return await self._database.write(lambda connection: results.settle(connection, card, decide, call, lease))

    async def recover_attempts(
        self, now: float, *, in_progress: Collection[int] = (), lease: Lease | None = None
    ) -> int:
        """Call doubt what was left in the middle, by another relay or by this one: attempts, and their cards.

        For whoever begins to deliver; and for whoever was told that a `pick` failed, which may have been committed
        nevertheless. The cards `under_way` are left alone: somebody will settle them.

        Returns how many attempts are in doubt by this. They are to be looked at from `now` on.
        """
        busy = frozenset(in_progress)
        return await self._database.write(lambda connection: results.recover(connection, now, busy, lease))

    async def restore_window(self, now: float) -> tuple[float, float] | None:
        """Where this is a copy that was put back: when it was made, and until when to look before anything is posted.

        Unix seconds; None where it is no copy, or has been served for long enough.
        """
        return await self._database.write(lambda connection: restore_detection.restored(connection, now))

    async def attempts_in_doubt(self) -> tuple[SearchTarget, ...]:
        """The attempts in doubt, those first that are to be looked at first."""
        return await self._database.read(picking.doubts)

    async def attempts_to_recheck(self) -> tuple[SearchTarget, ...]:
        """The attempts that were made again after nothing was found, and are to be looked for once more."""
        return await self._database.read(picking.second_looks)

    async def card_context(self, card: int) -> CardContext:
        """All that a decision about a card needs, as it is now."""
        return await self._database.write(lambda connection: card_context.load(connection, card))

    async def dead_letters(self) -> tuple[OpenDeadLetter, ...]:
        """The open dead letters, each with its card, the oldest first."""
        return await self._database.read(letters.listed)

    async def quarantined_bodies(self) -> tuple[QuarantinedBody, ...]:
        """The bodies that were no shares, without their bytes, the oldest first."""
        return await self._database.read(config_history.quarantined)

    async def quarantined_body(self, number: int) -> QuarantinedBody | None:
        """A body that was no share, with its bytes; None where there is none of that number any more."""
        return await self._database.read(lambda connection: config_history.quarantined_body(connection, number))

    async def channels_with_due_work(self, track: WorkKind, now: float) -> set[str]:
        """The open channels that have work due now, by canonical reference."""
        return await self._database.read(lambda connection: picking.lanes(connection, track, now))

    # Both ways

    async def add_tasks(self, new: Iterable[Task]) -> set[str]:
        """Keep what BigPanda is to be told or asked; returns the keys of those that are new."""
        wanted = tuple(new)
        return await self._database.write(lambda connection: tasks.ask(connection, wanted))

    async def next_due_task(self, now: float, *, skip: Collection[str] = ()) -> TaskContext | float | None:
        """The errand that is to be done next, of an incident that is not in `skip`, with what it is about.

        People's come first, then callbacks, then checks; of each the one that has been due longest. Where none is, when
        the next one will be (None: never).
        """
        skipped = frozenset(skip)
        return await self._database.write(lambda connection: tasks.due(connection, now, skipped))

    async def update_task(
        self, key: str, decide: Callable[[TaskContext], TaskUpdate | None], *, lease: Lease | None = None
    ) -> TaskContext | None:
        """Write down what is decided about an errand; `finish` sees it as it is by now, inside the transaction.

        Returns the errand as it is afterwards with what it is about; None where it was over already.

        Raises:
            LeaseLost: another relay delivers now; nothing was written.
        """
        return await self._database.write(lambda connection: tasks.settle(connection, key, decide, lease))

    async def recover_tasks(self, now: float, lease: Lease | None = None) -> int:
        """Have what was left in the middle done again, or looked for; returns how many errands that are.

        For whoever begins with errands, and has none under way yet.
        """
        return await self._database.write(lambda connection: tasks.recover(connection, now, lease))

    async def update_silent_incident(
        self,
        now: float,
        decide: Callable[[IncidentState, Sequence[Card]], StalenessUpdate],
        *,
        lease: Lease | None = None,
    ) -> str | float | None:
        """Deal with the incident that has been silent for too long the longest, by what `judge` says of it.

        Returns its id; where there is none, when there will be one (None: never).

        Raises:
            LeaseLost: another relay delivers now; nothing was written.
        """
        return await self._database.write(lambda connection: tasks.next_silent(connection, now, decide, lease))

    async def incident_state(self, incident: str) -> IncidentState | None:
        """An incident as it is kept; None where it is not known."""
        return await self._database.write(lambda connection: tasks.story(connection, incident))

    async def card_at(self, slack_channel: str, ts: str, incident: str = "") -> Card | None:
        """The card that is this message (Slack's id of the channel, and the message's `ts`).

        Of an `incident` it may also be the one there of which Slack's answer is not known yet.
        """
        return await self._database.read(lambda connection: tasks.card_at(connection, slack_channel, ts, incident))

    async def save_tag_definitions(self, definitions: Sequence[TagDefinition], now: float) -> None:
        """Keep BigPanda's definitions of tags, in place of those that are kept."""
        await self._database.write(lambda connection: config_history.keep_definitions(connection, definitions, now))

    async def tag_definitions(self) -> tuple[tuple[TagDefinition, ...], float]:
        """BigPanda's definitions of tags as they are kept, and when they were asked for (0: never)."""
        return await self._database.read(config_history.definitions)

    # Channels

    async def channels(self) -> tuple[Channel, ...]:
        """All channels, by every spelling that is known."""
        return await self._database.read(channels.every)

    async def next_channel_lookup_at(self) -> float | None:
        """The moment at which the first channel is to be asked about; 0 where one is new, None where there is none."""
        return await self._database.read(channels.due)

    async def canonical_refs(self) -> Mapping[str, str]:
        """Those spellings of channels that are another one's: ref -> canonical ref."""
        return await self._database.read(channels.spellings)

    async def add_channels(self, refs: Iterable[str]) -> None:
        """Make channels known by these references; those that are known stay as they are."""
        wanted = tuple(refs)
        await self._database.write(lambda connection: channels.want(connection, wanted))

    async def update_channel(  # noqa: PLR0913  a finding has that many parts
        self,
        ref: str,
        *,
        slack_id: str | None,
        state: ChannelState,
        facts: Mapping[str, JSON] | None = None,
        reason: str = "",
        retry_at: float | None = None,
    ) -> Channel:
        """Write down what was found of a channel; without a `slack_id` the known one stays.

        Where another reference has that id already, this one becomes a spelling of it: its cards move there, one that
        has nothing in Slack gives way to one of the same episode there, and the finding holds for both.

        Returns the row that speaks for the channel now.
        """
        found = channel_merge.Finding(
            slack_id=slack_id, facts=facts or {}, state=state, reason=reason, retry_at=retry_at
        )
        return await self._database.write(lambda connection: channel_merge.found(connection, ref, found))

    async def stalled_channels(self, now: float) -> tuple[Channel, ...]:
        """The channels that are not open and have work due: nothing of them is ever picked."""
        return await self._database.read(lambda connection: picking.waiting_channels(connection, now))

    async def due_cards(self, ref: str, now: float, limit: int = 100) -> tuple[int, ...]:
        """The numbers of a channel's cards that have work due, longest overdue first: what a refusal concerns."""
        return await self._database.read(lambda connection: picking.waiting_cards(connection, ref, now, limit))

    async def open_cards(self, ref: str, limit: int = 2000) -> tuple[tuple[int, str], ...]:
        """The shown cards of open incidents in a channel, the newest first: number and ts."""
        return await self._database.read(lambda connection: picking.open_cards(connection, ref, limit))

    # Reading

    async def incident_history(self, incident: str) -> IncidentHistory | None:
        """All that is kept of an incident, but for the bodies of its shares; None where it is not known."""
        return await self._database.read(lambda connection: dossier.story(connection, incident))

    async def share_bodies(self, incident: str) -> tuple[ShareBody, ...]:
        """The shares of an incident as they were sent, in the order in which they came."""
        return await self._database.read(lambda connection: dossier.share_bodies(connection, incident))

    async def recorded_incidents(self, since: float) -> AsyncIterator[replay.RecordedIncidents]:
        """The incidents that have had a share since then, some at a time, each with all its shares that are kept."""
        after = ""
        while (found := await self._database.read(partial(replay.piece, since=since, after=after))) is not None:
            after, piece = found
            yield piece

    async def count_recorded_incidents(self, since: float) -> int:
        """How many incidents `recorded` gives, at this moment."""
        return await self._database.read(partial(replay.count, since=since))

    # Keeping house

    async def apply_retention(self, now: float, days: float, stub: Callable[[Record], Record]) -> RetentionResult:
        """Let go what is older than `days`: shares, and the inside of incidents that ended; and Slack's old answers.

        Of an incident stay its cards and its row, with the record that `stub` makes of it. Done in pieces, each a
        transaction of its own; never more than the oldest day of each goes in one run, whatever the clock says.
        """
        # All limits before anything goes: what one step takes away must not let the next one go a day further.
        before = await self._database.read(lambda connection: retention.cutoffs(connection, now, days))
        calls = await self._in_pieces(partial(retention.drop_calls, before=before.calls))
        incidents, shares = await self._slim(before.incidents, now - days * retention.DAY, stub)
        shares += await self._in_pieces(partial(retention.drop_shares, before=before.shares))
        return RetentionResult(shares=shares, incidents=incidents, calls=calls)

    async def save_configuration(self, digest: str, routes: str, templates: Mapping[str, str], now: float) -> None:
        """Keep routes and templates (file name -> text) that work, as the newest; a few older ones stay."""
        await self._database.write(
            lambda connection: config_history.keep_configuration(connection, digest, routes, templates, now)
        )

    async def latest_configuration(self) -> StoredConfiguration | None:
        """The newest routes and templates that worked."""
        return await self._database.read(config_history.configuration)

    async def latest_configuration_hash(self) -> str | None:
        """The hash of the newest routes and templates that worked: what is cheap to ask for again and again."""
        return await self._database.read(config_history.configuration_hash)

    async def claim_fault_report(self, digest: str, now: float) -> bool:
        """Whether nobody was told yet of the faulty configuration of that hash. Asking counts as telling."""
        return await self._database.write(lambda connection: config_history.fault_is_new(connection, digest, now))

    async def clear_fault_reports(self) -> bool:
        """Whether anybody was told of a faulty configuration since this was asked last. Asking makes all forgotten."""
        return await self._database.write(config_history.faults_over)

    async def acquire_lease(self, name: str, holder: str, now: float | None, ttl: float) -> int | None:
        """Take a lease that nobody holds, or extend our own, until `now + ttl`.

        Without a `now` the database's clock counts: the clocks of several relays need not agree.

        Returns its epoch, which is larger by one than that of the holder before; None while somebody else holds it.
        """
        return await self._database.write(lambda connection: leases.hold(connection, name, holder, now, ttl))

    async def release_lease(self, lease: Lease) -> None:
        """Let a lease go, so that the next relay need not wait; nothing happens where it is lost already."""
        await self._database.write(lambda connection: leases.release(connection, lease))

    async def lease_epoch(self, name: str) -> int:
        """The epoch of a lease; 0 where nobody ever held it."""
        return await self._database.read(lambda connection: leases.epoch(connection, name))

    async def check_writable(self) -> None:
        """Write a little, to the disk.

        Raises:
            StoreUnusable: it cannot be written.
        """
        await self._database.write(health.beat)

    async def backlog(self, now: float) -> Backlog:
        """How much waits at this moment, and for how long; answered from indexes, fit to be asked at every scrape."""
        return await self._database.read(lambda connection: backlog.backlog(connection, now))

    async def size_bytes(self) -> int:
        """The bytes that the database takes."""
        return await self._database.read(health.size_bytes)

    # The doorbell

    async def listen(self, on_notify: notify.OnNotify) -> None:
        """On PostgreSQL: call `ring` whenever any relay has accepted something that is due; until cancelled.

        It hears whether anything may have changed (an operator has redriven letters), or it was a share.

        On SQLite there is nothing to listen to, and this returns at once: ask `changed` now and then.
        """
        if not self._database.sqlite:
            await notify.listen(self._database.dialect, self._database.address, on_notify)

    async def notify(self) -> None:
        """On PostgreSQL: wake the relay that delivers; on SQLite it notices by `changed` whatever was written."""
        await self._database.write(lambda connection: notify.ring(connection, anything=True))

    async def changed_elsewhere(self) -> bool:
        """On SQLite: whether another program (the command line) has written since this was asked last.

        SQLite counts for each connection what others commit; asked on the writer's, it leaves out what relay itself
        writes (https://sqlite.org/pragma.html#pragma_data_version). On PostgreSQL always False: `listen` tells.
        """
        if not self._database.sqlite:
            return False
        before, self._data_version = self._data_version, await self._database.probe("PRAGMA data_version")
        return before is not None and before != self._data_version

    async def _in_pieces(self, drop: Callable[[Connection], int]) -> int:
        total = 0
        while dropped := await self._database.write(drop):
            total += dropped
        return total

    async def _slim(self, before: float, silent: float, stub: Callable[[Record], Record]) -> tuple[int, int]:
        incidents = shares = 0
        while True:
            slimmed, dropped = await self._database.write(
                lambda connection: retention.slim_incidents(connection, before, silent, stub)
            )
            if not slimmed and not dropped:
                return incidents, shares
            incidents, shares = incidents + slimmed, shares + dropped
