"""Nobody outside a private channel sees what is in it, whatever relay and Slack know."""

from hypothesis import given
from hypothesis import strategies as st

from relay.cards.model import Channel
from relay.commands.viewer import Viewer
from relay.slack.responses import SlackUser

IDS = ("C1", "C2", "C3")
CHANNELS = st.fixed_dictionaries(
    {ref: st.sampled_from([True, False, None]) for ref in IDS}  # private, public, or never looked up
)


def viewer_of(private, members, *, guest, asked_in):
    channels = [
        Channel(ref=ref, slack_id=ref, facts={} if value is None else {"private": value})
        for ref, value in private.items()
    ]
    channels += [Channel(ref=f"#{ref}", canonical_ref=ref) for ref in IDS]
    person = None if guest is None else SlackUser(id="U1", guest=guest)
    known = None if members is None else frozenset(members)
    by_ref = {each.ref: each for each in channels}
    return Viewer(user="U1", asked_in=asked_in, channels=by_ref, member_of=known, person=person)


@given(
    CHANNELS,
    st.none() | st.frozensets(st.sampled_from(IDS)),
    st.sampled_from([True, False, None]),
    st.sampled_from([*IDS, "D1"]),
)
def test_a_viewer_sees_their_channels_the_current_one_and_public_ones_unless_a_guest(private, members, guest, asked_in):
    viewer = viewer_of(private, members, guest=guest, asked_in=asked_in)
    for ref in IDS:
        is_member = members is not None and ref in members
        is_public = private[ref] is False and guest is False
        assert viewer.sees(ref) == viewer.sees(f"#{ref}") == (is_member or is_public or asked_in == ref)
    assert not viewer.sees("C9")


def test_a_channel_that_slack_has_not_found_is_seen_by_nobody():
    lost = Channel(ref="#lost", facts={"private": False})
    channels = {"#lost": lost}
    viewer = Viewer(user="U1", asked_in="", channels=channels, member_of=frozenset({""}), person=SlackUser(id="U1"))
    assert not viewer.sees("#lost")
