"""What people type after the command, however phones change it."""

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.commands import service
from relay.commands.requests import VERBS, Help, Mine, Open, Request, Why, read_request
from relay.tools.manifest import build_manifest
from tests.support.documents import check_rows

DOCS = Path(__file__).parents[2] / "docs"

LINK = "https://acme.slack.com/archives/C0DB000001/p1700000000000100?thread_ts=1700000000.000100&cid=C0DB000001"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", Help()),
        ("  help  ", Help()),
        ("opne", Help(unknown="opne", meant="open")),
        ("reboot", Help(unknown="reboot")),
        ("open", Open()),
        ("OPEN   all", Open(everywhere=True)),
        ("open <#C0NOC00001|noc>", Open(channel="C0NOC00001")),
        ("open <#C0NOC00001|>", Open(channel="C0NOC00001")),
        ("open #noc", Open(channel="#noc")),
        ("open payments", Open(name="payments")),
        ("open “data base”", Open(name="data base")),
        ("open team=R&amp;D", Open(team="R&D")),
        ("mine", Mine()),
        (f"why <{LINK}>", Why(target=f"<{LINK}>")),
        (f"<{LINK}>", Why(target=f"<{LINK}>")),
        ("why 5e7f", Why(target="5e7f")),
    ],
)
def test_a_question_is_understood_in_any_spelling_of_its_parts(text, meant):
    assert read_request(text) == meant


@given(st.text(max_size=300))
@example("mute '")
@example("mute {" * 50)
@example("why <")
def test_no_typed_text_raises_an_error(text):
    for verb in ("", *VERBS):
        read_request(f"{verb} {text}")


def test_the_document_describes_every_verb_and_no_other():
    page = (DOCS / "commands.md").read_text()
    described = set(re.findall(r"^\| `/relay ([a-z]+)", page, re.MULTILINE))
    check_rows("docs/commands.md", described, VERBS, in_order=False)


def test_the_glossary_and_slacks_hint_name_every_verb():
    [row] = re.findall(r"^\| command \|.*\*verb\* \((.*?)\)", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    assert re.findall(r"`(\w+)`", row) == list(VERBS)
    [command] = build_manifest(socket_mode=True)["features"]["slash_commands"]
    assert command["usage_hint"] == ", ".join(verb.usage for verb in VERBS.values())


def test_metrics_and_the_log_have_a_name_for_every_request():
    assert set(service.NAMES) == set(get_args(Request))
    assert set(service.NAMES.values()) == {*VERBS, "unclear"}
