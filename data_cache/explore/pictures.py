"""Clips as picture files: all frames of a clip in one strip, which a page shows one frame of at a time."""

import io
import math
from typing import Any

import numpy as np

QUALITY = {"avif": 36, "webp": 40}
SIDE = {"avif": 224, "webp": 160}
"""Pillow's quality, and pixels of a frame, by format: so the 250 clips of `mpt-preprocess demo --subjects 10 --size
224` take 20 to 23 MB with either."""


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
    speed = {"avif": {"speed": 8, "max_threads": 1}, "webp": {"method": 2}}[kind]
    image.save(data, kind.upper(), quality=QUALITY[kind], **speed)
    return data.getvalue()
