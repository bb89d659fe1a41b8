"""Runs errands: in the relay that delivers, one at a time for each incident, until each is done, refused or given up.

    picked (the store) -> prepared (carrying) -> begun, with its deed, in one transaction -> called -> settled

A relay that dies between the last three leaves an errand that is being tried: what may be done twice is done again at
the next start, and a comment is looked for instead (`planning.errands.recovered`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from relay.bigpanda import BigPanda
from relay.clock import Bell, Clock
from relay.desk import wording
from relay.desk.carrying import Carrier, No, NotYet, Ready
from relay.desk.lexicon import Lexicon
from relay.desk.phone import Phone
from relay.errors import LeaseLost, ShareError, StoreError, StoreUnusable
from relay.metrics import Metrics
from relay.pacing import BIGPANDA_LIMITS, Budgets
from relay.planning import AttemptState, Card, ErrandKind, Story, silence
from relay.planning.errands import (
    COMMENTS,
    PATIENCE,
    Dealt,
    Matter,
    again,
    begun,
    broken,
    copied,
    looked,
    over,
    pause_before,
    ruled,
)
from relay.ruling import Call, Done, Missing, Refused, Ruling, comments_of
from relay.share import INTEGRATION, from_api
from relay.store import Lease, Store

log = structlog.get_logger("relay.errands")

AT_ONCE = 8
"""Errands under way at the most, each about another incident."""

LOOK_EVERY = 60.0
"""Seconds between two looks for incidents that fell silent, where none was about to."""

STORE_PAUSE = 1.0
"""Seconds until the store is asked again after it failed."""

Accept = Callable[[bytes, Mapping[str, str]], Awaitable[object]]


class Errands:
    """The way out to BigPanda. Without a door to it only the silence of incidents is looked after."""

    def __init__(  # noqa: PLR0913  the shell is wired here
        self,
        store: Store,
        panda: BigPanda | None,
        carrier: Carrier | None,
        lexicon: Lexicon,
        phone: Phone,
        *,
        clock: Clock,
        accept: Accept,
        metrics: Metrics,
    ) -> None:
        """`accept` takes a share (body, headers) as if BigPanda had sent it."""
        self.bell = Bell()
        self._store = store
        self._panda = panda
        self._carrier = carrier
        self._lexicon = lexicon
        self._phone = phone
        self._clock = clock
        self._accept = accept
        self._metrics = metrics
        self._budgets = Budgets(limits=BIGPANDA_LIMITS, channel_limits={})
        self._busy: set[str] = set()
        self._refreshing = False
        self._copied_at: float | None = None
        self._silent_at = 0.0
        self._answers = False
        self.trouble = ""
        """Why BigPanda takes nothing from relay, where that is for somebody to mend; empty while it does."""

    @property
    def resting(self) -> bool:
        """Whether nothing is under way, and nothing can be before time passes or the bell rings."""
        return self.bell.silent and not self._busy and not self._refreshing

    async def run(self, lease: Lease | None, over: asyncio.Event, check: Callable[[], None]) -> None:
        """Work until told to stop; then finish what is under way. `check` raises where the lease has run out.

        Raises:
            LeaseLost: another relay delivers now.
            StoreError: the store failed; nothing is lost by beginning again.
        """
        copy = await self._store.restored(self._clock.now())
        self._copied_at = None if copy is None else copy[0]
        async with asyncio.TaskGroup() as tasks:
            while not over.is_set():
                until = await self._turn(lease, tasks, check)
                if until is None or until > self._clock.now():
                    await self._clock.rest(self.bell, until)

    async def _turn(self, lease: Lease | None, tasks: asyncio.TaskGroup, check: Callable[[], None]) -> float | None:
        """Begin with one errand; returns when to look again (None: when the bell rings)."""
        if len(self._busy) >= AT_ONCE:
            return None
        now = self._clock.now()
        defined = self._define(now, tasks)
        try:
            silent = await self._look_for_silence(now, lease)
            found = None if self._panda is None else await self._store.errand_due(now, skip=self._busy)
        except LeaseLost:
            raise
        except StoreError as error:  # raised from here it would cut off what is under way
            log.error("errand_not_picked", detail=str(error))  # noqa: TRY400  the sentence says it
            return now + STORE_PAUSE
        if isinstance(found, Matter):
            self._busy.add(found.errand.incident)
            tasks.create_task(self._run(found, lease, check), name=f"errand {found.errand.key}")
            return now
        moments = (found, silent, defined)
        return min((moment for moment in moments if moment is not None), default=None)

    def _define(self, now: float, tasks: asyncio.TaskGroup) -> float | None:
        """Have tags defined beside the errands, when it is time for it; returns when it will be (None: not known)."""
        due = self._lexicon.refresh_at
        if due is None or self._refreshing:
            return None
        if due > now:
            return due
        self._refreshing = True
        tasks.create_task(self._refresh(), name="definitions")
        return None

    async def _refresh(self) -> None:
        """Nobody waits for it, and whatever goes wrong with it stops nothing else."""
        try:
            ruling = await self._lexicon.refresh()
            if ruling is not None:
                self._heard(Call.DEFINITIONS, ruling)
        except StoreError as error:
            log.error("definitions_not_kept", detail=str(error))  # noqa: TRY400  the sentence says it
        except Exception:
            log.exception("definitions_broke")
        finally:
            self._refreshing = False
            self.bell.set()

    async def _look_for_silence(self, now: float, lease: Lease | None) -> float:
        """Deal with one incident that has been silent for too long; returns when to look again."""
        if now < self._silent_at:
            return self._silent_at
        asks, answers = self._panda is not None, not self.trouble
        found = await self._store.next_silent(
            now, lambda story, cards: silence.fallen_silent(story, cards, now, asks=asks, answers=answers), lease=lease
        )
        if isinstance(found, str):
            log.info("fell_silent", incident=found, asked=asks and answers)
            return now
        self._silent_at = now + LOOK_EVERY if found is None else min(found, now + LOOK_EVERY)
        return self._silent_at

    async def _run(self, matter: Matter, lease: Lease | None, check: Callable[[], None]) -> None:
        errand = matter.errand
        try:
            if errand.state is AttemptState.IN_DOUBT:
                await self._look(matter, lease)
            else:
                await self._carry(matter, lease, check)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  one errand's trouble must not cut off others, or what goes to Slack
            await self._broke(matter, error, lease)
        finally:
            self._busy.discard(errand.incident)
            self.bell.set()

    async def _broke(self, matter: Matter, error: Exception, lease: Lease | None) -> None:
        errand, now = matter.errand, self._clock.now()
        unforeseen = None if isinstance(error, StoreError) else error  # the database's own sentence says it all
        log.error("errand_broke", incident=errand.incident, key=errand.key, detail=str(error), exc_info=unforeseen)
        try:
            await self._concluded(await self._settle(errand.key, lambda now_is: broken(now_is, now), lease))
        except LeaseLost:
            raise
        except StoreError as failed:  # not even that can be written: whoever delivers next recovers it
            log.error("errand_left", key=errand.key, detail=str(failed))  # noqa: TRY400  the sentence says it

    # -- One errand ----------------------------------------------------------------------------------------------------

    async def _carry(self, matter: Matter, lease: Lease | None, check: Callable[[], None]) -> None:
        carrier = self._carrier
        if carrier is None:
            return
        errand = matter.errand
        if self._clock.now() > errand.created + PATIENCE[errand.kind]:
            await self._end(matter, No(state=AttemptState.DROPPED, reason=errand.reason or "too_late"), lease)
            return
        prepared = await carrier.prepared(matter)
        match prepared:
            case NotYet(reason=reason):
                now = self._clock.now()
                at = now + pause_before(errand, now)
                await self._concluded(await self._settle(errand.key, lambda now_is: again(now_is, reason, at), lease))
            case No():
                await self._end(matter, prepared, lease)
            case Ready():
                await self._call(matter, prepared, lease, check)

    async def _call(self, matter: Matter, ready: Ready, lease: Lease | None, check: Callable[[], None]) -> None:
        errand = matter.errand
        await self._afford(ready.call)
        is_copied = errand.kind in COMMENTS and self._copied_at is not None and errand.created <= self._copied_at
        begin = copied if is_copied else begun
        started = await self._settle(
            errand.key, lambda now_is: begin(now_is, ready.deed, self._clock.now(), sent=ready.sent), lease
        )
        if started is None:
            return  # settled by somebody else meanwhile
        if started.errand.state is not AttemptState.TRYING:
            await self._concluded(started)
            return
        check()
        ruling = await ready.make()
        self._heard(ready.call, ruling)
        if errand.kind is ErrandKind.CHECK:
            await self._checked(started, ruling, lease)
            return
        now = self._clock.now()
        await self._concluded(await self._settle(errand.key, lambda now_is: ruled(now_is, ruling, now), lease), ruling)

    async def _look(self, matter: Matter, lease: Lease | None) -> None:
        """A comment of which nobody knows: BigPanda's own list of what happened may tell."""
        errand = matter.errand
        if self._panda is None:
            return
        await self._afford(Call.ACTIVITIES)
        ruling = await self._panda.activities(errand.incident)
        self._heard(Call.ACTIVITIES, ruling)
        comments = comments_of(ruling.body) if isinstance(ruling, Done) else None
        sent, now = str(errand.payload.get("sent", "")), self._clock.now()
        await self._concluded(await self._settle(errand.key, lambda now_is: looked(now_is, comments, sent, now), lease))

    async def _checked(self, matter: Matter, ruling: Ruling, lease: Lease | None) -> None:
        """What BigPanda says of an incident comes in as a share; where it cannot say, the card says so."""
        errand, now = matter.errand, self._clock.now()
        if isinstance(ruling, Done):
            await self._take(matter, ruling, lease)
            return
        if isinstance(ruling, Missing) and await self._region_is_right():
            log.warning("incident_gone", incident=errand.incident, reason=ruling.reason)
            await self._concluded(
                await self._settle(errand.key, lambda now_is: _gone(now_is, ruling, now), lease), ruling
            )
            return
        settled = await self._settle(errand.key, lambda now_is: _unchecked(now_is, ruling, now), lease)
        await self._concluded(settled, ruling)

    async def _take(self, matter: Matter, ruling: Done, lease: Lease | None) -> None:
        errand, known = matter.errand, matter.story.record.integrations
        headers = {INTEGRATION: known[-1]} if known and known[-1] != "default" else {}
        try:
            await self._accept(from_api(ruling.body), headers)
        except ShareError as error:
            reason = error.reason
            log.error("check_not_taken", incident=errand.incident, detail=str(error))  # noqa: TRY400  it says all
            await self._concluded(
                await self._settle(errand.key, lambda now_is: over(now_is, AttemptState.REFUSED, reason), lease)
            )
            return
        now = self._clock.now()
        await self._concluded(await self._settle(errand.key, lambda now_is: _known(now_is, ruling, now), lease), ruling)

    async def _region_is_right(self) -> bool:
        """A 404 also comes from another region's BigPanda: once anything was answered, it is the incident's."""
        if not self._answers and self._panda is not None:
            await self._afford(Call.DEFINITIONS)
            self._heard(Call.DEFINITIONS, await self._panda.definitions())
        return self._answers

    async def _end(self, matter: Matter, no: No, lease: Lease | None) -> None:
        settled = await self._settle(matter.errand.key, lambda now_is: over(now_is, no.state, no.reason), lease)
        await self._concluded(settled, quiet=no.quiet)

    # -- Whatever it was -----------------------------------------------------------------------------------------------

    async def _afford(self, call: Call) -> None:
        while (ready := self._budgets.ready_at(call, "", self._clock.now())) > self._clock.now():
            await self._clock.sleep(ready - self._clock.now())
        self._budgets.spend(call, "", self._clock.now())

    def _heard(self, call: Call, ruling: Ruling) -> None:
        """Learn from an answer: whether BigPanda knows relay's key, and how fast it may be asked."""
        match ruling:
            case Done():
                self._answers, self.trouble = True, ""
            case Refused(kind="credentials", remedy=remedy):
                self.trouble = remedy
            case _ if getattr(ruling, "pauses", False):
                self._budgets.pause(call, None, self._clock.now())

    async def _settle(self, key: str, finish: Callable[[Matter], Dealt | None], lease: Lease | None) -> Matter | None:
        """Write down what is decided, however long the store takes: an answer that is lost is asked for again."""
        while True:
            try:
                return await self._store.settle_errand(key, finish, lease=lease)
            except StoreUnusable as error:
                log.error("errand_not_settled", key=key, detail=str(error))  # noqa: TRY400  the sentence says it
                await self._clock.sleep(STORE_PAUSE)

    async def _concluded(self, matter: Matter | None, ruling: Ruling | None = None, *, quiet: bool = False) -> None:
        """Say what became of an errand: to the log and the metrics, and to whoever asked for it, if it failed."""
        if matter is None:
            return
        errand = matter.errand
        outcome = "waiting" if errand.state is AttemptState.WAITING else str(errand.state)
        self._metrics.errand(errand.kind, outcome)
        told = log.info if errand.state is AttemptState.DONE or quiet else log.warning
        told(
            "errand",
            kind=str(errand.kind),
            outcome=outcome,
            reason=errand.reason or "ok",
            remedy=getattr(ruling, "remedy", ""),
            incident=errand.incident,
            key=errand.key,
            user=errand.payload.get("user", ""),
            tries=errand.tries,
        )
        if not quiet and (words := _words(matter)):
            payload = errand.payload
            thread = str(payload["message_ts"]) if errand.kind is ErrandKind.REPLY else ""
            await self._phone.whisper(str(payload["channel"]), str(payload["user"]), words, thread)


def _words(matter: Matter) -> str:
    """What whoever asked for an errand has to hear of its end; empty where the card will tell them, or nobody asked."""
    errand = matter.errand
    if "user" not in errand.payload:
        return ""
    if errand.state is AttemptState.IN_DOUBT and errand.due_at is None:
        return wording.unsure(errand.kind)
    if errand.state is AttemptState.DROPPED and (errand.tries or errand.reason == "too_late"):
        return wording.given_up(errand.kind, errand.reason)
    if errand.reason == "not_allowed":
        cards = (card for card in matter.cards if card.channel == errand.payload.get("card"))
        return wording.not_allowed(errand.kind, next((card.options.actors for card in cards), ()))
    ended = errand.state in {AttemptState.REFUSED, AttemptState.DROPPED}
    return wording.not_done(errand.kind, errand.reason) if ended else ""


def _gone(matter: Matter, ruling: Missing, now: float) -> Dealt:
    story, cards, _ = silence.gone(matter.story, matter.cards, now)
    return _with(over(matter, AttemptState.DONE, ruling.reason), story, cards)


def _known(matter: Matter, ruling: Done, now: float) -> Dealt:
    """It was asked about, and taken: even where nothing of it was news, what the card shows is true."""
    return _with(ruled(matter, ruling, now), matter.story, silence.confirmed(matter.cards, now))


def _unchecked(matter: Matter, ruling: Ruling, now: float) -> Dealt:
    """It could not be asked about. After a long silence the card says so, once nothing more is tried."""
    dealt = (
        over(matter, AttemptState.REFUSED, ruling.reason) if isinstance(ruling, Missing) else ruled(matter, ruling, now)
    )
    if dealt.errand.open or not str(matter.errand.payload.get("why", "")).startswith("silent"):
        return dealt
    story, cards, _ = silence.unknown(matter.story, matter.cards, now, asks=True)
    return _with(dealt, story, cards)


def _with(dealt: Dealt, story: Story, cards: tuple[Card, ...]) -> Dealt:
    return Dealt(errand=dealt.errand, story=story, cards=cards, more=dealt.more)
