"""A movie of one clip in slow motion: original on the left, magnified on the right."""

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from data_cache.errors import UsageError
from preprocess.frames.video import is_utf8
from preprocess.preview.scene import Scene

RATE = 8.0
"""Samples per second: a micro-expression of a third of a second takes two."""
REPEATS = 3
_LABEL_HEIGHT = 28


def side_by_side(scene: Scene) -> np.ndarray:
    """The frames, (T, H, W, 3) uint8 RGB with even sides; a strip above says which half is which."""
    pair = np.concatenate([scene.original, scene.rendered.motion], axis=2)
    T, height, width = pair.shape[:3]
    frames = np.full((T, height + _LABEL_HEIGHT, width, 3), 255, np.uint8)
    frames[:, _LABEL_HEIGHT:] = pair
    strip = np.ascontiguousarray(frames[0, :_LABEL_HEIGHT])
    scale = min(0.45, width / 2 / 500)
    for left, text in ((4, "original"), (width // 2 + 4, f"magnified, alpha {scene.recipe.alpha:g}")):
        cv2.putText(strip, text, (left, 19), cv2.FONT_HERSHEY_SIMPLEX, scale, (30, 30, 30), 1, cv2.LINE_AA)
    frames[:, :_LABEL_HEIGHT] = strip
    even = [(0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)]  # video codecs need even sides
    return np.pad(frames, even, mode="edge")


def write_mp4(scene: Scene, path: Path) -> None:
    """Write MPEG-4, the clip three times over.

    Raises:
        UsageError: this build of OpenCV cannot write it.
    """
    if not is_utf8(path):
        raise UsageError(f"OpenCV cannot write to {path}, whose name is no UTF-8; rename it, or pass --movie gif")
    frames = side_by_side(scene)
    size = (frames.shape[2], frames.shape[1])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, size)
    try:
        if not writer.isOpened():
            raise UsageError("this OpenCV cannot write MP4; pass --movie gif")
        for frame in [*frames] * REPEATS:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    finally:
        writer.release()


def write_gif(scene: Scene, path: Path) -> None:
    """Write an endless GIF of 256 colours."""
    from PIL import Image

    images = [Image.fromarray(frame) for frame in side_by_side(scene)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=round(1e3 / RATE), loop=0)


WRITERS: Mapping[str, Callable[[Scene, Path], None]] = {"mp4": write_mp4, "gif": write_gif}
