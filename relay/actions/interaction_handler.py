"""Handles clicks, modals and thread replies: each is stored as a task before Slack gets its answer.

Slack waits three seconds for an answer, and may send the same click again. So the key of a task consists of what Slack
repeats unchanged. Output for one person only (a modal, an ephemeral message) follows in the background. If relay stops,
it is lost, and the person presses again. The task runner reports failures, and asks if somebody else has the
incident.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import structlog

from relay.actions import messages
from relay.actions.batches import Batches
from relay.actions.modals import build_modal, validation_errors
from relay.actions.mute_dialog import MuteDialog
from relay.actions.people import LookupFailed
from relay.actions.permission import Denied, Permissions
from relay.cards.attribution import is_awaited
from relay.cards.model import Card, Task, TaskKind
from relay.delivery.context import card_fields
from relay.metrics import Metrics
from relay.model.buttons import BUTTONS, STORM_BUTTONS
from relay.model.json_types import JSON
from relay.runtime.background_work import BackgroundWork
from relay.runtime.clock import Clock
from relay.runtime.logging import REPORT_IT
from relay.slack.gateway import SlackGateway
from relay.slack.interactions import BatchSubmission, Click, Submission, ThreadReply, parse_event, parse_interaction
from relay.store.store import Store

log = structlog.get_logger("relay.interactions")

NOTIFY_AFTER = 5.0
"""Seconds after which a person reads that an action is in progress, if the card does not show it yet."""

NOTIFY_AGAIN_AFTER = 120.0
"""Seconds within which nobody reads twice that the same action is in progress."""


class InteractionHandler:
    """Stores what people do in Slack as tasks."""

    def __init__(  # noqa: PLR0913, PLR0917  each is a part of its own
        self,
        store: Store,
        slack: SlackGateway,
        permissions: Permissions,
        mutes: MuteDialog,
        clock: Clock,
        wake_tasks: Callable[[], None],
        *,
        batches: Batches,
        metrics: Metrics,
        enabled: bool,
    ) -> None:
        """`wake_tasks` wakes the task worker; `enabled` says whether relay can act in BigPanda at all."""
        self._store = store
        self._slack = slack
        self._permissions = permissions
        self._mutes = mutes
        self._batches = batches
        self._clock = clock
        self._wake_tasks = wake_tasks
        self._metrics = metrics
        self._enabled = enabled
        self._background = BackgroundWork("interaction", _log_failure)
        self._sleeping: set[asyncio.Task[Any] | None] = set()
        self._notified: dict[tuple[str, str, str], float] = {}

    @property
    def idle(self) -> bool:
        """Whether nothing is in progress that a person's screen waits for."""
        return self._background.is_idle(self._batches.waiting | self._sleeping)

    async def run(self) -> None:
        """Do the background work, until cancelled."""
        await self._background.run()

    async def handle_interaction(self, payload: Mapping[str, JSON]) -> Mapping[str, JSON] | None:
        """Handle a pressed button or a submitted modal. Return the answer for Slack, if there is any.

        Raises StoreError: it is not stored; Slack shows the person an error.
        """
        match parse_interaction(payload):
            case _ if not self._enabled:
                self._metrics.record_click("any", "acknowledged")
            case BatchSubmission() as submission:
                if await self._batches.start(submission):
                    self._wake_tasks()
            case Submission() as submission:
                if errors := validation_errors(submission.action, submission.values, self._clock.now()):
                    return errors
                if not BUTTONS[submission.action].in_bigpanda:
                    return await self._do_in_relay(submission)
                asked = {"owner": submission.owner} if submission.owner else {}
                await self._add_task(submission, submission.view_id, {**submission.values, **asked})
            case Click(action=action) as click if action:
                await self._press(click)
            case _:
                self._metrics.record_click("link", "acknowledged")
        return None

    async def _press(self, click: Click) -> None:
        """Start the task of a button, or open its modal."""
        action = click.action
        if action not in STORM_BUTTONS and not BUTTONS[action].opens_modal:
            await self._add_task(click, f"{click.user}:{click.action_ts}", {})
            return
        self._metrics.record_click(action, "modal_requested")
        opening = self._batches.open_modal(click) if action in STORM_BUTTONS else self._open_modal(click)
        self._background.add(opening)

    async def handle_event(self, payload: Mapping[str, JSON]) -> Mapping[str, JSON] | None:
        """Handle a reply in a thread: where the card's route says so, it becomes a comment in BigPanda.

        Raises StoreError: it is not stored; Slack sends it again.
        """
        reply = parse_event(payload)
        if not isinstance(reply, ThreadReply) or not self._enabled:
            return None
        card = await self._store.card_at(reply.channel, reply.thread_ts)
        if card is None or not self._permissions.syncs_replies(card):
            return None
        key = f"reply:{reply.channel}:{reply.ts}"
        if await self._add(key, TaskKind.REPLY, card, {**asdict(reply), "message_ts": reply.thread_ts}):
            log.info("reply_stored", **card_fields(card), key=key, detail="A reply becomes a comment in BigPanda.")
        return None

    async def _do_in_relay(self, submission: Submission) -> Mapping[str, JSON] | None:
        """Do an action in relay itself: it is stored when this returns. Return the message for Slack if it fails."""
        errors = await self._mutes.submit(submission, await self._card(submission))
        self._metrics.record_click(submission.action, "rejected" if errors else "stored")
        return errors

    async def _add_task(self, source: Click | Submission, unique: str, values: Mapping[str, str]) -> None:
        """Store a task; tell the person that it has started, where it takes long.

        `unique` is what Slack repeats unchanged, and with no other interaction of this incident. Pressing a button
        again that is still in progress does nothing.
        """
        action = source.action
        card = await self._card(source)
        if card is None:
            self._metrics.record_click(action, "unknown_card")
            log.warning(
                "click_rejected",
                reason="unknown_card",
                incident=source.incident,
                user=source.user,
                detail="Somebody pressed a button on a message that is no current card of relay.",
            )
            self._background.add(self._send_ephemeral(source, messages.UNKNOWN_CARD))
            return
        person = {"user": source.user, "name": source.user_name}
        where = {"channel": source.channel, "message_ts": source.message_ts, "trigger_id": source.trigger_id}
        payload: dict[str, JSON] = {**person, **where, **values}
        key = f"{action}:{source.incident}:{unique}"
        if isinstance(source, Click) and await self._is_in_progress(source):
            self._metrics.record_click(action, "repeat")
            return
        if not await self._add(key, TaskKind(action), card, payload):
            self._metrics.record_click(action, "repeat")
            return
        self._metrics.record_click(action, "stored")
        detail = f"Somebody pressed {action}; relay asks BigPanda to do it."
        log.info("click_stored", **card_fields(card), action=action, user=source.user, key=key, detail=detail)
        self._background.add(self._notify_if_slow(source, card, key))

    async def _add(self, key: str, kind: TaskKind, card: Card, payload: Mapping[str, JSON]) -> bool:
        """Store a task, and wake the worker; return False if it is stored already."""
        now = self._clock.now()
        payload = {**payload, "card": card.channel}
        task = Task(key=key, kind=kind, incident=card.incident, created=now, due_at=now, payload=payload)
        is_new = key in await self._store.add_tasks([task])
        if is_new:
            self._wake_tasks()
        return is_new

    async def _card(self, source: Click | Submission) -> Card | None:
        card = await self._store.card_at(source.channel, source.message_ts, source.incident)
        return card if card is not None and card.incident == source.incident else None

    async def _is_in_progress(self, click: Click) -> bool:
        """Whether the same person has pressed the same button already, and BigPanda has not done it yet."""
        tasks = await self._store.open_tasks(click.incident)
        return any(task.kind == click.action and task.payload.get("user") == click.user for task in tasks)

    async def _notify_if_slow(self, source: Click | Submission, card: Card, key: str) -> None:
        """Tell the person that the task has started, if nothing shows by then that it was done or has failed.

        Repeated presses meanwhile give one message. If the task is rejected, its runner sends the reason.
        """
        await self._sleep(NOTIFY_AFTER)
        action_key, now = (source.user, source.incident, source.action), self._clock.monotonic()
        self._notified = {each: at for each, at in self._notified.items() if now - at < NOTIFY_AGAIN_AFTER}
        state = await self._store.incident_state(source.incident)
        pending = {action.key: action for action in state.record.pending_actions} if state else {}
        open_tasks = {task.key for task in await self._store.open_tasks(source.incident)}
        awaited = key in open_tasks or (state is not None and is_awaited(state.record, key))
        if action_key in self._notified or not awaited:
            return
        self._notified[action_key] = now
        if not isinstance(await self._check(source, card), Denied):
            await self._send_ephemeral(
                source, messages.started(source.action, pending[key].until if key in pending else None)
            )

    async def _sleep(self, seconds: float) -> None:
        task = asyncio.current_task()
        self._sleeping.add(task)
        try:
            await self._clock.sleep(seconds)
        finally:
            self._sleeping.discard(task)

    async def _open_modal(self, click: Click) -> None:
        """Open the modal of a button, if this person may act; Slack allows it for three seconds after the click."""
        card, state = await self._card(click), await self._store.incident_state(click.incident)
        if card is None or state is None:
            await self._send_ephemeral(click, messages.UNKNOWN_CARD)
            return
        if isinstance(denied := await self._check(click, card), Denied):
            await self._send_ephemeral(click, messages.denied(click.action, denied.reason, denied.groups))
            return
        opened_on = {"incident": click.incident, "channel": click.channel, "message_ts": click.message_ts}
        in_bigpanda = BUTTONS[click.action].in_bigpanda
        inputs = None if in_bigpanda else await self._mutes.inputs(click.action, card, state, click.user)
        view = build_modal(click.action, title=state.record.title, **opened_on, inputs=inputs)
        await messages.open_modal(self._slack, click, view)

    async def _check(self, source: Click | Submission, card: Card) -> Denied | LookupFailed | None:
        result = await self._permissions.check(card, source.action, source.user)
        if isinstance(result, Denied) and result.groups:
            self._metrics.record_click(source.action, result.reason)
            fields = {"incident": source.incident, "user": source.user, "action": source.action}
            detail = "The route's `actors` do not include this person."
            log.info("click_rejected", reason=result.reason, **fields, detail=detail)
        return result

    async def _send_ephemeral(self, source: Click | Submission, text: str) -> None:
        await messages.send_ephemeral(self._slack, source.channel, source.user, text)


def _log_failure(error: Exception) -> None:
    log.error("interaction_failed", exc_info=error, detail=f"Unexpected error after a click or a reply. {REPORT_IT}")
