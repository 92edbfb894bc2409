"""Frames of video files, through OpenCV."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from preprocess.clip import ClipError, VideoSpan
from preprocess.frames.image_header import MOST_PIXELS


def read_span(span: VideoSpan, indices: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index, RGB frame) for the wanted `indices`, counted from the start of `span`.

    Frames are (H, W, 3) uint8. All frames up to the last wanted one are decoded in order, because
    seeking in compressed video is not exact; the others are not converted.

    Raises:
        ClipError: the file is no video, or ends too early.
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


def count_frames(path: Path) -> int:
    """How many frames can really be decoded; the number in a video's header is often wrong.

    Raises:
        ClipError: the file is no video, or has no frames.
    """
    with _opened(path) as video:
        count = 0
        while video.grab():
            count += 1
    if not count:
        raise ClipError(f"{path} has no frame that can be decoded; convert the video anew")
    return count


def check_length(path: Path, last: int) -> None:
    """Refuse a frame number beyond the end; frames are counted only if the header already says so.

    Raises:
        ClipError: the video has no frame `last`.
    """
    with _opened(path) as video:
        stated = video.get(cv2.CAP_PROP_FRAME_COUNT)
    if last >= stated and last >= (count := count_frames(path)):
        raise ClipError(
            f"{path} has {count} frames (0 to {count - 1}), but frame {last} is asked for; correct onset and offset "
            "(frames count from 0)"
        )


def frame_rate(path: Path) -> float | None:
    """Frames per second as the file says, None where it does not say.

    Raises:
        ClipError: the file is no video.
    """
    with _opened(path) as video:
        rate = float(video.get(cv2.CAP_PROP_FPS))
    return rate if 0 < rate < 1e5 else None


def frame_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, as the file says.

    Raises:
        ClipError: the file is no video.
    """
    with _opened(path) as video:
        return int(video.get(cv2.CAP_PROP_FRAME_WIDTH)), int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))


def is_utf8(path: Path) -> bool:
    """Whether OpenCV may be given this path: it ends the whole process when a name is in another encoding."""
    return not any("\ud800" <= character <= "\udfff" for character in str(path))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not is_utf8(path):
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
