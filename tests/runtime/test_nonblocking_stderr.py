"""A writer to stderr never waits for its reader: not while the reader stops, and not at the end."""

import os
import sys
import threading
from contextlib import contextmanager

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.runtime import nonblocking_stderr as module
from relay.runtime.nonblocking_stderr import NonblockingStream, nonblocking_stderr

PIPE = 65536


@contextmanager
def a_pipe():
    reading, writing = os.pipe()
    ends = {reading, writing}

    def close(end):
        ends.discard(end)
        os.close(end)

    try:
        yield reading, writing, close
    finally:
        for end in ends:
            os.close(end)


def stream_to(descriptor):
    stream = NonblockingStream(descriptor, lambda lines: stream.write(f"{lines} lost\n"))
    return stream


def read_all(reading):
    """Read everything up to the end, in small pieces."""
    found = b""
    while piece := os.read(reading, 1000):
        found += piece
    return found.decode()


def test_while_there_is_space_a_line_is_written_when_write_returns():
    with a_pipe() as (reading, writing, _):
        stream = stream_to(writing)
        for number in range(10):
            print(number, file=stream, flush=True)
            assert os.read(reading, 100) == f"{number}\n".encode()


@settings(deadline=None)  # the reader decides how long it takes
@given(
    sizes=st.lists(
        st.sampled_from([1, 100, module.ATOMIC_WRITE_BYTES - 1, module.ATOMIC_WRITE_BYTES, 3 * PIPE]),
        min_size=1,
        max_size=30,
    )
)
def test_every_line_arrives_complete_and_in_order_even_after_a_long_pause_of_the_reader(sizes):
    lines = [f"{number}:{'x' * size}\n" for number, size in enumerate(sizes)]
    with a_pipe() as (reading, writing, close):
        stream = stream_to(writing)
        for line in lines:
            assert stream.write(line) == len(line)
        found = []
        reader = threading.Thread(target=lambda: found.append(read_all(reading)))
        reader.start()
        assert stream.drain(20)
        close(writing)
        reader.join()
    assert found == ["".join(lines)]


def test_dropped_lines_are_counted_at_their_position(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 10_000)
    with a_pipe() as (reading, writing, close):
        stream = stream_to(writing)
        lines = [f"{number:999}\n" for number in range(200)]
        for line in lines:
            stream.write(line)
        found = []
        reader = threading.Thread(target=lambda: found.extend(read_all(reading).splitlines(keepends=True)))
        reader.start()
        assert stream.drain(20)
        stream.write("afterwards\n")
        assert stream.drain(20)
        close(writing)
        reader.join()
    *kept, lost, last = found
    assert kept == lines[: len(kept)]
    assert (lost, last) == (f"{len(lines) - len(kept)} lost\n", "afterwards\n")
    assert len(kept) * 1000 <= PIPE + 2 * (10_000 + 1000)


def test_without_a_reader_only_the_lines_are_lost():
    with a_pipe() as (reading, writing, close):
        stream = stream_to(writing)
        stream.write("x" * 3 * PIPE)
        close(reading)
        stream.write("nobody reads this\n")
        assert stream.drain(20)
        stream.write("nobody reads this either\n")


def test_a_character_that_cannot_be_encoded_is_escaped():
    with a_pipe() as (reading, writing, _):
        stream_to(writing).write("\ud800 \u00e9\n")
        assert os.read(reading, 100) == b"\\ud800 \xc3\xa9\n"


@contextmanager
def standard_error():
    """Replace stderr with a pipe: yield its reading end, and the object that stands for `sys.stderr`."""
    with (
        a_pipe() as (reading, writing, _),
        os.fdopen(os.dup(writing), "w") as ours,
        pytest.MonkeyPatch.context() as here,
    ):
        here.setattr(sys, "stderr", ours)
        yield reading, ours


def test_stderr_is_nonblocking_inside_and_restored_afterwards():
    with standard_error() as (reading, ours):
        with nonblocking_stderr(lambda _: None):
            typer.echo("x" * 3 * PIPE, err=True)
            reader = threading.Thread(target=lambda: [*iter(lambda: os.read(reading, PIPE)[-1:], b"\n")])
            reader.start()
        assert sys.stderr is ours
        reader.join()


def test_a_reader_that_stops_at_the_end_does_not_block_later_lines(monkeypatch):
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.01)
    with standard_error() as (reading, ours):
        with nonblocking_stderr(lambda _: None):
            typer.echo("x" * 3 * PIPE, err=True)
        typer.echo("a last line", err=True)
        assert sys.stderr is not ours
        found = b""
        while not found.endswith(b"a last line\n"):
            found += os.read(reading, PIPE)


def test_a_stream_that_is_not_a_file_is_left_alone(monkeypatch, capsys):
    before = sys.stderr
    with nonblocking_stderr(lambda _: None):
        assert sys.stderr is before
