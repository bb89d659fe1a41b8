"""Draws the gallery as pictures into `build/gallery/` (`make gallery`). Look at them when a template changes."""

import sys
from collections.abc import Iterator, Sequence
from html import unescape
from itertools import groupby
from pathlib import Path

from playwright.sync_api import sync_playwright

from relay.sandbox.page.document import DocumentMessage, DocumentSection, render_document
from tests.gallery.bulletins import BulletinCase
from tests.gallery.cases import NOW, PEOPLE, Case, every
from tests.support.browser import ARGUMENTS, MISSING, chromium

SIZES = {"": (1_600, 3), "-phone": (390, 1)}
"""The end of a picture's name -> its width and its number of columns."""


def main(folder: Path) -> None:
    """Write a sheet of cards and one of replies for each set of templates, as wide and narrow pictures and a page."""
    executable = chromium()
    if executable is None:
        sys.exit(MISSING)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS)) as browser,
    ):
        for name, sections in _sheets():
            for suffix, (width, columns) in SIZES.items():
                page = browser.new_page(viewport={"width": width, "height": 900})
                page.set_content(_document(name, sections, columns))
                page.screenshot(path=folder / f"{name}{suffix}.png", full_page=True)
                page.close()
            (folder / f"{name}.html").write_text(_document(name, sections, 3), encoding="utf-8")


def _document(name: str, sections: Sequence[DocumentSection], columns: int) -> str:
    return render_document(sections, people=PEOPLE, now=NOW, zone="UTC", columns=columns, title=f"relay: {name}")


def _sheets() -> Iterator[tuple[str, list[DocumentSection]]]:
    for (templates, is_reply), cases in groupby(every(), key=lambda each: (each[0], bool(each[1].entries))):
        name = f"{templates}-{'replies' if is_reply else 'cards'}"
        yield name, [_section(templates, case) for _, case in cases]


def _section(templates: str, case: Case | BulletinCase) -> DocumentSection:
    message = case.draw(templates)
    lock_screen = unescape(message.text)
    shown = DocumentMessage(text=message.text, blocks=message.blocks, attachments=message.attachments, at=NOW)
    return DocumentSection(title=case.name, note=lock_screen[:80], messages=(shown,))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/gallery"))
