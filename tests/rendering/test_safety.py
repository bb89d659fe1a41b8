"""Whatever an alert says and a template does, the message fits, and only the route's mention pings."""

from functools import reduce

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from relay.config.template_files import load_packaged
from relay.model.incident import Tag
from relay.rendering.card import render_card, render_pointer
from relay.rendering.library import TemplateLibrary
from relay.rendering.reply import render_reply
from tests.support.rendering_samples import (
    NASTY,
    alert,
    alerts,
    blocks,
    check_message,
    entries,
    incident,
    incidents,
    library,
    packaged,
    pings_in,
    render_request,
    render_requests,
    texts,
    texts_in,
)

RELAXED = settings(suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@RELAXED
@given(render_requests())
def test_any_incident_makes_a_card_that_fits_and_pings_nobody_else(request_):
    rendered = render_card(packaged(), "incident", request_)
    assert not rendered.failures
    check_message(rendered, request_.mentions)


@pytest.mark.slow
@RELAXED
@given(render_requests(), st.lists(entries(), min_size=1, max_size=12))
def test_any_entries_make_a_reply_that_fits_and_pings_nobody_else(request_, given_entries):
    check_message(render_reply(packaged(), "incident", request_, given_entries), request_.mentions)


@RELAXED
@given(render_requests(), texts, texts)
@example(render_request(incident()), "", "https://evil.example/a?b=c\U000f0000")
def test_any_pointer_fits_and_pings_nobody(request_, channel, link):
    check_message(render_pointer(request_, channel, link))


def test_three_hundred_alerts_and_eighty_tags_make_one_card():
    many = incident(
        alerts=tuple(alert(number, description="&<>" * 600) for number in range(300)),
        tags=tuple(Tag(id=f"t{number}", name=f"tag {number}", values=("*" * 2000,)) for number in range(80)),
    )
    rendered = render_card(packaged(), "incident", render_request(many))
    check_message(rendered)
    assert not rendered.builtin


VALUES = (
    *(
        "incident.title",
        "incident.alerts",
        "incident.alerts.worst",
        "incident",
        "tags",
        "tags.shown",
        "tags.rest",
        "environment",
    ),
    *(
        "links.landing_page",
        "sender",
        "incident.started",
        "incident.state",
        "nothing.at.all",
        "incident.changes",
        "loop",
        "alert",
    ),
    *(
        '"<!channel>"',
        '"https://x.example/?a=b|c"',
        "1649576282",
        '"*"',
        '"`"',
        "None",
        '"\\U000F0201\\U000F0300\\U000F02FF"',
    ),
    *('"%c" | format(983040)', '"\\U000F0000<!here>"', "range(30)", '"x" * 3000', "alert.description", "alert.runbook"),
)


FILTERS = (
    *(
        "",
        " | link",
        ' | link("<!here>|x")',
        " | linkify",
        " | code",
        " | slack_time",
        ' | slack_time("ago")',
        " | emoji",
    ),
    *(
        ' | slack_time("<!here> {time}")',
        " | color",
        " | duration",
        " | upper",
        " | oneline(20)",
        " | shorten(30, 2)",
        " | more",
    ),
    *(
        " | length",
        " | join(', ')",
        " | first",
        " | truncate(5, true, '')",
        " | replace('a', '<!channel>')",
        " | string",
        " | reverse",
    ),
    *(
        " | list",
        " | sort",
        " | map('code') | join",
        " | int",
        " | title",
        " | trim",
        "[1:]",
        "[0]",
        ".upper()",
        ".nothing()",
    ),
)


chains = st.lists(st.sampled_from(FILTERS), max_size=3)


expressions = st.builds(
    lambda value, chain: reduce(lambda inner, outer: f"({inner}){outer}", chain, value), st.sampled_from(VALUES), chains
)


printing = expressions.map(lambda each: f"{{{{ {each} }}}}")


literal = st.sampled_from(
    [
        "",
        " ",
        "\n",
        "*bold* ",
        "`",
        "```",
        "> ",
        "<!channel>",
        "&amp;",
        "text",
        "\U000f0000",
        "\U000f0100",
        "{% raw %}<!here>{% endraw %}",
    ]
)


WRAPS = (
    *("summary", "header", "section", "accessory", "fields", "context", "quote", "pre", "actions"),
    *("bar incident.state | color", 'bar "<!here>"', "field incident.title", "button links.landing_page", 'button "x"'),
    *(
        "for alert in incident.alerts",
        "for tag in tags.shown",
        "if incident.active",
        "for change in incident.changes",
        "filter upper",
    ),
    *("set caught", "call nothing()", "macro made(x)", "block b%d"),
)


LEAVES = (
    *(
        "{% divider %}",
        "{% mentions %}",
        "{% relay_actions %}",
        '{% image "https://x.example/i.png" %}',
        "{{ caught }}",
        "{{ made(1) }}",
    ),
    '{% image incident.title, "<!here>" %}',
    '{% blocks %}[{type: section, text: {type: mrkdwn, text: "{{ incident.title }} <!here>"}}]{% endblocks %}',
)


_numbers = iter(range(10**9))


def wrapped(body, tag):
    tag = tag % next(_numbers) if "%d" in tag else tag
    return f"{{% {tag} %}}{body}{{% end{tag.split()[0]} %}}"


templates = st.recursive(
    st.one_of(printing, literal, st.sampled_from(LEAVES)),
    lambda inner: st.one_of(
        st.builds(wrapped, inner, st.sampled_from(WRAPS)), st.lists(inner, min_size=2, max_size=4).map("".join)
    ),
    max_leaves=14,
)


@pytest.mark.slow
@RELAXED
@given(templates.map("{% section %}It begins.{% endsection %}".__add__), render_requests(incidents(most_alerts=40)))
def test_any_template_makes_a_card_that_fits_and_pings_nobody_else(source, request_):
    check_message(render_card(library(card=source), "incident", request_), request_.mentions)


@pytest.mark.slow
@RELAXED
@given(templates, render_requests(), st.lists(entries(), min_size=1, max_size=3))
def test_any_template_of_an_entry_makes_a_reply_that_fits(source, request_, given_entries):
    files = dict.fromkeys(("comment", "status", "tags", "alerts", "other"), source)
    check_message(render_reply(library(**files), "incident", request_, given_entries), request_.mentions)


@RELAXED
@given(alerts(1), st.sampled_from(NASTY))
def test_the_same_request_makes_the_same_card(each, title):
    requests = [render_request(incident(alerts=(each,), title=title)) for _ in range(2)]
    first, second = (render_card(packaged(), "incident", one).message.fingerprint for one in requests)
    assert first == second


def test_only_the_mentions_of_the_route_ping():
    rendered = render_card(
        packaged(), "incident", render_request(incident(title="<!channel>"), mentions=("S0A", "here"))
    )
    pinging = [text for kind, text in texts_in(blocks(rendered)) if kind == "mrkdwn" and pings_in(text)]
    assert pinging == ["<!subteam^S0A> <!here>"]
    assert rendered.message.blocks[1]["text"]["text"] == pinging[0]


@pytest.mark.slow
@RELAXED
@given(templates, st.integers(0, 200))
def test_every_fault_of_a_damaged_file_is_in_one_of_its_lines(source, left_out):
    damaged = source[: max(0, len(source) - left_out)]
    for fault in TemplateLibrary({"incident/card.j2": damaged}, load_packaged()).faults(strict=True):
        assert fault.file == "incident/card.j2"
        assert 0 <= fault.line <= damaged.count("\n") + 1
        assert fault.message
