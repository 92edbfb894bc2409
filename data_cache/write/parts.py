"""The folder `casme2.h5.parts/` in which a cache grows: one shard per clip, and one merge at the end.

A run that is resumed and the workers of a cluster share it. A shard is named by recipe and source, so a changed
option or file never meets an old shard.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from data_cache.digest import digest
from data_cache.errors import ClipsFailed, InvalidFile, UsageError, grouped
from data_cache.files.atomic import is_plain, remove_leftovers
from data_cache.files.checksum import file_sha256, sidecar_path, write_sidecar
from data_cache.files.lock import lock_path, writer_lock
from data_cache.read.reader import CacheReader
from data_cache.read.validate import errors_in, require_valid, validate
from data_cache.write.shards import merge


def parts_folder(cache: Path) -> Path:
    """Where the shards of a cache lie until they are merged."""
    return cache.with_name(cache.name + ".parts")


def require_own_parts(cache: Path) -> None:
    """Refuse, with a `UsageError`, a link or a file that somebody planted where the folder of shards should be."""
    folder = parts_folder(cache)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} is a link or a file, expected a folder of ours; delete it")


def shard_path(cache: Path, recipe_digest: str, source_digest: str) -> Path:
    """Where the shard of one clip lies."""
    return parts_folder(cache) / f"{digest([recipe_digest, source_digest])[:32]}.h5"


def is_complete(shard: Path) -> bool:
    """Whether a shard is there, no planted link, of this version of the format, and valid to the last pixel."""
    if not is_plain(shard):
        return False
    try:
        with CacheReader(shard) as reader:
            return reader.has_onset_frames and not errors_in(validate(reader))
    except (InvalidFile, UsageError):
        return False


def merge_parts(
    cache: Path,
    shards: Mapping[str, Path],
    failures: Mapping[str, str],
    *,
    source_digest: str,
    provenance: Mapping[str, object],
    allow_missing: bool = False,
    on_clip: Callable[[str], None] = lambda key: None,
) -> int:
    """Make the cache of its shards, by clip key, and remove them; the number of clips in it.

    The caller holds the cache's `writer_lock`. Of the clips that cannot be used, `failures`, some have no shard.

    Raises:
        ClipsFailed: there are failures and `allow_missing` is off, or they are all there is; shards are kept.
        InvalidFile: a shard was damaged after it was written; a new run finds that out and makes it anew.
        NoSpace: the disk is full.
    """
    wanted = [shard for key, shard in shards.items() if key not in failures]
    if failures and not (allow_missing and wanted):
        raise ClipsFailed(failure_report(failures, len({*shards, *failures})))
    merge(wanted, cache, source_digest=source_digest, provenance=provenance, on_clip=on_clip)
    shutil.rmtree(parts_folder(cache), ignore_errors=True)
    return len(wanted)


def finish(cache: Path) -> None:
    """Do what a killed process left undone, if anything, after its cache had appeared."""
    if sidecar_path(cache).exists() and not parts_folder(cache).exists() and not lock_path(cache).exists():
        return
    with writer_lock(cache):
        require_own_parts(cache)
        remove_leftovers(cache)
        shutil.rmtree(parts_folder(cache), ignore_errors=True)
        if not sidecar_path(cache).exists():
            require_valid(cache)
            write_sidecar(cache, file_sha256(cache))


def failure_report(failures: Mapping[str, str], clips: int, written: Sequence[Path] = ()) -> str:
    """The message that lists clips that cannot be used, and the caches that were `written` without them, if any."""
    outcome = (
        f"{', '.join(map(str, written))} holds the others."
        if written
        else "No cache was written; finished clips are kept. Fix these, then run the same command again, or add "
        "--allow-missing to leave them out."
    )
    lines = [f"  {line}" for line in grouped(sorted(failures.items()))]
    return "\n".join([f"{len(failures)} of {clips} clips cannot be used:", *lines, outcome])
