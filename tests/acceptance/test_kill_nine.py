"""The real process killed with SIGKILL at random moments, with lost answers and lagging history: nothing is lost."""

from tests.soak.soak import Plan, soaking
from tests.support.intervals import intervals

LAG = 1.0
SOON = intervals(
    {
        "relay.cards.recovery.FIRST_SEARCH_AFTER": 1.0,
        "relay.cards.recovery.SECOND_SEARCH_AFTER": 3 * LAG,  # a lost message is in the history by then
        "relay.ratelimit.budgets.EDIT_SPACING": 0.2,
    }
)


async def test_repeated_kills_lose_and_duplicate_no_card_and_no_entry(tmp_path):
    plan = Plan(
        seed=9,
        relays=1,
        seconds=3.0,
        kills=4,
        incidents=8,
        at_once=8,
        pause=(0.1, 1.0),
        kill_after=(0.1, 0.7),
        lag=LAG,
        lost_before=0.0,
        lost_after=0.3,
        patience=60.0,
        command=None,
        prepare=SOON,
    )
    async with soaking(tmp_path, plan) as soak:
        assert await soak.run() == []
    assert soak.tally.kills >= 1
    assert len(soak.incidents) == 8
    assert soak.tally.shares >= 16
