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

words = st.one_of(st.text(max_size=30), st.sampled_from(NASTY), st.just(""))
texts = st.lists(words, max_size=4).map("".join)
long_texts = st.one_of(texts, st.builds(lambda text, times: text * times, texts, st.integers(1, 60)))
moments = st.one_of(st.none(), st.integers(-5, 10**13))
states = st.sampled_from(list(State))
people = st.one_of(st.none(), st.builds(Person, name=texts, email=texts, id=st.just("u1")))


@st.composite
def alerts(draw, number):
    state = draw(states)
    return Alert(
        id=str(number),
        state=state,
        active=state is not State.RESOLVED,
        primary=draw(st.sampled_from(["host", "service", ""])),
        secondary=draw(st.sampled_from(["check", ""])),
        description=draw(long_texts),
        source=draw(texts),
        started=draw(moments),
        tags={
            name: (draw(texts),)
            for name in draw(st.sets(st.sampled_from(["host", "check", "run-book", "service", "items"])))
        },
    )


@st.composite
def incidents(draw, most_alerts=12):
    state = draw(states)
    names = draw(st.lists(texts, max_size=9))
    sample = [draw(alerts(number)) for number in range(draw(st.integers(0, 3)))]
    many = draw(st.integers(0, most_alerts)) if sample else 0
    return Incident(
        id=draw(texts) or "i",
        state=state,
        reported_status=draw(texts),
        severity=draw(states),
        active=state is not State.RESOLVED,
        flapping=draw(st.booleans()),
        snooze=Snooze(snoozed=draw(st.booleans()), wake=draw(moments)),
        started=draw(moments),
        ended=draw(moments),
        alerts=tuple(sample[number % len(sample)] for number in range(many)),
        tags=tuple(
            Tag(id=f"{number}{name}", name=name, values=(draw(long_texts),)) for number, name in enumerate(names)
        ),
        links={"landing_page": draw(st.one_of(texts, st.just("https://a.example/x")))},
        changes=tuple(
            Change(
                id="c",
                identifier=draw(texts),
                summary=draw(long_texts),
                url=draw(texts),
                certainty="SUSPECT",
                end=draw(moments),
            )
            for _ in range(draw(st.integers(0, 3)))
        ),
        assignee=draw(people),
        title=draw(long_texts),
        environment=Environment(name=draw(texts), id="e"),
        sender=draw(people),
    )


kinds = st.sampled_from(
    ["status", "comment", "assignment", "snooze", "tags", "alerts", "changes", "resolved", "reopened", "other", "??"]
)


@st.composite
def entries(draw):
    names = ("label", "title", "identifier", "summary", "url", "old", "new", "state", "certainty")
    return {
        "kind": draw(kinds),
        "at": draw(moments),
        "late": draw(st.booleans()),
        "actor": draw(st.one_of(st.none(), texts)),
        "old": draw(st.one_of(st.none(), texts, moments)),
        "new": draw(st.one_of(st.none(), texts, moments)),
        "text": draw(st.one_of(st.none(), long_texts)),
        "lasted": draw(st.one_of(st.none(), st.floats(0, 1e9))),
        "joined": draw(st.integers(0, 300)),
        "total": draw(st.one_of(st.none(), st.integers(0, 300))),
        "items": [{name: draw(texts) for name in names} for _ in range(draw(st.integers(0, 3)))],
    }


@st.composite
def render_requests(draw, incident=None):
    return RenderRequest(
        variables=template_variables(
            draw(incident if incident is not None else incidents()),
            route=draw(texts),
            show_tags=("priority",),
            previous=draw(st.one_of(st.none(), st.fixed_dictionaries({"at": moments, "link": texts}))),
        ),
        mentions=draw(
            st.lists(st.sampled_from(["S0A", "U0B", "W0C", "here", "channel", "<!everyone>", "x"]), max_size=3).map(
                tuple
            )
        ),
        notices=draw(st.lists(texts, max_size=2).map(tuple)),
        buttons=(Button(action_id="relay_assign", text="Assign to me", value="i", style="primary"),),
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
