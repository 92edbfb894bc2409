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

from data_cache.errors import UsageError, installation
from preprocess.clip import FaceBox, median_box

FIRST_FRAMES = 8  # how many frames, from the onset, are looked at

SCALES = (1.0, 0.97, 0.94, 0.91, 0.88, 1.03, 1.06, 1.09)
_LONGER_SIDE = 480  # pixels of the picture that the detector sees; faces of a sixth of it are found
_LEAST_SCORE = -0.1
"""Detections below 0, dlib's own limit, are uncertain; below this they begin to be found in blobs and noise."""
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
            f"--faces auto needs a face detector: {installation('faces')}; or pass --faces csv with boxes of your own, "
            "or --faces none to use whole frames"
        ) from error
    return dlib.get_frontal_face_detector()


def find_face(frames: Sequence[np.ndarray]) -> FaceBox | None:
    """Where the face is over several frames of (H, W, 3) uint8 RGB; None where they do not agree on one.

    Uncertain detections count too, but half of the frames must show a face in one and the same place.

    Raises:
        UsageError: the extra `faces` is not installed.
    """
    detector = load_detector()
    boxes = [
        box
        for frame, scale in zip(frames, SCALES, strict=False)
        if (box := _detect(detector, cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), scale)) is not None
    ]
    if not boxes:
        return None
    middle = median_box(boxes)
    agreeing = [box for box in boxes if _same_place(box, middle)]
    return median_box(agreeing) if 2 * len(agreeing) >= min(len(frames), len(SCALES)) else None


def _detect(detector: Any, grey: np.ndarray, scale: float) -> FaceBox | None:
    """The largest face that is certain, else the most certain of the others."""
    scale *= min(1.0, _LONGER_SIDE / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    # doubling the picture finds faces half as large and costs four times as much, so only where needed
    for doublings in (0, 1):
        found, scores, _ = detector.run(small, doublings, _LEAST_SCORE)
        if found:
            ranks = [
                (True, box.width()) if score >= 0 else (False, score) for box, score in zip(found, scores, strict=True)
            ]
            box = found[ranks.index(max(ranks))]
            left, above, right, below = (share * box.width() for share in _GROW)  # from the hairline to the chin
            width, height = box.width() + left + right, box.height() + above + below
            return FaceBox(*(part / scale for part in (box.left() - left, box.top() - above, width, height)))
    return None


def _same_place(one: FaceBox, other: FaceBox) -> bool:
    across = abs(one.x + one.width / 2 - other.x - other.width / 2)
    down = abs(one.y + one.height / 2 - other.y - other.height / 2)
    return max(across, down) < other.width / 2 and 0.5 < one.width / other.width < 2
