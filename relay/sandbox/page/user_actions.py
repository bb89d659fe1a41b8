"""What a reader does on the page, as one of the workspace's people: press, fill in and send, put away, reply."""

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from relay.sandbox.slack.channel import FakeChannel
from relay.sandbox.slack.interactivity import PayloadDelivery
from relay.sandbox.slack.payloads import NoSuchElement
from relay.sandbox.slack.server import FakeSlack
from relay.sandbox.slack.views import InvalidInput

Told = Mapping[str, Any]
Act = Callable[[Told], Awaitable[PayloadDelivery | None]]


class UserActions:
    """The acts of one workspace's readers. Whoever looks at a channel on the page is a member of it."""

    def __init__(self, slack: FakeSlack) -> None:
        """Belong to a workspace."""
        self._slack = slack
        self._acts: Final[Mapping[str, Act]] = {
            "click": self._click,
            "submit": self._submit,
            "dismiss": self._dismiss,
            "reply": self._reply,
        }

    async def perform(self, act: str, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
        """Do it, and tell what came of it: whether the app has acknowledged it, and if not, why.

        `acknowledged` is None where the app was told nothing. What cannot be done is 400, with a sentence.
        """
        try:
            delivery = await self._acts[act](_object(body))
        except (NoSuchElement, InvalidInput, KeyError) as error:
            return HTTPStatus.BAD_REQUEST, {"title": "not done", "detail": str(error.args[0])}
        if delivery is None:
            return HTTPStatus.OK, {"acknowledged": None}
        return HTTPStatus.OK, {"acknowledged": delivery.acknowledged, "why": delivery.reason}

    def has(self, act: str) -> bool:
        """Whether there is such an act."""
        return act in self._acts

    async def _click(self, told: Told) -> PayloadDelivery:
        user, channel = self._place(told)
        return await self._slack.click(user, channel.id, _text(told, "ts"), _text(told, "action"))

    async def _submit(self, told: Told) -> PayloadDelivery:
        values = told.get("values")
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            raise InvalidInput("`values` are texts by the inputs' names")
        return await self._slack.submit(self._user(told), _text(told, "view"), values)

    async def _dismiss(self, told: Told) -> None:
        self._slack.dismiss(self._user(told), _text(told, "view"))

    async def _reply(self, told: Told) -> PayloadDelivery | None:
        user, channel = self._place(told)
        thread, text = _text(told, "thread"), _text(told, "text")
        if channel.find(thread) is None:
            raise NoSuchElement(f"no message {thread} in #{channel.name}")
        return await self._slack.post_as(user, channel.id, text, thread, broadcast=told.get("broadcast") is True)

    def _user(self, told: Told) -> str:
        user = _text(told, "user")
        if user not in self._slack.users:
            raise NoSuchElement(f"nobody here is {user}")
        return user

    def _place(self, told: Told) -> tuple[str, FakeChannel]:
        user, channel = self._user(told), self._slack.channel(_text(told, "channel"))
        channel.invite(user)
        return user, channel


def content_is_json(request: web.Request) -> bool:
    """Whether the request says so: the forms of another web site cannot, without asking first."""
    return request.content_type == "application/json"


def _object(body: bytes) -> Told:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise InvalidInput("a JSON object is wanted")
    return told


def _text(told: Told, name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput(f"`{name}` is missing")
    return value
