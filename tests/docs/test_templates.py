"""docs/templates.md describes the code: its tables equal the tables in the code, and its examples render."""

import re
from pathlib import Path

import orjson
import pytest

import relay
from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.bulletins import BulletinKind, LineEnd
from relay.cards.draw import entry_variables, notice_lines
from relay.cards.merge import merge_share
from relay.cards.model import Card, Entry
from relay.cards.notices import MAY_REPEAT, NO_EDITS, REPOSTED, Notice, NoticeKind
from relay.config.template_files import load_packaged
from relay.model.entry_kinds import ENTRY_TEMPLATES, EntryKind
from relay.model.reading import read_incident
from relay.model.struct import replace
from relay.rendering.blocks.tags import BLOCK_TAGS
from relay.rendering.card import render_card
from relay.rendering.context import (
    ALERT_NAMES,
    BULLETIN_NAMES,
    CHANGE_NAMES,
    COUNT_NAMES,
    ENTRY_NAMES,
    ITEM_NAMES,
    LINE_NAMES,
    VARIABLE_NAMES,
    template_variables,
)
from relay.rendering.engine.safe_ops import BOUNDED_FILTERS
from relay.rendering.engine.sandbox import JINJA_FILTERS
from relay.rendering.library import BATCH, BULLETINS, CARD, LINE, PING, TemplateLibrary
from relay.rendering.reply import render_reply
from relay.rendering.request import Button, RenderRequest
from relay.routes.evaluate import ChannelFailure
from relay.routes.options import Options
from tests.support.documents import check_rows, examples, section, tables, words

PAGE = "templates.md"
SAMPLE = Path(relay.__file__).parent / "samples" / "documented-sample.json"
ENTRIES = {
    EntryKind.COMMENT: {"actor": "Dana", "text": "see https://wiki.example.com/x\nand <!channel>"},
    EntryKind.STATUS: {"old": "critical", "new": "warning"},
    EntryKind.RESOLVED: {
        "old": "critical",
        "actor": "Dana",
        "text": "failed over",
        "lasted": 600.0,
        "worst": "critical",
    },
    EntryKind.SNOOZE: {"old": None, "new": 1_700_003_600, "snoozed": True, "actor": "Dana"},
    EntryKind.TAGS: {"items": [{"label": "Team", "old": "a", "new": "b"}, {"label": "Owner", "old": "c", "new": ""}]},
}


@pytest.fixture(scope="module")
def packaged():
    return load_packaged()


@pytest.fixture(scope="module")
def request_for_sample():
    record = merge_share(None, parse_share(SAMPLE.read_bytes(), {}, 1_700_000_000.0))
    body = orjson.loads(SAMPLE.read_bytes())
    assert body["incident"]["alerts"]
    return RenderRequest(
        variables=template_variables(read_incident(record), route="everything"), mentions=("S0ONCALL",)
    )


@pytest.mark.parametrize("example", examples(PAGE, "jinja"), ids=str)
def test_each_example_has_no_faults_and_renders(example, packaged, request_for_sample):
    name = example.name or "example/card.j2"
    library = TemplateLibrary({name: example.text}, packaged=packaged)
    assert not library.faults()
    folder, _, file = name.partition("/")
    stem = file.removesuffix(".j2")
    if stem == CARD:
        rendered = render_card(library, folder, request_for_sample)
    else:
        entry = Entry(seq=1, key="k", kind=EntryKind(stem), at=1_700_000_000.0, data=ENTRIES[EntryKind(stem)])
        rendered = render_reply(library, folder, request_for_sample, [entry_variables(entry, 1_700_000_010.0)])
    assert not rendered.failures
    assert not rendered.builtin
    assert rendered.message.text


def test_a_template_that_extends_the_packaged_card_keeps_its_other_blocks(packaged, request_for_sample):
    example = next(each for each in examples(PAGE, "jinja") if "extends" in each.text)
    rendered = render_card(
        TemplateLibrary({example.name: example.text}, packaged=packaged), "payments", request_for_sample
    )
    text = orjson.dumps(rendered.message.payload()).decode()
    assert "Payments: Evyatar-11" in text
    assert "cluster modiin-prod" in text
    assert "CPU is 98%" in text
    assert "S0ONCALL" in text


def test_the_listed_blocks_are_those_of_the_packaged_card(packaged):
    text = section(PAGE, "## Folders and files")
    listed = re.search(r"Its blocks are\n(.*?)\.\n", text, re.DOTALL)[1]
    blocks = re.findall(r"\{% block (\w+)", packaged["incident/card.j2"])
    assert re.findall(r"`(\w+)`", listed) == blocks


def test_the_table_of_files_lists_every_file_that_relay_renders():
    cards, bulletins = tables(PAGE, "## Folders and files")
    check_rows("docs/templates.md (Folders and files)", words(cards), [CARD, *ENTRY_TEMPLATES])
    check_rows("docs/templates.md (Folders and files)", words(bulletins), [*BULLETINS, LINE, PING, BATCH])


def test_the_table_of_bulletins_has_the_names_that_the_lint_knows():
    [table] = tables(PAGE, "### `bulletin` and `line`")
    named = {name for row in table for name in re.findall(r"`(?:bulletin|line)\.(\w+)`", row[0])}
    assert named | {"unowned", "owned"} == BULLETIN_NAMES | LINE_NAMES
    [counts] = (row[1] for row in table if row[0] == "`bulletin.counts`")
    assert set(re.findall(r"`(\w+)`", counts)) == COUNT_NAMES


def test_the_kinds_of_bulletins_and_the_ends_of_their_lines_have_templates_and_counts():
    check_rows("BULLETINS in relay/rendering/library.py", BULLETINS, map(str, BulletinKind))
    assert {"all", "open", *map(str, LineEnd)} == COUNT_NAMES


def test_the_tags_without_an_end_are_listed():
    listed = section(PAGE, "## Tags").partition("\n\n`divider`")[1:]
    without_end = {name for name, kind in BLOCK_TAGS.items() if not kind.value.has_end}
    assert set(re.findall(r"`(\w+)`", "".join(listed).partition("have no end tag")[0])) == without_end


def test_the_filters_of_jinja_are_listed():
    listed = section(PAGE, "## Filters").partition("are available:")[2].partition("Everything")[0]
    assert re.findall(r"`(\w+)`", listed) == sorted(JINJA_FILTERS | BOUNDED_FILTERS.keys())


def test_the_tables_of_variables_list_every_name():
    def named(heading):
        [table] = tables(PAGE, heading)
        return set(words(table))

    assert named("### `incident`") == VARIABLE_NAMES["incident"]
    assert named("### An alert") == ALERT_NAMES
    assert named("### A related change") == CHANGE_NAMES
    assert named("### People") == VARIABLE_NAMES["sender"]
    assert named("### Other variables") | {"incident", "tags"} == set(VARIABLE_NAMES)


def test_the_names_of_small_variables_are_listed():
    [table] = tables(PAGE, "### Other variables")
    holds = {word: row[1] for word, row in zip(words(table), table, strict=True)}
    assert all(f"`{name}`" in holds["environment"] for name in VARIABLE_NAMES["environment"])
    assert all(f"previous.{name}" in holds["previous"] for name in VARIABLE_NAMES["previous"])


def test_the_names_of_a_tag_are_listed(request_for_sample):
    text = section(PAGE, "### `tags`")
    [tag, *_] = request_for_sample.variables["tags"].shown
    assert all(f"`{name}`" in text for name in vars(tag))


def test_the_table_of_the_entry_lists_every_name():
    table, _ = tables(PAGE, "### `entry`")
    entry = Entry(seq=1, key="k", kind=EntryKind.OTHER, at=0.0)
    assert set(words(table)) == set(entry_variables(entry, 0.0))


def test_every_name_of_an_entry_and_its_items_is_documented():
    internal = {"flapped", "posted_in", "while_flapping"}
    documented = set(re.findall(r"`(\w+)`", section(PAGE, "### `entry`") + section(PAGE, "### A related change")))
    assert (ENTRY_NAMES | ITEM_NAMES) - internal <= documented


def test_the_table_of_notices_lists_every_notice():
    [table] = tables(PAGE, "## Notices")
    source, reason = "#inc-{{ tags.team }}", "the incident has no tag team"
    unnamed = ChannelFailure(route="a", source=source, reason=reason, options=Options())
    notices = (
        MAY_REPEAT,
        REPOSTED,
        replace(REPOSTED, reason="message_not_ours"),
        NO_EDITS,
        Notice(kind=NoticeKind.FOR_CARD, name="#payments", reason="channel_archived"),
        Notice(kind=NoticeKind.FOR_CARD, name="#payments", reason="blocks_invalid"),
        Notice(kind=NoticeKind.FOR_THREAD, name="#payments", reason="thread_locked"),
        Notice(kind=NoticeKind.FOR_CARD, name="#payments", reason="in_doubt: missing_scope"),
        Notice(kind=NoticeKind.UNNAMED, reason=unnamed.description),
        Notice(kind=NoticeKind.STALE),
        Notice(kind=NoticeKind.ESCALATED, name="#db"),
        Notice(kind=NoticeKind.GONE),
    )
    card = Card(incident="i", episode=1, channel="C1", notices=notices, options=Options())
    assert [row[0] for row in table] == list(notice_lines(card, moment=lambda _moment: "…"))


def test_relays_buttons_appear_only_where_the_template_has_its_tag(packaged, request_for_sample):
    [example] = [
        each
        for each in examples(PAGE, "jinja")
        if "relay_actions %}{% button" in each.text and each.name == "payments/card.j2"
    ]
    request_with_button = replace(
        request_for_sample, buttons=(Button(action_id="relay_assign", text="Assign to me", value="i1"),)
    )
    for source, shown in ((example.text, True), (example.text.replace("{% relay_actions %}", ""), False)):
        library = TemplateLibrary({example.name: source}, packaged=packaged)
        text = orjson.dumps(render_card(library, "payments", request_with_button).message.payload()).decode()
        assert ("relay_assign" in text) is shown
        assert "Open in BigPanda" in text
