"""A contact sheet of a cache: what the network is going to see, at one glance."""

import difflib
import fnmatch
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_cache.errors import UsageError
from data_cache.files.atomic import write_bytes
from data_cache.names import figure_fonts
from data_cache.read.reader import CacheReader

_INCHES = 1.15  # side of one picture on the sheet


def choose_clips(keys: Sequence[str], patterns: Sequence[str], most: int) -> list[int]:
    """Rows of the clips to show, at most so many, of those with these keys.

    Args:
        patterns: keys such as sub01/EP02_01f, or with wildcards, sub01/*; without any, clips spread
            evenly over the cache.

    Raises:
        UsageError: a pattern fits no clip.
    """
    if not patterns:
        return sorted({int(row) for row in np.linspace(0, len(keys) - 1, min(most, len(keys)))})
    rows: dict[int, None] = {}
    for pattern in patterns:
        fitting = [row for row, key in enumerate(keys) if key == pattern or fnmatch.fnmatchcase(key, pattern)]
        if not fitting:
            near = difflib.get_close_matches(pattern, keys, 3) or list(keys[:3])
            raise UsageError(f"no clip is called {pattern!r}; there are {', '.join(near)}, …")
        rows |= dict.fromkeys(fitting)
    return list(rows)[:most]


@figure_fonts()
def contact_sheet(reader: CacheReader, rows: Sequence[int], frames: int, output: Path) -> None:
    """Write a PNG with one line per clip: its onset frame, where there is one, its dynamic image, and motion frames.

    Raises:
        UsageError: `output` is no PNG file name.
    """
    from matplotlib.figure import Figure

    if output.suffix.lower() != ".png":
        raise UsageError(f"{output} does not end in .png; a contact sheet is a PNG file")
    chosen = sorted({int(t) for t in np.linspace(0, reader.frames - 1, min(frames, reader.frames))})
    titles = [*["onset frame"] * reader.has_onset_frames, "dynamic image", *(f"frame {t + 1}" for t in chosen)]
    columns = len(titles)
    figure = Figure(figsize=(1.8 + columns * _INCHES, 0.5 + len(rows) * _INCHES), layout="constrained", dpi=150)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, row in enumerate(rows):
        face = reader.onset_frame(row)
        pictures = [*([] if face is None else [face]), reader.dynamic_image(row), *reader.motion(row)[chosen]]
        for axes, picture in zip(grid[line], pictures, strict=True):
            axes.imshow(picture)
            axes.set(xticks=[], yticks=[], frame_on=False)
        label = f"{reader.clips.key(row)}\n{reader.clips.emotion[row] or '(no label)'}"
        grid[line, 0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_bytes(output, buffer.getbuffer())
