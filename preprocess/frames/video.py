"""Frames of video files, through OpenCV."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from preprocess.clip import ClipError, VideoSpan

MOST_PIXELS = 64_000_000  # largest image that is decoded; a face camera has a tenth of it


def read_span(span: VideoSpan, indices: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index, RGB frame) for the wanted `indices`, counted from the start of `span`.

    Frames are (H, W, 3) uint8. All frames up to the last wanted one are decoded in order, because seeking in compressed
    video is not exact; the others are not converted. A `ClipError` where it is no video, or ends too early.
    """
    wanted = {span.first + index for index in indices}
    with _opened(span.path) as video:
        for number in range(max(wanted) + 1):
            if not video.grab():
                raise ClipError(
                    f"{span.path} ends after {number} frames, but frame {max(wanted)} is needed; "
                    "correct onset and offset (frames count from 0)"
                )
            if number in wanted:
                ok, image = video.retrieve()
                if not ok:
                    raise ClipError(f"frame {number} of {span.path} cannot be decoded; convert the video anew")
                yield number - span.first, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@dataclass(frozen=True)
class VideoHeader:
    """What is known of a video: how many frames, of how many pixels, and how many a second if it says so."""

    frames: int
    rate: float | None
    width: int
    height: int


def probe(path: Path, last: int | None = None) -> VideoHeader:
    """Length, rate and size of a video; a `ClipError` where it is none, has no frames, or no frame `last` (from 0).

    The length that a video states is often wrong. So the frames that can really be decoded are counted, unless `last`,
    the last one that is needed, lies within the stated length: `read_span` says so if that is wrong too.
    """
    with _opened(path) as video:
        rate = float(video.get(cv2.CAP_PROP_FPS))
        width, height = (int(video.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        frames = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        if last is None or last >= frames:
            frames = 0
            while video.grab():
                frames += 1
    if not frames:
        raise ClipError(f"{path} has no frame that can be decoded; convert the video anew")
    if last is not None and last >= frames:
        raise ClipError(
            f"{path} has {frames} frames (0 to {frames - 1}), but frame {last} is needed; correct onset and offset "
            "(frames count from 0)"
        )
    return VideoHeader(frames, rate if 0 < rate < 1e5 else None, width, height)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if any("\ud800" <= character <= "\udfff" for character in str(path)):
        # OpenCV ends the whole process when a name is in another encoding
        raise ClipError(f"{path} cannot be opened, as its name is no UTF-8; rename it or its folder")
    video = cv2.VideoCapture(str(path))
    try:
        if not video.isOpened():
            raise ClipError(f"{path} cannot be opened as a video; is it complete?")
        width, height = (video.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MOST_PIXELS:
            raise ClipError(f"{path} has frames of {width:.0f}×{height:.0f} pixels; convert it to a smaller size")
        yield video
    finally:
        video.release()
