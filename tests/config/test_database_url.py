"""An address is rejected if libpq could show a part of a secret; otherwise every secret in it is found."""

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import OperationalError, pq

from relay.config.database_url import SECRET_PARAMETERS, check_database_url, secrets_in

SPECIAL = st.text(st.sampled_from("abz019@:/?#[]%&=+,; \\'\"$!é\t"), min_size=1, max_size=12).map(
    lambda text: f"PW{text}WP"
)
"""Passwords as people paste them, with marks at both ends."""

FORMS = (
    "postgresql://relay:{}@db.example.com:5432/relay",
    "postgres://relay:{}@db1:5432,db2/relay?target_session_attrs=read-write",
    "postgresql+psycopg://relay:{}@[::1]/relay?sslmode=require",
    "postgresql://relay@db/relay?password={}",
    "postgresql://relay:other@db/relay?sslpassword={}&sslkey=/k",
    "postgresql://relay@/relay?host=/var/run/postgresql&password={}",
    "postgresql:///relay?user=relay&password={}",
    "postgresql://:{}@db",
)


def parsed(text):
    """What libpq reads, by its own names."""
    options = pq.Conninfo.parse(f"postgresql://{text.partition('://')[2]}".encode())
    return {option.keyword.decode(): option.val.decode() for option in options if option.val is not None}


def rejection(text):
    """The message where the address is rejected."""
    try:
        check_database_url(text)
    except ValueError as error:
        return str(error)
    return None


@given(form=st.sampled_from(FORMS), password=SPECIAL)
@example(form=FORMS[0], password="PW@WP")
@example(form=FORMS[0], password="PW@db/WP")
@example(form=FORMS[0], password="PW/WP")
@example(form=FORMS[0], password="PW#WP")
@example(form=FORMS[3], password="PW&user=WP:x")
def test_an_unescaped_password_is_read_completely_or_rejected(form, password):
    text = form.format(password)
    if (message := rejection(text)) is not None:
        assert "percent-encoded: @ as %40" in message
        assert "PW" not in message
        assert "WP" not in message
        return
    with suppress(OperationalError):  # libpq rejects it; relay does not show its message
        parameters = parsed(text)
        shown = {name: value for name, value in parameters.items() if name not in SECRET_PARAMETERS}
        assert "PW" not in str(shown)
        assert "WP" not in str(shown)
        assert {value for name, value in parameters.items() if name in SECRET_PARAMETERS} <= set(secrets_in(text))


def test_an_escape_that_is_not_text_is_rejected():
    assert "percent-encoded" in rejection("postgresql://relay:a%90b@db.example.com/relay")


@given(form=st.sampled_from(FORMS), password=st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1))
def test_an_encoded_password_is_accepted_and_known_in_both_spellings(form, password):
    encoded = quote(password, safe="")
    text = check_database_url(form.format(encoded))
    assert password in parsed(text).values()
    names = {value for name, value in parsed(text).items() if name not in SECRET_PARAMETERS}
    assert {password, encoded} <= set(secrets_in(text)) or password in names


def test_every_secret_parameter_of_libpq_is_known():
    secret = {option.keyword.decode() for option in pq.Conninfo.get_defaults() if option.dispchar == b"*"}
    assert secret <= SECRET_PARAMETERS


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://relay:SECRET/relay",
        "postgresql://relay%3ASECRET@db/relay",
        "postgresql://db/relay?user=relay:SECRET",
        "postgresql://db/relay:SECRET",
        "postgresql:///relay?host=relay:SECRET@db",
        "postgresql://relay:x@db/relay@SECRET",
        "postgresql://one:x@db1,two:SECRET@db2/relay",
        "postgresql://db:SECRET/relay",
        "postgresql://db/relay?dbname=x:SECRET",
        "postgresql://db/relay?port=SECRET",
        "postgresql://relay:x%SECRET@db/relay",
        "postgresql://relay:x SECRET@db/relay",
    ],
)
def test_a_secret_in_a_wrong_place_is_rejected_with_the_way_to_write_it(text):
    with pytest.raises(ValueError, match="percent-encoded") as rejected:
        check_database_url(text)
    assert "SECRET" not in str(rejected.value)


@pytest.mark.parametrize(
    "text",
    [
        "SECRET",
        "mysql://relay:SECRET@db/relay",
        "jdbc:postgresql://db/relay?password=SECRET",
        "relay:SECRET@db/relay",
        "postgresql:relay:SECRET@db/relay",
        "host=db password=SECRET",
        "postgresql+asyncpg://relay:SECRET@db/relay",
        "sqlite:relay.db",
        "http://[",
    ],
)
def test_another_database_is_rejected(text):
    with pytest.raises(ValueError, match="is not the address of a supported database; expected sqlite:///") as rejected:
        check_database_url(text)
    assert "SECRET" not in str(rejected.value)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:///relay.db",
        "sqlite:////data/a@b/relay.db",
        "postgresql://",
        "postgresql:///?service=relay",
        "postgresql://relay@/relay?host=/var/run/postgresql",
        "postgresql://%2Fvar%2Frun%2Fpostgresql/relay",
        "postgres://relay@db1:5432,db2:5433,[2001:db8::1]:5434/relay?target_session_attrs=read-write&sslmode=prefer",
        "postgresql://db?host=%40abstract",
        "postgresql://relay%40tenant:p%3Aw@db/relay?passfile=/run/secrets/pgpass&options=-csearch_path%3Drelay",
        "postgresql://db/relay?hostaddr=192.0.2.1,2001:db8::1&sslrootcert=/etc/ssl/ca.pem",
    ],
)
def test_every_form_of_libpq_is_accepted(text):
    assert check_database_url(text) == text
    if text.startswith("postgres"):
        assert parsed(text) is not None
    assert not any(secret in ("relay", "db") for secret in secrets_in(text))


def test_a_password_that_equals_a_name_in_the_address_is_not_hidden_everywhere():
    assert secrets_in("postgresql://relay:relay@db/relay") == ()
    assert secrets_in("postgresql://relay:p%2Fw@db/relay") == ("p%2Fw", "p/w")
