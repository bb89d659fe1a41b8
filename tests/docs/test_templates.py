"""docs/templates.md says what the code does: its tables are the code's, and its examples render."""

import re
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

import relay
from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.draw import entry_variables, notice_lines
from relay.cards.merge import merge_share
from relay.cards.model import Card, Entry
from relay.cards.notices import ANEW, GONE, REPEAT, STALE, THREAD, THREAD_ONLY, UNNAMED, dated, in_place_of
from relay.config.template_files import load_packaged
from relay.model.entry_kinds import ENTRY_TEMPLATES, EntryKind
from relay.model.reading import read_incident
from relay.rendering.blocks.marks import NodeKind
from relay.rendering.card import render_card
from relay.rendering.context import ALERT_NAMES, CHANGE_NAMES, VARIABLE_NAMES, template_variables
from relay.rendering.engine.filters import FILTERS
from relay.rendering.engine.safe_ops import BOUNDED_FILTERS
from relay.rendering.engine.sandbox import JINJA_FILTERS
from relay.rendering.library import CARD, TemplateLibrary
from relay.rendering.reply import render_reply
from relay.rendering.request import Button, RenderRequest
from relay.routes.evaluate import ChannelFailure
from relay.routes.options import Mention, Options
from tests.support.documents import examples, section, tables, words

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
def scene():
    record = merge_share(None, parse_share(SAMPLE.read_bytes(), {}, 1_700_000_000.0))
    body = orjson.loads(SAMPLE.read_bytes())
    assert body["incident"]["alerts"]
    return RenderRequest(
        variables=template_variables(read_incident(record), route="everything"), mentions=("S0ONCALL",)
    )


@pytest.mark.parametrize("example", examples(PAGE, "jinja"), ids=str)
def test_each_example_has_no_fault_and_renders_without_a_failure(example, packaged, scene):
    name = example.name or "example/card.j2"
    library = TemplateLibrary({name: example.text}, packaged=packaged)
    assert not library.faults()
    folder, _, file = name.partition("/")
    stem = file.removesuffix(".j2")
    if stem == CARD:
        rendered = render_card(library, folder, scene)
    else:
        entry = Entry(seq=1, key="k", kind=EntryKind(stem), at=1_700_000_000.0, data=ENTRIES[EntryKind(stem)])
        rendered = render_reply(library, folder, scene, [entry_variables(entry, 1_700_000_010.0)])
    assert not rendered.failures
    assert not rendered.builtin
    assert rendered.message.text


def test_the_example_that_changes_a_part_keeps_the_rest(packaged, scene):
    example = next(each for each in examples(PAGE, "jinja") if "extends" in each.text)
    rendered = render_card(TemplateLibrary({example.name: example.text}, packaged=packaged), "payments", scene)
    told = orjson.dumps(rendered.message.payload()).decode()
    assert "Payments: Evyatar-11" in told
    assert "cluster modiin-prod" in told
    assert "CPU is 98%" in told
    assert "S0ONCALL" in told


def test_the_parts_that_can_be_changed_are_those_of_the_packaged_card(packaged):
    text = section(PAGE, "## Folders and files")
    listed = re.search(r"the parts are\n(.*?)\.\n", text, re.DOTALL)[1]
    blocks = re.findall(r"\{% block (\w+)", packaged["incident/card.j2"])
    assert re.findall(r"`(\w+)`", listed) == blocks


def test_the_table_of_files_is_the_codes():
    [table] = tables(PAGE, "## Folders and files")
    assert words(table) == [CARD, *ENTRY_TEMPLATES]


def test_the_table_of_tags_is_the_codes():
    [table] = tables(PAGE, "## Tags")
    assert set(words(table)) == {kind.value for kind in NodeKind} - {"argument", "slot"}
    assert len(table) == len(set(words(table)))


def test_the_table_of_filters_is_the_codes():
    [table] = tables(PAGE, "## Filters")
    assert set(words(table)) == set(FILTERS)
    listed = section(PAGE, "## Filters").partition("these are there:")[2].partition("Everything")[0]
    assert re.findall(r"`(\w+)`", listed) == sorted(JINJA_FILTERS | BOUNDED_FILTERS.keys())


def test_the_tables_of_variables_are_the_codes():
    def named(heading):
        [table] = tables(PAGE, heading)
        return set(words(table))

    assert named("### `incident`") == VARIABLE_NAMES["incident"]
    assert named("### An alert") == ALERT_NAMES
    assert named("### A related change") == CHANGE_NAMES
    assert named("### People") == VARIABLE_NAMES["sender"]
    assert named("### The rest") | {"incident", "tags"} == set(VARIABLE_NAMES)


def test_what_variables_hold_is_named_where_it_is_little():
    [table] = tables(PAGE, "### The rest")
    told = {word: row[1] for word, row in zip(words(table), table, strict=True)}
    assert all(f"`{name}`" in told["environment"] for name in VARIABLE_NAMES["environment"])
    assert all(f"previous.{name}" in told["previous"] for name in VARIABLE_NAMES["previous"])


def test_what_a_tag_has_is_named(scene):
    told = section(PAGE, "### `tags`")
    [tag, *_] = scene.variables["tags"].shown
    assert all(f"`{name}`" in told for name in vars(tag))


def test_the_table_of_what_an_entry_has_is_the_codes():
    [table] = tables(PAGE, "### `entry`")
    entry = Entry(seq=1, key="k", kind=EntryKind.OTHER, at=0.0)
    assert set(words(table)) == set(entry_variables(entry, 0.0))


def test_the_table_of_notices_is_the_codes():
    [table] = tables(PAGE, "## What relay adds")
    written, lacks = "#inc-{{ tags.team }}", "the incident has no tag team"
    unnamed = ChannelFailure(route="a", source=written, reason=lacks, options=Options(), mention=Mention())
    notices = (
        REPEAT,
        ANEW,
        THREAD_ONLY,
        in_place_of("C1", "#payments", "channel_archived"),
        in_place_of("C1", "#payments", "blocks_invalid"),
        in_place_of("C1", "#payments", "thread_locked", THREAD),
        in_place_of("C1", "#payments", "in_doubt: missing_scope"),
        f"{UNNAMED}|{unnamed.description}",
        dated(STALE, 0),
        dated(GONE, 0),
    )
    card = Card(incident="i", episode=1, channel="C1", notices=notices, options=Options())
    assert [row[0] for row in table] == list(notice_lines(card, lambda _moment: "…"))


def test_a_card_with_one_of_relays_buttons_has_them_where_its_template_says(packaged, scene):
    [example] = [each for each in examples(PAGE, "jinja") if "relay_actions %}{% button" in each.text]
    pressed = replace(scene, buttons=(Button(action_id="relay_assign", text="Assign to me", value="i1"),))
    for source, shown in ((example.text, True), (example.text.replace("{% relay_actions %}", ""), False)):
        library = TemplateLibrary({example.name: source}, packaged=packaged)
        told = orjson.dumps(render_card(library, "payments", pressed).message.payload()).decode()
        assert ("relay_assign" in told) is shown
        assert "Open in BigPanda" in told
