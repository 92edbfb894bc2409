"""Where a face is in a frame."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from statistics import median


@dataclass(frozen=True)
class FaceBox:
    """An upright box around a face that may be tilted.

    Attributes:
        x: left edge in pixels of the native frame, growing to the right; `y` the top edge, growing downwards.
        width: in pixels; likewise `height`.
        roll: tilt of the eye line in degrees, −90..90; positive where the eye on the right of the picture is lower.
    """

    x: float
    y: float
    width: float
    height: float
    roll: float = 0.0


def median_box(boxes: Sequence[FaceBox]) -> FaceBox:
    """The box whose every side is the median of those of `boxes`: one bad detection does not move it."""
    return FaceBox(*(median(values) for values in zip(*map(astuple, boxes), strict=True)))
