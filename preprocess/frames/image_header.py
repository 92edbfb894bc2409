"""What an image file says of itself: its kind, its size, and whether all of it is there.

Nothing is decoded: a few bytes of the header are parsed, which costs microseconds, so a file that
claims 30,000×30,000 pixels is refused before any memory is set aside for them.
"""

import mmap
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from preprocess.clip import ClipError

MOST_PIXELS = 64_000_000
"""Largest image that is decoded; a face camera has a tenth of it."""

Bytes = bytes | mmap.mmap
_MAGIC = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_TAIL = 4096  # bytes at the end in which a PNG must have its last chunk


@dataclass(frozen=True)
class ImageHeader:
    """What a header says.

    Attributes:
        kind: JPEG, PNG, BMP or TIFF.
        width: in pixels; likewise `height`.
        complete: whether the file reaches as far as its header promises.
    """

    kind: str
    width: int
    height: int
    complete: bool


def check_image(data: Bytes, path: Path) -> ImageHeader:
    """The header of an image that is worth decoding.

    Args:
        data: the whole file.
        path: its name, for messages.

    Raises:
        ClipError: no image of a known kind, damaged, truncated, or of more than 64 megapixels.
    """
    start = bytes(data[:8])
    kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), None)
    if kind is None:
        raise ClipError(
            f"{path} is no JPEG, PNG, BMP or TIFF image ({len(data)} bytes, starts with {start!r}); copy it again"
        )
    try:
        width, height, complete = _PARSERS[kind](data)
    except (struct.error, LookupError, ValueError) as error:
        raise ClipError(f"{path} is a damaged {kind} ({len(data)} bytes, no size in it); copy it again") from error
    if not complete:
        raise ClipError(f"{path} is a truncated {kind} ({len(data)} bytes); copy it again")
    if width < 1 or height < 1 or width * height > MOST_PIXELS:
        raise ClipError(
            f"{path} says that it has {width}×{height} pixels; allowed are 1 to {MOST_PIXELS // 10**6} million. "
            "Is it a frame of this clip?"
        )
    return ImageHeader(kind, width, height, complete)


def check_image_file(path: Path) -> ImageHeader:
    """Likewise for a file, of which only the pages that are looked at are read.

    Raises:
        ClipError: as above, or the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return check_image(b"", path)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return check_image(data, path)
    except OSError as error:
        raise ClipError(f"{path} cannot be read ({error.strerror}); copy it again") from error


_Size = tuple[int, int, bool]


def _jpeg(data: Bytes) -> _Size:
    """Walk from marker to marker to the frame header; the picture must end with an end marker after its last scan."""
    position = 2
    while True:
        marker = data[position + 1]
        if data[position] != 0xFF:
            raise ValueError
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, position + 5)
            # Without its end marker the file was cut; `imdecode` refuses it as well, `check` does not decode.
            end = data.rfind(b"\xff\xd9")
            return width, height, end >= 0 and data.rfind(b"\xff\xda", end) < 0
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]


def _png(data: Bytes) -> _Size:
    if data[12:16] != b"IHDR":
        raise ValueError
    width, height = struct.unpack_from(">II", data, 16)
    return width, height, data.rfind(b"IEND", max(0, len(data) - _TAIL)) >= 0


def _bmp(data: Bytes) -> _Size:
    start, header = struct.unpack_from("<II", data, 10)
    if header == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        return width, height, len(data) >= start + _bmp_bytes(width, height, bits)
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    height = abs(height)  # negative where the rows run from top to bottom
    return width, height, compression != 0 or len(data) >= start + _bmp_bytes(width, height, bits)


def _bmp_bytes(width: int, height: int, bits: int) -> int:
    return (width * bits + 31) // 32 * 4 * height


def _tiff(data: Bytes) -> _Size:
    order = "<" if data[:2] == b"II" else ">"
    directory = struct.unpack_from(order + "I", data, 4)[0]
    tags: dict[int, tuple[int, ...]] = {}
    for entry in range(struct.unpack_from(order + "H", data, directory)[0]):
        place = directory + 2 + 12 * entry
        tag, kind, count = struct.unpack_from(order + "HHI", data, place)
        form = {3: "H", 4: "I"}.get(kind)
        if form and tag in (256, 257, 273, 279, 324, 325):
            if count * struct.calcsize(form) > 4:
                place = struct.unpack_from(order + "I", data, place + 8)[0] - 8
            if count > len(data):
                raise ValueError
            tags[tag] = struct.unpack_from(f"{order}{count}{form}", data, place + 8)
    starts, lengths = tags.get(273) or tags[324], tags.get(279) or tags[325]
    end = max(start + length for start, length in zip(starts, lengths, strict=True))
    return tags[256][0], tags[257][0], len(data) >= end


_PARSERS: dict[str, Callable[[Bytes], _Size]] = {"JPEG": _jpeg, "PNG": _png, "BMP": _bmp, "TIFF": _tiff}
