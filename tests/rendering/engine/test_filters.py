"""What each filter prints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model.incident import State, Tag
from relay.rendering.blocks import marks
from relay.rendering.engine import filters
from tests.support.rendering_samples import alert, incident, section_text


@pytest.mark.parametrize(
    ("printing", "expected"),
    [
        ("{{ 'https://x.example/?a=1&b=2' | link('a <b> | c') }}", "<https://x.example/?a=1&amp;b=2|a &lt;b&gt; ¦ c>"),
        ("{{ 'javascript:alert(1)' | link('x') }}", "javascript:alert(1)"),
        ("{{ 'https://x.example/a b|c>d' | link('x') }}", "<https://x.example/a%20b%7Cc%3Ed|x>"),
        ("{{ 'https://x.example' | link }}", "<https://x.example|https://x.example>"),
        ("x{{ incident.nothing | link('y') }}", "x"),
        ("{{ 'http://' | link('x') }}", "http://"),
        (
            "{{ 'see https://x.example/a(b). <http://y.example>' | linkify }}",
            "see <https://x.example/a(b)|https://x.example/a(b)>. &lt;<http://y.example|http://y.example>&gt;",
        ),
        ("{{ 'https://x.example <!here>' }}", "https://x.example &lt;!here&gt;"),
        ("{{ 'a`b\nc' | code }}", "`a\u02cbb c`"),
        ("{{ 1649576282 | slack_time }}", "<!date^1649576282^{date_short_pretty} at {time}|2022-04-10 07:38 UTC>"),
        ("{{ 1649576282 | slack_time('ago') }}", "<!date^1649576282^{ago}|2022-04-10 07:38 UTC>"),
        ("{{ 1649576282 | slack_time('on {date_num}') }}", "<!date^1649576282^on {date_num}|2022-04-10 07:38 UTC>"),
        ("x{{ 1649576282 | slack_time('{date}^https://evil.example') }}", "x"),
        ("x{{ 1649576282000 | slack_time }}{{ 'soon' | slack_time }}{{ none | slack_time }}", "x"),
        ("{{ 'critical' | emoji }}{{ 'resolved' | emoji }}{{ 'odd' | emoji }}", "🔴✅"),
        ("{{ 'warning' | color }} {{ 'odd' | color }} {{ '#ABCDEF' | color }}", "#f0a202 #7a5cad #abcdef"),
        (
            "{{ 4320 | duration }}, {{ 42 | duration }}, {{ 0 | duration }}, {{ 266400 | duration }}",
            "1 h 12 min, 42 s, 0 s, 3 d 2 h",
        ),
        (
            "{{ 599 | duration }}, {{ 600 | duration }}, {{ 2215 | duration }}, {{ 3599 | duration }}",
            "9 min 59 s, 10 min, 37 min, 1 h",
        ),
        ("{{ 'a\n b  c' | oneline }}, {{ 'one two three' | oneline(9) }}", "a b c, one two…"),
        ("{{ 'one\ntwo\nthree' | shorten(100, 2) }}", "one\ntwo … (6 more characters)"),
        ("{{ incident.alerts.worst[1:] | more }}", "and 2 more alerts, 1 critical"),
        ("{{ incident.alerts.worst[2:] | more }}{{ incident.alerts.worst[9:] | more }}", "and 1 more alert (warning)"),
        ("{{ ['a', 'b'] | more('tag') }}", "and 2 more tags"),
        ("{{ none }}{{ incident.nothing.at.all }}{{ range }}{{ ['a', none, 'b'] }}", "a, , b"),
        ("{{ incident.assignee.email }}{{ incident.snooze.until }}{{ tags.team }}x", "x"),
    ],
)
def test_each_filter_prints_what_is_expected(printing, expected):
    assert section_text(printing) == expected


def test_tags_are_found_in_any_case_and_compare_as_text():
    source = "{{ tags.priority }} {{ tags['PRIORITY'].label }} {{ tags.itd_priority_1 == 'P1' }}"
    source += " {{ 'P1' in tags.priority.values }}"
    assert section_text(source) == "P1 Priority True True"


def test_a_tag_may_have_the_name_of_an_attribute_of_tags():
    odd = incident(tags=tuple(Tag(id=name, name=name, values=(f"<{name}>",)) for name in ("shown", "items", "rest")))
    assert section_text(
        "{{ tags['shown'] }} {{ tags['items'] }} {{ tags.shown | length }} {{ tags.rest | length }}", odd
    ) == ("&lt;shown&gt; &lt;items&gt; 3 0")


def test_alerts_are_listed_worst_first_with_their_run_books():
    mixed = incident(alerts=(alert(1, State.WARNING), alert(2), alert(3, State.RESOLVED)))
    source = "{% for alert in incident.alerts.worst %}{{ alert.tags.HOST }} {{ alert.runbook }} {% endfor %}"
    source += "{{ incident.alerts.active | length }}"
    assert section_text(source, mixed) == "db-2 https://wiki.example/db-2 db-1 https://wiki.example/db-1 2"


LONG = "https://grafana.example.com/d/abc/x?orgId=1&from=1700000000000&to=1700003600000&var-cluster=eu-west-1-prod"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            f"see {LONG} for more",
            f"see <{LONG.replace('&', '&amp;')}|grafana.example.com/d/abc/x?orgId=1&amp;fro…> for more",
        ),
        ("see https://a.example/x.", "see <https://a.example/x|a.example/x>."),
        ("no address, but many words", "no address, but many words"),
        ("https://a.example/cut…", "https://a.example/cut…"),
        ("a\nhttps://a.example", "a <https://a.example|a.example>"),
    ],
)
def test_an_address_in_a_sentence_is_linked_completely(text, shown):
    assert section_text("{{ incident.alerts[0].description | linkify(140) }}", _described(text)) == shown


@given(
    st.lists(st.sampled_from([LONG, "https://a.example/x", "word", "a longer-word", "(https://b.example)"]), max_size=9)
)
def test_no_address_is_cut(words):
    for length in (1, 20, 45, 60, 140):
        for cut in (
            filters.linkify(" ".join(words), length),
            filters.linkify(filters.shorten(" ".join(words), length)),
        ):
            links = [each for each in marks.scan(cut) if isinstance(each, marks.Link)]
            assert {link.url for link in links} <= {LONG, "https://a.example/x", "https://b.example"}


def _described(text):
    return incident(alerts=(alert(1, description=text),))
