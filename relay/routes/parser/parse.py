"""Parse routes.yaml into a `Rulebook`, or report every fault in it at once.

The parser adds faults to a context, leaves the faulty part out, and reads on. A rulebook with a fault is never
returned.
"""

import hashlib
from collections.abc import Collection
from dataclasses import replace

from relay.model.errors import ConfigurationError
from relay.routes.key_types import Place
from relay.routes.options import Options
from relay.routes.parser.keys import CHANNELS, DEFAULTS, TAG_VALUES, USERS, check_keys
from relay.routes.parser.targets import Aliases, read_fixed_channel
from relay.routes.parser.tree import RouteParser
from relay.routes.rulebook import Fallback, Rulebook
from relay.routes.yaml_reader.context import ParseContext
from relay.routes.yaml_reader.nodes import MappingNode, Node, ScalarNode
from relay.routes.yaml_reader.parse import parse_yaml
from relay.routes.yaml_reader.scalars import describe, read_duration, read_key, read_mapping

VERSION = "1"
_FALLBACK_KEYS = ("channel", "wait")


def parse_rulebook(text: str, *, file: str = "routes.yaml", templates: Collection[str] | None = None) -> Rulebook:
    """Parse and check a routes.yaml.

    Faults name `file`. If `templates`, the known template folders, are given, any other template is a fault.

    Raises:
        ConfigurationError: every fault, with its place.
    """
    context = ParseContext(file=file, templates=templates)
    root = parse_yaml(text, context)
    top = root and read_mapping(root, context, "keys, beginning with version: 1")
    rulebook = _rulebook(top, text, context) if top else None
    if rulebook is None or context.faults:
        raise ConfigurationError(context.faults)
    return rulebook


def _rulebook(top: MappingNode, text: str, context: ParseContext) -> Rulebook:
    check_keys(top, Place.TOP, context)
    _check_version(top, context)
    aliases = CHANNELS.read(top, context)
    defaults = DEFAULTS.read(top, context)
    options = Options(**defaults)
    fallback = top.get("fallback")
    return Rulebook(
        text=text,
        hash=hashlib.sha256(text.encode()).hexdigest(),
        channels=aliases,
        fallback=_fallback(fallback, aliases, options, context) if fallback is not None else None,
        tag_values=TAG_VALUES.read(top, context),
        users=USERS.read(top, context),
        defaults=options,
        routes=RouteParser(aliases, context).routes(top, defaults),
    )


def _check_version(top: MappingNode, context: ParseContext) -> None:
    node = top.get("version")
    if node is None:
        context.add_fault(top, "missing key 'version'; write version: 1")
    elif not isinstance(node, ScalarNode) or node.text != VERSION:
        context.add_fault(node, f"expected version {VERSION}, found {describe(node)}")


def _fallback(node: Node, aliases: Aliases, options: Options, context: ParseContext) -> Fallback | None:
    """Read a channel, or `{channel, wait}`. Every incident must be able to go there: it must be a fixed channel."""
    wait = options.wait
    channel: Node | None = node
    if isinstance(node, MappingNode):
        for key, _ in node.entries:
            if key.text not in _FALLBACK_KEYS:
                choice = ", ".join(_FALLBACK_KEYS)
                context.add_fault(key, f"unknown key '{key.text}' in fallback; expected one of: {choice}")
        wait = read_key(node, "wait", read_duration, context, wait)
        channel = node.get("channel")
    if channel is None:
        context.add_fault(node, "missing key 'channel' in fallback; write {channel: noc, wait: 3m}")
        return None
    fixed = read_fixed_channel(channel, aliases, context)
    if fixed is None:
        return None
    return Fallback(channel=fixed, wait=wait, options=replace(options, wait=wait))
