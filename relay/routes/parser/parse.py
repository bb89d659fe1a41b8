"""A text becomes a `Rulebook`, or every fault in it is told at once.

What is faulty is noted and left out, and reading goes on; a rulebook with a fault is never handed out.
"""

import hashlib
from collections.abc import Collection
from dataclasses import replace

from relay.model.errors import ConfigurationError
from relay.routes.options import Options
from relay.routes.parser import targets
from relay.routes.parser.context import ParseContext
from relay.routes.parser.keys import Place, check_keys
from relay.routes.parser.options import Settings, settings
from relay.routes.parser.scalars import describe, read_duration, read_key, read_mapping
from relay.routes.parser.tree import Tree
from relay.routes.parser.yaml_nodes import MappingNode, Node, ScalarNode
from relay.routes.parser.yaml_parser import parse_yaml
from relay.routes.rulebook import Fallback, Rulebook

VERSION = "1"


def parse_rulebook(text: str, *, file: str = "routes.yaml", templates: Collection[str] | None = None) -> Rulebook:
    """Read and check a routes.yaml.

    `file` is what faults are said to stand in. With `templates`, the folders that there are, a template that is none of
    them is a fault.

    Raises:
        ConfigurationError: with every fault, where it stands.
    """
    reading = ParseContext(file=file, templates=templates)
    root = parse_yaml(text, reading)
    top = root and read_mapping(root, reading, "keys, beginning with version: 1")
    rulebook = _rulebook(top, text, reading) if top else None
    if rulebook is None or reading.faults:
        raise ConfigurationError(reading.faults)
    return rulebook


def _rulebook(top: MappingNode, text: str, reading: ParseContext) -> Rulebook:
    check_keys(top, Place.TOP, reading)
    _version(top, reading)
    aliases: targets.Aliases = read_key(top, "channels", targets.aliases, reading, {})
    defaults: Settings = read_key(top, "defaults", _defaults, reading, {})
    options = Options(**defaults)
    fallback = top.get("fallback")
    return Rulebook(
        text=text,
        hash=hashlib.sha256(text.encode()).hexdigest(),
        channels=aliases,
        fallback=_fallback(fallback, aliases, options, reading) if fallback is not None else None,
        tag_values=read_key(top, "tag_values", targets.tag_values, reading, {}),
        users=read_key(top, "users", targets.users, reading, {}),
        defaults=options,
        routes=Tree(aliases, reading).siblings(top, defaults),
    )


def _version(top: MappingNode, reading: ParseContext) -> None:
    node = top.get("version")
    if node is None:
        reading.add_fault(top, "the version is missing; write version: 1")
    elif not isinstance(node, ScalarNode) or node.text != VERSION:
        reading.add_fault(node, f"this relay reads version 1, found {describe(node)}")


def _defaults(node: Node, reading: ParseContext) -> Settings:
    made = read_mapping(node, reading, "options, such as gather: 2m")
    if made is None:
        return {}
    check_keys(made, Place.DEFAULTS, reading)
    return settings(made, reading)


_FALLBACK_KEYS = ("channel", "wait")


def _fallback(node: Node, aliases: targets.Aliases, options: Options, reading: ParseContext) -> Fallback | None:
    """A channel, or `{channel, wait}`. It must be there whatever the incident is, so it depends on nothing."""
    wait = options.wait
    channel: Node | None = node
    if isinstance(node, MappingNode):
        for word, _ in node.entries:
            if word.text not in _FALLBACK_KEYS:
                reading.add_fault(
                    word, f"'{word.text}' does not stand in fallback; there are: {', '.join(_FALLBACK_KEYS)}"
                )
        wait = read_key(node, "wait", read_duration, reading, wait)
        channel = node.get("channel")
    if channel is None:
        reading.add_fault(node, "the fallback has no channel")
        return None
    fixed = targets.read_fixed_channel(channel, aliases, reading)
    if fixed is None:
        return None
    return Fallback(channel=fixed, wait=wait, options=replace(options, wait=wait))
