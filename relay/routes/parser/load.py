"""A text becomes a `Rulebook`, or every fault in it is told at once.

What is faulty is noted and left out, and reading goes on; a rulebook with a fault is never handed out.
"""

import hashlib
from collections.abc import Collection
from dataclasses import replace

from relay.model.errors import ConfigurationError
from relay.routes.options import Options
from relay.routes.parser import targets
from relay.routes.parser.faults import Reading
from relay.routes.parser.keys import Place, check_keys
from relay.routes.parser.options import Settings, settings
from relay.routes.parser.rulebook import Fallback, Rulebook
from relay.routes.parser.scalars import duration, found, standing, table
from relay.routes.parser.tree import Tree
from relay.routes.parser.yaml_nodes import Node, Table, Word
from relay.routes.parser.yaml_parser import compose

VERSION = "1"


def load(text: str, *, file: str = "routes.yaml", templates: Collection[str] | None = None) -> Rulebook:
    """Read and check a routes.yaml.

    `file` is what faults are said to stand in. With `templates`, the folders that there are, a template that is none of
    them is a fault.

    Raises:
        ConfigurationError: with every fault, where it stands.
    """
    reading = Reading(file=file, templates=templates)
    root = compose(text, reading)
    top = root and table(root, reading, "keys, beginning with version: 1")
    rulebook = _rulebook(top, text, reading) if top else None
    if rulebook is None or reading.faults:
        raise ConfigurationError(reading.faults)
    return rulebook


def _rulebook(top: Table, text: str, reading: Reading) -> Rulebook:
    check_keys(top, Place.TOP, reading)
    _version(top, reading)
    aliases: targets.Aliases = standing(top, "channels", targets.aliases, reading, {})
    defaults: Settings = standing(top, "defaults", _defaults, reading, {})
    options = Options(**defaults)
    fallback = top.get("fallback")
    return Rulebook(
        text=text,
        hash=hashlib.sha256(text.encode()).hexdigest(),
        channels=aliases,
        fallback=_fallback(fallback, aliases, options, reading) if fallback is not None else None,
        tag_values=standing(top, "tag_values", targets.tag_values, reading, {}),
        users=standing(top, "users", targets.users, reading, {}),
        defaults=options,
        routes=Tree(aliases, reading).siblings(top, defaults),
    )


def _version(top: Table, reading: Reading) -> None:
    node = top.get("version")
    if node is None:
        reading.fault(top, "the version is missing; write version: 1")
    elif not isinstance(node, Word) or node.text != VERSION:
        reading.fault(node, f"this relay reads version 1, found {found(node)}")


def _defaults(node: Node, reading: Reading) -> Settings:
    made = table(node, reading, "options, such as gather: 2m")
    if made is None:
        return {}
    check_keys(made, Place.DEFAULTS, reading)
    return settings(made, reading)


_FALLBACK_KEYS = ("channel", "wait")


def _fallback(node: Node, aliases: targets.Aliases, options: Options, reading: Reading) -> Fallback | None:
    """A channel, or `{channel, wait}`. It must be there whatever the incident is, so it depends on nothing."""
    wait = options.wait
    channel: Node | None = node
    if isinstance(node, Table):
        for word, _ in node.entries:
            if word.text not in _FALLBACK_KEYS:
                reading.fault(word, f"'{word.text}' does not stand in fallback; there are: {', '.join(_FALLBACK_KEYS)}")
        wait = standing(node, "wait", duration, reading, wait)
        channel = node.get("channel")
    if channel is None:
        reading.fault(node, "the fallback has no channel")
        return None
    fixed = targets.fixed(channel, aliases, reading)
    if fixed is None:
        return None
    return Fallback(channel=fixed, wait=wait, options=replace(options, wait=wait))
