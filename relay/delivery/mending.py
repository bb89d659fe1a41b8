"""Puts right what is not as it should be.

Cards of channels that take nothing go to the fallback, letters whose channel works again are redriven, and cards that
somebody deleted without anybody noticing are posted anew.
"""

import asyncio

import structlog

from relay.delivery.kit import Bell, Kit, about
from relay.planning import Channel, ChannelState, refusal
from relay.planning.model import Letter
from relay.planning.refusal import EXTERNAL, is_foreign
from relay.store import Lease, LetterLine
from relay.verdict import Method, Read
from relay.verdict.codes import OF_CHANNELS, REMEDIES
from relay.verdict.reads import Seen, cursor_of, messages_of

log = structlog.get_logger("relay.delivery")

SWEEP_EVERY = 600.0
"""Seconds between two looks of the sweep, each at one channel: a small part of what history may be read."""

SWEEP_PAGES = 3
"""The most pages that the sweep reads of a channel: 600 messages."""

AGAIN = 5.0
"""Seconds after which cards of channels that take nothing are looked for again, while there are such channels."""

LAG = 120.0
"""Seconds for which Slack's history may not show a message yet."""

AT_ONCE = 200
"""The most cards of one channel that are diverted in one go."""


class Mending:
    """Diverts, redrives and sweeps."""

    def __init__(self, kit: Kit) -> None:
        """Mend the cards of the kit's store."""
        self.bell = Bell()
        self._kit = kit
        self._next_sweep = kit.clock.now() + SWEEP_EVERY
        self._swept: list[str] = []
        self._troubled = False

    async def run(self, lease: Lease | None, over: asyncio.Event) -> None:
        """Mend whenever something rings, and sweep now and then, until `over`."""
        while not over.is_set():
            if await self.mend(lease):
                self._kit.settled()
            if self._kit.clock.now() >= self._next_sweep and not self._kit.gate.shut:
                self._next_sweep = self._kit.clock.now() + SWEEP_EVERY
                await self._sweep(lease)
            soon = self._kit.clock.now() + (AGAIN if self._troubled else SWEEP_EVERY)
            await self._kit.rest(self.bell, min(soon, max(self._next_sweep, self._kit.clock.now() + AGAIN)))

    async def mend(self, lease: Lease | None) -> bool:
        """Divert what waits for channels that refuse, and redrive what need wait no more; whether there was any."""
        channels = {channel.ref: channel for channel in await self._kit.store.channels()}
        self._troubled = any(channel.state is ChannelState.REFUSED for channel in channels.values())
        waiting = await self._kit.store.waiting_channels(self._kit.clock.now())
        diverted = [await self._divert(channel, lease) for channel in waiting]
        redriven = [await self._redrive(letter, channels, lease) for letter in await self._kit.store.letters()]
        return any(diverted) or any(redriven)

    async def _divert(self, channel: Channel, lease: Lease | None) -> bool:
        if channel.state is not ChannelState.REFUSED:
            return False
        now, rules = self._kit.clock.now(), self._kit.rules()
        letter = Letter(reason=channel.reason, remedy=REMEDIES.get(channel.reason, ""), since=now)
        cards = await self._kit.store.waiting_cards(channel.ref, now, AT_ONCE)
        for card in cards:
            case = await self._kit.store.settle(
                card, lambda case: refusal.diverted(case, rules.fallback, rules.same, letter), lease=lease
            )
            to = rules.fallback.channel.ref if rules.fallback else ""
            log.error("diverted", **about(case.card), to=to, reason=letter.reason, remedy=letter.remedy)
        return bool(cards)

    async def _redrive(self, letter: LetterLine, channels: dict[str, Channel], lease: Lease | None) -> bool:
        """A letter for its channel's sake is redriven by itself when the channel takes messages again."""
        if not letter.card.followed:
            now, words = self._kit.clock.now(), self._kit.rules().words
            await self._kit.store.settle(letter.card.id, lambda case: refusal.redriven(case, words, now), lease=lease)
            log.info("letter_closed", letter=letter.id, reason="followed_no_more", **about(letter.card))
            return False
        channel = channels.get(letter.card.channel)
        if channel is None or channel.state is not ChannelState.OPEN or letter.reason not in OF_CHANNELS | {EXTERNAL}:
            return False
        if is_foreign(letter.card, channel):
            return False
        now, words = self._kit.clock.now(), self._kit.rules().words
        log.warning("redriven", letter=letter.id, reason=letter.reason, **about(letter.card))
        await self._kit.store.settle(letter.card.id, lambda case: refusal.redriven(case, words, now), lease=lease)
        return True

    async def _sweep(self, lease: Lease | None) -> None:
        """Read one channel back a little: an open card that is not where it should be is posted anew."""
        channel = await self._next_channel()
        if channel is None or channel.slack_id is None:
            return
        cards = await self._kit.store.open_cards(channel.ref)
        seen = await self._read(channel.slack_id) if cards else None
        if seen is None:
            return
        there = {message.ts for message in seen if not message.deleted}
        oldest = min((message.ts for message in seen), default="0")
        newest = f"{self._kit.clock.now() - LAG:.6f}"
        for card, ts in cards:
            if oldest <= ts < newest and ts not in there:
                await self._renew(card, ts, lease)

    async def _renew(self, card: int, ts: str, lease: Lease | None) -> None:
        now, words = self._kit.clock.now(), self._kit.rules().words
        case = await self._kit.store.settle(
            card, lambda case: refusal.gone(case, ts, words, "root_gone", now), lease=lease
        )
        log.warning("drifted", **about(case.card), reason="root_gone", ts=ts)
        self._kit.settled()

    async def _next_channel(self) -> Channel | None:
        """Each open channel in its turn."""
        opened = [channel for channel in await self._kit.store.channels() if channel.state is ChannelState.OPEN]
        opened = [channel for channel in opened if channel.same_as is None]
        waiting = [channel for channel in opened if channel.ref not in self._swept]
        if not waiting:
            self._swept, waiting = [], opened
        if not waiting:
            return None
        self._swept.append(waiting[0].ref)
        return waiting[0]

    async def _read(self, channel: str) -> list[Seen] | None:
        seen: list[Seen] = []
        cursor: str | None = None
        for _ in range(SWEEP_PAGES):
            now = self._kit.clock.now()
            if self._kit.budgets.ready_at(Method.HISTORY, "", now) > now:
                return None
            self._kit.budgets.spend(Method.HISTORY, "", now)
            answer = await self._kit.slack.history(channel, "0", cursor=cursor)
            self._kit.hear(Method.HISTORY, answer)
            if not isinstance(answer, Read):
                return None
            seen += messages_of(answer)
            if (cursor := cursor_of(answer)) is None:
                break
        return seen
