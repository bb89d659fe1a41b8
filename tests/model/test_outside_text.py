"""Text from outside loses what nobody can read, and no word."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model.outside_text import clean_text, is_unfilled, readable_text, says_nothing


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        (
            "\x1b[31mERROR\x1b[0m of \x1b[1mvol-7\x1b[22m after \x1b[38;5;208m3\x1b[39m tries",
            "ERROR of vol-7 after 3 tries",
        ),
        ("\x9b1;31mERROR\x9b0m and \x9bKmore", "ERROR and more"),
        ("\x1b]0;title of a window\x07words", "words"),
        ("\x1b]8;;https://a.example\x1b\\link\x1b]8;;\x1b\\ \x9d8;;x\x9cdone", "link done"),
        ("\x1bP1$r0m\x1b\\a\x90q\x9cb\x1b_apc\x1b\\c\x1b^pm\x1b\\d\x1bXsos\x9ce", "abcde"),
        ("\x1b]nothing ends this", "nothing ends this"),
        ("\x1b(B\x1b)0\x1b7\x1b8\x1b=plain\x1b#8", "plain"),
        ("\x1bError", "Error"),
        (r"^[[31ma^[[0m \x1b[1mb\u001b[0m \033[1;31mc\e[0m #033[31md#033[0m", "a b c d"),
        ("\u241b[31mred", "red"),
        ("cut in the middle \x1b[31", "cut in the middle "),
        ("a\x0bb\x0cc\x85d\r\ne\rf", "a\nb\nc\nd\ne\nf"),
        ("a\x00b\x07c\x7f", "abc"),
        ("[31m is no sequence, [0-9]+m neither", "[31m is no sequence, [0-9]+m neither"),
        ("שלום עולם, café, e\u0301, 👩\u200d👩\u200d👧, नमस्ते", "שלום עולם, café, e\u0301, 👩\u200d👩\u200d👧, नमस्ते"),
    ],
)
def test_control_sequences_are_removed_completely(text, cleaned):
    assert clean_text(text) == cleaned
    assert clean_text(cleaned) == cleaned


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '<b>Node down</b><br/>Reason: &quot;loss&quot; &amp; wait &gt; 30s&nbsp;<a href="https://a.example/7">More</a>',
            'Node down\nReason: "loss" & wait > 30s\xa0More (https://a.example/7)',
        ),
        (
            "Heap size usage high:<br> http://dash.example.com/d/call-manager <br/>Please call <b>L2</b>",
            "Heap size usage high:\nhttp://dash.example.com/d/call-manager\nPlease call L2",
        ),
        (
            "User &#039;ann&#039; ran &quot;commit comment&quot; on core&amp;edge &lt;re0&gt;",
            "User 'ann' ran \"commit comment\" on core&edge <re0>",
        ),
        ("<table><tr><th>Node</th><td>up</td></tr><tr><td>B</td><td>down</td></tr></table>", "Node · up\nB · down"),
        ("<ul><li>one</li><li>two</li></ul>", "• one\n• two"),
        ("<p class='x'>Disk full<p>C: 99%", "Disk full\nC: 99%"),
        ('<SPAN style="color: red">hot</SPAN>', "hot"),
        ('<a href="https://a.example">https://a.example</a> &copy; 5 &euro;', "https://a.example © 5 €"),
        ('<img src="https://a.example/g.png" alt="graph"> x</p>', "graph https://a.example/g.png x"),
        ("&#27;[31mred &#x1b;[0m&#xF0000;", "red "),
        ('<span title="a>b">hot</span><!-- a comment --><o:p></o:p> <label>Disk</label>', "hot Disk"),
    ],
)
def test_html_becomes_text_and_addresses_stay(text, words):
    assert readable_text(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "port <re0> is down, a < b && c > d, x<y>z",
        "List<String> Map<K, V> <init> <module> <unknown>",
        "usage: copy <a> <b>, cannot bind <address>, <summary>",
        "https://a.example/?a=1&copy=2&lt=3&amp",
        "R&D, AT&T, a&b;c, &nosuch;",
        "5 < 6 > 4, <3, <-, ->, <=>",
        "<script>alert(1)</script>",
        r"C:\new\temp and ^\d+\s*$ and */5 * * * *",
        "a[^[0-9]m] and <!-- a comment alone -->",
    ],
)
def test_text_that_only_resembles_html_stays(text):
    assert readable_text(text) == text


def test_entities_are_decoded_once():
    assert readable_text("&amp;lt;b&amp;gt; &amp;amp;") == "&lt;b&gt; &amp;"
    assert readable_text("&lt;b&gt;bold&lt;/b&gt;") == "<b>bold</b>"


TAGS = ("<b>", "</b>", "<br>", "<p>", "</td>", "<li>", '<a href="x">', "</a>", "&amp;", "&nbsp;", "<re0>", " < ", "\n")


@given(st.lists(st.one_of(st.sampled_from(TAGS), st.from_regex(r"\A[a-z0-9]{1,6}\Z")), max_size=12))
def test_no_word_is_lost(parts):
    words = [part for part in parts if part.isalnum()]
    assert "".join(words) == "".join(re.findall(r"[a-z0-9]+", re.sub(r"<\w[^>]*>|</\w+>", "", _read(parts))))


def _read(parts):
    return readable_text(" ".join(parts)).replace(" amp ", " ")


@given(st.text(alphabet="\x1b[]P_^X\\\x07\x9b\x9c\x9d0;3mKab \n\x00\U000f0000", max_size=60))
def test_no_control_character_is_left(text):
    cleaned = clean_text(text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\U000f0000]", cleaned)
    assert clean_text(cleaned) == cleaned


@pytest.mark.parametrize(
    "text", ["<a " * 7_000, "<td>" * 5_000, "&" * 20_000, "\x1b]" * 10_000, " · " * 6_000, "<a href=x>" * 2_000]
)
def test_no_text_is_slow_to_clean(text):
    started = time.process_time()
    readable_text(clean_text(text))
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "None",
        "NONE",
        "N/A",
        "n/a",
        "-",
        "--",
        "undefined",
        "(null)",
        "<nil>",
        "<no value>",
        "[no value]",
        "[]",
        "{}",
    ],
)
def test_a_placeholder_for_no_value_is_empty(text):
    assert says_nothing(text)


@pytest.mark.parametrize(
    "text", ["none of them", "nullable", "NA", "0", "no", "unknown", "a-b", "normal", "nan", "off"]
)
def test_a_text_that_only_resembles_a_placeholder_is_kept(text):
    assert not says_nothing(text)


@pytest.mark.parametrize(
    "text",
    ["{{ alert.host }}", "${host.name}", "{HOST.NAME}", "{#FSNAME}", "$HOSTNAME$", "%{host}", "%HOST%", "$labels.host"],
)
def test_an_unfilled_variable_is_recognised(text):
    assert is_unfilled(text)


@pytest.mark.parametrize("text", ["", "$5", "{}", '{"a": 1}', "50%", "%", "$HOME/x", "${a} and ${b}", "{x}"])
def test_a_text_that_only_resembles_a_variable_is_kept(text):
    assert not is_unfilled(text)
