"""Patterns of `match`: neither a pattern nor the text of an alert decides how long relay reads."""

import time

import orjson
import pytest

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.plan import plan
from relay.model.errors import ConfigurationError
from relay.routes.operators import PATTERN_SECONDS, PatternTime, Regex, SubjectValues
from relay.routes.parser.parse import parse_rulebook

ROUTES = """
version: 1
channels: {{noc: C0123456789, slow: C0123456780}}
fallback: noc
routes:
  - name: slow
    match: {{alert_tags: {{msg: {pattern}}}}}
    post: [slow]
"""
TOO_LARGE = [
    r"/.*a.{990}b/",
    r"/(?:\pL?){300}b/",
    r"/(?:.?a.?){900}b/",
    "a" + "?" * 3000 + "b",
]
USUAL = [
    r".*error.{0,200}timeout.*",
    r"(?i).*\bdisk\b.{0,300}\bfull\b.*",
    r".*error.{0,500}timeout.*",
    r"\pL+-\d+",
    "(db|cache)-[0-9]+",
]
SLOW = [r".*error.{0,500}timeout.*", r".*a.{500}b", r"(?:a?){1000}b", r"(?:[ab]*a[ab]{900})+c"]


def share_with(text, alerts):
    tags = [{"id": f"a{each}", "status": "critical", "tags": {"msg": f"{each}{text}"}} for each in range(alerts)]
    return parse_share(orjson.dumps({"incident": {"id": "i1", "status": "critical", "alerts": tags}}), {}, 1.0)


@pytest.mark.parametrize("pattern", TOO_LARGE)
def test_a_pattern_that_is_too_large_is_a_fault_that_says_what_to_write(pattern):
    with pytest.raises(ConfigurationError) as caught:
        parse_rulebook(ROUTES.format(pattern=f"'{pattern}'"))
    [fault] = caught.value.faults
    assert fault.line == 7
    assert "too large" in fault.message
    assert "write .*" in fault.message


@pytest.mark.parametrize("pattern", USUAL)
def test_usual_patterns_read_all_of_the_largest_record(pattern):
    line = "worker 17 finished disk job 4 of payments in 233 ms with error 5; "
    values = SubjectValues(
        tuple(f"{number} {line * 45}"[:3000] for number in range(200)), PatternTime(time.thread_time)
    )
    assert not Regex(pattern=pattern).matches(values)
    assert values.pattern_time.seconds > PATTERN_SECONDS / 2


@pytest.mark.parametrize("pattern", SLOW)
def test_a_text_that_slows_a_pattern_down_costs_no_more_than_the_limit(pattern):
    text = {".*error.{0,500}timeout.*": "errortimeou x" * 230}.get(pattern, "aacacaacca" * 299)
    rulebook = parse_rulebook(ROUTES.format(pattern=f"'/{pattern}/'"))
    share = share_with(text, 180)
    began = time.process_time()
    plan(rulebook, None, [], share, {}, processor_time=time.thread_time)
    assert time.process_time() - began < 4 * PATTERN_SECONDS


def test_what_is_not_read_does_not_match_and_the_decision_says_so():
    values = SubjectValues(("a" * 3000, "b"), PatternTime(time.thread_time, 1e-6))
    assert not Regex(pattern="a{0,500}b").matches(values)
    assert values.pattern_time.is_spent

    rulebook = parse_rulebook(ROUTES.format(pattern="'/.*a.{500}b/'"))
    decided = plan(rulebook, None, [], share_with("aacacaacca" * 299, 180), {}, processor_time=time.thread_time)
    assert decided.routes == ()
    assert [card.channel for card in decided.cards] == ["C0123456789"]
    assert decided.decision["patterns_unread"]
