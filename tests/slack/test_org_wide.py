"""An org-wide token (Enterprise Grid): relay finds out which workspace it lists channels and user groups of."""

import pytest

from relay.http.session import make_session
from relay.model.struct import replace
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.gateway import SlackGateway
from relay.slack.outcomes import Read, Rejected
from relay.slack.responses import channels_of, identity_of, members_of, user_groups_of
from tests.support.clocks import ManualClock


@pytest.fixture
async def slack():
    fake = FakeSlack()
    fake.grants[fake.token] = replace(fake.grants[fake.token], org_wide=True)
    fake.add_channel("C0DB000001", "db")
    fake.add_usergroup("S0DB000001", "db", users=["U0ANN00001"])
    async with serve_slack(fake) as fake.url, make_session() as fake.session:
        yield fake


def gateway(slack, **more):
    return SlackGateway(slack.session, slack.token, ManualClock(), base_url=slack.url, **more)


async def test_an_org_wide_token_with_one_workspace_needs_no_setting(slack):
    relay = gateway(slack)
    assert [each.name for each in channels_of(await relay.channels())] == ["db"]
    assert user_groups_of(await relay.user_groups()) == {"S0DB000001": "db"}
    assert members_of(await relay.group_members("S0DB000001")) == ("U0ANN00001",)
    assert len(slack.calls_to("auth.teams.list")) == 1
    identity = identity_of(await relay.auth_test())
    assert identity.team_id.startswith("E")  # it is not empty: another organisation is another one


@pytest.mark.parametrize("teams", [{}, {"T0SANDBOX": "sandbox", "T0OTHER": "other"}])
async def test_with_several_workspaces_the_remedy_names_the_setting_and_them(slack, teams):
    slack.teams = teams
    for answer in (await gateway(slack).channels(), await gateway(slack).user_groups()):
        assert isinstance(answer, Rejected)
        assert answer.reason == "workspace_unknown"
        assert "SLACK_TEAM_ID" in answer.remedy
        assert all(team in answer.remedy and name in answer.remedy for team, name in teams.items())
    relay = gateway(slack, team_id="T0SANDBOX")
    assert isinstance(await relay.channels(), Read)
    assert len(slack.calls_to("auth.teams.list")) == 2
