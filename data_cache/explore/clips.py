"""The clips of a cache as a page shows them: a row of facts each, and all frames of a clip in one picture, a strip."""

import base64
import io
import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from data_cache.console.commandline import progress
from data_cache.files.atomic import write_bytes
from data_cache.filters import recover
from data_cache.read.reader import CacheReader

SAVED_WITH = {"avif": {"quality": 36, "speed": 8, "max_threads": 1}, "webp": {"quality": 40, "method": 2}}
SIDE = {"avif": 224, "webp": 160}
"""Pillow's settings, and pixels of a frame, by format: so the 250 clips of `mpt-preprocess demo --subjects 10 --size
224` take 20 to 23 MB with either."""
SMALL_SIDE = 112  # pixels of a frame that is embedded in the page
_AHEAD = 8  # clips per job that are read before the first of them is written


def strips(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What all strips of the caches of a recipe have in common."""
    columns, rows = strip_shape(int(recipe["frames"]))
    return {"frames": int(recipe["frames"]), "columns": columns, "rows": rows, "alpha": float(recipe.get("alpha", 0))}


def entries(
    reader: CacheReader, folder: Path, *, images: bool, single_file: bool, first: int = 0
) -> list[dict[str, Any]]:
    """One JSON object per clip; its strips go to `folder`/clips as files, or into the object.

    Args:
        single_file: embed the strips, at half the size.
        first: number of the first clip, for pages that show several caches.

    Raises:
        InvalidFile: a clip is corrupt.
    """
    table = reader.clips
    made = [
        {
            "key": table.key(row),
            "subject": table.subject[row],
            "clip": table.clip[row],
            "label": table.emotion[row] or "(no label)",
            "frames": int(table.n_frames[row]),
            "fps": round(float(table.fps[row]), 3),
            "clipped": round(float(table.clipped_fraction[row]), 5),
        }
        for row in range(len(table))
    ]
    if not images:
        return made
    side = SMALL_SIDE if single_file else SIDE[picture_format()]
    with progress("drawing clips", len(made), "clips") as advance, ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(made), _AHEAD):
            chunk = range(start, min(start + _AHEAD, len(made)))
            for row, (kinds, facts) in zip(chunk, pool.map(lambda row: _draw(reader, row, side), chunk), strict=True):
                made[row] |= facts | _store(kinds, folder, f"{first + row:04d}", single_file)
                advance(1, "")
    return made


def _draw(reader: CacheReader, row: int, side: int) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The strips m (magnified), d (dynamic image), o (original) and e (for the eye) of a clip, and facts on them.

    Where the original cannot be had, f is the stored onset frame, the one still picture of the face.
    """
    motion, face, table = reader.motion(row), reader.onset_frame(row), reader.clips
    kinds = {"m": strip(motion, side), "d": strip(reader.dynamic_image(row)[None], side)}
    found = recover(motion, face, reader.attributes.recipe, int(table.n_frames[row]), float(table.fps[row]))
    if found.original is not None:
        kinds["o"] = strip(np.rint(found.original).astype(np.uint8), side)
    elif face is not None:
        kinds["f"] = strip(face[None], side)
    if found.eye is not None:
        kinds["e"] = strip(found.eye, side)
    return kinds, {"why": found.why, "eye": found.eye_alpha, "error": round(found.error, 2)}


def _store(kinds: Mapping[str, bytes], folder: Path, stem: str, embed: bool) -> dict[str, Any]:
    suffix = picture_format()
    if embed:
        start = f"data:image/{suffix};base64,"
        return {"strips": {kind: start + base64.b64encode(data).decode() for kind, data in kinds.items()}}
    names = {kind: f"clips/{stem}-{kind}.{suffix}" for kind in kinds}
    for kind, data in kinds.items():
        write_bytes(folder / names[kind], data, durable=False)
    return {"strips": names}


def strip_shape(frames: int) -> tuple[int, int]:
    """Columns and rows of a strip of so many frames: as square as can be, for no codec takes a very long one."""
    columns = math.ceil(math.sqrt(frames))
    return columns, math.ceil(frames / columns)


def picture_format() -> str:
    """The smallest of the formats that every browser shows and this Pillow writes: avif, else webp."""
    from PIL import features

    return "avif" if features.check("avif") else "webp"


def strip(frames: np.ndarray, side: int) -> bytes:
    """Frames (T, S, S) or (T, S, S, 3) uint8 as one picture of tiles of at most `side` pixels, row by row."""
    from PIL import Image

    columns, rows = strip_shape(len(frames))
    side = min(side, frames.shape[1])
    sheet = Image.new("L" if frames.ndim == 3 else "RGB", (columns * side, rows * side))
    for number, frame in enumerate(frames):
        tile = Image.fromarray(frame)
        if tile.width != side:
            tile = tile.resize((side, side), Image.Resampling.BOX)
        sheet.paste(tile, (number % columns * side, number // columns * side))
    return encode(sheet)


def encode(image: Any) -> bytes:
    """A Pillow image as a small picture file."""
    kind, data = picture_format(), io.BytesIO()
    image.save(data, kind.upper(), **SAVED_WITH[kind])
    return data.getvalue()
