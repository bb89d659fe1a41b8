"""Secrets are replaced in every text that leaves relay, and nothing else is."""

import html
import io
import json
import sys

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.runtime.secrets import REDACTED, hide_in_html, hide_in_output, hide_in_values, hiding

SECRET = 'p@ss/"wörd'


@given(secret=st.text(min_size=4, max_size=12), before=st.text(max_size=5), after=st.text(max_size=5))
def test_a_json_document_stays_valid_and_its_values_show_no_secret(secret, before, after):
    document = {"key": f"{before}\0{secret}\0{after}", "more": [secret, 1], "deep": {"x": None}}
    for text in (orjson.dumps(document).decode(), json.dumps(document)):
        shown = json.loads(hide_in_values(hiding([secret]), text))
        assert shown.keys() == document.keys()
        assert f"\0{secret}\0" not in shown["key"]
        assert shown["more"] == [REDACTED, 1]


def test_secrets_are_hidden_in_values_and_not_in_names_of_fields_and_metrics():
    hide = hiding(["ready", "relay"])
    assert hide_in_values(hide, '{"ready":true,"store":"ready"}') == f'{{"ready":true,"store":"{REDACTED}"}}'
    assert hide_in_values(hide, 'relay_up{name="relay"} 1\n') == f'relay_up{{name="{REDACTED}"}} 1\n'


def test_the_output_of_a_process_shows_no_secret(monkeypatch):
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    hide_in_output(hiding([SECRET]))
    sys.stdout.write(f"a {SECRET} b {json.dumps(SECRET)} {SECRET!r}\n")
    sys.stderr.write(f"{SECRET}\n")
    assert out.getvalue() == f"a {REDACTED} b \"{REDACTED}\" '{REDACTED}'\n"
    assert err.getvalue() == f"{REDACTED}\n"
    assert not sys.stdout.isatty()


def test_a_closed_stream_stays_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    hide_in_output(hiding([SECRET]))
    assert sys.stdout is None


@pytest.mark.parametrize("secrets", [[], [""]])
def test_without_secrets_text_stays_as_it_is(secrets):
    assert hiding(secrets)("anything") == "anything"


@given(secret=st.text(min_size=4, max_size=12), before=st.text(max_size=5), after=st.text(max_size=5))
def test_a_page_shows_no_secret_and_its_tags_stay(secret, before, after):
    text = f"{before}\0{secret}\0{after}"
    shown = html.escape(text)
    page = f'<a href="/{html.escape(secret)}" title="{shown}">{shown}</a>'
    hidden = hide_in_html(hiding([secret]), page)
    assert hidden.startswith(f'<a href="/{html.escape(secret)}" title="')
    wanted = hiding([secret])(text)
    assert hidden == f'<a href="/{html.escape(secret)}" title="{html.escape(wanted)}">{html.escape(wanted)}</a>'


def test_the_messages_of_a_page_stay_json():
    message = html.escape(json.dumps({"text": f"C:\\x {SECRET}", SECRET: 1}))
    hidden = hide_in_html(hiding([SECRET]), f'<p data-message="{message}">')
    assert json.loads(html.unescape(hidden.partition('"')[2].rpartition('"')[0])) == {
        "text": "C:\\x [hidden]",
        SECRET: 1,
    }
