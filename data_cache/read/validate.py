"""Is this file a cache that can be trusted? One validator behind `verify`, the builder and the trainer."""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from data_cache.digest import digest
from data_cache.errors import InvalidFile
from data_cache.names import first_few
from data_cache.read.open import ClipTable
from data_cache.read.reader import CacheReader

_SUPERBLOCK = struct.Struct("<8s4B3Q")  # signature; version, two sizes, flags; base, extension, end of file


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        severity: "error" makes the file unusable, "warning" deserves a look.
        where: a clip key, a field or an attribute.
        message: what was found and what was expected.
    """

    severity: Literal["error", "warning"]
    where: str
    message: str

    def __str__(self) -> str:
        return self.message if self.where in self.message else f"{self.where} {self.message}"


def validate(
    cache: Path | CacheReader, *, pixels: bool = True, on_clip: Callable[[str], None] = lambda key: None
) -> list[Problem]:
    """What is wrong with a cache by the specification; empty for a valid file, one error where none can be opened.

    Args:
        cache: the file, or a reader that has it open.
        pixels: also read every clip and compare its SHA-256; without, only structure and annotation.
        on_clip: called with the key of each clip whose pixels were checked.

    Raises:
        UsageError: there is no file at `path`, or it may not be read.
    """
    if isinstance(cache, Path):
        try:
            with CacheReader(cache) as reader:
                return validate(reader, pixels=pixels, on_clip=on_clip)
        except InvalidFile as error:
            return [Problem("error", str(cache), str(error))]
    problems = [*_structure(cache), *_annotation(cache.clips)]
    if pixels and not errors_in(problems):
        problems += _pixels(cache, on_clip)
    return problems


def errors_in(problems: Sequence[Problem]) -> list[Problem]:
    """Those problems that make a file unusable."""
    return [problem for problem in problems if problem.severity == "error"]


def require_valid(cache: Path | CacheReader, *, pixels: bool = True) -> None:
    """The same check for programs that cannot go on with a bad file: an InvalidFile gives its first errors."""
    if errors := errors_in(validate(cache, pixels=pixels)):
        path = cache if isinstance(cache, Path) else cache.path
        shown = first_few([str(error) for error in errors])
        raise InvalidFile(f"{path} is invalid: {shown}. Copy it again, or make it anew; see 'mpt-cache verify {path}'")


def _structure(reader: CacheReader) -> Iterator[Problem]:
    attributes = reader.attributes
    if attributes.recipe_digest != digest(attributes.recipe):
        yield Problem("error", "recipe_digest", "does not match the recipe; one of them was changed")
    for field in reader.fields:  # a shard goes without: its clip's SHA-256 is compared before it is merged
        if len(reader) > 1 and not reader.file[field.path].fletcher32:
            yield Problem("warning", f"/{field.path}", "has no checksums")
    end, size = stated_size(reader.path), reader.path.stat().st_size
    if end is not None and size > end:
        yield Problem("warning", str(reader.path), f"has {size - end} bytes after its end, which HDF5 silently ignores")


def _annotation(clips: ClipTable) -> Iterator[Problem]:
    seen: set[str] = set()
    for row, key in enumerate(clips.keys):
        if key in seen:
            yield Problem("error", key, "occurs twice")
        seen.add(key)
        if clips.n_frames[row] < 1 or not clips.fps[row] > 0:
            yield Problem("error", key, f"has {clips.n_frames[row]} frames at {clips.fps[row]} Hz")
        if clips.onset[row] > clips.offset[row]:
            yield Problem("error", key, f"has onset {clips.onset[row]} after offset {clips.offset[row]}")
        if clips.apex[row] >= 0 and not clips.onset[row] <= clips.apex[row] <= clips.offset[row]:
            yield Problem("warning", key, f"has its apex at {clips.apex[row]}, outside onset and offset")
        if not 0 <= clips.clipped_fraction[row] <= 1:
            yield Problem("error", key, f"has a clipped fraction of {clips.clipped_fraction[row]}")
        if not clips.emotion[row]:
            yield Problem("warning", key, "has no emotion label")


def stated_size(path: Path) -> int | None:
    """Bytes that the HDF5 file at `path` has by its first ones, also where most have not arrived; None: unknown."""
    with path.open("rb") as file:
        superblock = file.read(_SUPERBLOCK.size)
    if len(superblock) < _SUPERBLOCK.size:
        return None
    signature, version, *_, end = _SUPERBLOCK.unpack(superblock)
    return end if signature == b"\x89HDF\r\n\x1a\n" and version in (2, 3) else None


def _pixels(reader: CacheReader, on_clip: Callable[[str], None]) -> Iterator[Problem]:
    room: Mapping[str, np.ndarray] | None = None  # filled again and again, for fresh memory costs time
    for row, key in enumerate(reader.clips.keys):
        try:
            room = reader.read_verified(row, room)
        except InvalidFile as error:
            yield Problem("error", key, str(error))
        on_clip(key)
