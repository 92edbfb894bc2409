"""Caches in the making, seen from outside."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from commands import Command

from data_cache.read.reader import CacheReader

SIZE = ("--size", 64, "--levels", 3)
FAST = ("--size", 32, "--levels", 3, "--jobs", 1)
SMALL = ("--size", 16, "--frames", 4, "--levels", 2, "-j", 1)


def wait_for(happens: Callable[[], bool], seconds: float = 60, program: "subprocess.Popen[str] | None" = None) -> None:
    """Wait until something happens, while `program` runs."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert program is None or program.poll() is None, "it ended before that"
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


def ended(program: "subprocess.Popen[str]", number: int | None = None, seconds: float | None = 120) -> tuple[int, str]:
    """Exit code and output of a process group that is sent the signal `number`, or left alone."""
    if number is not None:
        os.killpg(program.pid, number)
    out = program.communicate(timeout=seconds)[0]
    return program.returncode, out


def stop_before_the_merge(command: Command, *arguments: object) -> None:
    """Leave all shards of a build and no cache, as a kill between the two does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("preprocess.job.build.merge_parts", lambda *_, **__: sys.exit(9))
        assert command(*arguments).code == 9


def shards_in(folder: Path) -> list[Path]:
    return list(folder.glob("*.h5.parts/*.h5"))


def same_content(one: Path, other: Path) -> bool:
    """Equal in every pixel and every annotation."""
    with CacheReader(one) as a, CacheReader(other) as b:
        columns = [np.array_equal(getattr(a.clips, name), getattr(b.clips, name)) for name in vars(a.clips)]
        pixels = [np.array_equal(a.motion(row), b.motion(row)) for row in range(len(a))]
        images = [np.array_equal(a.dynamic_image(row), b.dynamic_image(row)) for row in range(len(a))]
        digests = a.attributes.source_digest == b.attributes.source_digest
        return all(columns) and all(pixels) and all(images) and digests and a.content_digest == b.content_digest


def receipts(log: Path) -> list[dict[str, Any]]:
    """What was logged of clips, in order."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def gzipped_copy(cache: Path, target: Path) -> Path:
    """What `h5repack -f GZIP=4` makes of a cache."""
    shutil.copy(cache, target)
    with h5py.File(target, "r+") as file:
        for name in ("dynamic_image", "motion"):
            pixels, chunks = file[name][...], file[name].chunks
            del file[name]
            file.create_dataset(name, data=pixels, chunks=chunks, compression="gzip", fletcher32=True)
    return target
