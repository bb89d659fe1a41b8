"""Cards of shares as monitoring systems really write them: from the body to what a reader sees."""

import json

import pytest

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.draw import draw_step
from relay.cards.model import CardContext, Channel, ChannelState
from relay.cards.plan import plan
from relay.cards.send import begin_post
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.reading import read_incident
from tests.support.rendering_samples import texts_in
from tests.support.slack_reading import read_in, words_of

NOW = 1_700_000_600.0
ROUTES = "version: 1\nchannels: {noc: C0123456789}\nfallback: noc\nroutes:\n- {name: all, match: {}, post: [noc]}\n"
CONFIGURATION = build_configuration(ConfigurationFiles(routes_file="r", routes_text=ROUTES, templates={}))


def alert(number=1, description="d", host="db-1", check="lag", **tags):
    named = {"host": host, "check": check, **tags}
    return {
        "id": str(number),
        "status": "Critical",
        "active": True,
        "startedOn": 1700000000,
        "primaryProperty": "host",
        "secondaryProperty": "check",
        "description": description,
        "tags": [{"name": name, "value": value} for name, value in named.items()],
    }


def body(*alerts, tags=None, metadata=None, **incident):
    values = {"id": "i", "status": "Critical", "active": True, "startedOn": 1700000000, "changedOn": 1700000000}
    return {
        "incident": {**values, "alerts": list(alerts or [alert()]), **incident},
        "incidentTags": [{"id": name, "value": value} for name, value in (tags or {}).items()],
        "links": {"landingPage": "http://bigp.io/abc"},
        "metadata": {"environment": "Production"} if metadata is None else metadata,
    }


def message_of(document, headers=(), encoding="utf-8"):
    share = parse_share(json.dumps(document, ensure_ascii=False).encode(encoding), dict(headers), NOW)
    planned = plan(CONFIGURATION.rulebook, None, [], share, {})
    context = CardContext(
        topic=planned.incident_state,
        card=planned.cards[0],
        cards=planned.cards,
        entries=planned.entries,
        channel=Channel(ref=planned.cards[0].channel, slack_id="C0123456789", state=ChannelState.OPEN),
    )
    drawn = draw_step(CONFIGURATION, context, begin_post(context, NOW), lambda _channel, _ts: "", NOW)
    assert not drawn.rendered.failures
    return drawn.rendered.message


def lines_of(document, **how):
    """The words that a reader sees, by line, with the notification first."""
    message = message_of(document, **how)
    texts = [text for _, text in texts_in([list(message.blocks), list(message.attachments)])]
    return [words_of(line) for text in (message.text, *texts) for line in text.split("\n")]


def test_terminal_control_sequences_are_removed():
    said = "\x1b[31mERROR\x1b[0m backup of \x1b[1mvol-7\x1b[22m failed after \x9b33m3\x9b39m tries"
    assert "• db-1: ERROR backup of vol-7 failed after 3 tries" in lines_of(body(alert(description=said)))


def test_html_becomes_plain_text():
    said = (
        "<b>Node down</b><br/>Node: core-sw-01<br>Reason: &quot;link loss&quot; &amp; timeout &gt; 30s&nbsp;"
        '<a href="https://orion.example.com/n/7">Details</a>'
    )
    [line] = [line for line in lines_of(body(alert(description=said))) if line.startswith("•")]
    assert line == (
        '• db-1: Node down · Node: core-sw-01 · Reason: "link loss" & timeout > 30s Details '
        "(<https://orion.example.com/n/7|orion.example.com/n/7>)"
    )


@pytest.mark.parametrize(
    "said",
    [
        "job */5 * * * * on backup host has not run since 02:00",
        "cannot delete /var/log/*.gz and /tmp/_cache_/~lock~ (user _www_)",
        "cert *.example.com and *.example.org expire; see ~/old~ and __init__.py _now_ `uptime`",
        "resource arn:aws:rds:eu-west-1:100:db:fire:prod at 2001:db8:100::1 took 10:30:45",
        "User 'ann' ran \"commit comment\" on core&edge <re0>",
        "Disk /data full\\nMount: /data\\nUsed: 97%\\tC:\\new\\temp",
        "שלום עולם, e\u0301, 👩\u200d👩\u200d👧",
    ],
)
def test_values_are_plain_text_everywhere_on_a_card(said):
    document = body(
        alert(description=said, host="_gw_*x*", check=":fire: ~tls~"), tags={"note": said, "zone": "_default_"}
    )
    message = message_of(document)
    pieces = list(texts_in([list(message.blocks), list(message.attachments)]))
    assert not read_in(message.text)
    assert all(piece["emoji"] is False for piece in _plain([list(message.blocks), list(message.attachments)]))
    shown = "\n".join(words_of(text) for _, text in pieces)
    assert f"• _gw_*x*: {said}" in shown
    assert "🔴 _gw_*x* · :fire: ~tls~" in shown
    ours = {"bold", "angled"}  # labels, the state, and dates
    assert set().union(*(read_in(text) for kind, text in pieces if kind == "mrkdwn")) <= ours


def _plain(value):
    if isinstance(value, dict):
        yield from [value] if value.get("type") == "plain_text" else []
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _plain(part)


def test_checks_of_one_host_are_distinguishable():
    said = "CRITICAL - Socket timeout after 10 seconds"
    alerts = [alert(number, said, check=check) for number, check in enumerate(("ping", "http", "ssh"))]
    bullets = [line for line in lines_of(body(*alerts)) if line.startswith("•")]
    assert bullets == [f"• db-1 · {check}: {said}" for check in ("ping", "http", "ssh")]


def test_a_description_that_begins_with_the_host_does_not_hide_the_check():
    alerts = [alert(number, "db-1: timeout", check=check) for number, check in enumerate(("ping", "http"))]
    bullets = [line for line in lines_of(body(*alerts)) if line.startswith("•")]
    assert bullets == ["• db-1 · ping: db-1: timeout", "• db-1 · http: db-1: timeout"]


def test_alerts_with_different_descriptions_have_short_names():
    alerts = [alert(1, "CPU is 98 %", check="cpu"), alert(2, "disk is full", check="disk")]
    bullets = [line for line in lines_of(body(*alerts)) if line.startswith("•")]
    assert bullets == ["• db-1: CPU is 98 %", "• db-1: disk is full"]


def test_a_very_long_host_does_not_hide_the_check():
    host = ".".join((62 * "a", 62 * "b", 62 * "c", "example.com"))
    for check in ("lag", 300 * "d"):
        lines = lines_of(body(alert(description="x", host=host, check=check)))
        [headline] = [line for line in lines if line.startswith("🔴")]
        [bullet] = [line for line in lines if line.startswith("•")]
        assert f"… · {check[:50]}" in headline
        assert f"… · {check[:50]}" in bullet
        assert bullet.endswith(": x")


def test_a_long_address_in_a_sentence_is_linked_completely():
    address = (
        "https://grafana.example.com/d/abc/x?orgId=1&from=1700000000000&to=1700003600000&var-cluster=eu-west-1-prod"
    )
    message = message_of(body(alert(description=f"see {address} for more"), tags={"wiki": f"Run book: {address}"}))
    text = str(message.attachments)
    assert text.count("<" + address.replace("&", "&amp;") + "|grafana.example.com/d/abc/x?orgId=1&amp;fro…>") == 2
    assert "fro…> for more" in text


def test_placeholder_values_such_as_null_are_left_out():
    nothing = {
        "owner": "null",
        "service": "None",
        "ticket": "N/A",
        "region": "-",
        "zone": "undefined",
        "x": "${host.name}",
    }
    sender = {"name": "null", "email": "null"}
    document = body(alert(description="null"), tags=nothing, metadata={"environment": "null", "sender": sender})
    assert lines_of(document) == [
        "Critical · db-1 · lag (1 alert)",
        "🔴 db-1 · lag",
        "*Critical* · 1 alert",
        *(line for line in lines_of(document) if line.startswith("since")),
        "Open in BigPanda",
    ]


def test_an_environment_may_be_a_list():
    document = body(metadata={"environment": ["Production", "Databases"], "environment_id": ["a1", "b2"]})
    share = parse_share(json.dumps(document).encode(), {}, NOW)
    record = plan(CONFIGURATION.rulebook, None, [], share, {}).incident_state.record
    assert [(each.name, each.id) for each in read_incident(record).environments] == [
        ("Production", "a1"),
        ("Databases", "b2"),
    ]
    assert record.environment_id == "a1"


@pytest.mark.parametrize(
    "started",
    [
        "Tue, 14 Nov 2023 22:13:20 GMT",
        "Tue, 14 Nov 2023 23:13:20 +0100",
        "14 Nov 2023 17:13:20 EST",
        "2023-11-14 22:13:20 UTC",
        "2023-11-14 22:13:20 +0000 UTC",
        "2023-11-14 22:13:20.123456789 +0000 UTC m=+0.000012",
        "2023-11-14T22:13:20.5Z",
        "2023/11/14 22:13:20",
        "Tue Nov 14 22:13:20 2023",
        "Tue Nov 14 22:13:20 UTC 2023",
        "2023-11-14T22:13:20 GMT",
    ],
)
def test_a_time_written_in_words_is_shown_as_the_start(started):
    assert "<!date^1700000000^" in str(message_of(body(startedOn=started)).attachments)


@pytest.mark.parametrize("started", ["yesterday", "UTC", "99 Foo 2023", "Tue, 14 Nov 99999999 22:13:20 GMT", "-"])
def test_an_invalid_time_loses_only_the_time(started):
    assert "*Critical*" in str(message_of(body(startedOn=started)).attachments)


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("ISO-8859-1", "latin-1"), ('"windows-1252"', "cp1252"), ("iso-8859-15", "iso8859-15"), ("UTF-8", "utf-8")],
)
def test_a_body_is_read_in_the_encoding_that_its_sender_names(charset, encoding):
    headers = {"Content-Type": f"application/json; charset={charset}"}
    assert "• h1 é: d" in lines_of(body(alert(host="h1 é")), headers=headers, encoding=encoding)


@pytest.mark.parametrize("charset", ["ISO-8859-1", "utf-7", "zlib", "idna", "nonsense", "unicode_escape", ""])
def test_utf_8_is_read_as_utf_8_even_if_the_sender_names_another_encoding(charset):
    headers = {"content-type": f"application/json; charset={charset}"}
    assert "• h1 é: d" in lines_of(body(alert(host="h1 é")), headers=headers)
