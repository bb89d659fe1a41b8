"""People in routes.yaml: Slack's ids of user groups and users, the aliases for them, `here` and `channel`."""

import re
from collections.abc import Mapping
from typing import Final

from relay.routes import json_schema
from relay.routes.json_schema import Schema
from relay.routes.key_types import SLACK_ID, KeyType
from relay.routes.yaml_reader.context import ParseContext, suggestion
from relay.routes.yaml_reader.nodes import Node
from relay.routes.yaml_reader.scalars import describe, read_entries, read_word

EVERYBODY: Final = ("here", "channel")
"""Targets that are no person: everybody in the channel, or everybody who is active there."""

_EVERYONE: Final = ("everyone", "all")
_AS_SLACK_WRITES_IT: Final = re.compile(r"[<!]*@?(?:subteam\^)?(?P<target>[^<>@|]*)(?:\|[^>]*)?>?")
_NO_ALIAS: Final = re.compile(r"[@<>{}|^]")


def _as_slack_writes(target: str) -> Schema:
    return json_schema.pattern(rf"^[<!]*@?(subteam\^)?({target})(\|[^>]*)?>?$")


_ALIAS: Final[Schema] = {**json_schema.WORD, "pattern": r"^(?!([Ee]veryone|[Aa]ll)$)[^@<>{}|^]+$"}
"""Any word: editors do not know which aliases exist, and leave that to relay."""

TARGET_SCHEMA: Final[Schema] = {
    "anyOf": [_as_slack_writes("here|channel|[SUW][A-Z0-9]+"), _ALIAS],
    "description": "an alias from people, a user group (S...), a user (U... or W...), here, or channel",
}
PERSON_SCHEMA: Final[Schema] = {
    **_as_slack_writes("[SUW][A-Z0-9]+"),
    "description": "a user group (S...), or a user (U... or W...)",
}


def read_people(node: Node, context: ParseContext) -> dict[str, str]:
    """Read `people`: alias to id. A faulty alias is kept, so that its uses are not faults too."""
    people = {}
    for alias, value in read_entries(node, context, "aliases to ids, such as payments-oncall: S0123456789"):
        name = alias.text
        if not name or _NO_ALIAS.search(name) or name.casefold() in (*EVERYBODY, *_EVERYONE) or _is_person(name):
            context.add_fault(alias, f"expected an alias such as payments-oncall, found {describe(alias)}")
        people[name] = _read_person(value, context) or name
    return people


def read_target(node: Node, context: ParseContext) -> str | None:
    """Read whom to ping: an alias, a user group, a user, `here` or `channel`, also as Slack writes them."""
    source = read_word(node, context)
    if source is None:
        return None
    target = _bare(source)
    if source in context.people or target in EVERYBODY or _is_person(target):
        return context.people.get(source, target)
    expected = (
        "expected an alias from people, the id of a user group (S...) or of a user (U... or W...), here, or channel"
    )
    if source.strip("@<!>").casefold() in _EVERYONE:
        expected = "write channel to ping everyone in the channel"
    context.add_fault(node, f"invalid target {describe(node)}; {_hint(source, context.people) or expected}")
    return None


def read_user_group(node: Node, context: ParseContext) -> str | None:
    """Read who may act: a user group, by an alias or its id."""
    source = read_word(node, context)
    if source is None:
        return None
    group = context.people.get(source, _bare(source))
    if (group.startswith("S") and _is_person(group)) or context.people.get(source) == source:  # a faulty alias
        return group
    expected = "expected an alias from people, or the id of a user group (S...)"
    hint = f"it is a user ({group})" if source in context.people else _hint(source, context.people)
    context.add_fault(node, f"{expected}, found {describe(node)}" + (f"; {hint}" if hint else ""))
    return None


def _read_person(node: Node, context: ParseContext) -> str | None:
    source = read_word(node, context)
    if source is None:
        return None
    person = _bare(source)
    if _is_person(person):
        return person
    hint = "; Slack shows it in the group's or person's details, under Copy group ID or Copy member ID"
    context.add_fault(
        node, f"expected the id of a user group (S...) or a user (U... or W...), found {describe(node)}{hint}"
    )
    return None


def _hint(source: str, people: Mapping[str, str]) -> str:
    """How to write what is no id and no alias."""
    name = source.strip("@")
    if source.startswith("@") and name in people:
        return f"write {name}, without @"
    if near := suggestion(name, people, most=0):
        return near.removeprefix("; ")
    if source.startswith("@"):
        return f"give this handle an alias at the top, people: {{{name}: S0123456789}}, and write {name} here"
    return "write the user's id (U...) from their Slack profile instead of an address" if "@" in source else ""


def _bare(source: str) -> str:
    """What Slack writes as `<@U1>`, `<!subteam^S1|@ops>` or `@here`, without its signs."""
    match = _AS_SLACK_WRITES_IT.fullmatch(source)
    return match["target"] if match else source


def _is_person(target: str) -> bool:
    return target[:1] in "SUW" and SLACK_ID.fullmatch(target) is not None


USER_GROUP: Final = KeyType("user groups", read_user_group, {"anyOf": [_as_slack_writes("S[A-Z0-9]+"), _ALIAS]})
