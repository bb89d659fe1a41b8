"""Whoever writes to stderr does not wait for whoever reads it: not while it stands still, and not at the end."""

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


def unhurried_onto(descriptor):
    stream = NonblockingStream(descriptor, lambda lines: stream.write(f"{lines} lost\n"))
    return stream


def all_of(reading):
    """Everything up to the end, read slowly."""
    found = b""
    while piece := os.read(reading, 1000):
        found += piece
    return found.decode()


def test_where_there_is_room_a_line_is_out_when_write_returns():
    with a_pipe() as (reading, writing, _):
        stream = unhurried_onto(writing)
        for number in range(10):
            print(number, file=stream, flush=True)
            assert os.read(reading, 100) == f"{number}\n".encode()


@settings(deadline=None)  # it is a reader's pace that is tested
@given(
    sizes=st.lists(
        st.sampled_from([1, 100, module.ATOMIC_WRITE_BYTES - 1, module.ATOMIC_WRITE_BYTES, 3 * PIPE]),
        min_size=1,
        max_size=30,
    )
)
def test_all_comes_out_whole_and_in_order_however_long_nobody_reads(sizes):
    lines = [f"{number}:{'x' * size}\n" for number, size in enumerate(sizes)]
    with a_pipe() as (reading, writing, close):
        stream = unhurried_onto(writing)
        for line in lines:
            assert stream.write(line) == len(line)
        found = []
        reader = threading.Thread(target=lambda: found.append(all_of(reading)))
        reader.start()
        assert stream.drain(20)
        close(writing)
        reader.join()
    assert found == ["".join(lines)]


def test_what_is_too_much_is_lost_and_counted_where_it_would_stand(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING_CHARACTERS", 10_000)
    with a_pipe() as (reading, writing, close):
        stream = unhurried_onto(writing)
        said = [f"{number:999}\n" for number in range(200)]
        for line in said:
            stream.write(line)
        found = []
        reader = threading.Thread(target=lambda: found.extend(all_of(reading).splitlines(keepends=True)))
        reader.start()
        assert stream.drain(20)
        stream.write("afterwards\n")
        assert stream.drain(20)
        close(writing)
        reader.join()
    *kept, lost, last = found
    assert kept == said[: len(kept)]
    assert (lost, last) == (f"{len(said) - len(kept)} lost\n", "afterwards\n")
    assert len(kept) * 1000 <= PIPE + 2 * (10_000 + 1000)


def test_a_reader_that_has_gone_costs_nothing_but_the_lines():
    with a_pipe() as (reading, writing, close):
        stream = unhurried_onto(writing)
        stream.write("x" * 3 * PIPE)
        close(reading)
        stream.write("nobody reads this\n")
        assert stream.drain(20)
        stream.write("nor this\n")


def test_what_cannot_be_encoded_is_escaped():
    with a_pipe() as (reading, writing, _):
        unhurried_onto(writing).write("\ud800 \u00e9\n")
        assert os.read(reading, 100) == b"\\ud800 \xc3\xa9\n"


@contextmanager
def standard_error():
    """A pipe in stderr's place: the end to read, and what stands for `sys.stderr`."""
    with (
        a_pipe() as (reading, writing, _),
        os.fdopen(os.dup(writing), "w") as ours,
        pytest.MonkeyPatch.context() as here,
    ):
        here.setattr(sys, "stderr", ours)
        yield reading, ours


def test_within_all_that_goes_to_stderr_is_unhurried_and_afterwards_it_is_as_it_was():
    with standard_error() as (reading, ours):
        with nonblocking_stderr(lambda _: None):
            typer.echo("x" * 3 * PIPE, err=True)
            reader = threading.Thread(target=lambda: [*iter(lambda: os.read(reading, PIPE)[-1:], b"\n")])
            reader.start()
        assert sys.stderr is ours
        reader.join()


def test_a_reader_that_stands_still_at_the_end_does_not_hold_up_what_is_said_later(monkeypatch):
    monkeypatch.setattr(module, "DRAIN_SECONDS", 0.01)
    with standard_error() as (reading, ours):
        with nonblocking_stderr(lambda _: None):
            typer.echo("x" * 3 * PIPE, err=True)
        typer.echo("a last word", err=True)
        assert sys.stderr is not ours
        found = b""
        while not found.endswith(b"a last word\n"):
            found += os.read(reading, PIPE)


def test_a_stream_that_is_no_file_stays_what_it_is(monkeypatch, capsys):
    before = sys.stderr
    with nonblocking_stderr(lambda _: None):
        assert sys.stderr is before
