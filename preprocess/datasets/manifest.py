"""Any data set, by a manifest: a CSV of clips that its owner writes, for every set without an adapter of its own.

Columns: subject, clip, path (a folder of frames or a video file, relative to the CSV), emotion, and
optionally onset, apex, offset (frame numbers, both ends included), fps and action_units. For a
folder, numbers are those in the file names, and the whole folder counts when onset and offset are
empty. For a video, frames count from 0, and fps is read from the file when empty.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from data_cache.errors import UsageError
from data_cache.names import name_problem
from preprocess.clip import ClipError, VideoSpan
from preprocess.datasets.base import BOX_FILE, VIDEO_SUFFIXES, Discovery
from preprocess.datasets.collect import Facts, Listed, collect
from preprocess.datasets.sheet import is_unknown, read_csv
from preprocess.frames.read import check_image_file
from preprocess.frames.video import probe

REQUIRED = ("subject", "clip", "path", "emotion")
OPTIONAL = ("onset", "apex", "offset", "fps", "action_units")
LICENCE_NOTICE = (
    "This file contains face images derived from {dataset}. Share it only as the licence of those recordings, or the "
    "consent of the persons shown, allows."
)


def manifest(path: Path, dataset: str | None = None, fps: float | None = None) -> Discovery:
    """Find the clips that the CSV at `path` lists.

    Args:
        path: the CSV file, UTF-8, with a header line; comma, semicolon or tab.
        dataset: name of the data set; by default the file's name.
        fps: frame rate in Hz for folders without an fps of their own.

    A `UsageError` where the file is missing, is no CSV, has no rows, lacks a column, or lists a clip twice.
    """
    if not path.is_file():
        raise UsageError(f"no manifest at {path}; write a CSV with the columns {', '.join(REQUIRED + OPTIONAL)}")
    name = dataset or path.stem
    if problem := name_problem("the name of the data set", name):
        raise UsageError(f"{problem}, or pass --name")
    found = Discovery(name, path.parent, licence_notice=LICENCE_NOTICE.format(dataset=name))
    found.cropped = not (path.parent / BOX_FILE).is_file()  # boxes beside it are there to be used
    collect(found, _listed(path), Facts(fps), corrected=False)
    if not found.clips and not found.failures:
        raise UsageError(f"{path} lists no clips below its header line")
    for clip in found.clips:
        with suppress(ClipError):  # the build says of this clip what is wrong
            first, is_video = clip.files[0], isinstance(clip.frames, VideoSpan)
            header = probe(first, 0) if is_video else check_image_file(first)
            if header.width > 1.25 * header.height:
                found.wide[clip.key] = f"{header.width}×{header.height} pixels"
    return found


def _listed(path: Path) -> Iterator[Listed]:
    seen: set[tuple[str, str]] = set()
    for row in read_csv(path, REQUIRED, OPTIONAL, strict=True):
        name = row.text("subject"), row.text("clip")
        if all(name) and name in seen:
            raise UsageError(f"{path}, line {row.number}: clip {'/'.join(name)} is listed twice; give it another name")
        seen.add(name)
        source = path.parent / row.text("path")
        try:
            fault = _fault(row.text("path"), source)
        except OSError as error:  # such as a name that is too long
            fault = str(error)
        fault = f"line {row.number}: {fault}" if fault else ""
        each = Listed.of_row(row, *name, source, row.text("fps"))
        yield replace(each, fault=fault, whole=is_unknown(each.onset) and is_unknown(each.offset))


def _fault(name: str, source: Path) -> str:
    """Why the path that a row names cannot be used; "" if it can."""
    if not name:
        return "path is empty; name a folder of frames or a video file"
    if not name.isprintable():
        return f"path {name[:80]!r} holds control characters; correct it"
    if source.is_dir() or (source.is_file() and source.suffix.lower() in VIDEO_SUFFIXES):
        return ""
    if source.exists():
        return f"{source} is neither a folder of frames nor a video ({', '.join(sorted(VIDEO_SUFFIXES))})"
    hint = "; write / instead of \\" if "\\" in name else ""
    return f"{source} does not exist; paths are relative to the manifest{hint}"
