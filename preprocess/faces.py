"""Raw frames to faces: one crop for a whole clip, a square around the face, turned upright, never frame by frame.

The recipe says where the face comes from: a CSV file of boxes or the detector; or frames are used whole.

Landmarks found per frame jitter by about as much as a micro-expression moves, so following them
would add motion of its own. The transform is a similarity (shift, turn, one scale) that is fixed
for the clip; the scale is left to the resizing that follows, which averages where it shrinks.

Columns of a CSV file: subject, clip, x, y, width, height in pixels of the native frames, and optionally roll in
degrees. Instead of x to height, or besides, the centres of the eyes may be given as left_eye_x, left_eye_y,
right_eye_x, right_eye_y (left and right as in the picture): they then set the tilt, and the box too where that is
empty. A clip may have several rows, one per frame: their median counts.

The detector is dlib's (histograms of oriented gradients, King 2009), of the extra `faces`: its model is compiled into
the package, so nothing is downloaded. It answers in coarse steps of about a tenth of a face, always the same for the
same picture; so each of the first frames is shown to it at another scale, and the median of the boxes is many times
steadier than any of them. It does not measure a tilt.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_cache.errors import UsageError, installation
from preprocess.clip import Clip, ClipError, FaceBox, median_box
from preprocess.datasets.base import BOX_FILE, Discovery
from preprocess.datasets.sheet import Row, read_csv
from preprocess.frames.read import read_frames
from preprocess.recipe import Recipe

log = logging.getLogger(__name__)

LEAST_SIDE = 16
MOST_OVERHANG = 2.0
"""The square may be this many times the longer side of the frame; what lies outside repeats the edge."""
BOX = ("x", "y", "width", "height")
EYES = ("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y")
_WIDTH, _HEIGHT, _BELOW_EYES = 2.5, 2.75, 0.4
"""A face from forehead to chin in eye distances: its size, and how far its middle lies below the eyes."""
FIRST_FRAMES = 8  # how many frames, from the onset, are looked at
SCALES = (1.0, 0.97, 0.94, 0.91, 0.88, 1.03, 1.06, 1.09)
_LONGER_SIDE = 480  # pixels of the picture that the detector sees; faces of a sixth of it are found
_LEAST_SCORE = -0.1
"""Detections below 0, dlib's own limit, are uncertain; below this they begin to be found in blobs and noise."""
_GROW = (0.10, 0.20, 0.10, 0.05)
"""Shares of its size that dlib's box lacks left, above, right and below: it ends at the brows."""


@dataclass(frozen=True)
class FaceCrop:
    """The square to cut out of every frame: centre and side in pixels, and by how many degrees it is turned back."""

    x: float
    y: float
    side: int
    roll: float = 0.0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The square of an (H, W, 3) uint8 frame, (side, side, 3) uint8; a `ClipError` where it does not fit."""
        height, width = image.shape[:2]
        if not (0 <= self.x <= width and 0 <= self.y <= height and self.side <= MOST_OVERHANG * max(height, width)):
            raise ClipError(
                f"its face box (centre {self.x:.0f}, {self.y:.0f}, side {self.side}) does not fit a frame of "
                f"{width}×{height} pixels; correct the box"
            )
        if self.roll:  # OpenCV counts from the middle of the first pixel, boxes from its edge
            turn = cv2.getRotationMatrix2D((self.x - 0.5, self.y - 0.5), self.roll, 1.0)
            turn[:, 2] += self.side / 2 - np.array([self.x, self.y])
            return np.asarray(cv2.warpAffine(image, turn, (self.side, self.side), borderMode=cv2.BORDER_REPLICATE))
        # Without a turn, pixels are taken as they are: no interpolation but that of the resizing.
        left, top = (round(centre - self.side / 2) for centre in (self.x, self.y))
        right, bottom = left + self.side, top + self.side
        inside = image[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
        above, below = max(0, -top), max(0, bottom - height)
        before, behind = max(0, -left), max(0, right - width)
        return np.asarray(cv2.copyMakeBorder(inside, above, below, before, behind, cv2.BORDER_REPLICATE))


def square_around(box: FaceBox, margin: float) -> FaceCrop:
    """The square about a box's middle, with `margin`, a share of its longer side, all around.

    A `ClipError` where the box is no face: too small, or not a number.
    """
    side = max(box.width, box.height) * (1 + 2 * margin)
    x, y = box.x + box.width / 2, box.y + box.height / 2
    if not (min(box.width, box.height) >= LEAST_SIDE and np.isfinite([x, y, side, box.roll]).all() and side < 1e6):
        raise ClipError(
            f"its face box is {box.width:g}×{box.height:g} pixels at {box.x:g}, {box.y:g}; expected at least "
            f"{LEAST_SIDE}×{LEAST_SIDE} inside the frame"
        )
    return FaceCrop(x, y, round(side), box.roll)


def resolve_face_mode(found: Discovery, mode: str | None, boxes: Path | None) -> tuple[Discovery, str]:
    """How the faces of these clips are cropped, and the clips with their boxes where that is by a CSV file.

    Where the user names no `mode`, a file of boxes is used when one is named, cropped frames are used as they are, and
    whole scenes go by the boxes that lie beside them or, without any, to the detector. Clips that a file does not list
    fail. A `UsageError` where boxes or detector cannot be had, or boxes were named for another mode.
    """
    beside = found.root / BOX_FILE
    has_boxes = boxes is not None or (beside.is_file() and not found.cropped)
    faces = mode or ("csv" if has_boxes else "none" if found.cropped else "auto")
    if boxes and faces != "csv":
        raise UsageError(f"--face-boxes goes with --faces csv, not with --faces {faces}")
    if faces == "csv":
        path = boxes or beside
        known = read_boxes(path)
        lost = {clip.key: f"{path} has no face box for it; add a row" for clip in found.clips if clip.key not in known}
        clips = [replace(clip, face=known[clip.key]) for clip in found.clips if clip.key in known]
        notes = [*found.notes, f"faces from {path.name}"]
        return replace(found, clips=clips, failures=found.failures | lost, notes=notes), faces
    if faces == "auto":
        load_detector()  # say now that it is missing, not once per clip
        note = "faces found by the detector of dlib in the first frames of each clip"
        return replace(found, notes=[*found.notes, note]), faces
    if found.wide and found.cropped:
        log.warning(
            f"{len(found.wide)} clips have frames wider than high, as whole scenes are (such as "
            f"{next(iter(found.wide))}, {next(iter(found.wide.values()))}); --faces auto (or csv) cuts the faces out"
        )
    return found, faces


def crop_for(clip: Clip, recipe: Recipe) -> FaceCrop | None:
    """The crop of a clip, None where whole frames are used; a `ClipError` without a face or with an unusable box."""
    if recipe.faces == "none":
        return None
    if recipe.faces == "csv":
        face, lack = clip.face, "no face box is known for it; pass --face-boxes FILE"
    else:
        count = min(FIRST_FRAMES, len(clip.frames))
        face = find_face([image for _, image in read_frames(clip.frames, range(count))])
        lack = (
            f"no face was found in its first {count} frames; give it a box with --faces csv, leave it out with "
            "--allow-missing, or, if its frames are crops already, take --faces none"
        )
    if face is None:
        raise ClipError(lack)
    return square_around(face, recipe.face_margin)


def read_boxes(path: Path) -> dict[str, FaceBox]:
    """`subject/clip` → where the face is; a `UsageError` for a file that is missing or has a row without a box."""
    required = ("subject", "clip")
    if not path.is_file():
        raise UsageError(f"no face boxes at {path}; write a CSV with the columns {', '.join(required + BOX)}")
    rows: dict[str, list[FaceBox]] = {}
    for row in read_csv(path, required, (*BOX, "roll", *EYES)):
        try:
            rows.setdefault(f"{row.text('subject')}/{row.text('clip')}", []).append(_box(row))
        except ValueError as error:
            raise UsageError(f"{path}, line {row.number}: {error}") from error
    return {key: median_box(boxes) for key, boxes in rows.items()}


def _box(row: Row) -> FaceBox:
    box, eyes, roll = _numbers(row, BOX), _numbers(row, EYES), float(row.text("roll") or 0)
    if eyes:
        left_x, left_y, right_x, right_y = eyes
        roll = math.degrees(math.atan2(right_y - left_y, right_x - left_x))
        distance = math.hypot(right_x - left_x, right_y - left_y)
        width, height, down = distance * _WIDTH, distance * _HEIGHT, distance * _BELOW_EYES
        angle = math.radians(roll)
        x, y = (left_x + right_x) / 2 - down * math.sin(angle), (left_y + right_y) / 2 + down * math.cos(angle)
        box = box or [x - width / 2, y - height / 2, width, height]
    if not box:
        raise ValueError(f"no box; fill {', '.join(BOX)}, or {', '.join(EYES)}")
    return replace(FaceBox(*box), roll=roll)


def _numbers(row: Row, names: tuple[str, ...]) -> list[float]:
    """The cells of these columns; none where all are empty."""
    texts = [row.text(name) for name in names]
    try:
        return [float(text) for text in texts] if any(texts) else []
    except ValueError as error:
        raise ValueError(f"{', '.join(names)} read {texts}, expected four numbers") from error


def load_detector() -> Any:
    """The detector; a `UsageError` without the extra `faces` says how to get it, and what else to do."""
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
