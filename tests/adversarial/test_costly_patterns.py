"""Patterns of `match`: neither a pattern nor the text of an alert decides how long relay reads."""

import time
from contextlib import suppress

import orjson
import pytest

from relay.bigpanda.webhook.parsing import parse_share
from relay.cards.model import CardState
from relay.cards.plan import plan
from relay.model.errors import ConfigurationError
from relay.routes.match_budget import MatchBudget, Unread
from relay.routes.operators import Glob, Regex, SubjectValues
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
TRIES = 20
"""The cheapest of so many calls counts: on a busy machine each needs more processor time than on an idle one."""

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
    ".*(" + "|".join(f"payments-{number}" for number in range(60)) + ").*",
]
SLOW = {
    r".*error.{0,500}timeout.*": "errortimeou x",
    r".*a.{0,500}b": "aacacaacca",
    r"(?:a?){1000}b": "a",
    r"(?:[ab]*a[ab]{900})+c": "abaabbabaa",
    r"(?:.*a.{90}){6}b": "aacacaacca",
    "*a?????????????????????????????????????????????b*": "aacacaacca",
}
"""Patterns, each with a text that makes it slow."""
HUGE = "(?:" + "[ab]*a[ab]{900}" * 5 + ")+c"
"""Small enough for RE2, too large for values of 3,000 characters."""
SLOW_TEXT = "abaabbabaa"


def share_with(text, alerts=180, **more):
    tags = [
        {"id": f"a{each}", "status": "critical", "tags": {"msg": f"{each}{text}", "team": "db"}}
        for each in range(alerts)
    ]
    return parse_share(orjson.dumps({"incident": {"id": "i1", "status": "critical", "alerts": tags, **more}}), {}, 1.0)


HEADING = "version: 1\nchannels: {noc: C0123456789, db: C0123456780}\nfallback: noc\nroutes:"


def rulebook_of(routes):
    items = "".join(f"\n  - {orjson.dumps(route).decode()}" for route in routes)
    return parse_rulebook(HEADING + (items or " []"))


def routed(routes, share, incident_state=None, cards=()):
    return plan(rulebook_of(routes), incident_state, cards, share, {}, processor_time=time.thread_time)


@pytest.mark.parametrize("pattern", TOO_LARGE)
def test_a_pattern_that_is_too_large_is_a_fault_that_says_what_to_write(pattern):
    with pytest.raises(ConfigurationError) as caught:
        parse_rulebook(ROUTES.format(pattern=f"'{pattern}'"))
    [fault] = caught.value.faults
    assert fault.line == 7
    assert "too large" in fault.message
    assert "write .*" in fault.message


@pytest.mark.parametrize(
    "pattern", ["日本|語", "[日-語]+", "[é-日]?", r"\x{1F600}{2}", r"[\x{100}-\x{200}]*", "(?i)Ω+", "日{2}", "é*"]
)
def test_patterns_in_any_script_have_a_price(pattern):
    compiled = Regex(pattern=pattern).compiled
    assert compiled.price_per_byte > 0
    assert compiled.longest > 3_000


def test_a_pattern_in_another_script_matches_correctly():
    assert Regex(pattern="日+[本-本]").matches(SubjectValues(("日日本",)))
    assert not Regex(pattern="日+[本-本]").matches(SubjectValues(("ÿÿÿ", "?")))


@pytest.mark.parametrize("pattern", USUAL)
def test_usual_patterns_read_all_of_a_large_record(pattern):
    """On a busy machine, too, where the same work takes up to three times the processor time."""
    line = "worker 17 finished disk job 4 of payments in 233 ms with error 5; "
    texts = tuple(f"{number} {line * 45}"[:3000] for number in range(50))

    def matches():
        with suppress(Unread):
            return Regex(pattern=pattern).matches(SubjectValues(texts, MatchBudget(lambda: time.thread_time() / 3)))

    assert any(matches() is False for _ in range(TRIES))


@pytest.mark.parametrize(("pattern", "text"), SLOW.items())
def test_no_text_makes_a_pattern_cost_more_than_its_price(pattern, text):
    """Twice the price, to be exact."""
    compiled = (Glob(text=pattern) if pattern.startswith("*") else Regex(pattern=pattern)).compiled
    value = (text * 3000)[: min(3000, compiled.longest)]
    assert is_cheap(lambda: compiled.matches([value], MatchBudget()), 2e-9 * len(value) * compiled.price_per_byte)


@pytest.mark.parametrize(("pattern", "text"), SLOW.items())
def test_the_worst_record_costs_a_share_no_more_than_50_ms(pattern, text):
    """Processor time of the evaluation alone."""
    wanted = pattern if pattern.startswith("*") else f"/{pattern}/"
    routes = [
        {"name": f"slow{number}", "match": {"alert_tags": {"msg": {"not": wanted}}}, "post": ["db"]}
        for number in range(20)
    ]
    assert routes_are_cheap(routes, share_with((text * 3000)[:2990]))


def spent(work):
    """Return the processor time of one call, in seconds."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def is_cheap(work, most):
    return any(spent(work) < most for _ in range(TRIES))


def routes_are_cheap(routes, share):
    """Whether a plan with these routes takes 50 ms of processor time more than one without any."""
    without, rulebook = rulebook_of([]), rulebook_of(routes)
    least = min(spent(lambda: plan(without, None, [], share, {}, processor_time=time.thread_time)) for _ in range(3))
    return is_cheap(lambda: plan(rulebook, None, [], share, {}, processor_time=time.thread_time), least + 0.05)


def test_many_conditions_on_the_worst_record_cost_a_share_no_more_than_50_ms():
    """Every kind of comparison, on as many tags and values as a record may have; 2,000 routes."""
    alerts = [
        {"id": f"a{each}", "status": "critical", "tags": {f"t{tag}": f"{each} {tag}" for tag in range(20)}}
        for each in range(500)
    ]
    body = {"incident": {"id": "i1", "status": "critical", "alerts": alerts}}
    share = parse_share(orjson.dumps(body), {}, 1.0)
    kinds = ["nowhere", "*7 7*", "*7?7*", "/[0-9]+ x/", {"min": 7}, {"not": "nowhere"}, {"exists": False}]
    routes = [
        {"name": f"r{n}", "match": {"alert_tags": {f"t{n % 20}": kinds[n % len(kinds)]}}, "post": ["db"]}
        for n in range(2000)
    ]
    assert routes_are_cheap(routes, share)


def test_a_value_that_was_not_compared_matches_neither_a_condition_nor_its_opposite():
    values = SubjectValues(("a" * 3000, "c"), MatchBudget(seconds=0))
    with pytest.raises(Unread):
        Regex(pattern="a{0,500}b").matches(values)
    share = share_with((SLOW_TEXT * 3000)[:2990])
    for wanted in (f"/{HUGE}/", {"not": f"/{HUGE}/"}, {"any": [f"/{HUGE}/", "x"]}, [f"/{HUGE}/", "x"]):
        decided = routed([{"name": "slow", "match": {"alert_tags": {"msg": wanted}}, "post": ["db"]}], share)
        assert decided.routes == ()
        assert [card.channel for card in decided.cards] == ["C0123456789"]
        assert decided.decision["unread"] == ["slow"]


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({"alert_tags": {"msg": f"/{HUGE}/", "team": "cache"}}, False),
        ({"alert_tags": {"msg": {"not": f"/{HUGE}/"}, "team": "cache"}}, False),
        ({"any": [{"alert_tags": {"msg": f"/{HUGE}/"}}, {"alert_tags": {"team": "db"}}]}, True),
        ({"all": [{"alert_tags": {"msg": f"/{HUGE}/"}}, {"alert_tags": {"team": "cache"}}]}, False),
        ({"not": {"any": [{"alert_tags": {"msg": f"/{HUGE}/"}}, {"alert_tags": {"team": "db"}}]}}, False),
        ({"alert_tags": {"team": "db"}}, True),
        ({"alert_tags": {"team": "/d./"}}, True),
    ],
)
def test_conditions_that_were_compared_decide_if_they_can(match, matches):
    decided = routed([{"name": "slow", "match": match, "post": ["db"]}], share_with((SLOW_TEXT * 3000)[:2990]))
    assert decided.routes == (("slow",) if matches else ())
    assert "unread" not in decided.decision


def test_an_incident_is_never_dropped_if_one_of_the_routes_could_not_be_compared():
    routes = [
        {"name": "slow", "match": {"alert_tags": {"msg": f"/{HUGE}/"}}, "post": ["db"]},
        {"name": "rest", "post": []},
    ]
    decided = routed(routes, share_with((SLOW_TEXT * 3000)[:2990]))
    assert decided.decision["dropped"] == []
    assert [card.channel for card in decided.cards] == ["C0123456789"]
    assert routed(routes, share_with("short")).decision["dropped"] == ["rest"]


def test_a_card_that_waits_stays_due_while_nobody_knows_whether_its_route_matches():
    routes = [{"name": "slow", "match": {"alert_tags": {"msg": {"not": f"/{HUGE}/"}}}, "post": ["db"], "wait": "5m"}]
    first = routed(routes, share_with("short"))
    [card] = first.cards
    after = routed(routes, share_with((SLOW_TEXT * 3000)[:2990]), first.incident_state, first.cards)
    assert after.decision["unread"] == ["slow"]
    [now] = [*after.cards, card][:1]
    assert now.matched
    assert now.state is CardState.PENDING
