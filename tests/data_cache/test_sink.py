"""The file below a new cache: a failure is kept for the end, never raised inside HDF5."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_cache.write.sink import Sink


@pytest.fixture
def unwritable(tmp_path: Path) -> Iterator[Sink]:
    """A sink whose descriptor allows reading only."""
    (tmp_path / "file").write_bytes(b"abc")
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    yield Sink(descriptor)
    os.close(descriptor)


def test_a_length_that_cannot_be_set_is_told_at_the_end(unwritable: Sink) -> None:
    unwritable.truncate(10)
    with pytest.raises(OSError) as told:
        unwritable.check()
    assert told.value.errno == errno.EINVAL


def test_the_first_failure_is_the_one_that_is_told(unwritable: Sink) -> None:
    assert unwritable.write(b"xyz") == 3
    unwritable.truncate(10)
    with pytest.raises(OSError) as told:
        unwritable.check()
    assert told.value.errno == errno.EBADF


def test_what_was_never_written_reads_as_zeros(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        sink = Sink(descriptor)
        sink.write(b"abc")
        sink.seek(1)
        assert sink.read(5) == b"bc\0\0\0"
        sink.check()
    finally:
        os.close(descriptor)
