"""Templates run on sample incidents, to find what fails only while it runs.

Two incidents live through everything that can happen to one: the documented sample, of which all is known, and one of
which BigPanda tells its state alone. Whatever fails for the first fails for most; what fails for the second alone will
fail one night. A value that is missing may be one of the operator's own tags, and is no more than a warning.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.errors import ConfigurationError, Fault
from relay.rendering.library import CARD
from relay.rendering.request import RenderedMessage, TemplateFailure
from relay.samples import read_sample
from relay.slack.interactions import ACTION_PREFIX
from relay.tools.simulate import Simulation, simulate

Body = dict[str, Any]

_START: Final = 1_700_000_000
_APART: Final = 600
"""Seconds between two shares: each is told for itself."""
_ROUTES: Final = """\
version: 1
fallback: "#nowhere"
defaults: {actions: [assign], template: FOLDER}
routes: [{name: trial, match: {environment: {not: "-"}}, post: ["#trial"]}]
"""


def trial(sources: Mapping[str, str]) -> Iterator[Fault]:
    """What fails in these templates, `folder/file.j2` to source; none of them has a fault that can be seen."""
    full, bare = dict(_failures(sources, _full())), dict(_failures(sources, _bare()))
    found = {**bare, **full}
    for (file, line), failure in sorted(found.items()):
        whom = "an incident of which all is known" if (file, line) in full else "an incident of which little is known"
        if line:
            surely = (file, line) in full and not failure.absent_value
            message = f"this fails while it runs, for {whom}: {failure.message}"
            yield Fault(file=file, line=line, column=1, message=message, warning=not surely)
        elif not any(other == file and at for other, at in found):
            message = f"for {whom} {failure.message}, so that relay's own wording stands in"
            yield Fault(file=file, message=message, warning=True)


def without_buttons(sources: Mapping[str, str], folders: Iterable[str]) -> Iterator[Fault]:
    """Which of these folders make cards that never have a place for relay's buttons."""
    for folder in sorted(folders):
        if f"{folder}/{CARD}.j2" in sources and not any(map(_has_button, _cards(sources, folder, _full()))):
            message = "a route has actions, and this card no place for them: {% relay_actions %} inside {% actions %}"
            yield Fault(file=f"{folder}/{CARD}.j2", message=message, warning=True)


def _has_button(card: RenderedMessage) -> bool:
    return f"{ACTION_PREFIX}assign" in orjson.dumps(card.message.payload()).decode()


def _cards(sources: Mapping[str, str], folder: str, life: Sequence[Share]) -> Iterator[RenderedMessage]:
    for rehearsal in _rehearsed(sources, folder, life):
        for played in rehearsal.cards:
            yield from (sent.rendered for sent in (played.first, played.root) if sent)


def _failures(sources: Mapping[str, str], life: Sequence[Share]) -> Iterator[tuple[tuple[str, int], TemplateFailure]]:
    """Each failure of the operator's own files, by its place."""
    for folder in sorted({name.partition("/")[0] for name in sources}):
        for rehearsal in _rehearsed(sources, folder, life):
            yield from (((each.file, each.line), each) for each in _of(rehearsal) if each.file in sources)


def _rehearsed(sources: Mapping[str, str], folder: str, life: Sequence[Share]) -> Iterable[Simulation]:
    written = ConfigurationFiles(
        routes_file="routes.yaml", routes_text=_ROUTES.replace("FOLDER", f'"{folder}"'), templates=dict(sources)
    )
    try:
        return simulate(build_configuration(written), life).values()
    except ConfigurationError:  # no route can name this folder, so that nothing of it is ever run
        return ()


def _of(rehearsal: Simulation) -> Iterator[TemplateFailure]:
    for played in rehearsal.cards:
        for sent in (played.first, played.root, *played.replies):
            yield from sent.rendered.failures if sent else ()


# --- lives ---


def _full() -> list[Share]:
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


def _bare() -> list[Share]:
    states: list[tuple[Body, Body]] = [({"status": status}, {}) for status in ("Warning", "Critical", "Warning")]
    return _shares({"id": "bare"}, [*states, *_ENDS])


_OVER: Final[Body] = {"status": "Ok", "active": False, "resolved": True}
_AGAIN: Final[Body] = {"status": "Critical", "active": True, "resolved": False}
_ENDS: Final[Sequence[tuple[Body, Body]]] = [(_OVER, {}), (_AGAIN, {}), (_OVER, {})]


def _shares(incident: Body, steps: Sequence[tuple[Body, Body]]) -> list[Share]:
    """One share for each step, which is what changes in the incident, and what stands beside it."""
    shares, beside = [], Body()
    for number, (changes, more) in enumerate(steps):
        at = _START + number * _APART
        incident = {**incident, **changes, "changedOn": at}
        beside = {**{name: value for name, value in beside.items() if name != "event_types"}, **more}
        shares.append(parse_share(orjson.dumps({**beside, "incident": incident}), {}, float(at)))
    return shares
