"""`relay render`: what shares would produce, in the terminal, as JSON and as a page."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console
from typer.testing import CliRunner

from relay.bigpanda.webhook.parsing import parse_share
from relay.cli import app
from relay.config.files import ConfigurationFiles, build_configuration
from relay.tools import render
from relay.tools.message_text import message_text, slack_error
from relay.tools.mrkdwn import to_rich_text
from relay.tools.share_files import ShareFileError, read_shares
from relay.tools.simulate import simulate

SAMPLE = Path(__file__).resolve().parents[2] / "relay" / "samples" / "documented-sample.json"
ROUTES = """
version: 1
channels: {noc: C0NOC00001}
fallback: noc
routes:
  - name: critical
    match: {status: critical}
    post: [{channel: noc, mention: {critical: [S0CRIT]}}]
"""
CONFIGURATION = build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=ROUTES))
RESOLVED = {"incident": {"id": "5555370aabc20a001145d6g9", "resolved": True, "active": False, "changedOn": 1697124564}}


def run_render(tmp_path: Path, *arguments: Any) -> Any:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    where = ["--routes", str(tmp_path / "routes.yaml"), "--templates", str(tmp_path / "templates")]
    return CliRunner().invoke(app, ["render", *where, *map(str, arguments)])


@pytest.fixture
def resolved(tmp_path) -> Path:
    file = tmp_path / "resolved.json"
    file.write_bytes(orjson.dumps(RESOLVED))
    return file


def test_the_terminal_shows_the_decisions_the_card_and_its_thread(tmp_path, resolved):
    result = run_render(tmp_path, SAMPLE, resolved)
    lines = [line.strip() for line in result.output.splitlines()]
    assert result.exit_code == 0
    assert "2023-10-12 15:19:24Z  first · matched by critical" in lines
    assert "#noc (C0NOC00001)  by route critical" in lines
    assert "relay · posted 2023-10-12 15:19:24Z, edited once · pings S0CRIT" in lines
    assert any(line.startswith("▌ Resolved after") for line in lines)
    alone = run_render(tmp_path, SAMPLE).output
    assert "since 2022-04-10 07:38 UTC (550 days ago)" in alone  # relative to the time of the share
    assert "relay · 2023-10-12 15:29:24Z resolved" in lines


def test_json_contains_each_message_in_the_form_of_slacks_api(tmp_path, resolved):
    (document,) = json.loads(run_render(tmp_path, SAMPLE, resolved, "--json").output)
    assert [share["outcome"] for share in document["shares"]] == ["first", "update"]
    (card,) = document["cards"]
    assert (card["channel"], card["route"], card["state"], card["edits"]) == ("C0NOC00001", "critical", "posted", 1)
    assert card["posted"]["pings"] == ["S0CRIT"]
    assert card["message"]["text"].startswith("Resolved · ")
    assert card["posted"]["message"]["text"].startswith("Critical · ")
    assert [(reply["entries"], reply["pings"]) for reply in card["thread"]] == [(["resolved"], [])]


def test_the_page_contains_the_messages_and_escapes_text(tmp_path):
    hostile = tmp_path / "hostile.json"
    incident = {"id": "i1", "status": "critical", "alerts": [{"id": "a", "description": "</script><script>alert(1)"}]}
    hostile.write_bytes(orjson.dumps({"incident": incident}))
    page = tmp_path / "page.html"
    result = run_render(tmp_path, SAMPLE, hostile, "--html", page)
    assert (result.exit_code, result.output) == (0, f"Wrote {page}; open it in a browser.\n")
    html = page.read_text()
    assert "Evyatar-11" in html
    assert '"now": 1697' in html  # relative dates are as of the shares
    assert "<script>alert(1)" not in html
    assert html.count("</script>") == html.count("<script")


def test_a_card_that_was_never_posted_and_an_incident_without_a_card_are_shown(tmp_path):
    waiting = ROUTES.replace("channel: noc,", "channel: noc, wait: 5m,") + "  - {name: drop, post: []}\n"
    configuration = build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=waiting))
    bodies = [
        {"incident": {"id": "i1", "status": "critical", "changedOn": 1000}},
        {"incident": {"id": "i1", "resolved": True, "changedOn": 1010}},
        {"incident": {"id": "i2", "status": "warning", "changedOn": 1020}},
    ]
    shares = [parse_share(orjson.dumps(body), {}, 1000 + 10 * number) for number, body in enumerate(bodies)]
    output = printed(simulate(configuration, shares))
    assert "never posted: the incident ended" in " ".join(output.split())
    assert "No card." in output


def printed(incidents: Any, width: int = 100) -> str:
    console = Console(width=width, highlight=False, emoji=False, markup=False)
    with console.capture() as captured:
        for part in render.on_terminal(incidents, {}):
            console.print(part)
    return captured.get()


def test_a_template_failure_is_shown_below_its_message():
    broken = build_configuration(
        ConfigurationFiles(
            routes_file="routes.yaml", routes_text=ROUTES, templates={"incident/card.j2": "{{ 1 // 0 }}"}
        )
    )
    output = printed(simulate(broken, read_shares([SAMPLE])))
    assert "template failed: incident/card.j2:1" in output
    assert "built-in card" in output


def test_every_kind_of_block_is_shown_at_any_width():
    card = """
    {% header %}Head{% endheader %}{% divider %}
    {% bar "#ff0000" %}
      {% fields %}{% for n in [1, 2, 3] %}{% field n %}value {{ n }}{% endfield %}{% endfor %}{% endfields %}
      {% image "https://example.com/i.png" %}{% quote %}quoted{% endquote %}{% pre %}x = 1{% endpre %}
      {% blocks %}
        - type: rich_text
          elements: [{type: rich_text_section, elements: [{type: text, text: rich}]}]
      {% endblocks %}
      {% actions %}{% button "https://example.com" %}Press{% endbutton %}{% endactions %}
    {% endbar %}
    """
    configuration = build_configuration(
        ConfigurationFiles(routes_file="routes.yaml", routes_text=ROUTES, templates={"incident/card.j2": card})
    )
    incidents = simulate(configuration, read_shares([SAMPLE]))
    for width in (30, 100):
        output = printed(incidents, width)
        for text in ("Head", "value 3", "quoted", "x = 1", "rich", "[ Press ]", "▌ "):
            assert text in output
    message = incidents["5555370aabc20a001145d6g9"].cards[0].root.message
    assert "value 3" in message_text(message, {})
    assert slack_error(message) == ""


# --- mrkdwn ---


@pytest.mark.parametrize(
    ("markup", "read"),
    [
        ("*bold* _italic_ ~gone~ `code`", "bold italic gone code"),
        ("a*b*c snake_case_name 2~3~4", "a*b*c snake_case_name 2~3~4"),
        ("&lt;b&gt; &amp;amp;", "<b> &amp;"),
        ("<https://example.com|the *page*> <https://example.com>", "the *page* https://example.com"),
        ("<!subteam^S1> <!here> <@U1> <#C1> <#C2|two>", "@S1 @here @U1 #noc #two"),
        ("<!date^1700000000^{ago}|2023-11-14 22:13 UTC>", "2023-11-14 22:13 UTC"),
        ("before\n```a < b\n*c*```\nafter", "before\na < b\n*c*\nafter"),
        ("&gt; quoted\nplain", "┃ quoted\nplain"),
        ("*one\ntwo*", "*one\ntwo*"),
        ("", ""),
    ],
)
def test_mrkdwn_is_converted_to_the_text_that_slack_shows(markup, read):
    assert to_rich_text(markup, {"C1": "noc"}).plain == read


# --- shares in files ---


def test_shares_without_a_time_follow_one_another(tmp_path):
    bodies = [
        {"incident": {"id": "i1", "changedOn": 1000}},
        {"incident": {"id": "i1", "changedOn": 900}},
        {"incident": {"id": "i1"}},
        {"received": 5000, "headers": {"X-Team": "a"}, "body": {"incident": {"id": "i1"}}},
    ]
    files = [tmp_path / f"{number}.json" for number in range(len(bodies))]
    for file, body in zip(files, bodies, strict=True):
        file.write_bytes(orjson.dumps(body))
    shares = read_shares(files, {"X-Region": "emea"})
    assert [share.received for share in shares] == [1000, 1060, 1120, 5000]
    assert shares[-1].headers == {"x-team": "a", "x-region": "emea"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory."),
        ("{}", "does not contain a share. The body has no incident.id"),
    ],
)
def test_a_file_without_a_share_is_named_in_the_error(tmp_path, content, message):
    file = tmp_path / "share.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ShareFileError, match=r"share\.json") as raised:
        read_shares([file])
    assert message in str(raised.value)
    result = run_render(tmp_path, file)
    assert (result.exit_code, result.output.startswith(f"relay: {file}")) == (2, True)


def test_a_header_has_the_form_name_equals_value(tmp_path):
    result = run_render(tmp_path, SAMPLE, "--header", "nonsense")
    assert (result.exit_code, "expected name=value" in " ".join(result.output.replace("│", " ").split())) == (2, True)
    (document,) = json.loads(run_render(tmp_path, SAMPLE, "--json", "--header", "X-Team=a").output)
    assert document["shares"][0]["routes"] == ["critical"]
