"""Find the face of a clip by itself: `--faces auto`, with the extra `faces`.

The detector is dlib's (histograms of oriented gradients, King 2009): its model is compiled into the
package, so nothing is downloaded. It answers in coarse steps of about a tenth of a face, always the
same for the same picture; so each of the first frames is shown to it at another scale, and the
median of the boxes is many times steadier than any of them. It does not measure a tilt.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from data_cache.errors import UsageError
from preprocess.faces.box import FaceBox, median_box

FIRST_FRAMES = 8
"""How many frames, from the onset, are looked at."""

SCALES = (1.0, 0.97, 0.94, 0.91, 0.88, 1.03, 1.06, 1.09)
_LONGER_SIDE = 480  # pixels of the picture that the detector sees; faces of a sixth of it are found
_GROW = (0.10, 0.20, 0.10, 0.05)
"""Shares of its size that dlib's box lacks left, above, right and below: it ends at the brows."""


def load_detector() -> Any:
    """The detector.

    Raises:
        UsageError: the extra is not installed; the message says how to get it and what else to do.
    """
    try:
        import dlib
    except ImportError as error:
        raise UsageError(
            "--faces auto needs a face detector: pip install 'motion-prompt-tuning[faces]'; or pass --faces csv with "
            "boxes of your own, or --faces none to use whole frames"
        ) from error
    return dlib.get_frontal_face_detector()


def find_face(frames: Sequence[np.ndarray]) -> FaceBox | None:
    """Where the largest face is over several frames of (H, W, 3) uint8 RGB; None where no frame shows one.

    Raises:
        UsageError: the extra `faces` is not installed.
    """
    detector = load_detector()
    boxes = [
        box
        for frame, scale in zip(frames, SCALES, strict=False)
        if (box := _largest(detector, cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), scale)) is not None
    ]
    return median_box(boxes) if boxes else None


def _largest(detector: Any, grey: np.ndarray, scale: float) -> FaceBox | None:
    scale *= min(1.0, _LONGER_SIDE / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    # doubling the picture finds faces half as large and costs four times as much, so only where needed
    found = detector(small, 0) or detector(small, 1)
    if not found:
        return None
    box = max(found, key=lambda box: box.width())
    left, above, right, below = (share * box.width() for share in _GROW)
    return FaceBox(
        (box.left() - left) / scale,
        (box.top() - above) / scale,
        (box.width() + left + right) / scale,
        (box.height() + above + below) / scale,
    )
