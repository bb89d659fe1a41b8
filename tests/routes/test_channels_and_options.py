"""Channels made from incidents, the options of a card, and mentions."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model.incident import State
from relay.rendering.context import template_variables
from relay.routes.channel_template import (
    ExpressionChannel,
    FixedChannel,
    Unresolved,
    channel_name,
    check_glob,
    globs_meet,
    is_name_character,
    matches_glob,
    parse_expression,
)
from relay.routes.hours import SilentHours
from relay.routes.mention import Mention
from relay.routes.options import InDoubtPolicy, Options
from relay.routes.remind import Remind, Then
from tests.support.routing_samples import incident

THEN = Then(channel=FixedChannel(source="managers", ref="C0MANAGERS"), mention=Mention.of({"any": ("S0MANAGERS",)}))


def resolved(source: str, **variables):
    return parse_expression(source).resolve(lambda: variables)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("inc-Payments", "inc-payments"),
        ("inc two  words", "inc-two-words"),
        ("a.b/c:d", "a-b-c-d"),
        ("-a--b-", "a-b"),
        ("under_score", "under_score"),
        ("Größe", "größe"),
        ("日本語", "日本語"),
        ("दिल्ली", "दिल्ली"),
        ("\uff21\uff22\uff23", "abc"),
        ("!!!", ""),
        ("x" * 100, "x" * 80),
        ("x" * 79 + " y", "x" * 79),
    ],
)
def test_any_text_becomes_a_valid_channel_name(text, name):
    assert channel_name(text) == name


@given(st.text())
def test_a_name_has_only_characters_that_slack_allows_and_stays_the_same(text):
    name = channel_name(text)
    assert len(name) <= 80
    assert all(map(is_name_character, name))
    assert channel_name(name) == name


@given(st.text())
def test_every_resolved_name_begins_with_the_constant(value):
    ref = resolved("#inc-{{ tags.team }}", tags={"team": value})
    assert isinstance(ref, Unresolved) or ref.startswith("#inc-")


def test_an_expression_prints_and_chooses():
    written = "#inc-{% if tags.team is defined %}{{ tags.team | lower }}{% else %}none{% endif %}"
    assert resolved(written, tags={"team": "Payments"}) == "#inc-payments"
    assert resolved(written, tags={}) == "#inc-none"
    assert resolved("#p-{{ tags.a ~ '-' ~ tags['b c'] }}", tags={"a": 1, "b c": "x"}) == "#p-1-x"
    assert (
        resolved("#p-{{ tags.gone | default(incident.state) }}", tags={}, incident={"state": "critical"})
        == "#p-critical"
    )


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, "the incident has no tags"),
        ({"tags": {}}, "the incident has no tag team"),
        ({"tags": {"team": None}}, "a part of the name has no value"),
        ({"tags": {"team": ""}}, "a part of the name is empty"),
        ({"tags": {"team": "?!"}}, "no character of '?!' is allowed in a channel name"),
        ({"tags": {"team": []}}, "a part of the name has no value"),
    ],
)
def test_a_missing_part_of_the_name_is_a_failure_with_a_reason(variables, reason):
    assert resolved("#inc-{{ tags.team }}", **variables) == Unresolved(reason=reason)


@pytest.mark.parametrize(
    ("asked", "missing"),
    [
        ("tags.team", "tag team"),
        ("tags['the team']", "tag the team"),
        ("tags.team | lower", "tag team"),
        ("'x' ~ tags.team", "tag team"),
        ("tags.team.name", "tag team"),
        ("incident.assignee", "assignee"),
        ("incident.alerts[0].source", "alerts.0"),
        ("environment.name", "environment.name"),
        ("links.landing_page", "links.landing_page"),
        ("sender.name ~ environment.name", "sender.name or environment.name"),
    ],
)
def test_a_missing_value_has_its_readable_name(asked, missing):
    seen = template_variables(incident())
    assert resolved("#inc-{{ " + asked + " }}", **seen) == Unresolved(reason=f"the incident has no {missing}")


@pytest.mark.parametrize(
    ("written", "part"),
    [
        ("{{ tags.team }}", "must begin with # and fixed text"),
        ("#{{ tags.team }}", "must begin with # and fixed text"),
        ("# {{ tags.team }}", "must begin with # and fixed text"),
        ("inc-{{ tags.team }}", "must begin with # and fixed text"),
        ("{% if tags.a %}#inc{% endif %}", "must begin with # and fixed text"),
        ("#a-{{ tags.team", "invalid Jinja in a channel"),
        ("#a-{{ tags.team | nosuch }}", "unknown filter 'nosuch' in a channel"),
        ("#a-{{ team }}", "unknown variable 'team' in a channel"),
        ("#a-{{ 'x' * 9999999999 }}", "mul is not allowed in a channel"),
        ("#a-{% for x in tags %}{{ x }}{% endfor %}", "for is not allowed in a channel"),
        ("#a-{{ tags.get('team') }}", "call is not allowed in a channel"),
        ("#a-{% include 'x' %}", "include is not allowed in a channel"),
    ],
)
def test_an_expression_that_could_run_for_long_or_never_resolve_is_rejected(written, part):
    with pytest.raises(ValueError, match=re.escape(part)):
        parse_expression(written)


GLOBS = st.text("ab-*", min_size=1, max_size=6)
ONCALL = ("#*-oncall", "#db-*")


@given(st.text("ab-", max_size=8), GLOBS)
def test_a_star_matches_any_text(name, glob):
    pattern = ".*".join(map(re.escape, glob.split("*")))
    assert matches_glob(name, glob) == bool(re.fullmatch(pattern, name))


@given(st.text("ab-*", max_size=3), st.text("ab-*", max_size=3))
def test_two_globs_overlap_if_some_name_matches_both(one, other):
    """A name that both match needs no more characters than the two globs have together."""
    names = ("".join(each) for length in range(7) for each in product("ab-", repeat=length))
    assert globs_meet(one, other) == any(matches_glob(name, one) and matches_glob(name, other) for name in names)


@given(st.text())
def test_no_value_can_choose_a_channel_that_is_not_allowed(value):
    channel = parse_expression("#{{ tags.team }}-oncall", ONCALL)
    ref = channel.resolve(lambda: {"tags": {"team": value}})
    if not isinstance(ref, Unresolved):
        assert ref.endswith("-oncall") or ref.startswith("#db-")
        assert channel.permits(ref)
        assert channel.can_resolve_to(ref)


def test_a_name_that_is_not_allowed_is_a_failure_with_a_reason():
    channel = parse_expression("#{{ tags.channel }}", ONCALL)
    assert channel.resolve(lambda: {"tags": {"channel": "web-oncall"}}) == "#web-oncall"
    for value in ("general", "db", "-oncall", "web-oncall-x"):
        ref = channel.resolve(lambda value=value: {"tags": {"channel": value}})
        assert ref == Unresolved(reason=f"#{value.strip('-')} is not in channels_allowed")
    assert isinstance(channel.resolve(lambda: {"tags": {"channel": "x" * 90 + "-oncall"}}), Unresolved)


def test_with_a_list_of_names_a_channel_needs_no_fixed_beginning_but_must_fit_the_list():
    assert parse_expression("#{{ tags.team }}-oncall", ONCALL).shape == "#*-oncall"
    for written in ("#inc-{{ tags.team }}-x", "#{{ tags.team }}-noc"):
        with pytest.raises(ValueError, match="channels_allowed permits none of these names"):
            parse_expression(written, ("#*-oncall",))
    with pytest.raises(ValueError, match="must begin with # and fixed text"):
        parse_expression("{{ tags.team }}-oncall", ONCALL)


@pytest.mark.parametrize("glob", ["*", "#*", "#-*-", "oncall-*", "#on call", "C0123456789", "#"])
def test_a_list_of_names_that_allows_anything_or_nothing_is_rejected(glob):
    with pytest.raises(ValueError, match="write"):
        check_glob(glob)


@given(st.text("a-", max_size=6), st.sampled_from(["", "{% if tags.b %}{{ tags.b }}{% endif %}", "{{ tags.a }}"]))
def test_every_name_fits_its_shape(value, middle):
    channel = parse_expression(f"#x-{middle}-{{{{ tags.a }}}}-y")
    for tags in ({"a": value}, {"a": value, "b": "b-"}):
        ref = channel.resolve(lambda tags=tags: {"tags": tags})
        assert isinstance(ref, Unresolved) or channel.can_resolve_to(ref)


def test_a_value_cannot_reach_into_python():
    for reach in ("tags.team.__class__", "tags['__class__']", "tags.items", "tags"):
        assert isinstance(resolved("#a-{{ " + reach + " }}", tags={"team": "x"}), Unresolved)


def test_a_card_belongs_to_an_expression_with_its_prefix():
    channel = parse_expression("#inc-{{ tags.team }}")
    assert isinstance(channel, ExpressionChannel)
    assert channel.can_resolve_to("#inc-payments")
    assert not channel.can_resolve_to("#noc")
    assert not channel.can_resolve_to("C0123456789")


def test_options_survive_being_stored():
    options = Options(
        template="payments",
        thread=("comment",),
        in_doubt=InDoubtPolicy.HOLD,
        gather=5.0,
        allow_external=True,
        quiet=SilentHours(during=("night",), outside=("office", "support"), unless=None),
        hold=SilentHours(during=("weekend",), unless=State.WARNING),
        storm=False,
        remind=Remind(after=60.0, every=90.0, times=3, state=State.WARNING, then=THEN),
    )
    assert Options.from_json(options.as_json()) == options
    assert isinstance(Options.from_json(options.as_json()).in_doubt, InDoubtPolicy)


def test_unknown_options_of_another_version_are_ignored():
    assert Options.from_json({"gather": 7.0, "colour": "blue"}) == Options(gather=7.0)


def test_the_stored_form_of_the_default_options_stays_as_it_is():
    """Cards in databases have it. A new option needs no row here: its default stands in docs/routes.md."""
    stored = {
        "template": "incident",
        "thread": ["status", "comment", "assignment", "snooze", "tags", "alerts", "changes", "other"],
        "broadcast": ["reopened"],
        "gather": 120.0,
        "wait": 0.0,
        "reopen_within": 86400.0,
        "show_tags": [],
        "runbook_tags": ["run-book", "runbook", "runbook_url"],
        "in_doubt": "repost",
        "allow_external": False,
        "actions": [],
        "actors": [],
        "sync_replies": False,
        "quiet": {"during": [], "outside": [], "unless": "critical"},
        "hold": {"during": [], "outside": [], "unless": "critical"},
        "storm": True,
        "remind": {"after": 900.0, "every": 0.0, "times": 0, "state": "critical", "then": None},
        "shadow": False,
        "stale_after": 21600.0,
    }
    assert {name: Options().as_json().get(name) for name in stored} == stored


def test_a_mention_pings_the_targets_of_the_state_and_of_any():
    mention = Mention.of({"critical": ("S1", "here"), "any": ("U1", "here")})
    assert mention.targets(State.CRITICAL) == ("S1", "here", "U1")
    assert mention.targets(State.ACKNOWLEDGED) == ("U1", "here")
    assert mention.targets(State.CRITICAL, occasion="reopened") == ("S1", "here", "U1")


def test_a_reopening_has_its_own_targets_if_the_route_names_them():
    assert Mention.of({"critical": ("S1",), "reopened": ()}).targets(State.CRITICAL, occasion="reopened") == ()
    both = Mention.of({"critical": ("S1",)}).merged_with(Mention.of({"reopened": ("S2",)}))
    assert both.targets(State.CRITICAL, occasion="reopened") == ("S1", "S2")
    assert both.targets(State.CRITICAL) == ("S1",)


def test_a_mention_knows_the_route_of_each_of_its_targets():
    night, day = (Mention.of({"critical": (name, "here")}).by_route(name.lower()) for name in ("S1", "S2"))
    both = night.merged_with(day)
    assert {target: both.routes_to(target) for target in both.all_targets} == {
        "S1": ("s1",),
        "here": ("s1", "s2"),
        "S2": ("s2",),
    }
    assert Mention.from_json(both.as_json()) == both


def test_a_mention_survives_being_stored_and_knows_whether_it_has_targets():
    mention = Mention.of({"critical": ("S1",)}).merged_with(Mention.of({"any": ("here",)}))
    assert Mention.from_json(mention.as_json()) == mention
    assert mention
    assert not Mention.of({"critical": ()})
    assert not Mention()
