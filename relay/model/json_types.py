"""The type of plain JSON values."""

from typing import Any

JSON = Any
"""Whatever JSON can hold. Values are checked where they are parsed."""
