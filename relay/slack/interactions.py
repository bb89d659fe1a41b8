"""What people do in Slack, as values: a click, a modal that was sent, a reply in a thread; pure, and trusting no shape.

    clicked(payload) ... of interactivity (https://docs.slack.dev/reference/interaction-payloads)
    heard(payload) ..... of the Events API (https://docs.slack.dev/apis/events-api)

Both take the JSON that Slack sent, by HTTP or by a socket alike. Whatever is no such thing is None, and nothing raises.
A person's words come in Slack's markup; `plain` makes of them what BigPanda can show.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from relay.model.buttons import BUTTONS

ACTION_PREFIX: Final = "relay_"
"""What the action ids of relay's own buttons, and the callback ids of its modals, begin with."""

TEXT_INPUT, UNTIL_INPUT = "text", "until"
"""The action ids of a modal's inputs, and so the names of `Submission.values`."""

_BY_PEOPLE: Final = frozenset({None, "thread_broadcast", "file_share"})
"""Subtypes of a message that a person wrote (https://docs.slack.dev/reference/events/message); edits have others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """A button that somebody pressed.

    `action` is one of `BUTTONS`, or empty for a link button and whatever else is not relay's to act on: Slack wants it
    acknowledged, and nothing follows. `at` is Slack's `action_ts`: with the message and the user it tells a click that
    is sent again from a second one. `trigger` opens one modal, within three seconds.
    """

    action: str
    incident: str = ""
    user: str = ""
    user_name: str = ""
    channel: str = ""
    message_ts: str = ""
    action_ts: str = ""
    trigger_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModalOrigin:
    """Where a modal came from: it is carried through Slack in the modal's `private_metadata`."""

    action: str
    incident: str
    channel: str
    message_ts: str

    def to_json(self) -> str:
        """As JSON."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: object) -> "ModalOrigin | None":
        """What `written` wrote; None for anything else."""
        told = _parsed(text)
        named = {name: _text(told, name) for name in ("action", "incident", "channel", "message_ts")}
        return cls(**named) if named["action"] in BUTTONS and all(named.values()) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A modal of relay's that somebody sent.

    `view` is the modal's id: Slack may send one submission twice. `values` holds what was filled in: `text`, or `until`
    (`1h`, `4h`, `tomorrow`); what was left empty is not there.
    """

    action: str
    incident: str
    user: str
    user_name: str
    channel: str
    message_ts: str
    view_id: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadReply:
    """A reply that a person wrote in a thread, in Slack's markup; files are told by their names.

    `event` is Slack's id of the delivery, the same when it is sent again.
    """

    channel: str
    thread_ts: str
    ts: str
    user: str
    text: str
    event_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """Slack asks whether this is the right address, and wants `text` back.

    https://docs.slack.dev/reference/events/url_verification
    """

    text: str


Interaction: TypeAlias = Click | Submission
SlackEvent: TypeAlias = ThreadReply | Challenge


def parse_interaction(payload: object) -> Interaction | None:
    """What an interaction payload tells; None where it is none that relay knows."""
    told = _object(payload)
    match told.get("type"):
        case "block_actions":
            return _click(told)
        case "view_submission":
            return _submission(told)
        case _:
            return None


def parse_event(payload: object) -> SlackEvent | None:
    """What an event tells: a person's own reply in a thread, or a challenge; None for everything else."""
    told = _object(payload)
    match told.get("type"):
        case "url_verification":
            challenge = _text(told, "challenge")
            return Challenge(text=challenge) if challenge else None
        case "event_callback":
            return _spoken(told, _object(told.get("event")))
        case _:
            return None


# -- Clicks and modals -------------------------------------------------------------------------------------------------


def _click(told: Mapping[str, Any]) -> Click | None:
    actions = [_object(each) for each in _list(told.get("actions"))]
    if not actions:
        return None
    pressed = next((each for each in actions if _action_of(_text(each, "action_id"))), None)
    if pressed is None:
        return Click(action="")
    user, container = _object(told.get("user")), _object(told.get("container"))
    click = Click(
        action=_action_of(_text(pressed, "action_id")),
        incident=_text(pressed, "value"),
        user=_text(user, "id"),
        user_name=_name(user),
        channel=_text(container, "channel_id") or _text(_object(told.get("channel")), "id"),
        message_ts=_text(container, "message_ts") or _text(_object(told.get("message")), "ts"),
        action_ts=_text(pressed, "action_ts"),
        trigger_id=_text(told, "trigger_id"),
    )
    return click if all((click.incident, click.user, click.channel, click.message_ts, click.action_ts)) else None


def _action_of(action_id: str) -> str:
    action = action_id.removeprefix(ACTION_PREFIX)
    return action if action != action_id and action in BUTTONS else ""


def _submission(told: Mapping[str, Any]) -> Submission | None:
    view, user = _object(told.get("view")), _object(told.get("user"))
    origin = ModalOrigin.from_json(view.get("private_metadata"))
    if origin is None or _action_of(_text(view, "callback_id")) != origin.action:
        return None
    if not (_text(user, "id") and _text(view, "id")):
        return None
    return Submission(
        **asdict(origin),
        user=_text(user, "id"),
        user_name=_name(user),
        view_id=_text(view, "id"),
        values=dict(_filled_in(_object(view.get("state")))),
    )


def _filled_in(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What stands in a modal's inputs (https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload)."""
    for block in _object(state.get("values")).values():
        for name, entry in _object(block).items():
            value = _text(_object(entry), "value") or _text(_object(_object(entry).get("selected_option")), "value")
            if name in {TEXT_INPUT, UNTIL_INPUT} and value:
                yield name, value


def _name(user: Mapping[str, Any]) -> str:
    return _text(user, "name") or _text(user, "username")


# -- Replies -----------------------------------------------------------------------------------------------------------


def _spoken(told: Mapping[str, Any], event: Mapping[str, Any]) -> ThreadReply | None:
    if event.get("type") != "message" or event.get("subtype") not in _BY_PEOPLE or _is_by_an_app(told, event):
        return None
    spoken = ThreadReply(
        channel=_text(event, "channel"),
        thread_ts=_text(event, "thread_ts"),
        ts=_text(event, "ts"),
        user=_text(event, "user"),
        text="\n".join(_said(event)),
        event_id=_text(told, "event_id"),
    )
    known = all((spoken.channel, spoken.thread_ts, spoken.ts, spoken.user, spoken.text.strip()))
    return spoken if known and spoken.ts != spoken.thread_ts else None


def _is_by_an_app(told: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    ours = _text(told, "api_app_id")
    return bool(event.get("bot_id") or event.get("bot_profile")) or (bool(ours) and event.get("app_id") == ours)


def _said(event: Mapping[str, Any]) -> Iterator[str]:
    if text := _text(event, "text"):
        yield text
    for file in _list(event.get("files")):
        if name := _text(_object(file), "name"):
            yield f"(file: {_escaped(name)})"


# -- What people write -------------------------------------------------------------------------------------------------

# https://docs.slack.dev/messaging/formatting-message-text
_MARKUP: Final = re.compile(r"<([^<>]*)>|&(amp|lt|gt);")
_MENTION: Final = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">"}


def to_plain_text(text: str, names: Mapping[str, str]) -> str:
    """A person's words as plain text; `names` are those of the users who are mentioned, by their ids.

    Links keep their address, since BigPanda shows text alone. Styling (`*bold*`) and emoji stay as they were written.
    """
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[2]) or _angled(found[1] or "", names), text)


def mentioned_users(text: str) -> tuple[str, ...]:
    """The ids of the users whom a text mentions, each once."""
    return tuple(dict.fromkeys(_MENTION.findall(text)))


def _angled(inside: str, names: Mapping[str, str]) -> str:
    target, _, label = inside.partition("|")
    label = _unescaped(label)
    match target[:1], target[1:]:
        case "@", user:
            return _called("@", names.get(user) or label or user)
        case "#", channel:
            return _called("#", label or channel)
        case "!", special:
            return _special(special, label, names)
        case _:
            return _link(_unescaped(target), label)


def _special(special: str, label: str, names: Mapping[str, str]) -> str:
    """`<!here>`, `<!subteam^S1|@ops>`, `<!date^...|fallback>`."""
    kind, _, rest = special.partition("^")
    if kind == "date":
        return label
    return _called("@", label or names.get(rest) or rest or kind)


def _link(address: str, label: str) -> str:
    """Slack makes links of bare addresses too: those read as they were typed."""
    typed = re.sub(r"^(?:https?://|mailto:|tel:)", "", address)
    if not label or label == address:
        return address if address.startswith("http") else typed
    return label if label == typed else f"{label} ({address})"


def _called(mark: str, name: str) -> str:
    return mark + name.removeprefix(mark)


def _unescaped(text: str) -> str:
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[2], found[0]), text)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# -- Shapes ------------------------------------------------------------------------------------------------------------


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    return value if isinstance(value, str) else ""


def _parsed(text: object) -> Mapping[str, Any]:
    if not isinstance(text, str):
        return {}
    try:
        return _object(orjson.loads(text))
    except orjson.JSONDecodeError:
        return {}
