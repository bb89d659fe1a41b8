"""What people do in Slack comes in: it is kept as an errand before anybody is answered, and done afterwards.

Slack waits three seconds for an answer, and a click that it sends again must do nothing twice: an errand's key is made
of what Slack sends again unchanged. What only needs somebody's screen (a modal, a private word) is done right after,
beside the answer; it is lost with the process, and costs one more press.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from typing import Any

import structlog

from relay.actions import messages
from relay.actions.modals import build_modal, validation_errors
from relay.actions.people import LookupFailed, People
from relay.actions.slack_gateway import SlackGateway
from relay.cards.model import Card, Task, TaskKind
from relay.metrics import Metrics
from relay.model.buttons import BUTTONS
from relay.model.json_types import JSON
from relay.runtime.clock import Clock
from relay.slack.interactions import Click, Submission, ThreadReply, parse_event, parse_interaction
from relay.slack.methods import Method
from relay.slack.outcomes import Read
from relay.store.store import Store

log = structlog.get_logger("relay.desk")


class InteractionHandler:
    """Takes clicks, modals and replies."""

    def __init__(  # noqa: PLR0913  the shell is wired here
        self,
        store: Store,
        phone: SlackGateway,
        people: People,
        clock: Clock,
        ring: Callable[[], None],
        *,
        governed: Callable[[Card], Card],
        metrics: Metrics,
        acts: bool,
    ) -> None:
        """`ring` wakes whoever runs errands; `acts` says whether BigPanda can be told anything at all.

        `governed` gives a card with the options that its route gives it now.
        """
        self._acts = acts
        self._governed = governed
        self._store = store
        self._phone = phone
        self._people = people
        self._clock = clock
        self._ring = ring
        self._metrics = metrics
        self._later: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()
        self._busy = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is under way that somebody's screen waits for."""
        return self._later.empty() and self._busy <= self._phone.waiting

    async def run(self) -> None:
        """Do what is left to do beside the answers, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    tasks.create_task(self._guarded(await self._later.get()), name="desk")
        finally:
            while not self._later.empty():
                self._later.get_nowait().close()

    async def handle_interaction(self, payload: Mapping[str, JSON]) -> Mapping[str, JSON] | None:
        """Somebody pressed a button or sent a modal. Returns what Slack is to be answered (None: nothing to say).

        Raises:
            StoreError: it is not kept; Slack tells the person so.
        """
        match parse_interaction(payload):
            case _ if not self._acts:
                self._metrics.record_click("any", "acknowledged")
            case Submission() as sent:
                return await self._submitted(sent)
            case Click(action=action) as click if action and BUTTONS[action].opens_modal:
                self._metrics.record_click(action, "asked")
                self._soon(self._open(click))
            case Click(action=action) as click if action:
                await self._keep(TaskKind(action), click, f"{click.user}:{click.action_ts}")
            case _:
                self._metrics.record_click("link", "acknowledged")
        return None

    async def handle_event(self, payload: Mapping[str, JSON]) -> Mapping[str, JSON] | None:
        """Somebody wrote into a thread: where the card's route says so, it becomes a comment in BigPanda.

        Raises:
            StoreError: it is not kept; Slack sends it again.
        """
        spoken = parse_event(payload)
        if not isinstance(spoken, ThreadReply) or not self._acts:
            return None
        card = await self._store.card_at(spoken.channel, spoken.thread_ts)
        if card is None or not self._governed(card).options.sync_replies:
            return None
        errand = Task(
            key=f"reply:{spoken.channel}:{spoken.ts}",
            kind=TaskKind.REPLY,
            incident=card.incident,
            created=self._clock.now(),
            due_at=self._clock.now(),
            payload={**asdict(spoken), "message_ts": spoken.thread_ts, "card": card.channel},
        )
        if errand.key in await self._store.add_tasks([errand]):
            log.info("reply_kept", incident=card.incident, channel=card.channel, route=card.route, key=errand.key)
            self._ring()
        return None

    async def _submitted(self, sent: Submission) -> Mapping[str, JSON] | None:
        if wrong := validation_errors(sent.action, sent.values):
            return wrong
        await self._keep(TaskKind(sent.action), sent, sent.view_id, **sent.values)
        return None

    async def _keep(self, kind: TaskKind, done: Click | Submission, mark: str, **values: str) -> None:
        """Keep an errand, and tell whoever asks for it that it is under way; one that is kept already says nothing.

        `mark` is what Slack sends again unchanged, and with nothing else of this incident.
        """
        card = await self._store.card_at(done.channel, done.message_ts, done.incident)
        if card is None or card.incident != done.incident:
            self._metrics.record_click(kind, "unknown_card")
            log.warning("click_refused", reason="unknown_card", incident=done.incident, user=done.user)
            self._soon(self._phone.post_ephemeral(done.channel, done.user, messages.UNKNOWN_CARD))
            return
        now = self._clock.now()
        payload: dict[str, JSON] = {
            "user": done.user,
            "name": done.user_name,
            "channel": done.channel,
            "message_ts": done.message_ts,
            **values,
            "card": card.channel,
        }
        key = f"{kind}:{done.incident}:{mark}"
        kept = Task(key=key, kind=kind, incident=card.incident, created=now, due_at=now, payload=payload)
        if kept.key not in await self._store.add_tasks([kept]):
            self._metrics.record_click(kept.kind, "repeat")
            return
        self._metrics.record_click(kept.kind, "kept")
        log.info(
            "click_kept",
            incident=card.incident,
            route=card.route,
            channel=card.channel,
            action=str(kept.kind),
            user=done.user,
            key=kept.key,
        )
        self._ring()
        self._soon(self._say_under_way(kept.kind, card, done))

    async def _say_under_way(self, action: TaskKind, card: Card, done: Click | Submission) -> None:
        """Unless it will be refused anyhow, which the errand says itself."""
        if await self._refusal(action, done, card) is None:
            await self._phone.post_ephemeral(done.channel, done.user, BUTTONS[action].started)

    async def _open(self, click: Click) -> None:
        """Show the modal of an action, if this person may act; Slack lets it be opened for three seconds."""
        card = await self._store.card_at(click.channel, click.message_ts, click.incident)
        story = await self._store.incident_state(click.incident)
        if card is None or card.incident != click.incident or story is None:
            await self._phone.post_ephemeral(click.channel, click.user, messages.UNKNOWN_CARD)
            return
        if (refusal := await self._refusal(click.action, click, card)) is not None:
            await self._phone.post_ephemeral(click.channel, click.user, refusal)
            return
        view = build_modal(
            click.action,
            title=story.record.title,
            incident=click.incident,
            channel=click.channel,
            message_ts=click.message_ts,
        )
        answer = await self._phone.call(Method.OPEN_VIEW, lambda: self._phone.client.open_view(click.trigger_id, view))
        if not isinstance(answer, Read):
            log.warning("modal_not_opened", incident=click.incident, action=click.action, reason=answer.reason)
            await self._phone.post_ephemeral(click.channel, click.user, messages.MODAL_NOT_OPENED)

    async def _refusal(self, action: str, click: Click | Submission, card: Card) -> str | None:
        """Why this person may not act here; None where they may, or where only the errand will know."""
        options = self._governed(card).options
        if action not in options.actions:
            return messages.rejected(action, "not_offered")
        allowed = await self._people.may_act(click.user, options.actors)
        if allowed is True or isinstance(allowed, LookupFailed):
            return None
        self._metrics.record_click(action, "not_allowed")
        log.info("click_refused", reason="not_allowed", incident=click.incident, user=click.user, action=action)
        return messages.not_allowed(action, options.actors)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        self._later.put_nowait(work)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """What goes wrong beside an answer costs nobody else anything."""
        self._busy += 1
        try:
            await work
        except Exception:
            log.exception("desk_broke")
        finally:
            self._busy -= 1
