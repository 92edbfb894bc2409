"""Which crop a clip gets, by the recipe: none, its box from a CSV file, or what the detector finds."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_cache.errors import UsageError
from preprocess.clip import Clip, ClipError
from preprocess.datasets.base import BOX_FILE, Discovery
from preprocess.faces.boxes import with_boxes
from preprocess.faces.crop import square_around
from preprocess.faces.detect import FIRST_FRAMES, find_face, load_detector
from preprocess.frames.read import read_frames
from preprocess.recipe import Recipe

log = logging.getLogger(__name__)

Crop = Callable[[np.ndarray], np.ndarray]


def resolve_face_mode(found: Discovery, mode: str | None, boxes: Path | None) -> tuple[Discovery, str]:
    """How the faces of these clips are cropped, and the clips with their boxes where that is by a CSV file.

    Where the user names no `mode`, a file of boxes is used when one is named, cropped frames are used as
    they are, and whole scenes go by the boxes that lie beside them or, without any, to the detector.

    Raises:
        UsageError: the boxes or the detector cannot be had, or boxes were named for another mode.
    """
    beside = found.root / BOX_FILE
    has_boxes = boxes is not None or (beside.is_file() and not found.cropped)
    usual = "csv" if has_boxes else "none" if found.cropped else "auto"
    faces = mode or usual
    if boxes and faces != "csv":
        raise UsageError(f"--face-boxes goes with --faces csv, not with --faces {faces}")
    if faces == "csv":
        return with_boxes(found, boxes or beside), faces
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


def crop_for(clip: Clip, recipe: Recipe) -> Crop | None:
    """The crop of a clip, None where whole frames are used.

    Raises:
        ClipError: no face was found, or its box is unusable.
    """
    return _CHOICES[recipe.faces](clip, recipe)


def _whole(_clip: Clip, _recipe: Recipe) -> Crop | None:
    return None


def _boxed(clip: Clip, recipe: Recipe) -> Crop | None:
    if clip.face is None:
        raise ClipError("no face box is known for it; pass --face-boxes FILE")
    return square_around(clip.face, recipe.face_margin)


def _detected(clip: Clip, recipe: Recipe) -> Crop | None:
    count = min(FIRST_FRAMES, len(clip.frames))
    face = find_face([image for _, image in read_frames(clip.frames, range(count))])
    if face is None:
        raise ClipError(
            f"no face was found in its first {count} frames; give it a box with --faces csv, leave it out with "
            "--allow-missing, or, if its frames are crops already, take --faces none"
        )
    return square_around(face, recipe.face_margin)


_CHOICES: Mapping[str, Callable[[Clip, Recipe], Crop | None]] = {"none": _whole, "csv": _boxed, "auto": _detected}
