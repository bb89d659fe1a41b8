"""Channels and people as routes.yaml names them: aliases, ids, names, expressions; and who may be pinged."""

import re
from collections.abc import Mapping

from relay.model.incident import State
from relay.routes.channel_template import NAME_LENGTH, FixedChannel, RouteChannel, expression, may_stand_in_a_name
from relay.routes.options import Mention
from relay.routes.parser.context import ParseContext, suggestion
from relay.routes.parser.scalars import describe, list_of, read_mapping, read_word
from relay.routes.parser.yaml_nodes import MappingNode, Node, ScalarNode

Aliases = Mapping[str, FixedChannel]

_ID = re.compile(r"(?=.*[0-9]|.{9})[A-Z][A-Z0-9]+")
"""An id of Slack's: it has a digit, or is long, and so is no word in capitals."""
_ID_INSIDE = re.compile(r"(?<=/archives/)[CG][A-Z0-9]{8,}|(?<=<#)[CG][A-Z0-9]{8,}|^[cg](?=[a-z]*[0-9])[a-z0-9]{8,}$")
"""An id in the address or the spelling that Slack copies, or in small letters."""
_EXPRESSION = re.compile(r"\{[{%#]")

_STATES = ("critical", "warning", "unknown", "reopened", "any")
_SILENT_STATES = (State.ACKNOWLEDGED, State.RESOLVED)


def aliases(node: Node, reading: ParseContext) -> Aliases:
    """`channels`: alias to id or `#name`. A faulty one is known, so that whoever uses it is not faulted as well."""
    made = read_mapping(node, reading, "an alias to a channel, such as noc: C0123456789")
    entries = made.entries if made else ()
    return {
        word.text: _behind_an_alias(word, value, reading) or FixedChannel(source=word.text, ref=word.text)
        for word, value in entries
        if _may_be_an_alias(word, reading)
    }


def _may_be_an_alias(word: ScalarNode, reading: ParseContext) -> bool:
    if word.text and not word.text.startswith("#") and not _EXPRESSION.search(word.text):
        return True
    reading.add_fault(word, f"an alias is a plain word without #, found {describe(word)}")
    return False


def _behind_an_alias(word: ScalarNode, node: Node, reading: ParseContext) -> FixedChannel | None:
    written = read_word(node, reading)
    if written is None:
        return None
    if _is_channel_id(written):
        return FixedChannel(source=word.text, ref=written)
    if written.startswith("#") and not _EXPRESSION.search(written):
        return _name(node, word.text, written, reading)
    inside = _ID_INSIDE.search(written)
    hint = f"; write its id: {inside[0].upper()}" if inside else ""
    reading.add_fault(
        node, f"an alias stands for a channel's id (C... or G...) or its #name, found {describe(node)}{hint}"
    )
    return None


def channel(node: Node, known: Aliases, reading: ParseContext) -> RouteChannel | None:
    """Where a card goes: an alias, an id, `#name`, or an expression over the incident."""
    written = read_word(node, reading)
    if written is None:
        return None
    if written in known:
        return known[written]
    if _EXPRESSION.search(written):
        return _expression(node, written, reading)
    return read_fixed_channel(node, known, reading)


def read_fixed_channel(node: Node, known: Aliases, reading: ParseContext) -> FixedChannel | None:
    """A channel that depends on nothing."""
    written = read_word(node, reading)
    if written is None or written in known:
        return None if written is None else known[written]
    if _is_channel_id(written):
        return FixedChannel(source=written, ref=written)
    if written.startswith("#"):
        return _name(node, written, written, reading)
    reading.add_fault(node, f"the channel {describe(node)} is not known{_instead(written, known)}")
    return None


def _instead(written: str, known: Aliases) -> str:
    """What to write, as the end of a sentence."""
    if inside := _ID_INSIDE.search(written):
        return f"; write its id: {inside[0].upper()}"
    if near := suggestion(written, known, most=0):
        return near
    if written.startswith("@") or (written[:1] in "UWD" and _ID.fullmatch(written)):
        return "; a card goes to a channel, and people are named under mention"
    name = written.lower()
    named = f'; a name is written "#{name}"' if all(map(may_stand_in_a_name, name)) else "; an id begins with C or G"
    return suggestion(written, known) + named


def _name(node: Node, written: str, name: str, reading: ParseContext) -> FixedChannel | None:
    """A `#name`, in small letters as Slack has it."""
    bare = name[1:].lower()
    if _EXPRESSION.search(name):
        reading.add_fault(node, "this channel must not depend on the incident; name a fixed one")
    elif not 0 < len(bare) <= NAME_LENGTH or not all(map(may_stand_in_a_name, bare)):
        reading.add_fault(
            node,
            f"{describe(node)} cannot be a channel's name: Slack takes small letters, digits, - and _, "
            f"{NAME_LENGTH} at most",
        )
    else:
        return FixedChannel(source=written, ref=f"#{bare}")
    return None


def _expression(node: Node, written: str, reading: ParseContext) -> RouteChannel | None:
    try:
        return expression(written)
    except ValueError as error:
        reading.add_fault(node, str(error))
        return None


def _is_channel_id(written: str) -> bool:
    return written[:1] in "CG" and _ID.fullmatch(written) is not None


def user_group(node: Node, reading: ParseContext) -> str | None:
    """The id of a Slack user group."""
    written = read_word(node, reading)
    if written is None or (written.startswith("S") and _ID.fullmatch(written)):
        return written
    reading.add_fault(node, f"expected the id of a user group (S...), found {describe(node)}")
    return None


def mention(node: Node, reading: ParseContext) -> Mention:
    """Who is pinged, by state."""
    made = read_mapping(node, reading, "states to lists, such as critical: [S0123456789]")
    part = {}
    for word, value in made.entries if made else ():
        targets = list_of(read_target)(value, reading)
        if word.text not in _STATES:
            reading.add_fault(word, _no_state(word.text))
        elif targets is not None:
            part[word.text] = targets
    return Mention(parts=(part,) if part else ())


def _no_state(word: str) -> str:
    if word in _SILENT_STATES:
        return f"nobody is pinged when an incident is {word}; there are: {', '.join(_STATES)}"
    return f"'{word}' is not a state that pings{suggestion(word, _STATES)}"


def read_target(node: Node, reading: ParseContext) -> str | None:
    """Somebody to ping: a user group, a user, `here` or `channel`; Slack's own spelling of them is understood too."""
    written = read_word(node, reading)
    if written is None:
        return None
    bare = written.strip("<>@!").removeprefix("subteam^").partition("|")[0]
    if bare in ("here", "channel") or (bare[:1] in "SUW" and _ID.fullmatch(bare)):
        return bare
    reading.add_fault(node, f"{describe(node)} cannot be pinged: {_remedy(bare)}")
    return None


def _remedy(bare: str) -> str:
    if bare.casefold() in ("everyone", "all"):
        return "write 'channel' to ping all of a channel"
    if "@" in bare:
        return "an address is no target; write the user's id (U...), from their profile in Slack"
    return "expected the id of a user group (S...) or of a user (U... or W...), here, or channel"


def tag_values(node: Node, reading: ParseContext) -> dict[str, dict[str, str]]:
    """Tag (casefolded) to raw value to the word for it."""
    made = read_mapping(node, reading, "tags to their values, such as priority: {1000: P1}")
    words: dict[str, dict[str, str]] = {}
    for word, value in made.entries if made else ():
        if word.text.casefold() in words:
            reading.add_fault(word, f"'{word.text}' stands here twice, in other letters")
        words[word.text.casefold()] = _words(value, reading)
    return words


def _words(node: Node, reading: ParseContext) -> dict[str, str]:
    made = read_mapping(node, reading, "raw values to words, such as {1000: P1}")
    entries = made.entries if made else ()
    return {raw.text: read for raw, value in entries if (read := read_word(value, reading)) is not None}


def users(node: Node, reading: ParseContext) -> dict[str, str]:
    """E-mail address (casefolded) to BigPanda's id of that user."""
    made = read_mapping(node, reading, "e-mail addresses to BigPanda's user ids")
    read = {}
    for word, value in made.entries if isinstance(made, MappingNode) else ():
        if "@" not in word.text:
            reading.add_fault(word, f"expected an e-mail address, found {describe(word)}")
        if (user := read_word(value, reading)) is not None:
            read[word.text.casefold()] = user
    return read
