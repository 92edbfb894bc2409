"""Verify a cache: the file itself, the checksum file beside it, and the fingerprint of another lab's build.

A fingerprint holds keys, labels, hashes and recipe without images. A lab that has signed the same licence rebuilds the
cache from its own copy of the data set; the fingerprint tells whether every pixel came out the same, and if not, why.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_cache.console.commandline import progress
from data_cache.digest import changes
from data_cache.errors import InvalidFile, UsageError, require_version
from data_cache.files.atomic import file_sha256, read_sidecar
from data_cache.read.reader import CacheReader
from data_cache.read.validate import Problem, errors_in, validate
from data_cache.schema import HASHED

FORMAT = "mpt-fingerprint"
FORMAT_VERSION = "1.0"
_FORMATS = (FORMAT, "mpt-manifest")  # what fingerprints were called first
_IDENTITY = ("subject", "clip", "sha256")
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
    """Read a fingerprint; a UsageError without a file, an InvalidFile if it is none of a version that we read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"no fingerprint at {path} ({error.strerror}); make one with 'mpt-cache export'") from error
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"{path} is no JSON file ({error}); copy the fingerprint again") from error
    if not isinstance(values, dict) or values.get("format") not in _FORMATS:
        raise InvalidFile(f"{path} is no fingerprint of 'mpt-cache export'")
    require_version(path, "fingerprint", values.get("format_version"), FORMAT_VERSION)
    kinds, names = {"dataset": str, "recipe": dict, "provenance": dict, "clips": list}, {*_IDENTITY, *_ANNOTATION}
    complete = all(isinstance(values.get(name), kind) for name, kind in kinds.items())
    if not complete or not all(isinstance(clip, dict) and names <= set(clip) for clip in values["clips"]):
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
        for column, what in (("sha256", "has other pixels"), ("onset_frame_sha256", "has another onset frame")):
            if column in mine and other.get(column, mine[column]) != mine[column]:  # format 1.0 has no onset frames
                yield Problem("error", key, what)


@dataclass
class Verdict:
    """What is wrong with a cache, or differs from a fingerprint, and what may explain a difference.

    A fingerprint of another recipe is stale; pixels are then not compared, for all would differ.
    """

    clips: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stale: bool = False


def verify(path: Path, *, quick: bool = False, against: Path | None = None) -> Verdict:
    """Check a cache, with a progress bar, its file against the checksum file, and a valid one against a fingerprint.

    With `quick`, whatever reads the pixels is left out. A cache or a fingerprint that is not there is a UsageError, a
    fingerprint that is none an InvalidFile.
    """
    try:
        reader = CacheReader(path)
    except InvalidFile as error:
        return Verdict(problems=[Problem("error", str(path), str(error))])
    with reader:
        verdict = Verdict(len(reader))
        if quick:
            verdict.problems += validate(reader, pixels=False)
        else:
            with progress("checking", len(reader), "clips") as advance:
                verdict.problems += validate(reader, on_clip=lambda key: advance(1, ""))
            verdict.problems += _checksum_problems(path)
        if against is not None and not errors_in(verdict.problems):
            _compare(reader, against, verdict)
    return verdict


def _compare(reader: CacheReader, path: Path, verdict: Verdict) -> None:
    fingerprint = read_fingerprint(path)
    if changed := changes(fingerprint["recipe"], reader.attributes.recipe):
        verdict.stale = True
        verdict.problems.append(Problem("error", "recipe", f"differs: {'; '.join(changed)}"))
        return
    verdict.problems += (differences := list(compare(reader, fingerprint)))
    theirs, ours = fingerprint["provenance"].get("versions"), reader.attributes.provenance.get("versions", {})
    versions = changes(theirs if isinstance(theirs, dict) else {}, ours)
    if differences and versions:
        verdict.notes.append(f"made with other versions: {', '.join(versions)}")


def _checksum_problems(path: Path) -> list[Problem]:
    try:
        expected = read_sidecar(path)
    except InvalidFile as error:
        return [Problem("warning", str(path), str(error))]
    if expected is None or file_sha256(path) == expected:
        return []
    return [Problem("error", str(path), "does not match its checksum file; copy both again")]
