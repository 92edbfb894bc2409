"""Any data set, by a manifest: a CSV of clips that its owner writes, for every set without an adapter of its own.

Columns: subject, clip, path (a folder of frames or a video file, relative to the CSV), emotion, and
optionally onset, apex, offset (frame numbers, both ends included), fps and action_units. For a
folder, numbers are those in the file names, and the whole folder counts when onset and offset are
empty. For a video, frames count from 0, and fps is read from the file when empty.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from data_cache.errors import UsageError
from preprocess.clip import Clip, ClipError, VideoSpan
from preprocess.datasets.base import VIDEO_SUFFIXES, Discovery
from preprocess.datasets.collect import check_name, check_text
from preprocess.datasets.folders import IMAGE_SUFFIXES, check_span, frames_between, numbered_frames
from preprocess.datasets.sheet import parse_rate, plain_name, whole_number
from preprocess.frames.image_header import check_image_file
from preprocess.frames.video import check_length, count_frames, frame_rate, frame_size

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
    try:
        check_name("the name of the data set", name)
    except ClipError as error:
        raise UsageError(f"{error}, or pass --name") from error
    found = Discovery(name, path.parent, licence_notice=LICENCE_NOTICE.format(dataset=name))
    seen: set[str] = set()
    for line, row in read_csv(path, REQUIRED, OPTIONAL):
        key = f"line {line}"
        try:
            check_name("subject", row["subject"])
            check_name("clip", row["clip"])
            key = f"{row['subject']}/{row['clip']}"
            if key in seen:
                raise UsageError(f"{path}, line {line}: clip {key} is listed twice; give it another name")
            seen.add(key)
            found.clips.append(_clip(found.dataset, row, path.parent, fps))
        except (ClipError, OSError) as error:
            found.failures[key] = str(error) if key.startswith("line ") else f"line {line}: {error}"
    if not found.clips and not found.failures:
        raise UsageError(f"{path} lists no clips below its header line")
    if found.clips and (note := _note_on_scenes(found.clips[0])):
        found.notes.append(note)
    return found


def read_csv(path: Path, required: tuple[str, ...], optional: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a CSV file as (line, column → stripped text); columns that the file lacks read "".

    Comma, semicolon or tab, whichever the header has most of; UTF-8 with or without a byte order mark.

    Raises:
        UsageError: the file cannot be read as CSV, or lacks a required column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        header = text.partition("\n")[0]
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
        names = [plain_name(name) for name in reader.fieldnames or []]
        missing = [name for name in required if plain_name(name) not in names]
        if missing:
            raise UsageError(
                f"{path} lacks the column {' and '.join(missing)}; its header reads {header.strip()[:120]!r}, expected "
                f"{','.join(required)} and optionally {','.join(optional)}"
            )
        reader.fieldnames = names
        for row in reader:
            cells = {name: (row.get(plain_name(name)) or "").strip() for name in required + optional}
            if any(cells.values()):
                yield reader.line_num, cells
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as 'CSV UTF-8'"
        ) from error
    except csv.Error as error:
        raise UsageError(f"{path} is no CSV file: {error}") from error


def _clip(dataset: str, row: Mapping[str, str], folder: Path, default_fps: float | None) -> Clip:
    if not row["path"]:
        raise ClipError("path is empty; name a folder of frames or a video file")
    if not row["path"].isprintable():
        raise ClipError(f"path {row['path'][:80]!r} holds control characters; correct it")
    emotion = row["emotion"].lower()
    check_text("emotion", emotion)
    source = folder / row["path"]
    onset, apex, offset = (whole_number(name, row[name]) for name in ("onset", "apex", "offset"))
    frames: tuple[Path, ...] | VideoSpan
    if source.is_dir():
        numbered = numbered_frames(source)
        if not numbered:
            raise ClipError(f"{source} holds no numbered image ({', '.join(sorted(IMAGE_SUFFIXES))})")
        onset = min(numbered) if onset is None else onset
        offset = max(numbered) if offset is None else offset
        frames = frames_between(numbered, onset, offset, source)
        fps = parse_rate(row["fps"], default_fps)
    elif source.is_file() and source.suffix.lower() in VIDEO_SUFFIXES:
        onset = 0 if onset is None else onset
        offset = count_frames(source) - 1 if offset is None else offset
        check_span(onset, offset)
        check_length(source, offset)
        frames = VideoSpan(source, onset, offset)
        fps = parse_rate(row["fps"], frame_rate(source))
    elif source.exists():
        raise ClipError(f"{source} is neither a folder of frames nor a video ({', '.join(sorted(VIDEO_SUFFIXES))})")
    else:
        raise ClipError(f"{source} does not exist; paths are relative to the manifest")
    if apex is not None:
        check_span(0, apex)
    return Clip(
        dataset, row["subject"], row["clip"], frames, onset, apex, offset, fps, emotion, row.get("action_units", "")
    )


def _note_on_scenes(clip: Clip) -> str | None:
    """A warning where frames are wider than high, as a camera's uncropped picture is; None otherwise."""
    try:
        width, height = _size(clip.frames)
    except ClipError:  # the build says so of this clip
        return None
    if width <= 1.25 * height:
        return None
    return (
        f"the frames of {clip.key} are {width}×{height} pixels, wider than high as whole scenes are; "
        "--faces auto (or csv) cuts the faces out"
    )


def _size(frames: Sequence[Path] | VideoSpan) -> tuple[int, int]:
    """Width and height by the header of the video or of the first image."""
    if isinstance(frames, VideoSpan):
        return frame_size(frames.path)
    header = check_image_file(frames[0])
    return header.width, header.height
