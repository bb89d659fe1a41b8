"""What to write instead of the tags of other template languages, and of Python and JavaScript, in a template."""

import re
from collections.abc import Mapping
from typing import Final

_GO: Final = "this is a Go template; relay's templates are Jinja: write "
_ADVICE: Final[Mapping[str, str]] = {
    r"\{\{-?\s*[.$]?\.?(?:Common|Group)?[Ll]abels\.(\w+).*": _GO + "{{{{ tags.{0} }}}}",
    r"\{\{-?\s*[.$]?\.?(?:Common)?[Aa]nnotations\.(\w+).*": _GO + "{{{{ tags.{0} }}}}, or the description of an alert",
    r"\{\{-?\s*\.(?:ExternalURL|GeneratorURL)\b.*": _GO + "{{{{ links.landing_page }}}}",
    r"\{\{-?\s*\.(?:Status|State)\b.*": _GO + "{{{{ incident.state }}}}",
    r"\{\{-?\s*(?:range|with)\b.*": _GO + "{{% for alert in incident.alerts.worst %}} ... {{% endfor %}}",
    r"\{\{-?\s*if\b.*": _GO + "{{% if ... %}} ... {{% endif %}}",
    r"\{\{-?\s*else\s+if\b.*": _GO + "{{% elif ... %}}",
    r"\{\{-?\s*(?:template|define|block|include)\b.*": _GO + '{{% include "file.j2" %}}',
    r"\{\{-?\s*[.$].*": _GO + "{{{{ incident.title }}}}, {{{{ tags.team }}}} and so on",
    r"\{\{\s*[#/^].*": "this is a Handlebars template; write {{% if ... %}}, {{% for ... %}} and their ends",
    r"\{\{\{.*": "write two braces: {{{{ ... }}}}; nothing has to be escaped",
    r"\{%-?\s*(?:else\s+if|elseif|elsif)\b.*": "write {{% elif ... %}}",
    r".*&&.*": "&& is not Jinja; write and",
    r".*\|\|.*": "|| is not Jinja; write or",
    r".*(?:===|!==).*": "write == or !=",
    r".*(?:\+\+|\+=|-=).*": "write {{% set x = x + 1 %}}; in a loop use loop.index",
    r".*[^=!<>\s]\s*\?[^?:]+:.*": 'write "yes" if condition else "no"',
    r".*[\s(]!\s*\w.*": "! is not Jinja; write not",
    r"\{%.*\bthen\s*-?%\}": "leave out then",
    r".*\bf[\"'].*": 'f"..." is Python; join texts with ~',
    r".*[\[(].*\bfor\b.*\bin\b.*": "this is Python; write {{% for ... %}}, or the filters map and select",
    r".*\blambda\b.*": "this is Python; write the filters map and select",
}
"""A faulty tag -> the whole message; its braces are doubled, as `str.format` needs them."""


_LONGEST_TAG: Final = 500
"""Characters of a tag that is compared: the patterns read a long tag again and again."""


def foreign_advice(tag: str) -> str:
    """What to write instead of a tag that does not parse; empty if nothing is known."""
    if len(tag) > _LONGEST_TAG:
        return ""
    for pattern, advice in _ADVICE.items():
        if found := re.fullmatch(pattern, tag, re.DOTALL):
            return advice.format(*found.groups())
    return ""


FOREIGN_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("end", "else", "range", "with"), "this is Go; write {% if %}, {% for %} and their ends"),
    **dict.fromkeys(("labels", "commonLabels", "groupLabels", "CommonLabels", "tag"), "write tags.NAME"),
    **dict.fromkeys(("annotations", "commonAnnotations"), "write tags.NAME, or the description of an alert"),
    **dict.fromkeys(("externalURL", "generatorURL", "url", "link"), "write links.landing_page"),
    "receiver": "write route",
    "startsAt": "write incident.started",
    "endsAt": "write incident.ended",
    "description": "write alert.description in {% for alert in incident.alerts.worst %}",
    "host": "write tags.host, or alert.tags.host in a loop over alerts",
    "owner": "write incident.assignee",
    "len": "write ... | length",
    **{name: f"write ... | {name}" for name in ("int", "float", "list", "max", "min", "sum", "abs", "round")},
    "str": "write ... | string",
    "sorted": "write ... | sort",
    "reversed": "write ... | reverse",
    **dict.fromkeys(("print", "echo"), "write {{ ... }}"),
    **dict.fromkeys(("null", "nil", "undefined"), "write none, or: is defined"),
    **dict.fromkeys(("datetime", "time", "today"), "write a Slack date: {{ incident.started | slack_time }}"),
}
"""Names of other languages and tools -> what to write."""

FOREIGN_ATTRIBUTES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("status", "state"), "state"),
    **dict.fromkeys(("name", "summary", "message", "headline", "subject"), "title"),
    **dict.fromkeys(("owner", "assigned_to"), "assignee"),
    **dict.fromkeys(("created", "start", "startsAt", "start_time", "created_at", "opened"), "started"),
    **dict.fromkeys(("resolved_at", "end", "endsAt", "end_time", "closed"), "ended"),
    **dict.fromkeys(("labels", "annotations"), "tags"),
    **dict.fromkeys(("run_book", "runbook_url"), "runbook"),
    **dict.fromkeys(("certain", "match"), "certainty"),
}
"""Attributes that people expect -> the one that holds it, where the value has that."""

FOREIGN_PATHS: Final[Mapping[tuple[str, str], str]] = {
    ('"incident"', "tags"): "write tags",
    ('"incident"', "labels"): "write tags",
    ('"incident"', "environment"): "write environment",
    ('"incident"', "priority"): "write tags.priority",
    ('"incident"', "description"): "write alert.description in {% for alert in incident.alerts.worst %}",
    **{('"incident"', name): "write links.landing_page" for name in ("url", "link", "links", "permalink")},
    ("an alert", "host"): "write alert.tags.host",
    ("an alert", "severity"): "write alert.state",
}
"""Attributes whose value is elsewhere -> what to write."""
