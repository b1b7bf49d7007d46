"""A log that cannot grow without end."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.runtime.services.log import Log


def written(largest, *parts):
    log = Log(largest)
    for part in parts:
        log.write(part)
    content, tail = log.content(), log.tail()
    size = os.fstat(log._file.fileno()).st_size
    log.close()
    assert size <= largest
    return content, tail


def test_what_fits_is_kept_as_it_is():
    assert written(10, b"hello", b"worl") == (b"helloworl", "oworl")
    assert written(10, b"0123456789") == (b"0123456789", "56789")
    assert written(10) == (b"", "")


def test_of_more_the_beginning_and_the_end_are_kept():
    assert written(10, b"0123456789ab")[0] == b"01234\n[podium: 2 bytes are left out here]\n789ab"


@given(st.integers(1, 20), st.lists(st.binary(max_size=30), max_size=12))
def test_beginning_and_end_and_how_much_is_missing_always_fit(half, parts):
    everything = b"".join(parts)
    content, tail = written(2 * half, *parts)
    if len(everything) <= 2 * half:
        assert content == everything
    else:
        beginning, end = everything[:half], everything[-half:]
        missing = len(everything) - 2 * half
        assert content == beginning + f"\n[podium: {missing} bytes are left out here]\n".encode() + end
    assert tail == everything[-half:].decode("utf-8", "replace")


def test_the_tail_may_be_shorter():
    log = Log(100)
    log.write(b"one\ntwo\n")
    assert log.tail(4) == "two\n"
    log.close()


def test_when_no_space_is_left_that_is_said(monkeypatch):
    log = Log(100)
    log.write(b"kept\n")

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as changed:
        changed.setattr(os, "pwrite", full)
        log.write(b"lost")
    log.write(b"ignored")
    assert re.fullmatch(rb"kept\n\n\[podium: there was no space for what came next\]\n", log.content())
    log.close()


@pytest.mark.parametrize("size", [1, 3, 7])
def test_a_write_that_takes_only_a_part_is_continued(monkeypatch, size):
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:size], at))
    assert written(100, b"0123456789") == (b"0123456789", "0123456789")
