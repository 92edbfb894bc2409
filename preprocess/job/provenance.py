"""What a cache is made from, what it says of its own making, and whether it is up to date."""

import hashlib
import platform
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from data_cache import __version__
from data_cache.digest import changes, digest
from data_cache.errors import InvalidFile, typed_command
from data_cache.names import first_few
from data_cache.read.open import ClipTable
from data_cache.read.reader import CacheReader
from preprocess.clip import Clip, ClipError, VideoSpan
from preprocess.datasets.base import Discovery
from preprocess.pipeline import plan_for
from preprocess.recipe import BuildOptions, Recipe

UP_TO_DATE = "up to date"
ABSENT = "absent"
_PACKAGES = ("numpy", "scipy", "opencv-python-headless", "h5py")


def state_of(path: Path, recipe: Recipe, source_digest: str, found: Sequence[Clip], options: BuildOptions) -> str:
    """`UP_TO_DATE`, `ABSENT`, or what changed since the cache at `path` was made, option by option.

    `source_digest` is of the clips `found`.

    Raises:
        InvalidFile: there is a file, it is no valid cache, and the options do not say what to do about that.
    """
    if not path.exists():
        return ABSENT
    try:
        with CacheReader(path) as reader:
            existing, clips = reader.attributes, reader.clips
    except InvalidFile as error:
        damage = f"{error}. To overwrite it, add --force"
        if options.force or options.dry_run:
            return damage
        raise InvalidFile(damage) from error
    changed = changes(existing.recipe, recipe.as_json())
    if existing.source_digest != source_digest:
        changed.append(_changed_source(clips, existing.provenance, found, options.hash_sources))
    return "; ".join(changed) or ("to be made anew, as --force says" if options.force else UP_TO_DATE)


def _changed_source(clips: ClipTable, made: Mapping[str, Any], found: Sequence[Clip], hash_contents: bool) -> str:
    """In what the clips of a cache, and its provenance, differ from those found now."""
    if ("--hash-sources" in str(made.get("command"))) != hash_contents:
        return f"it was made with{'out' * hash_contents} --hash-sources, so its files cannot be compared with these"
    names = ("emotion", "onset", "apex", "offset", "fps")
    before = {key: {name: getattr(clips, name)[row] for name in names} for row, key in enumerate(clips.keys)}
    now = {clip.key: {name: getattr(clip, name) for name in names} for clip in found}
    for values in now.values():  # as they are stored
        values |= {"apex": -1 if values["apex"] is None else values["apex"], "fps": np.float32(values["fps"])}
    lines = [f"{key} is new" for key in now if key not in {**before, **made.get("omitted", {})}]
    lines += [f"{key} is gone" for key in before if key not in now]
    lines += changes(
        {key: before[key] for key in before if key in now}, {key: now[key] for key in now if key in before}
    )
    if not lines:
        return "source files changed (names, sizes or dates; with --hash-sources, contents)"
    return first_few(lines)


def file_identities(clip: Clip, hash_contents: bool = False) -> tuple[list[Any], ...]:
    """What tells a file of the clip from another: size and modification time in ns, or the SHA-256 of its content.

    The content survives copying the data set to another machine.
    """
    return tuple(_identity(path, hash_contents) for path in clip.files)


def require_unchanged(clip: Clip, seen: Sequence[list[Any]], hash_contents: bool) -> None:
    """Refuse, with a `ClipError`, a clip of which a file is gone, or no longer the one of the identities `seen`."""
    for path, before in zip(clip.files, seen, strict=True):
        with suppress(OSError):
            if _identity(path, hash_contents) == before:
                continue
        raise ClipError(
            f"{path} is not the file that was there when the data set was scanned; run the same command again "
            "(with --hash-sources if machines have copies of their own)"
        )


def source_digest(clip: Clip, root: Path, seen: Sequence[list[Any]]) -> str:
    """SHA-256 over the annotation of a clip, the names of its files below `root` and their identities `seen`.

    When it changes, the shard is stale.
    """
    span = [clip.frames.first, clip.frames.last] if isinstance(clip.frames, VideoSpan) else []
    moments = [clip.onset, clip.apex, clip.offset, clip.fps]
    annotation: list[Any] = [clip.dataset, clip.subject, clip.clip, *moments, clip.emotion]
    if clip.face is not None:
        annotation.append(list(astuple(clip.face)))
    names = [path.relative_to(root) if path.is_relative_to(root) else path for path in clip.files]
    return digest([annotation, span, [[name.as_posix(), *each] for name, each in zip(names, seen, strict=True)]])


def provenance(found: Discovery, notes: Sequence[str], failures: Mapping[str, str]) -> dict[str, object]:
    """The `provenance` attribute of caches made from what was found; it names no folder of this machine."""
    root, versions = found.root, {"python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):  # OpenCV has several distributions
            versions[name] = version(name)
    places = {f"{path}/" for path in (root.resolve(), root.absolute(), root) if path.name}
    below = re.compile("|".join(map(re.escape, sorted(places, key=len, reverse=True))) or "$.")
    return {
        "tool": f"motion-prompt-tuning {__version__}",
        "command": typed_command(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": platform.node(),
        "source_folder": root.resolve().name,
        "versions": versions,
        "notes": list(notes),
        "corrections": list(found.corrections),
        "omitted": {key: below.sub("", reason) for key, reason in sorted(failures.items())},
    }


def lowered_bands(clips: Sequence[Clip], recipe: Recipe) -> list[str]:
    """A note on the clips whose sampling rate does not allow the recipe's cut-offs."""
    lowered = []
    for clip in clips:
        try:
            plan = plan_for(clip, recipe)
        except ClipError:
            continue  # the clip is going to fail, with this reason
        if plan.band != (recipe.low, recipe.high):
            lowered.append(f"{clip.key}: {plan.rate:.3g} Hz allows {plan.band[0]:.3g}–{plan.band[1]:.3g} Hz")
    if not lowered:
        return []
    return [f"cut-offs lowered to fit the sampling rate in {len(lowered)} clips ({first_few(lowered)})"]


def _identity(path: Path, hash_contents: bool) -> list[Any]:
    if hash_contents:
        with path.open("rb") as file:
            return [hashlib.file_digest(file, "sha256").hexdigest()]
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
