"""What the pages show, and what their buttons do."""

import asyncio
import json
import re
from html import escape, unescape

import pytest
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from relay.cards.holds import HeldPing, Hold, Ping, Reason
from relay.cards.model import Card, CardState, DeadLetter, Due
from relay.cards.model import CardUpdate as Update
from relay.model.board_links import PAGE_NAMES
from relay.model.errors import Fault, StoreUnusable
from relay.model.incident import State
from relay.model.struct import replace
from relay.server.board import pages
from relay.server.endpoints import Audience, create_app
from relay.tools.board import letters, now
from relay.tools.board.source import SlackStatus
from tests.server.board.conftest import HOSTILE, serve_board
from tests.support.fake_backend import FakeBackend
from tests.support.relay_in_process import ROUTES


async def test_open_incidents_are_listed_the_worst_first_with_owner_age_and_card(tmp_path):
    async with serve_board(tmp_path, incidents=0) as board:
        await board.relay.share("quiet", status="warning", alerts=[{"id": "a", "description": "disk 91 %"}])
        await board.relay.share("loud", status="critical", alerts=[{"id": "a", "description": "cpu"}])
        await board.relay.share("over", status="ok", alerts=[{"id": "a", "description": "gone"}])
        await board.relay.advance(60)
        await board.sign_in()
        _, text = await board.get()
        assert text.index("loud") < text.index("quiet")
        assert "/incidents/over" not in text
        assert "nobody has it" in text
        assert "https://example.slack.com/archives/C0ALL00001/p" in text
        _, text = await board.get("?state=warning")
        assert ("/incidents/quiet" in text, "/incidents/loud" in text) == (True, False)
        _, text = await board.get("?search=DISK")
        assert ("/incidents/quiet" in text, "/incidents/loud" in text) == (True, False)
        _, text = await board.get("?channel=all&route=all")
        assert "/incidents/loud" in text
        _, text = await board.get("?route=other")
        assert "No open incident matches" in text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("state=resolved", "expected critical, warning"),
        ("channel=nowhere", "There is no channel"),
        ("after=x", "open the list again"),
        ("after=critical:nan:i1", "open the list again"),
        ("search=a%00b", "without control characters"),
    ],
)
async def test_an_invalid_filter_is_reported_with_the_expected_values(board, query, said):
    await board.sign_in()
    response, text = await board.get(f"?{query}")
    assert (response.status, said in unescape(text)) == (400, True)


async def test_paging_shows_each_incident_once(tmp_path, monkeypatch):
    monkeypatch.setattr(now, "PAGE_SIZE", 3)
    async with serve_board(tmp_path, incidents=8) as board:
        await board.relay.share("low", status="warning")
        await board.sign_in()
        shown, path = [], ""
        while path is not None:
            _, text = await board.get(path)
            shown += [piece.partition('"')[0] for piece in text.split("/board/incidents/")[1:]]
            more = [piece for piece in text.split('href="/board?') if ">More<" in piece]
            path = "?" + unescape(more[-1].partition('"')[0]) if more else None
        assert sorted(shown) == sorted([*(f"i{n}" for n in range(8)), "low"])
        assert shown[-1] == "low"


async def test_a_waiting_card_shows_the_reason(board):
    await board.sign_in()
    [card] = (await board.relay.store.incident_history("i0")).cards
    waiting = replace(card, state=CardState.PENDING, ts=None, slack_channel=None, reason="channel_rejected")
    await board.relay.store.update_card(card.id, lambda _: Update(cards=(waiting,)))
    _, text = await board.get()
    assert "channel rejected" in text
    _, text = await board.get("/incidents/i0")
    message = json.loads(unescape(text.partition('data-message="')[2].partition('"')[0]))
    assert float(message["ts"]) == board.relay.clock.now()  # the picture shows now, where no message has a time


async def test_an_incident_shows_its_next_reminder(tmp_path):
    routes = ROUTES + "    remind: {after: 15m, every: 30m, times: 2}\n"
    async with serve_board(tmp_path, routes=routes) as board:
        await board.sign_in()
        _, text = await board.get("/incidents/i0")
        assert "reminders: 1 of 2, due " in " ".join(text.split())


async def test_a_held_card_or_ping_shows_the_reason_and_the_end(board):
    await board.sign_in()
    [posted] = (await board.relay.store.incident_history("i0")).cards
    until = board.relay.clock.now() + 3600
    hold = Hold(reason=Reason.QUIET, until=until)
    ping = HeldPing(target="S0CRIT", ping=Ping.RISE, since=until - 7200, hold=hold, state=State.WARNING)
    quiet = replace(posted, held_pings=(ping,), catch_up_due=until)
    await board.relay.store.update_card(posted.id, lambda _: Update(cards=(quiet,)))
    _, text = await board.get()
    assert "pings held: quiet until" in " ".join(text.split())
    unposted = {"state": CardState.PENDING, "ts": None, "slack_channel": None}
    held = replace(posted, **unposted, held=replace(hold, reason=Reason.HOLD), post=Due(at=until, deadline=until))
    await board.relay.store.update_card(posted.id, lambda _: Update(cards=(held,)))
    _, text = await board.get()
    assert "hold until" in " ".join(text.split())


@pytest.mark.parametrize("path", ["/incidents/i0", *PAGE_NAMES])
async def test_a_hostile_title_stays_text(board, path):
    await board.sign_in()
    response, text = await board.get(path)
    assert response.status == 200
    assert "<script>alert" not in text
    assert "<img" not in text
    assert text.count("<title>") == text.count("</title>") == 1


async def test_an_incident_shows_what_routes_in_shadow_would_have_posted(tmp_path):
    new = "  - {name: new, shadow: true, post: [{channel: C0DB000001, mention: {any: [S0NEW]}}]}\n"
    routes = ROUTES.replace("  - name: all", new + "  - name: all")
    async with serve_board(tmp_path, routes=routes) as board:
        await board.sign_in()
        _, text = await board.get("/incidents/i0")
        shown = unescape(text.partition("In shadow</h2>")[2].partition("</pre>")[0])
        assert "a card in C0DB000001, by route new" in shown
        assert "+ pings S0NEW" in shown
        assert "<script>" not in text.partition("In shadow</h2>")[2].partition("</pre>")[0]


async def test_the_page_of_an_incident_shows_its_card_its_history_and_its_routes(board):
    await board.sign_in()
    _, text = await board.get("/incidents/i0")
    assert "data-message=" in text
    assert "Slack answered chat.postMessage" in text
    assert "first share of the incident" in text
    assert "Why: routes" in text
    assert HOSTILE.split()[-1] not in text  # it is escaped
    response, text = await board.get("/incidents/" + "x" * 300)
    assert (response.status, "no incident with this id" in text) == (404, True)


async def test_the_page_of_channels_shows_why_nothing_is_sent_there(board):
    await board.sign_in()
    board.status[0] = SlackStatus(status="invalid_auth", remedy="Set SLACK_BOT_TOKEN.", pauses={"chat.update": 12.4})
    _, text = await board.get("/channels")
    assert "#all" in text
    assert "/board/incidents/i0" in text
    assert "invalid auth. Set SLACK_BOT_TOKEN." in text
    assert "chat.update waits 12 s" in text


async def dead_letter(board, incident="i0") -> Card:
    [card] = (await board.relay.store.incident_history(incident)).cards
    letter = DeadLetter(reason="msg_too_long", remedy="Make it shorter.", since=board.relay.clock.now())
    rejected = replace(card, state=CardState.REJECTED, ts=None, slack_channel=None, post=None)
    await board.relay.store.update_card(card.id, lambda _: Update(cards=(rejected,), dead_letter=letter))
    return card


async def test_a_dead_letter_is_retried(board):
    await dead_letter(board)
    await board.sign_in()
    _, text = await board.get("/letters")
    assert "msg too long" in text
    assert "Make it shorter." in text
    _, text = await board.post("/letters/1/retry")
    assert "retrying: the card is posted soon" in text
    await board.relay.advance(60)
    [card] = (await board.relay.store.incident_history("i0")).cards
    assert card.state is CardState.POSTED
    _, text = await board.post("/letters/1/retry")
    assert "does not exist, or no longer exists" in text


async def test_a_letter_is_discarded_only_with_a_reason_which_is_kept_with_the_name(board):
    await dead_letter(board)
    await board.sign_in(name="Dana")
    _, text = await board.post("/letters/1/discard", reason=" ")
    assert "Say why nobody needs dead letter 1" in text
    _, text = await board.post("/letters/1/discard", reason="moved to Jira")
    assert "discarded: moved to Jira (Dana)" in text
    [letter] = (await board.relay.store.incident_history("i0")).dead_letters
    assert letter.discard_reason == "moved to Jira (Dana)"


async def test_a_quarantined_body_is_downloaded_as_it_was_sent_retried_and_discarded(board):
    await board.sign_in()
    bad = b"<script>not json, and no UTF-8: \xff\xfe\0</script>"
    await board.relay.store.quarantine(bad, {}, "not_json", board.relay.clock.now())
    response = await board.client.get("/board/letters/q1/body")
    assert await response.read() == bad
    assert response.content_type == "application/octet-stream"
    assert response.headers["Content-Disposition"] == 'attachment; filename="relay-letter-q1.json"'
    _, text = await board.post("/letters/q1/retry")
    assert "not retried" in text
    _, text = await board.post("/letters/q1/discard", reason="a test")
    assert "discarded" in text
    response, _ = await board.get("/letters/q1/body")
    assert response.status == 404


async def test_the_page_of_routes_shows_hits_faults_and_the_file(board):
    await board.sign_in()
    board.faults.append("routes.yaml:3: there is no key 'pots'; did you mean 'post'?")
    _, text = await board.get("/routes")
    assert "1 in a day" in text
    assert "there is no key &#39;pots&#39;" in text
    assert "fallback: C0NOC00001" in text
    board.relay.clock.advance(25 * 3600)
    await board.sign_in()
    assert "0 in a day" in (await board.get("/routes"))[1]


@pytest.mark.parametrize(
    ("share", "said"),
    [
        ('{"incident": {"id": "tried", "status": "critical"}}', "data-message="),
        ('{"incident": {"id": "tried", "status": "ok"}}', "tried"),
        ("{bad", "not JSON"),
        ("", "is empty"),
        ("[]", "incident"),
        ('{"incident": {"id": "<script>alert(1)</script>"}}', "&lt;script&gt;"),
    ],
)
async def test_the_playground_explains_a_share_or_why_the_text_is_not_a_share(board, share, said):
    await board.sign_in()
    response, text = await board.post("/routes", share=share)
    assert response.status == 200
    assert said in text
    assert "<script>alert" not in text


async def test_the_page_says_if_the_database_does_not_answer(board, monkeypatch):
    await board.sign_in()

    async def down(*_):
        raise StoreUnusable("The disk is full.")

    monkeypatch.setattr(board.relay.store, "channels", down)
    for path in ("", "/channels", "/letters"):
        response, text = await board.get(path)
        assert (response.status, "The database does not answer" in text) == (503, True)


async def test_a_page_does_not_wait_for_ever_for_a_hanging_database(board, monkeypatch):
    await board.sign_in()

    async def hang(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(board.relay.store, "channels", hang)
    monkeypatch.setattr(pages, "PAGE_SECONDS", 0.01)
    for path in ("", "/channels", "/letters"):
        response, text = await board.get(path)
        assert (response.status, "The database does not answer" in text) == (503, True)


async def test_with_a_port_for_operators_the_public_port_serves_only_senders():
    class Pages:
        def add_routes(self, app):
            app.router.add_get("/board", self.show)

        async def show(self, _request):
            raise AssertionError

    def paths(audience):
        app = create_app(
            FakeBackend(),
            keys=["k"],
            header="X",
            admin_key="admin-key",
            signing_secret="s",
            board=Pages(),
            audience=audience,
        )
        return {str(route.resource.canonical) for route in app.router.routes()}

    senders, operators = paths(Audience.SENDERS), paths(Audience.OPERATORS)
    assert senders == {"/healthz", "/{before}shares{after}", "/slack/actions", "/slack/commands", "/slack/events"}
    assert operators == {
        "/healthz",
        "/readyz",
        "/metrics",
        "/incidents",
        "/incidents/{id}",
        "/incidents/{id}/shares",
        "/board",
    }
    assert senders | operators == paths(Audience.EVERYBODY)


async def test_without_a_key_there_is_no_board():
    app = create_app(FakeBackend(), keys=["k"], header="X")
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/board")).status == 404


async def test_a_mute_is_made_extended_and_ended(board):
    await board.sign_in(name="Dana")
    form = {"match": "{status: critical}", "for": "2h", "reason": "deploy <b>", "unless": ""}
    response, _ = await board.post("/mutes", **form)
    assert (response.status, response.headers["Location"]) == (303, "/board/mutes?made=1")
    for _ in range(2):
        _, text = await board.get("/mutes?made=1")
    assert len(await board.relay.store.mutes_after(0)) == 1
    assert "Mute 1 was made." in text
    assert "deploy &lt;b&gt;" in text
    assert "by Dana (board)" in text
    _, text = await board.post("/mutes/1/extend", **{"for": "soon"})
    assert "such as 90m" in text
    _, text = await board.post("/mutes/1/extend", **{"for": "5h"})
    assert "Mute 1 lasts 5h longer, until " in text
    assert "active, 7 h left" in text
    _, text = await board.post("/mutes/1/end")
    assert "Nothing is muted." in text
    _, text = await board.post("/mutes/1/end")
    assert "already, or does not exist" in text
    assert (await board.relay.store.mute(1)).ended_by == "Dana"


async def test_a_mute_that_matches_nothing_needs_a_confirmation(board):
    await board.sign_in()
    form = {"match": "{tags: {service: nowhere}}", "for": "2h", "reason": "deploy"}
    _, text = await board.post("/mutes", **form)
    assert "It matches 0 open incidents now" in text
    assert 'value="{tags: {service: nowhere}}"' in text
    assert await board.relay.store.mutes_after(0) == ()
    response, _ = await board.post("/mutes", **form, sure="yes")
    assert response.headers["Location"] == "/board/mutes?made=1"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"for": "8d"}, "longer than 7 d"),
        ({"from": "tomorrow"}, "is not a time"),
        ({"match": "{}"}, "only what is not meant"),
        ({"match": "{tagz: 1}"}, "did you mean 'tags'"),
        ({"reason": " "}, "Say why"),
        ({"unless": "purple"}, "is not a state"),
        ({"incident": "i0"}, "either a match or an incident"),
        ({"match": "", "incident": "i9"}, "Relay knows no incident 'i9'"),
        ({"route": "nowhere"}, "There is no route 'nowhere'"),
    ],
)
async def test_an_invalid_mute_is_rejected_with_the_reason(board, changes, said):
    await board.sign_in()
    form = {"match": "{status: critical}", "for": "2h", "reason": "deploy"} | changes
    _, text = await board.post("/mutes", **form)
    assert said in unescape(text)
    assert await board.relay.store.mutes_after(0) == ()


async def test_the_page_of_an_incident_links_to_mutes_of_it_and_of_its_tags(board):
    await board.sign_in()
    await board.relay.share("one", status="critical", incidentTags=[{"id": "service", "value": "a*"}])
    await board.relay.advance(60)
    _, page = await board.get("/incidents/one")
    links = re.findall(r'href="/board(/mutes\?[^"]*)#mute">([^<]*)<', page)
    assert [unescape(words) for _, words in links] == ["this incident", "service: a* on all"]
    for address, _ in links:
        _, form = await board.get(unescape(address))
        given = {name: unescape(value) for name, value in re.findall(r'name="(\w+)"[^>]* value="([^"]*)"', form)}
        await board.post("/mutes", **given | {"for": "1h", "reason": "deploy"})
    one, tag = await board.relay.store.mutes_after(0)
    assert (one.incident, one.match, one.routes) == ("one", "", ())
    assert (tag.incident, tag.match, tag.routes) == ("", r'{tags: {"service": "/(?i)a\\*/"}}', ("all",))
    await board.relay.share("one", status="ok")
    await board.relay.advance(60)
    assert "#mute" not in (await board.get("/incidents/one"))[1]


async def test_muted_incidents_are_in_a_list_of_their_own_until_the_mute_ends(board):
    await board.sign_in()
    await board.relay.share("other", status="critical", incidentTags=[{"id": "service", "value": "web"}])
    await board.relay.advance(60)
    await board.post("/mutes", match="{tags: {service: web}}", reason="deploy", **{"for": "1h"})
    await board.relay.share("held", status="critical", incidentTags=[{"id": "service", "value": "web"}])
    await board.relay.advance(60)
    for seconds, muted in ((0, ["held", "other"]), (3600, [])):
        await board.relay.advance(seconds)
        _, text = await board.get()
        apart = text.partition("<h2>Muted</h2>")[2]
        assert sorted(name for name in ("i0", "other", "held") if f"/incidents/{name}" in apart) == muted
        assert text.count("/incidents/") == 3


STORMY = """
version: 1
fallback: C0NOC00001
storm: {over: 2, within: 5m}
routes: [{name: all, post: [C0ALL00001]}]
"""


async def test_a_storm_and_its_held_cards_are_on_the_pages_channels_and_now(tmp_path):
    async with serve_board(tmp_path, routes=STORMY, incidents=5) as board:
        await board.sign_in()
        for page in ("", "/channels"):
            _, text = await board.get(page)
            assert "3 without a card" in text, page
            assert "held: storm" not in text
        [link] = re.findall(r'href="(https://example.slack.com[^"]*)" rel="noreferrer">storm card in Slack', text)
        assert "storm until" not in (await board.get())[1]
        assert "held: storm, until" in (await board.get("/incidents/i4"))[1]
        [storm] = [each for each in board.relay.slack.channel("all").messages if "⛈️" in board.relay.slack.text_of(each)]
        assert link.endswith(storm.ts)


async def test_a_held_list_and_its_end_are_on_the_page_of_channels(board):
    await board.sign_in()
    await board.post("/mutes", match="{tags: {service: web}}", reason="deploy", sure="yes", **{"for": "1h"})
    await board.relay.share("held", status="critical", incidentTags=[{"id": "service", "value": "web"}])
    await board.relay.advance(60)
    _, text = await board.get("/channels")
    assert "Held: mute" in text
    assert "1 without a card" in text
    assert "held list in Slack" in text
    assert "1 mute holds" in (await board.get())[1]


@pytest.mark.parametrize("incident", [".", "..", "...", "a/../b", "a b?c#d", "%2e%2e", "ü"])
async def test_the_list_links_to_the_page_of_an_incident_with_any_id(board, incident):
    await board.sign_in()
    await board.relay.share(incident, status="critical")
    _, text = await board.get("?search=")
    addresses = [unescape(each) for each in re.findall(r'class="title" href="([^"]*)"', text)]
    pages = [(await board.get(str(_as_a_browser_asks(each)).removeprefix("/board")))[1] for each in addresses]
    assert any(f"<code>{escape(incident)}</code>" in page for page in pages)


def _as_a_browser_asks(address):
    """Resolve `.` and `..` in the path, also where they are percent-encoded (https://url.spec.whatwg.org)."""
    path, mark, query = address.partition("?")
    kept: list[str] = []
    for part in path.split("/"):
        match part.replace("%2e", ".").replace("%2E", "."):
            case ".":
                pass
            case "..":
                del kept[-1:]
            case _:
                kept.append(part)
    return URL("/".join(kept) + mark + query, encoded=True)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "\njavascript:x"])
async def test_a_link_of_an_incident_is_only_an_http_or_https_address(board, address):
    await board.sign_in()
    for number, link in enumerate((address, "https://a.bigpanda.io/x")):
        await board.relay.share(f"linked{number}", status="critical", links={"landing_page": link})
    assert "in BigPanda" not in (await board.get("/incidents/linked0"))[1].partition("<section")[0]
    assert 'href="https://a.bigpanda.io/x"' in (await board.get("/incidents/linked1"))[1]


async def test_the_reason_of_a_discard_has_a_maximum_length(board):
    await board.sign_in()
    await board.relay.store.quarantine(b"{bad", {}, "not_json", board.relay.clock.now())
    _, text = await board.post("/letters/q1/discard", reason="x" * 301)
    assert "more than 300 characters" in text
    assert len(await board.relay.store.quarantined_bodies()) == 1


async def test_dead_letters_beyond_the_list_are_counted_and_each_is_retried_by_its_number(board, monkeypatch):
    monkeypatch.setattr(letters, "MAX_LETTERS", 2)
    monkeypatch.setattr(letters, "MOST_READ", 4)
    await board.sign_in()
    for number in range(1, 5):
        await board.relay.share(f"i{number}", status="critical")
    await board.relay.advance(60)
    for number in range(5):
        await dead_letter(board, f"i{number}")
    _, text = await board.get("/letters")
    assert text.count("/retry") == 2
    assert "3 more are left out" in text
    _, text = await board.post("/letters/5/retry")
    assert "retrying" in text
    await board.relay.advance(60)
    assert [each.id for each in await board.relay.store.dead_letters()] == [1, 2, 3, 4]


@pytest.mark.parametrize("start", ["9999-12-31T23:30Z", "2100-01-01T00:00Z", "0001-01-01T00:00+14:00"])
async def test_a_mute_in_a_mistyped_year_is_rejected_and_the_form_stays(board, start):
    await board.sign_in()
    form = {"match": "{tags: {a: b}}", "for": "7d", "from": start, "reason": "x", "sure": "yes"}
    _, text = await board.post("/mutes", **form)
    assert "more than a year" in text or "in the past" in text or "is not a time" in text
    assert (await board.get("/mutes"))[0].status == 200


async def test_the_page_of_hours_shows_the_last_and_the_next_time_of_each_summary(tmp_path):
    summary = 'zone: Etc/UTC\nsummaries: [{title: Evening, channel: C0ALL00001, at: "22:15"}]\n'
    async with serve_board(tmp_path, routes=ROUTES + summary) as board:
        await board.sign_in()
        _, before = await board.get("/mutes")
        await board.relay.advance(300)
        _, after = await board.get("/mutes")
    shown = [page.partition("<h2>Summaries</h2>")[2] for page in (before, after)]
    assert ["<b>Evening</b> in C0ALL00001" in each for each in shown] == [True, True]
    assert ["was posted" in each for each in shown] == [False, True]
    assert ["2023-11-15" in each for each in shown] == [False, True]  # when the next one comes


async def test_problems_are_on_the_first_page_and_link_to_their_page(board):
    await board.sign_in()
    _, text = await board.get()
    assert "problem" not in text.partition('class="counts"')[2].partition("</p>")[0]
    board.faults.append(Fault(file="routes.yaml", line=3, message="unknown key"))
    board.status[:] = [SlackStatus(status="invalid_auth", remedy="Renew the token.")]
    board.relay.slack.channel("all").archive()
    await board.relay.share("next", status="critical")
    await board.relay.advance(60)
    _, text = await board.get()
    said = re.findall(r'class="problem" href="/board(/[a-z]+)">([^<]*)', text)
    assert [page for page, _ in said if page != "/letters"] == ["/channels", "/channels", "/routes"]
    assert any("#all takes no messages" in words for _, words in said)
