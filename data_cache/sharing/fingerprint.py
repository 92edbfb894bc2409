"""A cache without its images: keys, labels, hashes and recipe, so that another lab can check its own build.

A lab that has signed the same licence rebuilds the cache from its own copy of the data set; the
manifest tells whether every pixel came out the same, and if not, why not.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_cache.digest import changes
from data_cache.errors import InvalidFile, UsageError
from data_cache.read.reader import CacheReader
from data_cache.read.validate import Problem
from data_cache.schema import IMAGE_FIELDS, TABLE_FIELDS

FORMAT = "mpt-manifest"
FORMAT_VERSION = "1.0"
_ANNOTATION = ("emotion", "onset", "apex", "offset", "n_frames", "fps")
_ABOUT_THE_MAKER = ("host", "command", "source_folder")  # nobody's business, and no help in a comparison


def make_manifest(reader: CacheReader) -> dict[str, Any]:
    """The pixel-free description of a cache, as JSON values."""
    attributes, clips = reader.attributes, reader.clips
    columns = {
        field.name: getattr(clips, field.name) if field.is_text else getattr(clips, field.name).tolist()
        for field in TABLE_FIELDS
    }
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "dataset": attributes.dataset,
        "recipe": attributes.recipe,
        "recipe_digest": attributes.recipe_digest,
        "source_digest": attributes.source_digest,
        "content_digest": reader.content_digest,
        "hashed": "SHA-256 over the bytes of " + ", then ".join(field.path for field in IMAGE_FIELDS),
        "provenance": {n: value for n, value in attributes.provenance.items() if n not in _ABOUT_THE_MAKER},
        "clips": [{name: values[row] for name, values in columns.items()} for row in range(len(reader))],
    }


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest.

    Raises:
        UsageError: there is no file at `path`.
        InvalidFile: it is no manifest of a version that this software reads.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"no manifest at {path} ({error.strerror}); make one with 'mpt-cache export --no-images'"
        ) from error
    except ValueError as error:
        raise InvalidFile(f"{path} is no JSON file ({error}); copy the manifest again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InvalidFile(f"{path} is no manifest of 'mpt-cache export --no-images'")
    version = str(manifest.get("format_version"))
    if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
        raise InvalidFile(f"{path} has manifest format {version}; this software reads {FORMAT_VERSION}: upgrade it")
    keys = {"dataset", "recipe", "provenance", "clips"}
    names = {"subject", "clip", "sha256", *_ANNOTATION}
    if not keys <= set(manifest) or not all(names <= set(clip) for clip in manifest["clips"]):
        raise InvalidFile(f"{path} is incomplete; copy the manifest again")
    return manifest


def changed_recipe(reader: CacheReader, manifest: dict[str, Any]) -> list[str]:
    """The knobs in which a cache and a manifest differ, as `alpha 10 → 20`."""
    return changes(manifest["recipe"], reader.attributes.recipe)


def compare(reader: CacheReader, manifest: dict[str, Any]) -> Iterator[Problem]:
    """Differences between a cache and a manifest of the same recipe; none if they hold the same."""
    if reader.attributes.dataset != manifest["dataset"]:
        yield Problem("error", "dataset", f"is {reader.attributes.dataset}, the manifest has {manifest['dataset']}")
    ours = {(clip["subject"], clip["clip"]): clip for clip in make_manifest(reader)["clips"]}
    theirs = {(clip["subject"], clip["clip"]): clip for clip in manifest["clips"]}
    for subject, name in sorted({*ours, *theirs}):
        key, mine, other = f"{subject}/{name}", ours.get((subject, name)), theirs.get((subject, name))
        if mine is None or other is None:
            yield Problem("error", key, "is in the cache only" if mine else "is in the manifest only")
            continue
        differing = [f"{what} {other[what]} → {mine[what]}" for what in _ANNOTATION if mine[what] != other[what]]
        if differing:
            yield Problem("error", key, f"is annotated differently: {', '.join(differing)}")
        if mine["sha256"] != other["sha256"]:
            yield Problem("error", key, "has other pixels")


def version_differences(reader: CacheReader, manifest: dict[str, Any]) -> list[str]:
    """Library versions that differ, as `numpy 1.26 → 2.1`: the usual reason for other pixels."""
    return changes(manifest["provenance"].get("versions", {}), reader.attributes.provenance.get("versions", {}))
