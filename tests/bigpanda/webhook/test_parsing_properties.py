"""For every body, relay accepts it or says why not; an accepted share can be merged, read and stored."""

import copy
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

import relay
from relay.bigpanda.webhook.parsing import parse_identified, parse_share
from relay.bigpanda.webhook.share import Share
from relay.model.errors import ShareError
from relay.model.reading import derive_title, read_incident
from relay.model.record import Block, Record
from tests.support.store_samples import received

SAMPLE = (Path(relay.__file__).parent / "samples" / "documented-sample.json").read_bytes()
RECEIVED = 1_700_000_000.0
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\U000f0000-\U000ffffd]")
EDITED = (
    '{"metadata": {"assignee": {"name": "Ann", "userId": "u1"}, "assigner": "Lead", '
    '"comment": {"comment": "looked at it", "environment": "All"}}}'
)
BODY = json.loads(SAMPLE)
BODY["metadata"] |= json.loads(EDITED)["metadata"]

few = settings(max_examples=100)


def parsed(body: object) -> Share:
    return parse_share(orjson.dumps(body), {}, RECEIVED)


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from (key, *strings(each))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from strings(each)


def check(share: Share) -> None:
    """Assert what is true of every parsed share."""
    check_content(share)
    assert parse_share(share.body, share.headers, share.received) == share, "the kept body is the share"
    assert parse_identified(received(share)) == share


def check_content(share: Share) -> None:
    blocks = {name: Block(as_of=share.as_of, value=value) for name, value in share.blocks.items()}
    incident = read_incident(Record(incident=share.incident, blocks=blocks))
    assert len({alert.id for alert in incident.alerts}) == len(incident.alerts)
    assert derive_title(incident)[0]
    assert orjson.loads(orjson.dumps(share.blocks)) == share.blocks, "a record is written down as it is"
    assert share.as_of <= RECEIVED + 300
    names = [share.incident, share.comment or "", *(event.name for event in share.events), *strings(dict(share.blocks))]
    assert not FORBIDDEN.search("\n".join(names))


# ------------------------------------------------------------ any bytes


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(
        ["", " ", "{{incident.x}}", "2022-04-10", "1649576282", "9" * 400, "\ud83d", "\U000f0000", "\x00"]
    )
)
KEYS = """
    incident id status alerts primaryAlert tags incidentTags links href rel value name metadata comment sender assignee
    event_types event time snooze wake snoozed relatedChanges change startedOn changedOn environment resolved active
"""
keys = st.sampled_from(KEYS.split()) | st.text(max_size=5)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


def assert_parsed_or_rejected(body: bytes) -> None:
    try:
        share = parse_share(body, {}, RECEIVED)
    except ShareError:
        return
    check(share)


@few
@given(st.binary(max_size=200))
@example(b"")
@example(b"\xff\xfe\x00\xd8")
@example(b'{"id":1' + b"0" * 30 + b"}")
def test_any_bytes_are_a_share_or_rejected(body):
    assert_parsed_or_rejected(body)


@few
@given(
    st.integers(0, len(SAMPLE)),
    st.integers(0, 30),
    st.binary(max_size=6) | st.sampled_from([b"\\", b'"', b"\\ud83d", b"\xf3\xb0"]),
)
def test_an_overwritten_sample_is_a_share_or_rejected(start, length, inserted):
    assert_parsed_or_rejected(SAMPLE[:start] + inserted + SAMPLE[start + length :])


@few
@given(anything)
@example(float("inf"))
@example("\ud83d")
def test_any_json_is_a_share_or_rejected(tree):
    assert_parsed_or_rejected(json.dumps(tree).encode())


@few
@given(st.dictionaries(keys, anything, max_size=5), st.dictionaries(keys, anything, max_size=5))
def test_any_json_around_an_id_is_a_share(incident, beside):
    body = beside | {"incident": incident | {"id": "i1"}}

    check(parse_share(json.dumps(body).encode(), {}, RECEIVED))


# ------------------------------------------------------------ the mutated sample


WRONG = [
    None, True, False, 0, -1, 1.5, 2**63, 1e300, "", " ", "x", "{{incident.x}}", "9" * 400, "2022-04-10",
    [], {}, [None], [[]], [{}], {"a": 1}, {"id": "x"}, {"": ""}, ["x", 5, {"value": None}],
]  # fmt: skip


def paths(tree: object, path: tuple = ()) -> Iterator[tuple]:
    """Yield the path of every value in a tree, except the incident's id and the objects around it."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        here = (*path, key)
        if here not in {("incident",), ("incident", "id")}:
            yield here
        yield from paths(value, here)


PLACES = list(paths(BODY))


def parent(tree: object, path: tuple) -> object:
    for key in path[:-1]:
        tree = tree[key]
    return tree


def test_the_sample_without_one_part_is_still_a_share():
    for path in PLACES:
        body = copy.deepcopy(BODY)
        del parent(body, path)[path[-1]]
        check(parsed(body))


def test_the_sample_with_a_wrong_value_anywhere_is_still_a_share():
    body = copy.deepcopy(BODY)
    for number, path in enumerate(PLACES):
        around, key = parent(body, path), path[-1]
        right = around[key]
        for value in WRONG:
            around[key] = value
            share = parsed(body)
            check_content(share)
            assert share.incident == BODY["incident"]["id"]
        around[key] = WRONG[number % len(WRONG)]
        check(parsed(body))
        around[key] = right
    assert body == BODY


def test_a_wrong_value_changes_no_other_block():
    whole = parsed(BODY).blocks
    for name, blocks in {
        "status": {"state"},
        "alerts": {"alerts"},
        "snooze": {"snooze"},
        "startedOn": {"started"},
    }.items():
        body = copy.deepcopy(BODY)
        body["incident"][name] = -5.5
        blocks_found = parsed(body).blocks
        assert {block for block in whole if blocks_found.get(block) != whole[block]} == blocks


def test_every_optional_part_may_move_into_the_incident():
    whole = parsed(BODY)
    for name in [name for name in BODY if name != "incident"]:
        body = copy.deepcopy(BODY)
        body["incident"][name] = body.pop(name)
        assert content_of(parsed(body)) == content_of(whole)


def test_every_part_of_the_incident_except_its_id_may_move_out():
    for name in [name for name in BODY["incident"] if name != "id"]:
        body = copy.deepcopy(BODY)
        body[name] = body["incident"].pop(name)
        check(parsed(body))


def test_the_sample_without_its_wrapper_says_the_same():
    body = copy.deepcopy(BODY)
    body |= body.pop("incident")

    assert content_of(parsed(body)) == content_of(parsed(BODY))


def test_the_sample_in_snake_case_says_the_same():
    assert content_of(parsed(renamed(BODY, snake))) == content_of(parsed(BODY))


def test_the_sample_in_camel_case_says_the_same():
    assert content_of(parsed(renamed(BODY, camel))) == content_of(parsed(BODY))


def content_of(share: Share) -> dict:
    return {name: getattr(share, name) for name in Share.__slots__ if name not in {"hash", "body"}}


def snake(key: str) -> str:
    return re.sub("(?<=[a-z])[A-Z]", lambda found: f"_{found[0].lower()}", key)


def camel(key: str) -> str:
    return re.sub("(?<=[a-z])_([a-z])", lambda found: found[1].upper(), key)


def renamed(tree: object, spell) -> object:
    if isinstance(tree, dict):
        return {spell(key): renamed(value, spell) for key, value in tree.items()}
    return [renamed(item, spell) for item in tree] if isinstance(tree, list) else tree


@few
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(WRONG) | anything), min_size=1, max_size=6))
def test_the_sample_with_many_wrong_values_is_still_a_share(changes):
    body = copy.deepcopy(BODY)
    for path, value in changes:
        try:
            parent(body, path)[path[-1]] = copy.deepcopy(value)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    check(parse_share(json.dumps(body).encode(), {}, RECEIVED))


# ------------------------------------------------------------ repeats


def shuffled(tree: object, random_source: random.Random) -> object:
    if isinstance(tree, dict):
        return {key: shuffled(tree[key], random_source) for key in random_source.sample(list(tree), len(tree))}
    return [shuffled(item, random_source) for item in tree] if isinstance(tree, list) else tree


@few
@given(
    extra=st.dictionaries(keys, anything, max_size=4),
    random_source=st.integers(0, 2**32).map(random.Random),
    indent=st.none() | st.integers(0, 3),
    ascii_only=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-le"]),
)
def test_the_same_share_written_differently_has_the_same_hash(extra, random_source, indent, ascii_only, encoding):
    body = BODY | {"incidentTags": extra, "x": extra}
    other = json.dumps(shuffled(body, random_source), indent=indent, ensure_ascii=ascii_only)

    assert parse_share(other.encode(encoding, "backslashreplace"), {}, RECEIVED) == parse_share(
        json.dumps(body).encode(), {}, RECEIVED
    )
