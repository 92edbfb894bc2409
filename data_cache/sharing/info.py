"""What is in a cache, for people and for programs."""

from collections import Counter
from typing import Any

from data_cache.files.checksum import read_sidecar
from data_cache.files.space import readable
from data_cache.filters import recipe_notes
from data_cache.names import visible
from data_cache.read.open import read_attribute
from data_cache.read.reader import CacheReader

_SHORT = 16  # hex digits of a digest that people compare


def describe(reader: CacheReader) -> dict[str, Any]:
    """Everything that a cache says of itself, without its pixels, as JSON values."""
    attributes, clips, path = reader.attributes, reader.clips, reader.path
    lengths = zip(clips.n_frames.tolist(), clips.fps.tolist(), strict=True)
    clipped = float(clips.clipped_fraction.mean())
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "format_version": str(read_attribute(reader.file, "format_version")),
        "dataset": attributes.dataset,
        "clips": len(reader),
        "subjects": len(set(clips.subject)),
        "emotions": dict(Counter(clips.emotion).most_common()),
        "frames": attributes.frames,
        "size": attributes.size,
        "onset_frames": reader.has_onset_frames,
        "clipped_fraction": clipped,
        "quality": recipe_notes(attributes.recipe, lengths, clipped),
        "recipe": attributes.recipe,
        "recipe_digest": attributes.recipe_digest,
        "source_digest": attributes.source_digest,
        "content_digest": reader.content_digest,
        "file_sha256": read_sidecar(path),
        "provenance": attributes.provenance,
        "licence_notice": attributes.licence_notice,
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
        "file": f"{readable(described['bytes'])}, format {described['format_version']}",
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
