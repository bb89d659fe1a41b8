"""Changed rules are followed once, and again by a relay that begins to deliver."""

from types import SimpleNamespace

from relay.cards.attention import NO_SURROUNDINGS
from relay.delivery.rules_watch import RulesWatch
from relay.routes.rulebook import Rulebook
from tests.support.clocks import ManualClock


class Followed:
    """What of the store is asked for; `seen` counts how often the held cards were looked at.

    `meanwhile` is called each time.
    """

    def __init__(self):
        self.seen = 0
        self.meanwhile = lambda: None

    async def look_at_held(self, _now, *, lease):
        self.seen += 1
        self.meanwhile()

    async def has_reminders(self):
        return False


async def test_rules_are_followed_when_they_change_and_when_relay_begins_to_deliver():
    store, live = Followed(), SimpleNamespace(hash="a", rulebook=Rulebook(text=""))
    shared = SimpleNamespace(
        store=store, clock=ManualClock(), lease=None, live=lambda: live, surroundings=lambda: NO_SURROUNDINGS
    )
    watch = RulesWatch(shared)
    for expected in (1, 1):
        await watch.follow()
        assert store.seen == expected
    live.hash = "b"
    await watch.follow()
    assert store.seen == 2
    await watch.begin()  # meanwhile another relay may have delivered by rules of its own
    await watch.follow()
    assert store.seen == 3


async def test_rules_that_were_edited_and_edited_back_meanwhile_are_followed_again():
    """The bug: other parts had decided by the edited rules, and their decisions stayed."""
    store, live = Followed(), SimpleNamespace(hash="a", rulebook=Rulebook(text=""))
    shared = SimpleNamespace(
        store=store, clock=ManualClock(), lease=None, live=lambda: live, surroundings=lambda: NO_SURROUNDINGS
    )
    watch = RulesWatch(shared)

    def edit_twice():
        nonlocal live
        live = SimpleNamespace(hash="a", rulebook=Rulebook(text=""))  # the same file as before, read again

    store.meanwhile = edit_twice
    await watch.follow()
    store.meanwhile = lambda: None
    for expected in (2, 2):
        await watch.follow()
        assert store.seen == expected
