"""Free memory is given back where the C library can do that."""

import ctypes
from types import SimpleNamespace

import pytest

from relay.runtime.memory import give_back_memory


def test_glibc_is_asked_to_release_memory(monkeypatch):
    asked = []
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(malloc_trim=asked.append))
    give_back_memory()
    assert asked == [0]


def no_library(_):
    raise OSError("not found")


@pytest.mark.parametrize("library", [lambda _: SimpleNamespace(), no_library])
def test_without_glibc_nothing_happens(monkeypatch, library):
    monkeypatch.setattr(ctypes, "CDLL", library)
    give_back_memory()
