"""What a clip is made from, as a digest: when sources or annotation change, its shard is stale."""

import hashlib
from dataclasses import astuple
from pathlib import Path
from typing import Any

from data_cache.digest import digest
from preprocess.clip import Clip, VideoSpan


def source_digest(clip: Clip, root: Path, hash_contents: bool = False) -> str:
    """SHA-256 over the annotation of a clip and the identity of its files.

    A file is identified by its path below `root`, size and modification time, or, with
    `hash_contents`, by its content, which survives copying the data set to another machine.
    """
    if isinstance(clip.frames, VideoSpan):
        files, span = [clip.frames.path], [clip.frames.first, clip.frames.last]
    else:
        files, span = list(clip.frames), []
    annotation: list[Any] = [
        clip.dataset,
        clip.subject,
        clip.clip,
        clip.onset,
        clip.apex,
        clip.offset,
        clip.fps,
        clip.emotion,
    ]
    if clip.face is not None:
        annotation.append(list(astuple(clip.face)))
    return digest([annotation, span, [_identity(path, root, hash_contents) for path in files]])


def _identity(path: Path, root: Path, hash_contents: bool) -> list[Any]:
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    if hash_contents:
        with path.open("rb") as file:
            return [name, hashlib.file_digest(file, "sha256").hexdigest()]
    status = path.stat()
    return [name, status.st_size, status.st_mtime_ns]
