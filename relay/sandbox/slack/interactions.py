"""A workspace with people in it: what they can do in Slack's window, and how the app hears of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from relay.sandbox.slack import payloads
from relay.sandbox.slack.channel import Channel, Message, Whisper
from relay.sandbox.slack.message_content import Content
from relay.sandbox.slack.interactivity import Delivery, Kind, Way
from relay.sandbox.slack.payloads import NotThere
from relay.sandbox.slack.errors import Refused
from relay.sandbox.slack.views import View, examine, filled_in, with_ids
from relay.sandbox.slack.workspace import Workspace

_EVENTS: Final = frozenset({"message.channels", "message.groups"})
_TROUBLE: Final = "We had some trouble connecting. Try again?"


class Inhabited(Workspace):
    """A workspace whose people press, write and send.

    `interactivity` is the way to the app, None where it has none; `deliveries` is everything that was told to it;
    `subscriptions` are the events that it wants (https://docs.slack.dev/reference/events).
    """

    interactivity: Way | None = None

    def __init__(self, **how: Any) -> None:
        """Make an empty one; see `Workspace`."""
        super().__init__(**how)
        self.deliveries: list[Delivery] = []
        self.subscriptions: frozenset[str] = _EVENTS

    # --- what they do ---

    async def click(self, user: str, channel: str, ts: str, action_id: str) -> Delivery:
        """Press a button of a message; a link button tells the app, too. Raises NotThere where there is none."""
        place = self.channel(channel)
        message = place.find(ts)
        if message is None:
            raise NotThere(f"no message {ts} in #{place.name}")
        return await self._tell("interactive", payloads.click(self, user, place, message, action_id))

    async def submit(self, user: str, view: str | View, values: Mapping[str, str]) -> Delivery:
        """Fill a modal in and send it; it closes, or stays open with what the app finds wrong.

        `values` go by the inputs' action ids. Raises NotThere where the user has no such modal open, and NotSendable
        where Slack's window would not send it.
        """
        shown = self._open(user, view)
        delivery = await self._tell("interactive", payloads.submission(self, shown, filled_in(shown, values)))
        self._answered(shown, delivery)
        self.changes.ring()
        return delivery

    def dismiss(self, user: str, view: str | View) -> None:
        """Close a modal without sending it. Raises NotThere where the user has no such modal open."""
        self._open(user, view).open = False
        self.changes.ring()

    async def say(
        self, user: str, channel: str, text: str, thread_ts: str | None = None, **more: Any
    ) -> Delivery | None:
        """Write something, as it is typed; the app hears of it where it is a member, subscribed, and may read.

        None where it hears nothing. `broadcast=True` shows a reply in the channel, too.
        """
        place = self.channel(channel)
        written = place.add(Content(text=payloads.typed(self, text)), user, thread_ts, **more)
        return await self.overhear(written)

    async def rewrite(self, message: Message, text: str) -> Delivery | None:
        """Edit what one wrote."""
        message.versions.append(message.revised(text=payloads.typed(self, text)))
        message.edited_at = f"{int(self.now())}.000000"
        self.changes.ring()
        return await self.overhear(message, subtype="message_changed")

    async def retract(self, message: Message) -> Delivery | None:
        """Delete what one wrote."""
        place = self.channels[message.channel]
        gone = replace(message)
        place.delete(message.ts)
        return await self.overhear(gone, subtype="message_deleted")

    async def overhear(self, message: Message, *, subtype: str = "") -> Delivery | None:
        """Let the app hear of a message, whosever it is (its own, too, as Slack does)."""
        place = self.channels[message.channel]
        if not self._hears(place):
            return None
        return await self._tell("events_api", payloads.said(self, place, message, subtype=subtype))

    async def again(self, delivery: Delivery) -> Delivery:
        """Tell the app the same once more, as Slack does when it has not heard the acknowledgement."""
        await self._deliver(delivery)
        return delivery

    # --- what they see ---

    def views_open(self, user: str) -> list[View]:
        """The modals that a user has open, the newest last."""
        return [view for view in self.views if view.user == user and view.open]

    def whispers(self, user: str) -> list[Whisper]:
        """The notes that only this user sees, the oldest first."""
        notes = [note for channel in self.channels.values() for note in channel.ephemeral]
        return sorted((note for note in notes if note.to == user and note.seen), key=lambda note: note.posted_at)

    # --- how the app hears of it ---

    async def _tell(self, kind: Kind, payload: dict[str, Any]) -> Delivery:
        delivery = Delivery(kind=kind, payload=payload, at=self.now())
        self.deliveries.append(delivery)
        await self._deliver(delivery)
        return delivery

    async def _deliver(self, delivery: Delivery) -> None:
        retry, delivery.attempts = delivery.attempts, delivery.attempts + 1
        if self.interactivity is None:
            delivery.why = "the app takes no clicks and no events: it has no request address and no socket"
            return
        answered = await self.interactivity.tell(delivery.kind, delivery.payload, retry=retry)
        delivery.acknowledged, delivery.status = answered.acknowledged, answered.status
        delivery.answer, delivery.why = answered.answer, answered.why

    def _hears(self, channel: Channel) -> bool:
        kind = "groups" if channel.private else "channels"
        may = f"{kind}:history" in self.scopes and f"message.{kind}" in self.subscriptions
        return may and self.interactivity is not None and self.bot.user in channel.members

    def _open(self, user: str, view: str | View) -> View:
        wanted = view.id if isinstance(view, View) else view
        found = next((each for each in self.views_open(user) if each.id == wanted), None)
        if found is None:
            raise NotThere(f"{user} has no modal {wanted} open")
        return found

    def _answered(self, view: View, delivery: Delivery) -> None:
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
                for each in self.views_open(view.user):
                    each.open = False
            case _:
                view.open = False


def _trouble(view: View) -> dict[str, str]:
    return dict.fromkeys([block["block_id"] for block in view.inputs.values()][:1], _TROUBLE)


def _updated(view: View, shape: Any) -> dict[str, str]:
    if not isinstance(shape, dict):
        return _trouble(view)
    try:
        examine(shape)
    except Refused:
        return _trouble(view)
    view.shape = with_ids(shape)
    return {}


def _errors(view: View, told: Any) -> dict[str, str]:
    """Errors have to name input blocks, or Slack shows none of them and says that there was trouble."""
    inputs = {block["block_id"] for block in view.inputs.values()}
    if not isinstance(told, dict) or not told or not told.keys() <= inputs:
        return _trouble(view)
    return {block: str(words) for block, words in told.items()}
