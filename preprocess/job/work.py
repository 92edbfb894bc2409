"""What travels to a worker, what the worker does, what comes back, and the log of that."""

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_cache.errors import UsageError
from data_cache.files.atomic import json_bytes
from data_cache.schema import CacheAttributes
from data_cache.write.shards import write_shard
from preprocess.clip import Clip, ClipError
from preprocess.job.provenance import require_unchanged
from preprocess.pipeline import process_clip
from preprocess.recipe import Recipe


@dataclass(frozen=True)
class Task:
    """One clip, with absolute paths for workers in other folders, and the shards to make of it."""

    clip: Clip
    seen: tuple[list[Any], ...]  # the identities of its files when the data set was scanned
    hash_sources: bool  # whether these are of their contents
    source_digest: str
    licence_notice: str
    outputs: tuple[tuple[Recipe, Path], ...]  # of each shard; the recipes differ in α alone


@dataclass(frozen=True)
class ClipResult:
    """What comes back from a worker; pixels stay on the disk."""

    clip: str
    failure: str | None
    sha256: tuple[str, ...]  # of the pixels in each shard
    host: str
    pid: int
    seconds: float


def make_shards(task: Task) -> ClipResult:
    """Process one clip and write its shards, in a worker; a `NoSpace` where the disk is full."""
    started, clip = time.perf_counter(), task.clip
    hashes: list[str] = []
    failure = None
    try:
        records = process_clip(clip, [recipe for recipe, _ in task.outputs])
        require_unchanged(clip, task.seen, task.hash_sources)
        for record, (recipe, path) in zip(records, task.outputs, strict=True):
            attributes = CacheAttributes(
                clip.dataset, recipe.as_json(), recipe.digest, task.source_digest, {}, task.licence_notice
            )
            write_shard(path, record, attributes)
            hashes.append(record.sha256)
    except (ClipError, ValueError) as error:
        failure = str(error)
    seconds = round(time.perf_counter() - started, 4)
    return ClipResult(clip.key, failure, tuple(hashes), platform.node(), os.getpid(), seconds)


@contextmanager
def result_log(path: Path | None) -> Iterator[Callable[[Mapping[str, Any]], object]]:
    """A function that appends a line of JSON, with the time, to the file at `path`; without a path it does nothing.

    A `UsageError` where the file cannot be written.
    """
    path = path or Path(os.devnull)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise UsageError(f"--log-file {path} cannot be written ({error.strerror})") from error
    with file:
        yield lambda result: file.write(json_bytes({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **result}).decode())
