"""What an episode has reached is stored with it: it counts once through restarts and on several relays."""

from relay.cards.milestones import Milestone
from relay.cards.plan import plan
from relay.model.struct import replace
from relay.routes.parser.parse import parse_rulebook
from relay.store.store import Store
from tests.support.share_sequences import ROUTES, share

ANN = {"metadata": {"assignee": {"name": "Ann"}}}
RULEBOOK = parse_rulebook(ROUTES)


def decide(context):
    return plan(RULEBOOK, context.incident_state, context.cards, context.share, context.canonical_refs)


async def accept(store, *shares):
    return [dict(accepted.times_taken) for accepted in await store.accept(shares, decide)]


async def test_an_assignment_and_an_end_count_once_on_several_relays(store, second):
    assigned, again = share(60, status="critical", **ANN), share(90, status="warning", **ANN)
    ended = share(200, status="ok", endedOn=1_700_000_180, **ANN)
    group = (share(0, status="critical"), assigned, replace(assigned))
    assert await accept(store, *group) == [{}, {Milestone.ASSIGNED: 60}, {}]
    assert await accept(second, assigned, again) == [{}, {}]
    assert await accept(second, ended) == [{Milestone.RESOLVED: 180}]
    assert await accept(store, ended, share(210, status="ok", severity="critical", **ANN)) == [{}, {}]


async def test_after_a_restart_nothing_counts_again(url):
    opened = await Store.open(url)
    assert await accept(opened, share(0, status="critical"), share(60, status="critical", **ANN)) == [
        {},
        {Milestone.ASSIGNED: 60},
    ]
    await opened.close()
    reopened = await Store.open(url)
    assert await accept(reopened, share(70, status="warning", **ANN)) == [{}]
    await reopened.close()
