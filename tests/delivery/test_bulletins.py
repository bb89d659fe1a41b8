"""Bulletins are delivered as cards are: posted once, edited in place, healed, and their lines named once."""

from tests.support.bulletin_samples import catch, hold, release
from tests.support.relay_in_process import START, run_relay


async def change(relay, *changes):
    await relay.store.change_bulletins(changes)
    relay.delivery.wake()


def roots(relay, channel="all"):
    return [each for each in relay.slack.channel(channel).messages if each.thread_ts is None]


def thread(relay, root, channel="all"):
    return [relay.slack.text_of(reply) for reply in relay.slack.channel(channel).thread(root.ts)]


async def test_a_held_list_counts_and_its_thread_names_each_incident_once(tmp_path):
    async with run_relay(tmp_path) as relay:
        await change(relay, hold("i1", "i2", at=START, until=START + 3600.0))
        await relay.advance(30)
        await change(relay, hold("i2", "i3", at=START + 30))
        await relay.advance(60)
        (root,) = roots(relay)
        assert "3 incidents held" in relay.slack.text_of(root)
        named = "\n".join(thread(relay, root))
        assert [named.count(f"Trouble with i{number}") for number in (1, 2, 3)] == [1, 1, 1]


async def test_a_resolved_incident_is_marked_in_its_line_and_in_the_count(tmp_path):
    async with run_relay(tmp_path) as relay:
        await relay.share("i1", status="critical")
        await relay.advance(10)
        await change(relay, hold("i1", "i2", at=START))
        await relay.advance(60)
        await relay.share("i1", status="ok")
        await relay.advance(120)
        root = next(each for each in roots(relay) if "held" in relay.slack.text_of(each))
        assert "1 incident held" in relay.slack.text_of(root)
        assert "✅ Trouble with i1" in "\n".join(thread(relay, root))


async def test_a_catch_up_pings_each_target_once_and_is_edited_when_an_incident_ends(tmp_path):
    async with run_relay(tmp_path) as relay:
        await change(relay, catch("i1", "i2", at=START, targets=("S0CRIT", "here", "S0CRIT")))
        await relay.advance(60)
        (root,) = roots(relay)
        assert str(root.blocks).count("<!subteam^S0CRIT>") == 1
        assert "here" not in str(root.blocks)


async def test_a_closed_list_says_that_it_is_over(tmp_path):
    async with run_relay(tmp_path) as relay:
        await change(relay, hold("i1", at=START))
        await relay.advance(60)
        await change(relay, release(at=START + 60))
        await relay.advance(60)
        (root,) = roots(relay)
        assert "No longer held" in relay.slack.text_of(root)
        await change(relay, hold("i2", at=START + 120))
        await relay.advance(60)
        assert len(roots(relay)) == 2
