"""Turns an exception of a running template into its place and a sentence for the author of the template."""

import re
from collections.abc import Mapping
from types import TracebackType
from typing import Final

from jinja2 import Template, TemplateNotFound, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import FilterArgumentError, SecurityError

from relay.rendering.request import TemplateFailure

_LONGEST: Final = 300

_ABSENT: Final = (
    '"{name}" has no value here, and the template calls it or calculates with it;'
    " put {{% if %}} around it, or write | default(...) behind it"
)
_CONVERT: Final = "convert one of them with | int or | string"
_SENTENCES: Final[Mapping[str, str]] = {
    r"'(?P<name>[^']+)' is undefined": _ABSENT,
    r".* has no (?:attribute|element) '?(?P<name>[^']+?)'?": _ABSENT,
    r"(?:.* )?(?:division|modulo) by zero": ("division by zero; check the divisor with {{% if %}} first"),
    r"'(?P<sign>\S+)' not supported between instances of '(?P<type_a>\S+)' and '(?P<type_b>\S+)'": (
        f'"{{sign}}" cannot compare {{type_a}} with {{type_b}}; {_CONVERT}'
    ),
    r"unsupported operand type\(s\) for (?P<sign>.+): '(?P<type_a>\S+)' and '(?P<type_b>\S+)'": (
        f'"{{sign}}" does not work between {{type_a}} and {{type_b}}; {_CONVERT}, or join texts with ~'
    ),
    r'can only concatenate (?P<type_a>\S+) \(not "(?P<type_b>\S+)"\) to \S+': (
        f'"+" does not work between {{type_a}} and {{type_b}}; {_CONVERT}, or join texts with ~'
    ),
    r"'(?P<type_a>\S+)' object is not iterable": "{type_a} cannot be listed or looped over",
    r"'(?P<type_a>\S+)' object is not callable": "{type_a} cannot be called; leave out the brackets behind it",
    r"object of type '(?P<type_a>\S+)' has no len\(\)": "{type_a} has no length",
    r"(?:cannot use '.+' as a .+ \()?unhashable type: '(?P<type_a>\S+)'\)?": "{type_a} cannot be a key or be looked up",
    r"(?:\w+\.)*_*(?P<name>\w+)\(\) (?:missing|takes|got) .*": '"{name}" got too many, too few or unknown arguments',
    r"access to attribute '(?P<name>\w+)' of .* is unsafe\.": '"{name}" is not available to templates',
    r".* is not safely callable": "the template calls something that is not available to templates",
    r"maximum recursion depth exceeded.*": "the template nests too deeply, or calls itself without end",
    r"argument of type '(?P<type_a>\S+)' is not (?:a container or )?iterable": "{type_a} cannot be searched",
    r"not enough arguments for format string.*": "the format has more % signs than values",
    r"not all arguments converted during string formatting.*": "the format has fewer % signs than values",
    r"(?:format argument: )?(?P<sign>%\S+) (?:format:|requires) .*": '"{sign}" in the format needs a number',
    r"(?:unsupported format|incomplete format|stray %).*": "after % write s, d or f; for a % sign write %%",
    r"No (?P<kind>filter|test) named '(?P<name>\w+)'.*": 'unknown {kind} "{name}"',
    r"(?:not enough|too many) values to unpack.*": "a list item has more or fewer parts than the loop has names",
    r"bad operand type for unary (?P<sign>.): '(?P<type_a>\S+)'": '"{sign}" does not work with {type_a}',
    r"'(?P<type_a>\S+)' object is not subscriptable": "{type_a} has no parts",
    r"could not convert string to float: .*|invalid literal for .*": "the text is not a number",
}
"""What the message of an exception looks like, in Python 3.11 to 3.15 -> what to say instead."""

_TYPES: Final[Mapping[str, str]] = {
    "str": "a text",
    "AnnotatedText": "a text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "NoneType": "an absent value",
    "AbsentValue": "an absent value",
    "list": "a list",
    "tuple": "a list",
    "AlertList": "a list of alerts",
    "Alerts": "a list of alerts",
    "dict": "a mapping",
    "Item": "a record",
    "Tags": "the tags",
    "AlertTags": "the tags",
}


def failure_of(error: Exception) -> TemplateFailure:
    """Say where in which template it happened, and why, in words without Python."""
    if isinstance(error, TemplateSyntaxError):
        return TemplateFailure(file=error.name or "", line=error.lineno, message=error.message or "")
    file, line = _place(error.__traceback__)
    absent = isinstance(error, UndefinedError)
    return TemplateFailure(file=file, line=line, message=_sentence(error)[:_LONGEST], absent_value=absent)


def _sentence(error: Exception) -> str:
    if isinstance(error, TemplateNotFound):
        return f'there is no template "{error.message}"'
    if isinstance(error, KeyError):
        return f'there is no "{error.args[0] if error.args else ""}"'
    text = str(error) or "an expression failed"
    for pattern, sentence in _SENTENCES.items():
        if found := re.fullmatch(pattern, text, re.DOTALL):
            words = found.groupdict()
            types = {name: _TYPES.get(words[name].rpartition(".")[2], "this value") for name in words if "type" in name}
            return sentence.format(**{**words, **types})
    if isinstance(error, SecurityError) or type(error).__module__.partition(".")[0] == "relay":
        return text
    if isinstance(error, FilterArgumentError):
        return "a filter got arguments that it does not accept"
    return "a filter, method, test or operator got a value that it cannot use; check the types of its values"


def _place(traceback: TracebackType | None) -> tuple[str, int]:
    """The deepest place in a template that the traceback passes through."""
    place = ("", 0)
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if isinstance(template, Template):
            place = (template.filename or template.name or "", template.get_corresponding_lineno(traceback.tb_lineno))
        traceback = traceback.tb_next
    return place
