"""How a mute is typed, however phones change it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.commands.requests import MakeMute, Unclear, read_request

LINK = "https://acme.slack.com/archives/C0DB000001/p1700000000000100"
CHECKOUT = (("service", "checkout"),)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("service=checkout 2h deploy", MakeMute(tags=CHECKOUT, how_long="2h", reason="deploy")),
        ("2h service=checkout", None),
        ("service=checkout 2h don\u2019t page us", MakeMute(tags=CHECKOUT, how_long="2h", reason="don't page us")),
        ("service=checkout 2h “planned work”", MakeMute(tags=CHECKOUT, how_long="2h", reason="planned work")),
        ("service=checkout 2h 3h at most -- ask", MakeMute(tags=CHECKOUT, how_long="2h", reason="3h at most -- ask")),
        (
            "service=“my app” env=&lt;prod&gt; 1d x",
            MakeMute(tags=(("service", "my app"), ("env", "<prod>")), how_long="1d", reason="x"),
        ),
        (f"<{LINK}> 30m known issue", MakeMute(target=f"<{LINK}>", how_long="30m", reason="known issue")),
        ("5e7f 30m known --yes", MakeMute(target="5e7f", how_long="30m", reason="known", sure=True)),
        (
            '--match \'{tags: {service: "a b"}}\' --for 2h --reason "load test" --unless critical',
            MakeMute(match='{tags: {service: "a b"}}', how_long="2h", reason="load test", unless="critical"),
        ),
        (
            "—match {tags: {service: a}} —for=2h —from 2026-12-01T22:00Z the reason",
            MakeMute(match="{tags: {service: a}}", how_long="2h", start="2026-12-01T22:00Z", reason="the reason"),
        ),
    ],
)
def test_a_mute_has_the_short_form_or_the_options_of_the_command_line(text, meant):
    read = read_request(f"mute {text}")
    assert read == meant if meant is not None else isinstance(read, Unclear)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("", "Mute what?"),
        ("2h deploy", "Mute what?"),
        ("service=checkout 5e7f 2h x", "Mute what?"),
        ("service=checkout", "For how long?"),
        ("service=checkout 2h", "Why?"),
        ("service=checkout for two hours", "does not understand"),
        ("service=checkout 2h x --force", "does not understand"),
    ],
)
def test_missing_parts_are_requested_with_an_example(text, asked):
    read = read_request(f"mute {text}")
    assert isinstance(read, Unclear)
    assert asked in read.detail
    assert "mute service=checkout 2h deploy" in read.detail


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=40))
def test_a_value_in_quotes_is_taken_literally(value):
    value = "".join(value.split()).replace('"', "")
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    read = read_request(f'mute service="{escaped}" 2h x')
    if value and not any(each in value for each in "\u2018\u2019\u201c\u201d\u201e"):
        assert isinstance(read, MakeMute)
        assert read.tags == (("service", value),)
