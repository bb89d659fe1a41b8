"""Nobody sees or changes anything on the board without a key, a page of the board, and the session's own token."""

import asyncio
import re
from html import unescape
from http.cookies import SimpleCookie
from itertools import product

import pytest

from relay.model.board_links import PAGE_NAMES
from relay.server.board import access, pages
from relay.server.board.pages import MAX_LOGIN
from relay.server.board.sessions import LIFETIME, Role
from tests.server.board.conftest import KEYS, serve_board

PAGES = (*PAGE_NAMES, "/", "/incidents/i0", "/letters/q1/body")
ACTIONS = ("/letters/1/retry", "/letters/q1/discard", "/mutes", "/mutes/1/extend", "/mutes/1/end", "/routes", "/logout")


async def test_every_page_redirects_to_the_sign_in_page_and_back(board):
    for path in PAGES:
        response, text = await board.get(path)
        assert (response.status, "i0" in text) == (303, False), path
        address = response.headers["Location"]
        assert address.startswith("/board/login?next=/board")
        response, text = await board.get(address.removeprefix("/board"))
        assert f'value="/board{path}"' in text
        response, _ = await board.post("/login", key=KEYS[Role.READER], name="Dana", next=f"/board{path}")
        assert response.headers["Location"] == f"/board{path}"
        board.client.session.cookie_jar.clear()


async def test_a_refreshed_part_of_a_page_redirects_the_whole_page_to_the_sign_in_page(board):
    current = f"{board.origin}/board/channels?x=1"
    response, text = await board.get("/channels", **{"HX-Request": "true", "HX-Current-URL": current})
    assert (response.status, text) == (401, "")
    assert response.headers["HX-Redirect"] == "/board/login?next=/board/channels%3Fx%3D1"


ELSEWHERE = (
    "https://evil.example/board",
    "//evil.example/board",
    "/\\evil.example",
    "/boards",
    "/board\\..\\x",
    "/board/\r\nX: y",
    "javascript:alert(1)",
    "",
)


async def test_signing_in_never_redirects_to_another_site(board):
    for after in ELSEWHERE:
        response, _ = await board.post("/login", key=KEYS[Role.READER], name="Dana", next=after)
        assert response.headers["Location"] == "/board", after


async def test_a_form_from_another_site_has_no_effect(board):
    await board.sign_in()
    for path in [*ACTIONS, "/login"]:
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1", None, "http://[", "http://a b"):
            response, text = await board.post(path, origin, key=KEYS[Role.OPERATOR], name="Dana", reason="x")
            assert (response.status, "does not come from this board" in text) == (403, True), (path, origin)
            assert "Set-Cookie" not in response.headers, (path, origin)


async def test_a_form_without_the_sessions_token_has_no_effect(board):
    await board.sign_in()
    for path in ACTIONS:
        for token in ("", "x" * 64, "é"):
            response, text = await board.post(path, csrf=token, reason="x", share="{}")
            assert (response.status, "from another session" in text) == (403, True), (path, token)


async def test_the_admin_key_can_change_nothing(board):
    await board.sign_in(Role.READER)
    for path in [path for path in ACTIONS if "letters" in path or "mutes" in path]:
        response, text = await board.post(path, reason="x")
        assert (response.status, "RELAY_OPERATOR_KEY" in text) == (403, True), path


async def test_a_reader_may_use_the_playground(board):
    await board.sign_in(Role.READER)
    response, _ = await board.post("/routes", share='{"incident": {"id": "tried", "status": "critical"}}')
    assert response.status == 200
    assert await board.relay.store.incident_history("tried") is None


async def test_the_session_ends_after_twelve_hours_even_if_its_pages_refresh(board):
    await board.sign_in()
    for _ in range(11):
        board.relay.clock.advance(3600)
        assert (await board.get())[0].status == 200
    board.relay.clock.advance(LIFETIME - 11 * 3600)
    assert (await board.get())[0].status == 303


async def test_signing_out_forgets_the_cookie(board):
    await board.sign_in()
    response, _ = await board.post("/logout")
    assert (response.status, response.headers["Location"]) == (303, "/board/login")
    assert (await board.get())[0].status == 303


@pytest.mark.parametrize(
    ("public_url", "name", "secure"),
    [("", "relay", False), ("http://relay.example", "relay", False), ("https://relay.example", "__Host-relay", True)],
)
async def test_the_cookie_is_secure_exactly_if_the_public_address_is_https(tmp_path, public_url, name, secure):
    async with serve_board(tmp_path, public_url=public_url) as board:
        origin = public_url or "own"
        response, _ = await board.post("/login", origin, key=KEYS[Role.READER], name="Dana")
        [cookie] = SimpleCookie(response.headers["Set-Cookie"]).values()
        assert cookie.key == name
        assert (bool(cookie["secure"]), cookie["httponly"], cookie["samesite"]) == (secure, True, "Lax")
        assert (cookie["path"], cookie["domain"], cookie["max-age"]) == ("/", "", str(int(LIFETIME)))


async def test_the_path_of_the_public_address_works_whether_or_not_the_proxy_removes_it(tmp_path):
    async with serve_board(tmp_path, public_url="https://ops.example/relay/") as board:
        for path in ("/board", "/relay/board"):
            response = await board.client.get(path, allow_redirects=False)
            assert response.headers["Location"] == "/relay/board/login?next=/relay/board"
        page = await (await board.client.get("/relay/board/login")).text()
        assert 'action="/relay/board/login"' in page
        assert 'href="/relay/board/static/board.css?v=' in page
        assert (await board.client.get("/relay/board/static/board.css")).status == 200


async def test_a_file_is_kept_by_the_browser_for_its_version_only(board):
    await board.sign_in()
    _, page = await board.get()
    addresses = re.findall(r'"/board(/static/[^"]+)"', page)
    assert len(addresses) == 6
    for address in addresses:
        kept = [(await board.get(each))[0].headers["Cache-Control"] for each in (address, address.partition("?")[0])]
        assert kept == ["private, max-age=31536000, immutable", "no-cache"]
        other = address.replace("?v=", "?v=0")
        assert (await board.get(other))[0].headers["Cache-Control"] == "no-cache"


ANSWERED = (*PAGES, "/nowhere", "/incidents/unknown", "/letters/x/body", "?state=bad", "/static/x")


async def test_every_answer_has_the_headers_of_a_page_that_runs_only_its_own_scripts(board):
    for signed_in, path in product((False, True), ANSWERED):
        if signed_in and not board.csrf:
            await board.sign_in()
        response, _ = await board.get(path)
        assert response.status < 500, path
        assert path != "/nowhere" or response.status == 404
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert response.headers["X-Content-Type-Options"] == "nosniff", path
        assert response.headers["Cache-Control"] == "no-store", path
        assert "HX-Request" in response.headers["Vary"], path


async def test_wrong_keys_are_answered_slowly_and_never_block_a_valid_one(tmp_path, monkeypatch):
    waiting, go = [], asyncio.Event()

    async def slow(seconds):
        waiting.append(seconds)
        await go.wait()

    async with serve_board(tmp_path) as board:
        monkeypatch.setattr(access.asyncio, "sleep", slow)
        guesses = [asyncio.ensure_future(board.post("/login", key=f"guess {n}", name="x")) for n in range(20)]
        while len(waiting) < len(guesses):
            await go_round()
        response, _ = await board.post("/login", key=KEYS[Role.OPERATOR], name="Dana")
        assert response.status == 303
        assert waiting == sorted(waiting)
        assert (waiting[0], waiting[-1]) == (2 * access.FIRST_DELAY, access.LONGEST_DELAY)
        go.set()
        for response, text in await asyncio.gather(*guesses):
            assert (response.status, "not valid" in text) == (401, True)


async def go_round():
    await asyncio.get_running_loop().run_in_executor(None, lambda: None)


async def test_signing_in_needs_a_name(board):
    response, text = await board.post("/login", key=KEYS[Role.OPERATOR], name="  ")
    assert (response.status, "Enter your name" in text) == (401, True)


UNKNOWN = ("/board/nowhere", "/board/a//b", "/board/channels/", "/board/letters/q1/nowhere")


async def test_an_unknown_address_gives_an_error_page(board):
    for path, method in product(UNKNOWN, ("GET", "POST", "PUT", "DELETE")):
        response = await board.client.request(method, path)
        assert (response.status, response.content_type) == (404, "text/html"), (path, method)
        assert "There is no such page." in await response.text()
        assert response.headers["Cache-Control"] == "no-store"


async def test_the_address_of_a_button_redirects_to_its_page(board):
    await board.sign_in()
    for path in [path for path in ACTIONS if path not in PAGES and path != "/logout"]:
        response, _ = await board.get(path)
        assert (response.status, response.headers["Location"]) == (303, f"/board/{path.split('/')[1]}")


REFRESHING = ("http://[", "http://a b", "", "\\", "//evil.example", "javascript:alert(1)", "http://evil.example//board")


async def test_a_refresh_from_any_page_redirects_only_to_the_sign_in_page(board):
    for address in REFRESHING:
        response, _ = await board.get("", **{"HX-Request": "true", "HX-Current-URL": address})
        assert (response.status, response.headers["HX-Redirect"]) == (401, "/board/login"), address


async def test_the_public_address_may_end_with_the_path_of_the_board(tmp_path):
    async with serve_board(tmp_path, public_url="https://ops.example/board") as board:
        response = await board.client.get("/board/board/login", headers={"Host": "ops.example"})
        assert response.status == 200
        assert 'action="/board/board/login"' in await response.text()


async def test_the_sign_in_form_has_a_small_size_limit(board):
    response, _ = await board.post("/login", key="x" * MAX_LOGIN, name="Dana")
    assert response.status == 413


async def test_a_failing_page_is_an_error_page_with_all_headers(board, monkeypatch):
    await board.sign_in()

    def broken(*_, **__):
        raise RuntimeError("what went wrong")

    monkeypatch.setattr(pages, "read_now", broken)
    response, text = await board.get()
    assert (response.status, "This page failed" in text, "what went wrong" in text) == (500, True, False)
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("secret", ["webhook-key", 'the-<other>-"key'])
async def test_no_page_shows_a_secret_that_an_alert_has(tmp_path, monkeypatch, secret):
    monkeypatch.setattr(access, "FIRST_DELAY", 0.0)
    async with serve_board(tmp_path, secrets=['the-<other>-"key']) as board:
        await board.sign_in()
        said = f"C:\\x {secret} found"
        await board.relay.share("told", status="critical", alerts=[{"id": "a", "description": said}])
        await board.relay.store.quarantine(f"\\x {secret}".encode() + b"\xff", {}, "not_json", board.relay.clock.now())
        await board.relay.advance(60)
        for path in ("", "/incidents/told", "/channels", "/letters/q1/body"):
            response = await board.client.get(f"/board{path}")
            shown = unescape((await response.read()).decode("latin-1"))
            assert response.status == 200
            assert secret not in shown.replace('\\"', '"'), path
        _, text = await board.get()
        assert "[hidden] found" in text
        assert 'href="/board/incidents/told"' in text
