"""What tests of actions share."""

import pytest

from tests.support.bigpanda_round_trip import run_round_trip


@pytest.fixture
async def round_trip(tmp_path):
    """A relay with both stand-ins, and an open incident whose card is posted."""
    async with run_round_trip(tmp_path) as opened:
        await opened.start_incident()
        yield opened
