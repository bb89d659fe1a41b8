"""The documents keep a few rules of wording that a reader notices."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path for pattern in ("*.md", "docs/*.md") for path in ROOT.glob(pattern))

LOWER_CASE = re.compile(r"(?:^|[.!?][)*]*\s+)\**relay\s")
"""A sentence that begins with the product's name in lower case; in code, `relay` is the command."""


def paragraphs(page: str) -> Iterator[str]:
    """Paragraphs, list items and rows of tables, each on one line. Code is left out, and headings begin no sentence."""
    prose = re.sub(r"^ *```.*?^ *```$", "", page, flags=re.MULTILINE | re.DOTALL)
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[*\-|]|\d+\.)\s)|\n(?=\|)", prose):
        yield " ".join(re.sub(r"^\s*(?:[*-]|\d+\.)\s+", "", block).split())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_sentence_begins_with_a_capital_letter_even_if_it_begins_with_relay(path: Path):
    found = [text for text in paragraphs(path.read_text(encoding="utf-8")) if LOWER_CASE.search(text)]
    assert found == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Relay posts. Relay edits.", False),
        ("Relay posts. relay edits.", True),
        ("relay posts", True),
        ("* relay posts", True),
        ("1. It works.\n2. relay posts", True),
        ("It works (so far.) relay posts", True),
        ("**Who.** relay posts", True),
        ("It works.\nrelay posts", True),
        ("`relay serve` runs", False),
        ("what relay posts: relay edits", False),
        ("| `x` | relay posts |", False),
        ("| `x` | It works. relay posts |", True),
        ("```\nrelay serve\n```", False),
    ],
)
def test_the_rule_finds_sentences(text, wrong):
    assert any(LOWER_CASE.search(each) for each in paragraphs(text)) is wrong
