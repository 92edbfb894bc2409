"""Read the frames of a clip as RGB images, and resize them to squares."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from scipy import sparse

from preprocess.clip import ClipError, VideoSpan
from preprocess.frames.image_header import check_image
from preprocess.frames.video import read_span


def read_frames(source: Sequence[Path] | VideoSpan, indices: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index, frame) for the wanted `indices` in rising order; frames are (H, W, 3) uint8 RGB.

    Raises:
        ClipError: a frame cannot be read, or the frames of the clip differ in size.
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

    Raises:
        ClipError: the file is missing, no image, truncated, damaged, or too large (`check_image`).
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
