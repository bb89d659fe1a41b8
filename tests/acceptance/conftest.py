"""What a relay process needs: a folder with the ROUTES of the module, and a workspace with its CHANNELS (id: name)."""

import pytest

from relay.sandbox.slack.server import FakeSlack, serve_slack


@pytest.fixture
def folder(tmp_path, request):
    (tmp_path / "routes.yaml").write_text(request.module.ROUTES)
    return tmp_path


@pytest.fixture
async def slack(request):
    workspace = FakeSlack()
    for channel, name in request.module.CHANNELS.items():
        workspace.add_channel(channel, name)
    async with serve_slack(workspace) as url:
        workspace.url = url
        yield workspace
