"""Numbers with their noun, as people read them."""


def counted(number: int, noun: str) -> str:
    """Format `1 route`, `2 routes`."""
    return f"{number} {noun}{plural(number)}"


def plural(number: int) -> str:
    """Return the ending of a noun after this number."""
    return "" if number == 1 else "s"
