"""Which layout of a file is not layout of the message."""

from tests.support.rendering_samples import section_text


def test_indentation_and_lines_of_tags_print_nothing():
    condition = "  {% if incident.active %}\n    b\n  {% endif %}\n"
    source = "{# why #}\n  *a*\n" + condition + "  {% for n in range(2) %}\n  • {{ n }}\n  {% endfor %}\n"
    assert section_text(source) == "*a*\nb\n• 0\n• 1"
