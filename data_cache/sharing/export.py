"""Hand a cache on: without its images, compressed, or as a folder that explains itself."""

import shutil
from collections.abc import Callable
from pathlib import Path

from data_cache.errors import InvalidFile, UsageError
from data_cache.files.atomic import json_bytes, replacing, write_bytes
from data_cache.files.checksum import file_sha256
from data_cache.files.lock import writer_lock
from data_cache.files.space import require_space
from data_cache.read.reader import CacheReader
from data_cache.sharing.card import write_card
from data_cache.sharing.fingerprint import make_manifest
from data_cache.write.shards import merge

Advance = Callable[[int, str], None]


def manifest_bytes(cache: Path) -> bytes:
    """The manifest of a cache as a JSON file."""
    with CacheReader(cache) as reader:
        return json_bytes(make_manifest(reader), indent=1)


def export_gzip(cache: Path, output: Path, advance: Advance | None = None) -> None:
    """Write a copy of `cache` with compressed pixels, and its checksum file.

    Args:
        cache: a sound cache.
        output: the file to make.
        advance: told of each clip, as in `commandline.progress`.

    Raises:
        Locked: somebody else writes `output`.
        InvalidFile: the cache is damaged.
        NoSpace: the disk is full.
    """
    with CacheReader(cache) as reader:
        attributes = reader.attributes
    require_space(output, cache.stat().st_size, "the compressed copy may")
    with writer_lock(output):
        merge(
            [cache],
            output,
            source_digest=attributes.source_digest,
            provenance=attributes.provenance,
            gzip=True,
            on_clip=lambda key: advance(1, "") if advance else None,
        )


def export_card(
    cache: Path,
    folder: Path,
    *,
    images: bool = True,
    gzip: bool = False,
    advance: Advance | None = None,
) -> None:
    """Fill `folder` with what can be handed on: the cache, its manifest, a card, metadata and checksums.

    Args:
        cache: a sound cache.
        folder: empty, or yet to be made.
        images: put the cache itself in; without, the folder shows no face.
        gzip: compress it.
        advance: told of each clip that is compressed, as in `commandline.progress`.

    Raises:
        UsageError: the folder is not empty.
        NoSpace: the disk is full.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder; name another one")
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    if images:
        target = folder / cache.name
        if gzip:
            export_gzip(cache, target, advance)
        else:
            _copy(cache, target)
        files[target.name] = "the cache: face images, labels and annotation (HDF5)"
        checksum_file = f"{target.name}.sha256"
        if (folder / checksum_file).exists():
            (folder / checksum_file).unlink()  # SHA256SUMS has it
    manifest = f"{cache.stem}.manifest.json"
    write_bytes(folder / manifest, manifest_bytes(cache))
    files[manifest] = "labels, annotation, hashes and recipe, without any image"
    write_card(folder, cache, files)


def _copy(cache: Path, target: Path) -> None:
    require_space(target, cache.stat().st_size, "a copy would")
    with replacing(target) as temporary:
        shutil.copyfile(cache, temporary)
        if file_sha256(temporary) != file_sha256(cache):
            raise InvalidFile(f"the copy of {cache} at {target} does not read back as it was written")
