"""What a person has typed after the slash command, as a value. `VERBS` has one row for each verb."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from relay.model.nearest import nearest
from relay.tools.permalink import is_link

MAX_TEXT: Final = 4_000
"""Characters of a command that are read."""

_TYPOGRAPHIC: Final = str.maketrans(
    dict.fromkeys("\u201c\u201d\u201e", '"') | dict.fromkeys("\u2018\u2019", "'") | {"\xa0": " "}
)
"""What Slack's window and phones make of straight quotes and blanks."""

_DASH: Final = re.compile(r"(?<!\S)—(?=[a-z])")
"""What they make of the two hyphens before an option."""

_OPTION: Final = re.compile(r"--[a-z]")

_ENTITIES: Final = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_CHANNEL: Final = re.compile(r"<#(?P<id>[CDG][A-Z0-9]+)(?:\|[^<>]*)?>")
_DURATION: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:s|m|min|h|d|w)", re.IGNORECASE)
_TAG: Final = re.compile(r"(?P<name>[^\s=\"'<>{}]+)=(?P<value>.+)", re.DOTALL)
_LONGEST_NUMBER: Final = 18
_QUOTES: Final = "\"'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """What the command can do. `unknown` is a word that is no verb, `meant` the verb that it is probably."""

    unknown: str = ""
    meant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """What is open: in a channel (its id, or a name or alias), or of a team; without both, here.

    `name` may be a channel or a team. `everywhere`: in all channels that the person may see.
    """

    channel: str = ""
    team: str = ""
    name: str = ""
    everywhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine:
    """The incidents that the person has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why a message is there; `target` is its address, or the id of an incident."""

    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeMute:
    """A mute of one incident (its id, or its card's address), of values of tags, or of a `match` as in routes.yaml.

    `how_long`, `start` and `unless` are as they were typed. `sure`: the person has seen what it matches.
    """

    tags: tuple[tuple[str, str], ...] = ()
    target: str = ""
    match: str = ""
    how_long: str = ""
    start: str = ""
    reason: str = ""
    unless: str = ""
    sure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EndMute:
    """End a mute, by its number."""

    number: int


@dataclass(frozen=True, slots=True)
class Unclear:
    """The words do not say what is meant; `detail` says what is expected, in mrkdwn without text of the person."""

    detail: str


Request = Help | Open | Mine | Why | MakeMute | EndMute | Unclear


class Verb(NamedTuple):
    """One verb: what follows it, what it does, and how its words are read."""

    usage: str
    effect: str
    read: "Callable[[str], Request]"


def read_request(text: str) -> Request:
    """Read what was typed after the command."""
    words = _clean(text[:MAX_TEXT])
    verb, _, rest = words.partition(" ")
    name = verb.casefold()
    if not name:
        return Help()
    row = VERBS.get(name)
    if row is None:
        return Why(target=words) if is_link(words) else Help(unknown=verb, meant=nearest(name, VERBS))
    return row.read(rest.strip())


def _clean(text: str) -> str:
    """One line with straight quotes. Channels and links keep their brackets (`<#C1|noc>`)."""
    return _DASH.sub("--", " ".join(text.translate(_TYPOGRAPHIC).split()))


def unescaped(text: str) -> str:
    """What was typed, where Slack has escaped it."""
    return re.sub("&(?:amp|lt|gt);", lambda found: _ENTITIES[found[0]], text)


def _open(rest: str) -> Request:
    if channel := _CHANNEL.fullmatch(rest):
        return Open(channel=channel["id"])
    name = unescaped(rest).strip(_QUOTES).strip()
    if name.casefold() in {"all", "everywhere"}:
        return Open(everywhere=True)
    key, equals, value = name.partition("=")
    if equals and key.strip().casefold() == "team":
        return Open(team=value.strip(" \"'"))
    return Open(channel=name) if name.startswith("#") else Open(name=name)


def _why(rest: str) -> Request:
    target = rest.strip(_QUOTES)
    if not target:
        return Unclear("Which message? In its menu, choose *Copy link*; then type `why` and the link.")
    return Why(target=target)


def _unmute(rest: str) -> Request:
    number = rest.removeprefix("#")
    if not (number.isascii() and number.isdecimal() and len(number) <= _LONGEST_NUMBER):
        return Unclear("Which mute? Give its number, as the cards and `relay mute list` show it: `unmute 7`.")
    return EndMute(number=int(number))


# --- mutes ---

_OPTIONS: Final[Mapping[str, str]] = {
    "--match": "match",
    "--incident": "target",
    "--for": "how_long",
    "--from": "start",
    "--reason": "reason",
    "--unless": "unless",
}
"""The options of `relay mute add` that have a value -> the field."""

_HOW_TO_MUTE: Final = "For example: `mute service=checkout 2h deploy`, or `mute LINK 30m known issue`."


def _mute(rest: str) -> Request:
    parts, words = _MuteParts(), _Tokens(rest)
    for word in words:
        if not (parts.take_option(word, words) if _OPTION.match(word) else parts.take_word(word)):
            return Unclear(f"relay does not understand all of that. {_HOW_TO_MUTE}")
    mute = parts.mute()
    return _incomplete(mute) or mute


@dataclass(slots=True)
class _MuteParts:
    """The words of a mute as far as they are read: what to mute first, then for how long, then why."""

    given: dict[str, str] = field(default_factory=dict)
    tags: list[tuple[str, str]] = field(default_factory=list)
    reason: list[str] = field(default_factory=list)
    sure: bool = False

    def take_option(self, word: str, words: "_Tokens") -> bool:
        """Take an option, with its value behind `=` or in the next word."""
        option, equals, value = word.partition("=")
        if word == "--yes":
            self.sure = True
        elif option in _OPTIONS:
            self.given[_OPTIONS[option]] = _unquoted(value if equals else next(words, ""))
        return word == "--yes" or option in _OPTIONS

    def take_word(self, word: str) -> bool:
        """Take any other word."""
        if "how_long" in self.given:
            self.reason.append(word)
        elif _DURATION.fullmatch(word):
            self.given["how_long"] = word
        elif tag := _TAG.fullmatch(word):
            self.tags.append((unescaped(tag["name"]), unescaped(_unquoted(tag["value"]))))
        elif "target" not in self.given:
            self.given["target"] = _unquoted(word)
        else:
            return False
        return True

    def mute(self) -> MakeMute:
        """What is asked for."""
        given = {"reason": _unquoted(" ".join(self.reason)), **self.given}
        texts = {name: unescaped(text) for name, text in given.items() if name != "target"}
        return MakeMute(tags=tuple(self.tags), target=given.get("target", ""), sure=self.sure, **texts)


def _incomplete(mute: MakeMute) -> Unclear | None:
    """What is missing, as a question."""
    if sum(map(bool, (mute.tags, mute.target, mute.match))) != 1:
        return Unclear(f"Mute what? Give values of tags, one incident, or one `--match`. {_HOW_TO_MUTE}")
    if not mute.how_long:
        return Unclear(f"For how long? Add a duration, such as 90m, 2h or 1d. {_HOW_TO_MUTE}")
    if not mute.reason.strip():
        return Unclear(f"Why? Everybody who misses a ping will ask. {_HOW_TO_MUTE}")
    return None


class _Tokens:
    """Splits at blanks, but not in quotes that begin a word or a value, in braces, or in Slack's brackets."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def __iter__(self) -> "_Tokens":
        return self

    def __next__(self) -> str:
        text, start = self._text, self._at
        while start < len(text) and text[start] == " ":
            start += 1
        if start == len(text):
            raise StopIteration
        self._at = _end_of_word(text, start)
        return text[start : self._at]


def _end_of_word(text: str, start: int) -> int:
    at = start
    while at < len(text) and text[at] != " ":
        begins_value = at == start or text[at - 1] == "="
        end = _end_of_group(text, at) if begins_value else at
        at = end if end > at else at + 1
    return at


def _end_of_group(text: str, at: int) -> int:
    """Where the quotes, braces or brackets that begin there end; the same place if none do, or they do not end."""
    if text[at] in _QUOTES:
        return text.find(text[at], at + 1) + 1
    if text[at] == "<":
        return text.find(">", at) + 1
    depth = 0
    for index in range(at, len(text) if text[at] == "{" else at):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    return at


def _unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES
    return text[1:-1] if is_quoted else text


VERBS: Final[Mapping[str, Verb]] = {
    "open": Verb("open [#channel | team]", "what is open: here, in that channel, of that team, or `open all`", _open),
    "mine": Verb("mine", "the incidents that you have", lambda _rest: Mine()),
    "why": Verb("why LINK", "why that message is there, and what is held; also in the message's menu", _why),
    "mute": Verb(
        "mute TAG=VALUE 2h REASON",
        "for a time, no new cards and no pings; or `mute LINK 2h REASON` for one incident",
        _mute,
    ),
    "unmute": Verb("unmute ID", "ends a mute", _unmute),
    "help": Verb("help", "this list", lambda _rest: Help()),
}
"""Verb -> its row, in the order of the help."""
