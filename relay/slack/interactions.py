"""What people do in Slack, as values: a click, a submitted modal, a shortcut, a command, a reply in a thread.

    parse_interaction ... a payload of interactivity (https://docs.slack.dev/reference/interaction-payloads)
    parse_command ....... a slash command (https://docs.slack.dev/interactivity/implementing-slash-commands)
    parse_event ......... a payload of the Events API (https://docs.slack.dev/apis/events-api)

All take the JSON that Slack sends over HTTP or over a socket, trust no shape, raise nothing, and return None for
everything else. A person's text is in Slack's markup; `to_plain_text` turns it into what BigPanda can show.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Final

import orjson

from relay.http.json_fields import JsonObject, as_object, object_field, objects_field, parse_object, text_field
from relay.model.buttons import BUTTONS, STORM_BUTTONS
from relay.model.outside_text import clean_text

ACTION_PREFIX: Final = "relay_"
"""The action ids of relay's own buttons, and the callback ids of its modals, begin with it."""

MENU_ACTION: Final = f"{ACTION_PREFIX}menu"
"""The action id of the menu of buttons that have no place of their own. Each entry's value is a `menu_value`."""

CONFIRM_ACTION: Final = f"{ACTION_PREFIX}confirm"
"""The action id of the button that repeats a command of which relay has asked whether it is meant."""

WHY_SHORTCUT: Final = f"{ACTION_PREFIX}why"
"""The callback id of the message shortcut that asks why a message is there."""

TEXT_INPUT, UNTIL_INPUT, MOMENT_INPUT, WHAT_INPUT, CRITICAL_INPUT = "text", "until", "moment", "what", "critical"
"""The action ids of a modal's inputs, and the names in `Submission.values`."""

_INPUTS: Final = frozenset({TEXT_INPUT, UNTIL_INPUT, MOMENT_INPUT, WHAT_INPUT, CRITICAL_INPUT})

_SUBTYPES_BY_PEOPLE: Final = frozenset({None, "thread_broadcast", "file_share"})
"""Subtypes of a message that a person wrote (https://docs.slack.dev/reference/events/message). Edits have others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """A click on a button.

    `action` is one of `BUTTONS` or of `STORM_BUTTONS`. It is empty for a link button and for buttons that are not
    relay's: Slack wants the click acknowledged, and nothing follows. `incident` is empty on a storm card. `message_ts`
    names the card, also where the button is in its thread. `action_ts`, with the message and the user, tells a click
    that is sent again from a second click. `trigger_id` opens one modal, within three seconds.
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
    """The card and the button that opened a modal. Slack carries it in the modal's `private_metadata`.

    `owner` names who has the incident, where the modal asks whether to take it from that person.
    """

    action: str
    incident: str
    channel: str
    message_ts: str
    owner: str = ""

    def to_json(self) -> str:
        """Return it as JSON."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_json(cls, text: object) -> "ModalOrigin | None":
        """Parse the result of `to_json`; None for anything else."""
        source = parse_object(text)
        fields = {name: text_field(source, name) for name in ("action", "incident", "channel", "message_ts")}
        if fields["action"] not in BUTTONS or not all(fields.values()):
            return None
        return cls(**fields, owner=text_field(source, "owner"))


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrigin:
    """The storm card and the button that opened a modal, and what the modal asks about.

    `lines` are the numbers of the storm card's lines, `name` is the name of the person who pressed.
    """

    action: str
    channel: str
    message_ts: str
    lines: tuple[int, ...]
    name: str = ""

    def to_json(self) -> str:
        """Return it as JSON: with 200 lines it is shorter than Slack allows, 3,000 characters."""
        return orjson.dumps({**asdict(self), "lines": _ranges_text(self.lines)}).decode()

    @classmethod
    def from_json(cls, text: object) -> "BatchOrigin | None":
        """Parse the result of `to_json`; None for anything else."""
        source = parse_object(text)
        fields = {name: text_field(source, name) for name in ("action", "channel", "message_ts")}
        lines = _ranges(text_field(source, "lines"))
        if fields["action"] not in STORM_BUTTONS or not all(fields.values()) or not lines:
            return None
        return cls(**fields, lines=lines, name=text_field(source, "name"))


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSubmission:
    """A submitted modal of a storm card; `view_id` is the modal's id, as in `Submission`."""

    origin: BatchOrigin
    user: str
    user_name: str
    view_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A submitted modal of relay.

    `view_id` is the modal's id: Slack may send one submission twice. `owner` is as in `ModalOrigin`. `trigger_id` opens
    another modal, within three seconds. `values` is what was filled in: `text`, `until` (`1h`, `4h`, `morning`) and
    `moment` (Unix seconds), `what` is muted, and `critical` where critical incidents are muted, too. An empty input is
    left out.
    """

    action: str
    incident: str
    user: str
    user_name: str
    channel: str
    message_ts: str
    view_id: str
    owner: str = ""
    trigger_id: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut:
    """Relay's shortcut in the menu of any message: why is it there?

    `message_ts` is the message, `thread_ts` the root of its thread (empty for a message outside of threads).
    """

    user: str
    channel: str
    message_ts: str
    thread_ts: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A slash command: its `name` with the slash, and the `text` after it as Slack sends it.

    `trigger_id` is the same when Slack sends the command again, and no other command has it.
    """

    name: str
    text: str
    user: str
    channel: str
    trigger_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadReply:
    """A reply that a person wrote in a thread, in Slack's markup, with the names of its files."""

    channel: str
    thread_ts: str
    ts: str
    user: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """Slack checks the address of the Events API, and wants `text` back.

    https://docs.slack.dev/reference/events/url_verification
    """

    text: str


def parse_interaction(payload: object) -> Click | Submission | BatchSubmission | Shortcut | Command | None:
    """Parse an interaction; None for one that relay does not know. A command is one that the person has confirmed."""
    source = as_object(payload)
    match source.get("type"):
        case "block_actions":
            return _confirmed(source) or _click(source)
        case "view_submission":
            return _submission(source)
        case "message_action":
            return _shortcut(source)
    return None


def parse_command(payload: object) -> Command | None:
    """Parse a slash command; None for what is none. Over HTTP, its fields are a form."""
    source = as_object(payload)
    command = Command(
        name=clean_text(text_field(source, "command")),
        text=clean_text(text_field(source, "text")),
        user=text_field(source, "user_id"),
        channel=text_field(source, "channel_id"),
        trigger_id=text_field(source, "trigger_id"),
    )
    return command if all((command.name, command.user, command.channel, command.trigger_id)) else None


def parse_event(payload: object) -> ThreadReply | Challenge | None:
    """Parse an event: a person's reply in a thread, or a challenge; None for everything else."""
    source = as_object(payload)
    match source.get("type"):
        case "url_verification":
            challenge = text_field(source, "challenge")
            return Challenge(text=challenge) if challenge else None
        case "event_callback":
            return _reply(source, object_field(source, "event"))
    return None


# -- Clicks, modals and replies ----------------------------------------------------------------------------------------


def menu_value(action_id: str, value: str) -> str:
    """Return the value of a menu's entry, which stands for a button."""
    return f"{action_id}:{value}"


def _click(payload: JsonObject) -> Click | None:
    actions = [_pressed(action) for action in objects_field(payload, "actions")]
    if not actions:
        return None
    button = next((action for action in actions if _action_of(text_field(action, "action_id"))), None)
    if button is None:
        return Click(action="")
    user, container = object_field(payload, "user"), object_field(payload, "container")
    click = Click(
        action=_action_of(text_field(button, "action_id")),
        incident=text_field(button, "value"),
        user=text_field(user, "id"),
        user_name=_user_name(user),
        channel=text_field(container, "channel_id") or text_field(object_field(payload, "channel"), "id"),
        message_ts=_root_ts(container, object_field(payload, "message")),
        action_ts=text_field(button, "action_ts"),
        trigger_id=text_field(payload, "trigger_id"),
    )
    about = click.incident or click.action in STORM_BUTTONS
    return click if all((about, click.user, click.channel, click.message_ts, click.action_ts)) else None


def _root_ts(container: JsonObject, message: JsonObject) -> str:
    """Return the ts of the message with the button; of one in a thread, that of the card above it."""
    thread = text_field(container, "thread_ts") or text_field(message, "thread_ts")
    return thread or text_field(container, "message_ts") or text_field(message, "ts")


def _pressed(action: JsonObject) -> JsonObject:
    """Return what was pressed; an entry of the menu becomes the button that it stands for.

    https://docs.slack.dev/reference/block-kit/block-elements/overflow-menu-element
    """
    if text_field(action, "action_id") != MENU_ACTION:
        return action
    action_id, _, value = text_field(object_field(action, "selected_option"), "value").partition(":")
    return {**action, "action_id": action_id, "value": value}


def _action_of(action_id: str) -> str:
    action = action_id.removeprefix(ACTION_PREFIX)
    return action if action != action_id and action in {*BUTTONS, *STORM_BUTTONS} else ""


def _submission(payload: JsonObject) -> Submission | BatchSubmission | None:
    view, user = object_field(payload, "view"), object_field(payload, "user")
    metadata = view.get("private_metadata")
    origin = ModalOrigin.from_json(metadata) or BatchOrigin.from_json(metadata)
    user_id, view_id = text_field(user, "id"), text_field(view, "id")
    if origin is None or _action_of(text_field(view, "callback_id")) != origin.action or not (user_id and view_id):
        return None
    if isinstance(origin, BatchOrigin):
        return BatchSubmission(origin=origin, user=user_id, user_name=_user_name(user), view_id=view_id)
    return Submission(
        **asdict(origin),
        user=user_id,
        user_name=_user_name(user),
        view_id=view_id,
        trigger_id=text_field(payload, "trigger_id"),
        values=dict(_input_values(object_field(view, "state"))),
    )


def confirm_value(command: Command, text: str) -> str:
    """Return the value of the button that gives the command again, with another text."""
    return orjson.dumps({"name": command.name, "text": text, "trigger_id": command.trigger_id}).decode()


def _confirmed(payload: JsonObject) -> Command | None:
    user = object_field(payload, "user")
    for action in objects_field(payload, "actions"):
        if text_field(action, "action_id") == CONFIRM_ACTION:
            value = parse_object(text_field(action, "value"))
            command = Command(
                **{name: text_field(value, name) for name in ("name", "text", "trigger_id")},
                user=text_field(user, "id"),
                channel=text_field(object_field(payload, "container"), "channel_id"),
            )
            return command if all((command.name, command.trigger_id, command.user, command.channel)) else None
    return None


def _shortcut(payload: JsonObject) -> Shortcut | None:
    message = object_field(payload, "message")
    shortcut = Shortcut(
        user=text_field(object_field(payload, "user"), "id"),
        channel=text_field(object_field(payload, "channel"), "id"),
        message_ts=text_field(message, "ts") or text_field(payload, "message_ts"),
        thread_ts=text_field(message, "thread_ts"),
    )
    complete = all((shortcut.user, shortcut.channel, shortcut.message_ts))
    return shortcut if complete and text_field(payload, "callback_id") == WHY_SHORTCUT else None


def _input_values(state: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield the modal's inputs (https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload)."""
    for block in object_field(state, "values").values():
        for name, entry in as_object(block).items():
            source = as_object(entry)
            ticked = next(iter(objects_field(source, "selected_options")), {})
            chosen, moment = object_field(source, "selected_option") or ticked, source.get("selected_date_time")
            value = text_field(source, "value") or text_field(chosen, "value")
            if name == MOMENT_INPUT and type(moment) is int:
                value = str(moment)
            if name in _INPUTS and value:
                yield name, value


_MOST_LINES: Final = 1000
"""The most numbers that are read; a storm card's button is about fewer."""


def _ranges_text(numbers: Iterable[int]) -> str:
    """Return ascending numbers as text: `1-3,7`."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def _ranges(text: str) -> tuple[int, ...]:
    """Parse the result of `_ranges_text`; empty for anything else."""
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < first + _MOST_LINES or len(numbers) > _MOST_LINES:
            return ()
        numbers.extend(range(first, last + 1))
    return tuple(numbers)


def _user_name(user: JsonObject) -> str:
    return text_field(user, "name") or text_field(user, "username")


def _reply(payload: JsonObject, event: JsonObject) -> ThreadReply | None:
    own_app = text_field(payload, "api_app_id")
    by_app = event.get("bot_id") or event.get("bot_profile") or (own_app and event.get("app_id") == own_app)
    if event.get("type") != "message" or event.get("subtype") not in _SUBTYPES_BY_PEOPLE or by_app:
        return None
    names = (text_field(file, "name") for file in objects_field(event, "files"))
    lines = (text_field(event, "text"), *(f"(file: {escape(name, quote=False)})" for name in names if name))
    reply = ThreadReply(
        channel=text_field(event, "channel"),
        thread_ts=text_field(event, "thread_ts"),
        ts=text_field(event, "ts"),
        user=text_field(event, "user"),
        text="\n".join(filter(None, lines)),
    )
    complete = all((reply.channel, reply.thread_ts, reply.ts, reply.user, reply.text.strip()))
    return reply if complete and reply.ts != reply.thread_ts else None


# -- Slack's markup ----------------------------------------------------------------------------------------------------

# https://docs.slack.dev/messaging/formatting-message-text
_MARKUP: Final = re.compile(r"<([^<>]*)>|&(amp|lt|gt);")
_MENTION: Final = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">"}


def to_plain_text(text: str, names: Mapping[str, str]) -> str:
    """Turn a person's text into plain text. `names` are those of the mentioned users, by user id.

    Links keep their address, since BigPanda shows plain text only. Styling (`*bold*`) and emoji stay unchanged.
    """
    return _MARKUP.sub(lambda match: _ENTITIES.get(match[2]) or _angled(match[1] or "", names), text)


def mentioned_users(text: str) -> tuple[str, ...]:
    """Return the ids of the users that a text mentions, each once."""
    return tuple(dict.fromkeys(_MENTION.findall(text)))


def _angled(inside: str, names: Mapping[str, str]) -> str:
    """Turn the text between angle brackets into plain text: `@U1`, `#C1|noc`, `!here`, `https://...|label`."""
    target, _, label = inside.partition("|")
    label = _unescaped(label)
    match target[:1], target[1:]:
        case "@", user:
            return _with_mark("@", names.get(user) or label or user)
        case "#", channel:
            return _with_mark("#", label or channel)
        case "!", special:  # `here`, `subteam^S1|@ops` or `date^...|fallback`
            kind, _, rest = special.partition("^")
            return label if kind == "date" else _with_mark("@", label or names.get(rest) or rest or kind)
        case _:
            return _link(_unescaped(target), label)


def _link(address: str, label: str) -> str:
    """Turn a link into plain text. Slack makes links of bare addresses too; these become what was typed."""
    typed = re.sub(r"^(?:https?://|mailto:|tel:)", "", address)
    if not label or label == address:
        return address if address.startswith("http") else typed
    return label if label == typed else f"{label} ({address})"


def _with_mark(mark: str, name: str) -> str:
    return mark + name.removeprefix(mark)


def _unescaped(text: str) -> str:
    return _MARKUP.sub(lambda match: _ENTITIES.get(match[2], match[0]), text)
