"""Read the frames of a clip as RGB images, resize them to squares, and tell whether compression left blocks in them.

Pillow reads the header of an image before it is decoded, which costs microseconds: a file that claims
30,000×30,000 pixels is refused before any memory is set aside for them.
"""

import io
import mmap
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from scipy import sparse

from data_cache.filters import LUMINANCE
from preprocess.clip import Clip, ClipError, VideoSpan
from preprocess.frames.video import MOST_PIXELS, read_span

Bytes = bytes | mmap.mmap
_KINDS: Mapping[tuple[bytes, ...], tuple[str, Callable[[Any], Any], Callable[[Any, Bytes], bool]]] = {
    # How a file starts; its kind; Pillow's class, not `Image.open`, whose own limit of pixels would come first, as a
    # warning; and whether it ends early. `cv2.imdecode` refuses that too (but for a JPEG that lacks nothing except its
    # end marker), but `check` does not decode. A JPEG has an end marker after its last scan. A mapped file is searched
    # from the current position where no other is said.
    (b"\xff\xd8\xff",): (
        "JPEG",
        JpegImageFile,
        lambda _, data: (end := data.rfind(b"\xff\xd9", 0)) < 0 or data.rfind(b"\xff\xda", end) >= 0,
    ),
    (b"\x89PNG",): ("PNG", PngImageFile, lambda _, data: data.rfind(b"IEND\xaeB`\x82", max(0, len(data) - 4096)) < 0),
    (b"BM",): ("BMP", BmpImageFile, lambda _, data: len(data) < int.from_bytes(data[2:6], "little")),
    (b"II*\0", b"MM\0*"): ("TIFF", TiffImageFile, lambda image, data: len(data) < _end_of_strips(image.tag_v2)),
}

BLOCKS = 1.25
"""Blockiness to speak of. Frames of the demo have 1.0 as PNG, 1.1 to 1.2 as JPEG of quality 95 to 85, 1.3 at 75 and 1.9
at 30; two filmed faces in H.264 have 1.1 to 1.2."""
SAMPLED = 5  # clips of which one frame is looked at


def read_frames(source: Sequence[Path] | VideoSpan, indices: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index, frame) for the wanted `indices` in rising order; frames are (H, W, 3) uint8 RGB.

    A `ClipError` where one cannot be read, or they differ in size.
    """
    pairs = (
        read_span(source, indices)
        if isinstance(source, VideoSpan)
        else ((index, read_image(source[index])) for index in sorted(indices))
    )
    shape: tuple[int, ...] | None = None
    for index, image in pairs:
        if shape is not None and image.shape != shape:
            where = source.path if isinstance(source, VideoSpan) else source[index]
            raise ClipError(
                f"{where} is {image.shape[1]}×{image.shape[0]} pixels, but the clip's other frames are "
                f"{shape[1]}×{shape[0]}; crop them alike"
            )
        shape = image.shape
        yield index, image


def read_image(path: Path) -> np.ndarray:
    """Decode one JPEG, PNG, BMP or TIFF file to (H, W, 3) uint8 RGB; grey images get three equal channels.

    A `ClipError` where it is missing, damaged, or refused by `check_image`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ClipError(f"{path} cannot be read ({error.strerror}); copy it again") from error
    kind = check_image(data, path).kind
    with suppress(cv2.error):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        if image is not None:
            return np.asarray(image)
    raise ClipError(f"{path} is a damaged {kind} ({len(data)} bytes); copy it again")


@dataclass(frozen=True)
class ImageHeader:
    """What a header says: JPEG, PNG, BMP or TIFF, and the size in pixels."""

    kind: str
    width: int
    height: int


def check_image(data: Bytes, path: Path) -> ImageHeader:
    """The header of an image that is worth decoding.

    A `ClipError` for what is no image of a known kind, damaged, truncated, or of more than 64 megapixels.
    """
    start = bytes(data[:8])
    try:
        kind, parse, ends_early = next(kind for magics, kind in _KINDS.items() if start.startswith(magics))
    except StopIteration as error:
        raise ClipError(
            f"{path} is no JPEG, PNG, BMP or TIFF image ({len(data)} bytes, starts with {start!r}); copy it again"
        ) from error
    try:
        # What Pillow warns of is decided below. Leaving `with` frees the file's bytes; kept, they cost 2 ms a clip.
        with (
            warnings.catch_warnings(action="ignore"),
            parse(data if isinstance(data, mmap.mmap) else io.BytesIO(data)) as image,
        ):
            width, height = image.size
            cut = ends_early(image, data)
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
    """Likewise for a file, of which only the pages that are looked at are read."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return check_image(data, path)
    except ValueError:  # an empty file cannot be mapped
        return check_image(b"", path)
    except OSError as error:
        raise ClipError(f"{path} cannot be read ({error.strerror}); copy it again") from error


def _end_of_strips(tags: Any) -> int:
    """Where the last strip or tile of a TIFF ends, in bytes."""
    starts, lengths = (tags[273], tags[279]) if 273 in tags else (tags[324], tags[325])
    return int(max(map(sum, zip(starts, lengths, strict=True))))


def resize(image: np.ndarray, size: int, out: np.ndarray | None = None) -> np.ndarray:
    """An (H, W, C) image as (size, size, C) float32: area averaging to shrink, bilinear to enlarge.

    Not rounded to 8 bits, as α would magnify that later. Area averaging is done row-wise as a sparse matrix product,
    then column-wise by OpenCV. That equals OpenCV's INTER_AREA in both directions, in two thirds of its time.
    """
    pixels = image.astype(np.float32)
    height, width, channels = pixels.shape
    if min(height, width) < size:
        return np.asarray(cv2.resize(pixels, (size, size), dst=out, interpolation=cv2.INTER_LINEAR))
    rows = (area_matrix(height, size) @ pixels.reshape(height, -1)).reshape(size, width, channels)
    return np.asarray(cv2.resize(rows, (size, size), dst=out, interpolation=cv2.INTER_AREA))


@lru_cache(maxsize=64)
def area_matrix(length: int, size: int) -> sparse.csr_matrix:
    """Averages of `length` pixels over `size` equal intervals, as a sparse (size, length) matrix; rows sum to 1."""
    step = length / size
    left, pixels = np.arange(size)[:, None] * step, np.arange(length)
    overlap = np.minimum(left + step, pixels + 1) - np.maximum(left, pixels)
    weights = np.maximum(overlap, 0) / step
    weights[weights < 1e-6] = 0  # rounding must not make a neighbour count
    return sparse.csr_matrix(weights.astype(np.float32))


def blockiness(image: np.ndarray) -> float:
    """Steps at every eighth pixel of (H, W, 3) RGB, wherever the eights begin, over the others; 1 without blocks."""
    grey = image @ np.array(LUMINANCE, np.float32)
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis)).mean(1 - axis)
        phases = [float(steps[start::8].mean()) for start in range(min(8, len(steps)))]
        ratios.append(max(phases, default=0) / max(float(np.median(phases or [0])), 0.1))
    return max(float(np.mean(ratios)), 1.0)


def block_notes(clips: Sequence[Clip], blur: float = 0.0) -> list[str]:
    """A sentence if the frames of these clips, looked at in a few of them, show blocks and no `blur` hides them."""
    if blur:
        return []
    found = []
    for number in np.unique(np.linspace(0, len(clips) - 1, min(SAMPLED, len(clips))).astype(int)):
        clip = clips[number]
        try:
            found += [blockiness(image) for _, image in read_frames(clip.frames, [len(clip.frames) // 2])]
        except ClipError:  # said elsewhere
            continue
    if not found or (usual := float(np.median(found))) <= BLOCKS:
        return []
    return [f"JPEG blocks are magnified: steps at every 8th pixel are {usual:.1f} × the others; try --blur 1"]
