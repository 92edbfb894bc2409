"""Any data set, by a CSV that its owner writes: the documented door for everything but the three official sets.

Columns: subject, clip, path (a folder of frames or a video file, relative to the CSV), emotion, and
optionally onset, apex, offset (frame numbers, both ends included) and fps. For a folder, numbers are
those in the file names, and the whole folder counts when onset and offset are empty. For a video,
frames count from 0, and fps is read from the file when empty.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

from data_cache.errors import UsageError
from preprocess.datasets.base import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    Clip,
    ClipError,
    Discovery,
    VideoSpan,
    frames_between,
    numbered_frames,
)
from preprocess.datasets.sheet import plain_name
from preprocess.video import count_frames, frame_rate

REQUIRED = ("subject", "clip", "path", "emotion")
OPTIONAL = ("onset", "apex", "offset", "fps")


def manifest(path: Path, dataset: str | None = None, fps: float | None = None) -> Discovery:
    """Find the clips that the CSV at `path` lists.

    Args:
        path: the CSV file, UTF-8, with a header line; comma, semicolon or tab.
        dataset: name of the data set; by default the file's name.
        fps: frame rate in Hz for folders without an fps of their own.

    Raises:
        UsageError: the file is missing, has no rows, or lacks a column.
    """
    if not path.is_file():
        raise UsageError(f"no manifest at {path}; write a CSV with the columns {', '.join(REQUIRED + OPTIONAL)}")
    found = Discovery(dataset or path.stem, path.parent)
    for line, row in _rows(path):
        subject, name = row["subject"], row["clip"]
        key = f"{subject}/{name}"
        if not subject or not name:
            raise UsageError(f"{path}, line {line}: subject and clip must not be empty")
        if any(key == clip.key for clip in found.clips) or key in found.failures:
            raise UsageError(f"{path}, line {line}: clip {key} is listed twice; give it another name")
        try:
            found.clips.append(_clip(found.dataset, row, path.parent / row["path"], fps))
        except (ClipError, ValueError) as error:
            found.failures[key] = f"line {line}: {error}"
    if not found.clips and not found.failures:
        raise UsageError(f"{path} lists no clips below its header line")
    return found


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    text = path.read_text(encoding="utf-8-sig")
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    names = [plain_name(name) for name in reader.fieldnames or []]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise UsageError(
            f"{path} lacks the column {' and '.join(missing)}; its header reads {header.strip()!r}, expected "
            f"{','.join(REQUIRED)} and optionally {','.join(OPTIONAL)}"
        )
    reader.fieldnames = names
    return [
        (number, {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)})
        for number, row in enumerate(reader, 2)
    ]


def _clip(dataset: str, row: Mapping[str, str], source: Path, default_fps: float | None) -> Clip:
    onset, apex, offset = (_number(row, name) for name in ("onset", "apex", "offset"))
    frames: tuple[Path, ...] | VideoSpan
    if source.is_dir():
        numbered = numbered_frames(source)
        if not numbered:
            raise ClipError(f"{source} holds no numbered image ({', '.join(sorted(IMAGE_SUFFIXES))})")
        onset = min(numbered) if onset is None else onset
        offset = max(numbered) if offset is None else offset
        frames = frames_between(numbered, onset, offset, source)
        fps = _rate(row, default_fps)
    elif source.is_file() and source.suffix.lower() in VIDEO_SUFFIXES:
        onset = 0 if onset is None else onset
        offset = count_frames(source) - 1 if offset is None else offset
        if onset > offset:
            raise ClipError(f"onset {onset} lies after offset {offset} (the video's frames count from 0)")
        frames = VideoSpan(source, onset, offset)
        fps = _rate(row, frame_rate(source))
    elif source.exists():
        raise ClipError(f"{source} is neither a folder of frames nor a video ({', '.join(sorted(VIDEO_SUFFIXES))})")
    else:
        raise ClipError(f"{source} does not exist; paths are relative to the manifest")
    return Clip(dataset, row["subject"], row["clip"], frames, onset, apex, offset, fps, row["emotion"].lower())


def _number(row: Mapping[str, str], name: str) -> int | None:
    text = row.get(name, "")
    if text in ("", "/", "\\"):
        return None
    try:
        return int(text)
    except ValueError as error:
        raise ClipError(f"{name} is {text!r}, expected a whole number") from error


def _rate(row: Mapping[str, str], default: float | None) -> float:
    text = row.get("fps", "")
    try:
        rate = float(text) if text else default
    except ValueError as error:
        raise ClipError(f"fps is {text!r}, expected a number") from error
    if rate is None or not 0 < rate < 1e6:
        raise ClipError("no frame rate is known; fill the column fps, or pass --fps")
    return rate
