"""A workspace with people in it: what they can do in Slack's window, and how the app hears of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from relay.sandbox.slack import payloads
from relay.sandbox.slack.channel import EphemeralMessage, FakeChannel, FakeMessage
from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.interactivity import AppTransport, PayloadDelivery, PayloadKind
from relay.sandbox.slack.message_content import MessageContent
from relay.sandbox.slack.payloads import NoSuchElement
from relay.sandbox.slack.views import FakeView, add_missing_ids, submitted_state, validate_view
from relay.sandbox.slack.workspace import Workspace

_EVENTS: Final = frozenset({"message.channels", "message.groups"})
_TROUBLE: Final = "We had some trouble connecting. Try again?"


class InteractiveWorkspace(Workspace):
    """A workspace whose people press, write and send.

    `interactivity` is the way to the app, None where it has none; `deliveries` is everything that was told to it;
    `subscriptions` are the events that it wants (https://docs.slack.dev/reference/events).
    """

    interactivity: AppTransport | None = None

    def __init__(self, **how: Any) -> None:
        """Make an empty one; see `Workspace`."""
        super().__init__(**how)
        self.deliveries: list[PayloadDelivery] = []
        self.subscriptions: frozenset[str] = _EVENTS

    # --- what they do ---

    async def click(self, user: str, channel: str, ts: str, action_id: str) -> PayloadDelivery:
        """Press a button of a message; a link button tells the app, too. Raises NotThere where there is none."""
        place = self.channel(channel)
        message = place.find(ts)
        if message is None:
            raise NoSuchElement(f"no message {ts} in #{place.name}")
        return await self._tell("interactive", payloads.block_actions(self, user, place, message, action_id))

    async def submit(self, user: str, view: str | FakeView, values: Mapping[str, str]) -> PayloadDelivery:
        """Fill a modal in and send it; it closes, or stays open with what the app finds wrong.

        `values` go by the inputs' action ids. Raises NotThere where the user has no such modal open, and NotSendable
        where Slack's window would not send it.
        """
        shown = self._open(user, view)
        delivery = await self._tell(
            "interactive", payloads.view_submission(self, shown, submitted_state(shown, values))
        )
        self._answered(shown, delivery)
        self.changes.notify()
        return delivery

    def dismiss(self, user: str, view: str | FakeView) -> None:
        """Close a modal without sending it. Raises NotThere where the user has no such modal open."""
        self._open(user, view).open = False
        self.changes.notify()

    async def post_as(
        self, user: str, channel: str, text: str, thread_ts: str | None = None, **more: Any
    ) -> PayloadDelivery | None:
        """Write something, as it is typed; the app hears of it where it is a member, subscribed, and may read.

        None where it hears nothing. `broadcast=True` shows a reply in the channel, too.
        """
        place = self.channel(channel)
        written = place.add_message(MessageContent(text=payloads.typed_text(self, text)), user, thread_ts, **more)
        return await self.send_message_event(written)

    async def edit_message(self, message: FakeMessage, text: str) -> PayloadDelivery | None:
        """Edit what one wrote."""
        message.versions.append(message.with_changes(text=payloads.typed_text(self, text)))
        message.edited_at = f"{int(self.now())}.000000"
        self.changes.notify()
        return await self.send_message_event(message, subtype="message_changed")

    async def delete_message(self, message: FakeMessage) -> PayloadDelivery | None:
        """Delete what one wrote."""
        place = self.channels[message.channel]
        gone = replace(message)
        place.delete(message.ts)
        return await self.send_message_event(gone, subtype="message_deleted")

    async def send_message_event(self, message: FakeMessage, *, subtype: str = "") -> PayloadDelivery | None:
        """Let the app hear of a message, whosever it is (its own, too, as Slack does)."""
        place = self.channels[message.channel]
        if not self._hears(place):
            return None
        return await self._tell("events_api", payloads.message_event(self, place, message, subtype=subtype))

    async def redeliver(self, delivery: PayloadDelivery) -> PayloadDelivery:
        """Tell the app the same once more, as Slack does when it has not heard the acknowledgement."""
        await self._deliver(delivery)
        return delivery

    # --- what they see ---

    def open_views(self, user: str) -> list[FakeView]:
        """The modals that a user has open, the newest last."""
        return [view for view in self.views if view.user == user and view.open]

    def ephemeral_messages(self, user: str) -> list[EphemeralMessage]:
        """The notes that only this user sees, the oldest first."""
        notes = [note for channel in self.channels.values() for note in channel.ephemeral]
        return sorted(
            (note for note in notes if note.recipient == user and note.visible), key=lambda note: note.posted_at
        )

    # --- how the app hears of it ---

    async def _tell(self, kind: PayloadKind, payload: dict[str, Any]) -> PayloadDelivery:
        delivery = PayloadDelivery(kind=kind, payload=payload, at=self.now())
        self.deliveries.append(delivery)
        await self._deliver(delivery)
        return delivery

    async def _deliver(self, delivery: PayloadDelivery) -> None:
        retry, delivery.attempts = delivery.attempts, delivery.attempts + 1
        if self.interactivity is None:
            delivery.reason = "the app takes no clicks and no events: it has no request address and no socket"
            return
        answered = await self.interactivity.deliver(delivery.kind, delivery.payload, retry=retry)
        delivery.acknowledged, delivery.status = answered.acknowledged, answered.status
        delivery.answer, delivery.reason = answered.answer, answered.reason

    def _hears(self, channel: FakeChannel) -> bool:
        kind = "groups" if channel.private else "channels"
        may = f"{kind}:history" in self.scopes and f"message.{kind}" in self.subscriptions
        return may and self.interactivity is not None and self.bot.user_id in channel.members

    def _open(self, user: str, view: str | FakeView) -> FakeView:
        wanted = view.id if isinstance(view, FakeView) else view
        found = next((each for each in self.open_views(user) if each.id == wanted), None)
        if found is None:
            raise NoSuchElement(f"{user} has no modal {wanted} open")
        return found

    def _answered(self, view: FakeView, delivery: PayloadDelivery) -> None:
        """https://docs.slack.dev/surfaces/modals#response_actions: with nothing said, the modal closes."""
        answer = delivery.answer or {}
        if not delivery.acknowledged:
            view.errors = _trouble(view)
            return
        match answer.get("response_action"):
            case "errors":
                view.errors = _errors(view, answer.get("errors"))
            case "update":
                view.errors = _updated(view, answer.get("view"))
            case "clear":
                for each in self.open_views(view.user):
                    each.open = False
            case _:
                view.open = False


def _trouble(view: FakeView) -> dict[str, str]:
    return dict.fromkeys([block["block_id"] for block in view.inputs.values()][:1], _TROUBLE)


def _updated(view: FakeView, shape: Any) -> dict[str, str]:
    if not isinstance(shape, dict):
        return _trouble(view)
    try:
        validate_view(shape)
    except MethodError:
        return _trouble(view)
    view.definition = add_missing_ids(shape)
    return {}


def _errors(view: FakeView, told: Any) -> dict[str, str]:
    """Errors have to name input blocks, or Slack shows none of them and says that there was trouble."""
    inputs = {block["block_id"] for block in view.inputs.values()}
    if not isinstance(told, dict) or not told or not told.keys() <= inputs:
        return _trouble(view)
    return {block: str(words) for block, words in told.items()}
