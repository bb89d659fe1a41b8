"""What users do in Slack's window (click, submit, write, use a command), and how the app receives it."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

from relay.sandbox.slack import payloads
from relay.sandbox.slack.channel import EphemeralMessage, FakeChannel, FakeMessage
from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.interactivity import Acknowledgement, AppTransport, PayloadDelivery, PayloadKind
from relay.sandbox.slack.message_content import MessageContent, validate_content
from relay.sandbox.slack.payloads import NoSuchElement
from relay.sandbox.slack.views import FakeView, add_missing_ids, submitted_state, validate_view
from relay.sandbox.slack.workspace import Workspace

_EVENTS: Final = frozenset({"message.channels", "message.groups"})
_TROUBLE: Final = "We had some trouble connecting. Try again?"


class InteractiveWorkspace(Workspace):
    """A workspace whose users click, write and submit.

    `interactivity` is the transport to the app, None if it has none. `deliveries` are all payloads sent to it.
    `subscriptions` are its event subscriptions (https://docs.slack.dev/reference/events), `commands` its slash
    commands, and `shortcuts` the callback ids of its shortcuts in the menus of messages.
    """

    interactivity: AppTransport | None = None
    commands: frozenset[str] = frozenset({"/relay"})
    shortcuts: frozenset[str] = frozenset({"relay_why"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.deliveries: list[PayloadDelivery] = []
        self.subscriptions: frozenset[str] = _EVENTS

    # --- what users do ---

    async def click(
        self, user: str, channel: str, ts: str, action_id: str, *, option: str | None = None
    ) -> PayloadDelivery:
        """Click a button of a message, or choose the entry of a menu with the value `option`.

        The app gets clicks on link buttons, too. Where the element has a `confirm`, the user has confirmed. Raises
        NoSuchElement.
        """
        place = self.channel(channel)
        own = (each for each in place.ephemeral if each.ts == ts and each.recipient == user and each.visible)
        message = place.find(ts) or next(own, None)
        if message is None:
            raise NoSuchElement(f"no message {ts} in #{place.name}")
        payload = payloads.block_actions(self, user, place, message, action_id, option=option)
        return await self._send("interactive", payload)

    async def submit(self, user: str, view: str | FakeView, values: Mapping[str, str]) -> PayloadDelivery:
        """Fill in a modal and submit it; it closes, or stays open with the errors that the app answers.

        `values` are by the inputs' action ids. Raises NoSuchElement where the user has no such modal open, and
        InvalidInput where Slack's window would not submit it.
        """
        shown = self._open_view(user, view)
        delivery = await self._send(
            "interactive", payloads.view_submission(self, shown, submitted_state(shown, values))
        )
        self._apply_answer(shown, delivery)
        self.changes.notify()
        return delivery

    async def use_command(self, user: str, channel: str, text: str, *, command: str = "/relay") -> PayloadDelivery:
        """Type a command, outside of threads; this user sees the app's answer.

        Raises NoSuchElement where the app has no such command, or the user is not in the channel.
        """
        place = self._place_of(user, channel)
        if command not in self.commands or "commands" not in self.scopes:
            raise NoSuchElement(f"{command} is not a valid command")
        delivery = await self._send("slash_commands", payloads.slash_command(self, user, place, command, text))
        self._show_answer(place, user, delivery)
        return delivery

    async def use_shortcut(self, user: str, channel: str, ts: str, shortcut: str = "relay_why") -> PayloadDelivery:
        """Choose a shortcut of the app, by its callback id, in the menu of a message or a reply.

        Raises NoSuchElement where there is no such shortcut or message, or the user is not in the channel.
        """
        place = self._place_of(user, channel)
        message = place.find(ts)
        if shortcut not in self.shortcuts or "commands" not in self.scopes:
            raise NoSuchElement(f"the app has no shortcut {shortcut}")
        if message is None:
            raise NoSuchElement(f"no message {ts} in #{place.name}")
        return await self._send("interactive", payloads.message_shortcut(self, user, place, message, shortcut))

    def _place_of(self, user: str, channel: str) -> FakeChannel:
        place = self.channel(channel)
        if user not in place.members:
            raise NoSuchElement(f"{user} is not in #{place.name}")
        return place

    def _show_answer(self, channel: FakeChannel, user: str, delivery: PayloadDelivery) -> None:
        """Show the message in the app's response to the user alone, also where the app is not in the channel.

        Slack shows an error instead where the response is no valid message.
        """
        answer = delivery.answer or {}
        if not delivery.acknowledged or not answer:
            return
        content = MessageContent(
            text=str(answer.get("text", "")),
            blocks=tuple(answer.get("blocks", ())),
            attachments=tuple(answer.get("attachments", ())),
        )
        if problem := _problem(content, str(answer.get("response_type", "ephemeral"))):
            delivery.acknowledged, delivery.reason = False, f"Slack does not show the response: {problem}"
            return
        channel.ephemeral.append(
            EphemeralMessage(
                channel=channel.id,
                ts=channel.timestamps.next(),
                author=self.bot,
                posted_at=self.now(),
                versions=[content],
                recipient=user,
            )
        )
        self.changes.notify()

    def dismiss(self, user: str, view: str | FakeView) -> None:
        """Close a modal without submitting it. Raises NoSuchElement where the user has no such modal open."""
        self._open_view(user, view).open = False
        self.changes.notify()

    async def post_as(
        self, user: str, channel: str, text: str, thread_ts: str | None = None, **more: Any
    ) -> PayloadDelivery | None:
        """Post what a user types; the app gets the event where it is a member, subscribed, and may read.

        None if the app gets nothing. `broadcast=True` shows a reply in the channel, too.
        """
        content = MessageContent(text=payloads.typed_text(self, text))
        return await self.send_message_event(self.channel(channel).add_message(content, user, thread_ts, **more))

    async def edit_message(self, message: FakeMessage, text: str) -> PayloadDelivery | None:
        """Edit a message as its author."""
        message.versions.append(replace(message.versions[-1], text=payloads.typed_text(self, text)))
        message.edited_at = f"{int(self.now())}.000000"
        self.changes.notify()
        return await self.send_message_event(message, subtype="message_changed")

    async def delete_message(self, message: FakeMessage) -> PayloadDelivery | None:
        """Delete a message as its author."""
        before = replace(message)
        self.channels[message.channel].delete(message.ts)
        return await self.send_message_event(before, subtype="message_deleted")

    async def send_message_event(self, message: FakeMessage, *, subtype: str = "") -> PayloadDelivery | None:
        """Send the app the event of a message, by any author (the app gets its own messages, too)."""
        channel = self.channels[message.channel]
        family = channel.scope_family
        subscribed = f"{family}:history" in self.scopes and f"message.{family}" in self.subscriptions
        if not subscribed or self.interactivity is None or self.bot.user_id not in channel.members:
            return None
        return await self._send("events_api", payloads.message_event(self, channel, message, subtype=subtype))

    async def redeliver(self, delivery: PayloadDelivery) -> PayloadDelivery:
        """Send the app the same payload again, as Slack does without an acknowledgement."""
        retry, delivery.attempts = delivery.attempts, delivery.attempts + 1
        if self.interactivity is None:
            delivery.reason = "the app takes no clicks and no events: it has no request address and no socket"
            return delivery
        answered = await self.interactivity.deliver(delivery.kind, delivery.payload, retry=retry)
        for part in fields(Acknowledgement):
            setattr(delivery, part.name, getattr(answered, part.name))
        return delivery

    # --- what users see ---

    def open_views(self, user: str) -> list[FakeView]:
        """The modals that a user has open, the newest last."""
        return [view for view in self.views if view.user == user and view.open]

    def ephemeral_messages(self, user: str) -> list[EphemeralMessage]:
        """The messages that only this user sees, the oldest first."""
        places = (*self.channels.values(), *self.directs.values())
        messages = [message for channel in places for message in channel.ephemeral]
        visible = (message for message in messages if message.recipient == user and message.visible)
        return sorted(visible, key=lambda message: message.posted_at)

    def direct_messages(self, user: str) -> list[FakeMessage]:
        """The messages between this user and the app, the oldest first."""
        return list(self.directs[user].all_messages) if user in self.directs else []

    # --- deliveries ---

    async def _send(self, kind: PayloadKind, payload: dict[str, Any]) -> PayloadDelivery:
        delivery = PayloadDelivery(kind=kind, payload=payload, at=self.now())
        self.deliveries.append(delivery)
        return await self.redeliver(delivery)

    def _open_view(self, user: str, view: str | FakeView) -> FakeView:
        view_id = view.id if isinstance(view, FakeView) else view
        found = next((each for each in self.open_views(user) if each.id == view_id), None)
        if found is None:
            raise NoSuchElement(f"{user} has no modal {view_id} open")
        return found

    def _apply_answer(self, view: FakeView, delivery: PayloadDelivery) -> None:
        """https://docs.slack.dev/surfaces/modals#response_actions: without an action, the modal closes."""
        inputs = [block["block_id"] for block in view.inputs.values()]
        trouble = dict.fromkeys(inputs[:1], _TROUBLE)
        if not delivery.acknowledged:
            view.errors = trouble
            return
        match delivery.answer or {}:
            case {"response_action": "errors", "errors": dict(errors)} if errors and errors.keys() <= set(inputs):
                view.errors = {block: str(text) for block, text in errors.items()}
            case {"response_action": "update", "view": dict(definition)} if _is_valid(definition):
                view.definition, view.errors = add_missing_ids(definition), {}
            case {"response_action": "errors" | "update"}:  # errors must name input blocks, or Slack shows none of them
                view.errors = trouble
            case {"response_action": "clear"}:
                for each in self.open_views(view.user):
                    each.open = False
            case _:
                view.open = False


def _problem(content: MessageContent, response_type: str) -> str:
    """Why Slack does not show this response to one person; empty if it does."""
    try:
        validate_content(content)
    except MethodError as error:
        return str(error.answer)
    return "" if response_type == "ephemeral" else f"it is {response_type}"


def _is_valid(definition: dict[str, Any]) -> bool:
    try:
        validate_view(definition)
    except MethodError:
        return False
    return True
