"""Small videos."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np


def write_video(path: Path | str, frames: Iterable[np.ndarray], rate: float, codec: str = "MJPG") -> None:
    """Write BGR frames of one size, each (H, W, 3) uint8."""
    frames = list(frames)
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()
