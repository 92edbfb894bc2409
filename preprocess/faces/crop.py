"""One crop for a whole clip: a square around the face, turned upright, never frame by frame.

Landmarks found per frame jitter by about as much as a micro-expression moves, so following them
would add motion of its own. The transform is a similarity (shift, turn, one scale) that is fixed
for the clip; the scale is left to the resizing that follows, which averages where it shrinks.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from preprocess.clip import ClipError, FaceBox

LEAST_SIDE = 16
MOST_OVERHANG = 2.0
"""The square may be this many times the longer side of the frame; what lies outside repeats the edge."""


@dataclass(frozen=True)
class FaceCrop:
    """The square to cut out of every frame.

    Attributes:
        x: centre in pixels of the native frame; likewise `y`.
        side: in pixels of the native frame.
        roll: degrees by which the frame is turned back; see `FaceBox`.
    """

    x: float
    y: float
    side: int
    roll: float = 0.0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The square of an (H, W, 3) uint8 frame: (side, side, 3) uint8.

        Raises:
            ClipError: the square does not fit this frame.
        """
        height, width = image.shape[:2]
        if not (0 <= self.x <= width and 0 <= self.y <= height and self.side <= MOST_OVERHANG * max(height, width)):
            raise ClipError(
                f"its face box (centre {self.x:.0f}, {self.y:.0f}, side {self.side}) does not fit a frame of "
                f"{width}×{height} pixels; correct the box"
            )
        if not self.roll:
            return self._cut(image)
        # OpenCV counts from the middle of the first pixel, boxes from its edge
        turn = cv2.getRotationMatrix2D((self.x - 0.5, self.y - 0.5), self.roll, 1.0)
        turn[:, 2] += self.side / 2 - np.array([self.x, self.y])
        turned = cv2.warpAffine(
            image, turn, (self.side, self.side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(turned)

    def _cut(self, image: np.ndarray) -> np.ndarray:
        """Without a turn, pixels are taken as they are: no interpolation but that of the resizing."""
        height, width = image.shape[:2]
        left, top = (round(centre - self.side / 2) for centre in (self.x, self.y))
        right, bottom = left + self.side, top + self.side
        inside = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
        above, below = max(0, -top), max(0, bottom - height)
        before, behind = max(0, -left), max(0, right - width)
        return np.asarray(cv2.copyMakeBorder(inside, above, below, before, behind, cv2.BORDER_REPLICATE))


def square_around(box: FaceBox, margin: float) -> FaceCrop:
    """The square about the middle of a box.

    Args:
        box: around the face.
        margin: share of the box's longer side that is added on every side.

    Raises:
        ClipError: the box is no face: too small, or not a number.
    """
    side = max(box.width, box.height) * (1 + 2 * margin)
    x, y = box.x + box.width / 2, box.y + box.height / 2
    if not (min(box.width, box.height) >= LEAST_SIDE and np.isfinite([x, y, side, box.roll]).all() and side < 1e6):
        raise ClipError(
            f"its face box is {box.width:g}×{box.height:g} pixels at {box.x:g}, {box.y:g}; expected at least "
            f"{LEAST_SIDE}×{LEAST_SIDE} inside the frame"
        )
    return FaceCrop(x, y, round(side), box.roll)
