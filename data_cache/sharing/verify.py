"""All that `mpt-cache verify` checks: the cache itself, the checksum file beside it, another lab's fingerprint."""

from dataclasses import dataclass, field
from pathlib import Path

from data_cache.console.commandline import progress
from data_cache.digest import changes
from data_cache.errors import InvalidFile
from data_cache.files.checksum import file_sha256, read_sidecar
from data_cache.read.reader import CacheReader
from data_cache.read.validate import Problem, errors_in, validate
from data_cache.sharing.fingerprint import compare, read_fingerprint, version_differences


@dataclass
class Verdict:
    """What was found.

    Attributes:
        problems: what is wrong with the cache, or differs from the fingerprint.
        notes: what may explain a difference.
        stale: whether the fingerprint is of another recipe; pixels are then not compared, for all would differ.
    """

    clips: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stale: bool = False


def verify(path: Path, *, quick: bool = False, against: Path | None = None) -> Verdict:
    """Check a cache, with a progress bar, its file against the checksum file, and a valid one against a fingerprint.

    With `quick`, whatever reads the pixels is left out.

    Raises:
        UsageError: there is no file at `path` or no fingerprint, or it may not be read.
        InvalidFile: the fingerprint is none.
    """
    verdict = Verdict()
    try:
        reader = CacheReader(path)
    except InvalidFile as error:
        verdict.problems.append(Problem("error", str(path), str(error)))
        return verdict
    with reader:
        verdict.clips = len(reader)
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
    differences = list(compare(reader, fingerprint))
    versions = version_differences(reader, fingerprint) if differences else []
    verdict.problems += differences
    verdict.notes += [f"made with other versions: {', '.join(versions)}"] if versions else []


def _checksum_problems(path: Path) -> list[Problem]:
    try:
        expected = read_sidecar(path)
    except InvalidFile as error:
        return [Problem("warning", str(path), str(error))]
    if expected is None or file_sha256(path) == expected:
        return []
    return [Problem("error", str(path), "does not match its checksum file; copy both again")]
