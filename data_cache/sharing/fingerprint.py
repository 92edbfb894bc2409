"""The fingerprint of a cache: keys, labels, hashes and recipe without images, so that another lab can check its build.

A lab that has signed the same licence rebuilds the cache from its own copy of the data set; the
fingerprint tells whether every pixel came out the same, and if not, why not.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_cache.digest import changes
from data_cache.errors import InvalidFile, UsageError, require_version
from data_cache.read.reader import CacheReader
from data_cache.read.validate import Problem
from data_cache.schema import HASHED

FORMAT = "mpt-fingerprint"
FORMAT_VERSION = "1.0"
_FORMATS = (FORMAT, "mpt-manifest")  # what fingerprints were called first
_ANNOTATION = ("emotion", "onset", "apex", "offset", "n_frames", "fps")
_ABOUT_THE_MAKER = ("host", "command", "source_folder")  # nobody's business, and no help in a comparison


def make_fingerprint(reader: CacheReader) -> dict[str, Any]:
    """The pixel-free description of a cache, as JSON values."""
    attributes, clips = reader.attributes, reader.clips
    columns = {
        field.name: getattr(clips, field.name) if field.is_text else getattr(clips, field.name).tolist()
        for field in reader.fields
        if not field.is_image
    }
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "dataset": attributes.dataset,
        "recipe": attributes.recipe,
        "recipe_digest": attributes.recipe_digest,
        "source_digest": attributes.source_digest,
        "content_digest": reader.content_digest,
        "hashed": "SHA-256 over the bytes of " + ", then ".join(HASHED["sha256"]),
        "provenance": {n: value for n, value in attributes.provenance.items() if n not in _ABOUT_THE_MAKER},
        "clips": [{name: values[row] for name, values in columns.items()} for row in range(len(reader))],
    }


def read_fingerprint(path: Path) -> dict[str, Any]:
    """Read a fingerprint.

    Raises:
        UsageError: there is no file at `path`.
        InvalidFile: it is no fingerprint of a version that this software reads.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"no fingerprint at {path} ({error.strerror}); make one with 'mpt-cache export'") from error
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"{path} is no JSON file ({error}); copy the fingerprint again") from error
    if not isinstance(values, dict) or values.get("format") not in _FORMATS:
        raise InvalidFile(f"{path} is no fingerprint of 'mpt-cache export'")
    require_version(path, "fingerprint", values.get("format_version"), FORMAT_VERSION)
    kinds = {"dataset": str, "recipe": dict, "provenance": dict, "clips": list}
    names = {"subject", "clip", "sha256", *_ANNOTATION}
    if not all(isinstance(values.get(name), kind) for name, kind in kinds.items()) or not all(
        isinstance(clip, dict) and names <= set(clip) for clip in values["clips"]
    ):
        raise InvalidFile(f"{path} is incomplete; copy the fingerprint again")
    return values


def compare(reader: CacheReader, fingerprint: dict[str, Any]) -> Iterator[Problem]:
    """Differences between a cache and a fingerprint of the same recipe; none if they hold the same."""
    ours_is, theirs_is = reader.attributes.dataset, fingerprint["dataset"]
    if ours_is != theirs_is:
        yield Problem("error", "dataset", f"is {ours_is}, the fingerprint has {theirs_is}")
        return
    sides = (make_fingerprint(reader), fingerprint)
    ours, theirs = ({f"{clip['subject']}/{clip['clip']}": clip for clip in side["clips"]} for side in sides)
    for key in sorted({*ours, *theirs}):
        mine, other = ours.get(key), theirs.get(key)
        if mine is None or other is None:
            yield Problem("error", key, "is in the cache only" if mine else "is in the fingerprint only")
            continue
        differing = [f"{what} {other[what]} → {mine[what]}" for what in _ANNOTATION if mine[what] != other[what]]
        if differing:
            yield Problem("error", key, f"is annotated differently: {', '.join(differing)}")
        if mine["sha256"] != other["sha256"]:
            yield Problem("error", key, "has other pixels")
        ours_of_onset = mine.get("onset_frame_sha256")  # format 1.0 has none
        if ours_of_onset and other.get("onset_frame_sha256", ours_of_onset) != ours_of_onset:
            yield Problem("error", key, "has another onset frame")


def version_differences(reader: CacheReader, fingerprint: dict[str, Any]) -> list[str]:
    """Library versions that differ, as `numpy 1.26 → 2.1`: the usual reason for other pixels."""
    sides = (fingerprint["provenance"].get("versions"), reader.attributes.provenance.get("versions"))
    theirs, ours = (versions if isinstance(versions, dict) else {} for versions in sides)
    return changes(theirs, ours)
