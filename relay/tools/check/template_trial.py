"""Render templates for sample incidents, to find what fails only when rendered.

Two incidents go through every kind of update: the full documented sample, and one of which BigPanda sends only the
state. What fails for the first fails for most incidents. What fails for the second alone fails rarely. A missing
value may be one of the operator's own tags, so it is only a warning.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.errors import ConfigurationError, Fault
from relay.rendering.library import CARD, DEFAULT_FOLDER
from relay.rendering.request import TemplateFailure
from relay.samples import read_sample
from relay.slack.interactions import ACTION_PREFIX
from relay.tools.simulate import Simulation, simulate

Body = dict[str, Any]

_START: Final = 1_700_000_000
_INTERVAL: Final = 600
"""Seconds between two shares: long enough that each has its own entry."""
_ROUTES: Final = """\
version: 1
fallback: "#nowhere"
defaults: {actions: [assign], template: FOLDER}
routes: [{name: trial, match: {environment: {not: "-"}}, post: ["#trial"]}]
"""


def trial(sources: Mapping[str, str]) -> Iterator[Fault]:
    """Find what fails when these templates are rendered; `sources` are valid templates by name (`folder/file.j2`)."""
    full, bare = dict(_failures(sources, full_shares())), dict(_failures(sources, bare_shares()))
    failures = {**bare, **full}
    for (file, line), failure in sorted(failures.items()):
        sample_name = "the full sample incident" if (file, line) in full else "an incident with few details"
        if line:
            certain = (file, line) in full and not failure.absent_value
            message = f"this fails when rendered with {sample_name}: {failure.message}"
            yield Fault(file=file, line=line, column=1, message=message, warning=not certain)
        elif not any(other == file and at for other, at in failures):
            message = f"with {sample_name}: {failure.message}; relay would use its built-in template instead"
            yield Fault(file=file, message=message, warning=True)


def without_buttons(sources: Mapping[str, str], folders: Iterable[str]) -> Iterator[Fault]:
    """Find the folders whose cards never have a place for relay's buttons."""
    button = f"{ACTION_PREFIX}assign".encode()
    for folder in sorted(folders):
        if f"{folder}/{CARD}.j2" not in sources:
            continue
        cards = (card for simulation in _simulations(sources, folder, full_shares()) for card in simulation.cards)
        messages = (sent.rendered.message for card in cards for sent in (card.first, card.root) if sent)
        if not any(button in orjson.dumps(message.payload()) for message in messages):
            message = "a route has actions, but this card has no {% relay_actions %} inside {% actions %}"
            yield Fault(file=f"{folder}/{CARD}.j2", message=message, warning=True)


def _failures(sources: Mapping[str, str], shares: Sequence[Share]) -> Iterator[tuple[tuple[str, int], TemplateFailure]]:
    """Each failure of the operator's own files, by file and line."""
    for folder in sorted({name.partition("/")[0] for name in sources}):
        for simulation in _simulations(sources, folder, shares):
            for card in simulation.cards:
                for sent in (card.first, card.root, *card.replies):
                    failures = sent.rendered.failures if sent else ()
                    yield from (((each.file, each.line), each) for each in failures if each.file in sources)


def _simulations(sources: Mapping[str, str], folder: str, shares: Sequence[Share]) -> Iterable[Simulation]:
    try:
        same_templates = _configuration(tuple(sources.items()))
        return simulate(build_configuration(_files(sources, folder), same_templates), shares).values()
    except ConfigurationError:  # no route can name this folder, so relay never renders it
        return ()


@lru_cache(maxsize=1)
def _configuration(sources: tuple[tuple[str, str], ...]) -> Configuration:
    """A configuration with these templates, so that they are compiled and checked once for all simulations."""
    return build_configuration(_files(dict(sources), DEFAULT_FOLDER))


def _files(sources: Mapping[str, str], folder: str) -> ConfigurationFiles:
    return ConfigurationFiles(
        routes_file="routes.yaml",
        routes_text=_ROUTES.replace("FOLDER", f'"{folder}"'),
        templates=dict(sources),
        has_templates_folder=True,
    )


# --- sample shares ---


def full_shares() -> list[Share]:
    """An incident with every detail, through every kind of update."""
    body: Body = orjson.loads(read_sample("documented"))
    one, related = body["incident"]["alerts"][0], {"relatedChanges": body.pop("relatedChanges")}
    tags = [*body["incidentTags"], {"id": "team", "value": "billing"}]
    ann = {"assignee": {"name": "Ann Lee"}, "assigner": {"name": "Bo"}}
    return _shares(
        {"id": "full", **body["incident"], "active": True, "resolved": False},
        [
            ({"status": "Warning", "severity": "Warning"}, body),
            ({"status": "Critical", "severity": "Critical"}, {}),
            (
                {},
                {
                    "metadata": {**body["metadata"], **ann, "comment": "restarted"},
                    "event_types": ["incident#commented"],
                },
            ),
            ({"alerts": [*body["incident"]["alerts"], {**one, "id": "another"}]}, {"incidentTags": tags}),
            ({"snooze": {"snoozed": True, "wake": _START + 90_000, "autoCancel": True}}, {}),
            ({"snooze": {"snoozed": False}}, {"incidentTags": tags[1:]}),
            ({}, related),
            ({}, {"event_types": ["incident#escalated"]}),
            *_ENDS,
        ],
    )


def bare_shares() -> list[Share]:
    """An incident with nothing but its state."""
    states: list[tuple[Body, Body]] = [({"status": status}, {}) for status in ("Warning", "Critical", "Warning")]
    return _shares({"id": "bare"}, [*states, *_ENDS])


def extreme_shares() -> list[Share]:
    """An incident with more and longer values than relay shows, through a rise, an assignment and its end."""
    long = "<!channel> & *x* `y` 🚨 " * 200
    alert = {
        "status": "Critical",
        "condition_name": long,
        "description": long,
        "primary_property": "host",
        "host": long,
    }
    short = {**alert, "condition_name": "check", "description": "lag", "host": "db"}
    alerts = [{**each, "id": f"a{number}"} for number, each in enumerate([alert] * 20 + [short] * 180)]
    tags = [{"id": f"tag{number} {long[:200]}", "value": long} for number in range(40)]
    ann = {"assignee": {"name": long}, "comment": long}
    return _shares(
        {"id": "extreme", "alerts": alerts, "active": True, "resolved": False},
        [
            ({"status": "Warning"}, {"incidentTags": tags, "metadata": {"environment": long}}),
            ({"status": "Critical"}, {"metadata": ann, "event_types": ["incident#commented"]}),
            *_ENDS,
        ],
    )


_RESOLVED: Final[Body] = {"status": "Ok", "active": False, "resolved": True}
_REOPENED: Final[Body] = {"status": "Critical", "active": True, "resolved": False}
_ENDS: Final[Sequence[tuple[Body, Body]]] = [(_RESOLVED, {}), (_REOPENED, {}), (_RESOLVED, {})]


def _shares(incident: Body, steps: Sequence[tuple[Body, Body]]) -> list[Share]:
    """One share for each step: what changes inside `incident`, and what changes beside it."""
    shares, beside = [], Body()
    for number, (changes, more) in enumerate(steps):
        at = _START + number * _INTERVAL
        incident = {**incident, **changes, "changedOn": at}
        beside = {**{name: value for name, value in beside.items() if name != "event_types"}, **more}
        shares.append(parse_share(orjson.dumps({**beside, "incident": incident}), {}, float(at)))
    return shares
