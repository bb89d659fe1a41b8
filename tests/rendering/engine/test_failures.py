"""What relay says of a template that fails while it runs."""

import pytest

from relay.rendering.engine.failures import failure_of
from tests.support.rendering_samples import card

CONVERT = "convert one of them with | int or | string"


@pytest.mark.parametrize(
    ("expression", "message", "absent"),
    [
        ("incident.nothing()", '"nothing" has no value here', True),
        ("nothing + 1", '"nothing" has no value here', True),
        ("1 / 0", "division by zero; check the divisor with {% if %} first", False),
        ("1 % 0", "division by zero; check the divisor with {% if %} first", False),
        ("[1, 'a'] | sort", f'"<" cannot compare a text with a number; {CONVERT}', False),
        ("incident.started > 'a'", f'">" cannot compare a number with a text; {CONVERT}', False),
        (
            "incident.title - 1",
            f'"-" does not work between a text and a number; {CONVERT}, or join texts with ~',
            False,
        ),
        (
            "incident.title + 1",
            f'"+" does not work between a text and a number; {CONVERT}, or join texts with ~',
            False,
        ),
        ("incident.started | list", "a number cannot be listed or looped over", False),
        ("incident.started | length", "a number has no length", False),
        ("incident.title()", "a text cannot be called; leave out the brackets behind it", False),
        ("{[1]: 2}", "a list cannot be a key or be looked up", False),
        ("incident.title | oneline(1, 2, 3)", '"oneline" got too many, too few or unknown arguments', False),
        ("incident.title.__class__()", "is not available to templates", False),
        ("'x'.format(1)", 'the method "format" is not available; use the filter', False),
        ("'%s %s' | format(1)", "the format has more % signs than values", False),
        ("'x' * 200000", "a value of 200,000 characters or entries; the limit is 100,000", False),
    ],
)
def test_a_failure_is_explained_without_python(expression, message, absent):
    rendered = card("{% section %}x{% endsection %}{% section %}{{ " + expression + " }}{% endsection %}")
    [failure] = rendered.failures
    assert message in failure.message
    assert failure.absent_value is absent
    assert not any(word in failure.message for word in ("Error", "object", "NoneType", "'str'", "'int'", "relay."))


@pytest.mark.parametrize(
    "messages",
    [
        ("unhashable type: 'list'", "cannot use 'list' as a dict key (unhashable type: 'list')"),
        ("integer division or modulo by zero", "integer modulo by zero", "float division by zero", "division by zero"),
        ("argument of type 'int' is not iterable", "argument of type 'int' is not a container or iterable"),
        ("too many values to unpack (expected 2)", "too many values to unpack (expected 2, got 3)"),
        ("not enough arguments for format string", "not enough arguments for format string (got 1)"),
        (
            "not all arguments converted during string formatting",
            "not all arguments converted during string formatting (required 1, got 2)",
        ),
        ("%d format: a real number is required, not str", "format argument: %d requires a real number, not str"),
        ("%c requires int or char", "%c requires an int or a unicode character, not a string of length 2"),
        ("unsupported format character 'y' (0x79) at index 1", "unsupported format %y at position 0"),
        ("incomplete format", "stray % at position 0"),
    ],
)
def test_messages_of_newer_python_versions_are_explained_in_the_same_way(messages):
    """As Python 3.11, 3.13, 3.14 and 3.15 word it."""
    explained = {failure_of(TypeError(message)).message for message in messages}
    assert len(explained) == 1
    assert "check the types of its values" not in explained.pop()
