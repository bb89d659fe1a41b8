"""The manifest asks for exactly the scopes that relay's calls need."""

import inspect
import json

import pytest
import yaml
from typer.testing import CliRunner

from relay.actions.modals import build_modal
from relay.cli import app
from relay.http.session import make_session
from relay.sandbox.slack.apps import DEFAULT_SCOPES
from relay.sandbox.slack.methods import METHODS
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.client import Marker, SlackClient
from relay.slack.interactions import WHY_SHORTCUT
from relay.slack.message import Message
from relay.slack.methods import ACTION_SCOPES, COMMANDS_SCOPE, MISSING_SCOPE_EFFECTS, REQUIRED_SCOPES, Method
from relay.slack.outcomes import Rejected
from relay.tools.manifest import build_manifest

VIEW = build_modal("comment", title="db-1 is down", incident="i", channel="C0PUBLIC01", message_ts="1.1")
MARKER = Marker(event_type="relay_card", incident="i", key="k")


@pytest.fixture
async def workspace():
    slack = FakeSlack(scopes=(*REQUIRED_SCOPES, *ACTION_SCOPES))
    for kind, channel in ((False, "C0PUBLIC01"), (True, "C0PRIVATE1")):
        slack.add_channel(channel, channel.lower(), private=kind, member=True)
    slack.add_user("U0ANN000001", "ann")
    slack.add_usergroup("S0ONCALL001", "oncall", users=["U0ANN000001"])
    slack.channel("C0PUBLIC01").invite("U0ANN000001")
    async with serve_slack(slack) as url, make_session() as session:
        yield slack, SlackClient(session, slack.token, base_url=url)


async def everything(slack):
    """Call each method of relay's client, in a public and in a private channel; return the answers by method."""
    answers = {"auth_test": [await slack.auth_test()], "channels": [await slack.channels()]}
    answers["user_groups"] = [await slack.user_groups()]
    answers["group_members"] = [await slack.group_members("S0ONCALL001")]
    answers["user"] = [await slack.user("U0ANN000001")]
    answers["user_channels"] = [await slack.user_channels("U0ANN000001")]
    answers["user_by_email"] = [await slack.user_by_email("ann@example.com")]
    answers["open_direct"] = [await slack.open_direct("U0ANN000001")]
    answers["post_direct"] = [await slack.post_direct("D0000000001", "not assigned")]
    answers["validate"] = [await slack.validate("view", VIEW)]
    answers["open_view"] = [await slack.open_view("1.2.abc", VIEW)]
    answers["post_ephemeral"] = [await slack.post_ephemeral("C0PUBLIC01", "U0ANN000001", "under way")]
    answers["teams"] = [await slack.teams()]
    answers["open_socket"] = [await slack.open_socket()]
    answers["join"] = [await slack.join("C0PUBLIC01")]
    for channel in ("C0PUBLIC01", "C0PRIVATE1"):
        posted = await slack.post(channel, Message(text="hello"), marker=MARKER)
        ts = getattr(posted, "ts", "1.1")
        for verb, answer in {
            "post": posted,
            "edit": await slack.edit(channel, ts, Message(text="again")),
            "history": await slack.history(channel, "0"),
            "replies": await slack.replies(channel, ts),
            "channel": await slack.channel(channel),
            "delete": await slack.delete(channel, ts),
        }.items():
            answers.setdefault(verb, []).append(answer)
    return answers


def lacking(answers):
    return {
        verb
        for verb, several in answers.items()
        if any(isinstance(answer, Rejected) and answer.reason == "missing_scope" for answer in several)
    }


async def test_with_the_scopes_of_the_manifest_every_call_is_allowed(workspace):
    slack, client = workspace
    answers = await everything(client)
    verbs = {
        name for name, _ in inspect.getmembers(SlackClient, inspect.iscoroutinefunction) if not name.startswith("_")
    }
    assert answers.keys() == verbs
    assert not lacking(answers)
    assert {call.method for call in slack.calls} == set(Method)


@pytest.mark.parametrize("scope", [*REQUIRED_SCOPES, *ACTION_SCOPES[:1]])
async def test_without_any_one_of_them_some_call_is_rejected(workspace, scope):
    slack, client = workspace
    slack.remove_scope(scope)
    assert lacking(await everything(client))


def test_the_table_agrees_with_the_scopes_of_the_fake_slack():
    for method in Method:
        needed = METHODS[method].scope if method is not Method.OPEN_SOCKET else None
        assert needed is None or needed == method.scopes[0]
    assert {*REQUIRED_SCOPES, *ACTION_SCOPES, COMMANDS_SCOPE} == DEFAULT_SCOPES == MISSING_SCOPE_EFFECTS.keys()


def test_the_manifest_has_the_format_that_slack_accepts():
    document = build_manifest()
    assert document.keys() == {"_metadata", "display_information", "features", "oauth_config", "settings"}
    assert document["oauth_config"] == {"scopes": {"bot": list(REQUIRED_SCOPES)}}
    assert len(document["display_information"]["name"]) <= 35
    assert len(document["display_information"]["description"]) <= 140
    assert len(document["features"]["bot_user"]["display_name"]) <= 80
    assert document["settings"]["token_rotation_enabled"] is False
    assert document["settings"]["interactivity"] == {"is_enabled": False}


def test_clicks_and_replies_use_http_or_socket_mode():
    over_http = build_manifest(url="https://relay.example.com/", replies=True)["settings"]
    assert over_http["interactivity"]["request_url"] == "https://relay.example.com/slack/actions"
    assert over_http["event_subscriptions"]["request_url"] == "https://relay.example.com/slack/events"
    over_a_socket = build_manifest(socket_mode=True, replies=True)["settings"]
    assert over_a_socket["interactivity"] == {"is_enabled": True}
    assert over_a_socket["event_subscriptions"] == {"bot_events": ["message.channels", "message.groups"]}


def test_the_command_and_the_shortcut_are_there_as_soon_as_slack_can_reach_relay():
    assert build_manifest()["features"].keys() == {"bot_user"}
    over_http = build_manifest(url="https://relay.example.com/", command="/relay-staging")
    [command], [shortcut] = over_http["features"]["slash_commands"], over_http["features"]["shortcuts"]
    assert (command["command"], command["url"]) == ("/relay-staging", "https://relay.example.com/slack/commands")
    assert command["should_escape"]
    assert (shortcut["type"], shortcut["callback_id"]) == ("message", WHY_SHORTCUT)
    assert len(shortcut["name"]) <= 24
    assert max(len(each) for each in (command["description"], command["usage_hint"], shortcut["description"])) <= 150
    assert "commands" in over_http["oauth_config"]["scopes"]["bot"]
    [over_a_socket] = build_manifest(socket_mode=True)["features"]["slash_commands"]
    assert over_a_socket["command"] == "/relay"
    assert "url" not in over_a_socket


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://relay"},
        {"url": "https://relay", "socket_mode": True},
        {"replies": True},
        {"command": "relay"},
        {"command": "/Relay"},
        {"command": "/two words"},
        {"command": "/" + "r" * 32},
    ],
)
def test_options_that_slack_would_reject_are_an_error(wrong):
    with pytest.raises(ValueError, match=r"\w"):
        build_manifest(**wrong)
    options = [f"--{name.replace('_', '-')}" if value is True else f"--{name}={value}" for name, value in wrong.items()]
    assert CliRunner().invoke(app, ["manifest", *options]).exit_code == 2


def test_the_command_prints_the_same_as_yaml_and_as_json():
    as_yaml = CliRunner().invoke(app, ["manifest"])
    as_json = CliRunner().invoke(app, ["manifest", "--json"])
    assert yaml.safe_load(as_yaml.output) == json.loads(as_json.output) == build_manifest()
