"""Write a cache: one small shard per clip, then one merge that copies them into the final file.

The final path is never opened for writing. A shard is itself a finished cache of one clip, so merging shards and
merging whole caches is the same function. The shards of `casme2.h5` lie in the folder `casme2.h5.parts/`, which a run
that is resumed and the workers of a cluster share; each is named by recipe and source, so a changed option or file
never meets an old shard.
"""

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_cache.console.interrupt import stop_request
from data_cache.digest import digest
from data_cache.errors import ClipsFailed, Interrupted, InvalidFile, MptError, UsageError, grouped
from data_cache.files.atomic import file_sha256, is_plain, remove_leftovers, sidecar_path, write_sidecar
from data_cache.files.lock import lock_path, writer_lock
from data_cache.names import natural_key
from data_cache.read.reader import CacheReader
from data_cache.read.validate import errors_in, require_valid, validate
from data_cache.schema import CacheAttributes, ClipRecord, fields_of
from data_cache.write.hdf5 import create_fields, new_hdf5, write_attributes, write_clip, write_column

log = logging.getLogger(__name__)


def write_shard(path: Path, record: ClipRecord, attributes: CacheAttributes) -> None:
    """Write one clip as a finished cache of its own, atomically.

    The shard is not synced to the disk and has no checksums of HDF5: whoever uses it later compares its SHA-256
    first, and only the merged cache has to survive a power cut.

    Raises:
        ValueError: a text is too long for its field, or an array has the wrong shape.
        NoSpace: the disk is full; nothing is left behind.
    """
    with new_hdf5(path, durable=False) as (file, _):
        fields = fields_of(onset_frames=record.onset_frame is not None)
        for field, dataset in create_fields(file, fields, 1, attributes, checksums=False).items():
            value = getattr(record, field.name)
            if not field.is_image:
                write_column(dataset, field, [value])
                continue
            if value.shape != attributes.clip_shape(field):
                raise ValueError(f"{record.key}: {field.name} has shape {value.shape}, the recipe says otherwise")
            write_clip(dataset, 0, value, checksum=False)
        write_attributes(file, attributes)


def merge(
    parts: Sequence[Path | CacheReader],
    output: Path,
    *,
    source_digest: str | None = None,
    provenance: Mapping[str, object] | None = None,
    on_clip: Callable[[str], None] = lambda key: None,
) -> None:
    """Merge finished caches of one data set and recipe into `output`, clips in natural order.

    Every clip is checked against its hashes on the way. Onset frames are kept where all parts have them, and else left
    out, with a warning. The result is written beside `output`, synced, opened again and checked, and only then
    renamed. A sidecar `<output>.sha256` is written.
    Several processes must not write one `output` at a time: hold its `writer_lock`.

    Args:
        parts: caches or shards, at least one; readers are closed and open their file again by themselves.
        output: the file to make; an existing one is replaced at the very end.
        source_digest: the identity of all sources; by default made from those of the parts.
        provenance: by default that of the first part, with the names, notes and corrections of all parts.
        on_clip: called with the key of each clip once it is copied.

    Raises:
        UsageError: no parts, parts of different data sets or recipes, or a clip that occurs twice.
        InvalidFile: a part is damaged.
        NoSpace: the disk is full.
        Interrupted: after Ctrl-C; `output` is as it was before.
    """
    if not parts:
        raise UsageError("nothing to merge: no parts were given")
    readers = [_checked(part) for part in parts]
    _check_parts_agree(readers)
    rows = sorted(
        ((reader, index) for reader in readers for index in range(len(reader))),
        key=lambda row: natural_key(row[0].clips.key(row[1])),
    )
    source, made = source_digest or _joint_source(readers), dict(provenance or _joint_provenance(readers))
    attributes = replace(readers[0].attributes, source_digest=source, provenance=made)
    fields = fields_of(onset_frames=not (lacking := [each.path for each in readers if not each.has_onset_frames]))
    if 0 < len(lacking) < len(readers):
        log.warning(f"{output} gets no onset frames, because {lacking[0]} (format 1.0) has none; all else is as ever")
    remove_leftovers(output)
    # An exception at any moment would get lost in HDF5's calls of the sink; between two clips it is safe.
    with stop_request() as stop, new_hdf5(output) as (file, sink):
        datasets = create_fields(file, fields, len(rows), attributes, checksums=True)
        images = {field.name: dataset for field, dataset in datasets.items() if field.is_image}
        for field, dataset in datasets.items():
            if not field.is_image:
                write_column(dataset, field, (getattr(r.clips, field.name)[index] for r, index in rows))
        clip: Mapping[str, np.ndarray] = {}
        for row, (reader, index) in enumerate(rows):
            clip = reader.read_verified(index, clip)
            if len(reader) == 1:  # thousands of shards must not stay open
                reader.close()
            for name, dataset in images.items():
                write_clip(dataset, row, clip[name], checksum=True)
            sink.check()
            on_clip(reader.clips.key(index))
            if stop.is_set():
                raise Interrupted(f"interrupted before {output} was written; run the same command again")
        write_attributes(file, attributes)
        file.close()
        sink.check()
        with CacheReader(temporary := Path(sink.name)) as written:
            if len(written) != len(rows) or written.attributes != attributes:
                raise InvalidFile(f"{temporary} does not read back as it was written; is the disk failing?")
        checksum = file_sha256(temporary)
        sidecar_path(output).unlink(missing_ok=True)  # it speaks of the file that is replaced now
    write_sidecar(output, checksum)


def is_merged(parts: Sequence[CacheReader], output: Path) -> bool:
    """Whether `output` is what `merge` makes of `parts`: it holds their clips, and was made from the same sources."""
    rows = sorted(row for part in parts for row in zip(part.clips.keys, part.clips.sha256, strict=True))
    wanted = digest([parts[0].attributes.dataset, parts[0].attributes.recipe_digest, rows])
    try:
        with CacheReader(output) as made:
            return made.content_digest == wanted and made.attributes.source_digest == _joint_source(parts)
    except MptError:
        return False


def _checked(part: Path | CacheReader) -> CacheReader:
    """A reader of a valid part that holds no open file, for there may be thousands."""
    with CacheReader(part) if isinstance(part, Path) else part as reader:
        require_valid(reader, pixels=False)
        return reader


def _joint_provenance(readers: Sequence[CacheReader]) -> dict[str, object]:
    """That of the first part, with what all parts say of their clips; a clip that is there now was not left out."""
    made = [reader.attributes.provenance for reader in readers]
    there = {key for reader in readers for key in reader.clips.keys}
    omitted = {key: why for each in made for key, why in each.get("omitted", {}).items() if key not in there}
    lines = {
        name: list(dict.fromkeys(line for each in made for line in each.get(name, [])))
        for name in ("notes", "corrections")
        if any(name in each for each in made)
    }
    names = sorted(reader.path.name for reader in readers)
    return {**made[0], **lines, "omitted": omitted, "merged_from": names}


def _joint_source(readers: Sequence[CacheReader]) -> str:
    digests = sorted(reader.attributes.source_digest for reader in readers)
    return digests[0] if len(digests) == 1 else digest(digests)


def _check_parts_agree(readers: Sequence[CacheReader]) -> None:
    first = readers[0]
    for reader in readers[1:]:
        for what in ("dataset", "recipe_digest"):
            ours, theirs = getattr(first.attributes, what), getattr(reader.attributes, what)
            if ours != theirs:
                differ = f"differ in {what.replace('_', ' ')} ({theirs} and {ours})"
                allowed = "only caches of one data set and one recipe can be merged"
                raise UsageError(f"{reader.path} and {first.path} {differ}; {allowed}")
    seen: dict[str, Path] = {}
    for reader in readers:
        for key in reader.clips.keys:
            if key in seen:
                raise UsageError(f"clip {key} is in {seen[key]} and again in {reader.path}; merge only one of them")
            seen[key] = reader.path


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
