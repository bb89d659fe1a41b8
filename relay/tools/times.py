"""Times as operators read them."""

from datetime import UTC, datetime


def format_time(moment: float) -> str:
    """Format a time (Unix seconds) in UTC, to the second."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}Z"
