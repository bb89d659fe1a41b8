"""What a reader does on the page as a test user: click, submit or dismiss a modal, reply, use a command, a shortcut."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from relay.sandbox.slack.channel import FakeChannel
from relay.sandbox.slack.interactivity import PayloadDelivery
from relay.sandbox.slack.payloads import NoSuchElement
from relay.sandbox.slack.server import FakeSlack
from relay.sandbox.slack.views import InvalidInput

Request = Mapping[str, Any]
"""The JSON that the page sends."""

ACTIONS: Final = frozenset({"click", "submit", "dismiss", "reply", "command", "shortcut"})


class UserActions:
    """The actions in one workspace. A user who acts in a channel on the page becomes a member of it."""

    def __init__(self, slack: FakeSlack) -> None:
        self._slack = slack

    async def perform(self, action: str, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
        """Perform one of `ACTIONS`; return whether the app has acknowledged it, and if not, why.

        `acknowledged` is None if nothing was sent to the app. An impossible action is 400, with the reason.
        """
        try:
            delivery = await self._perform(action, _object(body))
        except (NoSuchElement, InvalidInput, KeyError) as error:
            return HTTPStatus.BAD_REQUEST, {"title": "not done", "detail": str(error.args[0])}
        if delivery is None:
            return HTTPStatus.OK, {"acknowledged": None}
        return HTTPStatus.OK, {"acknowledged": delivery.acknowledged, "reason": delivery.reason}

    async def _perform(self, action: str, request: Request) -> PayloadDelivery | None:
        match action:
            case "click":
                user, channel = self._user_in_channel(request)
                option = _text(request, "option") if "option" in request else None
                return await self._slack.click(
                    user, channel.id, _text(request, "ts"), _text(request, "action"), option=option
                )
            case "reply":
                user, channel = self._user_in_channel(request)
                ts, text, broadcast = _text(request, "thread"), _text(request, "text"), request.get("broadcast") is True
                if channel.find(ts) is None:
                    raise NoSuchElement(f"no message {ts} in #{channel.name}")
                return await self._slack.post_as(user, channel.id, text, ts, broadcast=broadcast)
            case "command":
                user, channel = self._user_in_channel(request)
                command, _, text = _text(request, "text").strip().partition(" ")
                return await self._slack.use_command(user, channel.id, text.strip(), command=command)
            case "shortcut":
                user, channel = self._user_in_channel(request)
                return await self._slack.use_shortcut(user, channel.id, _text(request, "ts"))
            case "submit":
                values = request.get("values")
                if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
                    raise InvalidInput("`values` must be an object of texts by the inputs' names")
                return await self._slack.submit(self._user(request), _text(request, "view"), values)
            case _:
                self._slack.dismiss(self._user(request), _text(request, "view"))
                return None

    def _user(self, request: Request) -> str:
        user = _text(request, "user")
        if user not in self._slack.users:
            raise NoSuchElement(f"unknown user {user}")
        return user

    def _user_in_channel(self, request: Request) -> tuple[str, FakeChannel]:
        user, channel = self._user(request), self._slack.channel(_text(request, "channel"))
        channel.invite(user)
        return user, channel


def _object(body: bytes) -> Request:
    try:
        request = json.loads(body)
    except ValueError:
        request = None
    if not isinstance(request, dict):
        raise InvalidInput("the body must be a JSON object")
    return request


def _text(request: Request, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput(f"`{name}` is missing")
    return value
