"""The real process killed with SIGKILL at random moments, with lost answers and lagging history: nothing is lost."""

from tests.soak.soak import Plan, soaking


async def test_repeated_kills_lose_and_duplicate_no_card_and_no_entry(tmp_path):
    plan = Plan(
        seed=9,
        relays=1,
        seconds=5.0,
        kills=4,
        incidents=8,
        at_once=8,
        pause=(0.2, 2.0),
        kill_after=(0.1, 1.0),
        lag=2.0,
        lost_before=0.0,
        lost_after=0.3,
        patience=60.0,
    )
    async with soaking(tmp_path, plan) as soak:
        assert await soak.run() == []
    assert soak.tally.kills >= 1
    assert len(soak.incidents) == 8
    assert soak.tally.shares >= 16
