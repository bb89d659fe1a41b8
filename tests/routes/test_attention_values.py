"""The values that decide when relay posts and pings: what the file may contain, and the text of each fault."""

import re
from datetime import UTC, date, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from relay.model.incident import State
from relay.routes.channel_template import FixedChannel
from relay.routes.hour_types import SILENT_HOURS
from relay.routes.hours import Hours, SilentHours
from relay.routes.key_types import KeyType
from relay.routes.mention import Mention
from relay.routes.mutes import MUTES, MutePolicy
from relay.routes.parser.parse import parse_rulebook
from relay.routes.remind import NO_REMIND, REMIND, Remind, Then
from relay.routes.storm import NO_STORM, STORM, Storm
from relay.routes.summary import SUMMARIES, Slot, Summary
from relay.routes.yaml_reader.context import ParseContext
from relay.routes.yaml_reader.parse import parse_yaml
from relay.tools.schema import schema
from tests.support import editor_yaml

NOC = FixedChannel(source="noc", ref="C0NOC00001")
BERLIN = "Europe/Berlin"


def context() -> ParseContext:
    made = ParseContext(file="routes.yaml", channels={"noc": NOC}, people={"ops": "S0OPS00001"})
    made.hours, made.zone = ("night", "office", "holidays"), BERLIN
    return made


def read(key_type: KeyType, written: str):
    """The value, or the faults, each with its column."""
    state = context()
    node = parse_yaml(written, state)
    value = key_type.read(node, state)
    return [f"{fault.column}: {fault.message}" for fault in state.faults] or value


def editors_accept(key_type: KeyType, written: str) -> bool:
    validator = Draft202012Validator({**key_type.schema, "$defs": schema()["$defs"]})
    return not list(validator.iter_errors(editor_yaml.read(written)))


ACCEPTED = [
    (STORM, "{}", Storm()),
    (STORM, "{over: 12, within: 10m, by: service, x-why: they asked}", Storm(over=12, within=600.0, by="service")),
    (STORM, '{over: "012"}', Storm(over=12)),
    (STORM, "off", NO_STORM),
    (REMIND, "off", NO_REMIND),
    (REMIND, "{after: 15m}", Remind(after=900.0)),
    (
        REMIND,
        "{after: 15m, every: 30m, times: 3, state: warning, then: {channel: noc, mention: {any: [ops, here]}}}",
        Remind(
            after=900.0, every=1800.0, times=3, state=State.WARNING,
            then=Then(channel=NOC, mention=Mention.of({"any": ("S0OPS00001", "here")})),
        ),
    ),
    (MUTES, "{}", MutePolicy()),
    (MUTES, "{actors: [ops], max: 24h}", MutePolicy(actors=("S0OPS00001",), max=86400.0)),
    (SUMMARIES, "[]", ()),
    (
        SUMMARIES,
        ("[{title: Morning, channel: noc, at: 9:00, days: [mon-fri], except: [holidays]}, "
        "{title: M, channel: noc, at: 18:30, zone: UTC, always: true}]"),
        (
            Summary(title="Morning", channel=NOC, at=540, zone=BERLIN, days=(0, 1, 2, 3, 4), minus=("holidays",)),
            Summary(title="M", channel=NOC, at=1110, zone="UTC", always=True),
        ),
    ),
    (SILENT_HOURS, "[]", SilentHours()),
    (SILENT_HOURS, "[night, office]", SilentHours(during=("night", "office"))),
    (SILENT_HOURS, "{outside: [office]}", SilentHours(outside=("office",))),
    (
        SILENT_HOURS,
        "{during: [night], outside: [office], unless: never}",
        SilentHours(during=("night",), outside=("office",), unless=None),
    ),
    (SILENT_HOURS, "{during: [night], unless: warning}", SilentHours(during=("night",), unless=State.WARNING)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("key_type", "written", "value"), ACCEPTED, ids=lambda each: each if isinstance(each, str) else ""
)
def test_a_value_is_parsed_as_intended_and_the_schema_accepts_it(key_type, written, value):
    assert read(key_type, written) == value
    assert editors_accept(key_type, written)


TYPES = {"storm": STORM, "remind": REMIND, "mutes": MUTES, "summaries": SUMMARIES, "quiet": SILENT_HOURS}
REJECTED = r"""
storm: 30
    1: expected a mapping such as {over: 30, within: 5m}, or off, found '30'
storm: {over: 0}
    8: expected a number from 1 to 1000, found '0'
storm: {within: 30s}
    10: expected a duration of at least 1m, found '30s'
storm: {ovr: 3}
    2: unknown key 'ovr' in storm; did you mean 'over'?
remind: 15m
    1: expected a mapping such as {after: 15m, every: 30m, times: 3}, or off, found '15m'
remind: {every: 1h}
    1: missing key 'after' in remind; write {after: 15m, every: 30m, times: 3}
remind: {after: 5m, times: 2}
    1: missing key 'every' in remind: when do the next reminders come? write {after: 15m, every: 30m, times: 3}
remind: {after: 5m, every: 1m, times: 21}
    31: expected a number from 1 to 20, found '21'
remind: {after: 5m, every: 59s}
    20: expected a duration of at least 1m, found '59s'
remind: {after: 5m, state: resolved}
    20: unknown value 'resolved'; expected one of: critical, warning, unknown
remind: {after: 5m, then: noc}
    19: expected a mapping such as {channel: managers, mention: {any: [S0123456789]}}, found 'noc'
remind: {after: 5m, then: {mention: {}}}
    19: missing key 'channel' in then; write {channel: managers, mention: {any: [S0123456789]}}
remind: {after: 5m, then: {channel: nok}}
    29: unknown channel 'nok'; did you mean 'noc'?
remind: {after: 5m, then: {channel: noc, quiet: []}}
    34: unknown key 'quiet' in then; expected one of: channel, mention
mutes: {max: 8d}
    7: expected a duration from 1m to 168h, found '8d'
mutes: {actors: [U0ANN00001]}
    11: expected an alias from people, or the id of a user group (S...), found 'U0ANN00001'
summaries: {title: M}
    1: expected a list of summaries, found a mapping
summaries: [{title: M, channel: noc}]
    2: missing key 'at' in summary; write {title: Morning, channel: noc, at: "09:00"}
summaries: [{title: M, channel: noc, at: "24:00"}]
    31: a day has no moment 24:00; write "00:00", on the next day
summaries: [{title: "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM", channel: noc, at: "9:00"}]
    10: expected a title of at most 60 characters, found 61
summaries: [{title: M, channel: noc, at: 9:00}, {title: M, channel: noc, at: 10:00}]
    38: there is a summary 'M' for this channel already; give it another title
quiet: night
    1: expected a list of hours such as [night], or {during: [night], unless: critical}, found 'night'; write [night]
quiet: off
    1: expected a list of hours such as [night], or {during: [night], unless: critical}, found 'off'; for none write []
quiet: [nigth]
    2: unknown hours 'nigth'; did you mean 'night'?
quiet: {unless: never}
    1: expected 'during' or 'outside', found neither; write {during: [night]}
quiet: {durng: [night]}
    2: unknown key 'durng' in these hours; did you mean 'during'?
quiet: {during: [night], unless: resolved}
    27: unknown value 'resolved'; expected one of: critical, warning, acknowledged, never
"""
"""A faulty value and, below it, the column (of the value) and the message of its only fault."""


@pytest.mark.parametrize("example", re.split(r"\n(?=\S)", REJECTED.strip()))
def test_a_fault_says_what_was_expected_and_what_to_write(example):
    value, _, message = example.partition("\n")
    key, _, written = value.partition(": ")
    assert read(TYPES[key], written) == [message.strip()]


VALUES = st.one_of(
    st.builds(
        Storm, over=st.integers(1, 1000), within=st.integers(60, 10**6).map(float), by=st.sampled_from(["", "service"])
    ).map(lambda each: (STORM, each)),
    st.just((STORM, NO_STORM)),
    st.builds(
        Remind,
        after=st.integers(60, 10**6).map(float),
        every=st.integers(60, 10**6).map(float),
        times=st.integers(1, 20),
        state=st.sampled_from([State.CRITICAL, State.WARNING, State.UNKNOWN]),
        then=st.sampled_from([None, Then(channel=NOC), Then(channel=NOC, mention=Mention.of({"any": ("here",)}))]),
    ).map(lambda each: (REMIND, each)),
    st.just((REMIND, NO_REMIND)),
    st.builds(
        SilentHours,
        during=st.sampled_from([(), ("night",), ("night", "office")]),
        outside=st.sampled_from([("office",), ("office", "holidays")]),
        unless=st.sampled_from([None, State.CRITICAL, State.WARNING]),
    ).map(lambda each: (SILENT_HOURS, each)),
)  # fmt: skip


@given(VALUES)
@example((REMIND, Remind()))
@example((STORM, Storm()))
def test_printed_values_can_be_parsed_and_stored_values_can_be_read(typed):
    key_type, value = typed
    assert read(key_type, key_type.as_yaml(value)) == value
    assert key_type.from_json(key_type.as_json(value)) == value


# --- the moments of a summary ---


def slots(after: str, until: str, hours: dict[str, Hours] | None = None, **values) -> list[Slot]:
    summary = Summary(**{"title": "M", "channel": NOC, "at": 540, "zone": BERLIN, **values})
    start, end = (datetime.fromisoformat(each).replace(tzinfo=UTC).timestamp() for each in (after, until))
    return [
        (datetime.fromtimestamp(slot.at, UTC).strftime("%m-%d %H:%M"), slot.day.isoformat())
        for slot in summary.slots(start, end, hours or {})
    ]


def test_a_summary_has_one_slot_on_each_of_its_days():
    assert slots("2026-06-05 07:00", "2026-06-09 07:00", days=(0, 1, 2, 3, 4)) == [
        ("06-08 07:00", "2026-06-08"),
        ("06-09 07:00", "2026-06-09"),
    ]
    assert slots("2026-06-05 06:59", "2026-06-05 07:00") == [("06-05 07:00", "2026-06-05")]


def test_a_repeated_time_is_one_slot_and_a_skipped_time_is_the_moment_of_the_change():
    assert slots("2026-10-24 12:00", "2026-10-25 12:00", at=150) == [("10-25 00:30", "2026-10-25")]
    assert slots("2026-03-28 12:00", "2026-03-29 12:00", at=150) == [("03-29 01:00", "2026-03-29")]


def test_a_summary_skips_its_excepted_hours():
    hours = dict(
        parse_rulebook("version: 1\nzone: Europe/Berlin\nhours: {holidays: {dates: [2026-12-25]}}\nroutes: []").hours
    )
    assert [day for _, day in slots("2026-12-24 00:00", "2026-12-26 12:00", hours, minus=("holidays", "gone"))] == [
        date(2026, 12, 24).isoformat(),
        date(2026, 12, 26).isoformat(),
    ]
