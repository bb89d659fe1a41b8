"""What a reader of the channel sees, and which users and groups a message pings."""

import pytest

from relay.sandbox.slack.apps import Bot
from relay.sandbox.slack.mentions import pings
from relay.sandbox.slack.message_content import MessageContent
from relay.sandbox.slack.server import FakeSlack

BOT = Bot()


def section(text, **more):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, **more}}


def plain(text):
    return {"type": "plain_text", "text": text}


def test_a_card_reads_from_its_headline_to_its_last_line(slack, noc):
    card = MessageContent(
        text="Critical: db-117 (3 alerts)",
        blocks=({"type": "header", "text": plain("🔴 db-117 · lag <b>")}, section("<!subteam^S0000000DBA>")),
        attachments=(
            {
                "color": "#cc0000",
                "blocks": [
                    section("*Critical* · since <!date^1700000000^{time}|03:12 UTC>\n<@U00000000AN> &amp; co"),
                    {"type": "section", "fields": [plain("Priority P1"), plain("Team db")]},
                    {"type": "divider"},
                    {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a graph"},
                    {
                        "type": "actions",
                        "elements": [
                            {"type": "button", "text": plain("Open"), "url": "https://example.com"},
                            {"type": "users_select", "placeholder": plain("Assign to")},
                        ],
                    },
                    {"type": "context", "elements": [plain("shared by"), section("<https://a.b|Auto>")["text"]]},
                ],
            },
        ),
    )
    noc.add_message(card, BOT)
    assert slack.transcript("noc").splitlines() == [
        "relay: 🔴 db-117 · lag <b>",
        "       @db-oncall",
        "       ▌ *Critical* · since 03:12 UTC",
        "       ▌ @ann & co",
        "       ▌ Priority P1",
        "       ▌ Team db",
        "       ▌ ────────",
        "       ▌ (a graph)",
        "       ▌ [Open]  [Assign to]",
        "       ▌ shared by  Auto",
    ]


def test_threads_are_indented_and_broadcast_replies_are_marked(slack, noc):
    first = noc.add_message(MessageContent(text="first"), BOT)
    noc.add_message(MessageContent(text="second"), BOT)
    noc.add_message(MessageContent(text="joined\nand left"), BOT, first.ts)
    noc.add_message(MessageContent(text="reopened"), BOT, first.ts, broadcast=True)
    noc.post("on it", user="U00000000AN", thread_ts=first.ts)
    assert slack.transcript("noc").splitlines() == [
        "relay: first",
        "    ↳ relay: joined",
        "             and left",
        "    ↳ relay (also in the channel): reopened",
        "    ↳ ann: on it",
        "relay: second",
    ]


def test_a_deleted_message_disappears_and_a_root_with_replies_leaves_a_tombstone(slack, noc):
    root, alone = (
        noc.add_message(MessageContent(text="kept by its reply"), BOT),
        noc.add_message(MessageContent(text="gone"), BOT),
    )
    reply = noc.post("where did it go?", user="U0STRANGER", thread_ts=root.ts)
    noc.delete(root.ts)
    noc.delete(alone.ts)
    assert slack.transcript("noc").splitlines() == [
        "(deleted): This message was deleted.",
        "    ↳ U0STRANGER: where did it go?",
    ]
    noc.delete(reply.ts)
    assert slack.transcript("noc") == ""


def test_without_top_level_blocks_the_text_is_above_the_attachment(slack, noc):
    noc.add_message(
        MessageContent(text="see <#C0000000NOC>", attachments=({"color": "good", "text": "*fine*", "title": "t"},)), BOT
    )
    assert slack.text_of(noc.messages[0]) == "see #noc\n▌ t\n▌ *fine*"
    assert slack.transcript("noc").splitlines() == ["relay: see #noc", "       ▌ t", "       ▌ *fine*"]


def test_rich_text_tables_and_markdown_read_as_text(slack, noc):
    inline = [
        {"type": "text", "text": "by "},
        {"type": "user", "user_id": "U00000000AN"},
        {"type": "link", "url": "https://a.b"},
        {"type": "emoji", "name": "eyes"},
        {"type": "broadcast", "range": "here"},
        {"type": "usergroup", "usergroup_id": "S0000000DBA"},
        {"type": "channel", "channel_id": "C0000000NOC"},
        {"type": "date", "timestamp": 1, "format": "{time}", "fallback": "then"},
        {"type": "color", "value": "#fff"},
    ]
    item = {"type": "rich_text_section", "elements": [{"type": "text", "text": "one"}]}
    rich = [
        {"type": "rich_text_section", "elements": inline},
        {"type": "rich_text_list", "style": "bullet", "elements": [item, item]},
        {"type": "rich_text_quote", "elements": [{"type": "text", "text": "said"}]},
    ]
    cells = [{"type": "raw_text", "text": "a"}, {"type": "raw_number", "value": 5}]
    cells.append({"type": "rich_text", "elements": [item]})
    noc.add_message(
        MessageContent(
            blocks=(
                {"type": "rich_text", "elements": rich},
                {"type": "table", "rows": [cells]},
                {"type": "markdown", "text": "# head"},
                {"type": "card", "title": plain("x")},
            )
        ),
        BOT,
    )
    assert slack.transcript("noc").splitlines() == [
        "relay: by @annhttps://a.b:eyes:@here@db-oncall#nocthen(color)",
        "       • one",
        "       • one",
        "       > said",
        "       a | 5 | one",
        "       # head",
        "       (card)",
    ]


@pytest.mark.parametrize(
    ("content", "pinged"),
    [
        (MessageContent(text="<!here> <@U1|ann> <!subteam^S1|@dba> <!here>"), ("U1", "here", "S1")),
        (MessageContent(text="@here and &lt;!channel&gt;"), ()),
        (MessageContent(blocks=(section("<!channel>"),)), ("channel",)),
        (MessageContent(blocks=(section("@everyone, mail me@here.com"),)), ("everyone",)),
        (MessageContent(blocks=(section("@everyone", verbatim=True),)), ()),
        (MessageContent(blocks=(section("<!here>", verbatim=True),)), ("here",)),
        (MessageContent(blocks=({"type": "header", "text": plain("@channel <!channel>")},)), ()),
        (MessageContent(blocks=({"type": "markdown", "text": "<@U1> @here"},)), ("U1",)),
        (MessageContent(attachments=({"blocks": [section("<@U1>")]},)), ("U1",)),
        (
            MessageContent(
                blocks=(
                    {
                        "type": "rich_text",
                        "elements": [
                            {
                                "type": "rich_text_section",
                                "elements": [
                                    {"type": "user", "user_id": "U1"},
                                    {"type": "usergroup", "usergroup_id": "S1"},
                                    {"type": "broadcast", "range": "here"},
                                    {"type": "text", "text": "<!channel>"},
                                ],
                            }
                        ],
                    },
                )
            ),
            ("U1", "S1", "here"),
        ),
    ],
)
def test_a_message_pings_the_users_and_groups_that_slack_would_mention(noc, content, pinged):
    assert set(pings(noc.add_message(content, BOT))) == set(pinged)
    assert len(pings(noc.all_messages[0])) == len(pinged)


@pytest.mark.parametrize(
    ("markup", "shown"),
    [
        ("<https://a.b|label>", "label"),
        ("<https://a.b>", "https://a.b"),
        ("<@U00000000AN|an>", "@an"),
        ("<@U0> <#C0> <!subteam^S0>", "@U0 #C0 @S0"),
        ("<!here> <!channel>", "@here @channel"),
        ("<|x> < > <>", "x   <>"),
        ("&lt;&amp;amp;&gt; a < b", "<&amp;> a < b"),
    ],
)
def test_markup_reads_as_slack_shows_it(slack, noc, markup, shown):
    noc.add_message(MessageContent(text=markup), BOT)
    assert slack.transcript("noc") == f"relay: {shown}"


@pytest.mark.parametrize(
    ("since", "shown"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (12 * 60, "12 minutes ago"),
        (7_200, "2 hours ago"),
        (86_400 * 9, "9 days ago"),
        (-30, "in a moment"),
        (-3_600, "in 1 hour"),
    ],
)
def test_relative_dates_use_the_workspaces_clock(slack, noc, clock, since, shown):
    at = int(clock.now) - since
    noc.add_message(MessageContent(text=f"<!date^{at}^{{time}}|03:12> (<!date^{at}^{{ago}}|03:12>)"), BOT)
    assert slack.transcript("noc") == f"relay: 03:12 ({shown})"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("*Critical* · _two_ ~gone~", "Critical · two gone"),
        ("was *a_b_c* and *x*", "was a_b_c and x"),
        ("2 * 3 * 4, snake_case_name, ~/x ~ y", "2 * 3 * 4, snake_case_name, ~/x ~ y"),
        ("\u034f*not bold\u034f*", "*not bold*"),
        ("*a \u034f* b*", "a * b"),
        ("<https://example.com|*label*>", "label"),
    ],
)
def test_a_transcript_for_people_has_times_and_no_markup(sent, shown):
    slack = FakeSlack(clock=lambda: 1_700_000_000.0)
    channel = slack.add_channel("C0NOC00001", "noc", member=True)
    section = {"type": "section", "text": {"type": "mrkdwn", "text": sent}}
    channel.add_message(MessageContent(text="x", attachments=({"blocks": [section]},)), slack.bot)
    channel.add_message(MessageContent(text=sent), slack.bot)
    lines = slack.transcript("noc", for_people=True).splitlines()
    assert lines[-1] == f"22:13 relay: {shown}"
    assert lines[-2].removeprefix("             ▌ ") == shown
