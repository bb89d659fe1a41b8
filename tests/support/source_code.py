"""Reads relay's own modules, for tests of what the code may not do. To parse all of them would take a second."""

import ast
from collections.abc import Iterator
from pathlib import Path


def modules_with(folder: Path, *words: str) -> Iterator[tuple[Path, ast.Module]]:
    """Each module in a folder, and below it, whose text has one of the words, and its syntax tree."""
    for file in sorted(folder.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if any(word in text for word in words):
            yield file, ast.parse(text)
