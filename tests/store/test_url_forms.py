"""Every form of libpq's addresses leads to the database, and no error shows a secret of it."""

from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import make_url

from relay.model.errors import StoreUnusable
from relay.store.address import connection_parameters, parse_database_url
from relay.store.store import Store
from tests.support.pgbouncer import needs_pgbouncer, pgbouncer
from tests.support.postgres import a_server


def folder_of(server):
    return make_url(server).query["host"]


async def works(url):
    store = await Store.open(url)
    await store.check_writable()
    await store.close()
    return True


async def test_a_socket_a_password_file_and_a_service_file_work(server, tmp_path, monkeypatch):
    folder = folder_of(server)
    (tmp_path / "service.conf").write_text(f"[relay]\nhost={folder}\nuser=postgres\ndbname=postgres\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "service.conf"))
    (tmp_path / "pgpass").write_text("*:*:*:*:hush-hush\n")
    (tmp_path / "pgpass").chmod(0o600)
    encoded = quote(folder, safe="")
    for url in (
        f"postgres://postgres@/postgres?host={folder}",
        f"postgresql://postgres@{encoded}/postgres?passfile={tmp_path / 'pgpass'}",
        "postgresql:///?service=relay",
        f"postgresql://postgres@%2Fnowhere,{encoded}/postgres",
    ):
        assert await works(url)


async def test_the_server_that_accepts_writes_is_used(server):
    encoded = quote(folder_of(server), safe="")
    with a_server() as other:
        with psycopg.connect(other.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            connection.execute("SELECT pg_reload_conf()")
        read_only = quote(str(other.pgdata), safe="")
        assert await works(f"postgresql://postgres@{read_only},{encoded}/postgres")
        with pytest.raises(StoreUnusable, match="give relay the primary"):
            await works(f"postgresql://postgres@{read_only},{encoded}/postgres?target_session_attrs=any")


def test_the_name_of_a_database_shows_only_its_place():
    name = parse_database_url("postgres://relay:hush@h1:1,[::1]:2/tickets?sslpassword=hush2").name
    assert name == "the PostgreSQL database tickets on h1 (port 1) or ::1 (port 2)"
    assert parse_database_url("postgresql:///?service=relay").name == "the PostgreSQL database of the service relay"
    assert "hush" not in repr(parse_database_url("postgres://relay:hush@h1/tickets"))


def test_parameters_of_the_address_override_relays_own():
    parameters = connection_parameters(
        parse_database_url("postgresql://a,b/x?target_session_attrs=any&application_name=y")
    )
    assert (parameters["target_session_attrs"], parameters["application_name"]) == ("any", "y")
    assert parameters["prepare_threshold"] is None
    one = connection_parameters(parse_database_url("postgresql://a/x"))
    assert "target_session_attrs" not in one


_FORMS = (
    "postgresql://relay:{}@127.0.0.1:1/relay",
    "postgres://relay@127.0.0.1:1/relay?password={}",
    "postgresql://relay@127.0.0.1:1/relay?sslpassword={}",
    "postgresql://relay@127.0.0.1:1/relay?passwort={}",
    "postgresql://relay:{}@/relay?host=/nowhere",
    "postgresql://{}/relay?port=1",
    "postgresql:///relay?service=nowhere&password={}",
    "{}://relay@127.0.0.1:1/relay",
)


_SPECIAL = st.text(st.sampled_from("@:/?#%&= +x[]"), max_size=3)


@given(form=st.sampled_from(_FORMS), special=_SPECIAL, encoded=st.booleans())
@settings(max_examples=40)
async def test_no_database_error_shows_a_part_of_a_secret(form, special, encoded):
    secret = f"HUSH1{special}HUSH2"
    if form == _FORMS[5]:  # a host is no secret by itself
        secret = f"relay:{secret}"
    hidden = "HUSH1" if form == _FORMS[5] and "@" in special and not encoded else "HUSH"  # a host follows the @
    with pytest.raises(StoreUnusable) as raised:
        await Store.open(form.format(quote(secret, safe="") if encoded else secret))
    error = raised.value
    while error is not None:
        assert hidden not in str(error)
        error = error.__cause__ if error.__cause__ is not None or error.__suppress_context__ else error.__context__


@needs_pgbouncer
async def test_behind_a_pooler_no_session_state_is_left_for_others():
    with a_server() as server, pgbouncer(server, pool_size=2) as url:
        store = await Store.open(url)
        for _ in range(12):  # a driver prepares what it has sent five times
            await store.check_writable()
            await store.backlog(0.0)
        await store.close()
        other = await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=None)
        seen = set()
        async with other:
            for _ in range(8):
                row = await other.execute(
                    "SELECT pg_backend_pid(), current_setting('idle_in_transaction_session_timeout'),"
                    " current_setting('transaction_isolation'), (SELECT count(*) FROM pg_prepared_statements),"
                    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())"
                )
                pid, *state = await row.fetchone()
                seen.add(pid)
                assert state == ["0", "read committed", 0, 0]
        assert seen
