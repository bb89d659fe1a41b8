"""The page's static files, as they are packaged: plain HTML, CSS and JavaScript."""

from functools import cache
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).resolve().parent / "static"


@cache
def text(name: str) -> str:
    """One file."""
    return (_FOLDER / name).read_text(encoding="utf-8")
