"""A file that HDF5 writes through, and that never tells HDF5 of a failure.

When a write of HDF5 fails, Python dies at exit with a segmentation fault (h5py issue 914), and a full
disk is a thing that happens. So HDF5 writes to a `Sink`, which keeps the first error to itself, drops
what follows, and raises that error when our own code asks.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from data_cache.files.atomic import replacing

LIBVER = ("v110", "v110")
"""Metadata with checksums, readable by any HDF5 since 1.10."""


class Sink:
    """The file object that h5py asks for, over a file descriptor.

    Attributes:
        failure: the first error of the operating system, or None.
    """

    def __init__(self, descriptor: int) -> None:
        self.failure: OSError | None = None
        self._descriptor = descriptor
        self._position = self._end = 0

    def check(self) -> None:
        """Raise the failure, if there was one.

        Raises:
            OSError: as the operating system gave it.
        """
        if self.failure is not None:
            raise self.failure

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position, as in `io`."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def write(self, data: memoryview) -> int:
        """Write all of `data` at the position, or remember why that is impossible."""
        view, start = memoryview(data).cast("B"), self._position
        self._position = start + len(view)
        self._end = max(self._end, self._position)
        try:
            while view and self.failure is None:
                written = os.pwrite(self._descriptor, view, start)
                view, start = view[written:], start + written
        except OSError as error:
            self.failure = error
        return len(data)

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` from the position; zeros where nothing was written."""
        view = memoryview(buffer).cast("B")
        got = os.preadv(self._descriptor, [view], self._position)
        view[got:] = bytes(len(view) - got)
        self._position += len(view)
        return len(view)

    def read(self, size: int) -> bytes:
        """`size` bytes from the position."""
        data = bytearray(size)
        self.readinto(memoryview(data))
        return bytes(data)

    def truncate(self, size: int | None = None) -> int:
        """Set the length of the file."""
        self._end = self._position if size is None else size
        try:
            os.ftruncate(self._descriptor, self._end)
        except OSError as error:
            self.failure = self.failure or error
        return self._end

    def sync(self) -> None:
        """Make what was written survive a power cut."""
        os.fsync(self._descriptor)

    def flush(self) -> None:
        """Nothing is held back."""


@contextmanager
def new_hdf5(path: Path, *, durable: bool = True) -> Iterator[tuple[h5py.File, Sink, Path]]:
    """Yield a new HDF5 file; it takes the place of `path` when the block succeeds.

    The second value tells of failures as they happen, so that a long block can stop early; the third
    is where the file lies for now.

    Args:
        path: where the file shall be.
        durable: whether it must survive a power cut once the block has ended.

    Raises:
        NoSpace: the disk is full; nothing is left behind.
        OSError: any other failure to write.
    """
    with replacing(path, durable=durable) as temporary:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            sink = Sink(descriptor)
            with h5py.File(sink, "w", libver=LIBVER) as file:
                yield file, sink, temporary
            sink.check()
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
