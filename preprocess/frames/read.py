"""Read the frames of a clip as RGB images."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

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
