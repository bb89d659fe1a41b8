"""`relay check --slack`: Slack checks every message and modal at its extremes, and a complaint names the template."""

from functools import cache

import orjson
import pytest
from typer.testing import CliRunner

from relay.cli import app
from relay.http.session import make_session
from relay.model.buttons import BUTTONS
from relay.model.entry_kinds import ENTRY_TEMPLATES
from relay.reload.messages import NoticeTopic
from relay.rendering.library import BULLETINS, LINE
from relay.sandbox.faults import ErrorCode, InjectedFault
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.gateway import SlackGateway
from relay.slack.outcomes import Read, Rejected, RejectionScope
from relay.tools.check import slack_validation
from relay.tools.check.block_origins import Origins, innermost
from relay.tools.check.slack_validation import BUILT_IN, ValidationUnavailable, slack_complaints, surfaces
from relay.tools.check.template_trial import failures_of
from relay.tools.check.trial_simulation import Trial
from tests.support.clocks import SkippingClock

OWN = {
    "incident/card.j2": "{# two lines\n #}\n{% header %}{{ incident.title }}{% endheader %}\n{% divider %}\n",
    "payments/status.j2": "{% context %}{{ entry.kind }}{% endcontext %}",
}


@cache
def drawn_once(*sources):
    return tuple(surfaces(dict(sources)))


@pytest.fixture(autouse=True)
def few_drawings(monkeypatch):
    """The tests share what they only read: to draw everything takes a while."""
    monkeypatch.setattr(slack_validation, "surfaces", lambda sources: drawn_once(*sources.items()))


@pytest.fixture
def clock():
    return SkippingClock()


@pytest.fixture
def slack(clock):
    return FakeSlack(clock=clock.now)


@pytest.fixture
async def gateway(slack, clock):
    async with serve_slack(slack) as url, make_session() as session:
        yield SlackGateway(session, slack.token, clock, base_url=url)


def test_every_kind_of_message_is_validated_and_each_payload_once():
    found = slack_validation.surfaces(OWN)
    names = " ".join(each.name for each in found)
    assert all(f"the modal of {name}" in names for name, row in BUTTONS.items() if row.modal_title)
    assert all(f"the notice about {topic}" in names for topic in NoticeTopic)
    assert {each.file for each in found} == {*OWN, BUILT_IN}
    assert all(f"the message of bulletin/{name}.j2" in names for name in (*BULLETINS, LINE))
    assert len({orjson.dumps([each.kind, each.payload]) for each in found}) == len(found)
    drawn = orjson.dumps([each.payload for each in slack_validation.surfaces({})]).decode()
    assert all(f'"relay_{name}"' in drawn or name in drawn for name in BUTTONS)
    assert len([each for each in found if each.name.startswith("a reply")]) > len(ENTRY_TEMPLATES) / 2


async def test_slack_accepts_everything_that_relay_makes_and_nothing_is_posted(slack, gateway):
    assert await slack_complaints(gateway, OWN) == []
    assert {call.method for call in slack.calls} == {"blocks.validate"}


async def test_a_complaint_names_the_line_of_the_template_that_makes_the_block(gateway, monkeypatch):
    async def complaining(kind, payload):
        blocks = [*payload.get("blocks", ()), *(b for each in payload.get("attachments", ()) for b in each["blocks"])]
        if kind == "message" and any(block["type"] == "divider" for block in blocks):
            place = next(f"/blocks/{at}" for at, block in enumerate(blocks) if block["type"] == "divider")
            top = "" if payload.get("blocks") else "/attachments/0"
            return Rejected(
                code="invalid_message",
                scope=RejectionScope.PAYLOAD,
                reason="",
                remedy="",
                detail=f"bad [json-pointer:{top}{place}]",
            )
        return Read(body={})

    monkeypatch.setattr(gateway, "validate", complaining)
    complaints = [each for each in await slack_complaints(gateway, OWN) if each.file == "incident/card.j2"]
    assert {each.line for each in complaints} == {4}
    assert all(each.message.startswith("Slack rejects the card of ") for each in complaints)


MACROS = """{% macro pair(name, value) %}
{% field name %}{{ value }}{% endfield %}
{% endmacro %}
"""
CARD = """{% from "macros.j2" import pair %}
{% header %}{{ incident.title }}{% endheader %}
{% section %}
  the state is {{ incident.state }}
{% endsection %}
{% section %}second{% endsection %}
{% bar "#ff0000" %}
{% section %}long {% for each in range(90) %}{{ incident.title }} word {% endfor %}{% endsection %}
{% fields %}{% field "one" %}1{% endfield %}
{{ pair("two", "2") }}{% endfields %}
{% context %}small {{ environment }}{% endcontext %}
{% endbar %}
{% divider %}
{% actions %}{% button "https://example.com" %}Runbook{% endbutton %}{% endactions %}
"""
PLACES = {
    "the state is": ("incident/card.j2", 3),
    "second": ("incident/card.j2", 6),
    "long ": ("incident/card.j2", 8),
    "*one*": ("incident/card.j2", 9),
    "*two*": ("incident/macros.j2", 2),
    "small": ("incident/card.j2", 11),
    '"divider"': ("incident/card.j2", 13),
    "Runbook": ("incident/card.j2", 14),
}


def test_a_complaint_names_the_tag_that_made_the_block_among_equal_tags():
    """Also inside of a bar, in another file, and where the mark moves the place at which a text is cut."""
    own = {"incident/card.j2": CARD, "incident/macros.j2": MACROS}
    origins = Origins(own, lambda marked: (each.payload for each in surfaces(marked)))
    cards = [tuple(said_parts(each.payload)) for each in surfaces(own) if each.file == "incident/card.j2"]
    for says, place in PLACES.items():
        found = [part for parts in cards if (part := next((part for said, part in parts if says in said), None))]
        assert found, says
        assert {origins.place("incident/card.j2", part) for part in found} == {place}, says


def said_parts(value):
    """The parts with a type, inner ones first, each behind what it says."""
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from said_parts(each)
    if isinstance(value, dict) and "type" in value:
        yield orjson.dumps(value).decode(), value


def test_a_json_pointer_is_resolved_to_the_innermost_part_with_a_type():
    text = {"type": "mrkdwn", "text": "x"}
    payload = {"attachments": [{"blocks": [{"type": "section", "fields": [text]}]}]}
    assert innermost(payload, "/attachments/0/blocks/0/fields/0/text") == text
    assert innermost(payload, "/attachments/0/blocks/0/fields/9")["type"] == "section"
    assert innermost(payload, "/nothing") == innermost(payload, "") == {}


@pytest.mark.parametrize("code", ["unknown_method", "invalid_auth", "invalid_arguments"])
async def test_the_command_reports_that_it_cannot_ask_slack(slack, gateway, code):
    slack.faults.add(InjectedFault(behaviour=ErrorCode(code), method="blocks.validate", times=None))
    with pytest.raises(ValidationUnavailable, match="cannot check"):
        await slack_complaints(gateway, {})


@pytest.mark.parametrize(
    ("kind", "payload", "pointer"),
    [
        ("message", {"text": "x", "blocks": []}, "/"),
        ("message", {"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "/blocks/0"),
        ("message", {"attachments": [{"blocks": [{"type": "section"}]}]}, "/attachments/0/blocks/0"),
        ("view", {"type": "modal", "title": {"type": "plain_text", "text": "x" * 99}, "blocks": []}, "/view/title"),
    ],
)
async def test_the_stand_in_names_the_wrong_part_of_a_payload(gateway, kind, payload, pointer):
    answer = await gateway.validate(kind, payload)
    assert isinstance(answer, Rejected)
    assert answer.code == f"invalid_{kind}"
    assert f"[json-pointer:{pointer}" in answer.detail


def test_without_a_token_the_command_says_what_to_set(tmp_path, monkeypatch):
    (tmp_path / "routes.yaml").write_text('version: 1\nroutes: [{name: a, post: ["#a"]}]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    result = CliRunner().invoke(app, ["check", "--slack"])
    assert result.exit_code == 2
    assert "set SLACK_BOT_TOKEN" in result.stderr


async def test_a_template_of_the_lists_that_fails_is_found():
    own = {"bulletin/catch_up.j2": "{% section %}{{ 1 // (bulletin.counts.all - 1) }}{% endsection %}"}
    [fault] = failures_of(Trial(own))
    assert (fault.file, fault.line, fault.warning) == ("bulletin/catch_up.j2", 1, True)
    assert "few details" in fault.message
