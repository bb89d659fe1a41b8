"""Lets Slack check the largest and smallest version of every message and modal against Slack's own schema.

It is a check of the schema alone: relay's own limits (`relay.slack.limits`) stay the authority for sizes. Nothing is
posted (https://docs.slack.dev/reference/methods/blocks.validate).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from relay.actions.messages import take_question
from relay.actions.modals import build_modal, build_owner_question, build_take_question
from relay.actions.mute_modal import MuteChoice, end_mute_inputs, mute_inputs
from relay.actions.mute_preview import MutePreview
from relay.cards.batches import MOST_IN_BATCH, Choice
from relay.cards.mutes import Mute
from relay.config.files import read_files
from relay.config.settings import Settings
from relay.http.session import make_session
from relay.model.buttons import BUTTONS, STORM_BUTTONS
from relay.model.errors import Fault, RelayError
from relay.model.incident import State
from relay.reload.messages import NoticeTopic, open_message, over_message
from relay.rendering.library import CARD, DEFAULT_FOLDER
from relay.runtime.clock import Clock
from relay.slack.gateway import SlackGateway
from relay.slack.interactions import BatchOrigin, ModalOrigin
from relay.slack.message import Message
from relay.slack.outcomes import Read, Rejected, RejectionScope, Retryable, SlackOutcome
from relay.tools.check.block_origins import Origins, innermost
from relay.tools.check.trial_simulation import LONG_TEXT, SAMPLES, Trial
from relay.tools.live_slack import slack_gateway
from relay.tools.simulate import SentMessage

MAX_TRIES: Final = 4
"""How often relay asks about one message while Slack limits the rate."""

BUILT_IN: Final = "(built into relay)"
_POINTER: Final = re.compile(r"\[json-pointer:(?P<pointer>[^\]]*)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One message or modal as Slack gets it: what it is, and the file that makes it."""

    name: str
    file: str
    kind: Literal["message", "view"]
    payload: Mapping[str, Any]


class ValidationUnavailable(RelayError):
    """Slack cannot be asked; the message says why and what to do."""


async def check_templates(settings: Settings, templates: Path) -> list[Fault]:
    """Slack's complaints about relay's messages, with the templates of this folder; faults name its files.

    Raises ValidationUnavailable: there is no token, or Slack cannot be asked.
    """
    if settings.slack_bot_token is None:
        raise ValidationUnavailable("Slack cannot check relay's messages: set SLACK_BOT_TOKEN (xoxb-...).")
    files = read_files(settings.routes, templates)
    async with make_session() as session:
        slack = slack_gateway(session, settings, Clock())
        faults = await slack_complaints(slack, files.templates)
    return [files.with_path(each) if each.file != BUILT_IN else each for each in faults]


def surfaces(sources: Mapping[str, str]) -> Iterator[Surface]:
    """Every card, reply, modal and notice, each different payload once; `sources` are valid templates by name.

    Each is drawn when it is asked for.
    """
    known: set[bytes] = set()
    for surface in chain(_modals(), _notices(), _drawn(Trial(sources))):
        payload = orjson.dumps([surface.kind, surface.payload], option=orjson.OPT_SORT_KEYS)
        if payload not in known:
            known.add(payload)
            yield surface


async def slack_complaints(slack: SlackGateway, sources: Mapping[str, str]) -> list[Fault]:
    """Slack's complaints, each at the template that makes it.

    Raises ValidationUnavailable: Slack does not know the method, rejects the token, or does not answer.
    """
    faults = []
    origins = Origins(sources, lambda marked: (surface.payload for surface in surfaces(marked)))
    for surface in surfaces(sources):
        answer = await _validate(slack, surface)
        if (
            isinstance(answer, Rejected)
            and answer.scope is RejectionScope.PAYLOAD
            and answer.code != "invalid_arguments"
        ):
            faults.append(_fault(surface, answer.detail or answer.code, origins))
        elif not isinstance(answer, Read):
            raise ValidationUnavailable(_why_not(answer))
    return list(dict.fromkeys(faults))


async def _validate(slack: SlackGateway, surface: Surface) -> SlackOutcome:
    """Ask again after a rate limit, which the gateway waits for."""
    answer = await slack.validate(surface.kind, surface.payload)
    for _ in range(MAX_TRIES - 1):
        if not (isinstance(answer, Retryable) and answer.pauses):
            break
        answer = await slack.validate(surface.kind, surface.payload)
    return answer


def _why_not(answer: SlackOutcome) -> str:
    if getattr(answer, "code", "") == "unknown_method":
        return "This Slack does not know blocks.validate, so it cannot check relay's messages."
    return f"Slack cannot check relay's messages: {answer.reason.replace('_', ' ')}. {answer.remedy}".rstrip()


def _fault(surface: Surface, detail: str, origins: Origins) -> Fault:
    pointer = _POINTER.search(detail)
    part = innermost(surface.payload, pointer["pointer"] if pointer else "")
    file, line = origins.place(surface.file, part)
    return Fault(file=file, line=line, column=1 if line else 0, message=f"Slack rejects {surface.name}: {detail}")


def _drawn(trial: Trial) -> Iterator[Surface]:
    yield from _bulletins(trial)
    for folder in sorted({DEFAULT_FOLDER, *trial.folders}):
        yield from _messages(trial, folder)


def _messages(trial: Trial, folder: str) -> Iterator[Surface]:
    for sample in SAMPLES:
        for simulation in trial.simulations(folder, sample):
            for card in simulation.cards:
                for sent in filter(None, (card.first, card.root)):
                    yield _surface(f"the card of {sample}", _file(trial.sources, folder, CARD), sent.message)
                for reply in card.replies:
                    yield _surface(f"a reply of {sample}", _reply_file(trial.sources, folder, reply), reply.message)


def _bulletins(trial: Trial) -> Iterator[Surface]:
    for sample in SAMPLES:
        for drawn in trial.bulletins(sample):
            file = drawn.template if drawn.template in trial.sources else BUILT_IN
            yield _surface(f"the message of {drawn.template}, like {sample}", file, drawn.rendered.message)


def _surface(name: str, file: str, message: Message) -> Surface:
    payload = {"blocks": list(message.blocks), "attachments": list(message.attachments)}
    return Surface(
        name=name, file=file, kind="message", payload={key: value for key, value in payload.items() if value}
    )


def _reply_file(sources: Mapping[str, str], folder: str, reply: SentMessage) -> str:
    """The file of the first entry whose template is the operator's own."""
    files = [_file(sources, folder, str(entry.kind)) for entry in reply.entries]
    return next((file for file in files if file != BUILT_IN), BUILT_IN)


def _file(sources: Mapping[str, str], folder: str, stem: str) -> str:
    """The operator's file that makes it, by the rule of `relay.rendering.library`."""
    names = (f"{folder}/{stem}.j2", f"{DEFAULT_FOLDER}/{stem}.j2")
    return next((name for name in names if name in sources), BUILT_IN)


_CHOICES = tuple(MuteChoice(tag="t", name=LONG_TEXT, value=f"{number}{LONG_TEXT}") for number in range(20))
_PREVIEW = MutePreview(open=10**6, recent=10**7, open_cut=True, recent_cut=True)
_MUTE = Mute(match=LONG_TEXT, start=0.0, end=1.0, reason=LONG_TEXT, author=LONG_TEXT, origin="cli", id=10**9)
_FULL: Mapping[str, list[dict[str, Any]]] = {
    "mute": mute_inputs(_CHOICES, dict.fromkeys(_CHOICES, _PREVIEW), routes=(LONG_TEXT,) * 9),
    "end_mute": end_mute_inputs((_MUTE,) * 20),
}
"""What a modal asks for, at its longest, where that depends on the incident."""


def _modals() -> Iterator[Surface]:
    place = {"incident": "5" * 24, "channel": "C0123456789", "message_ts": "1700000000.000001"}
    for action, row in BUTTONS.items():
        if row.modal_title:
            modal = build_modal(action, title=LONG_TEXT, inputs=_FULL.get(action), **place)
            yield Surface(name=f"the modal of {action}", file=BUILT_IN, kind="view", payload=modal)
        origin = ModalOrigin(action=action, **place)
        question = build_owner_question(origin, title=LONG_TEXT, question="*Cid* has it. Take over?")
        yield Surface(name=f"the question of {action}", file=BUILT_IN, kind="view", payload=question)
    choice = Choice(
        lines=tuple(range(1, 2 * MOST_IN_BATCH, 2)),
        states=dict.fromkeys(State, 1),
        owned=300,
        in_progress=300,
        denied={("S0123456789",): 300, (): 300},
        beyond=300,
    )
    where = {name: place[name] for name in ("channel", "message_ts")}
    for action in STORM_BUTTONS:
        pressed = BatchOrigin(action=action, **where, lines=choice.lines, name=LONG_TEXT[:80])
        view = build_take_question(pressed, question=take_question(choice))
        yield Surface(name=f"the modal of {action}", file=BUILT_IN, kind="view", payload=view)


def _notices() -> Iterator[Surface]:
    for topic in NoticeTopic:
        for message in (open_message(topic, [LONG_TEXT] * 500), open_message(topic, ["x"]), over_message(topic)):
            yield _surface(f"the notice about {topic}", BUILT_IN, message)
