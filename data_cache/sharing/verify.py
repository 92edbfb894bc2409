"""All that `mpt-cache verify` checks: the cache itself, the checksum file beside it, another lab's manifest."""

from pathlib import Path

from data_cache.console.commandline import available_jobs, progress
from data_cache.errors import InvalidFile
from data_cache.files.checksum import file_sha256, read_sidecar
from data_cache.read.reader import CacheReader
from data_cache.read.validate import Problem, validate
from data_cache.sharing.fingerprint import changed_recipe, compare, read_manifest, version_differences


def verify_file(path: Path, *, quick: bool = False, jobs: int = -1) -> list[Problem]:
    """Check a cache, with a progress bar, and the file as a whole against its checksum file.

    Args:
        path: the cache.
        quick: leave out whatever reads the pixels.
        jobs: clips checked at a time; −1 is one per core.

    Raises:
        UsageError: there is no file at `path`, or it may not be read.
    """
    if quick:
        return validate(path, pixels=False)
    try:
        with CacheReader(path) as reader:
            clips = len(reader)
    except InvalidFile as error:
        return [Problem("error", str(path), str(error))]
    with progress("checking", clips, "clips") as advance:
        problems = validate(path, threads=available_jobs(jobs), on_clip=lambda key: advance(1, ""))
    return problems + _checksum_problems(path)


def compare_with(path: Path, manifest_path: Path) -> tuple[list[Problem], list[str], bool]:
    """Compare a sound cache with a manifest.

    Returns:
        The differences, notes that may explain them, and whether the recipes differ (pixels are then
        not compared, for all of them would).

    Raises:
        UsageError: there is no manifest.
        InvalidFile: it is not one.
    """
    manifest = read_manifest(manifest_path)
    with CacheReader(path) as reader:
        knobs = changed_recipe(reader, manifest)
        if knobs:
            return [Problem("error", "recipe", f"differs: {'; '.join(knobs)}")], [], True
        differences = list(compare(reader, manifest))
        versions = version_differences(reader, manifest) if differences else []
    notes = [f"made with other versions: {', '.join(versions)}"] if versions else []
    return differences, notes, False


def _checksum_problems(path: Path) -> list[Problem]:
    try:
        expected = read_sidecar(path)
    except InvalidFile as error:
        return [Problem("warning", str(path), str(error))]
    if expected is None or file_sha256(path) == expected:
        return []
    return [Problem("error", str(path), "does not match its checksum file; copy both again")]
