"""The address of a message, as people copy it from Slack."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cards.draw import permalink
from relay.tools.permalink import is_link, root_message

CARD = ("C0123456789", "1700000000.000100")
ACME = "https://acme.slack.com"


@pytest.mark.parametrize(
    "link",
    [
        f"{ACME}/archives/C0123456789/p1700000000000100",
        f"<{ACME}/archives/C0123456789/p1700000000000100|the card> ",
        f"{ACME}/archives/C0123456789/p1700000099000200?thread_ts=1700000000.000100&cid=C0123456789",
        f"{ACME}/archives/C0123456789/p1700000099000200?thread_ts=1700000000.000100&amp;cid=C0123456789",
        "https://acme.enterprise.slack.com/archives/C0123456789/p1700000000000100/#top",
        "https://app.slack.com/client/T0123/C0123456789/thread/C0123456789-1700000000.000100",
    ],
)
def test_a_link_to_the_card_or_to_a_reply_names_the_card(link):
    assert is_link(link)
    assert root_message(link) == CARD


@pytest.mark.parametrize(
    "text", ["", "https://", "https://[", f"{ACME}/archives/C0123456789", "https://a.bigpanda.io/#/app/p1", "5555"]
)
def test_any_other_text_is_not_a_link_to_a_message(text):
    assert root_message(text) is None


@given(st.integers(10**15, 10**16 - 1), st.from_regex("[CG][A-Z0-9]{8,11}", fullmatch=True))
def test_relays_own_links_are_read(number, channel):
    ts = f"{number // 10**6}.{number % 10**6:06}"
    assert root_message(permalink(ACME + "/", channel, ts)) == (channel, ts)


@given(st.text())
def test_no_text_makes_it_fail(text):
    assert root_message("https://" + text) is None or is_link("https://" + text)
