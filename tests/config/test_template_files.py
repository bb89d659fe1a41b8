"""Reading template folders from disk."""

import pytest

from relay.config.template_files import MAX_TEMPLATE_BYTES, load_packaged, load_templates
from relay.model.entry_kinds import ENTRY_TEMPLATES
from relay.model.errors import ConfigurationError
from relay.rendering.library import CARD


def test_the_package_has_a_template_of_every_kind():
    expected = {f"incident/{stem}.j2" for stem in (CARD, *ENTRY_TEMPLATES)}
    assert expected - load_packaged().keys() == set(), "templates/incident lacks these"


def test_a_folder_is_read_with_its_subfolders(tmp_path):
    (tmp_path / "payments" / "parts").mkdir(parents=True)
    (tmp_path / "payments" / "card.j2").write_bytes("\ufeffein\r\nß".encode())
    (tmp_path / "payments" / "parts" / "line.j2").write_text("x")
    (tmp_path / "payments" / "notes.txt").write_text("x")
    assert load_templates(tmp_path) == {"payments/card.j2": "ein\nß", "payments/parts/line.j2": "x"}


def test_no_folder_means_no_templates(tmp_path):
    assert load_templates(tmp_path / "none") == {}


def test_all_unreadable_files_are_reported_at_once(tmp_path):
    (tmp_path / "a.j2").write_bytes(b"\xff")
    (tmp_path / "b.j2").write_bytes(b" " * (MAX_TEMPLATE_BYTES + 1))
    with pytest.raises(ConfigurationError) as caught:
        load_templates(tmp_path)
    assert [fault.file for fault in caught.value.faults] == ["a.j2", "b.j2"]
    assert "not UTF-8" in str(caught.value)
    assert "256 KiB" in str(caught.value)
