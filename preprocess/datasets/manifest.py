"""Any data set, by a manifest: a CSV of clips that its owner writes, for every set without an adapter of its own.

Columns: subject, clip, path (a folder of frames or a video file, relative to the CSV), emotion, and
optionally onset, apex, offset (frame numbers, both ends included), fps and action_units. For a
folder, numbers are those in the file names, and the whole folder counts when onset and offset are
empty. For a video, frames count from 0, and fps is read from the file when empty.
"""

from collections.abc import Mapping
from pathlib import Path

from data_cache.errors import UsageError
from data_cache.names import name_problem, text_problem
from preprocess.clip import Clip, ClipError, VideoSpan
from preprocess.datasets.base import BOX_FILE, VIDEO_SUFFIXES, Discovery
from preprocess.datasets.collect import refuse
from preprocess.datasets.folders import IMAGE_SUFFIXES, check_span, frames_between, numbered_frames
from preprocess.datasets.sheet import parse_rate, read_csv, whole_number
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

    Raises:
        UsageError: the file is missing, is no CSV, has no rows, lacks a column, or lists a clip twice.
    """
    if not path.is_file():
        raise UsageError(f"no manifest at {path}; write a CSV with the columns {', '.join(REQUIRED + OPTIONAL)}")
    name = dataset or path.stem
    if problem := name_problem("the name of the data set", name):
        raise UsageError(f"{problem}, or pass --name")
    found = Discovery(name, path.parent, licence_notice=LICENCE_NOTICE.format(dataset=name))
    found.cropped = not (path.parent / BOX_FILE).is_file()  # boxes beside it are there to be used
    seen: set[str] = set()
    for line, row in read_csv(path, REQUIRED, OPTIONAL, strict=True):
        key = f"line {line}"
        try:
            refuse(name_problem("subject", row["subject"]) or name_problem("clip", row["clip"]))
            key = f"{row['subject']}/{row['clip']}"
            if key in seen:
                raise UsageError(f"{path}, line {line}: clip {key} is listed twice; give it another name")
            seen.add(key)
            clip, (width, height) = _clip(found.dataset, row, path.parent, fps)
            found.clips.append(clip)
            if width > 1.25 * height:
                found.wide[key] = f"{width}×{height} pixels"
        except (ClipError, OSError) as error:
            found.failures[key] = str(error) if key.startswith("line ") else f"line {line}: {error}"
    if not found.clips and not found.failures:
        raise UsageError(f"{path} lists no clips below its header line")
    return found


def _clip(
    dataset: str, row: Mapping[str, str], folder: Path, default_fps: float | None
) -> tuple[Clip, tuple[int, int]]:
    """The clip of a row, and the width and height of its first frame."""
    if not row["path"]:
        raise ClipError("path is empty; name a folder of frames or a video file")
    if not row["path"].isprintable():
        raise ClipError(f"path {row['path'][:80]!r} holds control characters; correct it")
    emotion = row["emotion"].lower()
    refuse(text_problem("emotion", emotion))
    source = folder / row["path"]
    onset, apex, offset = (whole_number(name, row[name]) for name in ("onset", "apex", "offset"))
    if (onset is None) != (offset is None):
        raise ClipError("onset and offset go together; fill both, or neither for the whole folder or video")
    frames: tuple[Path, ...] | VideoSpan
    if source.is_dir():
        numbered = numbered_frames(source)
        if not numbered:
            raise ClipError(f"{source} holds no numbered image ({', '.join(sorted(IMAGE_SUFFIXES))})")
        onset = min(numbered) if onset is None else onset
        offset = max(numbered) if offset is None else offset
        frames, _ = frames_between(numbered, onset, offset, source)
        fps = parse_rate(row["fps"], default_fps)
        size = _size(frames[0])
    elif source.is_file() and source.suffix.lower() in VIDEO_SUFFIXES:
        onset = 0 if onset is None else onset
        video = probe(source, offset)
        offset = video.frames - 1 if offset is None else offset
        check_span(onset, offset)
        frames = VideoSpan(source, onset, offset)
        fps = parse_rate(row["fps"], video.rate)
        size = video.width, video.height
    elif source.exists():
        raise ClipError(f"{source} is neither a folder of frames nor a video ({', '.join(sorted(VIDEO_SUFFIXES))})")
    else:
        hint = "; write / instead of \\" if "\\" in row["path"] else ""
        raise ClipError(f"{source} does not exist; paths are relative to the manifest{hint}")
    if apex is not None:
        check_span(0, apex)
    units = row["action_units"]
    return Clip(dataset, row["subject"], row["clip"], frames, onset, apex, offset, fps, emotion, units), size


def _size(frame: Path) -> tuple[int, int]:
    """Width and height by the header of an image; 0 where it cannot be read, which the build says of this clip."""
    try:
        header = check_image_file(frame)
    except ClipError:
        return 0, 0
    return header.width, header.height
