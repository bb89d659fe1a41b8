"""Channels in routes.yaml (aliases, ids, `#name`, expressions), and mentions."""

import re
from collections.abc import Mapping
from typing import Final

from relay.model.incident import State
from relay.routes import json_schema
from relay.routes.channel_template import (
    NAME_LENGTH,
    FixedChannel,
    RouteChannel,
    check_glob,
    is_name_character,
    parse_expression,
)
from relay.routes.json_schema import Schema
from relay.routes.key_types import SLACK_ID, KeyType
from relay.routes.mention import MENTION_KEYS, Mention
from relay.routes.parts import Parts, known_parts, parts, parts_schema
from relay.routes.people import read_target
from relay.routes.storm import STORM, Storm
from relay.routes.yaml_reader.context import ParseContext, suggestion
from relay.routes.yaml_reader.nodes import MappingNode, Node, ScalarNode
from relay.routes.yaml_reader.scalars import describe, list_of, read_entries, read_word

_ID_INSIDE = re.compile(r"(?<=/archives/)[CG][A-Z0-9]{8,}|(?<=<#)[CG][A-Z0-9]{8,}|^[cg](?=[a-z]*[0-9])[a-z0-9]{8,}$")
"""An id in a link or a reference copied from Slack, or an id in lower case."""
_EXPRESSION = re.compile(r"\{[{%#]")
_SILENT_STATES = (State.ACKNOWLEDGED, State.RESOLVED)


_CHANNEL_ID: Final[Schema] = {
    **json_schema.pattern(r"^((?=.*[0-9]|.{9})[CG][A-Z0-9]+|#\S+)$"),
    "description": "a channel's id (C... or G..., it survives a rename), or its #name",
}
CHANNEL_PARTS: Final[Parts] = parts(
    ("id", KeyType("channel", read_word, _CHANNEL_ID), "", "the channel's id, or its `#name`"),
    ("storm", STORM, Storm(), "what a storm is in this channel, as `storm` at the top"),
)
"""The keys of the long form of an alias of a channel."""
CHANNELS_SCHEMA: Final[Schema] = json_schema.mapping({"anyOf": [_CHANNEL_ID, parts_schema(CHANNEL_PARTS, "id")]})


def read_aliases(node: Node, context: ParseContext) -> dict[str, FixedChannel]:
    """Read `channels`: alias to id or `#name`. A faulty alias is kept, so that its uses are not faults too."""
    aliases = {}
    for alias, value in read_entries(node, context, "aliases to channels, such as noc: C0123456789"):
        if not alias.text or alias.text.startswith("#") or _EXPRESSION.search(alias.text):
            context.add_fault(alias, f"expected an alias without # or {{{{ }}}}, found {describe(alias)}")
            continue
        channel = _aliased_channel(alias, _channel_id(value, context), context)
        aliases[alias.text] = channel or FixedChannel(source=alias.text, ref=alias.text)
    return aliases


def read_channel_storms(node: Node | None, context: ParseContext) -> dict[str, Storm]:
    """Read what `channels` says about storms: the channel's ref to its storm."""
    storms: dict[str, Storm] = {}
    for alias, value in node.entries if isinstance(node, MappingNode) else ():
        written = isinstance(value, MappingNode) and value.get("storm")
        storm = STORM.read(written, context) if written else None
        if storm is not None and alias.text in context.channels:
            ref = context.channels[alias.text].ref
            if storms.setdefault(ref, storm) != storm:
                context.add_fault(alias, "another alias of this channel has other storm settings")
    return storms


def _channel_id(node: Node, context: ParseContext) -> Node:
    """The node of the id, in the long form too."""
    if not isinstance(node, MappingNode):
        return node
    node = known_parts(node, CHANNEL_PARTS, "channel", context)
    if (written := node.get("id")) is None:
        context.add_fault(node, "missing key 'id' in channel; write {id: C0123456789}")
        context.ignore(node)
    return written or node


def _aliased_channel(alias: ScalarNode, node: Node, context: ParseContext) -> FixedChannel | None:
    source = read_word(node, context)
    if source is None:
        return None
    if _is_channel_id(source):
        return FixedChannel(source=alias.text, ref=source)
    if source.startswith("#") and not _EXPRESSION.search(source):
        return _named_channel(node, alias.text, source, context)
    inside = _ID_INSIDE.search(source)
    hint = f"; write {inside[0].upper()}" if inside else ""
    context.add_fault(node, f"expected a channel id (C... or G...) or a #name, found {describe(node)}{hint}")
    return None


def read_channel_glob(node: Node, context: ParseContext) -> str | None:
    """Read a glob of names that may be made from an incident."""
    glob = read_word(node, context)
    try:
        return glob and check_glob(glob)
    except ValueError as error:
        context.add_fault(node, f"invalid glob {describe(node)}; {error}")
        return None


def read_channel(node: Node, context: ParseContext) -> RouteChannel | None:
    """Read where a card goes: an alias, an id, `#name`, or an expression over the incident."""
    source = node.text if isinstance(node, ScalarNode) else ""
    if source in context.channels or not _EXPRESSION.search(source):
        return read_fixed_channel(node, context)
    try:
        return parse_expression(source, context.channels_allowed)
    except ValueError as error:
        context.add_fault(node, str(error))
        return None


def read_fixed_channel(node: Node, context: ParseContext) -> FixedChannel | None:
    """Read a channel that does not depend on the incident."""
    source = read_word(node, context)
    if source is None or source in context.channels:
        return None if source is None else context.channels[source]
    if _is_channel_id(source):
        return FixedChannel(source=source, ref=source)
    if source.startswith("#"):
        return _named_channel(node, source, source, context)
    context.add_fault(node, f"unknown channel {describe(node)}{_channel_hint(source, context.channels)}")
    return None


def _channel_hint(source: str, known: Mapping[str, FixedChannel]) -> str:
    if inside := _ID_INSIDE.search(source):
        return f"; write {inside[0].upper()}"
    if near := suggestion(source, known, most=0):
        return near
    if source.startswith("@") or (source[:1] in "UWD" and SLACK_ID.fullmatch(source)):
        return "; cards go to channels; to ping people, use mention"
    name = source.lower()
    form = f'; write a name as "#{name}"' if all(map(is_name_character, name)) else "; an id begins with C or G"
    return suggestion(source, known) + form


def _named_channel(node: Node, source: str, name: str, context: ParseContext) -> FixedChannel | None:
    """Check a `#name`; Slack has names in lower case only."""
    bare = name[1:].lower()
    if _EXPRESSION.search(name):
        context.add_fault(node, f"expected a fixed channel, found {describe(node)}, which depends on the incident")
    elif not 0 < len(bare) <= NAME_LENGTH or not all(map(is_name_character, bare)):
        allowed = f"lower-case letters, digits, - and _, at most {NAME_LENGTH}"
        context.add_fault(node, f"invalid channel name {describe(node)}; Slack allows {allowed}")
    else:
        return FixedChannel(source=source, ref=f"#{bare}")
    return None


def _is_channel_id(source: str) -> bool:
    return source[:1] in "CG" and SLACK_ID.fullmatch(source) is not None


def read_mention(node: Node, context: ParseContext) -> Mention:
    """Read who is pinged, by state."""
    part = {}
    for key, value in read_entries(node, context, "states to lists, such as critical: [S0123456789]"):
        targets = list_of(read_target)(value, context)
        if key.text in _SILENT_STATES:
            choices = ", ".join(MENTION_KEYS)
            context.add_fault(key, f"relay never pings for a {key.text} incident; expected one of: {choices}")
        elif key.text not in MENTION_KEYS:
            context.add_fault(key, f"unknown key '{key.text}' in mention{suggestion(key.text, MENTION_KEYS)}")
        elif targets is not None:
            part[key.text] = targets
    return Mention.of(part)


def mention_as_yaml(mention: Mention) -> str:
    """A mention of one route as the file writes it."""
    targets = (f"{key}: [{', '.join(each)}]" for part in mention.parts for key, each in part.targets.items())
    return "{" + ", ".join(targets) + "}"


def read_tag_values(node: Node, context: ParseContext) -> dict[str, dict[str, str]]:
    """Read `tag_values`: tag (casefolded) to raw value to the word for it."""
    words: dict[str, dict[str, str]] = {}
    for tag, value in read_entries(node, context, "tags to their values, such as priority: {1000: P1}"):
        if tag.text.casefold() in words:
            context.add_fault(tag, f"duplicate tag '{tag.text}'; the case of a tag makes no difference")
        entries = read_entries(value, context, "raw values to words, such as {1000: P1}")
        words[tag.text.casefold()] = {
            raw.text: word for raw, text in entries if (word := read_word(text, context)) is not None
        }
    return words


def read_users(node: Node, context: ParseContext) -> dict[str, str]:
    """Read `users`: e-mail address (casefolded) to the user's id in BigPanda."""
    users = {}
    for address, value in read_entries(node, context, "e-mail addresses to BigPanda user ids"):
        if "@" not in address.text:
            context.add_fault(address, f"expected an e-mail address, found {describe(address)}")
        if (user := read_word(value, context)) is not None:
            users[address.text.casefold()] = user
    return users


FIXED_CHANNEL: Final[KeyType[FixedChannel]] = KeyType(
    "channel",
    read_fixed_channel,
    json_schema.ref("channel"),
    as_yaml=lambda channel: channel.source,
    as_json=lambda channel: {"source": channel.source, "ref": channel.ref},
    from_json=lambda stored: FixedChannel(source=stored["source"], ref=stored["ref"]),
)
MENTION: Final[KeyType[Mention]] = KeyType(
    "mention",
    read_mention,
    json_schema.closed_object(
        {
            key: {**json_schema.array(json_schema.ref("target")), "description": when}
            for key, when in MENTION_KEYS.items()
        }
    ),
    as_yaml=mention_as_yaml,
    as_json=Mention.as_json,
    from_json=Mention.from_json,
)
