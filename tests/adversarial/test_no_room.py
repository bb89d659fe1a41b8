"""A disk that is full, or a limit on the size of files: relay says truthfully whether it can store shares."""

import resource
import sqlite3
from contextlib import closing
from functools import partial

import pytest

from tests.support.relay_process import running

pytestmark = pytest.mark.slow

ROUTES = "version: 1\nroutes: []\n"
LIMIT_KB = 1024


def share(incident, size):
    description = "".join(f"{incident} {number} " for number in range(size // 10))[:size]
    return {"incident": {"id": incident, "status": "critical", "description": description}}


@pytest.mark.parametrize(
    "size",
    # The suite has the smallest and the largest.
    [1_000, pytest.param(50_000, marks=pytest.mark.soak), 400_000],
    ids=["1 kB", "50 kB", "400 kB"],
)
async def test_a_relay_that_refuses_shares_is_not_ready(tmp_path, size):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    limited = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (LIMIT_KB * 1024,) * 2)
    async with running(tmp_path, "http://127.0.0.1:9/api/", prepare=limited) as relay:
        accepted = []
        for number in range(3 * LIMIT_KB * 1000 // size):
            async with await relay.share(share(f"i{number}", size)) as answer:
                if answer.status == 503:
                    break
                accepted.append(f"i{number}")
        else:
            pytest.fail("nothing was refused")
        for _ in range(3):
            status, body = await relay.get("/readyz")
            assert status == 503, body
            async with await relay.share(share("ix", size)) as answer:
                assert answer.status == 503
        assert "limit" in body["database"]
        await relay.stop()
    async with running(tmp_path, "http://127.0.0.1:9/api/") as relay:
        status, _ = await relay.get("/readyz")
        assert status == 200
        await relay.stop()
    with closing(sqlite3.connect(tmp_path / "relay.db")) as connection:
        assert {incident for (incident,) in connection.execute("SELECT incident FROM share")} >= set(accepted)
