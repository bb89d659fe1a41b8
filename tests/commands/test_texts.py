"""Answers fit into a message, count what they leave out, and format nothing that an alert says."""

from hypothesis import given
from hypothesis import strategies as st

from relay.commands.texts import MAX_ANSWER, PingTargets, incident_name, mrkdwn_list, written
from relay.model.incident import Incident, State

TITLES = st.text(max_size=300)


def incident_of(**values):
    states = {"state": State.CRITICAL, "severity": State.CRITICAL}
    return Incident(**states, reported_status="Critical", active=True, **values)


@given(st.lists(TITLES, max_size=60))
def test_a_list_fits_and_says_how_many_lines_it_leaves_out(titles):
    lines = [incident_name(incident_of(id=f"i{number}", title=title)) for number, title in enumerate(titles)]
    text = mrkdwn_list(["You have some"], lines)
    assert len(text) <= MAX_ANSWER
    shown = text.count("\n") - text.count(" more_")
    left_out = next((int(line.split()[1].replace(",", "")) for line in text.splitlines() if line.endswith(" more_")), 0)
    assert shown + left_out == len(titles)


@given(TITLES | st.sampled_from(["<!channel>", "<@U1>", "<https://evil|x>", "&lt;!here&gt;", "\U000f0001\U000f0200x"]))
def test_a_title_makes_no_link_ping_or_markup(title):
    text = incident_name(incident_of(id="i1", title=title, links={"landing_page": "https://a.bigpanda.io/1"}))
    shown = written(text)
    assert shown.count("<") == shown.count(">") == 1
    assert "<https://a.bigpanda.io/1|" in shown
    assert not any(0xF0000 <= ord(character) <= 0xFFFFD for character in shown)


def test_groups_are_named_and_here_and_channel_stay_plain_text():
    assert written(("pinged ", PingTargets(("S0ONCALL01", "U0ANN00001", "here")))) == (
        "pinged <!subteam^S0ONCALL01>, <@U0ANN00001>, @here"
    )
