"""Answers slash commands, the message shortcut and `Why?` on a card, only to the person who asks.

The answer to a command is the response to Slack, which waits three seconds for it; there is no second one. A shortcut
and a click have no such response: an ephemeral message follows in the background, or a direct message where relay may
not write. Nothing here makes a call to BigPanda.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import structlog

from relay.actions.messages import send_direct
from relay.actions.mutes import SlackMutes
from relay.actions.people import People
from relay.cards.draw import PermalinkBuilder
from relay.commands.help import help_text
from relay.commands.mine import answer_mine
from relay.commands.mute import (
    Doubtful,
    PlannedMute,
    confirmation,
    end_mute,
    made_text,
    plan_mute,
    why_not_end,
)
from relay.commands.open_list import answer_open
from relay.commands.question import SlackQuestion
from relay.commands.requests import EndMute, Help, MakeMute, Mine, Open, Request, Unclear, Why, read_request
from relay.commands.texts import with_note
from relay.commands.viewer import find_viewer
from relay.commands.why import answer_why, why_message
from relay.config.configuration import Configuration
from relay.metrics import Metrics
from relay.model.errors import StoreError
from relay.model.json_types import JSON
from relay.runtime.background_work import BackgroundWork
from relay.runtime.clock import Clock
from relay.runtime.logging import REPORT_IT
from relay.slack.gateway import SlackGateway
from relay.slack.interactions import Click, Command, Shortcut, parse_command
from relay.slack.message import Message
from relay.slack.outcomes import Delivered, Read
from relay.store.store import Store
from relay.tools.permalink import RootMessage

T = TypeVar("T")

log = structlog.get_logger("relay.commands")

ANSWER_WITHIN = 2.5
"""Seconds for an answer that only reads: Slack waits three."""

NAMES: Mapping[type[Request], str] = {
    Help: "help",
    Open: "open",
    Mine: "mine",
    Why: "why",
    MakeMute: "mute",
    EndMute: "unmute",
    Unclear: "unclear",
}
"""The name of a request in metrics and the log; `shortcut` and `button` also ask why."""

_NO_SUCH_PLACE = "relay knows no channel or team with this name that you can see."
_NOT_ALL_KNOWN = "_Slack did not return all channels that you are in, so some incidents may be missing._"
_TOO_SLOW = "relay did nothing: its database or Slack did not answer in time. Try again in a minute."
_FAILED = "relay could not answer: an unexpected error occurred, which its log describes."
_NOT_A_COMMAND = "relay does not understand what Slack sent."


class CommandService:
    """Answers people's questions in Slack."""

    def __init__(  # noqa: PLR0913  each has a name
        self,
        store: Store,
        slack: SlackGateway,
        people: People,
        mutes: SlackMutes,
        live: Callable[[], Configuration],
        *,
        link: PermalinkBuilder,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """`live` returns the live configuration, `link` makes the address of a message."""
        self.answer_within = ANSWER_WITHIN
        self._store = store
        self._slack = slack
        self._people = people
        self._mutes = mutes
        self._live = live
        self._link = link
        self._clock = clock
        self._metrics = metrics
        self._background = BackgroundWork("answer", _log_failure)

    @property
    def idle(self) -> bool:
        """Whether nobody waits for an answer in the background."""
        return self._background.is_idle(self._slack.throttle.waiting)

    async def run(self) -> None:
        """Answer shortcuts and clicks, until cancelled."""
        await self._background.run()

    async def handle_command(self, payload: Mapping[str, JSON]) -> Mapping[str, JSON] | None:
        """Answer a slash command. Return the message for the person.

        Raises StoreError: the person's request is not stored; Slack shows an error, or sends it again.
        """
        command = parse_command(payload)
        if command is None:
            self._metrics.record_command("unclear", "failed")
            return _ephemeral(_NOT_A_COMMAND)
        return _ephemeral(await self._answer(command))

    async def handle_confirmed(self, command: Command) -> None:
        """Do what the person has confirmed, and tell them in the background.

        Raises StoreError: it is not stored; Slack shows an error.
        """
        answer = await self._answer(command)
        self._background.add(self._send(command.channel, command.user, _text(answer)))

    def handle_shortcut(self, shortcut: Shortcut) -> None:
        """Answer the message shortcut in the background."""
        place = RootMessage(shortcut.channel, shortcut.thread_ts or shortcut.message_ts)
        self._ask_why("shortcut", shortcut.user, place, shortcut.thread_ts)

    def handle_click(self, click: Click) -> None:
        """Answer `Why?` on a card in the background."""
        self._ask_why("button", click.user, RootMessage(click.channel, click.message_ts), "")

    def _ask_why(self, verb: str, user: str, message: RootMessage, thread_ts: str) -> None:
        self._background.add(self._tell_why(verb, user, message, thread_ts))

    async def _tell_why(self, verb: str, user: str, message: RootMessage, thread_ts: str) -> None:
        answer = await self._in_time(verb, self._why(user, message))
        await self._send(message.channel, user, _text(answer), thread_ts)

    async def _send(self, channel: str, user: str, text: str, thread_ts: str = "") -> None:
        """Tell the person there; by direct message in a channel in which relay is not."""
        outcome = await self._slack.post_ephemeral(channel, user, text, thread_ts=thread_ts or None)
        if not isinstance(outcome, Read | Delivered):
            await send_direct(self._slack, user, text)

    async def _why(self, user: str, message: RootMessage) -> str:
        return await why_message(await self._question(user, message.channel), message)

    async def _answer(self, command: Command) -> Message | str:
        """Answer a command. What acts is judged in time, and then stored, however long that takes.

        Raises StoreError: it is not stored.
        """
        request = read_request(command.text)
        verb = NAMES[type(request)]
        match request:
            case Help() | Unclear():
                self._metrics.record_command(verb, "answered")
                return help_text(request, command.name)
            case MakeMute():
                return await self._mute(command, request)
            case EndMute():
                return await self._in_time(verb, self._why_not_end(command, request)) or await end_mute(
                    self._mutes, request, command.user
                )
            case Open() | Mine() | Why():
                return await self._in_time(verb, self._answer_question(command, request))

    async def _mute(self, command: Command, request: MakeMute) -> Message | str:
        key = f"command:{command.user}:{command.trigger_id}"
        made, found = await self._mutes.made(key), None
        if made is None:  # else Slack sends the command again
            planned = await self._in_time("mute", self._planned(command, request))
            if not isinstance(planned, PlannedMute):
                return planned
            made, found = await self._mutes.make(planned.mute, key), planned.preview
        return made_text(made, request, command.name, found, self._clock.now())

    async def _planned(self, command: Command, request: MakeMute) -> PlannedMute | Message | str:
        question = await self._question(command.user, command.channel)
        planned = await plan_mute(question, self._mutes, request)
        return confirmation(planned, command) if isinstance(planned, Doubtful) else planned

    async def _why_not_end(self, command: Command, request: EndMute) -> str:
        return await why_not_end(await self._question(command.user, command.channel), self._mutes, request)

    async def _answer_question(self, command: Command, request: Open | Mine | Why) -> Message | str:
        question = await self._question(command.user, command.channel)
        answer = await self._read(question, request) or _NO_SUCH_PLACE
        note = "" if question.viewer.is_known else _NOT_ALL_KNOWN
        return with_note(answer, note) if isinstance(answer, Message) else f"{answer}\n{note}".rstrip()

    async def _read(self, question: SlackQuestion, request: Open | Mine | Why) -> Message | str | None:
        match request:
            case Open():
                return await answer_open(question, request)
            case Mine():
                return await answer_mine(question, self._people)
            case Why(target=target):
                return await answer_why(question, target)

    async def _question(self, user: str, channel: str) -> SlackQuestion:
        viewer = await find_viewer(self._people, await self._store.channels(), user, channel)
        return SlackQuestion(
            viewer=viewer, store=self._store, live=self._live(), link=self._link, now=self._clock.now()
        )

    async def _in_time(self, verb: str, work: Coroutine[Any, Any, T]) -> T | str:
        """Return the answer, or why there is none."""
        try:
            async with asyncio.timeout(self.answer_within):
                answer = await work
        except (TimeoutError, StoreError) as error:
            self._metrics.record_command(verb, "too_slow" if isinstance(error, TimeoutError) else "database_failed")
            detail = "A person got no answer in time."
            log.warning("command_failed", verb=verb, reason=type(error).__name__, detail=detail)
            return _TOO_SLOW
        except Exception:
            self._metrics.record_command(verb, "failed")
            log.exception("command_failed", verb=verb, detail=f"Unexpected error in a person's command. {REPORT_IT}")
            return _FAILED
        self._metrics.record_command(verb, "answered")
        return answer


def _log_failure(error: Exception) -> None:
    detail = f"Unexpected error while relay sent an answer to a person. {REPORT_IT}"
    log.error("command_failed", exc_info=error, detail=detail)


def _text(answer: Message | str) -> str:
    return answer if isinstance(answer, str) else answer.text


def _ephemeral(answer: Message | str) -> dict[str, JSON]:
    """The response that only this person reads: https://docs.slack.dev/interactivity/implementing-slash-commands."""
    if isinstance(answer, str):
        return {"response_type": "ephemeral", "text": answer}
    blocks, attachments = list(answer.blocks), list(answer.attachments)
    return {"response_type": "ephemeral", "text": answer.text, "blocks": blocks, "attachments": attachments}
