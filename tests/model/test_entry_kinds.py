"""The table of entry kinds: every kind has a row, and routes.yaml takes the names that it may take."""

from relay.model.entry_kinds import BROADCAST_NAMES, ENTRY_TEMPLATES, THREAD_NAMES, EntryKind


def test_every_kind_has_a_row_whose_name_is_valid_in_thread():
    assert [kind.row.name for kind in EntryKind] == [str(kind) for kind in EntryKind]
    assert {kind.row.thread for kind in EntryKind if kind is not EntryKind.REMINDER} == set(THREAD_NAMES)
    assert EntryKind.REMINDER.row.thread == ""  # `remind` decides about it


def test_broadcast_takes_every_kind_and_a_rise():
    assert set(BROADCAST_NAMES) == {*EntryKind, "rise"}


def test_every_kind_has_a_template_of_its_own_name():
    assert tuple(EntryKind) == ENTRY_TEMPLATES


def test_only_tags_and_alerts_are_batched():
    assert {kind for kind in EntryKind if kind.row.batched} == {EntryKind.TAGS, EntryKind.ALERTS}
