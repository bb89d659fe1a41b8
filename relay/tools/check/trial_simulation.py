"""Simulate sample incidents with the operator's templates, so that everything is rendered that relay can make.

Three incidents go through every kind of update: the full documented sample, one of which BigPanda sends only the state,
and one with more and longer values than relay shows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import orjson

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.cards.bulletins import BulletinLine
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.buttons import ACTION_WORDS
from relay.model.errors import ConfigurationError
from relay.rendering.library import BULLETIN_FOLDER, DEFAULT_FOLDER, TemplateLibrary, is_bulletin_file
from relay.routes.parser.parse import parse_rulebook
from relay.samples import read_sample
from relay.tools.check.trial_bulletins import DrawnBulletin, bare_lines, draw_bulletins, extreme_lines, usual_lines
from relay.tools.simulate import Simulation, simulate

FULL: Final = "the full sample incident"
BARE: Final = "an incident with few details"
EXTREME: Final = "a very large incident"
"""The samples, as faults name them."""

Body = dict[str, Any]

LONG_TEXT: Final = "<!channel> & *x* `y` 🚨 " * 200
"""A value that is longer than relay shows, with everything that Slack could take for its own."""

_START: Final = 1_700_000_000
_INTERVAL: Final = 600
"""Seconds between two shares: long enough that each has its own entry."""
_ROUTES: Final = f"""\
version: 1
fallback: "#nowhere"
defaults:
  actions: [{", ".join(ACTION_WORDS)}]
  template: FOLDER
  remind: {{after: 1m, every: 1m, times: 2, state: unknown}}
routes:
  - name: trial
    match: {{environment: {{not: "-"}}}}
    post: [{{channel: "#trial", mention: {{any: [S0123456789, here]}}}}]
"""


class Trial:
    """Templates that were found valid, and the simulations of sample incidents with them.

    `library` is theirs if they are compiled already; templates of which none may be used have no simulations. `folders`
    are those that may make cards. `has_bulletins`: some may make the messages about several incidents.
    """

    def __init__(self, sources: Mapping[str, str], library: TemplateLibrary | None = None) -> None:
        self.sources = sources
        self.folders = sorted({name.partition("/")[0] for name in sources if not is_bulletin_file(name)})
        self.has_bulletins = any(name.startswith(f"{BULLETIN_FOLDER}/") for name in sources)
        self._simulated: dict[tuple[str, str], Sequence[Simulation]] = {}
        self._compiled = self._with_library(library) if library else self._configuration(DEFAULT_FOLDER)

    def simulations(self, folder: str, sample: str) -> Sequence[Simulation]:
        """Simulate a sample incident (one of `SAMPLES`) with a folder of templates; once, however often it is asked.

        A message is rendered when it is read.
        """
        if (folder, sample) not in self._simulated:
            configuration = self._configuration(folder, self._compiled) if self._compiled else None
            simulated = simulate(configuration, SAMPLES[sample](), render=False).values() if configuration else ()
            self._simulated[folder, sample] = tuple(simulated)
        return self._simulated[folder, sample]

    def bulletins(self, sample: str) -> Iterable[DrawnBulletin]:
        """Draw the messages about several incidents that are like a sample (one of `SAMPLES`)."""
        return draw_bulletins(self._compiled, _LINES[sample]()) if self._compiled else ()

    def _with_library(self, library: TemplateLibrary) -> Configuration:
        rulebook = parse_rulebook(_routes(DEFAULT_FOLDER), templates=library.folders)
        return Configuration(rulebook=rulebook, library=library, templates=self.sources, hash="")

    def _configuration(self, folder: str, compiled: Configuration | None = None) -> Configuration | None:
        files = ConfigurationFiles(
            routes_file="routes.yaml", routes_text=_routes(folder), templates=self.sources, has_templates_folder=True
        )
        try:
            return build_configuration(files, compiled)
        except ConfigurationError:  # no route can name this folder, so relay never renders it
            return None


def _routes(folder: str) -> str:
    return _ROUTES.replace("FOLDER", f'"{folder}"')


@cache
def full_shares() -> Sequence[Share]:
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


@cache
def bare_shares() -> Sequence[Share]:
    """An incident with nothing but its state."""
    states: list[tuple[Body, Body]] = [({"status": status}, {}) for status in ("Warning", "Critical", "Warning")]
    return _shares({"id": "bare"}, [*states, *_ENDS])


@cache
def extreme_shares() -> Sequence[Share]:
    """An incident with more and longer values than relay shows, through a rise, an assignment and its end."""
    alert = {
        "status": "Critical",
        "condition_name": LONG_TEXT,
        "description": LONG_TEXT,
        "primary_property": "host",
        "host": LONG_TEXT,
    }
    short = {**alert, "condition_name": "check", "description": "lag", "host": "db"}
    alerts = [{**each, "id": f"a{number}"} for number, each in enumerate([alert] * 20 + [short] * 180)]
    tags = [{"id": f"tag{number} {LONG_TEXT[:200]}", "value": LONG_TEXT} for number in range(40)]
    ann = {"assignee": {"name": LONG_TEXT}, "comment": LONG_TEXT}
    return _shares(
        {"id": "extreme", "alerts": alerts, "active": True, "resolved": False},
        [
            ({"status": "Warning"}, {"incidentTags": tags, "metadata": {"environment": LONG_TEXT}}),
            ({"status": "Critical"}, {"metadata": ann, "event_types": ["incident#commented"]}),
            *_ENDS,
        ],
    )


_RESOLVED: Final[Body] = {"status": "Ok", "active": False, "resolved": True}
_REOPENED: Final[Body] = {"status": "Critical", "active": True, "resolved": False}
_ENDS: Final[Sequence[tuple[Body, Body]]] = [(_RESOLVED, {}), (_REOPENED, {}), (_RESOLVED, {})]


def _shares(incident: Body, steps: Sequence[tuple[Body, Body]]) -> Sequence[Share]:
    """One share for each step: what changes inside `incident`, and what changes beside it."""
    shares, beside = [], Body()
    for number, (changes, more) in enumerate(steps):
        at = _START + number * _INTERVAL
        incident = {**incident, **changes, "changedOn": at}
        beside = {**{name: value for name, value in beside.items() if name != "event_types"}, **more}
        shares.append(parse_share(orjson.dumps({**beside, "incident": incident}), {}, float(at)))
    return tuple(shares)


SAMPLES: Final[Mapping[str, Callable[[], Sequence[Share]]]] = {
    FULL: full_shares,
    BARE: bare_shares,
    EXTREME: extreme_shares,
}

_LINES: Final[Mapping[str, Callable[[], list[BulletinLine]]]] = {
    FULL: usual_lines,
    BARE: bare_lines,
    EXTREME: lambda: extreme_lines(LONG_TEXT),
}
