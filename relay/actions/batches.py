"""Takes many incidents at once: the buttons of a storm card, and the modal that asks first.

    pressed .... the modal shows which of the listed incidents the person would get, and what is left out
    confirmed .. one task for each of them is stored, with the line of the storm card that shows their progress

The modal's choice is a snapshot: it does not include incidents that the storm card lists later. The tasks skip an
incident that somebody else took meanwhile (`relay.actions.preflight`).
"""

import asyncio

import structlog

from relay.actions import messages
from relay.actions.modals import build_take_question
from relay.actions.ownership import owner_in
from relay.actions.people import LookupFailed, People
from relay.actions.permission import Denied, Permissions
from relay.cards.batches import Batch, Choice, choose
from relay.metrics import Metrics
from relay.model.buttons import STORM_BUTTONS
from relay.model.struct import replace
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway
from relay.slack.interactions import BatchOrigin, BatchSubmission, Click
from relay.slack.responses import SlackUser
from relay.store.store import Store

log = structlog.get_logger("relay.interactions")


class Batches:
    """Starts a task for each of many incidents."""

    def __init__(  # noqa: PLR0913  each has a name
        self,
        store: Store,
        slack: SlackGateway,
        permissions: Permissions,
        people: People,
        clock: Clock,
        *,
        metrics: Metrics,
    ) -> None:
        """Act for `people` as `permissions` allow."""
        self._store = store
        self._slack = slack
        self._permissions = permissions
        self._people = people
        self._clock = clock
        self._metrics = metrics

    @property
    def waiting(self) -> set[asyncio.Task[object] | None]:
        """The tasks that wait for a rate limit."""
        return self._people.waiting

    async def open_modal(self, click: Click) -> None:
        """Open the modal that asks; Slack allows it for three seconds after the click."""
        storm = await self._store.card_at(click.channel, click.message_ts)
        if storm is None or storm.bulletin is None:
            await self._send_ephemeral(click, messages.UNKNOWN_CARD)
            return
        button = STORM_BUTTONS[click.action]
        choice = await self._choice(storm.bulletin, button.does, click.user, only_critical=button.only_critical)
        person = await self._person(click.user)
        if isinstance(choice, LookupFailed):
            await self._send_ephemeral(click, messages.rejected(button.does, choice.reason))
        elif isinstance(person, LookupFailed):
            await self._send_ephemeral(click, messages.rejected(button.does, person.reason))
        elif not choice.lines:
            await self._send_ephemeral(click, messages.nothing_to_take(choice))
        else:
            await self._open(click, choice, person.name)

    async def start(self, submission: BatchSubmission) -> bool:
        """Store the tasks; return whether there are new ones.

        Raises StoreError: they are not stored; Slack shows the person an error.
        """
        origin, action = submission.origin, submission.origin.action
        storm = await self._store.card_at(origin.channel, origin.message_ts)
        if storm is None or storm.bulletin is None:
            self._metrics.record_click(action, "unknown_card")
            return False
        batch = Batch(
            key=f"take:{submission.view_id}",
            bulletin=storm.bulletin,
            lines=origin.lines,
            user=submission.user,
            name=origin.name or submission.user_name,
            channel=origin.channel,
            message_ts=origin.message_ts,
            at=self._clock.now(),
        )
        started = await self._store.add_batch(batch)
        self._metrics.record_click(action, "stored" if started else "repeat")
        if started:
            detail = "Somebody takes many incidents of a storm at once; relay assigns them one by one."
            log.info("batch_stored", batch=batch.key, user=batch.user, incidents=started, detail=detail)
        return bool(started)

    async def _choice(self, bulletin: int, action: str, user: str, *, only_critical: bool) -> Choice | LookupFailed:
        listed = await self._store.listed_incidents(bulletin)
        denied: dict[str, tuple[str, ...]] = {}
        for card in listed.cards:
            result = await self._permissions.check(card, action, user)
            if isinstance(result, LookupFailed):
                return result
            if isinstance(result, Denied):
                denied[card.route] = result.groups
        incidents = listed.incidents
        chosen = frozenset(choose(incidents, denied, only_critical=only_critical).lines)
        records = await self._store.current_records({each.incident for each in incidents if each.seq in chosen})
        owners = {incident: owner.key for incident, record in records.items() if (owner := owner_in(record))}
        known = [replace(each, owner=each.owner or owners.get(each.incident, "")) for each in incidents]
        return choose(known, denied, only_critical=only_critical)

    async def _person(self, user: str) -> SlackUser | LookupFailed:
        """Return the person, if BigPanda knows them: else all tasks would fail for the same reason."""
        person = await self._people.person(user)
        if isinstance(person, LookupFailed):
            return person
        if not person.email:
            return LookupFailed(reason="no_email", permanent=True)
        known = await self._people.bigpanda_id(person.email)
        if isinstance(known, LookupFailed):
            return known
        return person if known else LookupFailed(reason="unknown_user", permanent=True)

    async def _open(self, click: Click, choice: Choice, name: str) -> None:
        origin = BatchOrigin(
            action=click.action,
            channel=click.channel,
            message_ts=click.message_ts,
            lines=tuple(sorted(choice.lines)),
            name=name or click.user_name,
        )
        view = build_take_question(origin, question=messages.take_question(choice))
        await messages.open_modal(self._slack, click, view)

    async def _send_ephemeral(self, click: Click, text: str) -> None:
        await messages.send_ephemeral(self._slack, click.channel, click.user, text)
