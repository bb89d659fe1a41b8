"""Slack's lists, page by page."""

from hypothesis import given
from hypothesis import strategies as st

from relay.slack.outcomes import Read, Retryable
from relay.slack.pages import Pages, read_channels, read_pages

PAGES = st.lists(st.lists(st.integers(), max_size=3), min_size=1, max_size=5)


def reader(pages, *, failing=None):
    """Return a function that reads these pages by their cursors (the numbers of the pages), and what it was asked."""
    asked = []

    async def read_page(cursor):
        asked.append(cursor)
        number = int(cursor or 0)
        if number == failing:
            return Retryable(reason="rate_limited")
        following = str(number + 1) if number + 1 < len(pages) else ""
        return Read(body={"items": pages[number], "response_metadata": {"next_cursor": following}})

    return read_page, asked


def items_of(read):
    return read.body["items"]


@given(PAGES, st.integers(1, 6))
async def test_all_items_are_read_in_order_up_to_the_maximum_number_of_pages(pages, most):
    read_page, asked = reader(pages)
    read = await read_pages(read_page, items_of, most)
    assert read == Pages(tuple(item for page in pages[:most] for item in page), complete=most >= len(pages))
    assert asked == [None, *map(str, range(1, min(most, len(pages))))]


@given(PAGES, st.data())
async def test_the_answer_of_a_page_that_cannot_be_read_is_returned(pages, data):
    read_page, asked = reader(pages, failing=data.draw(st.integers(0, len(pages) - 1)))
    assert await read_pages(read_page, items_of, len(pages)) == Retryable(reason="rate_limited")
    assert len(asked) <= len(pages)


async def test_the_channels_of_all_pages_are_read():
    async def read_page(cursor):
        following = {"response_metadata": {"next_cursor": "" if cursor else "second"}}
        return Read(body={"channels": [{"id": "C2" if cursor else "C1", "name": "db"}]} | following)

    assert [channel.id for channel in await read_channels(read_page)] == ["C1", "C2"]
