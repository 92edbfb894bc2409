"""Face boxes from a CSV file: `--faces csv`.

Columns: subject, clip, x, y, width, height in pixels of the native frames, and optionally roll in
degrees. Instead of x to height, or besides, the centres of the eyes may be given as left_eye_x,
left_eye_y, right_eye_x, right_eye_y (left and right as in the picture): they then set the tilt, and
the box too where that is empty. A clip may have several rows, one per frame: their median counts.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from data_cache.errors import UsageError
from preprocess.clip import FaceBox, median_box
from preprocess.datasets.base import Discovery
from preprocess.datasets.sheet import read_csv

REQUIRED = ("subject", "clip")
BOX = ("x", "y", "width", "height")
EYES = ("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y")
_WIDTH, _HEIGHT, _BELOW_EYES = 2.5, 2.75, 0.4
"""A face from forehead to chin in eye distances: its size, and how far its middle lies below the eyes."""


def read_boxes(path: Path) -> dict[str, FaceBox]:
    """`subject/clip` → where the face is.

    Raises:
        UsageError: the file is missing or no CSV, lacks columns, or has a row without a box.
    """
    if not path.is_file():
        raise UsageError(f"no face boxes at {path}; write a CSV with the columns {', '.join(REQUIRED + BOX)}")
    rows: dict[str, list[FaceBox]] = defaultdict(list)
    for line, row in read_csv(path, REQUIRED, (*BOX, "roll", *EYES)):
        try:
            rows[f"{row['subject']}/{row['clip']}"].append(_box(row))
        except ValueError as error:
            raise UsageError(f"{path}, line {line}: {error}") from error
    return {key: median_box(boxes) for key, boxes in rows.items()}


def _box(row: Mapping[str, str]) -> FaceBox:
    eyes, given = _numbers(row, EYES), _numbers(row, BOX)
    if eyes is None and given is None:
        raise ValueError(f"no box; fill {', '.join(BOX)}, or {', '.join(EYES)}")
    roll = float(row["roll"] or 0)
    if eyes is None:
        assert given is not None
        return FaceBox(*given, roll)
    left_x, left_y, right_x, right_y = eyes
    roll = math.degrees(math.atan2(right_y - left_y, right_x - left_x))
    if given is None:
        distance = math.hypot(right_x - left_x, right_y - left_y)
        middle_x, middle_y = (left_x + right_x) / 2, (left_y + right_y) / 2
        width, height, down = distance * _WIDTH, distance * _HEIGHT, distance * _BELOW_EYES
        angle = math.radians(roll)
        centre_x, centre_y = middle_x - down * math.sin(angle), middle_y + down * math.cos(angle)
        given = (centre_x - width / 2, centre_y - height / 2, width, height)
    return FaceBox(*given, roll)


def _numbers(row: Mapping[str, str], names: tuple[str, ...]) -> tuple[float, float, float, float] | None:
    texts = [row[name] for name in names]
    if not any(texts):
        return None
    try:
        a, b, c, d = map(float, texts)
    except ValueError as error:
        raise ValueError(f"{', '.join(names)} read {texts}, expected four numbers") from error
    return a, b, c, d


def with_boxes(found: Discovery, path: Path) -> Discovery:
    """The same clips with their faces; those that the file does not list fail.

    Raises:
        UsageError: the file cannot be used.
    """
    boxes = read_boxes(path)
    clips = [replace(clip, face=boxes[clip.key]) for clip in found.clips if clip.key in boxes]
    lost = {clip.key: f"{path} has no face box for it; add a row" for clip in found.clips if clip.key not in boxes}
    return replace(found, clips=clips, failures=found.failures | lost, notes=[*found.notes, f"faces from {path.name}"])
