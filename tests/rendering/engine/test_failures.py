"""What relay says of a template that fails while it runs."""

import pytest

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
