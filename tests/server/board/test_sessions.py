"""Sessions: a cookie proves a role, for twelve hours, and nobody can make one without the key."""

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from relay.server.board.sessions import CLOCK_SKEW, LIFETIME, MAX_NAME, Role, Sessions

KEYS = {Role.READER: "the-admin-key", Role.OPERATOR: "the-operator-key"}
NOW = 1_700_000_000.0


@pytest.mark.parametrize("role", Role)
def test_a_key_gives_its_role_on_every_relay(role):
    cookie = Sessions(KEYS).sign_in(KEYS[role], " Dana \n Scott ", NOW)
    session = Sessions(KEYS).read(cookie, NOW + 1)
    assert (session.role, session.name, session.acts) == (role, "Dana Scott", role is Role.OPERATOR)


@pytest.mark.parametrize("key", ["", "the-admin-keY", "the-admin-key ", "x" * 10_000, "\udcff", "ключ"])
def test_any_other_key_signs_nobody_in(key):
    assert Sessions(KEYS).sign_in(key, "Dana", NOW) is None


def test_a_key_of_both_roles_gives_the_operator_role():
    sessions = Sessions({Role.READER: "one-key-for-both", Role.OPERATOR: "one-key-for-both"})
    assert sessions.read(sessions.sign_in("one-key-for-both", "Dana", NOW), NOW).acts


@pytest.mark.parametrize(
    ("seconds", "valid"),
    [(0, True), (LIFETIME - 1, True), (LIFETIME, False), (-CLOCK_SKEW, True), (-CLOCK_SKEW - 1, False)],
)
def test_a_session_lasts_twelve_hours_by_the_clock_of_any_relay(seconds, valid):
    sessions = Sessions(KEYS)
    cookie = sessions.sign_in(KEYS[Role.READER], "Dana", NOW)
    assert (sessions.read(cookie, NOW + seconds) is not None) == valid


@pytest.mark.parametrize("role", Role)
def test_a_new_key_signs_out_those_who_used_the_old_one_and_nobody_else(role):
    cookies = {each: Sessions(KEYS).sign_in(KEYS[each], "Dana", NOW) for each in Role}
    rotated = Sessions(KEYS | {role: "another-key-now"})
    assert {each: rotated.read(cookie, NOW) is not None for each, cookie in cookies.items()} == {
        each: each is not role for each in Role
    }


@given(st.data())
def test_no_changed_cookie_is_valid(data):
    sessions = Sessions(KEYS)
    cookie = sessions.sign_in(KEYS[Role.READER], "Dana", NOW)
    start = data.draw(st.integers(0, len(cookie)))
    end = data.draw(st.integers(start, len(cookie)))
    changed = cookie[:start] + data.draw(st.text(max_size=20)) + cookie[end:]
    assume(changed != cookie)
    assert sessions.read(changed, NOW) is None


def test_a_readers_signature_makes_no_operator():
    sessions = Sessions(KEYS)
    reader = sessions.sign_in(KEYS[Role.READER], "Dana", NOW).partition(".")
    operator = sessions.sign_in(KEYS[Role.OPERATOR], "Dana", NOW).partition(".")
    assert sessions.read(f"{reader[0]}.{operator[2]}", NOW) is None
    assert Sessions({Role.READER: KEYS[Role.READER]}).read(".".join(operator[::2]), NOW) is None


def test_the_token_of_a_page_belongs_to_one_session():
    sessions = Sessions(KEYS)
    tokens = {sessions.read(sessions.sign_in(KEYS[Role.READER], "Dana", NOW), NOW).csrf for _ in range(5)}
    assert len(tokens) == 5


def test_a_cookie_contains_no_key_and_a_name_has_a_maximum_length():
    sessions = Sessions(KEYS)
    cookie = sessions.sign_in(KEYS[Role.OPERATOR], "D" * 1000, NOW)
    assert not any(key in orjson.dumps(cookie).decode() for key in KEYS.values())
    assert len(sessions.read(cookie, NOW).name) == MAX_NAME
