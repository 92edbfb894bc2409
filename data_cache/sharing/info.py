"""What is in a cache, shown to people and programs: facts, a table, and a contact sheet."""

import difflib
import fnmatch
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.filesize import decimal

from data_cache.errors import UsageError
from data_cache.files.atomic import read_sidecar, replacing
from data_cache.filters import recipe_notes
from data_cache.names import figure_fonts, visible
from data_cache.read.open import read_attribute
from data_cache.read.reader import CacheReader

_SHORT = 16  # hex digits of a digest that people compare
_INCHES = 1.15  # side of one picture on the sheet


def describe(reader: CacheReader) -> dict[str, Any]:
    """Everything that a cache says of itself, without its pixels, as JSON values."""
    attributes, clips, path = reader.attributes, reader.clips, reader.path
    lengths = zip(clips.n_frames.tolist(), clips.fps.tolist(), strict=True)
    clipped = float(clips.clipped_fraction.mean())
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "format_version": str(read_attribute(reader.file, "format_version")),
        **vars(attributes),
        "clips": len(reader),
        "subjects": len(set(clips.subject)),
        "emotions": dict(Counter(clips.emotion).most_common()),
        "frames": reader.frames,
        "size": reader.size,
        "onset_frames": reader.has_onset_frames,
        "clipped_fraction": clipped,
        "quality": recipe_notes(attributes.recipe, lengths, clipped),
        "content_digest": reader.content_digest,
        "file_sha256": read_sidecar(path),
    }


def print_description(described: dict[str, Any]) -> None:
    """Print what `describe` gave as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    size, frames, made = described["size"], described["frames"], described["provenance"]
    emotions = ", ".join(f"{count} {emotion or '(no label)'}" for emotion, count in described["emotions"].items())
    onset = ", the onset frame" if described["onset_frames"] else ""
    rows = {
        "data set": described["dataset"],
        "clips": f"{described['clips']} of {described['subjects']} subjects: {emotions}",
        "per clip": f"{frames} × {size} × {size} magnified frames{onset} and a dynamic image, 8-bit RGB",
        "file": f"{decimal(described['bytes'])}, format {described['format_version']}",
        "recipe": ", ".join(f"{name} {value}" for name, value in described["recipe"].items()),
        "clipped": f"{described['clipped_fraction']:.2%} of the motion values",
        "quality": "\n".join(described["quality"]),
        "made": " ".join(str(made[name]) for name in ("tool", "created", "host") if name in made),
        "command": made.get("command", ""),
        "notes": "\n".join(map(str, made.get("notes", []))),
        "left out": "\n".join(f"{key}: {reason}" for key, reason in made.get("omitted", {}).items()),
        "content": described["content_digest"][:_SHORT],
        "sources": described["source_digest"][:_SHORT],
        "licence": described["licence_notice"],
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, visible(str(value)))
    console = Console(highlight=False, markup=False)
    console.print(visible(described["path"]), style="bold")
    console.print(table)


def choose_clips(keys: Sequence[str], patterns: Sequence[str], most: int) -> list[int]:
    """Rows of the clips to show, at most so many, of those with these keys; a UsageError where a pattern fits none.

    Patterns are keys such as sub01/EP02_01f, or have wildcards, sub01/*; without any, clips spread over the cache.
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
    """Write a PNG with a line per clip: its onset frame, if there is one, its dynamic image, and motion frames.

    A UsageError where `output` is not named .png.
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
    with replacing(output, durable=False) as temporary:
        figure.savefig(temporary, format="png")
