"""What an image file says of itself: its kind, its size, and whether all of it is there.

Pillow reads the header and nothing is decoded, which costs microseconds: a file that claims
30,000×30,000 pixels is refused before any memory is set aside for them.
"""

import io
import mmap
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from preprocess.clip import ClipError

MOST_PIXELS = 64_000_000
"""Largest image that is decoded; a face camera has a tenth of it."""

Bytes = bytes | mmap.mmap
_TIFF = ("TIFF", TiffImageFile)
_KINDS: Mapping[bytes, tuple[str, Callable[[Any], Any]]] = {
    # Pillow's classes, not `Image.open`: its own limit of pixels would come first, as a warning
    b"\xff\xd8\xff": ("JPEG", JpegImageFile),
    b"\x89PNG": ("PNG", PngImageFile),
    b"BM": ("BMP", BmpImageFile),
    b"II*\0": _TIFF,
    b"MM\0*": _TIFF,
}
_CUT: Mapping[str, Callable[[Any, Bytes], bool]] = {
    # Whether the file ends early. `cv2.imdecode` refuses these too (but for a JPEG that lacks nothing except its end
    # marker); `check` does not decode. A JPEG has an end marker after its last scan. A mapped file is searched from
    # the current position where no other is said.
    "JPEG": lambda _, data: (end := data.rfind(b"\xff\xd9", 0)) < 0 or data.rfind(b"\xff\xda", end) >= 0,
    "PNG": lambda _, data: data.rfind(b"IEND\xaeB`\x82", max(0, len(data) - 4096)) < 0,
    "BMP": lambda _, data: len(data) < int.from_bytes(data[2:6], "little"),
    "TIFF": lambda image, data: len(data) < max(map(sum, zip(*_strips(image.tag_v2), strict=True))),
}


@dataclass(frozen=True)
class ImageHeader:
    """What a header says: JPEG, PNG, BMP or TIFF, and the size in pixels."""

    kind: str
    width: int
    height: int


def check_image(data: Bytes, path: Path) -> ImageHeader:
    """The header of an image that is worth decoding.

    Raises:
        ClipError: no image of a known kind, damaged, truncated, or of more than 64 megapixels.
    """
    start = bytes(data[:8])
    kind, parse = next((kind for magic, kind in _KINDS.items() if start.startswith(magic)), ("", None))
    if parse is None:
        raise ClipError(
            f"{path} is no JPEG, PNG, BMP or TIFF image ({len(data)} bytes, starts with {start!r}); copy it again"
        )
    try:
        # What Pillow warns of is decided below. Leaving `with` frees the file's bytes; kept, they cost 2 ms a clip.
        with (
            warnings.catch_warnings(action="ignore"),
            parse(data if isinstance(data, mmap.mmap) else io.BytesIO(data)) as image,
        ):
            width, height = image.size
            cut = _CUT[kind](image, data)
    except Exception as error:  # of any type: Pillow does not promise which one a damaged header raises
        raise ClipError(f"{path} is a damaged {kind} ({len(data)} bytes): {error}; copy it again") from error
    if cut:
        raise ClipError(f"{path} is a truncated {kind} ({len(data)} bytes); copy it again")
    if width * height > MOST_PIXELS:
        raise ClipError(
            f"{path} says that it has {width}×{height} pixels; allowed are 1 to {MOST_PIXELS // 10**6} million. "
            "Is it a frame of this clip?"
        )
    return ImageHeader(kind, width, height)


def check_image_file(path: Path) -> ImageHeader:
    """Likewise for a file, of which only the pages that are looked at are read.

    Raises:
        ClipError: as above, or the file cannot be opened.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return check_image(data, path)
    except ValueError:  # an empty file cannot be mapped
        return check_image(b"", path)
    except OSError as error:
        raise ClipError(f"{path} cannot be read ({error.strerror}); copy it again") from error


def _strips(tags: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the strips or tiles of a TIFF start, and how long they are, in bytes."""
    return (tags[273], tags[279]) if 273 in tags else (tags[324], tags[325])
