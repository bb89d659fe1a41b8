"""YAML as editors read it before they check the schema: version 1.2, where `no` is text and keys are text."""

import re
from typing import Any, cast

import yaml


class _Loader(yaml.SafeLoader):
    """The core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), and merge keys."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  PyYAML's own convention


_CORE = {
    "null": (r"null|Null|NULL|~|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+", list("-+0123456789")),
    "float": (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    "merge": (r"<<", ["<"]),
}
for _kind, (_pattern, _first) in _CORE.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), _first)
_Loader.add_constructor(
    "tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(cast("yaml.ScalarNode", node)))
)
_Loader.add_constructor(
    "tag:yaml.org,2002:float", lambda loader, node: float(loader.construct_scalar(cast("yaml.ScalarNode", node)))
)


def read(text: str) -> Any:
    """Return the JSON that an editor checks; raises `yaml.YAMLError`."""
    return _with_text_keys(yaml.load(text, Loader=_Loader))


def _with_text_keys(value: Any) -> Any:
    match value:
        case dict():
            return {str(key): _with_text_keys(part) for key, part in value.items()}
        case list():
            return [_with_text_keys(part) for part in value]
        case _:
            return value
