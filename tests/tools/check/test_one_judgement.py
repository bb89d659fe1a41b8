"""`relay check` reports an error exactly where a start and a reload reject the files, and the same ones."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.config import files
from relay.config.files import load_configuration
from relay.model.errors import ConfigurationError
from relay.tools.check import command
from relay.tools.check.command import run_checks

FAULTS = Path(__file__).parent / "faults"
ROUTES = [path.read_bytes() for path in sorted(FAULTS.glob("*.yaml"))]
CARDS = [path.read_bytes() for path in sorted((FAULTS / "templates").glob("*.j2"))]
CARD = b"{% header %}{{ incident.title }}{% endheader %}"
LINES = sorted({line for routes in ROUTES for line in routes.splitlines()})


@pytest.fixture(scope="module", autouse=True)
def few_templates():
    """Leave out the packaged templates: compiling them takes most of the time, and they have no faults."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (files, command):
            patch.setattr(module, "load_packaged", lambda: {"incident/card.j2": CARD.decode()})
        yield


def rejected(folder: Path) -> set[str]:
    """What a start or a reload says about the files."""
    try:
        load_configuration(folder / "routes.yaml", folder / "templates")
    except ConfigurationError as error:
        return {str(fault) for fault in error.faults}
    return set()


def checked(folder: Path) -> set[str]:
    """What the command says about them; unreadable routes are an error of its own."""
    try:
        return {str(fault) for fault in run_checks(folder / "routes.yaml", folder / "templates").errors}
    except ConfigurationError as error:
        return {str(fault) for fault in error.faults}


@settings(max_examples=60, deadline=None)
@given(
    routes=st.sampled_from([*ROUTES, b"", b"- a", b"version: 1", b"\xff", None]),
    swapped=st.tuples(st.integers(0, 30), st.sampled_from(LINES)) | st.none(),
    card=st.sampled_from([*CARDS, CARD, CARD, b"\xff", None]),
    folder=st.sampled_from(["incident", "payments", "My Team", "relay", ""]),
)
def test_the_check_has_errors_exactly_where_a_reload_rejects(tmp_path_factory, routes, swapped, card, folder):
    here = tmp_path_factory.mktemp("files")
    if routes is not None:
        lines = routes.splitlines()
        if swapped is not None and swapped[0] < len(lines):
            lines[swapped[0]] = swapped[1]
        (here / "routes.yaml").write_bytes(b"\n".join(lines) + b"\n")
    if card is not None:
        (here / "templates" / folder).mkdir(parents=True)
        (here / "templates" / folder / "card.j2").write_bytes(card)
    found, wanted = checked(here), rejected(here)
    assert bool(found) == bool(wanted)
    unreadable = routes in {b"\xff", None}  # then the command says that alone
    assert found <= wanted if unreadable else found == wanted


@pytest.mark.parametrize("card", [CARD, b"{{ 1 / 0 }}", b"{{ incident.titel }}", b"{% nosuch %}"])
def test_a_failure_during_rendering_is_a_warning_and_an_invalid_template_is_an_error(tmp_path, card):
    (tmp_path / "routes.yaml").write_text('version: 1\nroutes: [{name: a, post: ["#a"]}]\n')
    (tmp_path / "templates" / "incident").mkdir(parents=True)
    (tmp_path / "templates" / "incident" / "card.j2").write_bytes(card)
    found = run_checks(tmp_path / "routes.yaml", tmp_path / "templates").findings
    found = [each for each in found if each.file.endswith("card.j2")]
    assert [each.warning for each in found] == {CARD: [], b"{% nosuch %}": [False]}.get(card, [True])
