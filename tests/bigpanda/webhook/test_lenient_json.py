"""JSON: what is accepted, rejected and cleaned, and what makes two shares the same."""

import codecs

import orjson
import pytest

from relay.bigpanda.webhook.parsing import parse_recorded_share, parse_share
from relay.bigpanda.webhook.share import RecordedShare, Share
from relay.model.errors import NotJson, ShareError

RECEIVED = 1_700_000_000.0


def read(body: bytes) -> Share:
    return parse_share(body, {}, RECEIVED)


def description(written: bytes) -> str:
    body = b'{"incident": {"id": "i1", "alerts": [{"id": "a1", "description": "%s"}]}}' % written
    return read(body).blocks["alerts"][0]["description"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_every_encoding_of_unicode_gives_the_same_share(encoding):
    body = '{"incident": {"id": "i1", "status": "Größe 🐼", "rank": 123456789012345678901234567890, "zero": -0}}'

    assert read(body.encode(encoding)) == read(body.encode())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"one bad byte: \xff.", "one bad byte: \ufffd."),
        (b"cut in the middle: \xf0\x9f\x90", "cut in the middle: \ufffd"),
        (rb"half a pair: \ud83d", "half a pair: \ufffd"),
        (rb"the other half: \udc3c.", "the other half: \ufffd."),
        (rb"a whole pair: \ud83d\udc3c", "a whole pair: 🐼"),
        (b"raw\nline and\ttab", "raw\nline and\ttab"),
        (rb"C:\data\work", r"C:\data\work"),
        (rb"C:\\data \u00e9", "C:\\data é"),
        (rb"a\u0000b\u0007c\u001bd", "abcd"),
        (rb"a\b\fb", "a\nb"),
        (rb"a\r\nb\rc\nd\te", "a\nb\nc\nd\te"),
        (rb"a\u000d\u000ab", "a\nb"),
        ("a\U000f0000b\U000ffffdc\U000f1234".encode(), "abc"),
        (rb"a\udb80\udc00b", "ab"),
        (rb"a\uDBBF\uDFFDb", "ab"),
        ("kept: \ue000 \U00100000 \u2028 \u200d".encode(), "kept: \ue000 \U00100000 \u2028 \u200d"),
        (rb"not an escape: \\ud83d \\r \\b", r"not an escape: \ud83d \r \b"),
    ],
)
def test_one_bad_character_is_cleaned_and_the_rest_is_kept(written, expected):
    assert description(written) == expected


def test_keys_are_cleaned_like_values():
    share = read(rb'{"incident": {"id": "i1", "incidentTags": {"te\u0000am\ud83d": "db"}}}')

    assert share.blocks["tags"] == [["team\ufffd", ["db"]]]


def test_if_cleaning_makes_two_keys_equal_the_same_one_wins_in_any_order():
    one = read(rb'{"incident": {"id": "i1", "\u0001status": "Ok", "\u0002status": "Critical"}}')
    other = read(rb'{"incident": {"id": "i1", "\u0002status": "Critical", "\u0001status": "Ok"}}')

    assert one == other


@pytest.mark.parametrize("levels", [100, 200])
def test_deep_nesting_is_read(levels):
    nested = b"[" * levels + b'"http://bigp.io/1\\u0000"' + b"]" * levels
    share = read(b'{"incident": {"id": "i1", "links": %b, "incidentTags": {"a": %b}}}' % (nested, nested))

    assert share.blocks["links"] == {"landing_page": "http://bigp.io/1"}
    assert share.blocks["tags"] == [["a", [nested[1:-1].replace(rb"\u0000", b"").decode()]]]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400])
def test_an_invalid_number_is_removed(number):
    share = read(
        b'{"incident": {"id": "i1", "severity": "Ok", "startedOn": %b, "x": [1, %b]}}' % ((number.encode(),) * 2)
    )

    assert share.blocks == {"severity": "Ok"}
    assert orjson.loads(share.body)["incident"] == {"id": "i1", "severity": "Ok", "x": [1]}


def test_a_big_integer_becomes_the_nearest_float():
    body = b'{"incident": {"id": "i1"}, "incidentTags": {"a": 18446744073709551615, "b": 18446744073709551616}}'

    assert read(body).blocks["tags"] == [["a", ["18446744073709551615"]], ["b", ["1.8446744073709552e+19"]]]
    assert read(body.decode().encode("utf-16")) == read(body)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "The body is empty"),
        (b" \n", "The body is empty"),
        (b"status=critical", "line 1, column 1"),
        (b'{"incident": {"id": "i1"}', "line 1, column 26"),
        (b'{"incident": {"id": "i1"}} trailing', "line 1, column 28"),
        (b'{"incident":\n {"id": i1}}', "line 2, column 9"),
        (b"<html></html>", "The body is not JSON"),
        (b'{"incident": {"id": "i1", "cut": "\\u12', "The body is not JSON"),
        (b"\x1f\x8b\x08\x00\x00", "The body is not JSON"),
        (codecs.BOM_UTF8, "The body is not JSON"),
    ],
)
def test_the_error_for_invalid_json_names_the_position(body, why):
    with pytest.raises(NotJson) as caught:
        read(body)

    assert isinstance(caught.value, ShareError)
    assert why in str(caught.value)


@pytest.mark.parametrize("levels", [300, 1_000, 1_100, 100_000])
@pytest.mark.parametrize("prefix", [b"", codecs.BOM_UTF8], ids=["quick", "lenient"])
@pytest.mark.parametrize("note", [b"", rb"\u0000"], ids=["clean", "unclean"])
def test_endless_nesting_is_rejected(levels, prefix, note):
    body = b'{"incident": {"id": "i1%b", "x": %b%b}}' % (note, b"[" * levels, b"]" * levels)

    with pytest.raises(NotJson, match="nested more than"):
        read(prefix + body)


def test_nesting_below_the_limit_is_read():
    assert read(b'{"incident": {"id": "i1", "x": %b%b}}' % (b"[" * 200, b"]" * 200)).incident == "i1"


# ------------------------------------------------------------ repeats


def test_the_stored_body_is_normalised_json():
    assert (
        read(rb' {"z": 1.0, "incident": {"id": "i1", "a": "x\r\ny"}} ').body
        == b'{"incident":{"a":"x\\ny","id":"i1"},"z":1.0}'
    )


@pytest.mark.parametrize(
    "other",
    [
        b'{"metadata":{},"incident":{"status":"Ok","id":"i1"}}',
        b'\n{ "incident" : { "id" : "i1" , "status" : "Ok" } , "metadata" : { } }\n',
        rb'{"incident": {"id": "i1", "\u0073tatus": "\u004fk"}, "metadata": {}}',
        b'[{"incident": {"id": "i1", "status": "Ok"}, "metadata": {}}]',
    ],
)
def test_the_same_share_written_differently_has_the_same_hash(other):
    assert read(other) == read(b'{"incident": {"id": "i1", "status": "Ok"}, "metadata": {}}')


@pytest.mark.parametrize(
    "other",
    [
        b'{"incident": {"id": "i1", "status": "ok"}, "metadata": {}}',
        b'{"incident": {"id": "i1", "status": "Ok"}}',
        b'{"incident": {"id": "i1", "status": "Ok", "unknown": 1}, "metadata": {}}',
    ],
)
def test_a_different_share_has_a_different_hash(other):
    assert read(other).hash != read(b'{"incident": {"id": "i1", "status": "Ok"}, "metadata": {}}').hash


def test_the_hash_covers_the_kept_headers_and_no_others():
    body = b'{"incident": {"id": "i1"}}'
    plain, keyed, routed = (
        parse_share(body, headers, RECEIVED).hash
        for headers in ({}, {"X-Relay-Key": "k", "Date": "x"}, {"X-Relay-Integration": "a"})
    )

    assert plain == keyed != routed
    assert len(plain) == 32


def test_the_time_of_receipt_does_not_change_the_hash():
    body = b'{"incident": {"id": "i1"}}'

    assert parse_share(body, {}, 1.0).hash == parse_share(body, {}, 2.0).hash


# ------------------------------------------------------------ SHARE.json


def test_a_recorded_share_is_unwrapped():
    found = parse_recorded_share(
        b'{"received": 1700000000.5, "headers": {"X-Team": "noc", "N": 5, "x": []}, "body": {"incident": {"id": "i1"}}}'
    )

    assert found == RecordedShare(
        body=b'{"incident":{"id":"i1"}}', headers={"X-Team": "noc", "N": "5"}, received=1_700_000_000.5
    )
    assert parse_share(found.body, found.headers, found.received).incident == "i1"


def test_a_recorded_share_may_have_its_body_as_text():
    assert parse_recorded_share(rb'{"body": "{\"incident\": {\"id\": \"i1\"}}"}') == RecordedShare(
        body=b'{"incident": {"id": "i1"}}'
    )


@pytest.mark.parametrize(
    "document",
    [
        b'{"incident": {"id": "i1"}}',
        b' {"id": "i1", "status": "Ok"}',
        b'{"incident": {"id": "i1"}, "body": "whatever"}',
        b'[{"incident": {"id": "i1"}}]',
    ],
)
def test_a_webhook_body_is_returned_unchanged(document):
    assert parse_recorded_share(document) == RecordedShare(body=document)


@pytest.mark.parametrize(
    ("written", "expected"), [('"2023-11-14T22:13:20Z"', RECEIVED), ("null", None), ('"soon"', None)]
)
def test_the_time_of_receipt_is_read_like_any_time(written, expected):
    assert parse_recorded_share(f'{{"received": {written}, "body": {{}}}}'.encode()).received == expected


def test_a_recorded_share_that_is_not_json_is_rejected():
    with pytest.raises(NotJson):
        parse_recorded_share(b"received: now")
