"""Shared by the tests of rendering: incidents of every shape, hostile texts, and an independent check of messages."""

import re
from functools import cache

from hypothesis import strategies as st

from relay.config.template_files import load_packaged
from relay.model.incident import Alert, Change, Environment, Incident, Person, Snooze, State, Tag
from relay.rendering.card import render_card
from relay.rendering.context import template_variables
from relay.rendering.library import TemplateLibrary
from relay.rendering.request import Button, RenderRequest
from relay.sandbox.slack.message_content import MessageContent, validate_content
from relay.slack import limits

NASTY = (
    "<!channel>",
    "<!here|x>",
    "@here @channel @everyone",
    "<@U123>",
    "<!subteam^S1>",
    "<https://evil.example|click>",
    "<mailto:a@b.c>",
    "https://evil.example/a?b=c&d=<e>|f",
    "javascript:alert(1)",
    "&amp; &lt;!channel&gt; &#60;",
    "`a` ``` b `` c `",
    "*bold* _it_ ~no~ **",
    "> quote",
    "line\nbreak\r\nand\u2028more",
    "שלום עולם",
    "\u202eevil\u202c",
    "👩‍👩‍👧‍👦🏳️‍🌈👍🏽🇮🇱🇩🇪",
    "e\u0301" * 5,
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢",
    "\U000f0000\U000f0100\U000f0201\U000f0368\U000f02ff\U000f0400",
    "{{ 7 * 7 }}{% raw %}",
    "\x00\x07\x1b[31m",
    "\ud800",
    "   ",
    "a" * 400,
    "&" * 900,
)

words = st.one_of(st.sampled_from(["", *NASTY]), st.text(max_size=20))
texts = st.one_of(words, st.lists(words, max_size=4).map("".join))
long_texts = st.one_of(texts, st.builds(lambda text, times: text * times, texts, st.integers(1, 60)))
moments = st.one_of(st.none(), st.integers(-5, 10**13))
states = st.sampled_from(list(State))
people = st.one_of(st.none(), st.builds(Person, name=texts, email=texts, id=st.just("u1")))
flags = st.booleans()
# Strategies that are made once: to make one in each example costs more than to draw from it.
ALERTS = st.fixed_dictionaries(
    {
        "state": states,
        "primary": st.sampled_from(["host", "service", ""]),
        "secondary": st.sampled_from(["check", ""]),
        "description": long_texts,
        "source": texts,
        "started": moments,
        "tags": st.dictionaries(st.sampled_from(["host", "check", "run-book", "service", "items"]), st.tuples(texts)),
    }
)
CHANGES = st.builds(
    Change,
    id=st.just("c"),
    identifier=texts,
    summary=long_texts,
    url=texts,
    certainty=st.just("SUSPECT"),
    end=moments,
)
INCIDENTS = st.fixed_dictionaries(
    {
        "id": texts.map(lambda text: text or "i"),
        "state": states,
        "reported_status": texts,
        "severity": states,
        "flapping": flags,
        "snooze": st.builds(Snooze, snoozed=flags, wake=moments),
        "started": moments,
        "ended": moments,
        "links": st.fixed_dictionaries({"landing_page": st.one_of(texts, st.just("https://a.example/x"))}),
        "changes": st.lists(CHANGES, max_size=3).map(tuple),
        "assignee": people,
        "title": long_texts,
        "environment": st.builds(Environment, name=texts, id=st.just("e")),
        "sender": people,
    }
)
TAGS = st.lists(st.tuples(texts, long_texts), max_size=9)
ALERT_LISTS = st.lists(ALERTS, max_size=3)


def _alert(number, values):
    return Alert(id=str(number), active=values["state"] is not State.RESOLVED, **values)


def alerts(number):
    return ALERTS.map(lambda values: _alert(number, values))


@st.composite
def incidents(draw, most_alerts=12):
    values, tags, sample = draw(INCIDENTS), draw(TAGS), draw(ALERT_LISTS)
    sample = [_alert(number, each) for number, each in enumerate(sample)]
    many = draw(st.integers(0, most_alerts)) if sample else 0
    return Incident(
        active=values["state"] is not State.RESOLVED,
        alerts=tuple(sample[number % len(sample)] for number in range(many)),
        tags=tuple(Tag(id=f"{number}{name}", name=name, values=(value,)) for number, (name, value) in enumerate(tags)),
        **values,
    )


kinds = st.sampled_from(
    ["status", "comment", "assignment", "snooze", "tags", "alerts", "changes", "resolved", "reopened", "other", "??"]
)
ENTRIES = st.fixed_dictionaries(
    {
        "kind": kinds,
        "at": moments,
        "late": flags,
        "actor": st.one_of(st.none(), texts),
        "old": st.one_of(st.none(), texts, moments),
        "new": st.one_of(st.none(), texts, moments),
        "text": st.one_of(st.none(), long_texts),
        "lasted": st.one_of(st.none(), st.floats(0, 1e9)),
        "joined": st.integers(0, 300),
        "total": st.one_of(st.none(), st.integers(0, 300)),
        "items": st.lists(
            st.fixed_dictionaries(
                dict.fromkeys(
                    ("label", "title", "identifier", "summary", "url", "old", "new", "state", "certainty"), texts
                )
            ),
            max_size=3,
        ),
    }
)


def entries():
    return ENTRIES


PREVIOUS = st.one_of(st.none(), st.fixed_dictionaries({"at": moments, "link": texts}))
MENTIONS = st.lists(st.sampled_from(["S0A", "U0B", "W0C", "here", "channel", "<!everyone>", "x"]), max_size=3).map(
    tuple
)
NOTICES = st.lists(texts, max_size=2).map(tuple)
BUTTONS = (Button(action_id="relay_assign", text="Assign to me", value="i", style="primary"),)


def render_requests(incident=None):
    return st.builds(
        lambda incident, route, previous, mentions, notices: RenderRequest(
            variables=template_variables(incident, route=route, show_tags=("priority",), previous=previous),
            mentions=mentions,
            notices=notices,
            buttons=BUTTONS,
        ),
        incidents() if incident is None else incident,
        texts,
        PREVIOUS,
        MENTIONS,
        NOTICES,
    )


@cache
def packaged():
    return TemplateLibrary({}, load_packaged())


def alert(number, state=State.CRITICAL, **more):
    values = {
        "id": str(number),
        "state": state,
        "active": state is not State.RESOLVED,
        "primary": "host",
        "secondary": "check",
        "description": f"replication lag is {number} %",
        "started": 1649576282,
        "tags": {"host": (f"db-{number}",), "check": ("lag",), "run-book": (f"https://wiki.example/db-{number}",)},
    }
    return Alert(**{**values, **more})


def incident(**more):
    values = {
        "id": "5555",
        "state": State.CRITICAL,
        "reported_status": "Critical",
        "severity": State.CRITICAL,
        "active": True,
        "started": 1649576282,
        "alerts": (alert(117), alert(118), alert(119, State.WARNING)),
        "tags": (
            Tag(id="itd_priority_1", name="priority", values=("P1",)),
            Tag(id="service", name="service", values=("checkout",)),
        ),
        "links": {"landing_page": "https://a.example/5555"},
        "assignee": Person(name="Ann Lee"),
        "title": "db-117 · lag",
        "environment": Environment(name="Production", id="e1"),
        "sender": Person(name="AutoShare"),
    }
    return Incident(**{**values, **more})


def render_request(of=None, **more):
    return RenderRequest(variables=template_variables(of or incident(), show_tags=["priority"]), **more)


def library(**files):
    """A library with these files in its folder `incident`, and the packaged files behind them."""
    return TemplateLibrary({f"incident/{name}.j2": source for name, source in files.items()}, load_packaged())


def card(source, of=None, **more):
    """Render a card from the source of its template."""
    return render_card(library(card=source), "incident", render_request(of, **more))


def blocks(rendered):
    """All blocks of a message, from top to bottom."""
    message = rendered.message
    return [*message.blocks, *(block for attachment in message.attachments for block in attachment["blocks"])]


def made_blocks(source, of=None, **more):
    """The blocks of a card that did not fail."""
    rendered = card(source, of, **more)
    check_message(rendered, more.get("mentions", ()))
    assert rendered.failures == ()
    return blocks(rendered)


def section_text(source, of=None, **more):
    """The text of a card that is a single section."""
    [block] = made_blocks("{% section %}" + source + "{% endsection %}", of, **more)
    return block["text"]["text"]


def shown_text(rendered):
    """The texts of all blocks, one a line."""
    return "\n".join(text for _, text in texts_in(blocks(rendered)))


def texts_in(value):
    """(type, text) of every text object."""
    match value:
        case {"type": "mrkdwn" | "plain_text" as kind, "text": str(text)}:
            yield kind, text
        case dict():
            for part in value.values():
                yield from texts_in(part)
        case list() | tuple():
            for part in value:
                yield from texts_in(part)


MARKUP = re.compile(
    r"<(?:https?://[^\s<>|]+\|[^<>|\n]+|!date\^\d+\^[^<>|^]+\|[^<>|]+|#[CG][A-Z0-9]+"
    r"|(?P<ping>!subteam\^S[A-Z0-9]+|@[UW][A-Z0-9]+|!here|!channel))>"
)


def check_message(rendered, mentions=()):
    """Check that only the mentioned are pinged, only relay's markup is markup, and Slack accepts the message."""
    message = rendered.message
    validate_content(MessageContent(text=message.text, blocks=message.blocks, attachments=message.attachments))
    everything = blocks(rendered)
    assert message.blocks, "Slack would show the notification's text above the bar"
    assert limits.visible_characters(everything) <= limits.ALL_BLOCKS
    assert all(len(attachment["blocks"]) <= limits.ATTACHMENT_BLOCKS for attachment in message.attachments)
    assert len(everything) <= limits.BLOCKS
    assert 0 < len(message.text) <= limits.TEXT
    assert "\n" not in message.text
    pinged = pings_in(message.text)
    assert not pinged
    assert not MARKUP.search(message.text)
    assert is_sound(message.text)
    for kind, text in texts_in(everything):
        assert_sendable(text)
        if kind == "mrkdwn":
            pinged |= pings_in(text)
            assert is_sound(text), text
    assert all(part.get("verbatim") is True for part in _mrkdwn(everything))
    assert pinged == {SIGILS[each[0]] + each for each in mentions if TARGET.fullmatch(each)}


SIGILS = {"S": "!subteam^", "U": "@", "W": "@", "h": "!", "c": "!"}
TARGET = re.compile("[SUW][A-Z0-9]+|here|channel")


def pings_in(text):
    return {match["ping"] for match in MARKUP.finditer(text) if match["ping"]}


def is_sound(text):
    """Whether everything outside of relay's markup is escaped; a line may begin as a quote."""
    bare = re.sub(r"(?m)^> ?", "", MARKUP.sub("", text))
    return not re.search(r"[<>]|&(?!(?:amp|lt|gt);)", bare)


def assert_sendable(text):
    text.encode()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\U000f0000-\U000ffffd]", text)


def _mrkdwn(value):
    match value:
        case {"type": "mrkdwn"}:
            yield value
        case dict():
            yield from _mrkdwn(list(value.values()))
        case list() | tuple():
            for part in value:
                yield from _mrkdwn(part)
