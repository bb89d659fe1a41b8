"""Text of an alert that is long and odd costs no more than other text of its length."""

import time

import pytest

from relay.bigpanda.webhook.values import timestamp
from relay.model.outside_text import clean_text, readable_text
from relay.rendering.blocks.characters import without_formatting
from relay.rendering.blocks.rich_text import Atom, tidy

LENGTH = 30_000
"""Characters. What grows with their square takes more than two seconds; the rest takes hundredths of one."""

PIECES = (
    *(
        " ",
        "\t",
        "\n",
        " \n",
        "\n ",
        "\r",
        "\u00a0",
        "\u200b",
        "a ",
        "·",
        " ·",
        "· ",
        " · ",
        "\n · ",
        "\x1b",
        "\x1b[",
        "\x9d",
    ),
    *(
        "<",
        "<a",
        "<a ",
        "<a b",
        "<a href=",
        "<br",
        "<td>",
        "</td>",
        "<li>",
        "<!doctype ",
        "&",
        "&#",
        "&#1",
        "&a",
        "&amp;",
    ),
    *(
        "*",
        "_",
        "~",
        "`",
        "*a",
        "_a",
        "~a ",
        ":",
        ":a",
        "::",
        "<@",
        "<!",
        "@",
        "@here",
        "http://",
        "http://a",
        "a@b",
        "a.",
        "|",
    ),
)


def tidied(text):
    return tidy([Atom(text)])


@pytest.mark.parametrize(
    "read", [clean_text, readable_text, tidied, without_formatting, timestamp], ids=lambda read: read.__name__
)
def test_no_repeated_text_is_scanned_more_than_once(read):
    slow = {}
    for piece in PIECES:
        for before, after in (("", ""), ("<br>", "x"), ("a\n", "\ny"), ("a\n", "y")):
            text = before + piece * (LENGTH // len(piece)) + after
            began = time.process_time()
            read(text)
            if (seconds := time.process_time() - began) > 0.5:
                slow[before + piece] = round(seconds, 2)
    assert not slow
